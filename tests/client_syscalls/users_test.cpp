// Who may enter a mount, who checks permissions, and what a handler learns about its caller.
#include <grp.h>
#include <sys/xattr.h>

#include <mutex>
#include <vector>

#include "client_syscalls/memory_mount.hpp"
#include "support/shared.hpp"
#include "support/shelf.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;

constexpr uid_t stranger = 12345;

class Users : public MountTest {
 protected:
  // What a user gets who looks into the mount: 0 or an errno.
  static int entering(const std::filesystem::path& path, uid_t user) {
    return std::stoi(in_child(
        [&] {
          struct stat status {};
          return std::to_string(failure(::stat((path / "file").c_str(), &status)));
        },
        user));
  }
};

TEST_F(Users, without_allow_other_only_the_one_who_mounted_enters) {
  Shelf file_system;
  const Served served(file_system, make_directory());
  EXPECT_EQ(entering(served.path(""), 0), 0);
  EXPECT_EQ(entering(served.path(""), nobody), EACCES);
}

TEST_F(Users, with_allow_other_everybody_enters) {
  Shelf file_system;
  const Served served(file_system, make_directory(), {.allow_other = true});
  EXPECT_EQ(entering(served.path(""), 0), 0);
  EXPECT_EQ(entering(served.path(""), nobody), 0);
  EXPECT_EQ(entering(served.path(""), stranger), 0);
}

TEST_F(Users, with_allow_root_the_owner_and_root_enter) {
  Shelf file_system;
  // The kernel lets everybody see what it has cached, so that nothing is.
  const Served served(file_system, make_directory(), {.allow_root = true},
                      {.attr_timeout = {}, .entry_timeout = {}, .only_root_and = nobody});
  EXPECT_EQ(entering(served.path(""), 0), 0);
  EXPECT_EQ(entering(served.path(""), nobody), 0);
  EXPECT_EQ(entering(served.path(""), stranger), EACCES);
}

TEST_F(Users, mount_for_themselves_and_not_for_root) {
  if (!has_helper()) GTEST_SKIP() << "fusermount3 or /etc/mtab is missing";
  let_users_open_fuse();
  const auto path = make_directory("mnt", nobody);
  const Process server(
      [&]() -> std::string {
        static Shelf file_system;
        static Mount mount = must(Mount::create(path));
        static Session session = must(Session::create(file_system, mount));
        std::thread([] { session.run(); }).detach();
        return "";
      },
      nobody);
  ASSERT_EQ(server.text(), "");
  EXPECT_EQ(entering(path, nobody), 0);
  EXPECT_EQ(entering(path, stranger), EACCES);
  EXPECT_EQ(entering(path, 0), EACCES);
  ASSERT_EQ(::umount2(path.c_str(), MNT_DETACH), 0);
}

// Remembers who asked, and refuses what `refused` says.
class Doorkeeper : public Shelf {
 public:
  Reply<void> access(const Context& context, Ino, int mask) override {
    const std::lock_guard lock(mutex_);
    asked_.push_back({context.uid, context.gid, mask});
    if ((mask & refused) != 0) return Error{EACCES};
    return {};
  }
  Reply<Opened> open(const Context&, Ino, OpenFlags flags) override {
    if (flags.writes()) return Error{EACCES};
    return Opened{};
  }

  struct Asked {
    uid_t uid;
    gid_t gid;
    int mask;
  };
  std::vector<Asked> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

  int refused = 0;

 private:
  std::mutex mutex_;
  std::vector<Asked> asked_;
};

TEST_F(Users, are_checked_by_the_file_system_without_default_permissions) {
  Doorkeeper file_system;
  file_system.refused = W_OK;
  const Served served(file_system, make_directory(), {.allow_other = true});
  as_user(nobody, "/", [&] {
    EXPECT_EQ(failure(::access(served.path("file").c_str(), R_OK)), 0);
    EXPECT_EQ(failure(::access(served.path("file").c_str(), W_OK)), EACCES);
    EXPECT_EQ(failure(::chdir(served.path("").c_str())), 0);
    EXPECT_EQ(failure(::open(served.path("file").c_str(), O_WRONLY)), EACCES);
    EXPECT_EQ(read_file(served.path("file")), "Hello, world!\n");
  });
  const auto asked = file_system.asked();
  ASSERT_GE(asked.size(), 3u);
  EXPECT_EQ(asked[0].uid, nobody);
  EXPECT_EQ(asked[0].gid, nobody);
  EXPECT_EQ(asked[0].mask, R_OK);
  EXPECT_EQ(asked[1].mask, W_OK);
}

TEST_F(Users, are_checked_by_the_kernel_with_default_permissions) {
  Doorkeeper file_system;
  const Served served(file_system, make_directory(), {.allow_other = true, .default_permissions = true});
  as_user(nobody, "/", [&] {
    EXPECT_EQ(failure(::access(served.path("file").c_str(), W_OK)), 0);
    EXPECT_EQ(failure(::access(served.path("file").c_str(), X_OK)), EACCES);
  });
  EXPECT_TRUE(file_system.asked().empty());
}

// What a handler that makes a node learns about its caller.
struct Guest {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
  mode_t umask = 0;
  mode_t made_with = 0;
  std::vector<gid_t> groups;
};

class Guestbook : public Shelf {
 public:
  Reply<Entry> mkdir(const Context& context, Ino, std::string_view name, mode_t mode) override {
    Guest guest{context.uid, context.gid, context.pid, context.umask, mode, {}};
    if (name == "groups") guest.groups = context.supplementary_groups();
    last_.set(std::move(guest));
    return Error{EDOM};
  }
  Guest last() const { return last_.get(); }

 private:
  Shared<Guest> last_;
};

class Guests : public Users, public ::testing::WithParamInterface<bool> {};

TEST_P(Guests, are_known_to_the_handler) {
  Guestbook file_system;
  SessionOptions options;
  if (GetParam()) options.enable = Capability::CREATE_SUPP_GROUP | CapabilitySet(Capability::SECURITY_CTX);
  const Served served(file_system, make_directory(), {.allow_other = true}, options);
  const std::string told = in_child([&]() -> std::string {
    const gid_t groups[] = {1001, 1002, 0};
    if (::setgroups(3, groups) != 0 || ::setresgid(4444, 4444, 4444) != 0 || ::setresuid(3333, 3333, 3333) != 0) {
      return "cannot become somebody else";
    }
    ::umask(027);
    if (failure(::mkdir(served.path("groups").c_str(), 0777)) != EDOM) return "not asked";
    return std::to_string(::gettid());
  });
  const Guest guest = file_system.last();
  EXPECT_EQ(told, std::to_string(guest.pid));
  EXPECT_EQ(guest.uid, 3333u);
  EXPECT_EQ(guest.gid, 4444u);
  EXPECT_EQ(guest.umask, 027u);
  EXPECT_EQ(guest.made_with & 07777u, 0750u);
  if (GetParam()) {
    // The kernel tells the one group that could own the new node: that of the directory.
    EXPECT_EQ(guest.groups, std::vector<gid_t>{0});
  } else {
    EXPECT_EQ(guest.groups, (std::vector<gid_t>{0, 1001, 1002}));
  }
}

INSTANTIATE_TEST_SUITE_P(Sources, Guests, ::testing::Bool(),
                         [](const auto& by) { return by.param ? "by_extension" : "by_proc"; });

TEST_F(Users, umask_is_left_to_the_file_system_with_dont_mask) {
  Guestbook file_system;
  const Served served(file_system, make_directory(), {.allow_other = true}, {.enable = Capability::DONT_MASK});
  as_user(nobody, "/", [&] {
    ::umask(077);
    EXPECT_EQ(failure(::mkdir(served.path("x").c_str(), 0777)), EDOM);
  });
  EXPECT_EQ(file_system.last().made_with & 07777u, 0777u);
  EXPECT_EQ(file_system.last().umask, 077u);
}

}  // namespace
}  // namespace fuselage::test

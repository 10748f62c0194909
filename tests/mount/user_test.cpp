// Mounting by those who may not: through the setuid helper, and inside a user namespace.
#include <gmock/gmock.h>

#include <fstream>
#include <fuselage/mount.hpp>

#include "support/mount_namespace.hpp"
#include "support/process.hpp"

namespace fuselage::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class OrdinaryUser : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped()) return;
    if (!has_helper()) GTEST_SKIP() << "fusermount3 or /etc/mtab is missing";
    let_users_open_fuse();
  }

  // What mounting says to the user; "" when it works.
  std::string attempt(const fs::path& path, const MountOptions& options = {}) {
    const std::string text = in_child(
        [&]() -> std::string {
          auto mount = Mount::create(path, options);
          if (!mount) return std::to_string(mount.error().code()) + " " + mount.error().message();
          return "";
        },
        nobody);
    EXPECT_TRUE(below().empty());
    return text;
  }

  // This namespace's /etc/fuse.conf, until the end of the test.
  void configure(const std::string& text) {
    const auto file = directory() / "fuse.conf";
    std::ofstream(file) << text;
    ASSERT_EQ(::mount(file.c_str(), "/etc/fuse.conf", nullptr, MS_BIND, nullptr), 0);
    configured_ = true;
  }
  void TearDown() override {
    if (configured_) ::umount2("/etc/fuse.conf", MNT_DETACH);
    MountTest::TearDown();
  }

 private:
  bool configured_ = false;
};

TEST_F(OrdinaryUser, mounts_and_unmounts_through_the_helper) {
  const auto path = make_directory("a, b\\c", nobody);
  const MountOptions options{.fsname = "x,y\\z", .subtype = "memory", .noexec = true};
  std::string seen;
  const std::string said = in_child(
      [&]() -> std::string {
        auto mount = Mount::create(path, options);
        if (!mount) return mount.error().message();
        const auto entry = below().at(0);
        if (entry.mountpoint != path || entry.source != options.fsname || entry.type != "fuse.memory") {
          return "wrong entry " + entry.mountpoint.string() + " " + entry.source + " " + entry.type;
        }
        if (!mount->mounted() || ::fcntl(mount->device(), F_GETFD) != FD_CLOEXEC) return "wrong state";
        if (auto done = mount->unmount(); !done) return done.error().message();
        if (is_mounted(path)) return "still mounted";
        // And by the destructor.
        auto again = Mount::create(path);
        return again ? "" : again.error().message();
      },
      nobody);
  EXPECT_EQ(said, "");
  EXPECT_TRUE(below().empty());
}

TEST_F(OrdinaryUser, mounts_over_a_file) {
  const auto path = directory() / "file";
  std::ofstream(path).put('x');
  ASSERT_EQ(::chown(path.c_str(), nobody, nobody), 0);
  EXPECT_EQ(attempt(path, {.file_root = true}), "");
}

TEST_F(OrdinaryUser, mounts_over_a_dead_mount_of_his_own) {
  const auto path = make_directory("mnt", nobody);
  const auto leave_dead = [&]() -> std::string {
    auto mount = Mount::create(path);
    if (!mount) return mount.error().message();
    mount->release();
    return "";
  };
  ASSERT_EQ(in_child(leave_dead, nobody), "");
  ASSERT_TRUE(is_mounted(path));
  EXPECT_EQ(attempt(path), "");
}

TEST_F(OrdinaryUser, cannot_take_away_a_dead_mount_of_others) {
  const auto path = make_directory("mnt", nobody);
  Mount::create(path, {.allow_other = true}).value().release();
  const std::string said = in_child(
      [&]() -> std::string {
        auto mount = Mount::create(path);
        return mount ? "mounted" : std::to_string(mount.error().code()) + " " + mount.error().message();
      },
      nobody);
  EXPECT_THAT(said, StartsWith(std::to_string(ENOTCONN)));
  EXPECT_THAT(said, HasSubstr("cannot be unmounted"));
  ASSERT_TRUE(mounting::unmount(path, true));
}

TEST_F(OrdinaryUser, is_told_that_the_mount_point_must_be_writable) {
  EXPECT_THAT(attempt(make_directory()), HasSubstr("may not write to it"));
}

TEST_F(OrdinaryUser, is_told_about_a_sticky_mount_point) {
  const auto path = make_directory();
  ASSERT_EQ(::chmod(path.c_str(), 01777), 0);
  EXPECT_THAT(attempt(path), HasSubstr("not owned by user"));
}

TEST_F(OrdinaryUser, is_told_about_an_unreachable_mount_point) {
  const auto path = make_directory();
  fs::create_directory(path / "inner");
  ASSERT_EQ(::chmod(path.c_str(), 0700), 0);
  EXPECT_THAT(attempt(path / "inner"), StartsWith(std::to_string(EACCES)));
}

TEST_F(OrdinaryUser, is_told_what_allow_other_needs) {
  configure("# nothing is allowed\n");
  const auto path = make_directory("mnt", nobody);
  EXPECT_THAT(attempt(path, {.allow_other = true}), HasSubstr("user_allow_other"));
  EXPECT_THAT(attempt(path, {.allow_root = true}), HasSubstr("user_allow_other"));
}

TEST_F(OrdinaryUser, may_use_allow_other_when_the_administrator_permits) {
  configure("user_allow_other\n");
  EXPECT_EQ(attempt(make_directory("mnt", nobody), {.allow_other = true}), "");
}

TEST_F(OrdinaryUser, is_told_about_too_many_mounts) {
  configure("mount_max = 1\n");
  const auto one = make_directory("one", nobody);
  const auto two = make_directory("two", nobody);
  const std::string said = in_child(
      [&]() -> std::string {
        auto first = Mount::create(one);
        if (!first) return first.error().message();
        auto second = Mount::create(two);
        return second ? "mounted" : second.error().message();
      },
      nobody);
  EXPECT_THAT(said, HasSubstr("mount_max"));
}

TEST_F(OrdinaryUser, is_told_to_install_the_helper) {
  const auto path = make_directory("mnt", nobody);
  const std::string said = in_child(
      [&]() -> std::string {
        ::setenv("PATH", directory().c_str(), 1);
        auto mount = Mount::create(path);
        return mount ? "mounted" : mount.error().message();
      },
      nobody);
  EXPECT_THAT(said, HasSubstr("install the package fuse3"));
}

TEST_F(OrdinaryUser, mounts_nothing_that_the_helper_could_not_unmount) {
  const auto path = make_directory("mnt", nobody);
  const auto without_mtab = make_directory("etc");
  ASSERT_EQ(::mount(without_mtab.c_str(), "/etc", nullptr, MS_BIND, nullptr), 0);
  const std::string said = attempt(path);
  ASSERT_EQ(::umount2("/etc", MNT_DETACH), 0);
  EXPECT_THAT(said, HasSubstr("no /etc/mtab"));
}

TEST_F(OrdinaryUser, mounts_without_a_helper_in_a_user_namespace) {
  const auto path = make_directory("mnt", nobody);
  const std::string said = in_child(
      [&]() -> std::string {
        if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return "no user namespace";
        ::setenv("PATH", directory().c_str(), 1);
        std::ofstream("/proc/self/setgroups") << "deny";
        std::ofstream("/proc/self/uid_map") << "0 " << nobody << " 1";
        std::ofstream("/proc/self/gid_map") << "0 " << nobody << " 1";
        auto mount = Mount::create(path, {.auto_unmount = true});
        if (!mount) return mount.error().message();
        if (!is_mounted(path)) return "not in the mount table";
        if (auto done = mount->unmount(); !done) return done.error().message();
        return is_mounted(path) ? "still mounted" : "";
      },
      nobody);
  if (said == "no user namespace")
    GTEST_SKIP()
        << "no permission to create a user namespace (or a sanitizer has a thread running, which rules it out)";
  EXPECT_EQ(said, "");
}

}  // namespace
}  // namespace fuselage::test

// auto_unmount: what is left when the server is gone.
#include <gmock/gmock.h>

#include <fuselage/mount.hpp>
#include <map>

#include "mount/watchers.hpp"
#include "support/mount_namespace.hpp"
#include "support/process.hpp"

namespace fuselage::test {
namespace {

namespace fs = std::filesystem;

class AutoUnmount : public MountTest {
 protected:
  void TearDown() override {
    if (PrivateMounts::obstacle().empty()) {
      EXPECT_TRUE(eventually([] { return watchers().empty(); })) << "a watcher is left running";
    }
    MountTest::TearDown();
  }

  // A server that holds `path` mounted until it ends.
  Process::Body serving(const fs::path& path, const MountOptions& options = {.auto_unmount = true}) {
    return [this, path, options]() -> std::string {
      auto mount = Mount::create(path, options);
      if (!mount) return mount.error().message();
      kept_.push_back(std::move(mount).value());
      return "";
    };
  }

 private:
  std::vector<Mount> kept_;
};

TEST_F(AutoUnmount, after_kill_as_root) {
  const auto path = make_directory("a mount, of mine");
  Process server(serving(path));
  ASSERT_EQ(server.text(), "");
  EXPECT_TRUE(is_mounted(path));
  EXPECT_EQ(watchers().size(), 1u);
  server.kill();
  EXPECT_TRUE(eventually([&] { return !is_mounted(path); }));
}

TEST_F(AutoUnmount, after_kill_as_an_ordinary_user_without_allow_other) {
  if (!has_helper()) GTEST_SKIP() << "fusermount3 or /etc/mtab is missing";
  let_users_open_fuse();
  const auto path = make_directory("mnt", nobody);
  Process server(serving(path), nobody);
  ASSERT_EQ(server.text(), "");
  EXPECT_TRUE(is_mounted(path));
  EXPECT_THAT(below().at(0).super_options, ::testing::Not(::testing::HasSubstr("allow_other")));
  server.kill();
  EXPECT_TRUE(eventually([&] { return !is_mounted(path); }));
}

TEST_F(AutoUnmount, without_it_a_killed_server_leaves_a_dead_mount) {
  const auto path = make_directory();
  Process server(serving(path, {}));
  ASSERT_EQ(server.text(), "");
  server.kill();
  EXPECT_TRUE(is_mounted(path));
  ASSERT_TRUE(mounting::unmount(path, true));
}

TEST_F(AutoUnmount, ends_with_a_clean_unmount_and_leaves_no_child) {
  const auto path = make_directory();
  {
    auto mount = Mount::create(path, {.auto_unmount = true});
    ASSERT_TRUE(mount);
    EXPECT_EQ(watchers().size(), 1u);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "the watcher is a child of ours";
    EXPECT_TRUE(mount->unmount());
    EXPECT_TRUE(eventually([] { return watchers().empty(); }));
  }
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

TEST_F(AutoUnmount, ends_with_a_failed_start) {
  EXPECT_FALSE(Mount::create(directory() / "nowhere", {.auto_unmount = true}));
  EXPECT_FALSE(Mount::create(make_directory(), {.auto_unmount = true, .context = "no such label"}));
}

TEST_F(AutoUnmount, release_ends_it_too) {
  const auto path = make_directory();
  Mount::create(path, {.auto_unmount = true}).value().release();
  EXPECT_TRUE(eventually([] { return watchers().empty(); }));
  EXPECT_TRUE(is_mounted(path));
  ASSERT_TRUE(mounting::unmount(path, true));
}

TEST_F(AutoUnmount, the_watcher_holds_nothing_and_ignores_the_terminal) {
  const auto path = make_directory();
  Process server(serving(path));
  ASSERT_EQ(server.text(), "");
  ASSERT_EQ(watchers().size(), 1u);
  const pid_t watcher = watchers().front();
  const fs::path process = "/proc/" + std::to_string(watcher);
  std::map<std::string, std::string> open;
  ASSERT_TRUE(eventually([&] { return std::distance(fs::directory_iterator(process / "fd"), {}) == 4; }));
  for (const auto& fd : fs::directory_iterator(process / "fd")) {
    open[fd.path().filename()] = fs::read_symlink(fd.path());
  }
  for (const char* fd : {"0", "1", "2"}) EXPECT_EQ(open[fd], "/dev/null");
  EXPECT_THAT(open["3"], ::testing::StartsWith("socket:"));
  EXPECT_EQ(fs::read_symlink(process / "cwd"), "/");
  EXPECT_EQ(::getsid(watcher), watcher);

  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::kill(watcher, signal);
  server.kill();
  EXPECT_TRUE(eventually([&] { return !is_mounted(path); }));
}

TEST_F(AutoUnmount, a_successors_mount_is_left_alone) {
  const auto path = make_directory();
  Process server(serving(path));
  ASSERT_EQ(server.text(), "");
  // Unmounted from outside; the next one takes its place, and on an idle system also its id and device number.
  ASSERT_TRUE(mounting::unmount(path, false));
  auto successor = Mount::create(path, {.fsname = "successor"});
  ASSERT_TRUE(successor);
  server.kill();
  EXPECT_TRUE(eventually([] { return watchers().empty(); }));
  ASSERT_TRUE(is_mounted(path));
  EXPECT_EQ(below().at(0).source, "successor");
}

TEST_F(AutoUnmount, an_aborted_mount_goes_with_its_owner) {
  const fs::path control = "/sys/fs/fuse/connections";
  const auto path = make_directory();
  {
    auto mount = Mount::create(path, {.auto_unmount = true});
    ASSERT_TRUE(mount);
    const auto abort = control / below().at(0).connection() / "abort";
    if (!fs::exists(abort) && ::mount("none", control.c_str(), "fusectl", 0, nullptr) != 0) {
      GTEST_SKIP() << "the fusectl file system is not available";
    }
    std::ofstream(abort).put('1');
    ASSERT_FALSE(mount->mounted());
  }
  EXPECT_TRUE(eventually([&] { return !is_mounted(path); }));
}

TEST_F(AutoUnmount, a_busy_mount_goes_as_well) {
  const auto path = make_directory();
  Process server(serving(path));
  ASSERT_EQ(server.text(), "");
  const int user = ::open(path.c_str(), O_PATH | O_CLOEXEC);
  ASSERT_GE(user, 0);
  server.kill();
  EXPECT_TRUE(eventually([&] { return !is_mounted(path); }));
  ::close(user);
}

}  // namespace
}  // namespace fuselage::test

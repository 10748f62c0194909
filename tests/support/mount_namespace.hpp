// Tests on real mounts: a private mount namespace for the whole program, a fresh directory for each test, and the proof
// that nothing was left mounted. Including this header is enough to move the program into the namespace.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "mount/table.hpp"

namespace fuselage::test {

/// Moves the program into its own mount namespace before the first test. Elsewhere a stranger's new namespace would pin
/// our mounts, and a server would never see the unmount.
class PrivateMounts : public ::testing::Environment {
 public:
  /// Why tests on real mounts cannot run here; empty when they can.
  static std::string& obstacle() {
    static std::string text = "the mount namespace was not set up";
    return text;
  }

  void SetUp() override { obstacle() = enter(); }

  void TearDown() override {
    if (!obstacle().empty()) return;
    const auto mounts = mounting::fuse_mounts().value();
    for (const auto& entry : mounts) {
      if (inherited_.contains(entry.mountpoint)) continue;
      ADD_FAILURE() << "left mounted: " << entry.mountpoint;
      ::umount2(entry.mountpoint.c_str(), MNT_DETACH);
    }
  }

 private:
  std::string enter() {
    if (::geteuid() != 0) return "mounting needs root";
    const int device = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (device < 0) return "there is no usable /dev/fuse";
    ::close(device);
    if (::unshare(CLONE_NEWNS) != 0) return "no permission to create a mount namespace";
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return "cannot make the mounts private";
    const auto mounts = mounting::fuse_mounts().value();
    for (const auto& entry : mounts) inherited_.insert(entry.mountpoint);
    return {};
  }

  std::set<std::filesystem::path> inherited_;
};

inline ::testing::Environment* const private_mounts = ::testing::AddGlobalTestEnvironment(new PrivateMounts);

/// A test with a directory of its own, which every user may pass through. Skips where mounting is impossible. What a
/// test leaves mounted below the directory fails it, and is unmounted.
class MountTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!PrivateMounts::obstacle().empty()) GTEST_SKIP() << PrivateMounts::obstacle();
    std::string name = (std::filesystem::temp_directory_path() / "fuselage-test-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = std::filesystem::canonical(name);
    ::chmod(name.c_str(), 0755);
  }

  void TearDown() override {
    if (directory_.empty()) return;
    for (const auto& entry : below()) {
      ADD_FAILURE() << "left mounted: " << entry.mountpoint << " (" << entry.type << ")";
      ::umount2(entry.mountpoint.c_str(), MNT_DETACH);
    }
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  const std::filesystem::path& directory() const { return directory_; }

  /// A new empty directory in ours, owned by `owner`.
  std::filesystem::path make_directory(const std::string& name = "mnt", uid_t owner = 0) {
    const auto path = directory_ / name;
    EXPECT_TRUE(std::filesystem::create_directory(path)) << path;
    EXPECT_EQ(::chown(path.c_str(), owner, owner), 0);
    return path;
  }

  /// FUSE mounts below our directory, newest first. Asks no file system anything.
  std::vector<mounting::MountEntry> below() const {
    auto entries = mounting::fuse_mounts().value();
    std::erase_if(entries, [this](const auto& entry) {
      return !entry.mountpoint.native().starts_with(directory_.native() + "/");
    });
    return {entries.rbegin(), entries.rend()};
  }
  bool is_mounted(const std::filesystem::path& path) const {
    for (const auto& entry : below()) {
      if (entry.mountpoint == path) return true;
    }
    return false;
  }

  /// Gives ordinary users a /dev/fuse they may open, in this namespace only; many systems have it so anyway.
  void let_users_open_fuse() {
    static bool done = false;
    struct stat status {};
    ASSERT_EQ(::stat("/dev/fuse", &status), 0);
    if (done || (status.st_mode & 0006) == 0006) return;
    // A tmpfs, because /tmp may be mounted with nodev.
    const auto place = make_directory("dev");
    ASSERT_EQ(::mount("none", place.c_str(), "tmpfs", 0, nullptr), 0);
    const auto node = place / "fuse";
    ASSERT_EQ(::mknod(node.c_str(), S_IFCHR | 0666, makedev(10, 229)), 0);
    ASSERT_EQ(::chmod(node.c_str(), 0666), 0);
    ASSERT_EQ(::mount(node.c_str(), "/dev/fuse", nullptr, MS_BIND, nullptr), 0);
    ASSERT_EQ(::umount2(place.c_str(), MNT_DETACH), 0);
    done = true;
  }

  /// Whether the setuid helper is there, and the file without which it does not unmount; else tests of ordinary users
  /// skip.
  static bool has_helper() {
    if (::access("/etc/mtab", F_OK) != 0) return false;
    for (const char* path : {"/usr/bin/fusermount3", "/bin/fusermount3", "/usr/local/bin/fusermount3"}) {
      if (::access(path, X_OK) == 0) return true;
    }
    return false;
  }

 private:
  std::filesystem::path directory_;
};

}  // namespace fuselage::test

// Mounts that nobody serves: they are looked at through the mount table only, because a stat would wait for ever.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>
#include <fuselage/mount.hpp>
#include <map>

#include "base/unique_fd.hpp"
#include "support/mount_namespace.hpp"

namespace fuselage::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Mounting : public MountTest {
 protected:
  // What a failed start says; it must leave nothing behind.
  Error failure(const fs::path& path, const MountOptions& options = {}) {
    const std::size_t before = below().size();
    auto mount = Mount::create(path, options);
    if (mount) return Error{EIO, "it was mounted"};
    EXPECT_EQ(below().size(), before);
    return mount.error();
  }

  // A dead mount: its device is closed.
  void leave_dead_mount(const fs::path& path) {
    auto mount = Mount::create(path);
    ASSERT_TRUE(mount) << mount.error().message();
    mount->release();
  }
};

TEST_F(Mounting, ends_with_its_owner) {
  const auto path = make_directory();
  {
    auto mount = Mount::create(path);
    ASSERT_TRUE(mount) << mount.error().message();
    EXPECT_TRUE(mount->mounted());
    EXPECT_EQ(mount->mountpoint(), path);
    EXPECT_EQ(::fcntl(mount->device(), F_GETFD), FD_CLOEXEC);
    EXPECT_TRUE(is_mounted(path));
  }
  EXPECT_FALSE(is_mounted(path));
}

TEST_F(Mounting, unmounts_once) {
  const auto path = make_directory();
  auto mount = Mount::create(path);
  ASSERT_TRUE(mount);
  EXPECT_TRUE(mount->unmount());
  EXPECT_FALSE(is_mounted(path));
  EXPECT_FALSE(mount->mounted());
  EXPECT_TRUE(mount->unmount());
}

TEST_F(Mounting, options_show_in_the_mount_table) {
  const auto path = make_directory();
  MountOptions options;
  OptionSet table;
  add_mount_options(table, options);
  ASSERT_TRUE(table.parse(
      R"(fsname=a\,b c,subtype=memory,ro,noexec,dev,suid,sync,nosymfollow,allow_other,default_permissions,max_read=64K)"));
  auto mount = Mount::create(path, options);
  ASSERT_TRUE(mount) << mount.error().message();
  const auto entry = below().at(0);
  EXPECT_EQ(entry.type, "fuse.memory");
  EXPECT_EQ(entry.source, "a,b c");
  EXPECT_EQ(entry.connection(), entry.device.substr(entry.device.find(':') + 1));
  for (const char* word : {"ro", "noexec", "nosymfollow"}) EXPECT_THAT(entry.options, HasSubstr(word));
  for (const char* word : {"nosuid", "nodev"}) EXPECT_THAT(entry.options, ::testing::Not(HasSubstr(word)));
  for (const char* word : {"sync", "user_id=0", "group_id=0", "default_permissions", "allow_other", "max_read=65536"}) {
    EXPECT_THAT(entry.super_options, HasSubstr(word));
  }
}

TEST_F(Mounting, allow_root_is_allow_other_to_the_kernel) {
  auto mount = Mount::create(make_directory(), {.allow_root = true});
  ASSERT_TRUE(mount);
  EXPECT_THAT(below().at(0).super_options, HasSubstr("allow_other"));
}

TEST_F(Mounting, any_name_will_do_for_the_mount_point) {
  for (const char* name : {"a b", "a,b", "a\\b", "a\nb", "a\tb", "#a", "\\040", "\xff\xfe", "-o", "fd=3,x"}) {
    const auto path = make_directory(name);
    auto mount = Mount::create(path);
    ASSERT_TRUE(mount) << name << ": " << mount.error().message();
    EXPECT_TRUE(is_mounted(path)) << name;
    EXPECT_TRUE(mount->unmount()) << name;
    EXPECT_FALSE(is_mounted(path)) << name;
  }
}

TEST_F(Mounting, relative_paths_and_symbolic_links_are_resolved) {
  const auto path = make_directory();
  fs::create_directory_symlink(path, directory() / "link");
  const auto previous = fs::current_path();
  fs::current_path(directory());
  for (const char* name : {"mnt", "./mnt/", "link", "link/", "mnt/../link"}) {
    auto mount = Mount::create(name);
    ASSERT_TRUE(mount) << name << ": " << mount.error().message();
    EXPECT_EQ(mount->mountpoint(), path);
    EXPECT_TRUE(is_mounted(path));
    fs::current_path("/");
    EXPECT_TRUE(mount->unmount()) << name;
    fs::current_path(directory());
  }
  fs::current_path(previous);
}

TEST_F(Mounting, over_a_regular_file_when_the_root_is_one) {
  const auto path = directory() / "file";
  std::ofstream(path).put('x');
  EXPECT_EQ(failure(path).code(), ENOTDIR);
  EXPECT_THAT(failure(path).message(), HasSubstr("is not a directory"));
  auto mount = Mount::create(path, {.file_root = true});
  ASSERT_TRUE(mount) << mount.error().message();
  EXPECT_TRUE(is_mounted(path));
  EXPECT_EQ(failure(make_directory(), {.file_root = true}).code(), EISDIR);
}

TEST_F(Mounting, an_unusable_mount_point_is_explained) {
  EXPECT_EQ(failure(directory() / "nowhere").code(), ENOENT);
  EXPECT_THAT(failure(directory() / "nowhere").message(), HasSubstr("does not exist; create it first"));
  std::ofstream(directory() / "file").put('x');
  EXPECT_EQ(failure(directory() / "file" / "below").code(), ENOTDIR);
  EXPECT_EQ(failure("").code(), ENOENT);
  EXPECT_EQ(failure(directory() / std::string(300, 'x')).code(), ENAMETOOLONG);
}

TEST_F(Mounting, options_the_kernel_refuses_leave_nothing_behind) {
  const auto path = make_directory();
  EXPECT_EQ(failure(path, {.blkdev = true}).code(), EINVAL);
  EXPECT_NE(failure(path, {.fsname = "/dev/null", .blkdev = true}).code(), EIO);
  EXPECT_EQ(failure(path, {.auto_unmount = true, .context = "no such label"}).code(), EINVAL);
}

TEST_F(Mounting, without_the_device_it_says_how_to_get_one) {
  const auto path = make_directory();
  ASSERT_EQ(::mount("none", "/dev", "tmpfs", 0, nullptr), 0);
  const Error error = failure(path);
  ASSERT_EQ(::umount2("/dev", MNT_DETACH), 0);
  EXPECT_EQ(error.code(), ENODEV);
  EXPECT_THAT(error.message(), HasSubstr("modprobe fuse"));
}

TEST_F(Mounting, straight_over_dead_mounts) {
  const auto path = make_directory();
  leave_dead_mount(path);
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), -1);
  EXPECT_EQ(errno, ENOTCONN);
  for (const char* name : {"mnt", "mnt/"}) {
    auto mount = Mount::create(directory() / name);
    ASSERT_TRUE(mount) << mount.error().message();
    EXPECT_EQ(below().size(), 1u);
    mount->release();
  }
  ASSERT_TRUE(mounting::unmount(path, false));
}

TEST_F(Mounting, below_a_dead_mount_is_explained) {
  const auto path = make_directory();
  leave_dead_mount(path);
  EXPECT_EQ(failure(path / "below").code(), ENOTCONN);
  EXPECT_THAT(failure(path / "below").message(), HasSubstr("server is gone"));
  ASSERT_TRUE(mounting::unmount(path, false));
}

TEST_F(Mounting, what_was_unmounted_from_outside_is_left_alone) {
  const auto path = make_directory();
  auto first = std::make_unique<Mount>(Mount::create(path).value());
  ASSERT_TRUE(mounting::unmount(path, false));
  EXPECT_FALSE(first->mounted());
  // Takes the place, and on an idle system also the id and the device number.
  auto second = Mount::create(path, {.fsname = "second"});
  ASSERT_TRUE(second);
  EXPECT_TRUE(first->unmount());
  first.reset();
  ASSERT_TRUE(is_mounted(path));
  EXPECT_EQ(below().at(0).source, "second");
}

TEST_F(Mounting, what_was_aborted_from_outside_is_unmounted_in_the_end) {
  const fs::path control = "/sys/fs/fuse/connections";
  const auto path = make_directory();
  auto mount = std::make_unique<Mount>(Mount::create(path).value());
  const auto abort = control / below().at(0).connection() / "abort";
  if (!fs::exists(abort) && ::mount("none", control.c_str(), "fusectl", 0, nullptr) != 0) {
    GTEST_SKIP() << "the fusectl file system is not available";
  }
  std::ofstream(abort).put('1');
  EXPECT_FALSE(mount->mounted());
  EXPECT_TRUE(is_mounted(path));
  mount.reset();
  EXPECT_FALSE(is_mounted(path));
}

TEST_F(Mounting, a_strangers_mount_on_top_is_not_touched) {
  const auto path = make_directory();
  auto mount = Mount::create(path);
  ASSERT_TRUE(mount);
  // mount(2) resolves the path to the root of our mount, without asking who serves it.
  ASSERT_EQ(::mount("none", path.c_str(), "tmpfs", 0, nullptr), 0);
  const auto refused = mount->unmount();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), EBUSY);
  EXPECT_THAT(refused.error().message(), HasSubstr("mounted over"));
  EXPECT_TRUE(mount->mounted());
  ASSERT_EQ(::umount2(path.c_str(), 0), 0);
  EXPECT_TRUE(mount->unmount());
}

TEST_F(Mounting, a_busy_mount_leaves_the_name_space_at_once) {
  const auto path = make_directory();
  auto mount = Mount::create(path);
  ASSERT_TRUE(mount);
  const base::UniqueFd user(::open(path.c_str(), O_PATH | O_CLOEXEC));
  ASSERT_TRUE(user);
  const auto busy = mounting::unmount(path, false);
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().code(), EBUSY);
  EXPECT_THAT(busy.error().message(), HasSubstr("busy"));
  EXPECT_TRUE(mount->unmount());
  EXPECT_FALSE(is_mounted(path));
}

TEST_F(Mounting, is_found_when_a_directory_above_was_renamed) {
  const auto path = make_directory();
  fs::create_directory(path / "inner");
  auto mount = Mount::create(path / "inner");
  ASSERT_TRUE(mount);
  fs::rename(path, directory() / "renamed");
  ASSERT_TRUE(is_mounted(directory() / "renamed/inner"));
  EXPECT_TRUE(mount->unmount());
  EXPECT_TRUE(below().empty());
}

TEST_F(Mounting, release_leaves_it_mounted) {
  const auto path = make_directory();
  {
    auto mount = Mount::create(path);
    ASSERT_TRUE(mount);
    mount->release();
    EXPECT_FALSE(mount->mounted());
    EXPECT_TRUE(mount->unmount());
  }
  EXPECT_TRUE(is_mounted(path));
  ASSERT_TRUE(mounting::unmount(path, false));
}

TEST_F(Mounting, moves_with_its_mount) {
  const auto one = make_directory("one");
  const auto two = make_directory("two");
  Mount first = Mount::create(one).value();
  Mount second = Mount::create(two).value();
  first = std::move(second);
  EXPECT_FALSE(is_mounted(one));
  EXPECT_TRUE(is_mounted(two));
  EXPECT_EQ(first.mountpoint(), two);
}

TEST_F(Mounting, adopts_a_device_that_somebody_else_mounted) {
  const auto path = make_directory();
  Mount owner = Mount::create(path).value();
  const int fd = ::dup(owner.device());
  {
    auto adopted = Mount::create("/dev/fd/" + std::to_string(fd));
    ASSERT_TRUE(adopted) << adopted.error().message();
    EXPECT_EQ(adopted->device(), fd);
    EXPECT_EQ(adopted->mountpoint(), "/dev/fd/" + std::to_string(fd));
    EXPECT_EQ(::fcntl(fd, F_GETFD), FD_CLOEXEC);
    EXPECT_FALSE(adopted->mounted());
    EXPECT_TRUE(adopted->unmount());
  }
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
  EXPECT_TRUE(owner.mounted());

  EXPECT_EQ(failure("/dev/fd/" + std::to_string(fd)).code(), EBADF);
  EXPECT_EQ(failure("/dev/fd/0").code(), EINVAL);
}

TEST_F(Mounting, unmounting_what_is_not_mounted_is_an_error) {
  const auto path = make_directory();
  EXPECT_EQ(mounting::unmount(path, true).error().code(), EINVAL);
  EXPECT_THAT(mounting::unmount(path, true).error().message(), HasSubstr("is not a mount point"));
  EXPECT_EQ(mounting::unmount(path / "nowhere", true).error().code(), ENOENT);
}

TEST_F(Mounting, several_at_once_do_not_mix) {
  std::map<std::string, Mount> mounts;
  for (const char* name : {"a", "b", "c", "d"}) {
    mounts.emplace(name, Mount::create(make_directory(name), {.fsname = name}).value());
  }
  EXPECT_EQ(below().size(), 4u);
  mounts.erase("b");
  EXPECT_FALSE(is_mounted(directory() / "b"));
  for (const auto& entry : below()) EXPECT_EQ(entry.mountpoint.filename(), entry.source);
}

}  // namespace
}  // namespace fuselage::test

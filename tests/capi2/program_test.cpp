// What is promised of a program as a whole: init and destroy, who asks, what is missing, and what goes wrong.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/unique_fd.hpp"
#include "capi2/c_program.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;
using ::testing::HasSubstr;

unsigned minor_of(const std::filesystem::path& mountpoint) { return minor(status_of(mountpoint).st_dev); }

TEST_F(MirrorTest, PassesEveryErrno) {
  start();
  struct stat status {};
  for (int code = 1; code <= 133; ++code) {
    EXPECT_EQ(failure_of(::stat(path("errno-" + std::to_string(code)).c_str(), &status)), code);
  }
}

TEST_F(MirrorTest, TellsThatAnErrnoIsPositive) {
  write_file(root("positive-unlink"), "");
  start();
  struct stat status {};
  EXPECT_EQ(failure_of(::stat(path("positive").c_str(), &status)), ERANGE);
  EXPECT_EQ(failure_of(::unlink(path("positive-unlink").c_str())), ERANGE);
  for (const char* said : {"getattr returned 13: neither 0 nor a negative errno", "unlink returned 13"}) {
    EXPECT_TRUE(eventually([&] { return mirror().output().find(said) != std::string::npos; })) << mirror().output();
  }
  EXPECT_EQ(::stat(mountpoint().c_str(), &status), 0);
}

TEST_F(MirrorTest, DoesWithGetattrAlone) {
  write_file(root("file"), "text");
  std::filesystem::create_directory(root("dir"));
  ASSERT_EQ(::symlink("file", root("link").c_str()), 0);
  start("only_getattr");
  EXPECT_EQ(status_of(path("file")).st_size, 4);
  // Opening needs no operation, nor does closing.
  const UniqueFd file(::open(path("file").c_str(), O_RDWR));
  const UniqueFd directory(::open(mountpoint().c_str(), O_RDONLY | O_DIRECTORY));
  ASSERT_GE(file.get(), 0);
  ASSERT_GE(directory.get(), 0);
  const int fd = file.get();
  const std::string one = path("file");
  const std::string other = path("new");
  char buffer[1000];
  EXPECT_EQ(failure_of(::read(fd, buffer, 1)), ENOSYS);
  EXPECT_EQ(failure_of(::write(fd, "x", 1)), ENOSYS);
  EXPECT_EQ(failure_of(::syscall(SYS_getdents64, directory.get(), buffer, sizeof buffer)), ENOSYS);
  EXPECT_EQ(failure_of(::readlink(path("link").c_str(), buffer, sizeof buffer)), ENOSYS);
  EXPECT_EQ(failure_of(::open(other.c_str(), O_CREAT | O_RDWR, 0600)), ENOSYS);
  EXPECT_EQ(failure_of(::mknod(other.c_str(), S_IFREG | 0600, 0)), ENOSYS);
  EXPECT_EQ(failure_of(::mkfifo(other.c_str(), 0600)), ENOSYS);
  EXPECT_EQ(failure_of(::mkdir(other.c_str(), 0700)), ENOSYS);
  EXPECT_EQ(failure_of(::symlink("file", other.c_str())), ENOSYS);
  const int linking = failure_of(::link(one.c_str(), other.c_str()));
  EXPECT_TRUE(linking == ENOSYS || linking == EPERM) << linking;  // EPERM since 6.12: fuse_link
  EXPECT_EQ(failure_of(::rename(one.c_str(), other.c_str())), ENOSYS);
  EXPECT_EQ(failure_of(::unlink(one.c_str())), ENOSYS);
  EXPECT_EQ(failure_of(::rmdir(path("dir").c_str())), ENOSYS);
  EXPECT_EQ(failure_of(::chmod(one.c_str(), 0600)), ENOSYS);
  EXPECT_EQ(failure_of(::chown(one.c_str(), 1, 1)), ENOSYS);
  EXPECT_EQ(failure_of(::truncate(one.c_str(), 1)), ENOSYS);
  EXPECT_EQ(failure_of(::utimensat(AT_FDCWD, one.c_str(), nullptr, 0)), ENOSYS);
  EXPECT_EQ(failure_of(::setxattr(one.c_str(), "user.x", "", 0, 0)), EOPNOTSUPP);
  EXPECT_EQ(failure_of(::getxattr(one.c_str(), "user.x", nullptr, 0)), EOPNOTSUPP);
  EXPECT_EQ(failure_of(::listxattr(one.c_str(), nullptr, 0)), EOPNOTSUPP);
  EXPECT_EQ(failure_of(::removexattr(one.c_str(), "user.x")), EOPNOTSUPP);
  EXPECT_EQ(failure_of(::fallocate(fd, 0, 0, 100)), EOPNOTSUPP);
  EXPECT_EQ(failure_of(::ioctl(fd, _IO('E', 2), nullptr)), ENOTTY);
  // What the kernel takes for a success.
  EXPECT_EQ(failure_of(::access(one.c_str(), W_OK)), 0);
  EXPECT_EQ(failure_of(::fsync(fd)), 0);
  EXPECT_EQ(failure_of(::fsync(directory.get())), 0);
  EXPECT_EQ(failure_of(::close(::dup(fd))), 0);
  ::pollfd wait{fd, POLLIN | POLLOUT, 0};
  EXPECT_EQ(::poll(&wait, 1, 60000), 1);
  struct statvfs space {};
  EXPECT_EQ(::statvfs(mountpoint().c_str(), &space), 0);
  EXPECT_EQ(space.f_namemax, 255u);
}

TEST_F(MirrorTest, ServesTablesOfOlderPrograms) {
  write_file(root("file"), "text");
  start("short_table");
  EXPECT_EQ(text_of_file(path("file")), "text");
}

TEST_F(MirrorTest, ShowsWhoAsks) {
  start("who", {"-oallow_other"});
  const std::string pid = in_child(
      [this] {
        ::umask(027);
        const std::string name = path("dir/file");
        EXPECT_EQ(::mkdir(path("dir").c_str(), 0777), 0);
        const UniqueFd file(::open(name.c_str(), O_CREAT | O_RDWR, 0666));
        EXPECT_EQ(::write(file.get(), "x", 1), 1);
        EXPECT_EQ(::fsync(file.get()), 0);
        EXPECT_EQ(::chmod(name.c_str(), 0600), 0);
        EXPECT_EQ(::access(name.c_str(), R_OK), 0);
        EXPECT_EQ(::mkfifo(path("dir/fifo").c_str(), 0600), 0);
        EXPECT_EQ(::unlink(path("dir/fifo").c_str()), 0);
        return std::to_string(::getpid());
      },
      nobody);
  for (const char* operation :
       {"getattr", "mkdir", "create", "write", "fsync", "chmod", "access", "mknod", "unlink", "flush"}) {
    const auto about = lines(operation);
    ASSERT_FALSE(about.empty()) << operation;
    EXPECT_THAT(about.back(), HasSubstr(fmt::format(" uid={} gid={} pid={} ", nobody, nobody, pid)));
  }
  // The kernel tells it where a mode is given.
  for (const char* operation : {"mkdir", "create", "mknod"}) EXPECT_EQ(field(last(operation), "umask="), "27");
}

TEST_F(MirrorTest, LeavesPermissionsToTheKernelWhenAsked) {
  write_file(root("file"), "text");
  start("", {"-odefault_permissions"});
  EXPECT_EQ(::access(path("file").c_str(), R_OK), 0);
  EXPECT_EQ(logged("access"), 0);
}

TEST_F(MirrorTest, BeginsAndEndsOnce) {
  start();
  EXPECT_EQ(logged("init"), 1);
  EXPECT_TRUE(log().starts_with("init")) << log();
  finish();
  EXPECT_EQ(logged("destroy 0x1234"), 1);
}

TEST_F(MirrorTest, DoesWhatInitHasEdited) {
  write_file(root("file"), std::string(1 << 20, 'x'));
  start("edits locks");
  const std::string minor = std::to_string(minor_of(mountpoint()));
  EXPECT_EQ(text_of_file("/sys/class/bdi/0:" + minor + "/read_ahead_kb"), "32\n");
  EXPECT_EQ(text_of_file(path("file")).size(), std::size_t{1 << 20});
  for (const std::string& line : lines("read /file")) EXPECT_LE(std::stoi(field(line, "/file ")), 32768) << line;

  const UniqueFd file(::open(path("file").c_str(), O_RDWR | O_TRUNC));
  EXPECT_EQ(logged("open /file 8202"), 1) << log();  // with O_TRUNC
  EXPECT_EQ(logged("truncate") + logged("ftruncate"), 0);
  const std::string text(65536, 'x');
  EXPECT_EQ(::write(file.get(), text.data(), text.size()), 65536);
  EXPECT_EQ(logged("write /file 16384"), 4) << log();

  struct flock lock {};
  lock.l_type = F_WRLCK;
  EXPECT_EQ(::fcntl(file.get(), F_SETLK, &lock), 0);
  EXPECT_EQ(logged(fmt::format("lock /file {} type={}", F_SETLK, F_WRLCK)), 0) << log();  // left to the kernel

  in_child([this] {
    ::umask(027);
    EXPECT_EQ(::mkdir(path("dir").c_str(), 0777), 0);
    return std::string();
  });
  EXPECT_EQ(logged("mkdir /dir isdir=0 mode=777"), 1);  // left to the program

  const auto control = make_directory("control");
  if (::mount("none", control.c_str(), "fusectl", 0, nullptr) != 0) GTEST_SKIP() << "there is no fusectl";
  EXPECT_EQ(text_of_file(control / minor / "max_background"), "7\n");
  EXPECT_EQ(text_of_file(control / minor / "congestion_threshold"), "5\n");
  EXPECT_EQ(::umount(control.c_str()), 0);
}

TEST_F(MirrorTest, EndsCleanlyAtSignals) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    start();
    mirror().signal(number);
    EXPECT_EQ(mirror().wait(std::chrono::seconds(60)), 0) << mirror().output();
    EXPECT_FALSE(is_mounted(mountpoint()));
    finish();
  }
  EXPECT_EQ(logged("destroy 0x1234"), 3);
}

TEST_F(MirrorTest, EndsCleanlyWhenTheHelperUnmounts) {
  if (!has_helper()) GTEST_SKIP() << "fusermount3 or /etc/mtab is missing";
  start();
  EXPECT_EQ(Program(std::vector<std::string>{"fusermount3", "-u", mountpoint()}).wait(), 0);
  EXPECT_EQ(mirror().wait(std::chrono::seconds(60)), 0) << mirror().output();
  EXPECT_EQ(logged("destroy 0x1234"), 1);
}

TEST_F(MirrorTest, CallsDestroyWhenTheConnectionIsCut) {
  start();
  const auto control = make_directory("control");
  if (::mount("none", control.c_str(), "fusectl", 0, nullptr) != 0) GTEST_SKIP() << "there is no fusectl";
  write_file(control / std::to_string(minor_of(mountpoint())) / "abort", "1");
  EXPECT_EQ(::umount(control.c_str()), 0);
  EXPECT_GE(mirror().wait(std::chrono::seconds(60)), 0) << mirror().output();
  EXPECT_EQ(logged("destroy 0x1234"), 1);
  ::umount2(mountpoint().c_str(), MNT_DETACH);
}

TEST_F(MirrorTest, GoesOnOneThreadWhenAsked) {
  write_file(root("file"), "text");
  start("", {"-s"});
  EXPECT_EQ(text_of_file(path("file")), "text");
  mirror().signal(SIGTERM);
  EXPECT_EQ(mirror().wait(std::chrono::seconds(60)), 0);
}

TEST_F(MirrorTest, ShowsItsRequestsWithD) {
  start("", {"-d"});
  status_of(path(""));
  EXPECT_TRUE(eventually([this] { return mirror().output().find("GETATTR") != std::string::npos; }));
}

}  // namespace
}  // namespace fuselage::test

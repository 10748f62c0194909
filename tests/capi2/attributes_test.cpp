// What is promised of attributes, of nodes and of the file system as a whole.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/unique_fd.hpp"
#include "capi2/c_program.hpp"

namespace fuselage::test {
namespace {

TEST_F(MirrorTest, ShowsEveryFieldThatAProgramSets) {
  start("", {"-ouse_ino"});
  const struct {
    const char* name;
    mode_t mode;
    dev_t rdev;  // the kernel shows none of what is no device
  } rows[] = {{"every-field", S_IFREG | 06751, 0}, {"every-field-of-a-device", S_IFBLK | 01751, makedev(300, 70003)}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const struct stat status = status_of(path(row.name));
    EXPECT_EQ(status.st_dev, status_of(mountpoint()).st_dev);
    EXPECT_EQ(status.st_ino, 4242u);
    EXPECT_EQ(status.st_mode, row.mode);
    EXPECT_EQ(status.st_nlink, 7u);
    EXPECT_EQ(status.st_uid, 70001u);
    EXPECT_EQ(status.st_gid, 70002u);
    EXPECT_EQ(status.st_rdev, row.rdev);
    EXPECT_EQ(status.st_size, 5000000001);
    EXPECT_EQ(status.st_blksize, 8192);  // what the program says, cut to a power of two
    EXPECT_EQ(status.st_blocks, 77777);
    EXPECT_EQ(status.st_atim.tv_sec, -5);
    EXPECT_EQ(status.st_atim.tv_nsec, 123456781);
    EXPECT_EQ(status.st_mtim.tv_sec, 1000000001);
    EXPECT_EQ(status.st_mtim.tv_nsec, 2);
    EXPECT_EQ(status.st_ctim.tv_sec, 5000000002);
    EXPECT_EQ(status.st_ctim.tv_nsec, 999999993);
  }
}

TEST_F(MirrorTest, ShowsEveryFieldOfTheFileSystem) {
  start("own_statfs");
  struct statvfs status {};
  ASSERT_EQ(::statvfs(mountpoint().c_str(), &status), 0);
  EXPECT_EQ(status.f_bsize, 8192u);
  EXPECT_EQ(status.f_frsize, 512u);
  EXPECT_EQ(status.f_blocks, 5000000001u);
  EXPECT_EQ(status.f_bfree, 4000000002u);
  EXPECT_EQ(status.f_bavail, 3000000003u);
  EXPECT_EQ(status.f_files, 6000000004u);
  EXPECT_EQ(status.f_ffree, 2000000005u);
  EXPECT_EQ(status.f_namemax, 199u);
  // The others are the kernel's.
  EXPECT_EQ(status.f_favail, status.f_ffree);
  EXPECT_NE(status.f_fsid, 7u);
  EXPECT_EQ(status.f_flag & ST_SYNCHRONOUS, 0u);
}

TEST_F(MirrorTest, ChangesAttributes) {
  write_file(root("file"), "text");
  start();
  EXPECT_EQ(::chmod(path("file").c_str(), 04755), 0);
  EXPECT_EQ(logged("chmod /file 4755"), 1);
  EXPECT_EQ(::chown(path("file").c_str(), 12, static_cast<gid_t>(-1)), 0);
  EXPECT_EQ(logged("chown /file 12 -1"), 1);
  const ::timespec times[2] = {{1000, 123456789}, {2000, 987654321}};
  EXPECT_EQ(::utimensat(AT_FDCWD, path("file").c_str(), times, 0), 0);
  EXPECT_EQ(logged("utimens /file 123456789 987654321"), 1);
  EXPECT_EQ(logged("utime"), 0);
  EXPECT_EQ(status_of(path("file")).st_mtim.tv_nsec, 987654321);
}

TEST_F(MirrorTest, SetsTimesInSecondsWithoutUtimens) {
  write_file(root("file"), "text");
  start("no_utimens");
  const ::timespec times[2] = {{1000, 5}, {2000, 6}};
  EXPECT_EQ(::utimensat(AT_FDCWD, path("file").c_str(), times, 0), 0);
  EXPECT_EQ(logged("utime /file 1000 2000"), 1);
}

TEST_F(MirrorTest, TellsOmittedTimesOnlyToWhoKnowsThem) {
  write_file(root("file"), "text");
  start("omit_ok");
  const ::timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
  EXPECT_EQ(::utimensat(AT_FDCWD, path("file").c_str(), times, 0), 0);
  EXPECT_EQ(logged(fmt::format("utimens /file {} {}", UTIME_NOW, UTIME_OMIT)), 1) << log();
}

TEST_F(MirrorTest, DropsHalfOfATimeForOthers) {
  write_file(root("file"), "text");
  start();
  const ::timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
  EXPECT_EQ(::utimensat(AT_FDCWD, path("file").c_str(), times, 0), 0);
  EXPECT_EQ(logged("utimens"), 0);
}

TEST_F(MirrorTest, SetsThePresentAsATimeUnlessTheProgramKnowsItsName) {
  write_file(root("file"), "text");
  start();
  const ::timespec long_ago[2] = {{1000, 0}, {2000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, root("file").c_str(), long_ago, 0), 0);
  EXPECT_EQ(::utimensat(AT_FDCWD, path("file").c_str(), nullptr, 0), 0);
  EXPECT_EQ(logged("utimens /file"), 1);
  EXPECT_EQ(logged(fmt::format("utimens /file {}", UTIME_NOW)), 0);
  EXPECT_LT(std::abs(status_of(root("file")).st_atim.tv_sec - ::time(nullptr)), 3600);
  EXPECT_LT(std::abs(status_of(root("file")).st_mtim.tv_sec - ::time(nullptr)), 3600);
}

TEST_F(MirrorTest, NumbersInodesItselfUnlessTold) {
  write_file(root("file"), "text");
  const auto real = status_of(root("file")).st_ino;
  start();
  EXPECT_NE(status_of(path("file")).st_ino, real);
  EXPECT_EQ(status_of(path("file")).st_dev, status_of(mountpoint()).st_dev);
  finish();
  start("", {"-ouse_ino"});
  EXPECT_EQ(status_of(path("file")).st_ino, real);
}

TEST_F(MirrorTest, KeepsExtendedAttributes) {
  write_file(root("file"), "text");
  if (::setxattr(root("file").c_str(), "user.probe", "", 0, 0) != 0) GTEST_SKIP() << "no user attributes here";
  start();
  const std::string file = path("file");
  const std::string value("v\0l\xff\n", 5);
  const struct {
    const char* name;
    int flags;
    int failure;
  } rows[] = {{"user.one", XATTR_REPLACE, ENODATA},
              {"user.one", XATTR_CREATE, 0},
              {"user.one", XATTR_CREATE, EEXIST},
              {"user.one", XATTR_REPLACE, 0},
              {"user.one", 0, 0},
              {"user.two", 0, 0}};
  for (const auto& row : rows) {
    EXPECT_EQ(failure_of(::setxattr(file.c_str(), row.name, value.data(), value.size(), row.flags)), row.failure);
    EXPECT_EQ(last("setxattr"), fmt::format("setxattr /file {} {}", row.name, row.flags));
  }
  char buffer[100];
  EXPECT_EQ(::getxattr(root("file").c_str(), "user.two", buffer, sizeof buffer), 5);
  EXPECT_EQ(::getxattr(file.c_str(), "user.one", nullptr, 0), 5);
  EXPECT_EQ(::getxattr(file.c_str(), "user.probe", nullptr, 0), 0);
  for (const std::size_t enough : {value.size(), sizeof buffer}) {
    ASSERT_EQ(::getxattr(file.c_str(), "user.one", buffer, enough), 5);
    EXPECT_EQ(std::string(buffer, 5), value);
  }
  EXPECT_EQ(failure_of(::getxattr(file.c_str(), "user.one", buffer, 4)), ERANGE);
  EXPECT_EQ(failure_of(::getxattr(file.c_str(), "user.none", buffer, sizeof buffer)), ENODATA);
  EXPECT_EQ(failure_of(::getxattr(file.c_str(), "user.none", nullptr, 0)), ENODATA);

  const std::size_t size = sizeof "user.probe" + sizeof "user.one" + sizeof "user.two";
  EXPECT_EQ(::listxattr(file.c_str(), nullptr, 0), static_cast<ssize_t>(size));
  for (const std::size_t enough : {size, sizeof buffer}) {
    ASSERT_EQ(::listxattr(file.c_str(), buffer, enough), static_cast<ssize_t>(size));
    for (const char* name : {"user.probe", "user.one", "user.two"}) {
      EXPECT_NE(std::string(buffer, size).find(std::string(name) + '\0'), std::string::npos) << name;
    }
  }
  EXPECT_EQ(failure_of(::listxattr(file.c_str(), buffer, size - 1)), ERANGE);

  EXPECT_EQ(::removexattr(file.c_str(), "user.one"), 0);
  EXPECT_EQ(logged("removexattr /file user.one"), 1);
  EXPECT_EQ(failure_of(::removexattr(file.c_str(), "user.one")), ENODATA);
  EXPECT_EQ(failure_of(::getxattr(file.c_str(), "user.one", buffer, sizeof buffer)), ENODATA);
  EXPECT_EQ(::listxattr(file.c_str(), nullptr, 0), static_cast<ssize_t>(size - sizeof "user.one"));
}

TEST_F(MirrorTest, ShowsOtherOwnersAndModes) {
  write_file(root("file"), "text");
  start("", {"-ouid=12,gid=34,umask=027"});
  const struct stat status = status_of(path("file"));
  EXPECT_EQ(status.st_uid, 12u);
  EXPECT_EQ(status.st_gid, 34u);
  EXPECT_EQ(status.st_mode & 07777, 0750u);
}

}  // namespace
}  // namespace fuselage::test

// A layer from a library of its own, which asks the program below by fuse_fs_*.
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <set>

#include "base/unique_fd.hpp"
#include "capi2/c_program.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;

int failure_of(long result) { return result < 0 ? errno : 0; }

class ModuleTest : public MirrorTest {
 protected:
  ModuleTest() { ::setenv("LD_LIBRARY_PATH", PROGRAMS, 1); }
  ~ModuleTest() override { ::unsetenv("LD_LIBRARY_PATH"); }
};

TEST_F(ModuleTest, EveryOperationGoesThroughTheLayer) {
  start("locks", {"-omodules=shout,shout"});
  EXPECT_EQ(::mkdir(path("DIR").c_str(), 0755), 0);
  write_file(path("DIR/FILE"), "text");
  EXPECT_EQ(text_of_file(root("dir/file")), "text");
  EXPECT_EQ(text_of_file(path("DIR/FILE")), "text");
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path("DIR"))) names.insert(entry.path().filename());
  EXPECT_EQ(names, std::set<std::string>{"FILE"});

  EXPECT_EQ(::symlink("Target", path("LINK").c_str()), 0);
  EXPECT_EQ(std::filesystem::read_symlink(path("LINK")), "Target");
  EXPECT_EQ(::mkfifo(path("FIFO").c_str(), 0600), 0);
  EXPECT_EQ(::link(path("DIR/FILE").c_str(), path("OTHER").c_str()), 0);
  EXPECT_EQ(::rename(path("OTHER").c_str(), path("NEW").c_str()), 0);
  EXPECT_EQ(::chmod(path("NEW").c_str(), 0640), 0);
  EXPECT_EQ(::chown(path("NEW").c_str(), 12, 34), 0);
  EXPECT_EQ(::truncate(path("NEW").c_str(), 3), 0);
  const ::timespec times[2] = {{5, 6}, {7, 8}};
  EXPECT_EQ(::utimensat(AT_FDCWD, path("NEW").c_str(), times, 0), 0);
  EXPECT_EQ(::access(path("NEW").c_str(), R_OK), 0);
  struct stat status {};
  EXPECT_EQ(::stat(root("new").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode, S_IFREG | 0640u);
  EXPECT_EQ(status.st_uid, 12u);
  EXPECT_EQ(status.st_size, 3);
  EXPECT_EQ(status.st_mtim.tv_nsec, 8);
  struct statvfs space {};
  EXPECT_EQ(::statvfs(path("DIR").c_str(), &space), 0);
  EXPECT_GT(space.f_blocks, 0u);

  char value[10] = {};
  if (::setxattr(root("new").c_str(), "user.probe", "", 0, 0) == 0) {
    EXPECT_EQ(::setxattr(path("NEW").c_str(), "user.one", "value", 5, 0), 0);
    EXPECT_EQ(::getxattr(path("NEW").c_str(), "user.one", value, sizeof value), 5);
    EXPECT_STREQ(value, "value");
    EXPECT_GT(::listxattr(path("NEW").c_str(), nullptr, 0), 8);
    EXPECT_EQ(::removexattr(path("NEW").c_str(), "user.one"), 0);
  }
  {
    const UniqueFd file(::open(path("NEW").c_str(), O_RDWR));
    EXPECT_EQ(::ftruncate(file.get(), 2), 0);
    EXPECT_EQ(::fallocate(file.get(), 0, 0, 100), 0);
    EXPECT_EQ(::fsync(file.get()), 0);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    EXPECT_EQ(::fcntl(file.get(), F_SETLK, &lock), 0);
    EXPECT_EQ(::flock(file.get(), LOCK_EX), 0);
    int number = 41;
    EXPECT_EQ(::ioctl(file.get(), _IOWR('E', 1, int), &number), 7);
    EXPECT_EQ(number, 42);
    ::pollfd wait{file.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&wait, 1, 60000), 1);
    const UniqueFd directory(::open(path("DIR").c_str(), O_RDONLY | O_DIRECTORY));
    EXPECT_EQ(::fsync(directory.get()), 0);
  }
  // Or it would be hidden.
  EXPECT_TRUE(eventually([this] {
    return logged("release /new") >= 1 && logged("release /dir/file") >= 2 && logged("releasedir /dir") >= 2;
  }));
  EXPECT_EQ(::unlink(path("NEW").c_str()), 0);
  EXPECT_EQ(::unlink(path("DIR/FILE").c_str()), 0);
  EXPECT_EQ(::rmdir(path("DIR").c_str()), 0);
  for (const char* line : {"create /dir/file",
                           "opendir /dir",
                           "readdir /dir 0",
                           "mkdir /dir",
                           "symlink Target /link",
                           "mknod /fifo",
                           "link /dir/file /other",
                           "rename /other /new",
                           "chmod /new 640",
                           "chown /new 12 34",
                           "truncate /new 3",
                           "utimens /new 6 8",
                           "access /new",
                           "statfs /dir",
                           "open /new",
                           "ftruncate /new 2",
                           "fallocate /new 0 0 100",
                           "fsync /new 0",
                           "lock /new",
                           "flock /new 2",
                           "ioctl /new",
                           "poll /new",
                           "fsyncdir /dir",
                           "unlink /new",
                           "unlink /dir/file",
                           "rmdir /dir",
                           "flush /new"}) {
    EXPECT_GE(logged(line), 1) << line;
  }
  finish();
  EXPECT_EQ(logged("init"), 1);
  EXPECT_EQ(logged("destroy 0x1234"), 1);
}

TEST_F(ModuleTest, WhatTheProgramAnswersTooMuchOfIsAnError) {
  write_file(root("file"), "text");
  start("overrun direct", {"-omodules=shout,shout"});
  const UniqueFd file(::open(path("FILE").c_str(), O_RDWR));
  char bytes[100];
  EXPECT_EQ(failure_of(::read(file.get(), bytes, sizeof bytes)), EIO);
  EXPECT_EQ(failure_of(::write(file.get(), bytes, sizeof bytes)), EIO);
  EXPECT_TRUE(eventually([this] { return mirror().output().find("read gave 101 bytes") != std::string::npos; }));
}

TEST_F(ModuleTest, ALayerStandsOnOthers) {
  std::filesystem::create_directory(root("sub"));
  write_file(root("sub/file"), "text");
  start("", {"-omodules=subdir:shout,subdir=sub,shout"});
  EXPECT_EQ(text_of_file(path("FILE")), "text");
  EXPECT_EQ(logged("open /sub/file"), 1) << log();
}

TEST_F(ModuleTest, ALayerThatRefusesEndsTheProgram) {
  const auto says = [this](const std::string& option) {
    Program program(command("mirror", {"-f", mountpoint(), option},
                            {{"MIRROR_ROOT", root("")}, {"MIRROR_LOG", directory() / "log"}, {"MIRROR", ""}}));
    EXPECT_EQ(program.wait(std::chrono::seconds(60)), 1);
    return program.output();
  };
  says("-omodules=shout");  // its option is missing, and it says nothing
  EXPECT_NE(says("-omodules=none").find("there is no module 'none'"), std::string::npos);
  EXPECT_FALSE(is_mounted(mountpoint()));
}

}  // namespace
}  // namespace fuselage::test

// What is promised of names, attributes and directories, of init and destroy, and of what goes wrong.
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <set>

#include "base/unique_fd.hpp"
#include "capi2/c_program.hpp"

namespace fuselage::test {
namespace {

int failure_of(long result) { return result < 0 ? errno : 0; }

struct stat status_of(const std::filesystem::path& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status;
}

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
  start("only_getattr");
  EXPECT_EQ(status_of(path("file")).st_size, 4);
  const base::UniqueFd file(::open(path("file").c_str(), O_RDONLY));
  EXPECT_GE(file.get(), 0);  // opening needs no operation
  char byte = 0;
  EXPECT_EQ(failure_of(::read(file.get(), &byte, 1)), ENOSYS);
  EXPECT_EQ(failure_of(::mkdir(path("dir").c_str(), 0755)), ENOSYS);
  EXPECT_EQ(failure_of(::unlink(path("file").c_str())), ENOSYS);
  struct statvfs space {};
  EXPECT_EQ(::statvfs(mountpoint().c_str(), &space), 0);
}

TEST_F(MirrorTest, ServesTablesOfOlderPrograms) {
  write_file(root("file"), "text");
  start("short_table");
  EXPECT_EQ(text_of_file(path("file")), "text");
}

TEST_F(MirrorTest, MakesAndRemovesNames) {
  start();
  EXPECT_EQ(::mkdir(path("dir").c_str(), 0750), 0);
  EXPECT_EQ(logged("mkdir /dir isdir=0"), 1);
  EXPECT_EQ(::mkfifo(path("dir/fifo").c_str(), 0600), 0);
  EXPECT_TRUE(S_ISFIFO(status_of(path("dir/fifo")).st_mode));
  EXPECT_EQ(failure_of(::rmdir(path("dir").c_str())), ENOTEMPTY);
  EXPECT_EQ(::symlink("no/where", path("link").c_str()), 0);
  EXPECT_EQ(logged("symlink no/where /link"), 1);
  EXPECT_EQ(std::filesystem::read_symlink(path("link")), "no/where");
  write_file(path("one"), "1");
  EXPECT_EQ(::link(path("one").c_str(), path("two").c_str()), 0);
  EXPECT_EQ(status_of(path("two")).st_nlink, 2u);
  EXPECT_EQ(::rename(path("two").c_str(), path("dir/fifo").c_str()), 0);
  EXPECT_EQ(text_of_file(path("dir/fifo")), "1");
  EXPECT_EQ(failure_of(::renameat2(AT_FDCWD, path("one").c_str(), AT_FDCWD, path("x").c_str(), RENAME_NOREPLACE)),
            EINVAL);
  EXPECT_EQ(::unlink(path("dir/fifo").c_str()), 0);
  EXPECT_EQ(::rmdir(path("dir").c_str()), 0);
}

TEST_F(MirrorTest, MakesRegularFilesWithCreate) {
  start();
  EXPECT_EQ(::mknod(path("file").c_str(), S_IFREG | 0640, 0), 0);
  EXPECT_EQ(status_of(path("file")).st_mode, S_IFREG | 0640u);
  EXPECT_EQ(logged("create /file"), 1);
  EXPECT_EQ(logged("release /file"), 1);
  EXPECT_EQ(logged("mknod"), 0);
}

TEST_F(MirrorTest, MakesRegularFilesWithMknodWhereThereIsNoCreate) {
  start("no_create");
  EXPECT_EQ(::mknod(path("file").c_str(), S_IFREG | 0640, 0), 0);
  EXPECT_EQ(logged("mknod /file"), 1);
}

TEST_F(MirrorTest, ReadsLongLinks) {
  const std::string longest(4095, 'x');
  start();
  ASSERT_EQ(::symlink(longest.c_str(), root("long").c_str()), 0);
  EXPECT_EQ(std::filesystem::read_symlink(path("long")), longest);
}

TEST_F(MirrorTest, PassesPathsOfAnyLength) {
  start();
  const std::string name(200, 'd');
  int at = ::open(mountpoint().c_str(), O_RDONLY | O_DIRECTORY);
  constexpr int depth = 16;  // what the program itself can reach in one call
  for (int i = 0; i < depth; ++i) {
    ASSERT_EQ(::mkdirat(at, name.c_str(), 0755), 0) << i;
    const int next = ::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY);
    ::close(at);
    at = next;
  }
  struct stat status {};
  for (int i = depth; i < 60; ++i) {
    // Deeper, the mirror cannot look any more, but it is asked with the whole path.
    if (::mkdirat(at, name.c_str(), 0755) != 0) break;
    const int next = ::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY);
    if (next < 0) break;
    ::close(at);
    at = next;
  }
  EXPECT_EQ(failure_of(::fstatat(at, "leaf", &status, 0)) == 0, false);
  ::close(at);
  std::string longest;
  std::istringstream lines(log());
  for (std::string line; std::getline(lines, line);)
    longest = std::max(longest, line, [](auto& a, auto& b) { return a.size() < b.size(); });
  EXPECT_GT(longest.size(), std::size_t{PATH_MAX});
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
  EXPECT_EQ(::setxattr(file.c_str(), "user.one", "value", 5, XATTR_CREATE), 0);
  EXPECT_EQ(logged(fmt::format("setxattr /file user.one {}", XATTR_CREATE)), 1);
  EXPECT_EQ(failure_of(::setxattr(file.c_str(), "user.one", "x", 1, XATTR_CREATE)), EEXIST);
  char value[100];
  EXPECT_EQ(::getxattr(file.c_str(), "user.one", nullptr, 0), 5);
  EXPECT_EQ(::getxattr(file.c_str(), "user.one", value, sizeof value), 5);
  EXPECT_EQ(failure_of(::getxattr(file.c_str(), "user.one", value, 2)), ERANGE);
  EXPECT_EQ(failure_of(::getxattr(file.c_str(), "user.none", value, sizeof value)), ENODATA);
  EXPECT_GT(::listxattr(file.c_str(), value, sizeof value), 8);
  EXPECT_EQ(failure_of(::listxattr(file.c_str(), value, 2)), ERANGE);
  EXPECT_EQ(::removexattr(file.c_str(), "user.one"), 0);
}

std::multiset<std::string> list(const std::filesystem::path& path) {
  std::multiset<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path)) names.insert(entry.path().filename());
  return names;
}

TEST_F(MirrorTest, ListsInOneCallOrInPieces) {
  for (int i = 0; i < 3000; ++i) write_file(root(fmt::format("a name of some length {:05} and more of it", i)), "");
  const auto all = list(root(""));
  start();
  EXPECT_EQ(list(mountpoint()), all);
  EXPECT_EQ(logged("readdir /"), 1);
  finish();
  start("pieces");
  EXPECT_EQ(list(mountpoint()), all);
  EXPECT_GT(logged("readdir /"), 3);
}

TEST_F(MirrorTest, SeeksInDirectories) {
  for (int i = 0; i < 200; ++i) write_file(root(fmt::format("name-{:05}", i)), "");
  start();
  DIR* const stream = ::opendir(mountpoint().c_str());
  std::vector<std::pair<long, std::string>> seen;
  for (;;) {
    const long at = ::telldir(stream);
    const dirent* const entry = ::readdir(stream);
    if (entry == nullptr) break;
    seen.emplace_back(at, entry->d_name);
  }
  ASSERT_GE(seen.size(), 200u);
  for (const std::size_t i : {100u, 5u, 150u}) {
    ::seekdir(stream, seen[i].first);
    EXPECT_EQ(::readdir(stream)->d_name, seen[i].second);
  }
  ::closedir(stream);
  EXPECT_TRUE(eventually_logged("releasedir /", 1));
}

TEST_F(MirrorTest, ShowsWhoAsks) {
  write_file(root("file"), "text");
  start("", {"-oallow_other"});
  in_child([this] { return std::to_string(::access(path("file").c_str(), R_OK)); }, nobody);
  EXPECT_EQ(logged(fmt::format("access /file {} uid={}", R_OK, nobody)), 1) << log();
}

TEST_F(MirrorTest, LeavesPermissionsToTheKernelWhenAsked) {
  write_file(root("file"), "text");
  start("", {"-odefault_permissions"});
  EXPECT_EQ(::access(path("file").c_str(), R_OK), 0);
  EXPECT_EQ(logged("access"), 0);
}

TEST_F(MirrorTest, ShowsOtherOwnersAndModes) {
  write_file(root("file"), "text");
  start("", {"-ouid=12,gid=34,umask=027"});
  const struct stat status = status_of(path("file"));
  EXPECT_EQ(status.st_uid, 12u);
  EXPECT_EQ(status.st_gid, 34u);
  EXPECT_EQ(status.st_mode & 07777, 0750u);
}

TEST_F(MirrorTest, BeginsAndEndsOnce) {
  start();
  EXPECT_EQ(logged("init"), 1);
  EXPECT_TRUE(log().starts_with("init")) << log();
  finish();
  EXPECT_EQ(logged("destroy 0x1234"), 1);
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

TEST_F(MirrorTest, GoesOnOneThreadWhenAsked) {
  write_file(root("file"), "text");
  start("", {"-s"});
  EXPECT_EQ(text_of_file(path("file")), "text");
  mirror().signal(SIGTERM);
  EXPECT_EQ(mirror().wait(std::chrono::seconds(60)), 0);
}

TEST_F(MirrorTest, ShowsASubdirectory) {
  std::filesystem::create_directories(root("sub/dir"));
  write_file(root("sub/dir/file"), "text");
  ASSERT_EQ(::symlink("/sub/dir/file", root("sub/link").c_str()), 0);
  start("", {"-omodules=subdir,subdir=/sub,rellinks"});
  EXPECT_EQ(text_of_file(path("dir/file")), "text");
  EXPECT_EQ(logged("open /sub/dir/file"), 1);
  EXPECT_EQ(list(mountpoint()), (std::multiset<std::string>{"dir", "link"}));
  EXPECT_EQ(std::filesystem::read_symlink(path("link")), "sub/dir/file");
}

TEST_F(MirrorTest, ConvertsNames) {
  write_file(root("gr\xfc\xdf"), "text");  // in ISO-8859-1
  start("", {"-omodules=iconv,from_code=ISO-8859-1,to_code=UTF-8"});
  EXPECT_EQ(text_of_file(path("gr\xc3\xbc\xc3\x9f")), "text");
  EXPECT_EQ(list(mountpoint()), (std::multiset<std::string>{"gr\xc3\xbc\xc3\x9f"}));
  struct stat status {};
  EXPECT_EQ(failure_of(::stat(path("\xe2\x82\xac").c_str(), &status)), EILSEQ);  // there is no such character below
}

TEST_F(MirrorTest, ShowsItsRequestsWithD) {
  start("", {"-d"});
  status_of(path(""));
  EXPECT_TRUE(eventually([this] { return mirror().output().find("GETATTR") != std::string::npos; }));
}

class MistakesTest : public CProgramTest {
 protected:
  /// Runs the mirror with these arguments: its exit code, and what it says.
  std::pair<int, std::string> run(std::vector<std::string> arguments) {
    Program program(
        command("mirror", std::move(arguments), {{"MIRROR_ROOT", directory()}, {"MIRROR_LOG", directory() / "log"}}));
    const int code = program.wait(std::chrono::seconds(60));
    return {code, program.output()};
  }
};

TEST_F(MistakesTest, FailWithAMessage) {
  const auto mnt = make_directory("mnt");
  const auto fails = [this](std::vector<std::string> arguments, const std::string& message) {
    const auto [code, output] = run(std::move(arguments));
    EXPECT_EQ(code, 1);
    EXPECT_NE(output.find(message), std::string::npos) << output;
  };
  fails({"-f", mnt, "-obogus=1"}, "unknown option 'bogus=1'");
  fails({"-f", mnt, "extra"}, "one argument too many");
  fails({"-f"}, "no mount point");
  fails({"-f", mnt / "missing"}, "missing");
  fails({"-f", mnt, "-oattr_timeout=soon"}, "attr_timeout=soon");
  fails({"-f", mnt, "-omodules=none"}, "none");
  fails({"-f", mnt, "-omodules=subdir"}, "subdir=DIR");
  write_file(mnt / "in the way", "");
  fails({"-f", mnt}, "not empty");
  EXPECT_TRUE(below().empty());
}

TEST_F(MistakesTest, HelpAndVersionEndWithOne) {
  for (const char* option : {"-h", "--help", "-ho"}) {
    const auto [code, output] = run({option});
    EXPECT_EQ(code, 1);
    for (const char* word : {"-f ", "allow_other", "hard_remove", "max_write", "subdir="}) {
      EXPECT_NE(output.find(word), std::string::npos) << word << " in " << output;
    }
  }
  const auto [code, output] = run({"--version"});
  EXPECT_EQ(code, 1);
  EXPECT_NE(output.find("2.9"), std::string::npos);
}

TEST_F(MistakesTest, HelpLeavesWhatIsMountedAlone) {
  const auto mnt = make_directory("mnt");
  ASSERT_EQ(::mount("tmpfs", mnt.c_str(), "tmpfs", 0, nullptr), 0);
  for (const char* option : {"-h", "-V"}) EXPECT_EQ(run({option, mnt}).first, 1);
  EXPECT_NE(status_of(mnt).st_dev, status_of(directory()).st_dev);
  EXPECT_EQ(::umount(mnt.c_str()), 0);
}

class TinyTest : public CProgramTest, public ::testing::WithParamInterface<int> {};

TEST_P(TinyTest, ServesAProgramOfThisInterface) {
  const auto mnt = make_directory();
  Program tiny(command("tiny-" + std::to_string(GetParam()), {"-f", mnt}));
  ASSERT_TRUE(mounted(mnt, tiny));
  EXPECT_EQ(list(mnt), std::multiset<std::string>{"hello"});
  EXPECT_EQ(text_of_file(mnt / "hello"), "Hello, world!\n");
  EXPECT_EQ(failure_of(::open((mnt / "hello").c_str(), O_WRONLY)), EACCES);
  struct statvfs space {};
  EXPECT_EQ(::statvfs(mnt.c_str(), &space), 0);
  EXPECT_EQ(space.f_blocks, 77u);
  EXPECT_EQ(unmount(mnt, tiny), 0) << tiny.output();
}

TEST_P(TinyTest, GoesIntoTheBackground) {
  const auto mnt = make_directory();
  Program tiny(command("tiny-" + std::to_string(GetParam()), {mnt}));
  EXPECT_EQ(tiny.wait(std::chrono::seconds(60)), 0) << tiny.output();
  EXPECT_EQ(text_of_file(mnt / "hello"), "Hello, world!\n");
  EXPECT_EQ(::umount2(mnt.c_str(), MNT_DETACH), 0);
  EXPECT_TRUE(background_ended(std::chrono::seconds(60)));
}

INSTANTIATE_TEST_SUITE_P(Interface, TinyTest, ::testing::Values(21, 22, 25, 26, 27, 28, 29));

}  // namespace
}  // namespace fuselage::test

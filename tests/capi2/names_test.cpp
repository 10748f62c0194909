// What is promised of names and directories, and of command lines.
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <set>

#include "base/unique_fd.hpp"
#include "capi2/c_program.hpp"
#include "support/file_handle.hpp"

namespace fuselage::test {
namespace {

std::multiset<std::string> list(const std::filesystem::path& path) {
  std::multiset<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path)) names.insert(entry.path().filename());
  return names;
}

TEST_F(MirrorTest, MakesAndRemovesNames) {
  start();
  EXPECT_EQ(::mkdir(path("dir").c_str(), 0750), 0);
  EXPECT_EQ(logged("mkdir /dir isdir=0"), 1);
  EXPECT_EQ(::mkfifo(path("dir/fifo").c_str(), 0600), 0);
  EXPECT_TRUE(S_ISFIFO(status_of(path("dir/fifo")).st_mode));
  EXPECT_EQ(::mknod(path("device").c_str(), S_IFCHR | 0640, makedev(300, 70003)), 0);
  EXPECT_EQ(status_of(root("device")).st_rdev, makedev(300, 70003));
  const base::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ::sockaddr_un address{AF_UNIX, {}};
  std::strcpy(address.sun_path, path("socket").c_str());
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<::sockaddr*>(&address), sizeof address), 0) << std::strerror(errno);
  EXPECT_TRUE(S_ISSOCK(status_of(root("socket")).st_mode));
  EXPECT_TRUE(S_ISSOCK(status_of(path("socket")).st_mode));
  EXPECT_EQ(logged("mknod /socket 140755"), 1) << log();
  EXPECT_EQ(failure_of(::rmdir(path("dir").c_str())), ENOTEMPTY);
  EXPECT_EQ(::symlink("no/where", path("link").c_str()), 0);
  EXPECT_EQ(logged("symlink no/where /link"), 1);
  EXPECT_EQ(std::filesystem::read_symlink(path("link")), "no/where");
  write_file(path("one"), "1");
  EXPECT_EQ(::link(path("one").c_str(), path("two").c_str()), 0);
  EXPECT_EQ(status_of(path("two")).st_nlink, 2u);
  EXPECT_EQ(::rename(path("two").c_str(), path("dir/fifo").c_str()), 0);
  EXPECT_EQ(text_of_file(path("dir/fifo")), "1");
  EXPECT_EQ(::unlink(path("dir/fifo").c_str()), 0);
  EXPECT_EQ(::rmdir(path("dir").c_str()), 0);
}

TEST_F(MirrorTest, RenamesOverWhatIsThere) {
  for (const char* name : {"from/below", "empty", "full/below"}) std::filesystem::create_directories(root(name));
  write_file(root("file"), "text");
  start();
  const auto renaming = [this](const char* from, const char* to, unsigned flags = 0) {
    return failure_of(::renameat2(AT_FDCWD, path(from).c_str(), AT_FDCWD, path(to).c_str(), flags));
  };
  // The program knows no flags, so it is not asked.
  EXPECT_EQ(renaming("from", "empty", RENAME_EXCHANGE), EINVAL);
  EXPECT_EQ(renaming("from", "new", RENAME_NOREPLACE), EINVAL);
  EXPECT_EQ(renaming("from", "new", RENAME_WHITEOUT), EINVAL);
  EXPECT_EQ(logged("rename"), 0);
  EXPECT_EQ(renaming("from", "full"), ENOTEMPTY);
  EXPECT_EQ(renaming("from", "file"), ENOTDIR);
  EXPECT_EQ(renaming("file", "empty"), EISDIR);
  EXPECT_EQ(list(path("full")), std::multiset<std::string>{"below"});
  EXPECT_EQ(renaming("from", "empty"), 0);
  EXPECT_EQ(logged("rename /from /empty"), 1);
  EXPECT_EQ(list(path("empty")), std::multiset<std::string>{"below"});
  EXPECT_EQ(failure_of(::access(path("from").c_str(), F_OK)), ENOENT);
  EXPECT_EQ(renaming("empty/below", "full/below"), 0);
  EXPECT_EQ(list(root("empty")), std::multiset<std::string>{});
}

TEST_F(MirrorTest, LinksToOneInodeWithItsNumbers) {
  write_file(root("one"), "1");
  start("", {"-ouse_ino"});
  EXPECT_EQ(::link(path("one").c_str(), path("two").c_str()), 0);
  EXPECT_EQ(logged("link /one /two"), 1);
  EXPECT_EQ(status_of(path("two")).st_ino, status_of(path("one")).st_ino);
  EXPECT_EQ(status_of(path("one")).st_ino, status_of(root("one")).st_ino);
  EXPECT_EQ(status_of(path("two")).st_nlink, 2u);
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

TEST_F(MirrorTest, CutsLinksThatDoNotEnd) {
  ASSERT_EQ(::symlink("target", root("link").c_str()), 0);
  start("endless_links");
  char target[2 * PATH_MAX];
  ASSERT_EQ(::readlink(path("link").c_str(), target, sizeof target), PATH_MAX - 1);
  EXPECT_EQ(std::string(target, PATH_MAX - 1), std::string(PATH_MAX - 1, 'x'));
}

TEST_F(MirrorTest, PassesPathsOfAnyLength) {
  start("deep");
  const std::string name(200, 'd');
  std::string whole;
  base::UniqueFd at(::open(mountpoint().c_str(), O_PATH));
  for (int depth = 0; depth < 60; ++depth) {
    at.reset(::openat(at.get(), name.c_str(), O_PATH | O_CLOEXEC));
    ASSERT_GE(at.get(), 0) << depth;
    whole += "/" + name;
  }
  struct stat status {};
  EXPECT_EQ(::fstatat(at.get(), "leaf", &status, 0), 0);
  ASSERT_GT(whole.size(), std::size_t{PATH_MAX});
  EXPECT_EQ(logged("getattr " + whole + "/leaf"), 1);
}

// A few hundred of them are more than one answer can hold.
std::string long_name(std::size_t number) { return fmt::format("{:0>200}", number); }

TEST_F(MirrorTest, ListsInOneCallOrInPieces) {
  for (std::size_t i = 0; i < 600; ++i) write_file(root(long_name(i)), "");
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
  constexpr std::size_t count = 400;
  for (std::size_t i = 0; i < count; ++i) write_file(root(long_name(i)), "");
  for (const char* words : {"", "pieces"}) {
    start(words);
    DIR* const stream = ::opendir(mountpoint().c_str());
    std::vector<std::pair<long, std::string>> seen;
    for (;;) {
      const long at = ::telldir(stream);
      const dirent* const entry = ::readdir(stream);
      if (entry == nullptr) break;
      seen.emplace_back(at, entry->d_name);
    }
    ASSERT_GE(seen.size(), count);
    for (const std::size_t i : {count - 1, std::size_t{5}, count / 2, std::size_t{0}}) {
      ::seekdir(stream, seen[i].first);
      const dirent* const entry = ::readdir(stream);
      ASSERT_NE(entry, nullptr) << words << i;
      EXPECT_EQ(entry->d_name, seen[i].second) << words;
    }
    ::closedir(stream);
    EXPECT_TRUE(eventually_logged("releasedir /", 1));
    finish();
    forget_log();
  }
}

TEST_F(MirrorTest, ShowsASubdirectory) {
  std::filesystem::create_directories(root("sub/dir"));
  write_file(root("sub/dir/file"), "text");
  start("", {"-omodules=subdir,subdir=/sub"});
  EXPECT_EQ(text_of_file(path("dir/file")), "text");
  EXPECT_EQ(logged("open /sub/dir/file"), 1);
  EXPECT_EQ(list(mountpoint()), std::multiset<std::string>{"dir"});
}

TEST_F(MirrorTest, MakesLinksWithinASubdirectoryRelative) {
  const struct {
    const char* link;
    const char* target;
    const char* shown;
  } rows[] = {
      {"a", "/sub/dir/file", "dir/file"},
      {"b", "/sub/", "."},
      {"c", "/sub/dir", "dir"},
      {"d", "dir/file", "dir/file"},
      {"e", "/subordinate/x", "/subordinate/x"},
      {"f", "/etc/x", "/etc/x"},
      {"g", "/sub", "/sub"},
      {"dir/a", "/sub/dir/file", "file"},
      {"dir/b", "/sub/a", "../a"},
      {"dir/c", "/sub/dir", "."},
      {"dir/d", "//sub//a", "../a"},
      {"dir/deep/a", "/sub/dir/file", "../file"},
      {"dir/deep/b", "/sub/", "../../"},
      {"dir/deep/c", "/sub/dir/deep/x/y", "x/y"},
  };
  std::filesystem::create_directories(root("sub/dir/deep"));
  write_file(root("sub/dir/file"), "text");
  for (const auto& row : rows) ASSERT_EQ(::symlink(row.target, (root("sub") / row.link).c_str()), 0);
  start("", {"-omodules=subdir,subdir=/sub,rellinks"});
  for (const auto& row : rows) EXPECT_EQ(std::filesystem::read_symlink(path(row.link)), row.shown) << row.link;
  for (const char* link : {"a", "dir/a", "dir/b", "dir/deep/a"}) EXPECT_EQ(text_of_file(path(link)), "text") << link;
  finish();
  start("", {"-omodules=subdir,subdir=/sub"});
  for (const auto& row : rows) EXPECT_EQ(std::filesystem::read_symlink(path(row.link)), row.target) << row.link;
}

TEST_F(MirrorTest, ConvertsNames) {
  write_file(root("gr\xfc\xdf"), "text");  // in ISO-8859-1
  start("", {"-omodules=iconv,from_code=ISO-8859-1,to_code=UTF-8"});
  EXPECT_EQ(text_of_file(path("gr\xc3\xbc\xc3\x9f")), "text");
  EXPECT_EQ(list(mountpoint()), (std::multiset<std::string>{"gr\xc3\xbc\xc3\x9f"}));
  struct stat status {};
  EXPECT_EQ(failure_of(::stat(path("\xe2\x82\xac").c_str(), &status)), EILSEQ);  // there is no such character below
}

TEST_F(MirrorTest, KeepsForgottenNodesWhenAsked) {
  write_file(root("file"), "text");
  for (const char* option : {"-oremember=0", "-oremember=3600", "-onoforget"}) {
    start("", {option});
    FileHandle handle(path("file"));
    const auto found_again = [&] {
      // A remount makes the kernel forget what is not in use.
      EXPECT_EQ(::mount(nullptr, mountpoint().c_str(), nullptr, MS_REMOUNT | MS_NOSUID | MS_NODEV, nullptr), 0);
      return handle.open(mountpoint()).get() >= 0;
    };
    if (option == std::string("-oremember=0")) {
      EXPECT_TRUE(eventually([&] { return !found_again() && errno == ESTALE; }));
    } else {
      for (int i = 0; i < 10; ++i) EXPECT_TRUE(found_again()) << option << ": " << std::strerror(errno);
    }
    finish();
  }
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

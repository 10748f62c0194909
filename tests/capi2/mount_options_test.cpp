// Each -o option of a C program, by what a mount with it does.
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <set>

#include "base/unique_fd.hpp"
#include "capi2/c_program.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;

int failure_of(long result) { return result < 0 ? errno : 0; }

class OptionTest : public MirrorTest {
 protected:
  void restart(const std::string& words, std::vector<std::string> options) {
    finish_if_started();
    std::filesystem::remove(directory() / "log");
    start(words, std::move(options));
    started_ = true;
  }
  void finish_if_started() {
    if (std::exchange(started_, false)) finish();
  }

  /// How many requests of a kind the trace of -d shows so far.
  int traced(const std::string& operation) {
    int count = 0;
    std::istringstream lines(mirror().output());
    for (std::string line; std::getline(lines, line);) count += line.find(": " + operation + " ") != line.npos ? 1 : 0;
    return count;
  }
  /// How many of a kind `call` causes.
  template <class Call>
  int caused(const std::string& operation, Call call) {
    const int before = traced(operation);
    call();
    return traced(operation) - before;
  }
  /// The mount of the mirror.
  mounting::MountEntry entry() const {
    for (const auto& entry : below()) {
      if (entry.mountpoint == mountpoint()) return entry;
    }
    ADD_FAILURE() << "not mounted";
    return {};
  }
  /// The second number of each line of the log that begins with `text`, the largest first.
  std::multiset<long, std::greater<>> sizes(const std::string& text) const {
    std::multiset<long, std::greater<>> found;
    std::istringstream lines(log());
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(text + " ")) found.insert(std::stol(line.substr(text.size())));
    }
    return found;
  }
  struct stat status(const std::string& name) const {
    struct stat out {};
    EXPECT_EQ(::lstat(path(name).c_str(), &out), 0) << std::strerror(errno);
    return out;
  }

 private:
  bool started_ = false;
};

TEST_F(OptionTest, WhatIsCachedOfAFileIsKeptOrNot) {
  struct Case {
    const char* options;
    bool reads_again;     // when the file is opened again
    bool notices_change;  // ... and was changed below, to something of the same size
  };
  for (const Case& wanted :
       {Case{"attr_timeout=1000", true, true}, Case{"kernel_cache", false, false},
        Case{"auto_cache,attr_timeout=0", false, true}, Case{"auto_cache,attr_timeout=1000", false, false},
        Case{"auto_cache,attr_timeout=1000,ac_attr_timeout=0", false, true},
        Case{"auto_cache,noauto_cache,attr_timeout=0", true, true}}) {
    write_file(root("file"), "before");
    restart("", {fmt::format("-o{}", wanted.options)});
    EXPECT_EQ(text_of_file(path("file")), "before");
    const int reads = logged("read /file");
    EXPECT_EQ(text_of_file(path("file")), "before") << wanted.options;
    EXPECT_EQ(logged("read /file") > reads, wanted.reads_again) << wanted.options;
    write_file(root("file"), "behind");
    EXPECT_EQ(text_of_file(path("file")), wanted.notices_change ? "behind" : "before") << wanted.options;
  }
}

TEST_F(OptionTest, NamesAndAttributesAreBelievedForAsLongAsToldTo) {
  write_file(root("file"), "text");
  struct stat out {};
  const auto again = [&](const char* name) { return [&, name] { ::stat(path(name).c_str(), &out); }; };
  struct Case {
    const char* options;
    int lookups, getattrs, missing;
  };
  for (const Case& wanted :
       {Case{"entry_timeout=1000,attr_timeout=1000", 0, 0, 1}, Case{"entry_timeout=0,attr_timeout=1000", 1, 0, 1},
        Case{"entry_timeout=1000,attr_timeout=0", 0, 1, 1},
        Case{"entry_timeout=1000,attr_timeout=1000,negative_timeout=1000", 0, 0, 0}}) {
    restart("", {"-d", fmt::format("-o{}", wanted.options)});
    again("file")(), again("missing")();
    EXPECT_EQ(caused("LOOKUP", again("file")), wanted.lookups) << wanted.options;
    EXPECT_EQ(caused("GETATTR", again("file")), wanted.getattrs) << wanted.options;
    EXPECT_EQ(caused("LOOKUP", again("missing")), wanted.missing) << wanted.options;
  }
}

TEST_F(OptionTest, NodesThatTheKernelForgetsAreRemembered) {
  write_file(root("file"), "text");
  ino_t before = 0;
  const auto begin = [&](const std::string& options) {
    restart("", {"-d", "-oentry_timeout=1000,attr_timeout=1000" + options});
    before = status("file").st_ino;
  };
  // The kernel asks for the name again. What it says about having forgotten it may still come behind that.
  const auto forget = [this] {
    const auto asks = [this] {
      std::ofstream("/proc/sys/vm/drop_caches") << 2;
      return caused("LOOKUP", [this] { status("file"); }) > 0;
    };
    EXPECT_TRUE(eventually(asks, std::chrono::seconds(60))) << mirror().output();
  };
  const auto has_new_number = [&] {
    forget();
    return status("file").st_ino != before;
  };
  begin("");
  EXPECT_TRUE(eventually(has_new_number, std::chrono::seconds(60)));
  for (const char* option : {",noforget", ",remember=1000"}) {
    begin(option);
    for (int i = 0; i < 5; ++i) EXPECT_FALSE(has_new_number()) << option;
  }
}

TEST_F(OptionTest, ListingsShowNumbersOfInodes) {
  write_file(root("file"), "text");
  const auto shows = [this](ino_t number) {
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(mountpoint().c_str()), ::closedir);
    while (const dirent* const entry = ::readdir(stream.get())) {
      if (std::string_view(entry->d_name) == "file") return entry->d_ino == number;
    }
    return false;
  };
  restart("", {});
  EXPECT_FALSE(shows(status("file").st_ino));
  restart("", {"-oreaddir_ino"});
  EXPECT_TRUE(shows(status("file").st_ino));
  restart("", {"-ouse_ino"});
  struct stat real {};
  EXPECT_EQ(::stat(root("file").c_str(), &real), 0);
  EXPECT_TRUE(shows(real.st_ino));
}

TEST_F(OptionTest, OthersAreLetInAsToldTo) {
  write_file(root("file"), "text");
  const auto access_of_nobody = [this](std::vector<std::string> options) {
    restart("", std::move(options));
    return in_child([this] { return std::to_string(failure_of(::access(path("file").c_str(), R_OK))); }, nobody);
  };
  EXPECT_EQ(access_of_nobody({}), std::to_string(EACCES));
  EXPECT_EQ(access_of_nobody({"-oallow_other"}), "0");
  EXPECT_EQ(access_of_nobody({"-oallow_root"}), std::to_string(EACCES));
  EXPECT_NE(entry().super_options.find("allow_other"), std::string::npos);  // the kernel has let him pass
  EXPECT_EQ(text_of_file(path("file")), "text");
}

TEST_F(OptionTest, DirectIoAsksForWhatTheCallerReads) {
  write_file(root("file"), std::string(100000, 'x'));
  for (const char* option : {"", "-odirect_io"}) {
    restart("", *option != '\0' ? std::vector<std::string>{option} : std::vector<std::string>{});
    const UniqueFd file(::open(path("file").c_str(), O_RDONLY));
    char bytes[10];
    EXPECT_EQ(::pread(file.get(), bytes, sizeof bytes, 5000), 10);
    EXPECT_EQ(sizes("read /file").contains(10), *option != '\0') << log();
  }
}

TEST_F(OptionTest, RequestsAreAsLargeAsToldTo) {
  const std::string megabyte(1 << 20, 'x');
  write_file(root("file"), megabyte);
  std::string buffer(megabyte);
  const auto read = [&] {
    const UniqueFd file(::open(path("file").c_str(), O_RDONLY));
    while (::read(file.get(), buffer.data(), buffer.size()) > 0) {
    }
    return *sizes("read /file").begin();
  };
  const auto write = [&] {
    const UniqueFd file(::open(path("new").c_str(), O_CREAT | O_WRONLY, 0600));
    EXPECT_EQ(::write(file.get(), buffer.data(), buffer.size()), 1 << 20);
    return *sizes("write /new").begin();
  };
  restart("", {"-odirect_io"});
  EXPECT_EQ(read(), 128 * 1024);
  EXPECT_EQ(write(), 128 * 1024);
  restart("", {"-odirect_io,max_read=16384,max_write=8192"});
  EXPECT_LE(read(), 16384);
  EXPECT_EQ(write(), 8192);
  restart("", {"-odirect_io,max_write=8192"});
  EXPECT_EQ(read(), 128 * 1024);
  restart("", {"-omax_readahead=16384"});
  buffer.resize(4096);  // a larger read is no reading ahead
  EXPECT_EQ(read(), 16384);
  buffer = megabyte;
  restart("", {"-obig_writes"});
  EXPECT_GT(write(), 4096);
}

TEST_F(OptionTest, LocksStayWithTheKernelWhenToldTo) {
  struct Case {
    const char* option;
    bool posix, flock;
  };
  for (const Case& wanted : {Case{"rw", true, true}, Case{"no_remote_lock", false, false},
                             Case{"no_remote_posix_lock", false, true}, Case{"no_remote_flock", true, false}}) {
    restart("locks", {fmt::format("-o{}", wanted.option)});
    const UniqueFd file(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
    struct flock lock {};
    lock.l_type = F_WRLCK;
    EXPECT_EQ(::fcntl(file.get(), F_SETLK, &lock), 0);
    EXPECT_EQ(::flock(file.get(), LOCK_EX | LOCK_NB), 0);
    EXPECT_EQ(logged("lock /file") > 0, wanted.posix) << wanted.option;
    EXPECT_EQ(logged("flock /file") > 0, wanted.flock) << wanted.option;
    const UniqueFd other(::open(path("file").c_str(), O_RDWR));
    EXPECT_EQ(failure_of(::flock(other.get(), LOCK_EX | LOCK_NB)), wanted.flock ? 0 : EWOULDBLOCK);
  }
}

TEST_F(OptionTest, OptionsWithoutEffectAreAccepted) {
  write_file(root("file"), "text");
  restart("", {"-osplice_read,splice_write,splice_move", "-ono_splice_read,no_splice_write,no_splice_move",
               "-obig_writes,large_read,async_read,sync_read,max_background=5,congestion_threshold=3,user=root"});
  EXPECT_EQ(text_of_file(path("file")), "text");
}

TEST_F(OptionTest, MountsAreNamedAsToldTo) {
  restart("", {});
  EXPECT_EQ(entry().type, "fuse.capi2-mirror");
  EXPECT_EQ(entry().source, "capi2-mirror");
  restart("", {"-ofsname=a\\,b c,subtype=kind"});
  EXPECT_EQ(entry().type, "fuse.kind");
  EXPECT_EQ(entry().source, "a,b c");
  restart("", {"-ofsname=only"});
  EXPECT_EQ(entry().type, "fuse");
  EXPECT_EQ(entry().source, "only");
}

TEST_F(OptionTest, FlagsOfTheMountAreSet) {
  const std::set<std::string> all{"ro", "rw", "nosuid", "nodev", "noexec", "sync", "dirsync", "noatime"};
  const auto flags = [&] {
    const mounting::MountEntry there = entry();
    std::set<std::string> found;
    std::istringstream words(there.options + "," + there.super_options);
    for (std::string word; std::getline(words, word, ',');) {
      if (all.contains(word)) found.insert(word);
    }
    return found;
  };
  using Flags = std::set<std::string>;
  const std::pair<const char*, Flags> cases[] = {
      {"rw,suid,dev,exec,async,atime", {"rw"}},
      {"nosuid,nodev", {"rw", "nosuid", "nodev"}},
      {"suid,nodev,noexec,noatime", {"rw", "nodev", "noexec", "noatime"}},
      {"sync,dirsync,suid,dev", {"rw", "sync", "dirsync"}},
  };
  for (const auto& [options, wanted] : cases) {
    restart("", {fmt::format("-o{}", options)});
    EXPECT_EQ(flags(), wanted) << options;
  }
  for (const char* option : {"-oro", "-r"}) {
    restart("", {option});
    EXPECT_TRUE(flags().contains("ro")) << option;
    EXPECT_EQ(failure_of(::mkdir(path("dir").c_str(), 0755)), EROFS);
    EXPECT_EQ(logged("mkdir"), 0);
  }
}

TEST_F(OptionTest, WhatIsInTheWayIsHiddenWhenToldTo) {
  write_file(path("in the way"), "");
  restart("", {"-ononempty"});
  EXPECT_NE(::access(path("in the way").c_str(), F_OK), 0);
}

TEST_F(OptionTest, TheMountGoesWithTheProgramWhenToldTo) {
  start("", {"-oauto_unmount"});
  mirror().signal(SIGKILL);
  EXPECT_EQ(mirror().wait(std::chrono::seconds(60)), 128 + SIGKILL);
  EXPECT_TRUE(eventually([this] { return !is_mounted(mountpoint()); }, std::chrono::seconds(60)));
}

// A file as a disk, until the end of the scope.
class LoopDevice {
 public:
  explicit LoopDevice(const std::filesystem::path& file) {
    const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    const int number = control ? ::ioctl(control.get(), LOOP_CTL_GET_FREE) : -1;
    if (number < 0) return;
    path_ = fmt::format("/dev/loop{}", number);
    const UniqueFd content(::open(file.c_str(), O_RDWR | O_CLOEXEC));
    device_ = UniqueFd(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
    if (device_ && ::ioctl(device_.get(), LOOP_SET_FD, content.get()) != 0) device_ = UniqueFd();
  }
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;
  ~LoopDevice() {
    if (device_) ::ioctl(device_.get(), LOOP_CLR_FD);
  }
  explicit operator bool() const { return static_cast<bool>(device_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  UniqueFd device_;
};

TEST_F(OptionTest, ADiskIsMountedAsOne) {
  write_file(root("file"), "text");
  write_file(directory() / "disk", std::string(1 << 20, '\0'));
  const LoopDevice disk(directory() / "disk");
  if (!disk) GTEST_SKIP() << "no loop device to be had";
  restart("", {fmt::format("-oblkdev,blksize=1024,fsname={},subtype=kind", disk.path())});
  EXPECT_EQ(entry().type, "fuseblk.kind");
  EXPECT_EQ(entry().source, disk.path());
  const UniqueFd file(::open(path("file").c_str(), O_RDONLY));
  int block = 0;
  EXPECT_EQ(::ioctl(file.get(), FIBMAP, &block), 0) << std::strerror(errno);
  EXPECT_EQ(logged("bmap /file"), 1) << log();
}

TEST_F(OptionTest, OperationsOnOpenFilesDoWithoutPathsIfTheProgramCan) {
  write_file(root("file"), "text");
  restart("nullpath_ok", {"-onopath"});
  EXPECT_EQ(text_of_file(path("file")), "text");
  EXPECT_EQ(logged("open /file"), 1);
  EXPECT_EQ(logged("read (null)"), 1) << log();
  restart("", {"-onopath"});
  EXPECT_EQ(text_of_file(path("file")), "text");
  EXPECT_EQ(logged("read /file"), 1) << log();
}

TEST_F(OptionTest, TheSignalOfAnInterruptIsChosen) {
  const auto catches = [this](int number) {
    const std::string text = text_of_file(fmt::format("/proc/{}/status", mirror().pid()));
    const std::size_t at = text.find("SigCgt:");
    return (std::stoull(text.substr(at + 7), nullptr, 16) >> (number - 1) & 1) != 0;
  };
  restart("", {});
  EXPECT_FALSE(catches(SIGUSR1));
  restart("", {"-ointr"});
  EXPECT_TRUE(catches(SIGUSR1));
  EXPECT_FALSE(catches(SIGUSR2));
  restart("", {fmt::format("-ointr,intr_signal={}", SIGUSR2)});
  EXPECT_TRUE(catches(SIGUSR2));
  EXPECT_FALSE(catches(SIGUSR1));
}

TEST_F(OptionTest, LayersStandOnEachOther) {
  const std::string below = "gr\xfc\xdf";  // in ISO-8859-1
  const std::string above = "gr\xc3\xbc\xc3\x9f";
  std::filesystem::create_directory(root(below));
  write_file(root(below) / below, "text");
  const std::string codes = "from_code=ISO-8859-1,to_code=UTF-8";
  // The first that is named is the innermost: its directory is in its own characters.
  for (const std::string& options : {fmt::format("-omodules=subdir:iconv,subdir={},{}", below, codes),
                                     fmt::format("-omodules=iconv:subdir,subdir={},{}", above, codes)}) {
    restart("", {options});
    EXPECT_EQ(text_of_file(path(above)), "text") << options;
    EXPECT_EQ(logged(fmt::format("open /{}/{}", below, below)), 1) << log();
    std::multiset<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(mountpoint())) names.insert(entry.path().filename());
    EXPECT_EQ(names, (std::multiset<std::string>{above}));
    EXPECT_EQ(::symlink(above.c_str(), path("link").c_str()), 0);
    EXPECT_EQ(std::filesystem::read_symlink(path("link")), above);
    EXPECT_EQ(std::filesystem::read_symlink(root(below) / "link"), below);
    EXPECT_EQ(::unlink(path("link").c_str()), 0);
  }
}

TEST_F(OptionTest, WithDTheProgramStaysInTheForeground) {
  Program program(command("mirror", {"-d", mountpoint()},
                          {{"MIRROR_ROOT", root("")}, {"MIRROR_LOG", directory() / "log"}, {"MIRROR", ""}}));
  ASSERT_TRUE(mounted(mountpoint(), program));
  EXPECT_EQ(::kill(program.pid(), 0), 0);
  EXPECT_NE(program.output().find("INIT"), std::string::npos);
  EXPECT_EQ(unmount(mountpoint(), program), 0);
}

TEST_F(OptionTest, WhatTheCallerIgnoresAndABrokenPipeDoNotEndTheProgram) {
  const auto start = command("mirror", {"-f", mountpoint()},
                             {{"MIRROR_ROOT", root("")}, {"MIRROR_LOG", directory() / "log"}, {"MIRROR", ""}});
  Program program([&start] {
    std::signal(SIGINT, SIG_IGN);  // as a shell does it for what it starts in the background
    return start();
  });
  ASSERT_TRUE(mounted(mountpoint(), program));
  for (const int number : {SIGINT, SIGPIPE}) program.signal(number);
  EXPECT_EQ(program.wait(std::chrono::milliseconds(100)), -1);
  EXPECT_EQ(::access(path("missing").c_str(), F_OK), -1);
  EXPECT_EQ(errno, ENOENT);
  program.signal(SIGTERM);
  EXPECT_EQ(program.wait(std::chrono::seconds(60)), 0) << program.output();
  EXPECT_FALSE(is_mounted(mountpoint()));
}

}  // namespace
}  // namespace fuselage::test

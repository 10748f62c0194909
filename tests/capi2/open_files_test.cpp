// What comes along with operations on open files and directories: the handle, and the path or none.
#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "base/unique_fd.hpp"
#include "capi2/c_program.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;
using ::testing::StartsWith;

struct Step {
  const char* operation;  // of the program, that the call leads to
  long (*call)(int fd);
};

long lock(int fd) {
  struct flock lock {};
  lock.l_type = F_RDLCK;
  return ::fcntl(fd, F_SETLK, &lock);
}

// The error of the handler is one of the events.
long poll_once(int fd) {
  ::pollfd wait{fd, POLLIN, 0};
  if (::poll(&wait, 1, 60000) != 1) return errno = ETIMEDOUT, -1;
  return wait.revents == POLLIN ? 0 : (errno = ENOENT, -1);
}

char buffer[4096];

const Step of_files[] = {
    {"write", [](int fd) -> long { return ::pwrite(fd, "text", 4, 0); }},
    {"read", [](int fd) -> long { return ::pread(fd, buffer, sizeof buffer, 0); }},
    {"fsync", [](int fd) -> long { return ::fsync(fd); }},
    {"ftruncate", [](int fd) -> long { return ::ftruncate(fd, 100); }},
    {"fgetattr", [](int fd) -> long { return ::ftruncate(fd, 90); }},  // the kernel wants to know what it became
    {"fallocate", [](int fd) -> long { return ::fallocate(fd, 0, 0, 200); }},
    {"lock", lock},
    {"flock", [](int fd) -> long { return ::flock(fd, LOCK_SH); }},
    {"ioctl", [](int fd) -> long { return ::ioctl(fd, _IO('E', 2), nullptr); }},
    {"poll", poll_once},
};

const Step of_directories[] = {
    {"readdir", [](int fd) -> long { return ::syscall(SYS_getdents64, fd, buffer, sizeof buffer); }},
    {"fsyncdir", [](int fd) -> long { return ::fsync(fd); }},
    {"ioctl", [](int fd) -> long { return ::ioctl(fd, _IO('E', 2), nullptr); }},
};

struct Mode {
  const char* name;
  const char* words;
  bool hard_remove;
  bool unlinked;  // while it is open
  const char* file;
  const char* directory;
};

void PrintTo(const Mode& mode, std::ostream* out) { *out << mode.name; }

// Where the operations fail, but for the two that must be called.
constexpr const char* none = "-";

class OpenFileTest : public MirrorTest, public ::testing::WithParamInterface<Mode> {
 protected:
  void SetUp() override {
    MirrorTest::SetUp();
    if (IsSkipped()) return;
    start(std::string("locks direct ") + GetParam().words,
          GetParam().hard_remove ? std::vector<std::string>{"-ohard_remove"} : std::vector<std::string>{});
  }

  /// Makes the calls, each of which gets `path` and the handle.
  void make(const Step& step, int fd, const std::string& path, const std::string& handle) {
    const int before = logged(step.operation);
    const int failure = failure_of(step.call(fd));
    if (path == none) {
      EXPECT_EQ(failure, ENOENT) << step.operation;
      EXPECT_EQ(logged(step.operation), before);
      return;
    }
    EXPECT_EQ(failure, 0) << step.operation;
    EXPECT_GT(logged(step.operation), before);
    is_about(last(step.operation), step.operation, path, handle);
  }
  static void is_about(const std::string& line, const std::string& operation, const std::string& path,
                       const std::string& handle) {
    EXPECT_THAT(line, StartsWith(operation + " " + path));
    EXPECT_EQ(field(line, "fh="), handle) << line;
  }
};

TEST_P(OpenFileTest, IsAskedAboutWithItsHandleAndAsMuchOfAPathAsTheProgramNeeds) {
  const Mode& mode = GetParam();
  UniqueFd created(::open(path("file").c_str(), O_CREAT | O_RDWR, 0600));
  UniqueFd opened(::open(path("file").c_str(), O_RDWR));
  ASSERT_GE(opened.get(), 0);
  const std::string handles[] = {field(last("create"), "fh="), field(last("open"), "fh=")};
  EXPECT_NE(handles[0], handles[1]);
  EXPECT_GE(std::stoull(handles[0], nullptr, 16), std::uint64_t{1} << 63);
  if (mode.unlinked) {
    EXPECT_EQ(::unlink(path("file").c_str()), 0);
  }
  for (const Step& step : of_files) make(step, opened.get(), mode.file, handles[1]);
  make(of_files[0], created.get(), mode.file, handles[0]);
  const bool nameless = std::string(mode.file) == none;
  EXPECT_EQ(::close(::dup(opened.get())), 0);
  is_about(last("flush"), "flush", nameless ? "(null)" : mode.file, handles[1]);
  opened.reset();
  ASSERT_TRUE(eventually_logged("release", 1));
  is_about(last("release"), "release", mode.file, handles[1]);
  created.reset();
  ASSERT_TRUE(eventually_logged("release", 2));
  is_about(last("release"), "release", mode.file, handles[0]);
}

TEST_P(OpenFileTest, IsAskedAboutAsADirectoryInTheSameManner) {
  const Mode& mode = GetParam();
  ASSERT_EQ(::mkdir(path("dir").c_str(), 0700), 0);
  UniqueFd other(::open(path("dir").c_str(), O_RDONLY | O_DIRECTORY));
  UniqueFd opened(::open(path("dir").c_str(), O_RDONLY | O_DIRECTORY));
  ASSERT_EQ(logged("opendir /dir"), 2);
  const std::string handle = field(last("opendir"), "fh=");
  EXPECT_NE(handle, field(lines("opendir").front(), "fh="));
  if (mode.unlinked) {
    EXPECT_EQ(::rmdir(path("dir").c_str()), 0);
  }
  for (const Step& step : of_directories) {
    // The kernel itself lists nothing of what is removed.
    if (!mode.unlinked || step.operation != std::string("readdir")) {
      make(step, opened.get(), mode.directory, handle);
    }
  }
  opened.reset();
  ASSERT_TRUE(eventually_logged("releasedir", 1));
  is_about(last("releasedir"), "releasedir", mode.directory, handle);
}

INSTANTIATE_TEST_SUITE_P(Mode, OpenFileTest,
                         ::testing::Values(Mode{"Named", "", false, false, "/file ", "/dir "},
                                           Mode{"NamedWithReservedFlags", "reserved", false, false, "/file ", "/dir "},
                                           Mode{"Nopath", "nopath", false, false, "(null) ", "(null) "},
                                           Mode{"Hidden", "", false, true, "/.fuse_hidden", none},
                                           Mode{"Removed", "", true, true, none, none},
                                           Mode{"RemovedWithReservedFlags", "reserved", true, true, none, none},
                                           Mode{"RemovedNullpathOk", "nullpath_ok", true, true, "(null) ", "(null) "},
                                           Mode{"RemovedNopath", "nopath", true, true, "(null) ", "(null) "}),
                         [](const auto& mode) { return mode.param.name; });

TEST_F(MirrorTest, ReleasesEachOpenFileOnceWithTheAccessItWasOpenedFor) {
  write_file(root("file"), "text");
  start();
  constexpr int threads = 8;
  constexpr int each = 30;
  static constexpr int access[] = {O_RDONLY, O_WRONLY, O_RDWR};
  {
    std::vector<std::jthread> all;
    for (int i = 0; i < threads; ++i) {
      all.emplace_back([this] {
        for (int j = 0; j < each; ++j) {
          EXPECT_GE(UniqueFd(::open(path("file").c_str(), access[j % 3])).get(), 0);
        }
      });
    }
  }
  EXPECT_TRUE(eventually_logged("release /file", threads * each));
  finish();
  EXPECT_EQ(logged("open /file"), threads * each);
  EXPECT_EQ(logged("release /file"), threads * each);
  for (const int mode : access) {
    EXPECT_EQ(logged(fmt::format("release /file flock=0 access={}", mode)), threads * each / 3) << mode;
  }
}

TEST_F(MirrorTest, FlushesAtTheEndOfAProcessButDoesNotSync) {
  write_file(root("file"), std::string(4096, 'x'));
  start();
  in_child([this] {
    const int file = ::open(path("file").c_str(), O_RDWR);  // nobody closes it, nor unmaps it
    void* const memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    static_cast<char*>(memory)[0] = 'y';
    EXPECT_EQ(logged("flush"), 0);
    return std::string();
  });
  EXPECT_TRUE(eventually_logged("release", 1));
  EXPECT_EQ(logged("flush /file"), 1);
  EXPECT_EQ(logged("fsync"), 0);
  EXPECT_EQ(text_of_file(root("file"))[0], 'y');
}

TEST_F(MirrorTest, LeavesPermissionsToTheProgram) {
  write_file(root("forbidden"), "");
  start();
  EXPECT_EQ(failure_of(::open(path("forbidden").c_str(), O_RDONLY)), EACCES);
  EXPECT_EQ(logged("release"), 0);
  std::filesystem::remove(root("forbidden"));
  std::filesystem::create_directory(root("forbidden"));
  EXPECT_TRUE(eventually([this] { return std::filesystem::is_directory(path("forbidden")); }));
  EXPECT_EQ(failure_of(::open(path("forbidden").c_str(), O_RDONLY | O_DIRECTORY)), EACCES);
  EXPECT_EQ(logged("opendir /forbidden"), 1);
  EXPECT_EQ(logged("releasedir"), 0);
}

}  // namespace
}  // namespace fuselage::test

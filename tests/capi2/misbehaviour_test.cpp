// Tables of the wrong size, and handlers that answer what no handler may answer: a clear message, an errno, and the
// program serves on.
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/unique_fd.hpp"
#include "capi2/c_program.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;

int failure_of(long result) { return result < 0 ? errno : 0; }

class UnrulyTest : public CProgramTest {
 protected:
  void start(const std::string& table = "") {
    mnt_ = make_directory();
    program_ = std::make_unique<Program>(command("unruly", {"-f", mnt_}, {{"UNRULY_TABLE", table}}));
    ASSERT_TRUE(eventually([this] { return is_mounted(mnt_); }, std::chrono::seconds(60))) << program_->output();
  }
  void TearDown() override {
    if (program_ != nullptr) {
      EXPECT_EQ(unmount(mnt_, *program_), 0) << program_->output();
    }
    CProgramTest::TearDown();
  }

  std::string path(const std::string& name) const { return mnt_ / name; }
  UniqueFd open(const std::string& name, int flags = O_RDWR) const {
    UniqueFd file(::open(path(name).c_str(), flags));
    EXPECT_TRUE(file) << name << ": " << std::strerror(errno);
    return file;
  }
  ::testing::AssertionResult says(const std::string& text) const {
    if (eventually([&] { return program_->output().find(text) != std::string::npos; }, std::chrono::seconds(60))) {
      return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure() << "not said: " << text << " in:\n" << program_->output();
  }
  ::testing::AssertionResult serves() const {
    struct stat status {};
    if (::stat(path("file").c_str(), &status) == 0) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << std::strerror(errno) << "\n" << program_->output();
  }

  std::filesystem::path mnt_;
  std::unique_ptr<Program> program_;
};

TEST_F(UnrulyTest, WithoutATableNothingIsImplemented) {
  for (const char* table : {"none", "nothing"}) {
    start(table);
    struct stat status {};
    EXPECT_EQ(failure_of(::stat(path("file").c_str(), &status)), ENOSYS) << table;
    EXPECT_EQ(failure_of(::mkdir(path("dir").c_str(), 0755)), ENOSYS) << table;
    EXPECT_EQ(unmount(mnt_, *program_), 0) << program_->output();
    program_.reset();
    std::filesystem::remove(mnt_);
  }
}

TEST_F(UnrulyTest, ATableOfANewerInterfaceIsReadAsFarAsItIsKnown) {
  start("newer");
  EXPECT_TRUE(serves());
  EXPECT_TRUE(says("fuse: the program knows more operations than this library: what is new is not called"));
}

// Every operation whose answer is a status, called for a name that ends with `number`: what its caller gets.
std::vector<std::pair<std::string, int>> ask_all(const std::filesystem::path& mnt, const std::string& number) {
  const std::string file = mnt / ("file" + number);
  const std::string fresh = mnt / ("new" + number);
  const std::string dir = mnt / ("dir" + number);
  const std::string attribute = "user.x" + number;
  struct stat status {};
  struct statvfs space {};
  char bytes[10] = {};
  std::vector<std::pair<std::string, int>> seen;
  const auto note = [&seen](const char* operation, long result) { seen.emplace_back(operation, failure_of(result)); };
  note("getattr", ::stat((mnt / ("stat" + number)).c_str(), &status));
  note("access", ::access(file.c_str(), R_OK));
  note("readlink", ::readlink((mnt / ("link" + number)).c_str(), bytes, sizeof bytes));
  note("mknod", ::mknod(fresh.c_str(), S_IFIFO | 0600, 0));
  note("mkdir", ::mkdir(fresh.c_str(), 0755));
  note("unlink", ::unlink(file.c_str()));
  note("rmdir", ::rmdir(dir.c_str()));
  note("symlink", ::symlink("target", fresh.c_str()));
  note("rename", ::rename((mnt / "file").c_str(), fresh.c_str()));
  note("link", ::link((mnt / "file").c_str(), fresh.c_str()));
  note("chmod", ::chmod(file.c_str(), 0600));
  note("chown", ::chown(file.c_str(), 1, 1));
  note("truncate", ::truncate(file.c_str(), 1));
  note("utimens", ::utimensat(AT_FDCWD, file.c_str(), nullptr, 0));
  note("statfs", ::statvfs(file.c_str(), &space));
  note("open", ::open((mnt / ("open" + number)).c_str(), O_RDONLY));
  note("create", ::open(fresh.c_str(), O_CREAT | O_RDWR, 0600));
  note("setxattr", ::setxattr(file.c_str(), attribute.c_str(), "", 0, 0));
  note("removexattr", ::removexattr(file.c_str(), attribute.c_str()));
  note("opendir", ::open((mnt / ("dir_open" + number)).c_str(), O_RDONLY | O_DIRECTORY));
  const UniqueFd directory(::open(dir.c_str(), O_RDONLY | O_DIRECTORY));
  note("readdir", ::getdents64(directory.get(), bytes, sizeof bytes));
  note("fsyncdir", ::fsync(directory.get()));
  const int handle = ::open(file.c_str(), O_RDWR);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  note("lock", ::fcntl(handle, F_SETLK, &lock));
  note("flock", ::flock(handle, LOCK_EX | LOCK_NB));
  note("fsync", ::fsync(handle));
  note("fallocate", ::fallocate(handle, 0, 0, 10));
  note("flush", ::close(handle));
  return seen;
}

TEST_F(UnrulyTest, NumbersThatAreNoErrnoAreToldAndBecomeErange) {
  start();
  for (const std::string number : {"5", "-5000", "-2147483648"}) {
    for (const auto& [operation, error] : ask_all(mnt_, "-" + number)) {
      EXPECT_EQ(error, ERANGE) << operation << " " << number;
      const bool changes = operation == "chmod" || operation == "chown" || operation == "truncate" ||
                           operation == "utimens";  // one message for the four
      const std::string name = changes ? "chmod, chown, truncate or utimens" : operation;
      EXPECT_TRUE(says(fmt::format("fuse: {} returned {}: neither 0 nor a negative errno\n", name, number)));
    }
  }
  EXPECT_TRUE(serves());
}

TEST_F(UnrulyTest, ErrnosPassForEveryOperation) {
  start();
  for (const auto& [operation, error] : ask_all(mnt_, "--75")) EXPECT_EQ(error, EOVERFLOW) << operation;
  EXPECT_EQ(program_->output(), "");
}

TEST_F(UnrulyTest, AttributesOfAnOpenFileAreNoException) {
  start();
  EXPECT_EQ(failure_of(::ftruncate(open("fstat-5").get(), 10)), ERANGE);
  EXPECT_TRUE(says("fuse: getattr returned 5"));
}

TEST_F(UnrulyTest, CountsThatAreTooLargeAreEio) {
  start();
  char bytes[100];
  for (const std::string number : {"101", "2147483647"}) {
    const UniqueFd file = open("file-" + number);
    EXPECT_EQ(failure_of(::pread(file.get(), bytes, sizeof bytes, 0)), EIO) << number;
    EXPECT_TRUE(says(fmt::format("read gave {} bytes where 100 were asked for", number)));
    EXPECT_EQ(failure_of(::pwrite(file.get(), bytes, sizeof bytes, 0)), EIO) << number;
    EXPECT_TRUE(says("the handler says it wrote more than it was given"));
  }
  for (const std::string number : {"-5000", "-2147483648"}) {
    const UniqueFd file = open("file-" + number);
    EXPECT_EQ(failure_of(::pread(file.get(), bytes, sizeof bytes, 0)), ERANGE) << number;
    EXPECT_EQ(failure_of(::pwrite(file.get(), bytes, sizeof bytes, 0)), ERANGE) << number;
    EXPECT_EQ(failure_of(::ioctl(file.get(), _IO('U', 1))), ERANGE) << number;
    for (const char* operation : {"read", "write", "ioctl"}) {
      EXPECT_TRUE(says(fmt::format("fuse: {} returned {}", operation, number)));
    }
  }
  EXPECT_EQ(::ioctl(open("file-12345").get(), _IO('U', 1)), 12345);  // which may be anything
  EXPECT_TRUE(serves());
}

TEST_F(UnrulyTest, AttributesAndListsThatAreTooLargeAreErange) {
  start();
  std::string value(100000, '\0');
  const auto get = [&](const std::string& name, std::size_t size) {
    return ::getxattr(path("file").c_str(), name.c_str(), value.data(), size);
  };
  EXPECT_EQ(get("user.x-65536", 0), 65536);
  EXPECT_EQ(get("user.x-65536", 65536), 65536);
  EXPECT_EQ(failure_of(get("user.x-65536", 65535)), ERANGE);
  EXPECT_EQ(failure_of(get("user.x-65537", 0)), ERANGE);
  EXPECT_EQ(failure_of(get("user.x-2147483647", 100)), ERANGE);
  EXPECT_EQ(failure_of(get("user.x--5000", 100)), ERANGE);
  EXPECT_TRUE(says("fuse: getxattr returned -5000"));
  const auto list = [&](const std::string& name, std::size_t size) {
    return ::listxattr(path(name).c_str(), value.data(), size);
  };
  EXPECT_EQ(list("file-10", 100), 11);  // the NUL that was missing
  EXPECT_EQ(std::string(value.c_str()), "nnnnnnnnnn");
  EXPECT_EQ(failure_of(list("file-65537", 0)), ERANGE);
  EXPECT_EQ(failure_of(list("file--5000", 0)), ERANGE);
  EXPECT_TRUE(says("fuse: listxattr returned -5000"));
  EXPECT_TRUE(serves());
}

TEST_F(UnrulyTest, ALinkWithoutANulEndsWithTheBuffer) {
  start();
  EXPECT_EQ(std::filesystem::read_symlink(path("link-full")), std::string(4095, 'x'));
}

TEST_F(UnrulyTest, NamesThatNoDirectoryCanHoldFailTheListing) {
  start();
  for (const char* kind : {"empty", "slash", "long", "longer"}) {
    const UniqueFd directory = open(std::string("dir:") + kind, O_RDONLY | O_DIRECTORY);
    char entries[4096];
    EXPECT_EQ(failure_of(::getdents64(directory.get(), entries, sizeof entries)), EIO) << kind;
  }
  EXPECT_TRUE(says("the handler added a name that no directory can hold"));
  const UniqueFd directory = open("dir:mixed", O_RDONLY | O_DIRECTORY);
  char entries[4096];
  EXPECT_EQ(failure_of(::getdents64(directory.get(), entries, sizeof entries)), EIO);
  EXPECT_TRUE(says("readdir added names with and without an offset"));
  EXPECT_TRUE(serves());
}

std::multiset<std::string> names_of(const std::string& path) {
  std::multiset<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(path.c_str()), ::closedir);
  while (const dirent* const entry = stream ? ::readdir(stream.get()) : nullptr) names.insert(entry->d_name);
  return names;
}

TEST_F(UnrulyTest, OddNamesThatAreNamesAreListed) {
  start();
  EXPECT_EQ(names_of(path("dir:longest")), (std::multiset<std::string>{std::string(255, 'x')}));
  EXPECT_EQ(names_of(path("dir:dots")), (std::multiset<std::string>{".", "..", ".", "..."}));
}

TEST_F(UnrulyTest, AHandlerThatGoesOnWhenThereIsNoRoomListsEachNameOnce) {
  start();
  std::multiset<std::string> all;
  for (int i = 0; i < 3000; ++i) all.insert(fmt::format("name{:04}", i));
  EXPECT_EQ(names_of(path("dir:deaf")), all);
}

TEST_F(UnrulyTest, APollThatFailsIsAnError) {
  start();
  for (const char* name : {"file-5", "file--5"}) {
    const UniqueFd file = open(name);
    ::pollfd wait{file.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&wait, 1, 60000), 1);
    EXPECT_EQ(wait.revents & POLLERR, POLLERR) << name;
  }
  EXPECT_TRUE(says("fuse: poll returned 5"));
}

}  // namespace
}  // namespace fuselage::test

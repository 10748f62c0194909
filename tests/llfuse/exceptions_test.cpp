// Handlers that throw: what the caller gets, and what `main` and `close` throw.
#include <dirent.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include <array>
#include <future>
#include <latch>
#include <vector>

#include "llfuse/notes.hpp"

namespace fuselage::test {
namespace {

using namespace std::chrono_literals;

// The handler that is said to be bad throws, or does what else `set_badly` says; the others do what is asked.
class Throwing : public llfuse::Operations {
 public:
  using Ctx = llfuse::RequestContext;
  using Attr = llfuse::EntryAttributes;
  using Ino = std::uint64_t;
  using Name = std::string_view;

  void set_bad(std::string name) {
    const std::lock_guard lock(mutex_);
    bad_ = std::move(name);
  }
  void set_badly(std::function<void()> function) {
    const std::lock_guard lock(mutex_);
    badly_ = std::move(function);
  }

  void init() override { in("init"); }
  void destroy() override { in("destroy"); }
  Attr lookup(Ino, Name name, const Ctx&) override {
    if (name == "other") in("lookup");
    if (name.starts_with("new")) throw llfuse::FUSEError(ENOENT);
    return name == "dir" ? attr(3, S_IFDIR) : name == "link" ? attr(4, S_IFLNK) : attr(2, S_IFREG);
  }
  void forget(std::span<const llfuse::Forgotten>) override { in("forget"); }
  Attr getattr(Ino inode, const Ctx&) override { return in("getattr"), attr(inode, inode == 2 ? S_IFREG : S_IFDIR); }
  Attr setattr(Ino inode, const Attr&, const llfuse::SetattrFields&, std::optional<std::uint64_t>,
               const Ctx&) override {
    return in("setattr"), attr(inode, S_IFREG);
  }
  std::string readlink(Ino, const Ctx&) override { return in("readlink"), "x"; }
  Attr mknod(Ino, Name, ::mode_t mode, ::dev_t, const Ctx&) override { return in("mknod"), attr(9, mode); }
  Attr mkdir(Ino, Name, ::mode_t mode, const Ctx&) override { return in("mkdir"), attr(9, mode); }
  void unlink(Ino, Name, const Ctx&) override { in("unlink"); }
  void rmdir(Ino, Name, const Ctx&) override { in("rmdir"); }
  Attr symlink(Ino, Name, Name, const Ctx&) override { return in("symlink"), attr(9, S_IFLNK); }
  void rename(Ino, Name, Ino, Name, const Ctx&) override { in("rename"); }
  Attr link(Ino inode, Ino, Name, const Ctx&) override { return in("link"), attr(inode, S_IFREG); }
  std::uint64_t open(Ino, int, const Ctx&) override { return in("open"), 1; }
  std::string read(std::uint64_t, std::uint64_t, std::size_t) override { return in("read"), "x"; }
  std::size_t write(std::uint64_t, std::uint64_t, Bytes buf) override { return in("write"), buf.size(); }
  void flush(std::uint64_t) override { in("flush"); }
  void release(std::uint64_t) override { in("release"); }
  void fsync(std::uint64_t, bool) override { in("fsync"); }
  std::uint64_t opendir(Ino, const Ctx&) override { return in("opendir"), 1; }
  void readdir(std::uint64_t, std::uint64_t, const llfuse::Yield&) override { in("readdir"); }
  void releasedir(std::uint64_t) override { in("releasedir"); }
  void fsyncdir(std::uint64_t, bool) override { in("fsyncdir"); }
  llfuse::StatvfsData statfs(const Ctx&) override { return in("statfs"), llfuse::StatvfsData(); }
  void setxattr(Ino, Name, Bytes, const Ctx&) override { in("setxattr"); }
  std::string getxattr(Ino, Name, const Ctx&) override { return in("getxattr"), "x"; }
  std::vector<std::string> listxattr(Ino, const Ctx&) override { return in("listxattr"), std::vector<std::string>(); }
  void removexattr(Ino, Name, const Ctx&) override { in("removexattr"); }
  bool access(Ino, int, const Ctx&) override { return in("access"), true; }
  std::pair<std::uint64_t, Attr> create(Ino, Name, ::mode_t mode, int, const Ctx&) override {
    return in("create"), std::pair(1, attr(9, mode));
  }

 private:
  void in(const char* name) {
    std::function<void()> now;
    {
      const std::lock_guard lock(mutex_);
      if (bad_ == name) now = badly_;
    }
    if (now) now();
  }
  static Attr attr(Ino inode, ::mode_t mode) {
    Attr result;
    result.st_ino = inode;
    result.st_mode = (mode & 07777) != 0 ? mode : mode | 0755;
    result.st_size = 5;
    result.attr_timeout = result.entry_timeout = 0;
    return result;
  }

  std::mutex mutex_;
  std::string bad_;                                                                  // guarded by mutex_
  std::function<void()> badly_ = [] { throw std::domain_error("of the handler"); };  // guarded by mutex_
};

class LlfuseExceptions : public Llfuse {
 protected:
  // The errno of what is done to an open file, or of opening or closing it.
  int opened(const std::function<ssize_t(int)>& act, int flags = O_RDWR, const char* name = "file") const {
    const int fd = ::open(path(name).c_str(), flags | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    const int acted = failure(act(fd));
    const int closed = failure(::close(fd));
    return acted != 0 ? acted : closed;
  }
  static ssize_t nothing(int) { return 0; }

  struct Case {
    const char* handler;
    std::function<int()> ask;
    int error = EIO;
  };
  std::vector<Case> cases() const {
    static char byte = 'x';
    return {
        {"lookup", [this] { return stat_error(path("other")); }},
        {"getattr", [this] { return stat_error(path("")); }},
        {"setattr", [this] { return failure(::chmod(path("file").c_str(), 0600)); }},
        {"readlink", [this] { return failure(::readlink(path("link").c_str(), &byte, 1)); }},
        {"mknod", [this] { return failure(::mkfifo(path("new").c_str(), 0600)); }},
        {"mkdir", [this] { return failure(::mkdir(path("new").c_str(), 0700)); }},
        {"unlink", [this] { return failure(::unlink(path("file").c_str())); }},
        {"rmdir", [this] { return failure(::rmdir(path("dir").c_str())); }},
        {"symlink", [this] { return failure(::symlink("x", path("new").c_str())); }},
        {"rename", [this] { return failure(::rename(path("file").c_str(), path("new").c_str())); }},
        {"link", [this] { return failure(::link(path("file").c_str(), path("new").c_str())); }},
        {"open", [this] { return opened(nothing); }},
        {"read", [this] { return opened([](int fd) { return ::pread(fd, &byte, 1, 0); }, O_RDONLY | O_DIRECT); }},
        {"write", [this] { return opened([](int fd) { return ::pwrite(fd, &byte, 1, 0); }); }},
        {"flush", [this] { return opened(nothing); }},
        {"release", [this] { return opened(nothing); }, 0},
        {"fsync", [this] { return opened(::fsync); }},
        {"opendir", [this] { return opened(nothing, O_RDONLY | O_DIRECTORY, ""); }},
        {"readdir", [this] { return listed(); }},
        {"releasedir", [this] { return opened(nothing, O_RDONLY | O_DIRECTORY, ""); }, 0},
        {"fsyncdir", [this] { return opened(::fsync, O_RDONLY | O_DIRECTORY, ""); }},
        {"statfs", [this] { return statvfs_error(); }},
        {"setxattr", [this] { return failure(::setxattr(path("file").c_str(), "user.x", "1", 1, 0)); }},
        {"getxattr", [this] { return failure(::getxattr(path("file").c_str(), "user.x", nullptr, 0)); }},
        {"listxattr", [this] { return failure(::listxattr(path("file").c_str(), nullptr, 0)); }},
        {"removexattr", [this] { return failure(::removexattr(path("file").c_str(), "user.x")); }},
        {"access", [this] { return failure(::access(path("file").c_str(), R_OK)); }},
        {"create", [this] { return opened(nothing, O_RDWR | O_CREAT, "new"); }},
        {"forget", [this] { return failure(::rmdir(path("dir").c_str())); }, 0},
    };
  }
  int listed() const {
    std::array<char, 4096> entries;
    return opened([&](int fd) { return ::getdents64(fd, entries.data(), entries.size()); }, O_DIRECTORY, "");
  }
  int statvfs_error() const {
    struct ::statvfs space {};
    return failure(::statvfs(mountpoint_.c_str(), &space));
  }

  Throwing throwing_;
};

TEST_F(LlfuseExceptions, in_any_handler_are_thrown_by_main_and_the_caller_gets_EIO) {
  for (const Case& each : cases()) {
    throwing_.set_bad(each.handler);
    serve(throwing_, {"fsname=throwing"});
    // On its way out it may wait for another answer, which comes with the end of the mount.
    auto client = std::async(std::launch::async, each.ask);
    EXPECT_THROW(ended(), std::domain_error) << each.handler;
    close();
    EXPECT_EQ(client.get(), each.error) << each.handler;
  }
}

TEST_F(LlfuseExceptions, of_the_right_kind_are_answers) {
  throwing_.set_badly([] { throw llfuse::FUSEError(EXDEV); });
  for (const Case& each : cases()) {
    throwing_.set_bad(each.handler);
    serve(throwing_, {"fsname=throwing"});
    EXPECT_EQ(each.ask(), each.error == EIO ? EXDEV : 0) << each.handler;
    throwing_.set_bad("");
    llfuse::stop();
    EXPECT_EQ(ended(), std::nullopt) << each.handler;
    close();
  }
}

TEST_F(LlfuseExceptions, with_numbers_that_are_no_errnos_are_EIO) {
  for (const int number : {0, -5, 100'000}) {
    throwing_.set_bad("getattr");
    throwing_.set_badly([=] { throw llfuse::FUSEError(number); });
    serve(throwing_);
    EXPECT_EQ(stat_error(mountpoint_), EIO) << number;
    llfuse::stop();
    EXPECT_EQ(ended(), std::nullopt) << number;
    close();
  }
}

TEST_F(LlfuseExceptions, several_at_once_leave_the_first_to_main) {
  std::latch both_in(2);
  std::promise<void> first_is_out;
  std::atomic<int> turns{0};
  throwing_.set_bad("getattr");
  throwing_.set_badly([&, out = first_is_out.get_future().share()] {
    const int turn = ++turns;
    both_in.arrive_and_wait();
    if (turn == 2) out.wait();
    throw std::domain_error(turn == 1 ? "first" : "second");
  });
  serve(throwing_);
  std::atomic<bool> told{false};
  const auto ask = [&] {
    const int error = stat_error(mountpoint_);
    if (!told.exchange(true)) first_is_out.set_value();
    return error;
  };
  auto one = std::async(std::launch::async, ask);
  auto other = std::async(std::launch::async, ask);
  EXPECT_EQ(one.get(), EIO);
  EXPECT_EQ(other.get(), EIO);
  try {
    ended();
    FAIL() << "no exception";
  } catch (const std::domain_error& error) {
    EXPECT_STREQ(error.what(), "first");
  }
}

TEST_F(LlfuseExceptions, of_init_are_thrown_by_main_and_of_destroy_by_close) {
  throwing_.set_bad("init");
  serve(throwing_);
  EXPECT_THROW(ended(), std::domain_error);
  close();
  throwing_.set_bad("destroy");
  serve(throwing_);
  EXPECT_EQ(stat_error(mountpoint_), 0);
  llfuse::stop();
  ended();
  EXPECT_THROW(close(), std::domain_error);
  EXPECT_FALSE(is_mounted(mountpoint_));
}

}  // namespace
}  // namespace fuselage::test

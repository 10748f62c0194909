// Readiness, control calls, errors, interrupts: what a small file system of one's own can do.
#include <linux/fs.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <vector>

#include "client_syscalls/memory_mount.hpp"
#include "support/log_lines.hpp"
#include "support/loop_device.hpp"
#include "support/shelf.hpp"

namespace fuselage::test {
namespace {

using base::UniqueFd;
using namespace std::chrono_literals;

class SmallMount : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (!IsSkipped()) path_ = make_directory();
  }
  std::filesystem::path path_;
};

// "file" becomes readable when the test says so.
class Pollable : public Shelf {
 public:
  Result<void> init(Negotiation& negotiation) override {
    notifier_ = negotiation.notifier;
    return {};
  }
  Reply<std::uint32_t> poll(const Context&, Ino, const OpenFile&, std::uint32_t events, PollHandle wake) override {
    const std::lock_guard lock(mutex_);
    asked_ = events;
    if (wake != PollHandle{}) waiting_.push_back(wake);
    return ready_ ? std::uint32_t{POLLIN} : std::uint32_t{0};
  }

  void make_ready() {
    const std::lock_guard lock(mutex_);
    ready_ = true;
    for (const PollHandle wake : std::exchange(waiting_, {})) EXPECT_TRUE(notifier_.poll(wake));
  }
  bool is_waited_for() {
    const std::lock_guard lock(mutex_);
    return !waiting_.empty();
  }
  std::uint32_t asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  Notifier notifier_;
  std::mutex mutex_;
  bool ready_ = false;
  std::uint32_t asked_ = 0;
  std::vector<PollHandle> waiting_;
};

TEST_F(SmallMount, poll_wakes_when_notified) {
  Pollable file_system;
  const Served served(file_system, path_);
  const UniqueFd fd = open_file(served.path("file"), O_RDONLY);
  ::pollfd none{fd.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&none, 1, 0), 0);
  std::vector<std::thread> pollers;
  for (int i = 0; i < 3; ++i) {
    pollers.emplace_back([&] {
      const UniqueFd own = open_file(served.path("file"), O_RDONLY);
      ::pollfd wait{own.get(), POLLIN, 0};
      EXPECT_EQ(::poll(&wait, 1, 10000), 1);
      EXPECT_EQ(wait.revents, POLLIN);
    });
  }
  const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  ::epoll_event event{};
  event.events = EPOLLIN;
  ASSERT_EQ(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &event), 0);
  EXPECT_EQ(::epoll_wait(epoll.get(), &event, 1, 0), 0);
  EXPECT_TRUE(eventually([&] { return file_system.is_waited_for(); }));
  EXPECT_TRUE((file_system.asked() & POLLIN) != 0);
  std::this_thread::sleep_for(50ms);
  file_system.make_ready();
  for (auto& poller : pollers) poller.join();
  EXPECT_EQ(::epoll_wait(epoll.get(), &event, 1, 10000), 1);
}

TEST_F(SmallMount, files_without_poll_are_always_ready) {
  Shelf file_system;
  const Served served(file_system, path_);
  const UniqueFd fd = open_file(served.path("file"), O_RDWR);
  ::pollfd wait{fd.get(), POLLIN | POLLOUT, 0};
  EXPECT_EQ(::poll(&wait, 1, 1000), 1);
  EXPECT_EQ(wait.revents, POLLIN | POLLOUT);
}

struct Pair {
  int a;
  int b;
};
constexpr unsigned long cmd_none = _IO('x', 1);
constexpr unsigned long cmd_in = _IOW('x', 2, Pair);
constexpr unsigned long cmd_out = _IOR('x', 3, Pair);
constexpr unsigned long cmd_both = _IOWR('x', 4, Pair);

class Controlled : public Shelf {
 public:
  Reply<IoctlReply> ioctl(const Context&, Ino, const OpenFile&, const IoctlCall& call) override {
    IoctlReply reply;
    directory = call.directory;
    switch (call.command) {
      case cmd_none:
        reply.result = static_cast<int>(call.argument);
        return reply;
      case cmd_in: {
        Pair pair{};
        std::memcpy(&pair, call.input.data(), call.input.size());
        reply.result = pair.a + pair.b;
        return reply;
      }
      case cmd_out:
        reply.output = Data::own(std::string("\1\0\0\0\2\0\0\0", call.output_size));
        return reply;
      case cmd_both:
        reply.output = Data::own(std::string(text_of(call.input)));
        return reply;
      default:
        return Error{ENOTTY};
    }
  }
  std::atomic<bool> directory{false};
};

TEST_F(SmallMount, ioctl_carries_what_the_command_says) {
  Controlled file_system;
  const Served served(file_system, path_);
  const UniqueFd fd = open_file(served.path("file"), O_RDWR);
  Pair pair{3, 4};
  EXPECT_EQ(::ioctl(fd.get(), cmd_none, 42), 42);
  EXPECT_EQ(::ioctl(fd.get(), cmd_in, &pair), 7);
  EXPECT_EQ(::ioctl(fd.get(), cmd_both, &pair), 0);
  EXPECT_EQ(pair.a, 3);
  EXPECT_EQ(::ioctl(fd.get(), cmd_out, &pair), 0);
  EXPECT_EQ(pair.a, 1);
  EXPECT_EQ(pair.b, 2);
  EXPECT_EQ(failure(::ioctl(fd.get(), _IO('x', 9))), ENOTTY);
  EXPECT_EQ(failure(::ioctl(fd.get(), cmd_in, nullptr)), EFAULT);
  EXPECT_FALSE(file_system.directory);
  const UniqueFd directory = open_file(path_, O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(::ioctl(directory.get(), cmd_none, 1), 1);
  EXPECT_TRUE(file_system.directory);
}

TEST_F(SmallMount, ioctl_is_unknown_without_a_handler) {
  Shelf file_system;
  const Served served(file_system, path_);
  EXPECT_EQ(failure(::ioctl(open_file(served.path("file"), O_RDONLY).get(), cmd_none, 0)), ENOTTY);
}

// Looking up "eN" fails with errno N.
class Failing : public Shelf {
 public:
  Reply<Entry> lookup(const Context&, Ino, std::string_view name) override {
    return Error{std::stoi(std::string(name.substr(1)))};
  }
};

TEST_F(SmallMount, every_errno_reaches_the_caller) {
  Failing file_system;
  const Served served(file_system, path_);
  struct stat status {};
  // ECHILD is the kernel's own sign for "not without blocking"; what follows EHWPOISON is nobody's.
  for (int error = 1; error <= EHWPOISON; ++error) {
    if (error == ECHILD) continue;
    EXPECT_EQ(failure(::stat(served.path("e" + std::to_string(error)).c_str(), &status)), error);
  }
}

TEST_F(SmallMount, numbers_that_the_kernel_does_not_take_for_an_errno_become_eio) {
  const LogLines log;
  Failing file_system;
  const Served served(file_system, path_);
  struct stat status {};
  for (const int error : {-1, 0, 512, 513, 1000, 4095, 4096}) {
    EXPECT_EQ(failure(::stat(served.path("e" + std::to_string(error)).c_str(), &status)), EIO) << error;
  }
}

// Its only file is slow, and says whether it was interrupted.
class Slow : public Shelf {
 public:
  Reply<Opened> open(const Context&, Ino, OpenFlags) override { return Opened{.direct_io = true}; }
  Reply<Data> read(const Context& context, Ino, const OpenFile&, Range) override {
    const auto end = std::chrono::steady_clock::now() + 5s;
    while (std::chrono::steady_clock::now() < end) {
      if (context.interrupted()) {
        ++interrupted;
        return Error{EINTR};
      }
      std::this_thread::sleep_for(5ms);
    }
    return Data::borrow(text());
  }
  std::atomic<int> interrupted{0};
};

TEST_F(SmallMount, a_signal_interrupts_a_slow_call) {
  Slow file_system;
  Served served(file_system, path_, {.allow_other = true});
  for (const uid_t user : {0u, nobody}) {
    as_user(user, path_, [] {
      struct ::sigaction nothing {};
      nothing.sa_handler = [](int) {};
      ::sigaction(SIGALRM, &nothing, nullptr);
      const UniqueFd fd = open_file("file", O_RDONLY);
      ::ualarm(50000, 0);
      char byte = 0;
      EXPECT_EQ(failure(::read(fd.get(), &byte, 1)), EINTR);
    });
  }
  EXPECT_EQ(file_system.interrupted, 2);
  EXPECT_EQ(served.session().statistics().interrupts, 2u);
}

TEST_F(SmallMount, what_is_not_implemented_fails_cleanly) {
  Shelf file_system;
  const Served served(file_system, path_);
  const auto file = served.path("file");
  EXPECT_EQ(read_file(file), "Hello, world!\n");
  EXPECT_NE(failure(::mkdir(served.path("x").c_str(), 0755)), 0);
  EXPECT_NE(failure(::unlink(file.c_str())), 0);
  EXPECT_NE(failure(::chmod(file.c_str(), 0600)), 0);
  EXPECT_NE(failure(::open(served.path("x").c_str(), O_CREAT | O_WRONLY, 0644)), 0);
  EXPECT_EQ(failure(::setxattr(file.c_str(), "user.x", "", 0, 0)), EOPNOTSUPP);
  EXPECT_EQ(failure(::listxattr(file.c_str(), nullptr, 0)), EOPNOTSUPP);
  const UniqueFd fd = open_file(file, O_RDWR);
  EXPECT_EQ(failure(::fsync(fd.get())), 0);
  EXPECT_EQ(failure(::fallocate(fd.get(), 0, 0, 10)), EOPNOTSUPP);
  EXPECT_EQ(::lseek(fd.get(), 0, SEEK_HOLE), 14);
  EXPECT_NE(failure(::write(fd.get(), "x", 1)), 0);
  EXPECT_EQ(failure(::access(file.c_str(), W_OK)), 0);
  EXPECT_EQ(failure(::open(path_.c_str(), O_TMPFILE | O_RDWR, 0600)), EOPNOTSUPP);
  struct ::statfs status {};
  EXPECT_EQ(failure(::statfs(path_.c_str(), &status)), 0);
  EXPECT_EQ(status.f_namelen, 255);
}

class Blocks : public Shelf {
 public:
  Reply<std::uint64_t> bmap(const Context&, Ino, std::uint32_t block_size, std::uint64_t block) override {
    asked_size = block_size;
    return block + 1000;
  }
  Reply<void> syncfs(const Context&, Ino ino) override {
    synced = ino == root_ino;
    return {};
  }
  std::atomic<std::uint32_t> asked_size{0};
  std::atomic<bool> synced{false};
};

TEST_F(SmallMount, on_a_block_device_has_bmap_and_syncfs) {
  const LoopDevice device(directory() / "image", 1 << 20);
  if (!device.obstacle().empty()) GTEST_SKIP() << device.obstacle();
  Blocks file_system;
  const Served served(file_system, path_, {.fsname = device.name(), .blkdev = true, .blksize = 1024});
  const UniqueFd fd = open_file(served.path("file"), O_RDONLY);
  int block = 7;
  EXPECT_EQ(failure(::ioctl(fd.get(), FIBMAP, &block)), 0);
  EXPECT_EQ(block, 1007);
  // Since 6.17 the kernel takes whole pages (fuse_fill_super_common).
  EXPECT_TRUE(file_system.asked_size == 1024 || file_system.asked_size == 4096) << file_system.asked_size;
  EXPECT_EQ(failure(::syncfs(fd.get())), 0);
  EXPECT_TRUE(file_system.synced);
}

TEST_F(SmallMount, without_a_block_device_has_no_bmap) {
  Blocks file_system;
  const Served served(file_system, path_);
  int block = 7;
  ::ioctl(open_file(served.path("file"), O_RDONLY).get(), FIBMAP, &block);
  EXPECT_NE(block, 1007);
  EXPECT_EQ(file_system.asked_size, 0u);
}

}  // namespace
}  // namespace fuselage::test

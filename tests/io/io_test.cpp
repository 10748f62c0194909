// The system calls that coroutine handlers wait for, through a real mount and without io_uring.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <functional>
#include <fuselage/io.hpp>
#include <fuselage/session.hpp>
#include <fuselage/testing/fake_kernel.hpp>
#include <map>
#include <optional>
#include <thread>

#include "base/unique_fd.hpp"
#include "uring/ring_mount.hpp"

namespace fuselage::test {
namespace {

using namespace std::chrono_literals;

/// A pair of connected sockets, or the two ends of a pipe.
struct Ends {
  base::UniqueFd ours;
  base::UniqueFd theirs;

  static Ends sockets() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) throw std::runtime_error("socketpair");
    return {base::UniqueFd(fds[0]), base::UniqueFd(fds[1])};
  }
};

/// Each file does one thing when it is read, as a coroutine, and its content is what came of it.
class Doing : public Shelf {
 public:
  using Text = Result<std::string>;
  using Deed = std::function<Reply<std::string>(const Context&)>;

  explicit Doing(Deed deed) : Shelf({"file"}), deed_(std::move(deed)) {}

  Reply<Opened> open(const Context&, Ino, OpenFlags) override { return Opened{.direct_io = true}; }
  Reply<void> flush(const Context&, Ino, const OpenFile&) override { return {}; }
  Reply<Data> read(const Context& context, Ino, const OpenFile&, Range range) override {
    ++begun;
    const Result<std::string> text = co_await deed_(context);
    ++ended;
    if (!text) co_return text.error();
    co_return Data::own(std::string(text_of(slice(*text, range))));
  }

  std::atomic<int> begun{0};
  std::atomic<int> ended{0};

 private:
  Deed deed_;
};

Bytes bytes_of(std::string_view text) { return {reinterpret_cast<const std::byte*>(text.data()), text.size()}; }

/// Over both transports.
class IoTest : public MountTest, public ::testing::WithParamInterface<Transport> {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped() || GetParam() != Transport::uring) return;
    if (const std::string why = why_no_ring(); !why.empty()) GTEST_SKIP() << why;
  }

  static SessionOptions options(unsigned max_threads = 10) {
    SessionOptions options;
    options.transport = GetParam();
    options.max_threads = max_threads;
    return options;
  }

  // What reading the file gives: the text, or "errno: " and its name.
  static std::string read(const std::filesystem::path& path) {
    const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return std::string("open: ") + ::strerrorname_np(errno);
    char text[256];
    const ssize_t size = ::read(fd.get(), text, sizeof text);
    return size < 0 ? ::strerrorname_np(errno) : std::string(text, static_cast<std::size_t>(size));
  }

  // The same through a mount of its own, with as few threads as there can be as well.
  void expect(Doing::Deed deed, const std::string& text) {
    for (const unsigned threads : {10u, 1u}) {
      if (threads == 1 && GetParam() == Transport::uring) continue;
      Doing files(deed);
      Served served(files, make_directory("mnt" + std::to_string(mounts_++)), {}, options(threads));
      EXPECT_EQ(read(served.path("file")), text) << threads << " threads";
    }
  }

 private:
  int mounts_ = 0;
};

TEST_P(IoTest, opens_writes_syncs_reads_and_asks) {
  const std::filesystem::path below = directory() / "below";
  const auto deed = [&](const Context& context) -> Reply<std::string> {
    const auto fd = co_await io::openat(context, AT_FDCWD, below.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0640);
    if (!fd) co_return fd.error();
    const base::UniqueFd file(*fd);
    const auto written = co_await io::write(context, *fd, bytes_of("Hello, world!"), 3);
    if (!written) co_return written.error();
    const auto synced = co_await io::fsync(context, *fd);
    if (!synced) co_return synced.error();
    const auto data_synced = co_await io::fsync(context, *fd, true);
    if (!data_synced) co_return data_synced.error();
    std::array<std::byte, 5> buffer{};
    const auto size = co_await io::read(context, *fd, buffer, 10);
    if (!size) co_return size.error();
    struct ::statx found {};
    const auto asked = co_await io::statx(context, AT_FDCWD, below.c_str(), 0, STATX_BASIC_STATS, found);
    if (!asked) co_return asked.error();
    const bool closes = (::fcntl(*fd, F_GETFD) & FD_CLOEXEC) != 0;
    co_return fmt::format("{} {} {} {:o} {}", *written, text_of(Bytes(buffer).first(*size)), found.stx_size,
                          found.stx_mode, closes);
  };
  expect(deed, "13 world 16 100640 true");
}

TEST_P(IoTest, says_what_is_wrong) {
  expect(
      [](const Context& context) -> Reply<std::string> {
        std::array<std::byte, 5> buffer{};
        const auto size = co_await io::read(context, -1, buffer, 0);
        co_return size ? Result<std::string>("read") : size.error();
      },
      "EBADF");
  expect(
      [](const Context& context) -> Reply<std::string> {
        const auto fd = co_await io::openat(context, AT_FDCWD, "/nothing/here", O_RDONLY);
        co_return fd ? Result<std::string>("opened") : fd.error();
      },
      "ENOENT");
}

TEST_P(IoTest, talks_over_sockets) {
  ::sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = (directory() / "socket").string();
  ASSERT_LT(name.size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  const auto& any = reinterpret_cast<const ::sockaddr&>(address);
  const base::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listener.get(), &any, sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 10), 0);
  std::jthread echo([&](const std::stop_token&) {
    for (;;) {
      const base::UniqueFd client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client) return;
      char text[64];
      const ssize_t size = ::recv(client.get(), text, sizeof text, 0);
      std::this_thread::sleep_for(20ms);
      ::send(client.get(), text, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    }
  });
  expect(
      [&](const Context& context) -> Reply<std::string> {
        const base::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const auto connected = co_await io::connect(context, socket.get(), any, sizeof address);
        if (!connected) co_return connected.error();
        const auto sent = co_await io::send(context, socket.get(), bytes_of("over there"));
        if (!sent) co_return sent.error();
        std::array<std::byte, 64> buffer{};
        const auto size = co_await io::recv(context, socket.get(), buffer);
        if (!size) co_return size.error();
        co_return std::string(text_of(Bytes(buffer).first(*size)));
      },
      "over there");
  ::shutdown(listener.get(), SHUT_RDWR);
}

// A reply that never comes.
Doing::Deed silence(const Ends& ends, std::chrono::nanoseconds limit = {}) {
  return [&ends, limit](const Context& context) -> Reply<std::string> {
    std::array<std::byte, 5> buffer{};
    auto call = io::recv(context, ends.ours.get(), buffer);
    if (limit.count() > 0) call = std::move(call).within(limit);
    const auto size = co_await call;
    if (!size) co_return size.error();
    co_return std::string(text_of(Bytes(buffer).first(*size)));
  };
}

TEST_P(IoTest, gives_up_after_a_while) {
  const Ends ends = Ends::sockets();
  expect(silence(ends, 50ms), "ETIMEDOUT");
}

TEST_P(IoTest, is_not_late_if_the_answer_is_in_time) {
  const Ends ends = Ends::sockets();
  const std::jthread answer([&](const std::stop_token& over) {
    while (!over.stop_requested()) {
      ::send(ends.theirs.get(), "Hello", 5, MSG_NOSIGNAL | MSG_DONTWAIT);
      std::this_thread::sleep_for(20ms);
    }
  });
  expect(silence(ends, 30s), "Hello");
}

TEST_P(IoTest, ends_when_the_reader_is_killed) {
  const Ends ends = Ends::sockets();
  Doing files(silence(ends));
  Served served(files, make_directory(), {}, options());
  for (int round = 0; round < 20; ++round) {
    const ::pid_t child = ::fork();
    if (child == 0) ::_exit(read(served.path("file")).empty() ? 1 : 0);
    EXPECT_TRUE(eventually([&] { return files.begun == round + 1; }));
    ::kill(child, SIGKILL);
    EXPECT_TRUE(eventually([&] { return ::waitpid(child, nullptr, WNOHANG) == child; }, 30s));
    EXPECT_TRUE(eventually([&] { return files.ended == round + 1; }, 30s));
  }
}

TEST_P(IoTest, ends_with_the_session_and_all_readers_get_an_answer) {
  const Ends ends = Ends::sockets();
  Doing files(silence(ends));
  std::optional<Served> served(std::in_place, files, make_directory(), MountOptions{}, options());
  const std::filesystem::path path = served->path("file");
  std::vector<std::jthread> readers;
  std::atomic<int> answered{0};
  constexpr int count = 300;  // more than the ring has entries
  for (int i = 0; i < count; ++i) {
    readers.emplace_back([&] { answered += read(path) == "EINTR" ? 1 : 0; });
  }
  EXPECT_TRUE(eventually([&] { return files.begun == count; }, 60s));
  served->session().stop();
  EXPECT_EQ(served->wait().reason, Ended::Reason::stopped);
  served.reset();  // nobody serves what closing the files asks for
  readers.clear();
  EXPECT_EQ(answered, count);
  EXPECT_EQ(files.ended, count);
}

TEST_P(IoTest, many_at_once_hold_no_threads) {
  std::map<int, Ends> ends;
  std::mutex mutex;
  Doing files([&](const Context& context) -> Reply<std::string> {
    int fd = -1;
    {
      const std::lock_guard lock(mutex);
      Ends pair = Ends::sockets();
      fd = pair.ours.get();
      ends.emplace(fd, std::move(pair));
    }
    std::array<std::byte, 5> buffer{};
    const auto size = co_await io::recv(context, fd, buffer);
    if (!size) co_return size.error();
    co_return std::string(text_of(Bytes(buffer).first(*size)));
  });
  Served served(files, make_directory(), {}, options());
  std::vector<std::jthread> readers;
  std::atomic<int> answered{0};
  constexpr int count = 200;
  for (int i = 0; i < count; ++i) {
    readers.emplace_back([&] { answered += read(served.path("file")) == "Hello" ? 1 : 0; });
  }
  const auto waiting = [&] {
    const std::lock_guard lock(mutex);
    return ends.size();
  };
  EXPECT_TRUE(eventually([&] { return waiting() == count; }, 60s));
  EXPECT_LE(served.session().statistics().threads, 20u);  // ten, and one that stands in for each lane
  {
    const std::lock_guard lock(mutex);
    for (const auto& [fd, pair] : ends) ::send(pair.theirs.get(), "Hello", 5, MSG_NOSIGNAL);
  }
  readers.clear();
  EXPECT_EQ(answered, count);
}

// Without io_uring the same calls are made by the pool: the fake kernel has nothing else.
TEST(IoWithoutRing, makes_the_calls) {
  const base::UniqueFd file(::memfd_create("below", MFD_CLOEXEC));
  const Ends ends = Ends::sockets();
  Doing files([&](const Context& context) -> Reply<std::string> {
    const auto written = co_await io::write(context, file.get(), bytes_of("Hello, world!"), 0);
    if (!written) co_return written.error();
    const auto synced = co_await io::fsync(context, file.get());
    if (!synced) co_return synced.error();
    std::array<std::byte, 5> buffer{};
    const auto size = co_await io::read(context, file.get(), buffer, 7);
    if (!size) co_return size.error();
    const auto sent = co_await io::send(context, ends.theirs.get(), Bytes(buffer).first(*size));
    if (!sent) co_return sent.error();
    std::array<std::byte, 20> back{};
    const auto received = co_await io::recv(context, ends.ours.get(), back);
    if (!received) co_return received.error();
    struct ::statx found {};
    const auto asked = co_await io::statx(context, file.get(), "", AT_EMPTY_PATH, STATX_SIZE, found);
    if (!asked) co_return asked.error();
    const auto nothing = co_await io::openat(context, AT_FDCWD, "/nothing/here", O_RDONLY);
    const auto late = co_await io::recv(context, ends.ours.get(), back).within(30ms);
    co_return fmt::format("{} {} {} {}", text_of(Bytes(back).first(*received)), found.stx_size,
                          nothing ? 0 : nothing.error().code(), late ? 0 : late.error().code());
  });
  FakeKernel kernel(files);
  const auto opened = kernel.open(Ino{2}, O_RDONLY);
  ASSERT_TRUE(opened);
  const auto text = kernel.read(Ino{2}, {opened->handle}, {0, 100});
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, fmt::format("world 13 {} {}", ENOENT, ETIMEDOUT));
}

// As the filters of containers do.
bool forbid_io_uring() {
  ::sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(::seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const ::sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

class IoForbidden : public MountTest {};

TEST_F(IoForbidden, leaves_the_device_and_a_pool) {
  const auto mountpoint = make_directory();
  Doing files([&](const Context& context) -> Reply<std::string> {
    std::array<std::byte, 5> buffer{};
    const auto fd = co_await io::openat(context, AT_FDCWD, "/proc/self/comm", O_RDONLY);
    if (!fd) co_return fd.error();
    const base::UniqueFd file(*fd);
    const auto size = co_await io::read(context, *fd, buffer, 0);
    if (!size) co_return size.error();
    co_return std::string(text_of(Bytes(buffer).first(2)));
  });
  const std::string found = in_child([&]() -> std::string {
    if (!forbid_io_uring()) return "no filter";
    ::unsetenv("FUSELAGE_TRANSPORT");
    Served served(files, mountpoint);
    std::ifstream file(served.path("file"));
    std::string text;
    file >> text;
    const Statistics statistics = served.session().statistics();
    return text + " " + statistics.transport + ": " + statistics.transport_reason;
  });
  EXPECT_THAT(found, ::testing::StartsWith("io device: ")) << found;
  EXPECT_TRUE(!why_no_ring().empty() || found.find("io_uring_setup") != found.npos) << found;
}

INSTANTIATE_TEST_SUITE_P(Over, IoTest, ::testing::Values(Transport::device, Transport::uring),
                         [](const auto& parameter) {
                           return parameter.param == Transport::uring ? "uring" : "device";
                         });

}  // namespace
}  // namespace fuselage::test

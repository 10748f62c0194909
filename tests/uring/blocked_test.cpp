// Handlers that wait, on the ring: their CPU's other requests go on, and they can be given up.
#include <sys/file.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <random>

#include "uring/ring_mount.hpp"

namespace fuselage::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class RingBlocked : public RingTest {
 protected:
  // So many requests of this CPU one after the other.
  static void ask(unsigned cpu, const fs::path& file, int count) {
    on_cpu(cpu, [&] {
      for (int i = 0; i < count; ++i) ASSERT_EQ(stat_failure(file), 0);
    });
  }
};

TEST_F(RingBlocked, handlers_on_each_cpu_let_a_thousand_others_pass) {
  Stuck files;
  Served served(files, path_, {}, on_ring(), 180s);
  std::vector<std::jthread> readers;
  std::atomic<int> failures{0};
  for (const unsigned cpu : own_cpus()) {
    readers.push_back(on_cpu(cpu, [&] { failures += read_failure(served.path("stuck")); }));
  }
  ASSERT_TRUE(files.wait_for(static_cast<int>(own_cpus().size())));
  for (const unsigned cpu : own_cpus()) ask(cpu, served.path("file"), 1000);
  EXPECT_EQ(files.waiting, static_cast<int>(own_cpus().size()));
  files.let_go();
  readers.clear();
  EXPECT_EQ(failures, 0);
}

class RingCrowd : public RingBlocked, public ::testing::WithParamInterface<Stuck::Waits> {};

// More than a queue has entries at first: it must grow before the kernel finds none.
TEST_P(RingCrowd, of_one_cpu_waits_without_stopping_the_others) {
  constexpr int crowd = 150;
  Stuck files(GetParam());
  Served served(files, path_, {}, on_ring({.max_threads = 200}), 180s);
  std::vector<std::jthread> readers;
  std::atomic<int> failures{0};
  for (int i = 0; i < crowd; ++i) {
    readers.push_back(on_cpu(own_cpus().front(), [&] { failures += read_failure(served.path("stuck")); }));
    if (i % 10 == 0) ask(own_cpus().front(), served.path("file"), 10);
  }
  ASSERT_TRUE(files.wait_for(crowd));
  ask(own_cpus().front(), served.path("file"), 100);
  files.let_go();
  readers.clear();
  EXPECT_EQ(failures, 0);
  ask(own_cpus().front(), served.path("file"), 100);
}

INSTANTIATE_TEST_SUITE_P(Waiting, RingCrowd, ::testing::Values(Stuck::Waits::in_thread, Stuck::Waits::as_coroutine));

TEST_F(RingBlocked, handlers_are_no_more_than_max_threads_and_what_is_queued_can_be_interrupted) {
  Stuck files;
  Served served(files, path_, {}, on_ring({.max_threads = 3}));
  struct ::sigaction nothing {};
  nothing.sa_handler = [](int) {};
  ::sigaction(SIGUSR1, &nothing, nullptr);
  std::atomic<int> interrupted{0};
  std::vector<std::jthread> readers;
  for (int i = 0; i < 6; ++i) {
    readers.push_back(on_cpu(own_cpus()[static_cast<std::size_t>(i) % own_cpus().size()],
                             [&] { interrupted += read_failure(served.path("stuck")) == EINTR ? 1 : 0; }));
  }
  ASSERT_TRUE(files.wait_for(3));
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(files.waiting, 3);
  // Again and again: a signal may come before the reader is in its call.
  EXPECT_TRUE(eventually(
      [&] {
        for (auto& reader : readers) ::pthread_kill(reader.native_handle(), SIGUSR1);
        return interrupted == 6;
      },
      60s));
  EXPECT_EQ(read_failure(served.path("file")), 0);
}

// The kernel loses an interrupt that comes while the request waits to be copied into its entry.
TEST_F(RingBlocked, readers_can_be_killed_at_any_moment) {
  Stuck files;
  Served served(files, path_, {}, on_ring(), 220s);
  std::mt19937 random(1);
  for (int round = 0; round < 150; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      transport::CpuMask::of({own_cpus()[static_cast<std::size_t>(round) % own_cpus().size()]}).apply();
      ::_exit(read_failure(path_ / "stuck"));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    ::kill(child, SIGKILL);
    ASSERT_TRUE(eventually([&] { return ::waitpid(child, nullptr, WNOHANG) == child; }, 30s)) << "round " << round;
  }
  EXPECT_TRUE(files.wait_for(0));
}

// Locks whose handlers wait for one another.
class Locking : public Shelf {
 public:
  Reply<void> setlk(const Context& context, Ino, const OpenFile& file, Lock lock, bool wait) override {
    std::unique_lock guard(mutex_);
    if (lock.type == Lock::Type::unlock) {
      if (holder_ == file.lock_owner) holder_ = {};
      wake_.notify_all();
      return {};
    }
    const auto is_free = [&] { return holder_ == LockOwner{} || holder_ == file.lock_owner; };
    if (!wait && !is_free()) return Error{EAGAIN};
    ++waiting;
    wake_.wait(guard, context.stop_token(), is_free);
    --waiting;
    if (!is_free()) return Error{EINTR};
    holder_ = file.lock_owner;
    return {};
  }
  std::atomic<int> waiting{0};

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  LockOwner holder_{};
};

TEST_F(RingBlocked, locks_are_handed_on_among_many_on_the_same_cpu) {
  constexpr int clients = 30;
  Locking files;
  Served served(files, path_, {}, on_ring(), 180s);
  std::vector<pid_t> children;
  for (int i = 0; i < clients; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      transport::CpuMask::of({own_cpus().front()}).apply();
      const int fd = ::open((path_ / "file").c_str(), O_RDWR | O_CLOEXEC);
      for (int round = 0; round < 5; ++round) {
        struct ::flock lock {};
        lock.l_type = F_WRLCK;
        if (::fcntl(fd, F_SETLKW, &lock) != 0) ::_exit(errno);
        ::usleep(100);
        lock.l_type = F_UNLCK;
        if (::fcntl(fd, F_SETLK, &lock) != 0) ::_exit(errno);
      }
      ::_exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    EXPECT_TRUE(eventually([&] { return ::waitpid(child, &status, WNOHANG) == child; }, 120s));
    EXPECT_EQ(status, 0);
  }
}

// The entry goes back to the kernel with the ETIMEDOUT, while the handler still looks at its bytes.
class Slow : public Shelf {
 public:
  Reply<Opened> open(const Context&, Ino, OpenFlags) override { return Opened{.direct_io = true}; }
  Reply<void> flush(const Context&, Ino, const OpenFile&) override { return {}; }
  Reply<std::size_t> write(const Context&, Ino, const OpenFile&, std::uint64_t, Bytes bytes, WriteFlags) override {
    const std::string before(text_of(bytes));
    if (before.starts_with("slow")) {
      std::this_thread::sleep_for(1s);
      changed = changed || text_of(bytes) != before;
      ++slow;
    }
    return bytes.size();
  }
  std::atomic<bool> changed{false};
  std::atomic<int> slow{0};
};

TEST_F(RingBlocked, handlers_keep_their_bytes_when_the_deadline_answers_for_them) {
  const LogLines log;
  Slow files;
  Served served(files, path_, {}, on_ring({.deadline = 100ms}));
  const base::UniqueFd fd(::open(served.path("file").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(fd);
  on_cpu(own_cpus().front(), [&] {
    EXPECT_EQ(failure(::write(fd.get(), "slow", 4)), ETIMEDOUT);
    for (int i = 0; i < 200; ++i) EXPECT_EQ(::write(fd.get(), "quick", 5), 5);
  });
  EXPECT_TRUE(eventually([&] { return files.slow == 1; }));
  EXPECT_FALSE(files.changed);
  EXPECT_EQ(served.session().statistics().deadlines, 1u);
}

}  // namespace
}  // namespace fuselage::test

// Handlers that do not return: others go on, callers can give up, and the session can end.
#include <fcntl.h>

#include <atomic>
#include <csignal>
#include <fuselage/async.hpp>
#include <fuselage/path_file_system.hpp>
#include <optional>

#include "base/unique_fd.hpp"
#include "support/log_lines.hpp"
#include "support/mount_namespace.hpp"
#include "support/process.hpp"
#include "support/readers.hpp"
#include "support/served.hpp"
#include "support/shelf.hpp"

namespace fuselage::test {
namespace {

namespace fs = std::filesystem;
using base::UniqueFd;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// "stuck" is not readable before `let_go`. What reading it does meanwhile is the tests' choice.
class Stuck : public Shelf {
 public:
  enum class Waits { for_interrupt, stubbornly, as_coroutine };

  explicit Stuck(Waits waits = Waits::for_interrupt) : Shelf({"file", "stuck"}), waits_(waits) {}

  // Each open file is read by itself: nothing is served from the cache.
  Reply<Opened> open(const Context&, Ino, OpenFlags) override { return Opened{.direct_io = true}; }
  Reply<void> flush(const Context&, Ino, const OpenFile&) override { return {}; }
  Reply<Data> read(const Context& context, Ino ino, const OpenFile& file, Range range) override {
    if (ino != ino_of("stuck")) return Shelf::read(context, ino, file, range);
    if (waits_ == Waits::as_coroutine) return wait_suspended(context, range);
    ++waiting_;
    if (waits_ == Waits::stubbornly) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return released_; });
    } else {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, context.stop_token(), [this] { return released_; });
    }
    --waiting_;
    if (context.interrupted()) return Error{EINTR};
    return Data::borrow(slice(text(), range));
  }

  void let_go() {
    {
      const std::lock_guard lock(mutex_);
      released_ = true;
    }
    wake_.notify_all();
  }
  int waiting() const { return waiting_; }

 private:
  Reply<Data> wait_suspended(const Context& context, Range range) {
    ++waiting_;
    const Result<void> slept = co_await sleep_for(context, 1h);
    --waiting_;
    if (!slept) co_return slept.error();
    co_return Data::borrow(slice(text(), range));
  }

  const Waits waits_;
  std::atomic<int> waiting_{0};
  std::mutex mutex_;
  std::condition_variable_any wake_;
  bool released_ = false;
};

// Each read takes a while, as on the network.
class Slow : public Shelf {
 public:
  Slow() : Shelf({"file"}) {}
  Reply<Opened> open(const Context&, Ino, OpenFlags) override { return Opened{.direct_io = true}; }
  Reply<Data> read(const Context& context, Ino ino, const OpenFile& file, Range range) override {
    const int now = ++inside_;
    for (int most = most_inside; most < now && !most_inside.compare_exchange_weak(most, now);) {
    }
    std::this_thread::sleep_for(8ms);
    --inside_;
    return Shelf::read(context, ino, file, range);
  }
  std::atomic<int> most_inside{0};

 private:
  std::atomic<int> inside_{0};
};

class BlockedHandlers : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (!IsSkipped()) path_ = make_directory();
  }
  fs::path path_;
};

TEST_F(BlockedHandlers, do_not_hold_up_others) {
  Stuck file_system(Stuck::Waits::stubbornly);
  Served served(file_system, path_);
  Readers readers(served.path("stuck"), 20);
  ASSERT_TRUE(eventually([&] { return file_system.waiting() == 20; }));
  for (int i = 0; i < 200; ++i) ASSERT_EQ(read_failure(served.path("file")), 0);
  file_system.let_go();
  EXPECT_EQ(readers.join(), std::vector<int>(20, 0));
}

// The steward looks less often then.
TEST_F(BlockedHandlers, do_not_hold_up_others_either_after_a_long_time_of_quick_ones) {
  Stuck file_system(Stuck::Waits::stubbornly);
  Served served(file_system, path_, {}, {.attr_timeout = 0ns});
  const UniqueFd fd(::open(served.path("file").c_str(), O_RDONLY | O_CLOEXEC));
  struct ::stat status {};
  for (const auto begin = Clock::now(); Clock::now() - begin < 300ms;) ASSERT_EQ(::fstat(fd.get(), &status), 0);
  Readers readers(served.path("stuck"), 5);
  ASSERT_TRUE(eventually([&] { return file_system.waiting() == 5; }));
  EXPECT_EQ(read_failure(served.path("file")), 0);
  file_system.let_go();
  EXPECT_EQ(readers.join(), std::vector<int>(5, 0));
}

TEST_F(BlockedHandlers, are_all_at_work_where_each_is_slow) {
  Slow file_system;
  Served served(file_system, path_);
  constexpr int count = 10;
  for (int turn = 0; turn < 20; ++turn) Readers(served.path("file"), count).join();
  // If each waited until the steward saw that the one before is held up, there would be six or seven of a CPU.
  EXPECT_GE(file_system.most_inside, count - 2);
}

TEST_F(BlockedHandlers, use_no_more_threads_than_allowed) {
  Stuck file_system;
  Served served(file_system, path_, {}, {.max_threads = 4});
  Readers readers(served.path("stuck"), 12);
  ASSERT_TRUE(eventually([&] { return file_system.waiting() == 4; }));
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(file_system.waiting(), 4);
  file_system.let_go();
  EXPECT_EQ(readers.join(), std::vector<int>(12, 0));
}

// Interrupting all of them, some with their handlers running, some whose requests only wait for one.
class ManyBlocked : public BlockedHandlers, public ::testing::WithParamInterface<std::tuple<unsigned, Stuck::Waits>> {
 protected:
  unsigned max_threads() const { return std::get<0>(GetParam()); }
};

TEST_P(ManyBlocked, are_interrupted_within_a_second) {
  Stuck file_system(std::get<1>(GetParam()));
  Served served(file_system, path_, {}, {.max_threads = max_threads()});
  Readers readers(served.path("stuck"), 100);
  const int handlers =
      std::get<1>(GetParam()) == Stuck::Waits::as_coroutine ? 100 : static_cast<int>(std::min(max_threads(), 100u));
  ASSERT_TRUE(eventually([&] { return file_system.waiting() == handlers; }));
  const auto begin = Clock::now();
  readers.interrupt();
  EXPECT_EQ(readers.join(), std::vector<int>(100, EINTR));
  EXPECT_LT(Clock::now() - begin, 1s);
  EXPECT_EQ(read_failure(served.path("file")), 0);
}

// The same by path.
class StuckByPath : public PathFileSystem {
 public:
  Reply<Attributes> getattr(const Context&, Path path, const OpenFile*) override {
    return path.name().empty() ? Attributes::directory() : Attributes::file(4);
  }
  Reply<Opened> open(const Context&, Path, OpenFlags) override { return Opened{.direct_io = true}; }
  Reply<Data> read(const Context& context, Path, const OpenFile&, Range) override {
    std::unique_lock lock(mutex_);
    ++waiting;
    wake_.wait(lock, context.stop_token(), [] { return false; });
    return Error{EINTR};
  }
  std::atomic<int> waiting{0};

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
};

TEST_F(BlockedHandlers, of_the_path_level_are_interrupted_within_a_second) {
  StuckByPath file_system;
  Served served(by_path(file_system), path_);
  Readers readers(served.path("stuck"), 20);
  ASSERT_TRUE(eventually([&] { return file_system.waiting == 20; }));
  const auto begin = Clock::now();
  readers.interrupt();
  EXPECT_EQ(readers.join(), std::vector<int>(20, EINTR));
  EXPECT_LT(Clock::now() - begin, 1s);
}

TEST_P(ManyBlocked, end_with_a_killed_program) {
  Stuck file_system(std::get<1>(GetParam()));
  Served served(file_system, path_, {}, {.max_threads = max_threads()});
  Process client([this]() -> std::string {
    static Readers readers(path_ / "stuck", 100);
    return {};
  });
  EXPECT_TRUE(eventually([&] { return file_system.waiting() > 0; }));
  const auto begin = Clock::now();
  client.kill();
  EXPECT_LT(Clock::now() - begin, 1s);
  EXPECT_EQ(read_failure(served.path("file")), 0);
}

TEST_P(ManyBlocked, end_with_the_session) {
  Stuck file_system(std::get<1>(GetParam()));
  std::optional<Served> served(std::in_place, file_system, path_, MountOptions{},
                               SessionOptions{.max_threads = max_threads()});
  Readers readers(served->path("stuck"), 100);
  ASSERT_TRUE(eventually([&] { return file_system.waiting() > 0; }));
  served->session().stop();
  EXPECT_TRUE(served->ends_within(1s));
  EXPECT_EQ(served->wait().reason, Ended::Reason::stopped);
  served.reset();  // what nobody had begun to answer ends with the connection
  for (const int error : readers.join()) EXPECT_NE(error, 0);
}

INSTANTIATE_TEST_SUITE_P(Threads, ManyBlocked,
                         ::testing::Combine(::testing::Values(64u, 1u),
                                            ::testing::Values(Stuck::Waits::for_interrupt, Stuck::Waits::as_coroutine)),
                         [](const auto& instance) {
                           return (std::get<0>(instance.param) == 1 ? "one_thread" : "default") +
                                  std::string(std::get<1>(instance.param) == Stuck::Waits::as_coroutine ? "_suspended"
                                                                                                        : "_blocked");
                         });

TEST_F(BlockedHandlers, that_ignore_everything_are_overtaken_by_the_deadline) {
  const LogLines log;
  Stuck file_system(Stuck::Waits::stubbornly);
  Served served(file_system, path_, {}, {.deadline = 200ms});
  const auto begin = Clock::now();
  EXPECT_EQ(read_failure(served.path("stuck")), ETIMEDOUT);
  EXPECT_GE(Clock::now() - begin, 200ms);
  EXPECT_EQ(read_failure(served.path("file")), 0);
  EXPECT_EQ(served.session().statistics().deadlines, 1u);
  // The late answer goes nowhere.
  file_system.let_go();
  EXPECT_TRUE(eventually([&] { return file_system.waiting() == 0; }));
  EXPECT_EQ(read_failure(served.path("stuck")), 0);
}

TEST_F(BlockedHandlers, of_a_suspended_kind_meet_the_deadline_too) {
  const LogLines log;
  Stuck file_system(Stuck::Waits::as_coroutine);
  Served served(file_system, path_, {}, {.deadline = 200ms});
  EXPECT_EQ(read_failure(served.path("stuck")), ETIMEDOUT);
  EXPECT_EQ(read_failure(served.path("file")), 0);
}

}  // namespace
}  // namespace fuselage::test

// A real session with real threads, behind a socket: who runs what, and how it ends.
#include <condition_variable>
#include <fuselage/async.hpp>
#include <mutex>
#include <set>
#include <thread>

#include "session/allocations.hpp"
#include "support/fake.hpp"
#include "support/log_lines.hpp"

namespace fuselage {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

FakeKernelOptions socket_options(SessionOptions session = {}) {
  FakeKernelOptions options;
  options.socket = true;
  options.session = std::move(session);
  return strict(std::move(options));
}

FakeKernelOptions with_threads(unsigned max_threads) {
  SessionOptions session;
  session.max_threads = max_threads;
  return socket_options(std::move(session));
}

// A file system whose handlers a test holds up. `read` of node N waits until the test lets N through or it is
// interrupted; everything else answers at once.
class Blocking : public FileSystem {
 public:
  Reply<Data> read(const Context& context, Ino ino, const OpenFile&, Range) override {
    note_thread();
    std::unique_lock lock(mutex_);
    ++inside_;
    changed_.notify_all();
    const bool passed = passable_.wait(lock, context.stop_token(), [&] { return open_.contains(ino); });
    --inside_;
    changed_.notify_all();
    if (!passed) return Error{EINTR};
    return Data::borrow("through");
  }
  void forget(Ino, std::uint64_t count) override { forgotten += count; }
  Reply<void> release(const Context&, Ino, const OpenFile&, bool) override {
    ++released;
    return {};
  }
  Reply<Entry> lookup(const Context&, Ino, std::string_view) override {
    return Entry{.ino = Ino{2}, .attributes = Attributes::file(1)};
  }
  Reply<void> unlink(const Context&, Ino, std::string_view) override {
    note_thread();
    return {};
  }
  Reply<Attributes> getattr(const Context& context, Ino, const OpenFile*) override {
    note_thread();
    static_cast<void>(co_await sleep_for(context, milliseconds(5)));
    note_thread();
    const Result<int> got = co_await run_blocking(context, [] { return 42; });
    note_thread();
    co_return Attributes::file(static_cast<std::uint64_t>(*got));
  }
  // Pays no attention to interrupts.
  Reply<std::string> readlink(const Context&, Ino ino) override {
    std::unique_lock lock(mutex_);
    ++inside_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_.contains(ino); });
    --inside_;
    changed_.notify_all();
    return std::string("done");
  }

  std::atomic<std::uint64_t> forgotten{0};
  std::atomic<std::uint64_t> released{0};

  void let_through(Ino ino) {
    const std::lock_guard lock(mutex_);
    open_.insert(ino);
    passable_.notify_all();
    changed_.notify_all();
  }
  bool wait_for_inside(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(20), [&] { return inside_ == count; });
  }
  std::set<std::thread::id> threads() {
    const std::lock_guard lock(mutex_);
    return threads_;
  }
  // How often a handler ran on another thread than the one before.
  int changes() {
    const std::lock_guard lock(mutex_);
    return changes_;
  }

 private:
  void note_thread() {
    const std::lock_guard lock(mutex_);
    threads_.insert(std::this_thread::get_id());
    changes_ += std::exchange(last_, std::this_thread::get_id()) != std::this_thread::get_id() ? 1 : 0;
  }

  std::mutex mutex_;
  std::condition_variable_any passable_;
  std::condition_variable changed_;
  std::set<Ino> open_;
  std::set<std::thread::id> threads_;
  std::thread::id last_;
  int changes_ = 0;
  std::size_t inside_ = 0;
};

TEST(Workers, GoOnWhileHandlersAreHeldUp) {
  Blocking files;
  FakeKernel kernel(files, socket_options());
  std::vector<Answer<std::string>> held;
  for (int i = 0; i < 5; ++i) {
    held.push_back(kernel.read(Ino{2}, {}, {0, 100}));
    for (int j = 0; j < 10; ++j) EXPECT_TRUE(kernel.unlink(root_ino, "x"));
  }
  ASSERT_TRUE(files.wait_for_inside(5));
  for (const auto& answer : held) EXPECT_FALSE(answer.answered());
  files.let_through(Ino{2});
  for (const auto& answer : held) EXPECT_EQ(*answer, "through");
}

TEST(Workers, UseOneThreadForHandlersThatReturnAtOnce) {
  Blocking files;
  FakeKernel kernel(files, socket_options());
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(kernel.unlink(root_ino, "x"));
  EXPECT_LE(files.changes(), 25);  // a busy machine may have it taken over
}

TEST(Workers, UseOneThreadAgainAfterAHandlerWasHeldUp) {
  Blocking files;
  FakeKernel kernel(files, socket_options());
  const auto held = kernel.read(Ino{2}, {}, {0, 100});
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(kernel.unlink(root_ino, "x"));
  files.let_through(Ino{2});
  EXPECT_EQ(*held, "through");
  const int before = files.changes();
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(kernel.unlink(root_ino, "x"));
  EXPECT_LE(files.changes() - before, 50);
}

// Every handler takes a while, as those of a file system on the network do.
class Slow : public FileSystem {
 public:
  Reply<void> unlink(const Context&, Ino, std::string_view) override {
    const int now = ++inside_;
    for (int most = most_inside; most < now && !most_inside.compare_exchange_weak(most, now);) {
    }
    std::this_thread::sleep_for(milliseconds(4));
    --inside_;
    return {};
  }
  std::atomic<int> most_inside{0};

 private:
  std::atomic<int> inside_{0};
};

TEST(Workers, AreAllAtWorkWhereHandlersAreSlow) {
  Slow files;
  FakeKernel kernel(files, with_threads(10));
  std::vector<Answer<void>> answers;
  for (int i = 0; i < 200; ++i) answers.push_back(kernel.unlink(root_ino, "x"));
  for (const auto& answer : answers) EXPECT_TRUE(answer);
  // If each waited until the steward saw that the one before is held up, there would be three or four.
  EXPECT_EQ(files.most_inside, 10);
}

TEST(Workers, AreNoMoreThanTheirLimitAndAStandInDeliversInterrupts) {
  Blocking files;
  FakeKernel kernel(files, with_threads(2));
  const auto first = kernel.read(Ino{2}, {}, {0, 100});
  const auto second = kernel.read(Ino{3}, {}, {0, 100});
  ASSERT_TRUE(files.wait_for_inside(2));
  const auto queued = kernel.unlink(root_ino, "x");
  const auto interrupted = kernel.unlink(root_ino, "y");
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_FALSE(queued.answered() || interrupted.answered());
  kernel.interrupt(interrupted);
  EXPECT_EQ(interrupted.code(), EINTR);  // nobody had time for it
  kernel.interrupt(first);
  EXPECT_EQ(first.code(), EINTR);
  EXPECT_TRUE(queued);
  files.let_through(Ino{3});
  EXPECT_TRUE(second);
  EXPECT_LE(files.threads().size(), 2u);
}

TEST(Workers, RunEverythingOnTheThreadThatCalledRunIfThereIsOne) {
  Blocking files;
  FakeKernel kernel(files, with_threads(1));
  std::vector<Answer<Attributes>> waiting;
  for (int i = 0; i < 10; ++i) {
    waiting.push_back(kernel.getattr(Ino{2}));
    EXPECT_TRUE(kernel.unlink(root_ino, "x"));
  }
  for (const auto& answer : waiting) EXPECT_EQ(answer->size, 42u);
  EXPECT_EQ(files.threads().size(), 1u);
}

TEST(Workers, WithOneThreadStillDeliverInterrupts) {
  Blocking files;
  FakeKernel kernel(files, with_threads(1));
  const auto held = kernel.read(Ino{2}, {}, {0, 100});
  ASSERT_TRUE(files.wait_for_inside(1));
  const auto queued = kernel.unlink(root_ino, "x");
  kernel.interrupt(held);
  EXPECT_EQ(held.code(), EINTR);
  EXPECT_TRUE(queued);
  EXPECT_EQ(files.threads().size(), 1u);
}

TEST(Workers, ReturnFromAHundredInterruptedReaders) {
  Blocking files;
  FakeKernel kernel(files, with_threads(200));
  std::vector<Answer<std::string>> readers;
  for (int i = 0; i < 100; ++i) readers.push_back(kernel.read(Ino{2}, {}, {0, 100}));
  ASSERT_TRUE(files.wait_for_inside(100));
  const auto begin = Clock::now();
  for (const auto& reader : readers) kernel.interrupt(reader);
  for (const auto& reader : readers) EXPECT_EQ(reader.code(), EINTR);
  EXPECT_LT(Clock::now() - begin, seconds(10));
  EXPECT_EQ(kernel.statistics().interrupts, 100u);
}

TEST(Workers, SleepAndBlockWithoutHoldingAThread) {
  Blocking files;
  FakeKernel kernel(files, with_threads(2));
  std::vector<Answer<Attributes>> waiting;
  for (int i = 0; i < 200; ++i) waiting.push_back(kernel.getattr(Ino{2}));
  for (const auto& answer : waiting) EXPECT_TRUE(answer);
  EXPECT_LE(files.threads().size(), 2u);
}

TEST(Stopping, TakesEffectAtOnceWhenNothingHappens) {
  Blocking files;
  FakeKernel kernel(files, socket_options());
  EXPECT_TRUE(kernel.unlink(root_ino, "x"));
  std::this_thread::sleep_for(milliseconds(50));
  const auto begin = Clock::now();
  EXPECT_EQ(kernel.stop().reason, Ended::Reason::stopped);
  EXPECT_LT(Clock::now() - begin, seconds(2));
}

TEST(Stopping, TellsHandlersAndRunGoesOnLater) {
  Blocking files;
  FakeKernel kernel(files, socket_options());
  for (int round = 0; round < 5; ++round) {
    const auto suspended = kernel.getattr(Ino{2});
    const auto held = kernel.read(Ino{2}, {}, {0, 100});
    ASSERT_TRUE(files.wait_for_inside(1));
    EXPECT_EQ(kernel.stop().reason, Ended::Reason::stopped);
    EXPECT_EQ(held.code(), EINTR);
    EXPECT_TRUE(suspended);
    kernel.resume();
    EXPECT_TRUE(kernel.unlink(root_ino, "x"));
  }
}

// The kernel says neither twice.
TEST(Stopping, HandsOnWhatWasReleasedAndForgottenWhileEverybodyWasHeldUp) {
  Blocking files;
  FakeKernel kernel(files, with_threads(1));
  ASSERT_TRUE(kernel.lookup(root_ino, "x"));
  const auto opened = kernel.open(Ino{2}, O_RDONLY);
  ASSERT_TRUE(opened);
  const auto held = kernel.read(Ino{2}, {opened->handle}, {0, 100});
  ASSERT_TRUE(files.wait_for_inside(1));
  const auto released = kernel.release(Ino{2}, {opened->handle});
  kernel.forget(Ino{2}, 1);
  std::this_thread::sleep_for(milliseconds(50));  // the stand-in takes over and queues them
  EXPECT_EQ(files.released.load(), 0u);
  EXPECT_EQ(files.forgotten.load(), 0u);
  EXPECT_EQ(kernel.stop().reason, Ended::Reason::stopped);
  EXPECT_EQ(files.released.load(), 1u);
  EXPECT_EQ(files.forgotten.load(), 1u);
  EXPECT_EQ(held.code(), EINTR);
  EXPECT_EQ(released.code(), 0);
}

TEST(Stopping, UnderLoadLosesNothing) {
  Blocking files;
  FakeKernel kernel(files, socket_options());
  for (int round = 0; round < 5; ++round) {
    std::atomic<bool> over{false};
    std::atomic<int> failures{0};
    std::vector<std::jthread> clients;
    for (int i = 0; i < 3; ++i) {
      clients.emplace_back([&] {
        while (!over.load()) {
          const int code = kernel.unlink(root_ino, "x").code();
          if (code != 0 && code != EINTR) ++failures;
        }
      });
    }
    std::this_thread::sleep_for(milliseconds(20));
    EXPECT_EQ(kernel.stop().reason, Ended::Reason::stopped);
    over.store(true);
    kernel.resume();  // what was sent meanwhile is answered now
    clients.clear();
    EXPECT_EQ(failures.load(), 0);
  }
}

TEST(Unmounting, EndsRunAndInterruptsWhoeverIsHeldUp) {
  Blocking files;
  FakeKernel kernel(files, socket_options());
  const auto held = kernel.read(Ino{2}, {}, {0, 100});
  ASSERT_TRUE(files.wait_for_inside(1));
  EXPECT_EQ(kernel.unmount().reason, Ended::Reason::unmounted);
  EXPECT_TRUE(files.wait_for_inside(0));
}

TEST(Deadlines, AnswerForAHandlerThatNeverDoes) {
  test::LogLines log;
  Blocking files;
  SessionOptions session;
  session.deadline = milliseconds(50);
  FakeKernel kernel(files, socket_options(std::move(session)));
  const auto held = kernel.readlink(Ino{2});
  EXPECT_EQ(held.code(), ETIMEDOUT);
  EXPECT_TRUE(kernel.unlink(root_ino, "x"));
  files.let_through(Ino{2});
  ASSERT_TRUE(files.wait_for_inside(0));
  EXPECT_TRUE(kernel.unlink(root_ino, "x"));
  EXPECT_EQ(kernel.statistics().deadlines, 1u);
}

// Deadlines and answers meet on the same objects, again and again.
TEST(Deadlines, RaceWithAnswers) {
  test::LogLines log;
  Blocking files;
  SessionOptions session;
  session.deadline = milliseconds(5);  // as long as getattr sleeps
  FakeKernel kernel(files, socket_options(std::move(session)));
  for (int round = 0; round < 20; ++round) {
    std::vector<Answer<Attributes>> waiting;
    for (int i = 0; i < 20; ++i) waiting.push_back(kernel.getattr(Ino{2}));
    for (const auto& answer : waiting) EXPECT_TRUE(answer.code() == 0 || answer.code() == ETIMEDOUT);
  }
}

TEST(Interrupts, RaceWithAnswers) {
  Blocking files;
  FakeKernel kernel(files, with_threads(4));
  for (int round = 0; round < 300; ++round) {
    const auto sleeping = kernel.getattr(Ino{2});
    const auto held = kernel.read(Ino{2}, {}, {0, 100});
    if (round % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(round * 7));
    kernel.interrupt(sleeping);
    kernel.interrupt(held);
    EXPECT_EQ(held.code(), EINTR);
    EXPECT_TRUE(sleeping);
  }
}

TEST(Sessions, LiveSideBySide) {
  Blocking files;
  Blocking others;
  FakeKernel kernel(files, with_threads(1));
  FakeKernel second(others, with_threads(1));
  const auto held = kernel.read(Ino{2}, {}, {0, 100});
  ASSERT_TRUE(files.wait_for_inside(1));
  EXPECT_TRUE(second.unlink(root_ino, "x"));
  EXPECT_EQ(kernel.stop().reason, Ended::Reason::stopped);
  EXPECT_TRUE(second.unlink(root_ino, "x"));
  EXPECT_EQ(held.code(), EINTR);
}

TEST(FastPath, AllocatesNothing) {
  struct Counting : FileSystem {
    std::array<std::size_t, 100> counts{};
    std::size_t at = 0;
    Entry entry = entry_of(5);
    void note() { counts[at++ % counts.size()] = allocations_of_this_thread(); }
    Reply<Entry> lookup(const Context&, Ino, std::string_view) override {
      note();
      return entry;
    }
    Reply<Data> read(const Context& context, Ino, const OpenFile&, Range range) override {
      note();
      return Data::borrow(context.reply_buffer(range.size));
    }
    Reply<std::size_t> write(const Context&, Ino, const OpenFile&, std::uint64_t, Bytes bytes, WriteFlags) override {
      note();
      return bytes.size();
    }
    Reply<Attributes> getattr(const Context&, Ino, const OpenFile*) override {
      note();
      return Attributes::directory();
    }
  } counting;
  FakeKernel kernel(counting, with_threads(1));
  const std::string bytes(4096, 'x');
  for (std::size_t i = 0; i < counting.counts.size() / 4; ++i) {
    ASSERT_TRUE(kernel.lookup(root_ino, "x"));
    ASSERT_TRUE(kernel.read(Ino{5}, {}, {0, 4096}));
    ASSERT_TRUE(kernel.write(Ino{5}, {}, 0, bytes));
    ASSERT_TRUE(kernel.getattr(Ino{5}));
  }
  EXPECT_EQ(counting.counts.back(), counting.counts[10]);
}

TEST(Workers, BecomeFewerWhenTheyAreNotNeeded) {
  Blocking files;
  FakeKernel kernel(files, socket_options());
  std::vector<Answer<std::string>> held;
  for (int i = 0; i < 8; ++i) held.push_back(kernel.read(Ino{2}, {}, {0, 100}));
  ASSERT_TRUE(files.wait_for_inside(8));
  EXPECT_GE(kernel.statistics().threads, 8u);
  files.let_through(Ino{2});
  for (const auto& answer : held) EXPECT_TRUE(answer);
  for (int i = 0; i < 200 && kernel.statistics().threads > 3; ++i) std::this_thread::sleep_for(milliseconds(100));
  EXPECT_LE(kernel.statistics().threads, 3u);
  EXPECT_TRUE(kernel.unlink(root_ino, "x"));
}

}  // namespace
}  // namespace fuselage

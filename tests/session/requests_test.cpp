// The life of one request: answered once, now or later, interrupted, overdue, abandoned.
#include <fuselage/async.hpp>
#include <stdexcept>

#include "support/fake.hpp"
#include "support/log_lines.hpp"

namespace fuselage {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Something that a test lets happen.
class Gate {
 public:
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) { waiting_ = waiting; }
  void await_resume() const noexcept {}
  void open() { std::exchange(waiting_, nullptr).resume(); }

 private:
  std::coroutine_handle<> waiting_;
};

// An INTERRUPT as the kernel sends it, for a request whose answer is not there to be named yet.
bool interrupt(FakeKernel& kernel, std::uint64_t unique) {
  const std::uint64_t before = kernel.statistics().interrupts;
  constexpr std::uint32_t opcode = 36;
  static_cast<void>(kernel.request(opcode, Ino{}, std::as_bytes(std::span(&unique, 1))));
  return kernel.statistics().interrupts == before + 1;
}

class Waiter : public FileSystem {
 public:
  Gate gate;
  bool frame_destroyed = false;
  int destroyed = 0;
  int forgotten = 0;
  int released = 0;
  std::function<void(const Context&)> inside = [](const Context&) {};

  void destroy() override { ++destroyed; }
  void forget(Ino, std::uint64_t count) override { forgotten += static_cast<int>(count); }

  // Takes as many milliseconds as its offset says.
  Reply<Data> read(const Context& context, Ino, const OpenFile&, Range range) override {
    const Result<void> slept = co_await sleep_for(context, milliseconds(range.offset));
    if (!slept) co_return slept.error();
    co_return Data::own(std::string("after ") + std::to_string(range.offset));
  }
  // Finds the name after a second.
  Reply<Entry> lookup(const Context& context, Ino, std::string_view name) override {
    const Result<void> slept = co_await sleep_for(context, seconds(1));
    if (!slept && name != "stubborn") co_return slept.error();
    co_return entry_of(5);
  }
  Reply<Opened> open(const Context& context, Ino, OpenFlags) override {
    static_cast<void>(co_await sleep_for(context, seconds(1)));
    co_return Opened{};
  }
  Reply<void> release(const Context&, Ino, const OpenFile&, bool) override {
    ++released;
    return {};
  }
  Reply<Data> getxattr(const Context& context, Ino, std::string_view name) override {
    co_return co_await run_blocking(context, [name]() -> Data {
      if (name == "user.throws") throw std::system_error(EDQUOT, std::generic_category());
      return Data::own("from " + std::string(name));
    });
  }
  Reply<void> setlk(const Context&, Ino, const OpenFile&, Lock, bool) override {
    struct Frame {
      bool& flag;
      ~Frame() { flag = true; }
    } frame{frame_destroyed};
    co_await gate;
    co_return Result<void>();
  }
  Reply<void> unlink(const Context& context, Ino, std::string_view) override {
    inside(context);
    return {};
  }
  Reply<Attributes> getattr(const Context& context, Ino ino, const OpenFile*) override {
    const Result<std::string> first = co_await half(context, "ab");
    if (!first) co_return first.error();
    if (ino == Ino{99}) throw std::runtime_error("after a wait");
    co_return Attributes::file(first->size());
  }

 private:
  // A coroutine that another one waits for.
  Reply<std::string> half(const Context& context, std::string text) {
    const Result<void> slept = co_await sleep_for(context, seconds(1));
    if (!slept) co_return slept.error();
    co_return text + text;
  }
};

TEST(Coroutines, AreAnsweredInTheOrderInWhichTheyEnd) {
  Waiter waiter;
  FakeKernel kernel(waiter, strict());
  const auto slow = kernel.read(Ino{2}, {}, {30, 100});
  const auto fast = kernel.read(Ino{2}, {}, {10, 100});
  const auto middle = kernel.read(Ino{2}, {}, {20, 100});
  EXPECT_FALSE(slow.answered() || fast.answered() || middle.answered());
  kernel.advance(milliseconds(9));
  EXPECT_FALSE(fast.answered());
  kernel.advance(milliseconds(1));
  EXPECT_TRUE(fast.answered() && !middle.answered() && !slow.answered());
  kernel.advance(milliseconds(100));
  EXPECT_EQ(*middle, "after 20");
  EXPECT_EQ(*slow, "after 30");
}

TEST(Coroutines, WaitForEachOther) {
  test::LogLines log;
  Waiter waiter;
  FakeKernel kernel(waiter, strict());
  const auto answer = kernel.getattr(Ino{2});
  const auto throws = kernel.getattr(Ino{99});
  kernel.advance(seconds(1));
  EXPECT_EQ(answer->size, 4u);
  EXPECT_EQ(throws.code(), EIO);
  EXPECT_TRUE(log.has({"GETATTR ino=99", "after a wait"}));
}

TEST(Coroutines, RunBlockingCallsElsewhere) {
  Waiter waiter;
  FakeKernel kernel(waiter, strict());
  const auto value = kernel.getxattr(Ino{2}, "user.x");
  const auto throws = kernel.getxattr(Ino{2}, "user.throws");
  EXPECT_FALSE(value.answered() || throws.answered());
  EXPECT_TRUE(kernel.run_pending());
  EXPECT_EQ(*value, "from user.x");
  EXPECT_EQ(throws.code(), EDQUOT);
  EXPECT_FALSE(kernel.run_pending());
}

TEST(Interrupts, ReachAWaitingHandler) {
  Waiter waiter;
  FakeKernel kernel(waiter, strict());
  const auto read = kernel.read(Ino{2}, {}, {1000, 10});
  const auto other = kernel.read(Ino{2}, {}, {1000, 10});
  EXPECT_TRUE(kernel.interrupt(read));
  EXPECT_EQ(read.code(), EINTR);
  EXPECT_FALSE(other.answered());
  kernel.advance(seconds(1));
  EXPECT_TRUE(other);
  EXPECT_EQ(kernel.statistics().interrupts, 1u);
}

TEST(Interrupts, OfWhatIsNotKnownOrAnsweredAreToBeRepeated) {
  Waiter waiter;
  FakeKernel kernel(waiter, strict());
  const auto done = kernel.unlink(root_ino, "x");
  EXPECT_TRUE(done);
  EXPECT_FALSE(kernel.interrupt(done));
  EXPECT_EQ(kernel.statistics().interrupts, 0u);
}

TEST(Interrupts, AreSeenByARunningHandler) {
  Waiter waiter;
  FakeKernel kernel(waiter, strict());
  bool before = true;
  bool after = false;
  bool token = false;
  bool callback = false;
  waiter.inside = [&](const Context& context) {
    before = context.interrupted();
    const std::stop_callback on_stop(context.stop_token(), [&] { callback = true; });
    EXPECT_TRUE(interrupt(kernel, context.unique));
    after = context.interrupted();
    token = context.stop_token().stop_requested();
  };
  EXPECT_TRUE(kernel.unlink(root_ino, "x"));
  EXPECT_FALSE(before);
  EXPECT_TRUE(after && token && callback);
  // The next request of the same object is not interrupted.
  waiter.inside = [&](const Context& context) {
    after = context.interrupted() || context.stop_token().stop_requested();
  };
  EXPECT_TRUE(kernel.unlink(root_ino, "y"));
  EXPECT_FALSE(after);
}

TEST(Stopping, TellsAllHandlersAndLaterOnesNot) {
  Waiter waiter;
  FakeKernel kernel(waiter, strict());
  const auto read = kernel.read(Ino{2}, {}, {1000, 10});
  EXPECT_EQ(kernel.stop().reason, Ended::Reason::stopped);
  EXPECT_EQ(read.code(), EINTR);
  const auto during = kernel.read(Ino{2}, {}, {1000, 10});
  EXPECT_EQ(during.code(), EINTR);
  kernel.resume();
  const auto later = kernel.read(Ino{2}, {}, {1000, 10});
  EXPECT_FALSE(later.answered());
  kernel.advance(seconds(1));
  EXPECT_TRUE(later);
}

TEST(Unmounting, DestroysWhatStillWaits) {
  test::LogLines log;
  Waiter waiter;
  FakeKernel kernel(waiter, strict());
  const auto lock = kernel.setlk(Ino{2}, {}, {}, true);
  const auto read = kernel.read(Ino{2}, {}, {1000, 10});
  EXPECT_EQ(kernel.unmount().reason, Ended::Reason::unmounted);
  EXPECT_EQ(lock.code(), EIO);
  EXPECT_EQ(read.code(), EIO);
  EXPECT_TRUE(waiter.frame_destroyed);
  EXPECT_EQ(waiter.destroyed, 1);
  EXPECT_TRUE(log.has({"SETLKW", "the session ended"}));
}

TEST(Handlers, MayBeResumedByAnybody) {
  Waiter waiter;
  FakeKernel kernel(waiter, strict());
  const auto lock = kernel.setlk(Ino{2}, {}, {}, true);
  EXPECT_FALSE(lock.answered());
  waiter.gate.open();
  EXPECT_TRUE(lock.answered());
  EXPECT_TRUE(lock);
}

TEST(Handlers, MayBeAskedFromInsideOthers) {
  Waiter waiter;
  FakeKernel kernel(waiter, strict());
  int depth = 0;
  waiter.inside = [&](const Context& context) {
    if (++depth < 20) {
      EXPECT_TRUE(kernel.unlink(root_ino, "inner"));
    }
    EXPECT_FALSE(context.interrupted());
  };
  EXPECT_TRUE(kernel.unlink(root_ino, "outer"));
  EXPECT_EQ(depth, 20);
}

TEST(Deadlines, AnswerOneRequestAndDropItsLateAnswer) {
  test::LogLines log;
  Waiter waiter;
  SessionOptions session;
  session.deadline = milliseconds(50);
  FakeKernel kernel(waiter, strict_session(session));
  const auto quick = kernel.read(Ino{2}, {}, {20, 100});
  const auto slow = kernel.read(Ino{2}, {}, {100, 100});
  const auto lookup = kernel.lookup(root_ino, "stubborn");
  const auto open = kernel.open(Ino{2}, 0);
  kernel.advance(milliseconds(49));
  EXPECT_TRUE(quick);
  EXPECT_FALSE(slow.answered());
  kernel.advance(milliseconds(1));
  EXPECT_EQ(slow.code(), ETIMEDOUT);
  EXPECT_EQ(lookup.code(), ETIMEDOUT);
  EXPECT_EQ(open.code(), ETIMEDOUT);
  kernel.advance(seconds(2));
  EXPECT_EQ(waiter.forgotten, 1);
  EXPECT_EQ(waiter.released, 1);
  EXPECT_EQ(kernel.statistics().deadlines, 3u);
  EXPECT_TRUE(kernel.lookups().empty());
}

TEST(Statistics, CountWhatWasDone) {
  Waiter waiter;
  FakeKernel kernel(waiter, strict());
  for (int i = 0; i < 3; ++i) {
    const auto read = kernel.read(Ino{2}, {}, {10, 100});
    kernel.advance(milliseconds(10));
    EXPECT_TRUE(read);
  }
  EXPECT_EQ(kernel.write(Ino{2}, {}, 0, "unanswerable").code(), ENOSYS);
  const Statistics statistics = kernel.statistics();
  ASSERT_EQ(statistics.operations.size(), 3u);
  EXPECT_EQ(statistics.operations[0].name, "READ");
  EXPECT_EQ(statistics.operations[0].count, 3u);
  EXPECT_EQ(statistics.operations[0].errors, 0u);
  EXPECT_EQ(statistics.operations[0].bytes_out, 24u);
  EXPECT_EQ(statistics.operations[0].busy, milliseconds(30));
  EXPECT_EQ(statistics.operations[0].latency.quantile(0.5), LatencyHistogram::bound(24));
  EXPECT_EQ(statistics.operations[1].name, "WRITE");
  EXPECT_EQ(statistics.operations[1].errors, 1u);
  EXPECT_EQ(statistics.operations[1].bytes_in, 12u);
  EXPECT_EQ(statistics.operations[2].name, "INIT");
  EXPECT_NE(statistics.to_string().find("WRITE"), std::string::npos);
}

TEST(OnlyRootAnd, LetsOthersOnlyCloseAndForget) {
  Waiter waiter;
  SessionOptions session;
  session.only_root_and = 1000;
  FakeKernel kernel(waiter, strict_session(session));
  for (const ::uid_t uid : {0u, 1000u, 1001u}) {
    kernel.set_caller({.uid = uid});
    EXPECT_EQ(kernel.unlink(root_ino, "x").code(), uid == 1001 ? EACCES : 0) << uid;
    EXPECT_EQ(kernel.setxattr(root_ino, "user.x", "").code(), uid == 1001 ? EACCES : ENOSYS) << uid;
    EXPECT_TRUE(kernel.release(Ino{2}, {}));
  }
  EXPECT_EQ(waiter.released, 3);
}

}  // namespace
}  // namespace fuselage

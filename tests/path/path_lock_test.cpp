#include "path/path_lock.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <future>
#include <random>
#include <thread>

namespace fuselage::path {
namespace {

// Runs coroutines on threads of its own.
class Pool final : public session::Executor {
 public:
  explicit Pool(unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) {
      threads_.emplace_back([this](const std::stop_token& stop) { run(stop); });
    }
  }
  ~Pool() override { drain(); }
  /// Runs what is ready to its end, and takes no more.
  void drain() {
    for (auto& thread : threads_) thread.request_stop();
    threads_.clear();
    for (; !ready_.empty(); ready_.pop_front()) ready_.front().resume();
  }
  void post(std::coroutine_handle<> coroutine) override {
    const std::lock_guard lock(mutex_);
    ready_.push_back(coroutine);
    wake_.notify_one();
  }
  void expire_at(Clock::time_point, std::weak_ptr<session::Timer>) override {}
  void run_blocking(std::function<void()>) override {}

 private:
  void run(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (wake_.wait(lock, stop, [this] { return !ready_.empty(); })) {
      const auto next = ready_.front();
      ready_.pop_front();
      lock.unlock();
      next.resume();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<std::coroutine_handle<>> ready_;  // guarded by mutex_
  std::vector<std::jthread> threads_;
};

// A coroutine that nobody waits for.
struct Detached {
  struct promise_type {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
};

constexpr auto patience = std::chrono::seconds(100);

class PathLockTest : public ::testing::Test {
 protected:
  PathLockTest() : locks_(tree_) {
    a_ = tree_.enter(tree_.root(), "a");
    b_ = tree_.enter(*tree_.pin(a_), "b");
    c_ = tree_.enter(*tree_.pin(b_), "a name of more than fifteen bytes");
  }

  Hold must_hold(const Want& want) {
    Hold hold;
    const auto outcome = locks_.try_acquire(want, hold);
    EXPECT_TRUE(outcome && *outcome == PathLocks::Outcome::held);
    return hold;
  }
  bool is_busy(const Want& want) {
    Hold hold;
    return *locks_.try_acquire(want, hold) == PathLocks::Outcome::busy;
  }
  std::string path_of(const Hold& hold, std::optional<std::string_view> name = {}) const {
    std::string text(locks_.path_size(hold.first, name) + 1, '?');
    locks_.write_path(hold.first, name, text);
    EXPECT_EQ(text.back(), '\0');
    text.pop_back();
    return text;
  }

  /// Takes the locks, waiting if need be, and calls `body(hold)`.
  template <class Body>
  Detached operate(session::Executor& executor, Want want, Body body) {
    Hold hold;
    const auto outcome = locks_.try_acquire(want, hold);
    if (outcome && *outcome == PathLocks::Outcome::busy) {
      const Result<void> held = co_await locks_.wait(executor, want, hold);
      if (!held) co_return;
    }
    body(hold);
  }

  /// The same for a rename, whose name lives as long as it does.
  template <class Body>
  Detached rename(session::Executor& executor, Want want, std::string name, Body body) {
    want.first.name = name;
    want.second->name = name;
    Hold hold;
    const auto outcome = locks_.try_acquire(want, hold);
    if (!outcome) co_return;
    if (*outcome == PathLocks::Outcome::busy) {
      const Result<void> held = co_await locks_.wait(executor, want, hold);
      if (!held) co_return;
    }
    body(hold, std::string_view(name));
  }

  Tree tree_;
  PathLocks locks_;
  Ino a_{};
  Ino b_{};
  Ino c_{};
};

TEST_F(PathLockTest, PathsAreWrittenFromTheRoot) {
  EXPECT_EQ(path_of(must_hold({{root_ino}})), "/");
  EXPECT_EQ(path_of(must_hold({{root_ino, "new"}}), "new"), "/new");
  EXPECT_EQ(path_of(must_hold({{c_}})), "/a/b/a name of more than fifteen bytes");
  EXPECT_EQ(path_of(must_hold({{b_, "x"}}), "x"), "/a/b/x");
}

TEST_F(PathLockTest, AnOperationKeepsWhatIsAboveItFromMoving) {
  {
    const Hold reading = must_hold({{c_}});
    const Hold again = must_hold({{c_}});
    EXPECT_TRUE(is_busy({{root_ino, "a"}, {}, true}));
    EXPECT_TRUE(is_busy({{a_, "b"}, {{root_ino, "x"}}, true}));
    const Hold creating = must_hold({{b_, "new"}});
    const Hold removing = must_hold({{a_, "nothing"}, {}, true});
  }
  const Hold renaming = must_hold({{a_, "b"}, {{root_ino, "x"}}, true});
  EXPECT_TRUE(is_busy({{c_}}));
  EXPECT_TRUE(is_busy({{b_}}));
  EXPECT_FALSE(is_busy({{a_}}));
}

TEST_F(PathLockTest, NodesThatAreGoneAndDirectoriesInThemselvesAreErrors) {
  Hold hold;
  EXPECT_EQ(locks_.try_acquire({{Ino{12345}}}, hold).error().code(), ESTALE);
  EXPECT_EQ(locks_.try_acquire({{root_ino, "a"}, {{b_, "x"}}, true}, hold).error().code(), EINVAL);
  EXPECT_FALSE(is_busy({{root_ino, "a"}, {{root_ino, "x"}}, true})) << "nothing is left locked";
}

TEST_F(PathLockTest, ANodeWithoutANameHasNoPath) {
  {
    const Hold removing = must_hold({{a_, "b"}, {}, true});
    tree_.remove_name(*removing.first.target, *removing.first.node, "b");
  }
  EXPECT_FALSE(must_hold({{b_}}).first.has_path);
  EXPECT_FALSE(must_hold({{c_}}).first.has_path);
  EXPECT_TRUE(must_hold({{a_}}).first.has_path);
}

TEST_F(PathLockTest, ADeepPathIsLockedAndGivenBack) {
  Ino deepest = c_;
  for (int i = 0; i < 3000; ++i) deepest = tree_.enter(*tree_.pin(deepest), "directory");
  {
    const Hold hold = must_hold({{deepest}});
    EXPECT_EQ(path_of(hold).size(), path_of(must_hold({{c_}})).size() + 3000 * 10);
    EXPECT_TRUE(is_busy({{root_ino, "a"}, {}, true}));
  }
  EXPECT_FALSE(is_busy({{root_ino, "a"}, {}, true}));
}

TEST_F(PathLockTest, TheQueueIsServedInOrder) {
  Pool pool(1);
  std::promise<void> renamed;
  std::promise<std::string> late;
  std::atomic<int> order{0};
  {
    const Hold reading = must_hold({{c_}});
    operate(pool, {{a_, "b"}, {{root_ino, "x"}}, true}, [&](Hold& hold) {
      EXPECT_EQ(order.exchange(1), 0);
      tree_.move_name(*hold.first.target, *hold.first.node, "b", *hold.second.node, "x");
      renamed.set_value();
    });
    operate(pool, {{c_}}, [&](Hold& hold) {
      EXPECT_EQ(order.exchange(2), 1);
      late.set_value(path_of(hold));
    });
    EXPECT_EQ(locks_.waiting(), 2u);
    EXPECT_TRUE(is_busy({{c_}})) << "who comes later does not overtake the rename";
    EXPECT_FALSE(is_busy({{a_}})) << "what nobody waits for is free";
  }
  ASSERT_EQ(renamed.get_future().wait_for(patience), std::future_status::ready);
  EXPECT_EQ(late.get_future().get(), "/x/a name of more than fifteen bytes");
  EXPECT_EQ(locks_.waiting(), 0u);
}

TEST_F(PathLockTest, WhoGivesUpIsNotWaitedFor) {
  struct Kept {
    struct promise_type {
      Kept get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
      std::suspend_never initial_suspend() const noexcept { return {}; }
      std::suspend_always final_suspend() const noexcept { return {}; }
      void return_void() const noexcept {}
      void unhandled_exception() const noexcept { std::terminate(); }
    };
    std::coroutine_handle<promise_type> handle;
  };
  Pool pool(1);
  const auto wait = [this, &pool](const Want& want) -> Kept {
    Hold hold;
    static_cast<void>(co_await locks_.wait(pool, want, hold));
  };
  const Want rename{{a_, "b"}, {}, true};
  const Hold reading = must_hold({{c_}});
  const Kept waiting = wait(rename);
  EXPECT_TRUE(is_busy({{c_}}));
  waiting.handle.destroy();
  EXPECT_EQ(locks_.waiting(), 0u);
  EXPECT_FALSE(is_busy({{c_}}));
}

TEST_F(PathLockTest, ReadersDoNotStarveAWriter) {
  Pool pool(2);
  std::atomic<bool> renamed{false};
  std::atomic<int> reading{0};
  std::vector<std::jthread> readers;
  const auto limit = std::chrono::steady_clock::now() + patience;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      // Each begins before the one before it is over, as far as it can.
      while (!renamed.load() && std::chrono::steady_clock::now() < limit) {
        ++reading;
        operate(pool, {{c_}}, [&](Hold&) {
          std::this_thread::yield();
          --reading;
        });
        while (reading.load() > 8) std::this_thread::yield();
      }
    });
  }
  operate(pool, {{root_ino, "a"}, {}, true}, [&](Hold&) { renamed = true; });
  readers.clear();
  EXPECT_TRUE(renamed.load());
  while (reading.load() != 0 && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  EXPECT_EQ(reading.load(), 0);
}

TEST_F(PathLockTest, WritersDoNotStarveAReader) {
  Pool pool(2);
  std::atomic<bool> read{false};
  std::atomic<int> writing{0};
  std::vector<std::jthread> writers;
  const auto limit = std::chrono::steady_clock::now() + patience;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&] {
      while (!read.load() && std::chrono::steady_clock::now() < limit) {
        ++writing;
        operate(pool, {{a_, "b"}, {}, true}, [&](Hold&) { --writing; });
        while (writing.load() > 8) std::this_thread::yield();
      }
    });
  }
  operate(pool, {{c_}}, [&](Hold&) { read = true; });
  writers.clear();
  EXPECT_TRUE(read.load());
  while (writing.load() != 0 && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  EXPECT_EQ(writing.load(), 0);
}

TEST_F(PathLockTest, AStormOfRenamesAndReadsEndsAndTellsNoLies) {
  Pool pool(2);
  // A few directories in each other, each with a name of its own wherever it is.
  std::vector<Ino> nodes{a_, b_, c_};
  for (int i = 0; i < 5; ++i)
    nodes.push_back(tree_.enter(*tree_.pin(nodes[static_cast<std::size_t>(i)]), "n" + std::to_string(i)));
  constexpr int threads = 4;
  constexpr int steps = 500;
  std::atomic<int> done{0};
  std::atomic<int> lies{0};
  std::vector<std::jthread> storm;
  for (unsigned seed = 0; seed < threads; ++seed) {
    storm.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int step = 0; step < steps; ++step) {
        const Ino ino = nodes[random() % nodes.size()];
        if (random() % 3 != 0) {
          operate(pool, {{ino}}, [&](Hold& hold) {
            const std::string before = path_of(hold);
            std::this_thread::yield();
            if (path_of(hold) != before) ++lies;
            ++done;
          });
          continue;
        }
        const PinnedNode node = tree_.pin(ino);
        const auto place = locks_.place_of(*node);
        const Ino to = random() % 4 == 0 ? root_ino : nodes[random() % nodes.size()];
        if (!place) {
          ++done;  // it is on its way
          continue;
        }
        rename(pool, Want{{place->first, {}}, {{to, {}}}, true}, place->second, [&](Hold& hold, std::string_view name) {
          Node* const moved = hold.first.target.get();
          if (moved == nullptr || hold.second.target != nullptr) return;  // somebody else was faster
          if (moved->parent != hold.first.node.get()) ++lies;
          tree_.move_name(*moved, *hold.first.node, name, *hold.second.node, name);
        });
        ++done;
      }
    });
  }
  storm.clear();
  const auto limit = std::chrono::steady_clock::now() + patience;
  while (locks_.waiting() != 0 && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  EXPECT_EQ(locks_.waiting(), 0u) << "a deadlock";
  while (done.load() < threads * steps && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  EXPECT_EQ(lies.load(), 0);
  pool.drain();
  for (const Ino ino : nodes) EXPECT_TRUE(must_hold({{ino}}).first.has_path);
}

}  // namespace
}  // namespace fuselage::path

// Module: inode.
//
// A reply that somebody else gives: a callback of another library, a thread that collects answers.
//
//   Reply<Data> read(const Context&, Ino, const OpenFile&, Range range) override {
//     auto later = std::make_shared<Deferred<Data>>();
//     client.fetch(range, [later](std::string text) { later->answer(Data::own(std::move(text))); });
//     return later->reply();
//   }
#pragma once

#include <coroutine>
#include <fuselage/reply.hpp>
#include <fuselage/result.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace fuselage {

/// One answer on its way from whoever has it to the request that waits for it. The two sides may live on different
/// threads and in any order; each may be destroyed before the other. If the session ends first, the request is answered
/// EIO and a later `answer` goes nowhere. Watch `Context::stop_token` to answer early when nobody wants it any more.
template <class T>
class Deferred {
  struct State;

 public:
  Deferred() : state_(std::make_shared<State>()) {}

  /// What the handler returns, once.
  Reply<T> reply() { return wait(state_); }

  /// Gives the answer; the request is answered on the calling thread before this returns, if it waits already. From any
  /// thread. False: it was given before, or nobody waits any more.
  bool answer(Result<T> result) {
    const std::shared_ptr<State> state = state_;  // whoever is resumed may destroy this object
    const std::lock_guard lock(state->mutex);
    if (state->phase == Phase::over || state->result) return false;
    state->result.emplace(std::move(result));
    // Under the lock, so that a session that ends meanwhile waits for the coroutine to be through.
    if (state->phase == Phase::waiting) state->waiting.resume();
    return true;
  }

 private:
  enum class Phase { open, waiting, over };

  struct State {
    std::mutex mutex;
    Phase phase = Phase::open;          // guarded by mutex
    std::optional<Result<T>> result;    // guarded by mutex until it is there
    std::coroutine_handle<> waiting{};  // guarded by mutex
  };

  class Awaiter {
   public:
    explicit Awaiter(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    // Destroyed without an answer: the session has ended.
    ~Awaiter() {
      if (taken_) return;
      const std::lock_guard lock(state_->mutex);
      state_->phase = Phase::over;
    }

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiting) {
      const std::lock_guard lock(state_->mutex);
      if (state_->result) return false;
      state_->waiting = waiting;
      state_->phase = Phase::waiting;
      return true;
    }
    Result<T> await_resume() {
      taken_ = true;
      return std::move(*state_->result);
    }

   private:
    std::shared_ptr<State> state_;
    bool taken_ = false;
  };

  static Reply<T> wait(std::shared_ptr<State> state) {
    Awaiter awaiter(std::move(state));
    Result<T> result = co_await awaiter;
    co_return std::move(result);
  }

  std::shared_ptr<State> state_;
};

}  // namespace fuselage

// Module: session.
//
// What a coroutine handler can wait for. Every wait ends early, with EINTR, when the caller is interrupted or the
// session stops, and resumes on a thread of the session (the one that called `run` if `max_threads` is 1).
//
//   Reply<Data> read(const Context& context, Ino, const OpenFile&, Range range) override {
//     co_return co_await run_blocking(context, [this, range] { return fetch(range); });
//   }
//
// Give the result a name before you test it: g++ 12 makes code of `if (!co_await sleep_for(...))` that ends there.
#pragma once

#include <chrono>
#include <coroutine>
#include <functional>
#include <fuselage/context.hpp>
#include <fuselage/result.hpp>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace fuselage {

namespace detail {

class Sleeper;

/// Runs `work` on the blocking pool of the request's session, then resumes `waiting` on a worker.
void start_blocking(const Context& context, std::function<void()> work, std::coroutine_handle<> waiting);

template <class T>
struct IsResult : std::false_type {};
template <class T>
struct IsResult<Result<T>> : std::true_type {};

}  // namespace detail

/// `co_await sleep_for(context, 10ms)`: a `Result<void>`; EINTR if it was cut short.
class [[nodiscard]] sleep_for {
 public:
  sleep_for(const Context& context, std::chrono::nanoseconds duration);
  ~sleep_for();
  sleep_for(const sleep_for&) = delete;
  sleep_for& operator=(const sleep_for&) = delete;

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting);
  Result<void> await_resume();

 private:
  std::shared_ptr<detail::Sleeper> sleeper_;
};

/// `co_await run_blocking(context, callable)`: runs `callable()` on a thread where it may block as long as it likes and
/// gives its result: the `Result<T>` it returns, or a `Result<T>` around its `T`. An exception becomes its errno. The
/// call itself is not cut short: let it look at `context.interrupted()` or `context.stop_token()`.
template <class Callable>
class [[nodiscard]] run_blocking {
  using Raw = std::invoke_result_t<Callable&>;
  using Answer = std::conditional_t<detail::IsResult<Raw>::value, Raw, Result<Raw>>;

 public:
  run_blocking(const Context& context, Callable callable) : context_(context), callable_(std::move(callable)) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    detail::start_blocking(
        context_, [this] { call(); }, waiting);
  }
  Answer await_resume() { return std::move(*answer_); }

 private:
  void call() noexcept try {
    if constexpr (std::is_void_v<Raw>) {
      callable_();
      answer_.emplace();
    } else {
      answer_.emplace(callable_());
    }
  } catch (...) {
    answer_.emplace(error_of_current_exception());
  }

  const Context& context_;
  Callable callable_;
  std::optional<Answer> answer_;
};

}  // namespace fuselage

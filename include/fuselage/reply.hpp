// Module: inode.
//
// What a handler returns: a value, an error, or a coroutine that will produce one of them.
//
// At once, without a frame or an allocation:
//
//   Reply<Attributes> getattr(...) override { return Attributes::file(14); }
//   Reply<Attributes> getattr(...) override { return Error{ENOENT}; }
//
// Later:
//
//   Reply<Attributes> getattr(...) override {
//     Result<Row> row = co_await database.fetch(ino);
//     if (!row) co_return row.error();
//     co_return attributes_of(*row);
//   }
//
// A coroutine starts when it is awaited, by the library or by another coroutine, and never before. An exception that
// leaves it becomes its error: `std::system_error` its errno, `std::bad_alloc` ENOMEM, any other EIO with its text.
#pragma once

#include <coroutine>
#include <fuselage/result.hpp>
#include <optional>
#include <utility>
#include <variant>

namespace fuselage {

template <class T>
class Reply;

namespace detail {

template <class T>
class PromiseBase {
 public:
  std::suspend_always initial_suspend() const noexcept { return {}; }

  struct Final {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
      return handle.promise().continuation;
    }
    void await_resume() const noexcept {}
  };
  Final final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { result.emplace(error_of_current_exception()); }

  std::coroutine_handle<> continuation = std::noop_coroutine();
  std::optional<Result<T>> result;
};

template <class T>
class Promise : public PromiseBase<T> {
 public:
  Reply<T> get_return_object() noexcept;
  template <class U>
  void return_value(U&& value) {
    this->result.emplace(std::forward<U>(value));
  }
};

template <>
class Promise<void> : public PromiseBase<void> {
 public:
  Reply<void> get_return_object() noexcept;
  // `co_return {};` and `co_return Error{...};`, since one promise cannot have both return_void and return_value.
  void return_value(Result<void> value) { result.emplace(std::move(value)); }
};

}  // namespace detail

/// The answer of an operation, now or later. Movable, not copyable. Not thread-safe by itself.
template <class T>
class [[nodiscard]] Reply {
 public:
  using value_type = T;
  using promise_type = detail::Promise<T>;

  Reply() requires std::is_void_v<T> : state_(Result<T>()) {}
  template <class U>
  requires(!std::is_same_v<std::remove_cvref_t<U>, Reply> && std::is_constructible_v<Result<T>, U&&>) Reply(U&& value)
      : state_(std::in_place_type<Result<T>>, std::forward<U>(value)) {}  // NOLINT: `return value;` is the point

  Reply(Reply&& other) noexcept : state_(std::exchange(other.state_, Coroutine{})) {}
  Reply& operator=(Reply&& other) noexcept {
    if (this != &other) {
      destroy();
      state_ = std::exchange(other.state_, Coroutine{});
    }
    return *this;
  }
  ~Reply() { destroy(); }

  /// True when the answer is there and `take` may be called.
  bool ready() const noexcept { return std::holds_alternative<Result<T>>(state_) || coroutine().done(); }

  /// The answer, where it lies: valid as long as the reply. Requires `ready()`.
  Result<T>& result() {
    if (auto* result = std::get_if<Result<T>>(&state_)) return *result;
    return *coroutine().promise().result;
  }

  /// The answer, once. Requires `ready()`.
  Result<T> take() { return std::move(result()); }

  /// `co_await` gives a `Result<T>`; it starts the coroutine if there is one.
  bool await_ready() const noexcept { return ready(); }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    coroutine().promise().continuation = awaiting;
    return coroutine();
  }
  Result<T> await_resume() { return take(); }

 private:
  friend promise_type;
  using Coroutine = std::coroutine_handle<promise_type>;

  explicit Reply(Coroutine coroutine) noexcept : state_(coroutine) {}
  const Coroutine& coroutine() const noexcept { return *std::get_if<Coroutine>(&state_); }
  void destroy() noexcept {
    if (auto* coroutine = std::get_if<Coroutine>(&state_); coroutine != nullptr && *coroutine) coroutine->destroy();
  }

  std::variant<Result<T>, Coroutine> state_;
};

namespace detail {

template <class T>
Reply<T> Promise<T>::get_return_object() noexcept {
  return Reply<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}

inline Reply<void> Promise<void>::get_return_object() noexcept {
  return Reply<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

}  // namespace detail
}  // namespace fuselage

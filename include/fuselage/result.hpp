// Module: base.
//
// Errors as values. An operation that can fail returns `Result<T>`: the value, or an `Error` that holds an errno and,
// where a person will read it, a message.
//
//   Result<Mount> mount = Mount::create("/mnt/data", options);
//   if (!mount) { std::cerr << mount.error().message() << '\n'; return 1; }
//
// Thread-safety: as for the built-in types.
#pragma once

#include <cerrno>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

namespace fuselage {

/// Why something failed: a positive errno and an optional explanation. Its sign is applied once, where the answer is
/// written for the kernel; nowhere else is an errno negative.
class [[nodiscard]] Error {
 public:
  /// An errno with the system's own text. A value that is no errno (zero, negative, over 511: the kernel would refuse
  /// the answer, and its caller wait for ever) becomes EIO.
  constexpr explicit Error(int code) noexcept : code_(valid(code) ? code : EIO) {}

  /// The same with a sentence that says what was wrong and what to do.
  Error(int code, std::string message)
      : code_(valid(code) ? code : EIO), message_(std::make_shared<const std::string>(std::move(message))) {}

  /// The errno, 1 to 511.
  constexpr int code() const noexcept { return code_; }

  /// The explanation, or the system's text for the errno.
  std::string message() const { return message_ ? *message_ : std::generic_category().message(code_); }

  /// True if it came with an explanation of its own.
  bool has_message() const noexcept { return message_ != nullptr; }

  /// Equal errnos; the messages do not matter.
  friend bool operator==(const Error& a, const Error& b) noexcept { return a.code_ == b.code_; }

  /// The errno that the last system call of this thread left.
  static Error last() noexcept { return Error{errno}; }

 private:
  static constexpr bool valid(int code) noexcept { return code > 0 && code < 512; }

  int code_;
  std::shared_ptr<const std::string> message_;
};

/// The error that an exception stands for. Call it inside a `catch` block.
inline Error error_of_current_exception() noexcept try {
  try {
    throw;
  } catch (const std::system_error& error) {
    const bool is_errno =
        error.code().category() == std::generic_category() || error.code().category() == std::system_category();
    return Error{is_errno ? error.code().value() : EIO, error.what()};
  } catch (const std::bad_alloc&) {
    return Error{ENOMEM};
  } catch (const std::exception& error) {
    return Error{EIO, error.what()};
  } catch (...) {
    return Error{EIO, "an exception that is no std::exception"};
  }
} catch (...) {
  return Error{EIO};
}

/// A value or an `Error`. `T` may be `void`.
template <class T>
class [[nodiscard]] Result {
  using Value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

 public:
  using value_type = T;

  Result() requires std::is_void_v<T> : state_(std::in_place_index<0>) {}
  template <class U = Value>
  requires(!std::is_void_v<T> && std::is_convertible_v<U, Value> && !std::is_same_v<std::remove_cvref_t<U>, Result> &&
           !std::is_same_v<std::remove_cvref_t<U>, Error>) Result(U&& value)
      : state_(std::in_place_index<0>, std::forward<U>(value)) {}            // NOLINT: a value is a Result
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: an Error is a Result

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  /// The value. Calling it on an error throws `std::bad_variant_access`.
  Value& value() & { return std::get<0>(state_); }
  const Value& value() const& { return std::get<0>(state_); }
  Value value() && { return std::get<0>(std::move(state_)); }  // by value: `for (auto& x : f().value())` is no trap
  Value& operator*() & { return value(); }
  const Value& operator*() const& { return value(); }
  Value operator*() && { return std::move(*this).value(); }
  Value* operator->() { return &value(); }
  const Value* operator->() const { return &value(); }

  template <class U>
  Value value_or(U&& other) const& {
    return has_value() ? value() : static_cast<Value>(std::forward<U>(other));
  }

  /// The error. Calling it on a value throws `std::bad_variant_access`.
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<Value, Error> state_;
};

}  // namespace fuselage

// What a test and the handlers of its file system both look at, on different threads.
#pragma once

#include <mutex>
#include <utility>

namespace fuselage::test {

/// A value behind a mutex. The kernel orders a client's call and the handler that serves it, but ThreadSanitizer cannot
/// know that.
template <class T>
class Shared {
 public:
  Shared() = default;
  explicit Shared(T value) : value_(std::move(value)) {}

  T get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  void set(T value) {
    const std::lock_guard lock(mutex_);
    value_ = std::move(value);
  }
  /// Changes it in place: `change(value)`.
  template <class Change>
  void change(Change change) {
    const std::lock_guard lock(mutex_);
    change(value_);
  }

 private:
  mutable std::mutex mutex_;
  T value_{};
};

}  // namespace fuselage::test

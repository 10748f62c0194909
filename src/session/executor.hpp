// What suspended requests need from whoever runs the session.
#pragma once

#include <linux/time_types.h>

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

struct io_uring_sqe;

namespace fuselage {
class Context;
}

namespace fuselage::session {

/// Something that shall happen at a time, unless it is given up before.
class Timer {
 public:
  virtual ~Timer() = default;
  /// Called once, at the time or later, on a thread that must not be held up.
  virtual void expire() noexcept = 0;
};

/// A system call that a coroutine waits for. It must live until `done` was called.
class IoOperation {
 public:
  virtual ~IoOperation() = default;
  /// Describes the call to io_uring.
  virtual void prepare(::io_uring_sqe& entry) noexcept = 0;
  /// The same on this thread, which may block: the result, or a negative errno.
  virtual int perform() noexcept = 0;
  /// It is over, with this result. On a thread that must not be held up.
  virtual void done(int result) noexcept = 0;

  std::optional<::__kernel_timespec> limit;  ///< After this long it is given up with ECANCELED.
  std::uint64_t number = 0;                  ///< For the ring that carries it.
};

/// Runs coroutines on, keeps their timers, and has threads for calls that block. Thread-safe.
class Executor {
 public:
  virtual ~Executor() = default;

  /// That of a request. Throws `std::system_error` if the context has none.
  static Executor& of(const Context& context);

  using Clock = std::chrono::steady_clock;

  /// Resumes `coroutine` on a thread where handlers run.
  virtual void post(std::coroutine_handle<> coroutine) = 0;
  /// Expires `timer` at `time`. A timer that nobody else holds any more is dropped.
  virtual void expire_at(Clock::time_point time, std::weak_ptr<Timer> timer) = 0;
  /// Runs `work` on a thread that may block.
  virtual void run_blocking(std::function<void()> work) = 0;
  /// Carries out `operation`; without io_uring, on a thread that may block.
  virtual void submit(IoOperation& operation) {
    run_blocking([&operation] { operation.done(operation.perform()); });
  }
  /// `operation`, submitted here and not done yet, may be given up.
  virtual void cancel(const IoOperation& /*operation*/) noexcept {}
  /// The time that `expire_at` means.
  virtual Clock::time_point now() const noexcept { return Clock::now(); }
};

}  // namespace fuselage::session

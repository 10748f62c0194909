// What suspended requests need from whoever runs the session.
#pragma once

#include <chrono>
#include <coroutine>
#include <functional>
#include <memory>

namespace fuselage::session {

/// Something that shall happen at a time, unless it is given up before.
class Timer {
 public:
  virtual ~Timer() = default;
  /// Called once, at the time or later, on a thread that must not be held up.
  virtual void expire() noexcept = 0;
};

/// Runs coroutines on, keeps their timers, and has threads for calls that block. Thread-safe.
class Executor {
 public:
  virtual ~Executor() = default;

  using Clock = std::chrono::steady_clock;

  /// Resumes `coroutine` on a thread where handlers run.
  virtual void post(std::coroutine_handle<> coroutine) = 0;
  /// Expires `timer` at `time`. A timer that nobody else holds any more is dropped.
  virtual void expire_at(Clock::time_point time, std::weak_ptr<Timer> timer) = 0;
  /// Runs `work` on a thread that may block.
  virtual void run_blocking(std::function<void()> work) = 0;
  /// The time that `expire_at` means.
  virtual Clock::time_point now() const noexcept { return Clock::now(); }
};

}  // namespace fuselage::session

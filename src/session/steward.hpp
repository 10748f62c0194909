// The thread that looks after the workers: it notices that one is held up, keeps timers and deadlines, and makes sure
// that a wake-up arrives. It sleeps for as long as nothing happens.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "base/unique_fd.hpp"
#include "session/executor.hpp"

namespace fuselage::session {

/// Calls `tick` again and again at the pace that it wants, and after each `poke`; keeps timers beside it.
class Steward {
 public:
  using Clock = Executor::Clock;
  enum class Pace { asleep, relaxed, alert };
  /// The time from one look to the next. On a CPU that it shares with the workers, each costs some microseconds.
  static constexpr std::chrono::milliseconds alert_period{1};
  static constexpr std::chrono::milliseconds relaxed_period{4};

  /// `tick` is called on the steward's thread; when it sleeps, also once the descriptor `awaited` can be read (-1:
  /// none).
  explicit Steward(std::function<Pace()> tick, int awaited = -1);
  ~Steward() { end(); }

  void begin();
  void end() noexcept;

  /// Makes the steward look now. From any thread and from signal handlers.
  void poke() noexcept;

  /// True while nobody ticks: whoever begins something that wants watching must `poke` then.
  bool asleep() const noexcept { return asleep_.load(std::memory_order_seq_cst); }

  void expire_at(Clock::time_point time, std::weak_ptr<Timer> timer);

 private:
  void run() noexcept;
  void wait(Pace pace);
  void expire_timers() noexcept;

  const std::function<Pace()> tick_;
  const int awaited_;
  base::UniqueFd event_;
  std::atomic<bool> asleep_{true};
  std::atomic<bool> ended_{false};
  std::mutex mutex_;
  std::multimap<Clock::time_point, std::weak_ptr<Timer>> timers_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace fuselage::session

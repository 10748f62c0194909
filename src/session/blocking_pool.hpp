// Threads for calls that block.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>

namespace fuselage::session {

/// Starts threads as calls come, up to a limit, and ends them when there is nothing to do for a while.
class BlockingPool {
 public:
  explicit BlockingPool(std::size_t max_threads) noexcept : max_threads_(max_threads) {}
  ~BlockingPool() { drain(); }

  /// Thread-safe. `work` must not throw.
  void run(std::function<void()> work);

  /// Waits until everything that was asked for has been done and the threads have ended.
  void drain() noexcept;

 private:
  void serve() noexcept;

  const std::size_t max_threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable ended_;
  std::deque<std::function<void()>> queue_;  // guarded by mutex_
  std::size_t threads_ = 0;                  // guarded by mutex_
  std::size_t idle_ = 0;                     // guarded by mutex_
  bool draining_ = false;                    // guarded by mutex_
};

}  // namespace fuselage::session

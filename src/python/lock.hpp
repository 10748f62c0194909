// The global lock: every handler runs with it held.
#pragma once

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

#include "python/object.hpp"

namespace fuselage::python {

/// A lock that can be handed over for certain. Whoever waits for it must not hold the GIL: its holder may want that.
class GlobalLock {
 public:
  /// The one of the process.
  static GlobalLock& instance();

  bool try_acquire();
  /// False when the time is over.
  bool acquire(std::optional<std::chrono::duration<double>> timeout = {});
  /// False, and nothing done, when another thread holds it or nobody.
  bool release();
  /// Lets others have it, `count` times, as long as others wait. Requires that this thread holds it.
  void yield(long count);
  bool is_mine();

 private:
  GlobalLock();
  void take() noexcept;
  void restart_in_child();

  std::mutex mutex_;
  std::condition_variable free_;
  std::condition_variable taken_;
  bool held_ = false;        // guarded by mutex_, as all that follows
  ::pthread_t owner_{};      // if held_
  unsigned waiting_ = 0;     // in acquire or yield
  unsigned yielding_ = 0;    // of these, in yield and until somebody has taken it
  std::uint64_t turns_ = 0;  // how often it was taken
};

/// Adds the classes Lock and NoLockManager and their objects `lock` and `lock_released`. False with an exception.
bool add_lock(PyObject* module);

}  // namespace fuselage::python

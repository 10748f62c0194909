// The function that a program wants to be called when the caller of a request is interrupted.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "capi/v2/api.hpp"

namespace fuselage::capi2 {

/// Part of a request. Thread-safe.
class Interrupt {
 public:
  /// fuse_req_interrupt_func: from now on `function`, which may be null, and at once if it has happened already. Waits
  /// for the function before it, for programs free its data then; but not for itself. `watch` is called the first time,
  /// so that `happen` will be.
  template <class Watch>
  void set(fuse_req_t req, fuse_interrupt_func_t function, void* data, Watch&& watch) {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return runs_on_ == std::thread::id() || runs_on_ == std::this_thread::get_id(); });
    function_ = function;
    data_ = data;
    if (function == nullptr) return;
    if (happened_.load()) return run(req, lock);
    if (std::exchange(watched_, true)) return;
    lock.unlock();  // it may happen right now
    watch();
  }

  /// The caller was interrupted.
  void happen(fuse_req_t req) {
    std::unique_lock lock(mutex_);
    happened_.store(true);
    if (function_ != nullptr) run(req, lock);
  }

  /// The request is answered: nothing is called any more. Does not wait for a function that runs, which may wait for a
  /// lock of the one who answers.
  void drop() noexcept {
    const std::lock_guard lock(mutex_);
    function_ = nullptr;
  }

  bool happened() const noexcept { return happened_.load(); }

 private:
  void run(fuse_req_t req, std::unique_lock<std::mutex>& lock) {
    const std::thread::id before = std::exchange(runs_on_, std::this_thread::get_id());
    const fuse_interrupt_func_t function = function_;
    void* const data = data_;
    lock.unlock();
    function(req, data);
    lock.lock();
    runs_on_ = before;
    idle_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable idle_;
  std::thread::id runs_on_;  // guarded by mutex_, as what follows
  fuse_interrupt_func_t function_ = nullptr;
  void* data_ = nullptr;
  bool watched_ = false;
  std::atomic<bool> happened_{false};
};

}  // namespace fuselage::capi2

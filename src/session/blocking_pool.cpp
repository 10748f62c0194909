#include "session/blocking_pool.hpp"

#include <chrono>
#include <thread>

#include "transport/cpus.hpp"
#include "transport/wake_signal.hpp"

namespace fuselage::session {

void BlockingPool::run(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(std::move(work));
  if (idle_ >= queue_.size() || threads_ == max_threads_) {
    wake_.notify_one();
    return;
  }
  ++threads_;
  std::thread([this, home = transport::home_of_this_thread()] {
    home.apply();
    serve();
  }).detach();
}

void BlockingPool::serve() noexcept {
  constexpr std::chrono::seconds keep_idle(2);
  transport::accept_only_wake_signal();
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    wake_.wait_for(lock, keep_idle, [this] { return draining_ || !queue_.empty(); });
    --idle_;
    if (queue_.empty()) break;
    const std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work();
    lock.lock();
  }
  --threads_;
  ended_.notify_all();  // under the lock: the pool may be destroyed as soon as it is released
}

void BlockingPool::drain() noexcept {
  std::unique_lock lock(mutex_);
  draining_ = true;
  wake_.notify_all();
  ended_.wait(lock, [this] { return threads_ == 0; });
  draining_ = false;
}

}  // namespace fuselage::session

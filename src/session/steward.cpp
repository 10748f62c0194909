#include "session/steward.hpp"

#include <poll.h>
#include <sys/eventfd.h>

#include <optional>
#include <system_error>

#include "transport/wake_signal.hpp"

namespace fuselage::session {

Steward::Steward(std::function<Pace()> tick, int awaited)
    : tick_(std::move(tick)), awaited_(awaited), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!event_) throw std::system_error(errno, std::generic_category(), "eventfd");
}

void Steward::begin() {
  ended_.store(false);
  thread_ = std::thread([this] { run(); });
}

void Steward::end() noexcept {
  if (!thread_.joinable()) return;
  ended_.store(true);
  poke();
  thread_.join();
}

void Steward::poke() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof one);
}

void Steward::expire_at(Clock::time_point time, std::weak_ptr<Timer> timer) {
  bool is_next = false;
  {
    const std::lock_guard lock(mutex_);
    is_next = timers_.emplace(time, std::move(timer)) == timers_.begin();
  }
  if (is_next) poke();
}

void Steward::run() noexcept {
  transport::accept_only_wake_signal();
  ::pthread_setname_np(::pthread_self(), "fuse-steward");
  while (!ended_.load()) {
    expire_timers();
    if (const Pace pace = tick_(); pace != Pace::asleep) {
      asleep_.store(false, std::memory_order_seq_cst);
      wait(pace);
      continue;
    }
    // Whoever begins something now sees that we sleep, or has begun it early enough for this second look.
    asleep_.store(true, std::memory_order_seq_cst);
    if (tick_() == Pace::asleep) wait(Pace::asleep);
    asleep_.store(false, std::memory_order_seq_cst);
  }
}

void Steward::wait(Pace pace) {
  std::optional<Clock::duration> limit;
  if (pace != Pace::asleep) limit = pace == Pace::alert ? alert_period : relaxed_period;
  {
    const std::lock_guard lock(mutex_);
    if (!timers_.empty()) {
      const auto left = std::max(Clock::duration(0), timers_.begin()->first - Clock::now());
      limit = limit ? std::min(*limit, left) : left;
    }
  }
  ::timespec time{};
  if (limit) {
    time.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(*limit).count();
    time.tv_nsec = (*limit % std::chrono::seconds(1)).count();
  }
  // poll(2) leaves out what is negative.
  ::pollfd events[] = {{event_.get(), POLLIN, 0}, {pace == Pace::asleep ? awaited_ : -1, POLLIN, 0}};
  if (::ppoll(events, std::size(events), limit ? &time : nullptr, nullptr) <= 0) return;
  std::uint64_t pokes = 0;
  [[maybe_unused]] const ssize_t size = ::read(event_.get(), &pokes, sizeof pokes);
}

void Steward::expire_timers() noexcept {
  for (;;) {
    std::shared_ptr<Timer> timer;
    {
      const std::lock_guard lock(mutex_);
      if (timers_.empty() || timers_.begin()->first > Clock::now()) return;
      timer = timers_.begin()->second.lock();
      timers_.erase(timers_.begin());
    }
    if (timer) timer->expire();
  }
}

}  // namespace fuselage::session

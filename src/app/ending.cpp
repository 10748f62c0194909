#include "app/ending.hpp"

#include <time.h>
#include <unistd.h>

#include "app/command_line.hpp"
#include "base/log.hpp"

namespace fuselage::app {
namespace {

// How often to see whether requests are still being answered.
constexpr std::chrono::milliseconds look(50);

void wait(::sem_t& event, std::chrono::nanoseconds limit) noexcept {
  ::timespec until{};
  ::clock_gettime(CLOCK_MONOTONIC, &until);
  const auto nanoseconds = std::chrono::nanoseconds(until.tv_nsec) + limit;
  until.tv_sec += std::chrono::duration_cast<std::chrono::seconds>(nanoseconds).count();
  until.tv_nsec = (nanoseconds % std::chrono::seconds(1)).count();
  ::sem_clockwait(&event, CLOCK_MONOTONIC, &until);
}

}  // namespace

Ending::Ending() {
  ::sem_init(&event_, 0, 0);
  signals_.emplace(
      [](void* ending, int) noexcept {
        static_cast<Ending*>(ending)->signalled_.store(true);
        ::sem_post(&static_cast<Ending*>(ending)->event_);
      },
      this);
  thread_ = std::thread([this] { run(); });
}

Ending::~Ending() {
  over_.store(true);
  ::sem_post(&event_);
  thread_.join();
  signals_.reset();
  ::sem_destroy(&event_);
}

void Ending::mounted(Mount& mount) {
  const std::lock_guard lock(mutex_);
  mount_ = &mount;
  device_ = mount.device();
}

void Ending::serving(Session& session) {
  const std::lock_guard lock(mutex_);
  session_ = &session;
  // What was unmounted meanwhile ends by itself, but unmounting may have failed.
  if (signalled_.load() && !unmounting_.joinable()) session.stop();
}

void Ending::served() {
  std::thread unmounting;
  {
    const std::lock_guard lock(mutex_);
    mount_ = nullptr;
    unmounting.swap(unmounting_);
  }
  if (unmounting.joinable()) unmounting.join();
  const std::lock_guard lock(mutex_);
  session_ = nullptr;
  device_ = -1;
  signalled_.store(false);
}

void Ending::run() noexcept try {
  while (!over_.load()) {
    if (signalled_.load()) {
      end_it();
    } else {
      ::sem_wait(&event_);
    }
  }
} catch (...) {
  base::log(LogLevel::error, "cannot end in order: {}", error_of_current_exception().message());
  ::_exit(exit_failed);
}

void Ending::end_it() {
  std::uint64_t before = answered();
  auto since = Clock::now();
  while (signalled_.load() && !over_.load()) {
    {
      const std::lock_guard lock(mutex_);
      if (mount_ != nullptr && !unmounting_.joinable()) {
        unmounting_ = std::thread([this, mount = mount_] { unmount_and_stop(*mount); });
      }
    }
    wait(event_, look);
    if (const std::uint64_t now = answered(); now != before) {
      before = now;
      since = Clock::now();
    } else if (Clock::now() - since > patience) {
      give_up();
    }
  }
}

void Ending::unmount_and_stop(Mount& mount) noexcept {
  if (const auto done = mount.unmount(); !done) {
    base::log(LogLevel::error, "cannot unmount '{}': {}", mount.mountpoint().string(), done.error().message());
  }
  const std::lock_guard lock(mutex_);
  if (session_ != nullptr) session_->stop();
}

// How many requests were answered so far.
std::uint64_t Ending::answered() {
  const std::lock_guard lock(mutex_);
  if (session_ == nullptr) return 0;
  std::uint64_t count = 0;
  for (const OperationStatistics& operation : session_->statistics().operations) count += operation.count;
  return count;
}

void Ending::give_up() {
  const std::lock_guard lock(mutex_);
  std::string what = "it hangs outside of any request";
  if (session_ != nullptr) {
    for (const std::string& request : session_->under_way(patience)) {
      base::log(LogLevel::error, "no answer: {}", request);
      what = "its handlers do not return";
    }
    session_->stop();
  }
  base::log(LogLevel::error, "ended by force, because {}", what);
  if (device_ >= 0) {
    // fuse_dev_release cuts the connection once nobody reads from the device any more. Without that, a thread of ours
    // that waits in umount(2) for a request to our own mount would keep the process, and with it the connection, alive.
    std::this_thread::sleep_for(2 * look);
    ::close(device_);
    std::this_thread::sleep_for(look);
  }
  ::_exit(exit_failed);
}

}  // namespace fuselage::app

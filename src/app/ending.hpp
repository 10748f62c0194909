// How a program that serves a mount ends when a signal says so: without losses, and without hanging.
#pragma once

#include <semaphore.h>

#include <atomic>
#include <chrono>
#include <fuselage/mount.hpp>
#include <fuselage/session.hpp>
#include <mutex>
#include <optional>
#include <thread>

#include "session/signals.hpp"

namespace fuselage::app {

/// While it lives, SIGTERM, SIGINT and SIGHUP end the program in order. Once one has come, a thread unmounts while the
/// session still answers (the kernel may have dirty pages to write back), then stops the session. When no request is
/// answered for `patience`, it says which ones hang, cuts the connection and exits with 1; the same for a start that
/// hangs. It has a thread, so fork before; construct it before mounting and destroy it after unmounting.
class Ending {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds patience{2};

  Ending();
  ~Ending();
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;

  /// From now on there is something to unmount, and something to stop. Both must live until `served`.
  void mounted(Mount& mount);
  void serving(Session& session);

  /// `Session::run` has returned: waits for an unmount that is under way, and leaves the rest to the caller. What comes
  /// after may take its time, unless another signal comes.
  void served();

 private:
  void run() noexcept;
  void end_it();
  void unmount_and_stop(Mount& mount) noexcept;
  std::uint64_t answered();
  [[noreturn]] void give_up();

  ::sem_t event_{};  // because sem_post is async-signal-safe
  std::atomic<bool> signalled_{false};
  std::atomic<bool> over_{false};
  std::mutex mutex_;
  Mount* mount_ = nullptr;      // guarded by mutex_
  int device_ = -1;             // guarded by mutex_: the mount's
  Session* session_ = nullptr;  // guarded by mutex_
  std::thread unmounting_;      // guarded by mutex_
  std::optional<session::SignalGuard> signals_;
  std::thread thread_;
};

}  // namespace fuselage::app

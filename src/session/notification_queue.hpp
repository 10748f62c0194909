// Behind `Notifier`: sends notifications from a thread of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <fuselage/notifier.hpp>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "transport/channel.hpp"
#include "wire/notification.hpp"

namespace fuselage::detail {

/// A queue and the thread that empties it, which begins with the first notification. The kernel may hold the thread up
/// for as long as it needs a lock that some handler's caller has, so it must not be one that anything else waits for.
class NotificationQueue {
 public:
  explicit NotificationQueue(transport::Channel& channel) noexcept : channel_(channel) {}
  ~NotificationQueue() { end(); }

  /// Notifications may be sent from now on.
  void begin(unsigned minor) noexcept { minor_.store(minor, std::memory_order_release); }
  /// Sends what is queued, for somebody serves requests now. The kernel may need a lock whose holder waits for an
  /// answer, so nothing is sent before.
  void resume() noexcept;
  /// Begins nothing new. True: nothing is being sent, so requests need not be served for its sake.
  bool pause() noexcept;
  /// Drops what is queued, and joins the thread. Further notifications fail with ENOTCONN.
  void end() noexcept;

  /// From now on no thread sends what is queued: somebody calls `send_next`.
  void send_by_hand() noexcept { by_hand_ = true; }
  /// Sends what was queued first; false if there is nothing.
  bool send_next() noexcept;

  /// Sends or queues. `since`: the protocol minor that it needs, if that is not its kind's.
  Result<void> submit(const wire::Notification& notification, bool synchronous, unsigned since = 0);

  using Retrieved = std::function<void(std::uint64_t offset, Bytes bytes)>;
  Result<void> retrieve(Ino ino, Range range, Retrieved done, bool synchronous);
  /// NOTIFY_REPLY arrived.
  void retrieved(std::uint64_t unique, std::uint64_t offset, Bytes bytes) noexcept;

  Result<std::int32_t> open_backing(int fd);
  Result<void> close_backing(std::int32_t id);

  std::uint64_t sent() const noexcept { return sent_.load(std::memory_order_relaxed); }

 private:
  Result<void> available(unsigned since) const;
  Result<void> send(std::span<const ::iovec> parts) noexcept;
  void run() noexcept;
  void send_front(std::unique_lock<std::mutex>& lock) noexcept;

  transport::Channel& channel_;
  std::atomic<unsigned> minor_{0};  // 0: not ready, or ended
  std::atomic<std::uint64_t> sent_{0};
  bool by_hand_ = false;  // constant once messages are served

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::vector<std::byte>> queue_;       // guarded by mutex_
  std::map<std::uint64_t, Retrieved> retrievals_;  // guarded by mutex_
  // Guarded by mutex_. The kernel looks for the answer among its own requests (fuse_uring_commit_fetch), which it
  // numbers with even numbers from the other end.
  std::uint64_t next_retrieval_ = std::uint64_t{1} << 62;
  bool paused_ = true;    // guarded by mutex_
  bool sending_ = false;  // guarded by mutex_
  bool ended_ = false;    // guarded by mutex_
  std::thread thread_;    // guarded by mutex_
};

}  // namespace fuselage::detail

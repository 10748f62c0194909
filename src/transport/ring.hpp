// An io_uring of the shape that FUSE wants: submission entries of 128 bytes, completions in order of arrival.
#pragma once

#include <liburing.h>

#include <fuselage/result.hpp>
#include <mutex>

namespace fuselage::transport {

/// What several threads use, but one at a time: whoever may call the members is somebody else's agreement.
///
/// Neither COOP_TASKRUN nor DEFER_TASKRUN: the kernel copies a request in the context of the task that submitted the
/// entry (fuse_uring_send_in_task), and with these it would wait until that task asks for it, which a task that is held
/// up in a handler does not do. Without them a task that sleeps in a handler is woken for it.
class Ring {
 public:
  /// Throws `std::system_error`.
  Ring(unsigned submissions, unsigned completions);
  ~Ring() { ::io_uring_queue_exit(&ring_); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  /// The next submission, all zero; null while there is no room: `enter` makes some.
  ::io_uring_sqe* prepare() noexcept;
  /// How many are prepared and not submitted yet.
  unsigned prepared() const noexcept;

  /// Submits what is prepared, and waits for `wait_for` completions. `registered`: what `register_for_thread` said to
  /// this very thread. 0 or the errno.
  int enter(unsigned wait_for, int registered) noexcept;

  /// The oldest completion; null if there is none.
  ::io_uring_cqe* peek() noexcept { return completion(0); }
  /// The one behind `position` others.
  ::io_uring_cqe* completion(unsigned position) noexcept;
  void consume() noexcept { ::io_uring_cq_advance(&ring_, 1); }

  /// Makes `enter` cheaper for the calling thread, until it unregisters. -1: not possible.
  int register_for_thread() noexcept;
  void unregister_for_thread(int registered) noexcept;

  int fd() const noexcept { return ring_.ring_fd; }

 private:
  ::io_uring ring_{};
};

/// Puts empty completions into other rings: who waits there wakes up, and who does not finds it when he looks. Unlike a
/// signal it cannot come too early, and disturbs no system call of a handler. Thread-safe.
class RingBell {
 public:
  /// Throws `std::system_error`.
  RingBell();
  ~RingBell() { ::io_uring_queue_exit(&ring_); }
  RingBell(const RingBell&) = delete;
  RingBell& operator=(const RingBell&) = delete;

  void ring(const Ring& other) noexcept;

 private:
  std::mutex mutex_;
  ::io_uring ring_{};  // guarded by mutex_
};

}  // namespace fuselage::transport

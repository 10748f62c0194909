#include "transport/ring.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace fuselage::transport {
namespace {

constexpr std::size_t submission_size = 128;

// liburing has this for the thread that set up the ring; here each thread that takes over registers for itself.
int register_ring(int fd, unsigned operation, ::io_uring_rsrc_update& update) noexcept {
  return static_cast<int>(::syscall(SYS_io_uring_register, fd, operation, &update, 1));
}

}  // namespace

Ring::Ring(unsigned submissions, unsigned completions) {
  ::io_uring_params parameters{};
  parameters.flags = IORING_SETUP_SQE128 | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  parameters.cq_entries = completions;
  if (const int error = ::io_uring_queue_init_params(submissions, &ring_, &parameters); error < 0) {
    throw std::system_error(-error, std::generic_category(), "io_uring_setup");
  }
  for (unsigned i = 0; i < ring_.sq.ring_entries; ++i) ring_.sq.array[i] = i;
}

::io_uring_sqe* Ring::prepare() noexcept {
  if (prepared() == ring_.sq.ring_entries) return nullptr;
  const unsigned tail = *ring_.sq.ktail;
  auto* const sqe = ring_.sq.sqes + 2 * static_cast<std::size_t>(tail & ring_.sq.ring_mask);
  std::memset(static_cast<void*>(sqe), 0, submission_size);
  // The kernel looks at it in `enter` only, so it may be filled after it was counted.
  std::atomic_ref(*ring_.sq.ktail).store(tail + 1, std::memory_order_release);
  return sqe;
}

unsigned Ring::prepared() const noexcept {
  return *ring_.sq.ktail - std::atomic_ref(*ring_.sq.khead).load(std::memory_order_acquire);
}

int Ring::enter(unsigned wait_for, int registered) noexcept {
  const bool is_registered = registered >= 0;
  const unsigned flags = (is_registered ? IORING_ENTER_REGISTERED_RING : 0u) | IORING_ENTER_GETEVENTS;
  const int result = ::io_uring_enter2(static_cast<unsigned>(is_registered ? registered : ring_.ring_fd), prepared(),
                                       wait_for, flags, nullptr, 0);
  return result < 0 ? -result : 0;
}

::io_uring_cqe* Ring::completion(unsigned position) noexcept {
  const unsigned at = *ring_.cq.khead + position;
  const unsigned tail = std::atomic_ref(*ring_.cq.ktail).load(std::memory_order_acquire);
  if (static_cast<int>(tail - at) <= 0) return nullptr;
  return &ring_.cq.cqes[at & ring_.cq.ring_mask];
}

int Ring::register_for_thread() noexcept {
  ::io_uring_rsrc_update update{};
  update.offset = UINT32_MAX;  // the kernel chooses
  update.data = static_cast<std::uint64_t>(ring_.ring_fd);
  return register_ring(ring_.ring_fd, IORING_REGISTER_RING_FDS, update) == 1 ? static_cast<int>(update.offset) : -1;
}

void Ring::unregister_for_thread(int registered) noexcept {
  if (registered < 0) return;
  ::io_uring_rsrc_update update{};
  update.offset = static_cast<std::uint32_t>(registered);
  register_ring(ring_.ring_fd, IORING_UNREGISTER_RING_FDS, update);
}

RingBell::RingBell() {
  if (const int error = ::io_uring_queue_init(1, &ring_, 0); error < 0) {
    throw std::system_error(-error, std::generic_category(), "io_uring_setup");
  }
}

void RingBell::ring(const Ring& other) noexcept {
  const std::lock_guard lock(mutex_);
  ::io_uring_sqe* sqe = ::io_uring_get_sqe(&ring_);
  if (sqe == nullptr) {  // the kernel did not take the last one
    ::io_uring_submit(&ring_);
    sqe = ::io_uring_get_sqe(&ring_);
  }
  if (sqe == nullptr) return;
  ::io_uring_prep_msg_ring(sqe, other.fd(), 0, 0, 0);
  ::io_uring_submit(&ring_);
  ::io_uring_cqe* completed = nullptr;
  while (::io_uring_peek_cqe(&ring_, &completed) == 0) ::io_uring_cqe_seen(&ring_, completed);
}

}  // namespace fuselage::transport

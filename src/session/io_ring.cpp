#include "session/io_ring.hpp"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "transport/cpus.hpp"
#include "transport/wake_signal.hpp"

namespace fuselage::session {
namespace {

constexpr unsigned entries = 256;

// What completions say they belong to; operations have the numbers from `first_operation` on.
constexpr std::uint64_t nobody = 0;
constexpr std::uint64_t bell = 1;
constexpr std::uint64_t first_operation = 2;

}  // namespace

// The thread sets up the ring and closes it: the kernel interrupts the waits of who has set up a ring when that is
// closed (io_ring_exit_work), and those of our callers are none of its business.
IoRing::IoRing() : bell_(::eventfd(0, EFD_CLOEXEC)), last_number_(first_operation) {
  if (!bell_) throw std::system_error(errno, std::generic_category(), "eventfd");
  thread_ = std::thread([this, home = transport::home_of_this_thread()] {
    home.apply();
    transport::accept_only_wake_signal();
    ::pthread_setname_np(::pthread_self(), "fuse-io");
    if (!set_up()) return;
    serve();
    ::io_uring_queue_exit(&ring_);
  });
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return set_up_.has_value(); });
  if (*set_up_ == 0) return;
  lock.unlock();
  thread_.join();
  throw std::system_error(*set_up_, std::generic_category(), "io_uring_setup");
}

bool IoRing::set_up() noexcept {
  const int result = ::io_uring_queue_init(entries, &ring_, 0);
  const std::lock_guard lock(mutex_);
  set_up_ = -result;
  idle_.notify_all();
  return result == 0;
}

IoRing::~IoRing() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(bell_.get(), &one, sizeof one);
  thread_.join();
}

void IoRing::submit(IoOperation& operation) { give({&operation, 0}); }

void IoRing::cancel(const IoOperation& operation) noexcept try {
  give({nullptr, operation.number});
} catch (const std::bad_alloc&) {
  // It goes on until it is done.
}

void IoRing::give(Order order) {
  bool is_first = false;
  {
    const std::lock_guard lock(mutex_);
    is_first = orders_.empty();
    if (order.operation != nullptr) {
      order.number = order.operation->number = ++last_number_;
    }
    orders_.push_back(order);
    if (order.operation != nullptr) ++under_way_;
  }
  const std::uint64_t one = 1;
  if (is_first) [[maybe_unused]]
    const ssize_t written = ::write(bell_.get(), &one, sizeof one);
}

void IoRing::drain() noexcept {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return under_way_ == 0; });
}

void IoRing::serve() noexcept {
  std::vector<Order> orders;
  listen();
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (over_) return;
      orders.swap(orders_);
    }
    for (const Order& order : orders) prepare(order);
    orders.clear();
    ::io_uring_submit_and_wait(&ring_, 1);
    for (::io_uring_cqe* completed = nullptr; ::io_uring_peek_cqe(&ring_, &completed) == 0;) {
      const std::uint64_t number = completed->user_data;
      const int result = completed->res;
      ::io_uring_cqe_seen(&ring_, completed);
      if (number == bell) {
        listen();
      } else if (number != nobody) {
        complete(number, result);
      }
    }
  }
}

void IoRing::listen() noexcept {
  ::io_uring_sqe& entry = next_entry();
  ::io_uring_prep_read(&entry, bell_.get(), &rings_, sizeof rings_, 0);
  entry.user_data = bell;
}

::io_uring_sqe& IoRing::next_entry() noexcept {
  for (;;) {
    if (::io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_); entry != nullptr) return *entry;
    ::io_uring_submit(&ring_);
  }
}

void IoRing::prepare(const Order& order) noexcept {
  if (order.operation == nullptr) {
    ::io_uring_sqe& entry = next_entry();
    ::io_uring_prep_cancel64(&entry, order.number, 0);
    entry.user_data = nobody;
    return;
  }
  IoOperation& operation = *order.operation;
  // An operation and its time limit are submitted together, or the kernel would not see that they are linked.
  if (::io_uring_sq_space_left(&ring_) < 2) ::io_uring_submit(&ring_);
  submitted_.emplace(order.number, &operation);
  ::io_uring_sqe& entry = next_entry();
  operation.prepare(entry);
  entry.user_data = order.number;
  if (!operation.limit) return;
  entry.flags |= IOSQE_IO_LINK;
  ::io_uring_sqe& timeout = next_entry();
  ::io_uring_prep_link_timeout(&timeout, &*operation.limit, 0);
  timeout.user_data = nobody;
}

void IoRing::complete(std::uint64_t number, int result) noexcept {
  const auto at = submitted_.find(number);
  IoOperation& operation = *at->second;
  submitted_.erase(at);
  operation.done(result);
  const std::lock_guard lock(mutex_);
  if (--under_way_ == 0) idle_.notify_all();
}

}  // namespace fuselage::session

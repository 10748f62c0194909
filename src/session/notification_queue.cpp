#include "session/notification_queue.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/log.hpp"
#include "transport/cpus.hpp"
#include "transport/wake_signal.hpp"
#include "wire/capabilities.hpp"

namespace fuselage {
namespace detail {

using wire::Notification;

void NotificationQueue::end() noexcept {
  minor_.store(0, std::memory_order_release);
  std::thread thread;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    queue_.clear();
    retrievals_.clear();
    thread.swap(thread_);
  }
  wake_.notify_all();
  if (thread.joinable()) thread.join();
}

void NotificationQueue::resume() noexcept {
  {
    const std::lock_guard lock(mutex_);
    paused_ = false;
  }
  wake_.notify_one();
}

bool NotificationQueue::pause() noexcept {
  const std::lock_guard lock(mutex_);
  paused_ = true;
  return !sending_;
}

Result<void> NotificationQueue::available(unsigned since) const {
  const unsigned minor = minor_.load(std::memory_order_acquire);
  if (minor == 0) return Error{ENOTCONN, "the session is not ready, or has ended"};
  if (minor < since) {
    return Error{EOPNOTSUPP, fmt::format("this notification needs FUSE 7.{}, the kernel speaks 7.{}", since, minor)};
  }
  return {};
}

Result<void> NotificationQueue::send(std::span<const ::iovec> parts) noexcept {
  wire::fuse_out_header header;
  std::memcpy(&header, parts[0].iov_base, sizeof header);
  // The channel puts header and body together again; the first part is header and fixed structure in one.
  std::array<::iovec, 3> body{};
  body[0] = {static_cast<std::byte*>(parts[0].iov_base) + sizeof header, parts[0].iov_len - sizeof header};
  for (std::size_t i = 1; i < parts.size(); ++i) body[i] = parts[i];
  const int failure = channel_.notify(header, std::span(body).first(parts.size()));
  sent_.fetch_add(1, std::memory_order_relaxed);
  if (failure != 0) return Error{failure};
  return {};
}

Result<void> NotificationQueue::submit(const Notification& notification, bool synchronous, unsigned since) {
  if (auto can = available(std::max(since, notification.row().since)); !can) return can;
  if (synchronous) return send(notification.iovecs());
  std::vector<std::byte> message = notification.flatten();
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return Error{ENOTCONN};
    queue_.push_back(std::move(message));
    if (!by_hand_ && !thread_.joinable()) {
      thread_ = std::thread([this, home = transport::home_of_this_thread()] {
        home.apply();
        run();
      });
    }
  }
  wake_.notify_one();
  return {};
}

void NotificationQueue::run() noexcept {
  transport::accept_only_wake_signal();
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return ended_ || (!paused_ && !queue_.empty()); });
    if (ended_) return;
    send_front(lock);
  }
}

bool NotificationQueue::send_next() noexcept {
  std::unique_lock lock(mutex_);
  if (queue_.empty()) return false;
  send_front(lock);
  return true;
}

// With mutex_ held, which is let go while the kernel acts.
void NotificationQueue::send_front(std::unique_lock<std::mutex>& lock) noexcept {
  const std::vector<std::byte> message = std::move(queue_.front());
  queue_.pop_front();
  sending_ = true;
  lock.unlock();
  const ::iovec whole{const_cast<std::byte*>(message.data()), message.size()};
  const Result<void> sent = send(std::span(&whole, 1));
  // ENOENT: the kernel does not know that node or name, so there is nothing to tell it. ENOTDIR, ENOTEMPTY: `deleted`
  // of what is not there any more, or is in use. ENODEV: unmounted meanwhile.
  if (!sent && sent.error().code() != ENOENT && sent.error().code() != ENOTDIR && sent.error().code() != ENOTEMPTY &&
      sent.error().code() != ENODEV) {
    base::log(LogLevel::warning, "a notification was refused: {}", sent.error().message());
  }
  lock.lock();
  sending_ = false;
}

Result<void> NotificationQueue::retrieve(Ino ino, Range range, Retrieved done, bool synchronous) {
  std::uint64_t unique = 0;
  {
    const std::lock_guard lock(mutex_);
    unique = next_retrieval_;
    next_retrieval_ += 2;
    retrievals_.emplace(unique, std::move(done));
  }
  Result<void> submitted =
      submit(Notification::retrieve(unique, static_cast<std::uint64_t>(ino), range.offset,
                                    static_cast<std::uint32_t>(std::min<std::size_t>(range.size, UINT32_MAX))),
             synchronous);
  if (!submitted) {
    const std::lock_guard lock(mutex_);
    retrievals_.erase(unique);
  }
  return submitted;
}

void NotificationQueue::retrieved(std::uint64_t unique, std::uint64_t offset, Bytes bytes) noexcept {
  Retrieved done;
  {
    const std::lock_guard lock(mutex_);
    const auto at = retrievals_.find(unique);
    if (at == retrievals_.end()) return;
    done = std::move(at->second);
    retrievals_.erase(at);
  }
  try {
    done(offset, bytes);
  } catch (...) {
    base::log(LogLevel::error, "the receiver of retrieved data threw: {}", error_of_current_exception().message());
  }
}

Result<std::int32_t> NotificationQueue::open_backing(int fd) {
  if (auto can = available(40); !can) return can.error();
  return channel_.open_backing(fd);
}

Result<void> NotificationQueue::close_backing(std::int32_t id) {
  if (auto can = available(40); !can) return can;
  return channel_.close_backing(id);
}

}  // namespace detail

namespace {

using detail::NotificationQueue;
using wire::Notification;

std::uint64_t number(Ino ino) noexcept { return static_cast<std::uint64_t>(ino); }

// The name of a directory entry is the caller's: one that none can have would be refused by the kernel as EINVAL,
// unseen.
Result<void> check_name(std::string_view name) {
  if (name.empty() || name.size() > 1024 || name.find('/') != name.npos || name.find('\0') != name.npos) {
    return Error{EINVAL, "not a name of a directory entry"};
  }
  return {};
}

const Error no_session{ENOTCONN, "the session is not ready, or has ended"};

Result<void> submit(const std::weak_ptr<NotificationQueue>& queue, const Notification& notification, bool synchronous,
                    unsigned since = 0) {
  const auto target = queue.lock();
  return target ? target->submit(notification, synchronous, since) : Result<void>(no_session);
}

}  // namespace

Result<void> Notifier::poll(PollHandle wake) const {
  return submit(queue_, Notification::poll(static_cast<std::uint64_t>(wake)), synchronous_);
}

Result<void> Notifier::inval_attributes(Ino ino) const {
  return submit(queue_, Notification::inval_inode(number(ino), -1, 0), synchronous_);
}

Result<void> Notifier::inval_inode(Ino ino, std::uint64_t offset, std::uint64_t size) const {
  return submit(
      queue_,
      Notification::inval_inode(number(ino), static_cast<std::int64_t>(offset), static_cast<std::int64_t>(size)),
      synchronous_);
}

Result<void> Notifier::inval_entry(Ino parent, std::string_view name) const {
  if (auto valid = check_name(name); !valid) return valid;
  return submit(queue_, Notification::inval_entry(number(parent), name), synchronous_);
}

Result<void> Notifier::expire_entry(Ino parent, std::string_view name) const {
  if (auto valid = check_name(name); !valid) return valid;
  // Older kernels take the flag for padding, and would do more than was asked for.
  return submit(queue_, Notification::inval_entry(number(parent), name, true), synchronous_,
                wire::find_capability(wire::Capability::HAS_EXPIRE_ONLY)->since);
}

Result<void> Notifier::deleted(Ino parent, Ino child, std::string_view name) const {
  if (auto valid = check_name(name); !valid) return valid;
  return submit(queue_, Notification::deleted(number(parent), number(child), name), synchronous_);
}

Result<void> Notifier::store(Ino ino, std::uint64_t offset, Bytes bytes) const {
  return submit(queue_, Notification::store(number(ino), offset, bytes), synchronous_);
}

Result<void> Notifier::retrieve(Ino ino, Range range,
                                std::function<void(std::uint64_t offset, Bytes bytes)> done) const {
  const auto queue = queue_.lock();
  return queue ? queue->retrieve(ino, range, std::move(done), synchronous_) : Result<void>(no_session);
}

Result<void> Notifier::resend() const { return submit(queue_, Notification::resend(), synchronous_); }

Result<void> Notifier::increment_epoch() const { return submit(queue_, Notification::inc_epoch(), synchronous_); }

Result<void> Notifier::prune(std::span<const Ino> inos) const {
  static_assert(sizeof(Ino) == sizeof(std::uint64_t));
  std::vector<std::uint64_t> numbers;
  for (const Ino ino : inos) numbers.push_back(number(ino));
  return submit(queue_, Notification::prune(numbers), synchronous_);
}

Result<std::int32_t> Notifier::open_backing(int fd) const {
  const auto queue = queue_.lock();
  return queue ? queue->open_backing(fd) : Result<std::int32_t>(no_session);
}

Result<void> Notifier::close_backing(std::int32_t backing_id) const {
  const auto queue = queue_.lock();
  return queue ? queue->close_backing(backing_id) : Result<void>(no_session);
}

}  // namespace fuselage

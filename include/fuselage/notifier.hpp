// Module: session.
//
// What a file system may tell the kernel without being asked.
#pragma once

#include <cstdint>
#include <functional>
#include <fuselage/result.hpp>
#include <fuselage/types.hpp>
#include <memory>
#include <string_view>

namespace fuselage {

namespace detail {
class NotificationQueue;
}

/// A small handle for sending notifications; copy it freely, keep it as long as you like. Thread-safe.
///
/// By default a notification is queued and sent by a thread of the session, in order, so that it may be sent from
/// anywhere, also from inside a handler that holds the very thing it is about; the functions return at once, and what
/// the kernel thinks of it (ENOENT: it does not know that node, which is normal) is not told. `synchronous()` gives a
/// handle whose calls return after the kernel has acted, with its answer; never use that one inside a handler: the
/// kernel may wait for a lock that is held until the handler has answered.
///
/// All functions fail with ENOTCONN before the session is ready and after it has ended, and with EOPNOTSUPP where the
/// negotiated protocol is older than the notification.
class Notifier {
 public:
  Notifier() = default;
  explicit Notifier(std::weak_ptr<detail::NotificationQueue> queue, bool synchronous = false) noexcept
      : queue_(std::move(queue)), synchronous_(synchronous) {}

  /// The same handle, but its calls wait for the kernel's answer.
  Notifier synchronous() const noexcept { return Notifier(queue_, true); }

  /// Something became ready that `poll` was asked for with `wake` (since 7.11).
  Result<void> poll(PollHandle wake) const;

  /// The attributes of `ino` changed; the kernel asks again (since 7.12).
  Result<void> inval_attributes(Ino ino) const;

  /// Attributes and cached data changed, in `size` bytes from `offset`; `size` 0: to the end (since 7.12).
  Result<void> inval_inode(Ino ino, std::uint64_t offset = 0, std::uint64_t size = 0) const;

  /// `name` in `parent` may lead elsewhere now (since 7.12).
  Result<void> inval_entry(Ino parent, std::string_view name) const;

  /// The kernel shall look `name` up again before it next uses it, without detaching mounts under it (since 7.38).
  Result<void> expire_entry(Ino parent, std::string_view name) const;

  /// `name` was removed from `parent` and led to `child`: watchers are told too (since 7.18).
  Result<void> deleted(Ino parent, Ino child, std::string_view name) const;

  /// Puts bytes into the page cache of `ino`, which grows if need be. A failure may leave a part stored (since 7.15).
  Result<void> store(Ino ino, std::uint64_t offset, Bytes bytes) const;

  /// Fetches what the page cache holds of `range` (since 7.15). `done` is called once, on a thread of the session, with
  /// the bytes that were there without a gap, perhaps none, valid during the call; or never if the session ends first.
  Result<void> retrieve(Ino ino, Range range, std::function<void(std::uint64_t offset, Bytes bytes)> done) const;

  /// The kernel shall send again all requests that were not answered (since 7.40): for a server that took over.
  Result<void> resend() const;

  /// All cached names are to be looked up again (since 7.44).
  Result<void> increment_epoch() const;

  /// The kernel shall let go of these nodes if nobody uses them; `forget` follows (since 7.45).
  Result<void> prune(std::span<const Ino> inos) const;

  /// Lets reads and writes of open files go straight to `fd` (kernel passthrough, since 7.40; needs CAP_SYS_ADMIN and
  /// `Capability::PASSTHROUGH`): the number for `Opened::backing_id`. `fd` may be closed afterwards. Never queued.
  Result<std::int32_t> open_backing(int fd) const;

  /// Gives a number of `open_backing` back; open files that use it are not disturbed. Never queued.
  Result<void> close_backing(std::int32_t backing_id) const;

 private:
  std::weak_ptr<detail::NotificationQueue> queue_;
  bool synchronous_ = false;
};

}  // namespace fuselage

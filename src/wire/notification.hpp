// Messages to the kernel that no request asked for.
//
//   const Notification notification = Notification::inval_entry(parent, "name");
//   writev(fd, notification.iovecs().data(), ...);
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "wire/kernel.hpp"
#include "wire/operations.hpp"

namespace fuselage::wire {

/// One kind of notification; see notifications.def.
struct NotificationRow {
  Notify code;
  std::string_view name;    ///< as in the protocol: "INVAL_INODE"
  unsigned since;           ///< protocol minor
  std::uint32_t arguments;  ///< bytes of the fixed part
};

/// All kinds, sorted by code.
inline constexpr std::array notifications = {
#define NOTIFICATION(NAME, code, since, structure) NotificationRow{Notify::NAME, #NAME, since, wire_size<structure>},
#include "wire/notifications.def"
#undef NOTIFICATION
};

/// The row of a code; null when there is none. O(1).
constexpr const NotificationRow* find_notification(std::int32_t code) {
  return code >= 1 && static_cast<std::size_t>(code) <= notifications.size() ? &notifications[code - 1] : nullptr;
}

/// A notification ready to be sent. The fixed part is inside; names, data and node ids stay where they are, so their
/// owner must keep them until the notification has been sent, or `flatten` it.
class Notification {
 public:
  /// Wakes those who poll on `kh`, the kernel's handle from the POLL request.
  static Notification poll(std::uint64_t kh);
  /// Drops cached attributes, and cached data from `offset` on: `length` bytes, to the end when it is 0 or less.
  /// A negative offset leaves the data alone (fuse_reverse_inval_inode).
  static Notification inval_inode(std::uint64_t nodeid, std::int64_t offset, std::int64_t length);
  /// Forgets a name; with `expire` it only has to be looked up again (HAS_EXPIRE_ONLY), which also works while in use.
  static Notification inval_entry(std::uint64_t parent, std::string_view name, bool expire = false);
  /// Puts data into the page cache. At most 4 GiB - 1.
  static Notification store(std::uint64_t nodeid, std::uint64_t offset, std::span<const std::byte> data);
  /// Asks for data from the page cache; the kernel sends NOTIFY_REPLY with `unique`.
  static Notification retrieve(std::uint64_t unique, std::uint64_t nodeid, std::uint64_t offset, std::uint32_t size);
  /// Tells that `name` was removed; unlike inval_entry, watchers (inotify) hear of it. Nothing happens when the name
  /// no longer means `child`.
  static Notification deleted(std::uint64_t parent, std::uint64_t child, std::string_view name);
  /// Asks for every unanswered request again (HAS_RESEND).
  static Notification resend();
  /// Makes every cached name of the file system stale.
  static Notification inc_epoch();
  /// Asks the kernel to let go of inodes that nobody uses.
  static Notification prune(std::span<const std::uint64_t> nodeids);

  Notify code() const { return static_cast<Notify>(head_.header.error); }
  const NotificationRow& row() const { return *find_notification(head_.header.error); }

  /// The bytes of the whole message.
  std::size_t size() const { return head_.header.len; }

  /// The message in order; unused ones at the end are empty. Valid as long as this object is.
  std::array<iovec, 3> iovecs() const;

  /// The message in one piece, independent of any other object.
  std::vector<std::byte> flatten() const;

 private:
  struct Head {
    fuse_out_header header;
    std::byte fixed[32];
  };

  template <class T>
  Notification(Notify code, const T& fixed, std::span<const std::byte> tail = {}, bool terminated = false);

  Head head_{};
  std::span<const std::byte> tail_;
  bool terminated_ = false;  // a NUL follows the tail
};

}  // namespace fuselage::wire

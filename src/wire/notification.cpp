#include "wire/notification.hpp"

#include <cstring>

namespace fuselage::wire {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::uint32_t count(std::size_t size) { return static_cast<std::uint32_t>(size); }

}  // namespace

template <class T>
Notification::Notification(Notify code, const T& fixed, std::span<const std::byte> tail, bool terminated)
    : tail_(tail), terminated_(terminated) {
  static_assert(wire_size<T> <= sizeof(head_.fixed));
  if constexpr (wire_size<T> != 0) std::memcpy(head_.fixed, &fixed, sizeof(T));
  const std::size_t size = sizeof(fuse_out_header) + wire_size<T> + tail.size() + (terminated ? 1 : 0);
  // A positive `error` next to a `unique` of 0 is how fuse_dev_do_write tells a notification from a reply.
  head_.header = {count(size), static_cast<std::int32_t>(code), 0};
}

Notification Notification::poll(std::uint64_t kh) { return {Notify::POLL, fuse_notify_poll_wakeup_out{kh}}; }

Notification Notification::inval_inode(std::uint64_t nodeid, std::int64_t offset, std::int64_t length) {
  return {Notify::INVAL_INODE, fuse_notify_inval_inode_out{nodeid, offset, length}};
}

Notification Notification::inval_entry(std::uint64_t parent, std::string_view name, bool expire) {
  const std::uint32_t flags = expire ? inval_entry_flag::expire_only : 0;
  return {Notify::INVAL_ENTRY, fuse_notify_inval_entry_out{parent, count(name.size()), flags}, bytes_of(name), true};
}

Notification Notification::store(std::uint64_t nodeid, std::uint64_t offset, std::span<const std::byte> data) {
  return {Notify::STORE, fuse_notify_store_out{nodeid, offset, count(data.size()), 0}, data};
}

Notification Notification::retrieve(std::uint64_t unique, std::uint64_t nodeid, std::uint64_t offset,
                                    std::uint32_t size) {
  return {Notify::RETRIEVE, fuse_notify_retrieve_out{unique, nodeid, offset, size, 0}};
}

Notification Notification::deleted(std::uint64_t parent, std::uint64_t child, std::string_view name) {
  return {Notify::DELETE, fuse_notify_delete_out{parent, child, count(name.size()), 0}, bytes_of(name), true};
}

Notification Notification::resend() { return {Notify::RESEND, none{}}; }

Notification Notification::inc_epoch() { return {Notify::INC_EPOCH, none{}}; }

Notification Notification::prune(std::span<const std::uint64_t> nodeids) {
  return {Notify::PRUNE, fuse_notify_prune_out{count(nodeids.size()), 0, 0}, std::as_bytes(nodeids)};
}

std::array<iovec, 3> Notification::iovecs() const {
  static constexpr std::byte nul{};
  // writev(2) does not write through these pointers; iovec has no const form.
  const auto part = [](const void* data, std::size_t size) { return iovec{const_cast<void*>(data), size}; };
  return {part(&head_, sizeof(fuse_out_header) + row().arguments), part(tail_.data(), tail_.size()),
          part(&nul, terminated_ ? 1 : 0)};
}

std::vector<std::byte> Notification::flatten() const {
  std::vector<std::byte> whole;
  whole.reserve(size());
  for (const iovec& part : iovecs()) {
    const auto* bytes = static_cast<const std::byte*>(part.iov_base);
    whole.insert(whole.end(), bytes, bytes + part.iov_len);
  }
  return whole;
}

}  // namespace fuselage::wire

// The content of regular files.
#include <linux/falloc.h>

#include <algorithm>
#include <mutex>
#include <shared_mutex>
#include <utility>
#include <vector>

#include "memory.hpp"

namespace fuselage::memory {
namespace {

/// Bounds the time that one request holds the locks of two files.
constexpr std::uint64_t max_copy = 64 << 20;

Result<void> check_range(std::uint64_t offset, std::uint64_t length) {
  if (offset > max_file_size || length > max_file_size - offset) return Error{EFBIG};
  return {};
}

}  // namespace

Reply<Data> Memory::read(const Context& context, Ino ino, const OpenFile&, Range range) {
  const auto node = file(ino);
  if (!node) return node.error();
  Content& content = *(*node)->content();
  std::span<std::byte> out = context.reply_buffer(range.size);
  std::vector<std::byte> own;
  const Timestamp now = Timestamp::now();
  bool move_atime = false;
  {
    const std::shared_lock lock((*node)->mutex);
    if (range.offset >= content.size()) return Data();
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(range.size, content.size() - range.offset));
    if (out.size() < size) {
      own.resize(size);
      out = own;
    }
    out = out.first(size);
    content.read(range.offset, out);
    move_atime = (*node)->wants_atime(now);
  }
  if (move_atime) {
    const std::lock_guard lock((*node)->mutex);
    (*node)->atime = now;
  }
  return own.empty() ? Data::borrow(out) : Data::own(std::move(own));
}

Reply<std::size_t> Memory::write(const Context&, Ino ino, const OpenFile&, std::uint64_t offset, Bytes bytes,
                                 WriteFlags flags) {
  const auto node = file(ino);
  if (!node) return node.error();
  if (auto checked = check_range(offset, bytes.size()); !checked) return checked.error();
  const std::lock_guard lock((*node)->mutex);
  const std::size_t written = (*node)->content()->write(offset, bytes);
  // Of a page that is written back the whole was acknowledged before: a part of it is a failure.
  const bool full = written < bytes.size() && (written == 0 || flags.from_cache);
  if (written > 0) {
    (*node)->kill_capabilities();
    if (flags.kill_suidgid) (*node)->kill_suidgid();
    if (!flags.from_cache || !kernel_keeps_times_) (*node)->modified();
  }
  if (full) return Error{ENOSPC};
  return written;
}

Reply<void> Memory::fallocate(const Context&, Ino ino, const OpenFile&, int mode, std::uint64_t offset,
                              std::uint64_t length) {
  const auto node = file(ino);
  if (!node) return node.error();
  if (length == 0) return Error{EINVAL};
  if (auto checked = check_range(offset, length); !checked) return checked.error();
  const bool keep_size = (mode & FALLOC_FL_KEEP_SIZE) != 0;
  const int action = mode & ~FALLOC_FL_KEEP_SIZE;
  const std::lock_guard lock((*node)->mutex);
  Content& content = *(*node)->content();
  switch (action) {
    case 0:
      if (!content.reserve(offset, length)) return Error{ENOSPC};
      break;
    case FALLOC_FL_ZERO_RANGE:
      if (!content.reserve(offset, length)) return Error{ENOSPC};
      content.clear(offset, length, Content::Cleared::reserved);
      break;
    case FALLOC_FL_PUNCH_HOLE:
      if (!keep_size) return Error{EOPNOTSUPP};
      content.clear(offset, length, Content::Cleared::holes);
      break;
    default:
      return Error{EOPNOTSUPP};
  }
  if (!keep_size && offset + length > content.size()) content.resize(offset + length);
  (*node)->kill_capabilities();
  (*node)->modified();
  return {};
}

Reply<std::uint64_t> Memory::lseek(const Context&, Ino ino, const OpenFile&, std::uint64_t offset, int whence) {
  if (whence != SEEK_DATA && whence != SEEK_HOLE) return Error{EINVAL};
  const auto node = file(ino);
  if (!node) return node.error();
  const std::shared_lock lock((*node)->mutex);
  const Content& content = *(*node)->content();
  if (offset >= content.size()) return Error{ENXIO};
  if (whence == SEEK_HOLE) return content.next_hole(offset);
  const auto data = content.next_data(offset);
  if (!data) return Error{ENXIO};
  return *data;
}

Reply<std::uint64_t> Memory::copy_file_range(const Context&, Ino ino, const OpenFile&, std::uint64_t offset,
                                             Ino target_ino, const OpenFile&, std::uint64_t target_offset,
                                             std::uint64_t length, std::uint64_t flags) {
  if (flags != 0) return Error{EINVAL};
  const auto source = file(ino);
  if (!source) return source.error();
  const auto target = file(target_ino);
  if (!target) return target.error();
  std::shared_lock source_lock((*source)->mutex, std::defer_lock);
  std::unique_lock target_lock((*target)->mutex, std::defer_lock);
  if (ino == target_ino) {
    target_lock.lock();
  } else {
    std::lock(source_lock, target_lock);
  }
  const Content& from = *(*source)->content();
  if (offset >= from.size()) return std::uint64_t{0};
  length = std::min({length, from.size() - offset, max_copy});
  if (auto checked = check_range(target_offset, length); !checked) return checked.error();
  if (ino == target_ino && offset < target_offset + length && target_offset < offset + length) return Error{EINVAL};
  const std::uint64_t copied = (*target)->content()->copy(from, offset, target_offset, length);
  if (copied == 0 && length > 0) return Error{ENOSPC};
  (*target)->kill_capabilities();
  (*target)->modified();
  return copied;
}

}  // namespace fuselage::memory

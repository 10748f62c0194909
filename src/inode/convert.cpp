#include "inode/convert.hpp"

#include <algorithm>

namespace fuselage::inode {
namespace {

struct Duration {
  std::uint64_t seconds;
  std::uint32_t nanoseconds;
};

Duration to_duration(const Timeout& timeout, std::chrono::nanoseconds otherwise) noexcept {
  const auto value = std::max(std::chrono::nanoseconds(0), timeout.value_or(otherwise));
  constexpr std::int64_t billion = 1'000'000'000;
  return {static_cast<std::uint64_t>(value.count() / billion), static_cast<std::uint32_t>(value.count() % billion)};
}

Timestamp to_timestamp(std::uint64_t seconds, std::uint32_t nanoseconds) noexcept {
  return {static_cast<std::int64_t>(seconds), nanoseconds};
}

wire::fuse_sx_time to_sx_time(const Timestamp& time) noexcept {
  wire::fuse_sx_time out{};
  out.tv_sec = time.seconds;
  out.tv_nsec = time.nanoseconds;
  return out;
}

}  // namespace

wire::fuse_attr to_attr(const Attributes& attributes, Ino ino) noexcept {
  wire::fuse_attr out{};
  out.ino = static_cast<std::uint64_t>(attributes.ino == Ino{} ? ino : attributes.ino);
  out.size = attributes.size;
  out.blocks = attributes.blocks;
  out.atime = static_cast<std::uint64_t>(attributes.atime.seconds);
  out.mtime = static_cast<std::uint64_t>(attributes.mtime.seconds);
  out.ctime = static_cast<std::uint64_t>(attributes.ctime.seconds);
  out.atimensec = attributes.atime.nanoseconds;
  out.mtimensec = attributes.mtime.nanoseconds;
  out.ctimensec = attributes.ctime.nanoseconds;
  out.mode = attributes.mode;
  out.nlink = attributes.nlink;
  out.uid = attributes.uid;
  out.gid = attributes.gid;
  // The kernel takes its 32-bit encoding of device numbers (new_decode_dev).
  out.rdev = static_cast<std::uint32_t>(attributes.rdev);
  out.blksize = attributes.block_size;
  out.flags = attributes.submount ? wire::attr_flag::submount : 0;
  return out;
}

wire::fuse_attr_out to_attr_out(const Attributes& attributes, Ino ino, const DefaultTimeouts& defaults) noexcept {
  wire::fuse_attr_out out{};
  const Duration valid = to_duration(attributes.timeout, defaults.attributes);
  out.attr_valid = valid.seconds;
  out.attr_valid_nsec = valid.nanoseconds;
  out.attr = to_attr(attributes, ino);
  return out;
}

wire::fuse_statx_out to_statx_out(const Attributes& attributes, Ino ino, const DefaultTimeouts& defaults) noexcept {
  wire::fuse_statx_out out{};
  const Duration valid = to_duration(attributes.timeout, defaults.attributes);
  out.attr_valid = valid.seconds;
  out.attr_valid_nsec = valid.nanoseconds;
  wire::fuse_statx& stat = out.stat;
  stat.mask = STATX_BASIC_STATS;
  stat.blksize = attributes.block_size;
  stat.nlink = attributes.nlink;
  stat.uid = attributes.uid;
  stat.gid = attributes.gid;
  stat.mode = static_cast<std::uint16_t>(attributes.mode);
  stat.ino = static_cast<std::uint64_t>(attributes.ino == Ino{} ? ino : attributes.ino);
  stat.size = attributes.size;
  stat.blocks = attributes.blocks;
  stat.atime = to_sx_time(attributes.atime);
  stat.mtime = to_sx_time(attributes.mtime);
  stat.ctime = to_sx_time(attributes.ctime);
  stat.rdev_major = major(attributes.rdev);
  stat.rdev_minor = minor(attributes.rdev);
  if (attributes.btime) {
    stat.mask |= STATX_BTIME;
    stat.btime = to_sx_time(*attributes.btime);
  }
  return out;
}

wire::fuse_entry_out to_entry_out(const Entry& entry, const DefaultTimeouts& defaults) noexcept {
  wire::fuse_entry_out out{};
  out.nodeid = static_cast<std::uint64_t>(entry.ino);
  out.generation = entry.generation;
  const Duration entry_valid = to_duration(entry.timeout, defaults.entry);
  out.entry_valid = entry_valid.seconds;
  out.entry_valid_nsec = entry_valid.nanoseconds;
  if (entry.ino == Ino{}) return out;
  const Duration attr_valid = to_duration(entry.attributes.timeout, defaults.attributes);
  out.attr_valid = attr_valid.seconds;
  out.attr_valid_nsec = attr_valid.nanoseconds;
  out.attr = to_attr(entry.attributes, entry.ino);
  return out;
}

wire::fuse_open_out to_open_out(const Opened& opened) noexcept {
  wire::fuse_open_out out{};
  out.fh = static_cast<std::uint64_t>(opened.handle);
  const auto set = [&out](bool wanted, std::uint32_t flag) { out.open_flags |= wanted ? flag : 0; };
  set(opened.direct_io, wire::fopen_flag::direct_io);
  set(opened.keep_cache, wire::fopen_flag::keep_cache);
  set(opened.nonseekable, wire::fopen_flag::nonseekable);
  set(opened.cache_dir, wire::fopen_flag::cache_dir);
  set(opened.stream, wire::fopen_flag::stream);
  set(opened.noflush, wire::fopen_flag::noflush);
  set(opened.parallel_direct_writes, wire::fopen_flag::parallel_direct_writes);
  set(opened.backing_id.has_value(), wire::fopen_flag::passthrough);
  out.backing_id = opened.backing_id.value_or(0);
  return out;
}

wire::fuse_statfs_out to_statfs_out(const StatFs& statfs) noexcept {
  wire::fuse_statfs_out out{};
  out.st.blocks = statfs.blocks;
  out.st.bfree = statfs.blocks_free;
  out.st.bavail = statfs.blocks_available;
  out.st.files = statfs.files;
  out.st.ffree = statfs.files_free;
  out.st.bsize = statfs.block_size;
  out.st.frsize = statfs.fragment_size;
  out.st.namelen = statfs.name_max;
  return out;
}

wire::fuse_file_lock to_file_lock(const Lock& lock) noexcept {
  wire::fuse_file_lock out{};
  switch (lock.type) {
    case Lock::Type::read:
      out.type = F_RDLCK;
      break;
    case Lock::Type::write:
      out.type = F_WRLCK;
      break;
    case Lock::Type::unlock:
      out.type = F_UNLCK;
      return out;
  }
  out.start = lock.start;
  out.end = std::min<std::uint64_t>(lock.end, INT64_MAX);  // the kernel takes OFFSET_MAX for "to the end"
  out.pid = static_cast<std::uint32_t>(lock.pid);
  return out;
}

SetAttributes to_set_attributes(const wire::fuse_setattr_in& in) noexcept {
  SetAttributes changes;
  const auto has = [&in](std::uint32_t bit) { return (in.valid & bit) != 0; };
  if (has(wire::fattr::mode)) changes.mode = in.mode;
  if (has(wire::fattr::uid)) changes.uid = in.uid;
  if (has(wire::fattr::gid)) changes.gid = in.gid;
  if (has(wire::fattr::size)) changes.size = in.size;
  changes.atime_now = has(wire::fattr::atime) && has(wire::fattr::atime_now);
  changes.mtime_now = has(wire::fattr::mtime) && has(wire::fattr::mtime_now);
  // One now for both, as touch(1) means it.
  const Timestamp now = changes.atime_now || changes.mtime_now ? Timestamp::now() : Timestamp{};
  if (has(wire::fattr::atime)) changes.atime = changes.atime_now ? now : to_timestamp(in.atime, in.atimensec);
  if (has(wire::fattr::mtime)) changes.mtime = changes.mtime_now ? now : to_timestamp(in.mtime, in.mtimensec);
  if (has(wire::fattr::ctime)) changes.ctime = to_timestamp(in.ctime, in.ctimensec);
  changes.kill_suidgid = has(wire::fattr::kill_suidgid);
  return changes;
}

std::optional<Lock> to_lock(const wire::fuse_lk_in& in, bool flock) noexcept {
  Lock lock;
  switch (in.lk.type) {
    case F_RDLCK:
      lock.type = Lock::Type::read;
      break;
    case F_WRLCK:
      lock.type = Lock::Type::write;
      break;
    case F_UNLCK:
      lock.type = Lock::Type::unlock;
      break;
    default:
      return std::nullopt;
  }
  lock.start = in.lk.start;
  lock.end = in.lk.end;
  lock.pid = static_cast<::pid_t>(in.lk.pid);
  lock.flock = flock;
  return lock;
}

}  // namespace fuselage::inode

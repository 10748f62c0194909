// Module: base.
//
// The small strong types that the rest of the API is written in. All are trivially copyable values.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace fuselage {

/// The number by which the kernel knows a node of the file system (the protocol's `nodeid`). The file system chooses
/// it when it answers `lookup` and its kin; `root_ino` is given.
enum class Ino : std::uint64_t {};

/// The node that is mounted: known to the kernel without a lookup, never forgotten.
inline constexpr Ino root_ino{1};

/// What `open`, `opendir` or `create` returned for an open file: any 64-bit value, handed back with each operation on
/// it.
enum class Handle : std::uint64_t {};

/// Who holds a POSIX lock or a flock: opaque, equal for requests of one owner.
enum class LockOwner : std::uint64_t {};

/// Where to send the wake-up that poll(2) waits for: see `Notifier::poll`. 0: nobody waits.
enum class PollHandle : std::uint64_t {};

/// Bytes that somebody else owns. A view given to a handler is valid until that handler's reply.
using Bytes = std::span<const std::byte>;

/// The bytes of a text, not copied.
inline Bytes bytes_of(std::string_view text) noexcept { return std::as_bytes(std::span(text.data(), text.size())); }

/// Bytes as text, not copied.
inline std::string_view text_of(Bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A part of a file, in bytes.
struct Range {
  std::uint64_t offset = 0;
  std::size_t size = 0;
};

/// The part of `bytes` that `range` covers; shorter at the end, empty behind it.
inline Bytes slice(Bytes bytes, Range range) noexcept {
  if (range.offset >= bytes.size()) return {};
  const auto rest = bytes.subspan(static_cast<std::size_t>(range.offset));
  return rest.first(range.size < rest.size() ? range.size : rest.size());
}

/// The same for a text.
inline Bytes slice(std::string_view text, Range range) noexcept { return slice(bytes_of(text), range); }

/// A moment as file systems keep it: seconds since 1970 (any 64-bit value) and nanoseconds below 10^9. Wider than
/// `std::chrono::system_clock`, which ends in 2262.
struct Timestamp {
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;

  /// The present, with the clock's full resolution.
  static Timestamp now() noexcept {
    ::timespec time{};
    ::clock_gettime(CLOCK_REALTIME, &time);
    return from(time);
  }
  static constexpr Timestamp from(const ::timespec& time) noexcept {
    return {time.tv_sec, static_cast<std::uint32_t>(time.tv_nsec)};
  }
  constexpr ::timespec to_timespec() const noexcept {
    ::timespec time{};
    time.tv_sec = seconds;
    time.tv_nsec = nanoseconds;
    return time;
  }
  friend constexpr auto operator<=>(const Timestamp&, const Timestamp&) = default;
};

/// What kind of node a directory entry names; the values are those of `S_IFMT`.
enum class FileType : std::uint32_t {
  unknown = 0,
  fifo = S_IFIFO,
  character_device = S_IFCHR,
  directory = S_IFDIR,
  block_device = S_IFBLK,
  regular = S_IFREG,
  symlink = S_IFLNK,
  socket = S_IFSOCK,
};

/// The type bits of a mode.
constexpr FileType file_type(::mode_t mode) noexcept { return static_cast<FileType>(mode & S_IFMT); }

/// The flags of open(2) as the kernel passes them on.
struct OpenFlags {
  int value = 0;

  constexpr bool reads() const noexcept { return (value & O_ACCMODE) != O_WRONLY; }
  constexpr bool writes() const noexcept { return (value & O_ACCMODE) != O_RDONLY; }
  constexpr bool appends() const noexcept { return (value & O_APPEND) != 0; }
  constexpr bool truncates() const noexcept { return (value & O_TRUNC) != 0; }
  constexpr bool direct() const noexcept { return (value & O_DIRECT) != 0; }
  constexpr bool exclusive() const noexcept { return (value & O_EXCL) != 0; }
};

/// An open file as a request names it. `handle` is what `open` answered (0 where the file system does not define it).
struct OpenFile {
  Handle handle{};
  OpenFlags flags{};  ///< Those of the open file: in open, create, read, write, release; else 0.
  LockOwner
      lock_owner{};  ///< In read, write, flush, release and the lock operations where the kernel gives one; else 0.
};

}  // namespace fuselage

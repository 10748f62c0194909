// Module: inode.
//
// What a node is (`Attributes`), what a name leads to (`Entry`), what opening it gave (`Opened`), and how to change it
// (`SetAttributes`). All are plain values to be filled with designated initialisers.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <fuselage/types.hpp>
#include <optional>

namespace fuselage {

/// How long the kernel may believe an answer; unset: the session's default (`attr_timeout`, `entry_timeout`).
using Timeout = std::optional<std::chrono::nanoseconds>;

/// What stat(2) and statx(2) tell about a node.
struct Attributes {
  ::mode_t mode = S_IFREG | 0644;  ///< Type and permissions.
  std::uint32_t nlink = 1;
  ::uid_t uid = 0;
  ::gid_t gid = 0;
  ::dev_t rdev = 0;          ///< For device nodes: the device they name.
  std::uint64_t size = 0;    ///< Bytes.
  std::uint64_t blocks = 0;  ///< Allocated, in units of 512 bytes.
  std::uint32_t block_size =
      4096;  ///< The preferred size of I/O in bytes; the kernel rounds it down to a power of two.
  Timestamp atime{};
  Timestamp mtime{};
  Timestamp ctime{};
  std::optional<Timestamp> btime{};  ///< When the node came to be; reaches statx(2) (since 7.39), not stat(2).
  Ino ino{};                         ///< `st_ino`; 0: the number of the node that was asked for.
  bool submount = false;             ///< A submount begins here (`FUSE_ATTR_SUBMOUNT`, since 7.32, virtiofs only).
  Timeout timeout{};                 ///< How long these attributes hold.

  /// A directory as seen by everybody.
  static constexpr Attributes directory(::mode_t permissions = 0755) noexcept {
    Attributes attributes;
    attributes.mode = S_IFDIR | permissions;
    attributes.nlink = 2;
    return attributes;
  }
  /// A regular file of `size` bytes.
  static constexpr Attributes file(std::uint64_t size, ::mode_t permissions = 0644) noexcept {
    Attributes attributes;
    attributes.mode = S_IFREG | permissions;
    attributes.size = size;
    attributes.blocks = (size + 511) / 512;
    return attributes;
  }
  /// A symbolic link whose target has `size` bytes.
  static constexpr Attributes symlink(std::uint64_t size) noexcept {
    Attributes attributes;
    attributes.mode = S_IFLNK | 0777;
    attributes.size = size;
    return attributes;
  }
};

/// What a name in a directory leads to. Each `Entry` that reaches the kernel counts as one lookup of `ino`, to be given
/// back by `forget`; if the answer does not reach it, the library calls `forget(ino, 1)` itself.
struct Entry {
  Ino ino{};                     ///< 0: there is no such name, and the kernel may remember that for `timeout`.
  std::uint64_t generation = 0;  ///< (ino, generation) must be unique for the life of the mount where it is exported.
  Attributes attributes{};
  Timeout timeout{};  ///< How long the name leads here.

  /// "No such name", to be believed for `timeout`; without a timeout use `Error{ENOENT}`.
  static Entry negative(std::chrono::nanoseconds timeout) noexcept {
    Entry entry;
    entry.timeout = timeout;
    return entry;
  }
};

/// What `open` and `opendir` answer: a handle and how the kernel shall treat the open file.
struct Opened {
  Handle handle{};
  bool direct_io = false;    ///< Bypass the page cache for this open file.
  bool keep_cache = false;   ///< Keep what the page cache holds of the file.
  bool nonseekable = false;  ///< lseek(2) fails with ESPIPE (since 7.10).
  bool cache_dir = false;    ///< opendir: the kernel may cache the listing (since 7.28).
  bool stream = false;       ///< Like a pipe: no file position at all (since 7.31).
  bool noflush = false;      ///< No FLUSH at close(2), unless the page cache is written back then (since 7.35).
  bool parallel_direct_writes = false;  ///< Direct writes to one file need no order among them (since 7.38).
  std::optional<std::int32_t>
      backing_id{};  ///< Read and write bypass the file system (since 7.40): see `Notifier::open_backing`.
};

/// What `create` and `tmpfile` answer.
struct Created {
  Entry entry{};
  Opened opened{};
};

/// What `setattr` shall change: the members that are set, and nothing else.
struct SetAttributes {
  std::optional<::mode_t> mode{};  ///< Permissions (with the type bits that the node has).
  std::optional<::uid_t> uid{};
  std::optional<::gid_t> gid{};
  std::optional<std::uint64_t> size{};
  std::optional<Timestamp> atime{};  ///< `UTIME_NOW` arrives as the present.
  std::optional<Timestamp> mtime{};
  bool atime_now = false;  ///< `atime` is the present because of `UTIME_NOW`: writers may do that.
  bool mtime_now = false;
  std::optional<Timestamp> ctime{};  ///< Only with the writeback cache, where the kernel keeps the times.
  bool kill_suidgid = false;         ///< Clear setuid and setgid as a change of owner or size does (since 7.33).
};

/// What statvfs(3) tells about the file system.
struct StatFs {
  std::uint64_t blocks = 0;            ///< In units of `fragment_size`.
  std::uint64_t blocks_free = 0;       ///< For root.
  std::uint64_t blocks_available = 0;  ///< For everybody.
  std::uint64_t files = 0;
  std::uint64_t files_free = 0;
  std::uint32_t block_size = 4096;
  std::uint32_t fragment_size = 4096;
  std::uint32_t name_max = 255;
};

}  // namespace fuselage

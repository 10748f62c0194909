// Module: inode.
//
// The arguments and answers of the operations that need more than a number or a name.
#pragma once

#include <cstdint>
#include <fuselage/data.hpp>
#include <fuselage/types.hpp>
#include <vector>

namespace fuselage {

/// How `rename` shall treat the new name: the flags of renameat2(2). Without any, an existing target is replaced.
struct RenameFlags {
  bool no_replace = false;  ///< `RENAME_NOREPLACE`: EEXIST if the new name exists.
  bool exchange = false;    ///< `RENAME_EXCHANGE`: swap the two; ENOENT if the new name does not exist.
  bool whiteout = false;    ///< `RENAME_WHITEOUT`: leave a whiteout (a character device 0/0) behind.
};

/// Where the bytes of a `write` come from.
struct WriteFlags {
  bool from_cache = false;    ///< Written back from the page cache: the caller is not the one who wrote.
  bool kill_suidgid = false;  ///< Clear setuid and setgid with this write (since 7.31; only with handle_killpriv_v2).
};

/// How an extended attribute shall be set: the flags of setxattr(2).
struct XattrFlags {
  bool create = false;         ///< `XATTR_CREATE`: EEXIST if there is one.
  bool replace = false;        ///< `XATTR_REPLACE`: ENODATA if there is none.
  bool acl_kill_sgid = false;  ///< Clear setgid along with this ACL (since 7.33).
};

/// A POSIX record lock or a flock of a whole file.
struct Lock {
  enum class Type { read, write, unlock };
  Type type = Type::unlock;
  std::uint64_t start = 0;
  std::uint64_t end = UINT64_MAX;  ///< The last byte, inclusive; the maximum of `off_t` means "to the end".
  ::pid_t pid = 0;                 ///< The holder; in `setlk` the process that asks.
  bool flock = false;              ///< flock(2), not fcntl(2): `start` and `end` mean nothing.
};

/// One ioctl(2) on a file or directory.
struct IoctlCall {
  std::uint32_t command = 0;
  std::uint64_t argument = 0;   ///< The third argument as it was passed: an address in the caller's memory or a number.
  Bytes input{};                ///< What the command's size and direction say goes in, or what a retry asked for.
  std::size_t output_size = 0;  ///< How many bytes may come back.
  bool compat = false;          ///< A 32-bit caller on a 64-bit kernel.
  bool unrestricted = false;    ///< A retry may be asked for (CUSE only; the kernel refuses it elsewhere).
  bool directory = false;
};

/// A piece of the caller's memory.
struct IoctlRange {
  std::uint64_t base = 0;
  std::uint64_t length = 0;
};

/// What an ioctl answers: its result and output, or (unrestricted ones) which memory to bring before it is tried again.
struct IoctlReply {
  int result = 0;  ///< What ioctl(2) returns; not negative.
  Data output{};
  bool retry = false;
  std::vector<IoctlRange> input_ranges{};
  std::vector<IoctlRange> output_ranges{};
};

/// A mapping of a file into the DAX window of virtiofs.
struct Mapping {
  std::uint64_t file_offset = 0;
  std::uint64_t length = 0;
  std::uint64_t window_offset = 0;
  bool readable = false;
  bool writable = false;
};

/// A part of the DAX window.
struct WindowRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

}  // namespace fuselage

// Writes what goes to the kernel: reply headers and directory listings. Fixed replies are the structures of kernel.hpp;
// notifications are in notification.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "wire/kernel.hpp"

namespace fuselage::wire {

/// The header of a successful answer with `body` bytes behind it.
constexpr fuse_out_header reply_header(std::uint64_t unique, std::size_t body) {
  return {static_cast<std::uint32_t>(sizeof(fuse_out_header) + body), 0, unique};
}

/// The whole answer that reports an error; `code` is a positive errno.
constexpr fuse_out_header error_header(std::uint64_t unique, int code) {
  return {sizeof(fuse_out_header), -code, unique};
}

/// The bytes that an entry takes in a READDIR or a READDIRPLUS answer.
constexpr std::size_t dirent_size(std::size_t name) { return (sizeof(fuse_dirent) + name + 7) & ~std::size_t{7}; }
constexpr std::size_t direntplus_size(std::size_t name) {
  return (sizeof(fuse_direntplus) + name + 7) & ~std::size_t{7};
}

/// One entry of a directory listing.
struct DirectoryEntry {
  std::string_view name;      ///< `valid_name`, at most 1024 bytes: the kernel fails the whole listing otherwise
  std::uint64_t ino;          ///< shown as d_ino
  std::uint32_t type;         ///< d_type: DT_REG, ...
  std::uint64_t next_offset;  ///< where the next READDIR goes on when this was the last entry it saw
};

/// Packs entries into a buffer. The buffer must be aligned to 8 bytes and outlive the writer.
class DirectoryWriter {
 public:
  explicit DirectoryWriter(std::span<std::byte> buffer) : buffer_(buffer) {}

  /// Adds an entry for READDIR. False, and nothing written, when it does not fit.
  bool add(const DirectoryEntry& entry);

  /// Adds an entry for READDIRPLUS; with a `nodeid` of 0 the kernel does not look at the rest of `attributes`
  /// (fuse_direntplus_link).
  bool add(const DirectoryEntry& entry, const fuse_entry_out& attributes);

  /// The bytes written.
  std::size_t size() const { return used_; }

 private:
  void append(const void* bytes, std::size_t count);
  void append_entry(const DirectoryEntry& entry);

  std::span<std::byte> buffer_;
  std::size_t used_ = 0;
};

}  // namespace fuselage::wire

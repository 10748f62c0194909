// Module: inode.
//
// Where `readdir` puts its entries, for READDIR and READDIRPLUS alike.
#pragma once

#include <cstdint>
#include <fuselage/attributes.hpp>
#include <fuselage/types.hpp>
#include <span>
#include <string_view>

namespace fuselage {

/// Collects the entries of one `readdir` call until its buffer is full.
///
///   for (auto entry = directory.from(offset); entry; entry = entry->next())
///     if (!sink.add(entry->name, entry->ino, FileType::regular, entry->position)) break;
///
/// Valid until the reply. Not thread-safe.
class DirectorySink {
 public:
  /// True for READDIRPLUS: the kernel would like whole entries, which save it a lookup each. Giving only numbers and
  /// types is still right.
  bool wants_entries() const noexcept { return plus_; }

  /// Adds a name. `next` is where to go on: the `offset` of a later call that wants what follows this entry; never 0.
  /// False: the buffer is full and the entry is not in it; stop and return. A name that no directory can hold (empty,
  /// with a slash or NUL, longer than 255 bytes) makes the whole call fail with EIO.
  bool add(std::string_view name, Ino ino, FileType type, std::uint64_t next);

  /// The same with all that a lookup would tell. If `wants_entries()` and the name is neither "." nor "..", each entry
  /// that was added counts as one lookup of `entry.ino` (see `Entry`), so call it only for entries you count then.
  bool add(std::string_view name, const Entry& entry, std::uint64_t next);

  /// For the library and for tests of handlers: a sink over a buffer. Timeouts that an entry leaves open become these.
  DirectorySink(std::span<std::byte> buffer, bool plus, std::chrono::nanoseconds entry_timeout,
                std::chrono::nanoseconds attr_timeout) noexcept
      : buffer_(buffer), plus_(plus), entry_timeout_(entry_timeout), attr_timeout_(attr_timeout) {}

  /// What was collected so far, as the protocol packs it.
  Bytes packed() const noexcept { return buffer_.first(used_); }
  /// True if a name was refused.
  bool failed() const noexcept { return failed_; }

 private:
  bool accepts(std::string_view name) noexcept;

  std::span<std::byte> buffer_;
  std::size_t used_ = 0;
  bool plus_;
  bool failed_ = false;
  std::chrono::nanoseconds entry_timeout_;
  std::chrono::nanoseconds attr_timeout_;
};

}  // namespace fuselage

// The bytes of a regular file.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <fuselage/types.hpp>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include "space.hpp"

namespace fuselage::memory {

inline constexpr std::uint64_t page_size = 4096;
/// The largest offset that `off_t` can say.
inline constexpr auto max_file_size = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

/// A sparse array of bytes in pages. A page is present (has memory), reserved (counts as used, reads as zeros, has no
/// memory until it is written: what fallocate(2) leaves) or a hole. Segments of 64 pages sit in a sorted map, each with
/// one bit a page for either state, so that holes of any size cost nothing and are found quickly. Not thread-safe.
///
/// Of the last page the bytes behind the end of the file are zero, so that a file can grow without touching it.
/// Ranges must end at or before `max_file_size`.
class Content {
 public:
  explicit Content(Space& space) noexcept : quota_(space.bytes) {}
  ~Content() { quota_.give_back(allocated_); }
  Content(const Content&) = delete;
  Content& operator=(const Content&) = delete;

  std::uint64_t size() const noexcept { return size_; }
  /// Bytes of pages that are present or reserved.
  std::uint64_t allocated() const noexcept { return allocated_; }

  /// Fills `out` from `offset`; the range must be within the size.
  void read(std::uint64_t offset, std::span<std::byte> out) const noexcept;

  /// Returns how many bytes were written: fewer than all, perhaps none, when space or memory ran out.
  std::size_t write(std::uint64_t offset, Bytes bytes);

  /// Cuts, or grows by a hole.
  void resize(std::uint64_t size) noexcept;

  /// Reserves all holes of a range; false, and nothing is changed, if there is not enough space. The size stays.
  bool reserve(std::uint64_t offset, std::uint64_t length);

  /// What becomes of the whole pages of a range that is cleared.
  enum class Cleared { holes, reserved };
  /// Makes a range read as zeros; the size stays.
  void clear(std::uint64_t offset, std::uint64_t length, Cleared pages) noexcept;

  /// The first byte at or after `offset` in a page that is present; none: only holes follow.
  std::optional<std::uint64_t> next_data(std::uint64_t offset) const noexcept;
  /// The first byte at or after `offset` that is in no present page: at the latest the end of the file.
  std::uint64_t next_hole(std::uint64_t offset) const noexcept;

  /// Writes `length` bytes of `from` (perhaps this; ranges do not overlap) into this, holes as holes. The source range
  /// must be within its size. Returns how many bytes were copied: fewer when space ran out.
  std::uint64_t copy(const Content& from, std::uint64_t from_offset, std::uint64_t offset, std::uint64_t length);

 private:
  static constexpr unsigned segment_pages = 64;
  static constexpr std::uint64_t segment_size = segment_pages * page_size;

  struct Page {
    std::array<std::byte, page_size> bytes;  // uninitialised in a new page: the writer fills all of it
  };
  struct Segment {
    std::uint64_t present = 0;
    std::uint64_t reserved = 0;
    std::array<std::unique_ptr<Page>, segment_pages> pages;
  };

  std::uint64_t count_holes(std::uint64_t offset, std::uint64_t length) const noexcept;
  std::size_t write_page(Segment& segment, unsigned page, std::size_t begin, Bytes bytes, std::uint64_t& granted);
  void clear_pages(Segment& segment, std::uint64_t mask, Cleared pages) noexcept;
  void clear_within_page(std::uint64_t offset, std::uint64_t length) noexcept;

  Quota& quota_;
  std::map<std::uint64_t, Segment> segments_;  ///< By offset / segment_size.
  std::uint64_t size_ = 0;
  std::uint64_t allocated_ = 0;
};

}  // namespace fuselage::memory

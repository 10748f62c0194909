#include "content.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

namespace fuselage::memory {
namespace {

/// Bits `first` to `last` - 1; `last` up to 64, more than `first`.
constexpr std::uint64_t bits(unsigned first, unsigned last) noexcept {
  return (~std::uint64_t{0} >> (64 - (last - first))) << first;
}

}  // namespace

void Content::read(std::uint64_t offset, std::span<std::byte> out) const noexcept {
  auto segment = segments_.lower_bound(offset / segment_size);
  while (!out.empty()) {
    const std::uint64_t within = offset % segment_size;
    if (segment == segments_.end() || segment->first != offset / segment_size) {
      // Nothing up to the next segment that exists.
      const std::uint64_t gap = segment == segments_.end() ? out.size() : segment->first * segment_size - offset;
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), gap));
      std::memset(out.data(), 0, count);
      out = out.subspan(count);
      offset += count;
      continue;
    }
    const auto page = static_cast<unsigned>(within / page_size);
    const std::size_t begin = within % page_size;
    const std::size_t count = std::min<std::size_t>(out.size(), page_size - begin);
    if (const Page* memory = segment->second.pages[page].get()) {
      std::memcpy(out.data(), memory->bytes.data() + begin, count);
    } else {
      std::memset(out.data(), 0, count);
    }
    out = out.subspan(count);
    offset += count;
    if (offset % segment_size == 0) ++segment;
  }
}

std::uint64_t Content::count_holes(std::uint64_t offset, std::uint64_t length) const noexcept {
  const std::uint64_t first = offset / page_size;
  const std::uint64_t last = (offset + length + page_size - 1) / page_size;  // exclusive
  std::uint64_t holes = last - first;
  for (auto segment = segments_.lower_bound(first / segment_pages); segment != segments_.end(); ++segment) {
    const std::uint64_t start = segment->first * segment_pages;
    if (start >= last) break;
    const auto from = static_cast<unsigned>(first > start ? first - start : 0);
    const auto to = static_cast<unsigned>(std::min<std::uint64_t>(last - start, segment_pages));
    const std::uint64_t taken = segment->second.present | segment->second.reserved;
    holes -= static_cast<unsigned>(std::popcount(taken & bits(from, to)));
  }
  return holes;
}

std::size_t Content::write_page(Segment& segment, unsigned page, std::size_t begin, Bytes bytes,
                                std::uint64_t& granted) {
  const std::uint64_t bit = std::uint64_t{1} << page;
  const std::size_t count = std::min<std::size_t>(bytes.size(), page_size - begin);
  std::unique_ptr<Page>& memory = segment.pages[page];
  if (memory == nullptr) {
    const bool hole = (segment.reserved & bit) == 0;
    if (hole && granted == 0) return 0;
    memory = std::make_unique_for_overwrite<Page>();
    std::memset(memory->bytes.data(), 0, begin);
    std::memset(memory->bytes.data() + begin + count, 0, page_size - begin - count);
    segment.present |= bit;
    segment.reserved &= ~bit;
    if (hole) {
      granted -= page_size;
      allocated_ += page_size;
    }
  }
  std::memcpy(memory->bytes.data() + begin, bytes.data(), count);
  return count;
}

std::size_t Content::write(std::uint64_t offset, Bytes bytes) {
  if (bytes.empty()) return 0;
  // One visit to the shared counter for the whole range.
  std::uint64_t granted = quota_.take_up_to(count_holes(offset, bytes.size()) * page_size, page_size);
  std::size_t done = 0;
  try {
    while (done < bytes.size()) {
      const std::uint64_t at = offset + done;
      Segment& segment = segments_[at / segment_size];
      auto page = static_cast<unsigned>(at % segment_size / page_size);
      std::size_t begin = at % page_size;
      std::size_t count = 1;
      for (; page < segment_pages && done < bytes.size() && count != 0; ++page, begin = 0) {
        count = write_page(segment, page, begin, bytes.subspan(done), granted);
        done += count;
      }
      if (count == 0) break;
    }
  } catch (const std::bad_alloc&) {
    // What was written counts; the caller sees that there is no more.
  }
  quota_.give_back(granted);
  if (done > 0) size_ = std::max(size_, offset + done);
  return done;
}

void Content::resize(std::uint64_t size) noexcept {
  // Truncation also takes what fallocate(2) reserved behind the end.
  if (size <= size_) clear(size, max_file_size - size, Cleared::holes);
  size_ = size;
}

bool Content::reserve(std::uint64_t offset, std::uint64_t length) {
  if (length == 0) return true;
  std::uint64_t granted = count_holes(offset, length) * page_size;
  if (!quota_.take(granted)) return false;
  const std::uint64_t last = (offset + length + page_size - 1) / page_size;
  try {
    for (std::uint64_t page = offset / page_size; page < last;) {
      Segment& segment = segments_[page / segment_pages];
      const auto from = static_cast<unsigned>(page % segment_pages);
      const auto to = static_cast<unsigned>(std::min<std::uint64_t>(last - page + from, segment_pages));
      const std::uint64_t fresh = bits(from, to) & ~(segment.present | segment.reserved);
      segment.reserved |= fresh;
      const std::uint64_t bytes = static_cast<unsigned>(std::popcount(fresh)) * page_size;
      allocated_ += bytes;
      granted -= bytes;
      page += to - from;
    }
  } catch (const std::bad_alloc&) {
    quota_.give_back(granted);
    return false;
  }
  return true;
}

void Content::clear_pages(Segment& segment, std::uint64_t mask, Cleared pages) noexcept {
  for (std::uint64_t left = segment.present & mask; left != 0; left &= left - 1) {
    segment.pages[static_cast<unsigned>(std::countr_zero(left))].reset();
  }
  if (pages == Cleared::reserved) {
    segment.reserved |= segment.present & mask;
  } else {
    const std::uint64_t bytes =
        static_cast<unsigned>(std::popcount((segment.present | segment.reserved) & mask)) * page_size;
    allocated_ -= bytes;
    quota_.give_back(bytes);
    segment.reserved &= ~mask;
  }
  segment.present &= ~mask;
}

void Content::clear_within_page(std::uint64_t offset, std::uint64_t length) noexcept {
  const auto segment = segments_.find(offset / segment_size);
  if (segment == segments_.end()) return;
  Page* memory = segment->second.pages[offset % segment_size / page_size].get();
  if (memory != nullptr) std::memset(memory->bytes.data() + offset % page_size, 0, static_cast<std::size_t>(length));
}

void Content::clear(std::uint64_t offset, std::uint64_t length, Cleared pages) noexcept {
  const std::uint64_t end = offset + length;
  const std::uint64_t first = (offset + page_size - 1) / page_size;  // whole pages: [first, last)
  const std::uint64_t last = end / page_size;
  if (first > last) return clear_within_page(offset, length);
  if (first * page_size > offset) clear_within_page(offset, first * page_size - offset);
  if (end > last * page_size) clear_within_page(last * page_size, end - last * page_size);
  for (auto segment = segments_.lower_bound(first / segment_pages); segment != segments_.end();) {
    const std::uint64_t start = segment->first * segment_pages;
    if (start >= last) break;
    const auto from = static_cast<unsigned>(first > start ? first - start : 0);
    const auto to = static_cast<unsigned>(std::min<std::uint64_t>(last - start, segment_pages));
    if (from < to) clear_pages(segment->second, bits(from, to), pages);
    const bool empty = (segment->second.present | segment->second.reserved) == 0;
    segment = empty ? segments_.erase(segment) : std::next(segment);
  }
}

std::optional<std::uint64_t> Content::next_data(std::uint64_t offset) const noexcept {
  for (auto segment = segments_.lower_bound(offset / segment_size); segment != segments_.end(); ++segment) {
    const std::uint64_t start = segment->first * segment_size;
    const auto from = static_cast<unsigned>(offset > start ? (offset - start) / page_size : 0);
    const std::uint64_t present = segment->second.present & bits(from, segment_pages);
    if (present == 0) continue;
    const std::uint64_t found = start + static_cast<unsigned>(std::countr_zero(present)) * page_size;
    if (found >= size_) break;
    return std::max(offset, found);
  }
  return std::nullopt;
}

std::uint64_t Content::next_hole(std::uint64_t offset) const noexcept {
  auto segment = segments_.find(offset / segment_size);
  while (segment != segments_.end()) {
    const std::uint64_t start = segment->first * segment_size;
    const auto from = static_cast<unsigned>(offset > start ? (offset - start) / page_size : 0);
    const std::uint64_t absent = ~segment->second.present & bits(from, segment_pages);
    if (absent != 0) {
      offset = std::max(offset, start + static_cast<unsigned>(std::countr_zero(absent)) * page_size);
      break;
    }
    offset = start + segment_size;
    if (++segment == segments_.end() || segment->first * segment_size != offset) break;
  }
  return std::min(offset, size_);
}

std::uint64_t Content::copy(const Content& from, std::uint64_t from_offset, std::uint64_t offset,
                            std::uint64_t length) {
  std::array<std::byte, 4 * page_size> buffer;
  std::uint64_t done = 0;
  while (done < length) {
    const std::uint64_t at = from_offset + done;
    const std::uint64_t data = std::min(from.next_data(at).value_or(max_file_size), from_offset + length);
    if (data > at) {
      clear(offset + done, data - at, Cleared::holes);
      done += data - at;
      size_ = std::max(size_, offset + done);
      continue;
    }
    const auto count = static_cast<std::size_t>(
        std::min<std::uint64_t>({buffer.size() - at % page_size, length - done, from.next_hole(at) - at}));
    from.read(at, std::span(buffer).first(count));
    const std::size_t written = write(offset + done, std::span(buffer).first(count));
    done += written;
    if (written < count) break;
  }
  return done;
}

}  // namespace fuselage::memory

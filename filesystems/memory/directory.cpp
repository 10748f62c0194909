#include "directory.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <iterator>
#include <new>
#include <utility>

namespace fuselage::memory {

std::uint32_t Directory::hash_of(std::string_view name) noexcept {
  const std::size_t hash = std::hash<std::string_view>{}(name);
  return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

/// The bucket that holds the name, or the empty one where it would go. There is always an empty one.
std::size_t Directory::bucket_of(std::string_view name, std::uint32_t hash) const noexcept {
  const std::size_t mask = buckets_.size() - 1;
  for (std::size_t bucket = hash & mask;; bucket = (bucket + 1) & mask) {
    if (buckets_[bucket] == 0) return bucket;
    const Name& candidate = names_[buckets_[bucket] - 1];
    if (candidate.hash == hash && candidate.text == name) return bucket;
  }
}

const Name* Directory::find(std::string_view name) const noexcept {
  if (live_ == 0) return nullptr;
  const std::uint32_t found = buckets_[bucket_of(name, hash_of(name))];
  return found != 0 ? &names_[found - 1] : nullptr;
}

void Directory::insert(std::string_view name, Ino ino, FileType type) {
  // At most three quarters full, counting the erased ones, which leave with the rebuilding.
  if ((names_.size() + 1) * 4 > buckets_.size() * 3) rebuild();
  const std::uint32_t hash = hash_of(name);
  names_.push_back(Name{std::string(name), ino, type, hash, next_cursor_});
  ++next_cursor_;
  ++live_;
  buckets_[bucket_of(name, hash)] = static_cast<std::uint32_t>(names_.size());
}

void Directory::replace(std::string_view name, Ino ino, FileType type) noexcept {
  Name& found = names_[buckets_[bucket_of(name, hash_of(name))] - 1];
  found.ino = ino;
  found.type = type;
}

void Directory::erase(std::string_view name) noexcept {
  const std::size_t mask = buckets_.size() - 1;
  std::size_t empty = bucket_of(name, hash_of(name));
  Name& erased = names_[buckets_[empty] - 1];
  erased.ino = Ino{};
  erased.text = std::string();
  --live_;
  while (first_ < names_.size() && names_[first_].ino == Ino{}) ++first_;
  // Close the gap: move back what was pushed past the bucket that is now empty, so that searches may stop there.
  buckets_[empty] = 0;
  for (std::size_t bucket = (empty + 1) & mask; buckets_[bucket] != 0; bucket = (bucket + 1) & mask) {
    const std::size_t home = names_[buckets_[bucket] - 1].hash & mask;
    if (((bucket - home) & mask) < ((bucket - empty) & mask)) continue;
    buckets_[empty] = std::exchange(buckets_[bucket], 0);
    empty = bucket;
  }
  if (names_.size() <= 32 || names_.size() <= 2 * live_) return;
  try {
    rebuild();
  } catch (const std::bad_alloc&) {
    // The erased names keep their memory a little longer.
  }
}

std::size_t Directory::index_after(std::uint64_t cursor) const noexcept {
  const auto at =
      std::partition_point(names_.begin(), names_.end(), [cursor](const Name& name) { return name.cursor <= cursor; });
  return static_cast<std::size_t>(at - names_.begin());
}

/// Drops the erased names and gives the others as many buckets as they need.
void Directory::rebuild() {
  std::vector<Name> names;
  names.reserve(live_ + live_ / 2 + 4);
  std::vector<std::uint32_t> buckets(std::bit_ceil(names.capacity() * 4 / 3 + 1));
  std::copy_if(std::make_move_iterator(names_.begin()), std::make_move_iterator(names_.end()),
               std::back_inserter(names), [](const Name& name) { return name.ino != Ino{}; });
  names_ = std::move(names);
  first_ = 0;
  buckets_ = std::move(buckets);
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const std::size_t mask = buckets_.size() - 1;
    std::size_t bucket = names_[i].hash & mask;
    while (buckets_[bucket] != 0) bucket = (bucket + 1) & mask;
    buckets_[bucket] = static_cast<std::uint32_t>(i + 1);
  }
}

}  // namespace fuselage::memory

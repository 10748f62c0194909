#include "path/name_table.hpp"

#include <new>

namespace fuselage::path {
namespace {

constexpr std::size_t fewest_buckets = 16;
// Names for each bucket: a pointer takes 8 bytes, and chains stay short.
constexpr std::size_t full = 2;
constexpr std::size_t nearly_empty = 4;  // buckets for each name

}  // namespace

void NameTable::add(Name& name) {
  const std::size_t hash = hash_of(name.parent, name.text.view());
  Shard& shard = shard_of(hash);
  const std::lock_guard lock(shard.mutex);
  shard.make_room();
  shard.add(name, hash);
}

void NameTable::remove(Name& name) noexcept {
  const std::size_t hash = hash_of(name.parent, name.text.view());
  Shard& shard = shard_of(hash);
  const std::lock_guard lock(shard.mutex);
  if (shard.buckets.empty()) return;
  for (Name** place = &shard.bucket(hash); *place != nullptr; place = &(*place)->chain) {
    if (*place != &name) continue;
    *place = std::exchange(name.chain, nullptr);
    --shard.used;
    break;
  }
  if (shard.buckets.size() <= fewest_buckets || shard.used * nearly_empty > shard.buckets.size()) return;
  try {
    shard.resize(shard.buckets.size() / 2);
  } catch (const std::bad_alloc&) {
    return;  // it stays as large as it is
  }
}

void NameTable::Shard::make_room() {
  if (buckets.empty()) {
    buckets.resize(fewest_buckets);
  } else if (used >= full * buckets.size()) {
    resize(2 * buckets.size());
  }
}

void NameTable::Shard::resize(std::size_t size) {
  std::vector<Name*> old(size);
  std::swap(buckets, old);
  for (Name* name : old) {
    while (name != nullptr) {
      Name* const next = name->chain;
      Name*& place = bucket(hash_of(name->parent, name->text.view()));
      name->chain = std::exchange(place, name);
      name = next;
    }
  }
}

std::size_t NameTable::memory() noexcept {
  std::size_t bytes = sizeof *this;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    bytes += shard.buckets.capacity() * sizeof(Name*);
  }
  return bytes;
}

}  // namespace fuselage::path

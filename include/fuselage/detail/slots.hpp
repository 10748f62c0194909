// Module: inode.
//
// The storage behind `NodeTable` and `HandleTable`: values under numbers that are never given out twice.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <utility>
#include <vector>

namespace fuselage::detail {

/// A place in a `SlotArray`: which slot, and how many values it had before.
struct SlotId {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
};

/// An array with holes. Insertion, removal and access take constant time (a removal that empties a chunk is linear in
/// the chunk); addresses of values are stable. Memory goes back chunk by chunk; of a chunk that is gone only the
/// generation at which its slots go on remains. Not thread-safe.
template <class Value>
class SlotArray {
 public:
  /// Throws std::bad_alloc, also when `max_slots` are in use.
  std::pair<SlotId, Value*> insert(Value value, std::uint32_t max_slots) {
    if (with_room_.empty()) add_chunk(max_slots);
    const std::uint32_t chunk_index = *with_room_.begin();
    Chunk& chunk = chunks_[chunk_index];
    const std::uint32_t place = chunk.first_free;
    Slot& slot = chunk.slots[place];
    chunk.first_free = slot.next_free;
    if (chunk.first_free == none) with_room_.erase(with_room_.begin());
    slot.next_free = in_use;
    slot.value = std::move(value);
    ++chunk.used;
    ++size_;
    return {SlotId{chunk_index * chunk_slots + place, slot.generation}, &slot.value};
  }

  /// Null if the slot has no value, or another one by now.
  Value* find(SlotId id) noexcept {
    Slot* slot = find_slot(id);
    return slot != nullptr ? &slot->value : nullptr;
  }

  /// Removes and returns a value that is there.
  Value remove(SlotId id) {
    Slot& slot = *find_slot(id);
    Value value = std::exchange(slot.value, Value{});
    const std::uint32_t chunk_index = id.index / chunk_slots;
    Chunk& chunk = chunks_[chunk_index];
    --chunk.used;
    --size_;
    if (slot.generation == std::numeric_limits<std::uint32_t>::max()) {
      slot.next_free = none;  // every number of this slot was given out: it stays out of use
    } else {
      ++slot.generation;
      if (chunk.first_free == none) with_room_.insert(chunk_index);
      slot.next_free = std::exchange(chunk.first_free, id.index % chunk_slots);
    }
    // The last chunk with room stays, so that one node coming and going does not allocate each time.
    if (chunk.used == 0 && with_room_.size() > 1) drop_chunk(chunk_index);
    return value;
  }

  std::size_t size() const noexcept { return size_; }

  /// How many slots there is memory for.
  std::size_t capacity() const noexcept {
    return chunk_slots * static_cast<std::size_t>(std::count_if(chunks_.begin(), chunks_.end(), [](const Chunk& chunk) {
             return chunk.slots != nullptr;
           }));
  }

 private:
  static constexpr std::uint32_t chunk_slots = 64;
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::uint32_t in_use = none - 1;

  struct Slot {
    Value value{};
    std::uint32_t generation = 0;
    std::uint32_t next_free = none;
  };
  struct Chunk {
    std::unique_ptr<std::array<Slot, chunk_slots>> memory;
    Slot* slots = nullptr;
    std::uint64_t first_generation = 0;  ///< At which its slots begin when it is allocated (again).
    std::uint32_t used = 0;
    std::uint32_t first_free = none;
  };

  Slot* find_slot(SlotId id) noexcept {
    const std::uint32_t chunk_index = id.index / chunk_slots;
    if (chunk_index >= chunks_.size() || chunks_[chunk_index].slots == nullptr) return nullptr;
    Slot& slot = chunks_[chunk_index].slots[id.index % chunk_slots];
    return slot.next_free == in_use && slot.generation == id.generation ? &slot : nullptr;
  }

  void add_chunk(std::uint32_t max_slots) {
    const bool again = !vacant_.empty();
    const auto chunk_index = again ? vacant_.back() : static_cast<std::uint32_t>(chunks_.size());
    if (!again) {
      if (chunk_index >= max_slots / chunk_slots) throw std::bad_alloc();
      vacant_.reserve(chunks_.size() + 1);  // so that drop_chunk never allocates
      chunks_.emplace_back();
    }
    Chunk& chunk = chunks_[chunk_index];
    chunk.memory = std::make_unique<std::array<Slot, chunk_slots>>();
    chunk.slots = chunk.memory->data();
    for (std::uint32_t place = 0; place < chunk_slots; ++place) {
      chunk.slots[place].generation = static_cast<std::uint32_t>(chunk.first_generation);
      chunk.slots[place].next_free = place + 1 < chunk_slots ? place + 1 : none;
    }
    chunk.first_free = 0;
    with_room_.insert(chunk_index);
    if (again) vacant_.pop_back();
  }

  void drop_chunk(std::uint32_t chunk_index) noexcept {
    Chunk& chunk = chunks_[chunk_index];
    std::uint64_t next = 0;
    for (const Slot& slot : *chunk.memory) {
      // At the last generation one cannot tell whether it was given out: then it counts as if it were.
      next = std::max(next, std::uint64_t{slot.generation} + (slot.generation == none ? 1 : 0));
    }
    chunk.first_generation = next;
    chunk.memory.reset();
    chunk.slots = nullptr;
    chunk.first_free = none;
    with_room_.erase(chunk_index);
    if (next <= none) vacant_.push_back(chunk_index);
  }

  std::vector<Chunk> chunks_;
  std::set<std::uint32_t> with_room_;  ///< Chunks with a free slot; the lowest is used first, so that high ones empty.
  std::vector<std::uint32_t> vacant_;  ///< Chunks without memory.
  std::size_t size_ = 0;
};

/// `SlotArray`s behind locks of their own. A number holds generation (high half), slot and shard (low half), counts
/// from 1 upwards while nothing is removed, and is never 0.
template <class Value, class PerShard>
class ShardedSlots {
 public:
  struct alignas(64) Shard {
    std::mutex mutex;
    SlotArray<Value> slots;
    PerShard extra;
    std::uint32_t number = 0;

    /// For the holder of `mutex`.
    std::pair<std::uint64_t, Value*> insert(Value value) {
      const auto [id, place] = slots.insert(std::move(value), max_slots);
      const std::uint64_t low = std::uint64_t{id.index} * shard_count + number + 1;
      return {std::uint64_t{id.generation} << 32 | low, place};
    }
  };

  ShardedSlots() {
    for (std::uint32_t i = 0; i < shard_count; ++i) shards_[i].number = i;
  }

  static constexpr SlotId slot_of(std::uint64_t number) noexcept {
    return {(static_cast<std::uint32_t>(number) - 1) / shard_count, static_cast<std::uint32_t>(number >> 32)};
  }
  /// For number 0, which is none, some shard where it is not found.
  Shard& shard_of(std::uint64_t number) noexcept {
    return shards_[(static_cast<std::uint32_t>(number) - 1) % shard_count];
  }
  Shard& shard_of_hash(std::size_t hash) noexcept {
    // Hashes of integers are often the integers, with all the difference in the low or in the high bits.
    const std::uint64_t mixed = std::uint64_t{hash} * 0x9E37'79B9'7F4A'7C15u;
    return shards_[(mixed >> 32) % shard_count];
  }
  /// The shards in turn.
  Shard& next_shard() noexcept { return shards_[turn_.fetch_add(1, std::memory_order_relaxed) % shard_count]; }

  std::size_t size() noexcept { return sum(&SlotArray<Value>::size); }
  std::size_t capacity() noexcept { return sum(&SlotArray<Value>::capacity); }

 private:
  static constexpr std::uint32_t shard_count = 32;
  // The low half of the last slot's number still fits into 32 bits.
  static constexpr std::uint32_t max_slots = std::numeric_limits<std::uint32_t>::max() / shard_count;

  std::size_t sum(std::size_t (SlotArray<Value>::*property)() const noexcept) noexcept {
    std::size_t total = 0;
    for (Shard& shard : shards_) {
      const std::lock_guard lock(shard.mutex);
      total += (shard.slots.*property)();
    }
    return total;
  }

  std::array<Shard, shard_count> shards_;
  std::atomic<std::uint32_t> turn_{0};
};

}  // namespace fuselage::detail

// Which name in which directory is which node.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string_view>
#include <vector>

#include "path/node.hpp"

namespace fuselage::path {

/// A hash table in shards with a lock each, over `Name`s that lie elsewhere. Buckets grow and shrink with what is in
/// them. Thread-safe. A name that is in the table must not change.
class NameTable {
 public:
  /// Calls `use(name)` for the names of this text in `parent`, until it returns true. Under the lock of a
  /// shard: `use` must not use the table.
  template <class Use>
  bool find(const Node& parent, std::string_view text, Use use) {
    const std::size_t hash = hash_of(&parent, text);
    Shard& shard = shard_of(hash);
    const std::lock_guard lock(shard.mutex);
    return shard.find(parent, text, hash, use);
  }

  /// The same, and if none was taken adds the one that `make()` returns; under the same lock. Throws what `make`
  /// throws, and std::bad_alloc.
  template <class Use, class Make>
  void find_or_add(const Node& parent, std::string_view text, Use use, Make make) {
    const std::size_t hash = hash_of(&parent, text);
    Shard& shard = shard_of(hash);
    const std::lock_guard lock(shard.mutex);
    if (shard.find(parent, text, hash, use)) return;
    shard.make_room();
    shard.add(make(), hash);
  }

  /// Throws std::bad_alloc.
  void add(Name& name);
  /// Does nothing if it is not there.
  void remove(Name& name) noexcept;

  /// How many bytes the table takes.
  std::size_t memory() noexcept;

 private:
  static constexpr std::size_t shard_count = 32;

  struct alignas(64) Shard {
    std::mutex mutex;
    std::vector<Name*> buckets;
    std::size_t used = 0;

    template <class Use>
    bool find(const Node& parent, std::string_view text, std::size_t hash, Use use) {
      if (buckets.empty()) return false;
      for (Name* name = bucket(hash); name != nullptr; name = name->chain) {
        if (name->parent == &parent && name->text.view() == text && use(*name)) return true;
      }
      return false;
    }
    Name*& bucket(std::size_t hash) noexcept { return buckets[(hash / shard_count) & (buckets.size() - 1)]; }
    void add(Name& name, std::size_t hash) noexcept {
      name.chain = std::exchange(bucket(hash), &name);
      ++used;
    }
    void make_room();
    void resize(std::size_t size);
  };

  static std::size_t hash_of(const Node* parent, std::string_view text) noexcept {
    const std::size_t hash = std::hash<std::string_view>{}(text);
    return (hash ^ reinterpret_cast<std::uintptr_t>(parent) / sizeof(void*)) * std::size_t{0x9E37'79B9'7F4A'7C15u} >> 7;
  }
  Shard& shard_of(std::size_t hash) noexcept { return shards_[hash % shard_count]; }

  std::array<Shard, shard_count> shards_;
};

}  // namespace fuselage::path

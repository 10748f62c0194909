// Module: inode.
//
// `NodeTable`: nodes under inode numbers, with the kernel's lookup counts kept for the file system.
//
// A file system whose nodes stand for something elsewhere gives them a key. They exist while the kernel knows them:
//
//   struct Object { std::string url; };
//   NodeTable<Object, std::string> nodes{Object{"/"}};
//
//   Reply<Entry> lookup(const Context&, Ino, std::string_view name) override {
//     const auto found = nodes.lookup(std::string(name), [&](Ino) { return std::make_shared<Object>(...); });
//     return Entry{.ino = found.ino, .attributes = attributes_of(*found.node)};
//   }
//   void forget(Ino ino, std::uint64_t count) override { nodes.forget(ino, count); }
//   Reply<Attributes> getattr(const Context&, Ino ino, const OpenFile*) override {
//     const auto node = nodes.find(ino);
//     if (!node) return Error{ESTALE};
//     return attributes_of(*node);
//   }
//
// A file system that owns its nodes keeps each one as long as it has a name (`keep` when it gets its first name,
// `release` when it loses the last); an unlinked file that is still open then lives on until the kernel forgets it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <fuselage/detail/slots.hpp>
#include <fuselage/types.hpp>
#include <memory>
#include <mutex>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace fuselage {

namespace detail {

/// One node of a `NodeTable` and who holds it there.
template <class T, class Key>
struct NodeSlot {
  std::shared_ptr<T> node;
  std::uint64_t lookups = 0;  ///< Entries that the kernel has and did not forget.
  std::uint64_t keeps = 0;    ///< What the file system itself asked for.
  const Key* key = nullptr;   ///< Into the shard's `Keys`.
};

/// The nodes of a shard by their keys, and nothing where there are none.
template <class Key, class Hash>
struct NodeKeys {
  std::unordered_map<Key, std::uint64_t, Hash> numbers;
};
template <class Hash>
struct NodeKeys<void, Hash> {};

}  // namespace detail

/// Nodes of type `T` under inode numbers. Every number is given out once: a number that the kernel (or an NFS client)
/// still holds after its node is gone is never mistaken for a newer node's. Numbers are small as long as no node was
/// removed, so they also serve as `st_ino`.
///
/// A node leaves the table when its lookup count and its keep count are both 0. The root has number `root_ino` and
/// never leaves.
///
/// Counting: each `Entry` with the node's number that a handler answers (also `Created`, and each entry that readdir
/// adds where `wants_entries()`) is one lookup. Count it when the answer is made; if it does not reach the kernel, the
/// library calls `FileSystem::forget(ino, 1)`.
///
/// `Key` (with `Hash`), where given, identifies what a node stands for, for example device and inode number elsewhere.
/// There is at most one node for a key. `lookup` and `forget` of the same node may run at once: either the forget comes
/// first and the lookup makes a new node, or the lookup comes first and the node stays; a number that was answered is
/// never on its way out.
///
/// All functions are thread-safe and take constant time (keys: on average), except `size`, which is for statistics.
/// They lock one of several shards for a moment and never while a node is destroyed. `T` needs its own lock if handlers
/// change it.
template <class T, class Key = void, class Hash = std::hash<Key>>
class NodeTable {
 public:
  explicit NodeTable(std::shared_ptr<T> root) {
    auto& shard = slots_.shard_of(static_cast<std::uint64_t>(root_ino));
    // The root has no key: the kernel refuses the root's number as the answer to a lookup (fuse_lookup), so where the
    // root turns up under itself once more it has to be another node.
    shard.insert(Slot{.node = std::move(root), .keeps = 1});
    slots_.next_shard();
  }
  explicit NodeTable(T root) : NodeTable(std::make_shared<T>(std::move(root))) {}

  /// The node; null if there is none with this number (any more): answer ESTALE.
  std::shared_ptr<T> find(Ino ino) const {
    return with(ino, [](const Slot& slot) { return slot.node; });
  }

  /// Puts a node into the table with one lookup: that of the answer which tells its number. Throws std::bad_alloc.
  Ino add(T node) { return add(std::make_shared<T>(std::move(node))); }
  Ino add(std::shared_ptr<T> node) {
    return add_with([&](Ino) { return std::move(node); });
  }
  /// The same for nodes that know their number: `make(Ino)` returns the `std::shared_ptr<T>`. It is called under a
  /// lock: it must not use the table. If it throws or returns null (then `Ino{0}` is returned), nothing was added.
  template <class Make>
  Ino add_with(Make&& make) {
    auto& shard = slots_.next_shard();
    const std::lock_guard lock(shard.mutex);
    return insert(shard, std::forward<Make>(make)).ino;
  }

  /// What `lookup` found or made.
  struct Found {
    Ino ino{};
    std::shared_ptr<T> node;
    bool added = false;
  };

  /// The node with this key, made by `make` if there is none (see `add_with`), with one lookup more.
  template <class K, class Make>
  requires(!std::is_void_v<Key> && std::is_convertible_v<K, Key>) Found lookup(K&& key, Make&& make) {
    auto& shard = slots_.shard_of_hash(Hash{}(key));
    const std::lock_guard lock(shard.mutex);
    const auto [entry, added] = shard.extra.numbers.try_emplace(std::forward<K>(key), 0);
    if (!added) {
      Slot& slot = *shard.slots.find(Slots::slot_of(entry->second));
      ++slot.lookups;
      return {Ino{entry->second}, slot.node, false};
    }
    Found found;
    try {
      found = insert(shard, std::forward<Make>(make), &entry->first);
    } catch (...) {
      shard.extra.numbers.erase(entry);
      throw;
    }
    if (found.node == nullptr) {
      shard.extra.numbers.erase(entry);
    } else {
      entry->second = static_cast<std::uint64_t>(found.ino);
    }
    return found;
  }

  /// One lookup more, for another answer with this number; returns the node, or null if there is none (any more).
  std::shared_ptr<T> reference(Ino ino) {
    return with(ino, [](Slot& slot) { return ++slot.lookups, slot.node; });
  }

  /// `count` lookups fewer: what `FileSystem::forget` is told. Returns the node if this made it leave the table, else
  /// null. Numbers that are not there and counts that are too high do no harm.
  std::shared_ptr<T> forget(Ino ino, std::uint64_t count) { return lower(ino, &Slot::lookups, count); }

  /// The node shall stay whether or not the kernel knows it, until as many `release` as `keep` were called. Null if
  /// there is none (any more).
  std::shared_ptr<T> keep(Ino ino) {
    return with(ino, [](Slot& slot) { return ++slot.keeps, slot.node; });
  }
  /// Takes one `keep` back. Returns the node if this made it leave the table, else null.
  std::shared_ptr<T> release(Ino ino) {
    if (ino == root_ino) return nullptr;
    return lower(ino, &Slot::keeps, 1);
  }

  /// The lookup count, for tests and diagnostics; 0 if there is no such node.
  std::uint64_t lookups(Ino ino) const {
    return with(ino, [](const Slot& slot) { return slot.lookups; });
  }

  /// How many nodes there are, with the root.
  std::size_t size() const { return slots_.size(); }
  /// How many there is memory for; follows `size` with some slack, down as well as up.
  std::size_t capacity() const { return slots_.capacity(); }

 private:
  using Slot = detail::NodeSlot<T, Key>;
  using Slots = detail::ShardedSlots<Slot, detail::NodeKeys<Key, Hash>>;
  using Shard = typename Slots::Shard;

  /// What `use` makes of the node's slot, or an empty result.
  template <class Use>
  auto with(Ino ino, Use use) const -> decltype(use(std::declval<Slot&>())) {
    const auto number = static_cast<std::uint64_t>(ino);
    Shard& shard = slots_.shard_of(number);
    const std::lock_guard lock(shard.mutex);
    Slot* slot = shard.slots.find(Slots::slot_of(number));
    if (slot == nullptr) return {};
    return use(*slot);
  }

  template <class Make>
  Found insert(Shard& shard, Make&& make, const Key* key = nullptr) {
    const auto [number, slot] = shard.insert(Slot{});
    try {
      slot->node = std::forward<Make>(make)(Ino{number});
    } catch (...) {
      shard.slots.remove(Slots::slot_of(number));
      throw;
    }
    if (slot->node == nullptr) {
      shard.slots.remove(Slots::slot_of(number));
      return {};
    }
    slot->lookups = 1;
    slot->key = key;
    return {Ino{number}, slot->node, true};
  }

  std::shared_ptr<T> lower(Ino ino, std::uint64_t Slot::*counter, std::uint64_t count) {
    const auto number = static_cast<std::uint64_t>(ino);
    Shard& shard = slots_.shard_of(number);
    const std::lock_guard lock(shard.mutex);
    Slot* slot = shard.slots.find(Slots::slot_of(number));
    if (slot == nullptr) return nullptr;
    slot->*counter -= std::min(count, slot->*counter);
    if (slot->lookups != 0 || slot->keeps != 0) return nullptr;
    if constexpr (!std::is_void_v<Key>) {
      // By iterator: erase(key) would be given a reference to what it erases.
      if (slot->key != nullptr) shard.extra.numbers.erase(shard.extra.numbers.find(*slot->key));
    }
    return shard.slots.remove(Slots::slot_of(number)).node;
  }

  mutable Slots slots_;
};

}  // namespace fuselage

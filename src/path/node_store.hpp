// The memory of the nodes, and their numbers.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "path/node.hpp"

namespace fuselage::path {

/// Nodes in chunks, in shards with a lock each. A number holds generation (high half), place and shard (low half), is
/// never 0, and is never given out twice. Memory goes back chunk by chunk. Thread-safe.
class NodeStore {
 public:
  NodeStore() {
    for (std::uint32_t i = 0; i < shard_count; ++i) shards_[i].number = i;
  }

  /// A new node with one reference. Throws std::bad_alloc.
  Node& make();
  /// Takes back a node without references.
  void free(Node& node) noexcept;
  /// The node of this number, pinned; null if there is none (any more).
  Node* pin(Ino ino) noexcept;

  /// How many nodes there are.
  std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }
  /// How many bytes they take, with the administration.
  std::size_t memory() noexcept;

  /// Up to `count` nodes that only the kernel's lookups keep, pinned: other ones with each call, in turn.
  std::vector<Node*> pin_idle(std::size_t count);

 private:
  static constexpr std::uint32_t shard_count = 32;
  static constexpr std::uint32_t chunk_nodes = 64;
  static constexpr std::uint32_t max_chunks = UINT32_MAX / shard_count / chunk_nodes;

  struct Chunk {
    std::unique_ptr<std::array<Node, chunk_nodes>> nodes;
    Node* first_free = nullptr;
    std::uint64_t first_generation = 0;  ///< At which its nodes begin when it is allocated (again).
    std::uint32_t used = 0;
  };
  struct alignas(64) Shard {
    std::mutex mutex;
    std::vector<Chunk> chunks;
    std::set<std::uint32_t> with_room;  ///< Chunks with a free node; the lowest is used first, so that high ones empty.
    std::vector<std::uint32_t> vacant;  ///< Chunks without memory.
    std::uint32_t number = 0;
  };

  void add_chunk(Shard& shard);
  void drop_chunk(Shard& shard, std::uint32_t place) noexcept;

  std::array<Shard, shard_count> shards_;
  std::atomic<std::uint32_t> turn_{0};
  std::atomic<std::size_t> size_{0};
  std::atomic<std::uint64_t> hand_{0};  ///< Where `pin_idle` goes on: chunk * shard_count + shard.
};

}  // namespace fuselage::path

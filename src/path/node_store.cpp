#include "path/node_store.hpp"

#include <algorithm>
#include <new>

namespace fuselage::path {

Node& NodeStore::make() {
  Shard& shard = shards_[turn_.fetch_add(1, std::memory_order_relaxed) % shard_count];
  const std::lock_guard lock(shard.mutex);
  if (shard.with_room.empty()) add_chunk(shard);
  const std::uint32_t place = *shard.with_room.begin();
  Chunk& chunk = shard.chunks[place];
  Node& node = *chunk.first_free;
  chunk.first_free = static_cast<Node*>(node.chain);
  if (chunk.first_free == nullptr) shard.with_room.erase(shard.with_room.begin());
  node.chain = nullptr;
  node.references.store(1, std::memory_order_relaxed);
  ++chunk.used;
  size_.fetch_add(1, std::memory_order_relaxed);
  return node;
}

void NodeStore::free(Node& node) noexcept {
  node.text = NameText();
  Shard& shard = shards_[(node.index - 1) % shard_count];
  const std::uint32_t place = (node.index - 1) / shard_count / chunk_nodes;
  const std::lock_guard lock(shard.mutex);
  Chunk& chunk = shard.chunks[place];
  node.parent = nullptr;
  node.lookups.store(0, std::memory_order_relaxed);
  node.lock.store(0, std::memory_order_relaxed);
  --chunk.used;
  size_.fetch_sub(1, std::memory_order_relaxed);
  // A node whose generations are used up stays out of use.
  if (node.generation != UINT32_MAX) {
    ++node.generation;
    node.chain = chunk.first_free;
    if (chunk.first_free == nullptr) shard.with_room.insert(place);
    chunk.first_free = &node;
  }
  // The last chunk with room stays, so that one node coming and going does not allocate each time.
  if (chunk.used == 0 && shard.with_room.size() > 1) drop_chunk(shard, place);
}

Node* NodeStore::pin(Ino ino) noexcept {
  const auto number = static_cast<std::uint64_t>(ino);
  const std::uint32_t low = static_cast<std::uint32_t>(number) - 1;  // of number 0: a place that is never reached
  Shard& shard = shards_[low % shard_count];
  const std::uint32_t place = low / shard_count / chunk_nodes;
  const std::lock_guard lock(shard.mutex);
  if (place >= shard.chunks.size() || shard.chunks[place].nodes == nullptr) return nullptr;
  Node& node = (*shard.chunks[place].nodes)[low / shard_count % chunk_nodes];
  return node.generation == number >> 32 && node.try_pin() ? &node : nullptr;
}

void NodeStore::add_chunk(Shard& shard) {
  const bool again = !shard.vacant.empty();
  const auto place = again ? shard.vacant.back() : static_cast<std::uint32_t>(shard.chunks.size());
  if (!again) {
    if (place >= max_chunks) throw std::bad_alloc();
    shard.vacant.reserve(shard.chunks.size() + 1);  // so that drop_chunk never allocates
    shard.chunks.emplace_back();
  }
  Chunk& chunk = shard.chunks[place];
  chunk.nodes = std::make_unique<std::array<Node, chunk_nodes>>();
  for (std::uint32_t i = chunk_nodes; i-- > 0;) {
    Node& node = (*chunk.nodes)[i];
    node.index = (place * chunk_nodes + i) * shard_count + shard.number + 1;
    node.generation = static_cast<std::uint32_t>(chunk.first_generation);
    node.chain = chunk.first_free;
    chunk.first_free = &node;
  }
  shard.with_room.insert(place);
  if (again) shard.vacant.pop_back();
}

void NodeStore::drop_chunk(Shard& shard, std::uint32_t place) noexcept {
  Chunk& chunk = shard.chunks[place];
  std::uint64_t next = 0;
  for (const Node& node : *chunk.nodes) {
    // At the last generation one cannot tell whether it was given out: then it counts as if it were.
    next = std::max(next, std::uint64_t{node.generation} + (node.generation == UINT32_MAX ? 1 : 0));
  }
  chunk.first_generation = next;
  chunk.nodes.reset();
  chunk.first_free = nullptr;
  shard.with_room.erase(place);
  if (next <= UINT32_MAX) shard.vacant.push_back(place);
}

std::size_t NodeStore::memory() noexcept {
  std::size_t bytes = sizeof *this;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    bytes += shard.chunks.capacity() * sizeof(Chunk) + shard.vacant.capacity() * sizeof(std::uint32_t);
    for (const Chunk& chunk : shard.chunks) bytes += chunk.nodes != nullptr ? sizeof *chunk.nodes : 0;
  }
  return bytes;
}

std::vector<Node*> NodeStore::pin_idle(std::size_t count) {
  std::vector<Node*> found;
  found.reserve(count);
  std::size_t most_chunks = 0;
  for (std::size_t looked_at = 0;
       looked_at < std::max<std::size_t>(most_chunks, 1) * shard_count && found.size() < count; ++looked_at) {
    const std::uint64_t hand = hand_.fetch_add(1, std::memory_order_relaxed);
    Shard& shard = shards_[hand % shard_count];
    const std::lock_guard lock(shard.mutex);
    most_chunks = std::max(most_chunks, shard.chunks.size());
    if (shard.chunks.empty()) continue;
    Chunk& chunk = shard.chunks[hand / shard_count % shard.chunks.size()];
    if (chunk.nodes == nullptr) continue;
    // Each time round from another node on: there may be room for the first few of a chunk only.
    const std::uint64_t begin = hand / shard_count / shard.chunks.size() * 7;
    for (std::uint64_t i = 0; i < chunk_nodes && found.size() < count; ++i) {
      Node& node = (*chunk.nodes)[(begin + i) % chunk_nodes];
      const bool idle =
          node.references.load(std::memory_order_relaxed) == 1 && node.lookups.load(std::memory_order_relaxed) != 0;
      if (idle && node.try_pin()) found.push_back(&node);
    }
  }
  return found;
}

}  // namespace fuselage::path

// Which files are open, for those who ask about one that has no name any more.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <fuselage/attributes.hpp>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

namespace fuselage::path {

/// The open files of each node, and what was last seen of it, in shards with a lock each. Thread-safe. Nodes of which
/// nothing is to be known take no memory.
class OpenFiles {
 public:
  using Clock = std::chrono::steady_clock;

 private:
  struct Seen {
    Timestamp mtime;
    std::uint64_t size;
    Clock::time_point at;
  };
  struct Known {
    std::vector<Handle> handles;
    bool hidden = false;
    bool changed = true;  ///< Since the cached data were filled; at first there are none.
    std::optional<Seen> seen;

    void see(const Attributes& attributes) {
      if (seen && (seen->mtime != attributes.mtime || seen->size != attributes.size)) changed = true;
      seen = Seen{attributes.mtime, attributes.size, Clock::now()};
    }
    bool worth_keeping() const noexcept { return !handles.empty() || hidden || seen.has_value(); }
  };
  struct alignas(64) Shard {
    std::mutex mutex;
    std::unordered_map<Ino, Known> nodes;
  };

  template <class Use>
  auto change(Ino ino, Use use) {
    Shard& shard = shard_of(ino);
    const std::lock_guard lock(shard.mutex);
    const auto entry = shard.nodes.try_emplace(ino).first;
    struct Tidy {
      Shard& shard;
      decltype(entry) place;
      ~Tidy() {
        if (!place->second.worth_keeping()) shard.nodes.erase(place);
      }
    } const tidy{shard, entry};
    return use(entry->second);
  }

 public:
  void add(Ino ino, Handle handle) {
    change(ino, [handle](Known& known) { known.handles.push_back(handle); });
  }
  /// True if the file was hidden and this was its last handle: whoever is told that removes it.
  bool remove(Ino ino, Handle handle) {
    return change(ino, [handle](Known& known) {
      const auto place = std::find(known.handles.begin(), known.handles.end(), handle);
      if (place != known.handles.end()) known.handles.erase(place);
      return known.handles.empty() && std::exchange(known.hidden, false);
    });
  }
  /// One of the handles, if there is one.
  std::optional<Handle> any(Ino ino) {
    return change(ino, [](const Known& known) {
      return known.handles.empty() ? std::nullopt : std::optional(known.handles.back());
    });
  }
  /// Asked for each getattr, so it makes no entry.
  bool is_hidden(Ino ino) {
    Shard& shard = shard_of(ino);
    const std::lock_guard lock(shard.mutex);
    const auto place = shard.nodes.find(ino);
    return place != shard.nodes.end() && place->second.hidden;
  }
  /// It has no other name than a hidden one.
  void hide(Ino ino) {
    change(ino, [](Known& known) { known.hidden = true; });
  }

  /// These are its attributes now: other than last time, if its time or size are others.
  void saw(Ino ino, const Attributes& attributes) {
    change(ino, [&attributes](Known& known) { known.see(attributes); });
  }
  /// When they were last seen.
  std::optional<Clock::time_point> seen_at(Ino ino) {
    return change(ino, [](const Known& known) { return known.seen ? std::optional(known.seen->at) : std::nullopt; });
  }
  /// Is what the kernel has cached still good? It is filled anew from here on, if it is not.
  bool keep_cache(Ino ino) {
    return change(ino, [](Known& known) { return !std::exchange(known.changed, false); });
  }
  /// The node is gone for the kernel.
  void drop(Ino ino) {
    Shard& shard = shard_of(ino);
    const std::lock_guard lock(shard.mutex);
    shard.nodes.erase(ino);
  }

 private:
  Shard& shard_of(Ino ino) noexcept { return shards_[static_cast<std::uint64_t>(ino) % shards_.size()]; }

  std::array<Shard, 32> shards_;
};

}  // namespace fuselage::path

// How much the file system may hold, and how much it holds.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>

namespace fuselage::memory {

/// A number of things of which only so many may be taken. Thread-safe.
class Quota {
 public:
  /// `limit` 0: no limit (but what fits into 63 bits, for the arithmetic of those who ask).
  explicit Quota(std::uint64_t limit) noexcept
      : limit_(limit != 0 ? limit : static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {}

  /// Takes as many as there are, at most `wanted`, in multiples of `unit`; returns how many.
  std::uint64_t take_up_to(std::uint64_t wanted, std::uint64_t unit) noexcept {
    std::uint64_t used = used_.load(std::memory_order_relaxed);
    for (;;) {
      const std::uint64_t free = limit_ - std::min(used, limit_);
      const std::uint64_t taken = std::min(wanted, free) / unit * unit;
      if (taken == 0 || used_.compare_exchange_weak(used, used + taken, std::memory_order_relaxed)) return taken;
    }
  }
  /// Takes all or nothing.
  bool take(std::uint64_t wanted) noexcept { return wanted == 0 || take_up_to(wanted, wanted) == wanted; }
  void give_back(std::uint64_t count) noexcept { used_.fetch_sub(count, std::memory_order_relaxed); }

  std::uint64_t used() const noexcept { return used_.load(std::memory_order_relaxed); }
  std::uint64_t limit() const noexcept { return limit_; }

 private:
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> used_{0};
};

/// What nodes are made of: bytes of content and extended attributes, and the nodes themselves.
struct Space {
  Quota bytes;
  Quota inodes;
};

/// Permission for one node to exist, given back with it.
struct GiveInodeBack {
  void operator()(Space* space) const noexcept { space->inodes.give_back(1); }
};
using InodeClaim = std::unique_ptr<Space, GiveInodeBack>;

/// Null if there are no more.
inline InodeClaim claim_inode(Space& space) noexcept { return InodeClaim(space.inodes.take(1) ? &space : nullptr); }

}  // namespace fuselage::memory

// The POSIX locks that a program has granted, so that F_GETLK can tell who holds them.
#pragma once

#include <algorithm>
#include <fuselage/requests.hpp>
#include <fuselage/types.hpp>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

namespace fuselage::capi2 {

/// Thread-safe.
class Locks {
 public:
  /// A lock of another owner that is in the way of `wanted`.
  std::optional<Lock> conflict(Ino node, LockOwner owner, const Lock& wanted) {
    const std::lock_guard guard(mutex_);
    const auto found = nodes_.find(node);
    if (found == nodes_.end()) return std::nullopt;
    for (const Held& held : found->second) {
      const bool overlaps = held.lock.start <= wanted.end && wanted.start <= held.lock.end;
      const bool excludes = held.lock.type == Lock::Type::write || wanted.type == Lock::Type::write;
      if (held.owner != owner && overlaps && excludes) return held.lock;
    }
    return std::nullopt;
  }

  /// `lock` of `owner` was granted, or is gone: what he had in that range is replaced.
  void set(Ino node, LockOwner owner, const Lock& lock) {
    const std::lock_guard guard(mutex_);
    std::vector<Held> rest;
    for (const Held& held : nodes_[node]) {
      if (held.owner != owner || held.lock.end < lock.start || lock.end < held.lock.start) {
        rest.push_back(held);
        continue;
      }
      if (held.lock.start < lock.start) rest.push_back({owner, part(held.lock, held.lock.start, lock.start - 1)});
      if (held.lock.end > lock.end) rest.push_back({owner, part(held.lock, lock.end + 1, held.lock.end)});
    }
    if (lock.type != Lock::Type::unlock) rest.push_back({owner, lock});
    if (rest.empty()) {
      nodes_.erase(node);
    } else {
      nodes_[node] = std::move(rest);
    }
  }

 private:
  struct Held {
    LockOwner owner;
    Lock lock;
  };
  static Lock part(Lock lock, std::uint64_t start, std::uint64_t end) {
    lock.start = start;
    lock.end = end;
    return lock;
  }

  std::mutex mutex_;
  std::map<Ino, std::vector<Held>> nodes_;  // guarded by mutex_
};

}  // namespace fuselage::capi2

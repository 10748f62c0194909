// Locks that keep the path of an operation true while it runs.
//
// Each node but the root has a lock that any number of operations share or one has for itself. An operation on a path
// shares those of the node and of all directories above it; a rename or removal has that of the node that moves or goes
// for itself, and shares those above. All are taken at once or none: who waits holds nothing, so there is no deadlock.
//
// Who cannot have them waits in a queue that is served in order. What those in the queue need is marked in the locks:
// nobody who comes later takes what would keep them waiting, so neither readers nor writers starve. Without a mark, no
// lock but those of the path is touched.
#pragma once

#include <coroutine>
#include <fuselage/path.hpp>
#include <fuselage/result.hpp>
#include <list>
#include <optional>
#include <span>
#include <unordered_map>

#include "path/tree.hpp"
#include "session/executor.hpp"

namespace fuselage::path {

class PathLocks;

/// What an operation is about. Names are valid until the operation is answered.
struct Want {
  struct Place {
    Ino ino{};
    std::optional<std::string_view> name{};  ///< Set: not the node itself, but this name in it.
  };
  Place first{};
  std::optional<Place> second{};
  bool exclusive = false;  ///< What the names lead to is changed. Nodes without a name are never.
};

/// The locks that an operation has, and what they keep from changing. Gives them back at its end.
class Hold {
 public:
  Hold() noexcept = default;
  Hold(Hold&& other) noexcept : first(std::move(other.first)), second(std::move(other.second)), locks_(other.locks_) {}
  Hold& operator=(Hold&&) = delete;
  ~Hold() { release(); }

  void release() noexcept;

  struct Place {
    PinnedNode node{nullptr, Unpin{}};    ///< The node, or the directory of the name.
    PinnedNode target{nullptr, Unpin{}};  ///< Locked exclusively: what the name leads to, if that is known.
    bool has_path = false;                ///< False: it, or a directory above it, has lost its name.
    bool shares = false;                  ///< `node` and the directories above it are locked.
    bool excludes = false;                ///< `target` is.

    Place() noexcept = default;
    Place(Place&& other) noexcept
        : node(std::move(other.node)),
          target(std::move(other.target)),
          has_path(other.has_path),
          shares(std::exchange(other.shares, false)),
          excludes(std::exchange(other.excludes, false)) {}
  };
  Place first;
  Place second;

 private:
  friend class PathLocks;
  bool give_back() noexcept;

  PathLocks* locks_ = nullptr;
};

class PathLocks {
 public:
  explicit PathLocks(Tree& tree) noexcept : tree_(tree) {}

  enum class Outcome { held, busy };
  /// Takes what is wanted, if it is free and nobody waits for it. ESTALE: there is no such node (any more). EINVAL: a
  /// directory would get into itself.
  Result<Outcome> try_acquire(const Want& want, Hold& hold) { return acquire(want, hold, nullptr); }

  /// `co_await locks.wait(executor, want, hold)`: a `Result<void>` once it is there.
  class Waiting;
  Waiting wait(session::Executor& executor, const Want& want, Hold& hold) noexcept;

  /// How many bytes the path of what is held takes, without the NUL.
  std::size_t path_size(const Hold::Place& place, const std::optional<std::string_view>& name) const noexcept;
  /// Writes the path and a NUL to `out`, which has room for them.
  void write_path(const Hold::Place& place, const std::optional<std::string_view>& name,
                  std::span<char> out) const noexcept;

  /// Where a node is at this moment; null if it is being moved, or has no name.
  std::optional<std::pair<Ino, std::string>> place_of(Node& node);

  /// How many operations wait.
  std::size_t waiting();

 private:
  friend class Hold;
  using Marks = std::unordered_map<Node*, std::uint32_t>;

  Result<Outcome> acquire(const Want& want, Hold& hold, Marks* reserved);
  Result<Outcome> take(const Want& want, Hold& hold, Marks* reserved);
  bool share_path(Hold::Place& place, Marks* reserved);
  bool adopt_alias(Hold::Place& place, Node& node, Marks* reserved);
  void unshare_and_tell(const Hold::Place& place, const Node* end, const Marks* reserved) noexcept;
  bool unshare_path(Node& start, const Node* end) noexcept;
  Result<Outcome> exclude_target(Hold& hold, Hold::Place& place, std::string_view name, Marks* reserved);
  void reserve_path(const Hold::Place& place, Marks* reserved);
  bool contains(const Hold::Place& place, const Node* node) const noexcept;
  void serve_queue() noexcept;
  void publish(Marks& marks, bool& changed) noexcept;

  Tree& tree_;
  std::mutex mutex_;
  std::list<Waiting*> queue_;  // guarded by mutex_
  Marks marks_;                // the same: what is marked for those in the queue; pinned
};

/// An operation that waits for its locks. Destroying it gives up.
class [[nodiscard]] PathLocks::Waiting {
 public:
  Waiting(PathLocks& locks, session::Executor& executor, const Want& want, Hold& hold) noexcept
      : locks_(locks), executor_(executor), want_(want), hold_(hold) {}
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting();

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine);
  Result<void> await_resume() { return *result_; }

 private:
  friend class PathLocks;
  PathLocks& locks_;
  session::Executor& executor_;
  const Want& want_;
  Hold& hold_;
  std::coroutine_handle<> coroutine_;
  std::optional<std::list<Waiting*>::iterator> place_;  // in the queue, guarded by its mutex
  std::optional<Result<void>> result_;
};

inline PathLocks::Waiting PathLocks::wait(session::Executor& executor, const Want& want, Hold& hold) noexcept {
  return Waiting(*this, executor, want, hold);
}

}  // namespace fuselage::path

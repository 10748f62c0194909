// The nodes that the kernel knows, and where they are in the tree of names.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "path/name_table.hpp"
#include "path/node_store.hpp"

namespace fuselage::path {

class Tree;

struct Unpin {
  Tree* tree = nullptr;
  inline void operator()(Node* node) const noexcept;
};
/// A node that cannot go.
using PinnedNode = std::unique_ptr<Node, Unpin>;

/// Nodes by number and by name, with the kernel's lookup counts. A node goes when the kernel does not know it, nobody
/// has it pinned, and it has no children. Thread-safe, with the exception that where a node has its names may change
/// only while it is locked exclusively (path_lock.hpp), and may be read only while it is locked.
class Tree {
 public:
  using Clock = std::chrono::steady_clock;

  Tree();
  ~Tree();
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  Node& root() noexcept { return *root_; }
  bool is_root(const Node& node) const noexcept { return &node == root_; }

  /// The node with this number; null if there is none (any more).
  PinnedNode pin(Ino ino) noexcept { return {store_.pin(ino), Unpin{this}}; }
  /// What `name` leads to; null if nobody asked for it, or it was forgotten.
  PinnedNode child(const Node& parent, std::string_view name) noexcept;

  /// What `name` leads to, made if need be, with one lookup more. `identity`, if not 0, is equal for all names of one
  /// file. Throws std::bad_alloc.
  Ino enter(Node& parent, std::string_view name, std::uint64_t identity = 0);
  /// A node without a name, with one lookup. Throws std::bad_alloc.
  Ino enter_nameless();
  /// One more name for `node`, and one lookup more. Throws std::bad_alloc.
  void add_name(Node& node, Node& parent, std::string_view name, std::uint64_t identity);

  /// One lookup more of a node that is pinned.
  void look_up_again(Node& node) noexcept { add_lookup(node); }

  /// `count` lookups fewer. Numbers that are not there and counts that are too high do no harm.
  void forget(Ino ino, std::uint64_t count) noexcept;
  /// Keep nodes for so long after they were forgotten.
  void remember(std::chrono::nanoseconds time) noexcept { remember_ = time; }

  /// `node`, which is locked exclusively, loses this name.
  void remove_name(Node& node, const Node& parent, std::string_view name) noexcept;
  /// `node`, which is locked exclusively, has this name instead of that. Throws std::bad_alloc; then nothing has
  /// changed.
  void move_name(Node& node, const Node& parent, std::string_view name, Node& new_parent, std::string_view new_name);

  /// A node without a name may have aliases all the same, when a further name of it becomes known after it lost all
  /// that were. If it is locked exclusively, one of them becomes its name.
  bool has_alias(const Node& node);
  bool adopt_alias(Node& node) noexcept;

  std::size_t size() const noexcept { return store_.size(); }
  /// How many bytes nodes and tables take, without names longer than 15 bytes and what hard links need.
  std::size_t memory() noexcept { return store_.memory() + names_.memory(); }

  /// Up to `count` nodes that only the kernel's lookups keep.
  std::vector<PinnedNode> idle(std::size_t count);

 private:
  friend struct Unpin;

  // What hard links need and other nodes do not.
  struct Links {
    std::vector<std::unique_ptr<Alias>> aliases;
    std::uint64_t identity = 0;
  };
  struct Remembered {
    Node* node;  // pinned
    Clock::time_point until;
  };

  void unpin(Node& node) noexcept;
  void reclaim(Node* node) noexcept;
  void unlink_from_parents(Node& node, std::vector<Node*>& parents) noexcept;
  void add_lookup(Node& node) noexcept;
  void expire(Clock::time_point now) noexcept;
  Node& find_or_make(Node& parent, std::string_view name, std::uint64_t identity);
  Node* find_linked(Node& parent, std::string_view name, std::uint64_t identity);
  void add_alias(Node& node, Node& parent, std::string_view name);
  std::unique_ptr<Alias> take_alias(Node& node, const Node* parent, std::string_view name) noexcept;

  NodeStore store_;
  NameTable names_;
  Node* root_;

  std::mutex links_mutex_;
  std::unordered_map<const Node*, Links> links_;                // guarded by links_mutex_
  std::unordered_map<std::uint64_t, Node*> nodes_by_identity_;  // the same
  std::atomic<std::size_t> linked_{0};                          // how many there are in `links_`

  std::chrono::nanoseconds remember_{};  // set before the first request
  std::mutex remembered_mutex_;
  std::deque<Remembered> remembered_;  // guarded by remembered_mutex_, oldest first
};

inline void Unpin::operator()(Node* node) const noexcept { tree->unpin(*node); }

}  // namespace fuselage::path

#include "path/tree.hpp"

#include <algorithm>

namespace fuselage::path {

Tree::Tree() : root_(&store_.make()) {}

Tree::~Tree() {
  for (const Remembered& remembered : remembered_) unpin(*remembered.node);
}

PinnedNode Tree::child(const Node& parent, std::string_view name) noexcept {
  Node* found = nullptr;
  names_.find(parent, name, [&found](Name& entry) {
    if (entry.node().try_pin()) found = &entry.node();
    return found != nullptr;
  });
  return {found, Unpin{this}};
}

Ino Tree::enter(Node& parent, std::string_view name, std::uint64_t identity) {
  if (remember_ != std::chrono::nanoseconds(0)) expire(Clock::now());
  Node& node = find_or_make(parent, name, identity);
  const PinnedNode pinned(&node, Unpin{this});
  add_lookup(node);
  return node.ino();
}

Ino Tree::enter_nameless() {
  Node& node = store_.make();
  const PinnedNode pinned(&node, Unpin{this});
  add_lookup(node);
  return node.ino();
}

Node& Tree::find_or_make(Node& parent, std::string_view name, std::uint64_t identity) {
  if (identity != 0) {
    if (Node* const node = find_linked(parent, name, identity)) return *node;
  }
  Node* found = nullptr;
  bool made = false;
  names_.find_or_add(
      parent, name,
      [&found](Name& entry) {
        if (entry.node().try_pin()) found = &entry.node();
        return found != nullptr;
      },
      [&]() -> Name& {
        NameText text(name);
        found = &store_.make();
        found->text = std::move(text);
        found->parent = &parent;
        parent.pin();
        made = true;
        return *found;
      });
  if (identity != 0 && made) {
    const std::lock_guard lock(links_mutex_);
    if (nodes_by_identity_.try_emplace(identity, found).second) {
      links_[found].identity = identity;
      linked_.store(links_.size(), std::memory_order_relaxed);
    }
  }
  return *found;
}

// The node of this identity, pinned, under this name too.
Node* Tree::find_linked(Node& parent, std::string_view name, std::uint64_t identity) {
  PinnedNode node(nullptr, Unpin{this});
  {
    const std::lock_guard lock(links_mutex_);
    const auto known = nodes_by_identity_.find(identity);
    if (known == nodes_by_identity_.end() || !known->second->try_pin()) return nullptr;
    node.reset(known->second);
  }
  const PinnedNode now = child(parent, name);
  if (now != node) add_alias(*node, parent, name);
  return node.release();
}

void Tree::add_name(Node& node, Node& parent, std::string_view name, std::uint64_t identity) {
  add_alias(node, parent, name);
  add_lookup(node);
  if (identity == 0) return;
  const std::lock_guard lock(links_mutex_);
  Links& links = links_[&node];
  if (links.identity == 0 && nodes_by_identity_.try_emplace(identity, &node).second) links.identity = identity;
}

void Tree::add_alias(Node& node, Node& parent, std::string_view name) {
  auto alias = std::make_unique<Alias>(node);
  alias->text = NameText(name);
  alias->parent = &parent;
  Alias& entry = *alias;
  {
    const std::lock_guard lock(links_mutex_);
    links_[&node].aliases.push_back(std::move(alias));
    linked_.store(links_.size(), std::memory_order_relaxed);
  }
  parent.pin();
  names_.add(entry);
}

void Tree::add_lookup(Node& node) noexcept {
  if (node.lookups.fetch_add(1, std::memory_order_relaxed) == 0) node.pin();
}

void Tree::forget(Ino ino, std::uint64_t count) noexcept {
  const PinnedNode node = pin(ino);
  if (node == nullptr) return;
  std::uint64_t before = node->lookups.load(std::memory_order_relaxed);
  while (!node->lookups.compare_exchange_weak(before, before - std::min(before, count), std::memory_order_relaxed)) {
  }
  if (before == 0 || before > count) return;
  if (remember_ == std::chrono::nanoseconds::max()) return;  // it stays for ever
  if (remember_ != std::chrono::nanoseconds(0)) {
    const auto now = Clock::now();
    try {
      const std::lock_guard lock(remembered_mutex_);
      remembered_.push_back({node.get(), now + remember_});
    } catch (const std::bad_alloc&) {
      unpin(*node);
    }
    expire(now);
    return;
  }
  unpin(*node);
}

void Tree::expire(Clock::time_point now) noexcept {
  for (;;) {
    Node* over = nullptr;
    {
      const std::lock_guard lock(remembered_mutex_);
      if (remembered_.empty() || remembered_.front().until > now) return;
      over = remembered_.front().node;
      remembered_.pop_front();
    }
    unpin(*over);
  }
}

void Tree::unpin(Node& node) noexcept {
  if (node.references.fetch_sub(1, std::memory_order_acq_rel) == 1) reclaim(&node);
}

void Tree::reclaim(Node* node) noexcept {
  // A node that goes may have been the last to hold its parent, and so on: a list instead of a recursion, since trees
  // can be deep. It is nearly always one at a time.
  std::vector<Node*> going;
  while (node != nullptr) {
    Node* const parent = node->parent;
    if (parent != nullptr) names_.remove(*node);
    if (linked_.load(std::memory_order_relaxed) != 0) unlink_from_parents(*node, going);
    store_.free(*node);
    node = nullptr;
    if (parent != nullptr && parent->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      node = parent;
    } else if (!going.empty()) {
      node = going.back();
      going.pop_back();
    }
  }
}

// Drops the further names of a node that goes; adds those of their directories that go with it.
void Tree::unlink_from_parents(Node& node, std::vector<Node*>& parents) noexcept {
  Links links;
  {
    const std::lock_guard lock(links_mutex_);
    const auto found = links_.find(&node);
    if (found == links_.end()) return;
    links = std::move(found->second);
    links_.erase(found);
    if (links.identity != 0) nodes_by_identity_.erase(links.identity);
    linked_.store(links_.size(), std::memory_order_relaxed);
  }
  for (const auto& alias : links.aliases) {
    names_.remove(*alias);
    Node& parent = *alias->parent;
    if (parent.references.fetch_sub(1, std::memory_order_acq_rel) == 1) parents.push_back(&parent);
  }
}

// Takes the alias of this place out, or, if `parent` is null, any.
std::unique_ptr<Alias> Tree::take_alias(Node& node, const Node* parent, std::string_view name) noexcept {
  std::unique_ptr<Alias> taken;
  if (linked_.load(std::memory_order_relaxed) != 0) {
    const std::lock_guard lock(links_mutex_);
    const auto found = links_.find(&node);
    if (found == links_.end()) return nullptr;
    auto& aliases = found->second.aliases;
    const auto place = std::find_if(aliases.begin(), aliases.end(), [&](const auto& alias) {
      return parent == nullptr || (alias->parent == parent && alias->text.view() == name);
    });
    if (place == aliases.end()) return nullptr;
    taken = std::move(*place);
    aliases.erase(place);
  }
  if (taken != nullptr) names_.remove(*taken);
  return taken;
}

void Tree::remove_name(Node& node, const Node& parent, std::string_view name) noexcept {
  if (node.parent != &parent || node.text.view() != name) {
    if (const auto alias = take_alias(node, &parent, name)) unpin(*alias->parent);
    return;
  }
  names_.remove(node);
  Node& old_parent = *node.parent;
  node.parent = nullptr;
  node.text = NameText();
  adopt_alias(node);
  unpin(old_parent);
}

bool Tree::adopt_alias(Node& node) noexcept {
  const auto alias = take_alias(node, nullptr, {});
  if (alias == nullptr) return false;
  node.text = std::move(alias->text);
  node.parent = alias->parent;  // and its pin
  try {
    names_.add(node);
  } catch (const std::bad_alloc&) {
    // It is not found by name then: the next lookup makes another node of it.
  }
  return true;
}

bool Tree::has_alias(const Node& node) {
  if (linked_.load(std::memory_order_relaxed) == 0) return false;
  const std::lock_guard lock(links_mutex_);
  const auto found = links_.find(&node);
  return found != links_.end() && !found->second.aliases.empty();
}

void Tree::move_name(Node& node, const Node& parent, std::string_view name, Node& new_parent,
                     std::string_view new_name) {
  NameText text(new_name);
  if (node.parent == &parent && node.text.view() == name) {
    names_.remove(node);
    Node& old_parent = *node.parent;
    node.text = std::move(text);
    node.parent = &new_parent;
    new_parent.pin();
    names_.add(node);
    unpin(old_parent);
  } else if (const auto alias = take_alias(node, &parent, name)) {
    unpin(*alias->parent);
    add_alias(node, new_parent, new_name);
  }
}

std::vector<PinnedNode> Tree::idle(std::size_t count) {
  std::vector<PinnedNode> nodes;
  for (Node* node : store_.pin_idle(count)) nodes.emplace_back(node, Unpin{this});
  return nodes;
}

}  // namespace fuselage::path

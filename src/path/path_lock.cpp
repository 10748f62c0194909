#include "path/path_lock.hpp"

#include <array>
#include <new>

#include "base/log.hpp"

namespace fuselage::path {
namespace {

// The word in a node: how many share it, and these bits.
constexpr std::uint32_t exclusive = 1u << 31;
constexpr std::uint32_t wants_exclusive = 1u << 30;  // somebody in the queue: nobody may take it any more
constexpr std::uint32_t wants_shared = 1u << 29;     // somebody in the queue: nobody may have it for himself
constexpr std::uint32_t sharers = (1u << 28) - 1;

using Marks = std::unordered_map<Node*, std::uint32_t>;

// What those say who wait and come first. An operation that is in the queue itself (`reserved`) asks those before it,
// any other one the marks in the word.
std::uint32_t wants(const Node& node, std::uint32_t word, const Marks* reserved) noexcept {
  if (reserved == nullptr) return word & (wants_exclusive | wants_shared);
  const auto found = reserved->find(const_cast<Node*>(&node));
  return found == reserved->end() ? 0 : found->second;
}

bool share(Node& node, const Marks* reserved) noexcept {
  std::uint32_t word = node.lock.load(std::memory_order_relaxed);
  do {
    if ((word & exclusive) != 0 || (wants(node, word, reserved) & wants_exclusive) != 0) return false;
  } while (!node.lock.compare_exchange_weak(word, word + 1, std::memory_order_acquire, std::memory_order_relaxed));
  return true;
}

bool exclude(Node& node, const Marks* reserved) noexcept {
  std::uint32_t word = node.lock.load(std::memory_order_relaxed);
  do {
    if ((word & (exclusive | sharers)) != 0 || wants(node, word, reserved) != 0) return false;
  } while (
      !node.lock.compare_exchange_weak(word, word | exclusive, std::memory_order_acquire, std::memory_order_relaxed));
  return true;
}

// True if somebody in the queue may go on now.
bool unshare(Node& node) noexcept {
  const std::uint32_t before = node.lock.fetch_sub(1, std::memory_order_acq_rel);
  return (before & wants_exclusive) != 0 && (before & sharers) == 1;
}

bool include(Node& node) noexcept {
  return (node.lock.fetch_and(~exclusive, std::memory_order_acq_rel) & (wants_exclusive | wants_shared)) != 0;
}

void reserve(Marks* reserved, Node& node, std::uint32_t bits) {
  if (reserved == nullptr) return;
  const auto [entry, fresh] = reserved->try_emplace(&node, 0);
  if (fresh) node.pin();
  entry->second |= bits;
}

}  // namespace

void Hold::release() noexcept {
  if (give_back()) locks_->serve_queue();
}

// True if somebody in the queue may go on now.
bool Hold::give_back() noexcept {
  bool wake = false;
  for (Place* place : {&first, &second}) {
    if (std::exchange(place->excludes, false)) wake = include(*place->target) || wake;
    if (std::exchange(place->shares, false)) wake = locks_->unshare_path(*place->node, nullptr) || wake;
    place->target.reset();
    place->node.reset();
  }
  return wake;
}

Result<PathLocks::Outcome> PathLocks::acquire(const Want& want, Hold& hold, Marks* reserved) {
  hold.locks_ = this;
  hold.first.node = tree_.pin(want.first.ino);
  if (want.second) hold.second.node = tree_.pin(want.second->ino);
  if (hold.first.node == nullptr || (want.second && hold.second.node == nullptr)) {
    hold.first.node.reset();
    hold.second.node.reset();
    return Error{ESTALE};
  }
  auto outcome = take(want, hold, reserved);
  if (outcome && *outcome == Outcome::held) return outcome;
  // What an operation in the queue had for a moment need not be told: all in the queue are tried in turn.
  if (hold.give_back() && reserved == nullptr) serve_queue();
  return outcome;
}

Result<PathLocks::Outcome> PathLocks::take(const Want& want, Hold& hold, Marks* reserved) {
  if (!share_path(hold.first, reserved)) return Outcome::busy;
  if (want.second && !share_path(hold.second, reserved)) {
    reserve_path(hold.first, reserved);
    return Outcome::busy;
  }
  if (!want.exclusive) return Outcome::held;
  if (want.first.name) {
    auto outcome = exclude_target(hold, hold.first, *want.first.name, reserved);
    if (!outcome || *outcome == Outcome::busy) return outcome;
  }
  if (!want.second || !want.second->name) return Outcome::held;
  return exclude_target(hold, hold.second, *want.second->name, reserved);
}

Result<PathLocks::Outcome> PathLocks::exclude_target(Hold& hold, Hold::Place& place, std::string_view name,
                                                     Marks* reserved) {
  place.target = tree_.child(*place.node, name);
  Node* const target = place.target.get();
  if (target == nullptr) return Outcome::held;
  // Nobody can wait for himself.
  if (contains(hold.first, target) || contains(hold.second, target)) return Error{EINVAL};
  if (&place == &hold.second && hold.first.target.get() == target) return Outcome::held;
  if (!exclude(*target, reserved)) {
    reserve_path(hold.first, reserved);
    reserve_path(hold.second, reserved);
    reserve(reserved, *target, wants_exclusive);
    return Outcome::busy;
  }
  place.excludes = true;
  return Outcome::held;
}

// Shares the node of the place and all directories above it.
bool PathLocks::share_path(Hold::Place& place, Marks* reserved) {
  Node* node = place.node.get();
  while (!tree_.is_root(*node)) {
    if (!share(*node, reserved)) {
      for (Node* below = place.node.get(); below != node; below = below->parent)
        reserve(reserved, *below, wants_shared);
      reserve(reserved, *node, wants_shared);
      unshare_and_tell(place, node, reserved);
      return false;
    }
    Node* const above = node->parent;
    if (above == nullptr) {
      if (!tree_.has_alias(*node)) break;
      if (!adopt_alias(place, *node, reserved)) return false;
      continue;
    }
    node = above;
  }
  place.shares = true;
  place.has_path = tree_.is_root(*node);
  return true;
}

// Gives `node`, which is the last one that was shared, one of its other names; it is not shared any more then.
bool PathLocks::adopt_alias(Hold::Place& place, Node& node, Marks* reserved) {
  bool wake = unshare(node);
  const bool mine = exclude(node, reserved);
  if (mine) {
    tree_.adopt_alias(node);
    wake = include(node) || wake;
  } else {
    reserve(reserved, node, wants_exclusive);
    wake = unshare_path(*place.node, &node) || wake;
  }
  if (wake && reserved == nullptr) serve_queue();
  return mine;
}

void PathLocks::unshare_and_tell(const Hold::Place& place, const Node* end, const Marks* reserved) noexcept {
  if (unshare_path(*place.node, end) && reserved == nullptr) serve_queue();
}

// Gives back what is shared from `start` up to, not including, `end`. True if somebody in the queue may go on now.
bool PathLocks::unshare_path(Node& start, const Node* end) noexcept {
  const auto is_end = [this, end](const Node* node) { return node == nullptr || node == end || tree_.is_root(*node); };
  bool wake = false;
  // From above, because only who shares a node knows that the one above it is still there.
  std::array<Node*, 48> shared;
  std::size_t depth = 0;
  Node* node = &start;
  for (; !is_end(node) && depth < shared.size(); node = node->parent) shared[depth++] = node;
  if (is_end(node)) {
    while (depth > 0) wake = unshare(*shared[--depth]) || wake;
    return wake;
  }
  // A deep one from below, with the next one pinned.
  PinnedNode pinned(nullptr, Unpin{&tree_});
  for (node = &start; !is_end(node);) {
    Node* const above = node->parent;
    PinnedNode next(nullptr, Unpin{&tree_});
    if (!is_end(above)) {
      above->pin();
      next.reset(above);
    }
    wake = unshare(*node) || wake;
    pinned = std::move(next);
    node = above;
  }
  return wake;
}

void PathLocks::reserve_path(const Hold::Place& place, Marks* reserved) {
  if (reserved == nullptr || !place.shares) return;
  for (Node* node = place.node.get(); node != nullptr && !tree_.is_root(*node); node = node->parent) {
    reserve(reserved, *node, wants_shared);
  }
}

bool PathLocks::contains(const Hold::Place& place, const Node* node) const noexcept {
  if (!place.shares) return false;
  for (const Node* above = place.node.get(); above != nullptr; above = above->parent) {
    if (above == node) return true;
  }
  return false;
}

void PathLocks::serve_queue() noexcept try {
  std::list<Waiting*> granted;
  {
    const std::lock_guard lock(mutex_);
    // A lock that was given back before its mark was there has told nobody: so until nothing is marked any more that
    // was not marked before.
    for (bool changed = true; changed;) {
      Marks reserved;
      for (auto place = queue_.begin(); place != queue_.end();) {
        const auto current = place++;
        Waiting& waiting = **current;
        const auto outcome = acquire(waiting.want_, waiting.hold_, &reserved);
        if (outcome && *outcome == Outcome::busy) continue;
        waiting.result_ = outcome ? Result<void>() : Result<void>(outcome.error());
        waiting.place_.reset();
        granted.splice(granted.end(), queue_, current);
      }
      publish(reserved, changed);
    }
  }
  // Each may be gone once it is resumed.
  for (Waiting* waiting : granted) waiting->executor_.post(waiting->coroutine_);
} catch (const std::bad_alloc&) {
  base::log(LogLevel::error, "out of memory while paths were locked: operations may wait longer than they should");
}

// Marks what is wanted now, and takes the marks of before away. `changed`: there are marks that were not there.
void PathLocks::publish(Marks& marks, bool& changed) noexcept {
  changed = false;
  for (const auto& [node, bits] : marks) {
    if ((node->lock.fetch_or(bits, std::memory_order_acq_rel) & bits) != bits) changed = true;
  }
  std::swap(marks_, marks);
  for (const auto& [node, bits] : marks) {
    const auto now = marks_.find(node);
    const std::uint32_t over = bits & ~(now == marks_.end() ? 0 : now->second);
    if (over != 0) node->lock.fetch_and(~over, std::memory_order_acq_rel);
    const PinnedNode unpinned(node, Unpin{&tree_});
  }
}

void PathLocks::Waiting::await_suspend(std::coroutine_handle<> coroutine) {
  coroutine_ = coroutine;
  PathLocks& locks = locks_;
  {
    const std::lock_guard lock(locks.mutex_);
    place_ = locks.queue_.insert(locks.queue_.end(), this);
  }
  locks.serve_queue();  // this may be resumed, and gone, before it returns
}

PathLocks::Waiting::~Waiting() {
  {
    const std::lock_guard lock(locks_.mutex_);
    if (!place_) return;
    locks_.queue_.erase(*place_);
  }
  locks_.serve_queue();
}

std::size_t PathLocks::waiting() {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

std::size_t PathLocks::path_size(const Hold::Place& place, const std::optional<std::string_view>& name) const noexcept {
  std::size_t size = name ? 1 + name->size() : 0;
  for (const Node* node = place.node.get(); !tree_.is_root(*node); node = node->parent) {
    size += 1 + node->text.view().size();
  }
  return size == 0 ? 1 : size;
}

void PathLocks::write_path(const Hold::Place& place, const std::optional<std::string_view>& name,
                           std::span<char> out) const noexcept {
  std::size_t end = out.size() - 1;
  out[end] = '\0';
  out[0] = '/';  // all there is of the root
  const auto put = [&out, &end](std::string_view text) {
    end -= text.size();
    text.copy(out.data() + end, text.size());
    out[--end] = '/';
  };
  if (name) put(*name);
  for (const Node* node = place.node.get(); !tree_.is_root(*node); node = node->parent) put(node->text.view());
}

std::optional<std::pair<Ino, std::string>> PathLocks::place_of(Node& node) {
  if (!share(node, nullptr)) return std::nullopt;
  std::optional<std::pair<Ino, std::string>> place;
  if (node.parent != nullptr) place.emplace(node.parent->ino(), node.text.view());
  if (unshare(node)) serve_queue();
  return place;
}

}  // namespace fuselage::path

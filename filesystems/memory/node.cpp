#include "node.hpp"

#include <algorithm>
#include <thread>
#include <utility>

namespace fuselage::memory {
namespace {

constexpr std::size_t max_xattr_names = 65536;  // XATTR_LIST_MAX: more could not be listed

std::uint64_t size_of(const Xattrs::value_type& xattr) noexcept { return xattr.first.size() + xattr.second.size(); }

}  // namespace

Node::Node(Birth birth)
    : ino(birth.ino),
      rdev(birth.rdev),
      btime(Timestamp::now()),
      parent(birth.parent),
      mode(birth.mode),
      uid(birth.uid),
      gid(birth.gid),
      nlink(file_type(birth.mode) == FileType::directory ? 2 : 1),
      type_(file_type(birth.mode)),
      claim_(std::move(birth.claim)) {
  if (type_ == FileType::regular) body_.emplace<Content>(*claim_);
  if (type_ == FileType::directory) body_.emplace<Directory>();
  if (type_ == FileType::symlink) body_.emplace<std::string>(std::move(birth.target));
}

Node::~Node() {
  if (xattrs == nullptr) return;
  for (const auto& xattr : *xattrs) claim_->bytes.give_back(size_of(xattr));
}

Attributes Node::attributes() const {
  Attributes attributes;
  attributes.mode = mode;
  attributes.nlink = nlink;
  attributes.uid = uid;
  attributes.gid = gid;
  attributes.rdev = rdev;
  attributes.atime = atime;
  attributes.mtime = mtime;
  attributes.ctime = ctime;
  attributes.btime = btime;
  attributes.ino = ino;
  if (const auto* content = std::get_if<Content>(&body_)) {
    attributes.size = content->size();
    attributes.blocks = content->allocated() / 512;
  } else if (const auto* names = std::get_if<Directory>(&body_)) {
    attributes.size = names->size() + 2;
  } else if (target() != nullptr) {
    attributes.size = target()->size();
  }
  return attributes;
}

bool Node::wants_atime(const Timestamp& now) const noexcept {
  constexpr std::int64_t day = 86400;
  return atime <= mtime || atime <= ctime || now.seconds - atime.seconds >= day;
}

void Node::kill_suidgid() noexcept {
  mode &= ~static_cast<::mode_t>(S_ISUID);
  if ((mode & S_IXGRP) != 0) mode &= ~static_cast<::mode_t>(S_ISGID);
}

void Node::kill_capabilities() noexcept {
  if (xattrs != nullptr) remove_xattr("security.capability");
}

Result<void> Node::set_xattr(std::string_view name, Bytes value) {
  if (xattrs == nullptr) xattrs = std::make_unique<Xattrs>();
  const auto found = xattrs->find(name);
  if (found == xattrs->end()) {
    std::size_t listed = name.size() + 1;
    for (const auto& [other, ignored] : *xattrs) listed += other.size() + 1;
    if (listed > max_xattr_names) return Error{ENOSPC};
  }
  const std::uint64_t before = found != xattrs->end() ? size_of(*found) : 0;
  const std::uint64_t after = name.size() + value.size();
  if (after > before && !claim_->bytes.take(after - before)) return Error{ENOSPC};
  try {
    if (found != xattrs->end()) {
      found->second = text_of(value);
    } else {
      xattrs->emplace(name, text_of(value));
    }
  } catch (...) {
    if (after > before) claim_->bytes.give_back(after - before);
    throw;
  }
  if (before > after) claim_->bytes.give_back(before - after);
  return {};
}

bool Node::remove_xattr(std::string_view name) noexcept {
  if (xattrs == nullptr) return false;
  const auto found = xattrs->find(name);
  if (found == xattrs->end()) return false;
  claim_->bytes.give_back(size_of(*found));
  xattrs->erase(found);
  if (xattrs->empty()) xattrs.reset();
  return true;
}

NodeLocks::NodeLocks(std::array<Node*, 4> nodes) {
  for (Node* node : nodes) {
    const auto end = nodes_.begin() + count_;
    if (node != nullptr && std::find(nodes_.begin(), end, node) == end) nodes_[count_++] = node;
  }
  if (count_ == 0) return;
  // Wait for one, try the others; where one is busy give all back and wait for that one.
  for (std::size_t first = 0;;) {
    nodes_[first]->mutex.lock();
    std::size_t step = 1;
    while (step < count_ && nodes_[(first + step) % count_]->mutex.try_lock()) ++step;
    if (step == count_) return;
    for (std::size_t held = 0; held < step; ++held) nodes_[(first + held) % count_]->mutex.unlock();
    first = (first + step) % count_;
    std::this_thread::yield();
  }
}

NodeLocks::~NodeLocks() {
  for (std::size_t i = 0; i < count_; ++i) nodes_[i]->mutex.unlock();
}

}  // namespace fuselage::memory

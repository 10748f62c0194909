// Making, removing and listing names.
#include <algorithm>
#include <shared_mutex>
#include <utility>

#include "memory.hpp"

namespace fuselage::memory {
namespace {

constexpr std::uint32_t max_links = 65000;  // of files; a directory may have any number of subdirectories

Result<void> check_new_name(std::string_view name) {
  if (name.empty()) return Error{ENOENT};
  if (name.size() > max_name) return Error{ENAMETOOLONG};
  if (name == "." || name == "..") return Error{EEXIST};
  return {};
}

bool in_group(const Context& context, ::gid_t gid) {
  if (context.gid == gid) return true;
  const auto groups = context.supplementary_groups();
  return std::find(groups.begin(), groups.end(), gid) != groups.end();
}

}  // namespace

Memory::NodePtr Memory::child_of(Node& directory, std::string_view name) const {
  const std::shared_lock lock(directory.mutex);
  const Name* found = directory.names()->find(name);
  return found != nullptr ? nodes_.find(found->ino) : nullptr;
}

Result<Memory::NodePtr> Memory::make_node(const Context& context, const Node& parent, mode_t mode, dev_t rdev,
                                          std::string_view target) {
  InodeClaim claim = claim_inode(space_);
  if (claim == nullptr) return Error{ENOSPC, "no inodes left: mount with a larger -o inodes="};
  ::gid_t gid = context.gid;
  if ((parent.mode & S_ISGID) != 0) {
    gid = parent.gid;
    // As mode_strip_sgid in the kernel: nobody makes programs that run as a group which is not theirs.
    const bool runs_as_group = (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
    if (S_ISDIR(mode)) {
      mode |= S_ISGID;
    } else if (runs_as_group && context.uid != 0 && !in_group(context, gid)) {
      mode &= ~static_cast<mode_t>(S_ISGID);
    }
  }
  NodePtr node;
  nodes_.add_with([&](Ino ino) {
    node = std::make_shared<Node>(Birth{.claim = std::move(claim),
                                        .ino = ino,
                                        .mode = mode,
                                        .uid = context.uid,
                                        .gid = gid,
                                        .rdev = rdev,
                                        .parent = parent.ino,
                                        .target = std::string(target)});
    return node;
  });
  for (const SecurityContext& label : context.security_contexts()) {
    if (auto set = node->set_xattr(label.name, bytes_of(label.value)); !set) {
      nodes_.forget(node->ino, 1);
      return set.error();
    }
  }
  return node;
}

Result<Memory::NodePtr> Memory::add(const Context& context, Ino parent, std::string_view name, mode_t mode, dev_t rdev,
                                    std::string_view target) {
  if (auto checked = check_new_name(name); !checked) return checked.error();
  auto found = this->directory(parent);
  if (!found) return found.error();
  Node& directory = **found;
  const std::lock_guard lock(directory.mutex);
  if (directory.nlink == 0) return Error{ENOENT};
  if (directory.names()->find(name) != nullptr) return Error{EEXIST};
  auto node = make_node(context, directory, mode, rdev, target);
  if (!node) return node;
  try {
    directory.names()->insert(name, (*node)->ino, (*node)->type());
  } catch (...) {
    nodes_.forget((*node)->ino, 1);
    throw;
  }
  nodes_.keep((*node)->ino);
  if ((*node)->is_directory()) ++directory.nlink;
  directory.modified();
  return node;
}

Reply<Entry> Memory::added(const Result<NodePtr>& node) const {
  if (!node) return node.error();
  return entry_of(**node);
}

Reply<Entry> Memory::mknod(const Context& context, Ino parent, std::string_view name, mode_t mode, dev_t rdev) {
  switch (file_type(mode)) {
    case FileType::unknown:  // mknod(2): the same as a regular file
      return added(add(context, parent, name, mode | S_IFREG, 0, {}));
    case FileType::regular:
    case FileType::fifo:
    case FileType::socket:
      return added(add(context, parent, name, mode, 0, {}));
    case FileType::character_device:
    case FileType::block_device:
      return added(add(context, parent, name, mode, rdev, {}));
    case FileType::directory:
      return Error{EPERM};
    default:
      return Error{EINVAL};
  }
}

Reply<Entry> Memory::mkdir(const Context& context, Ino parent, std::string_view name, mode_t mode) {
  return added(add(context, parent, name, S_IFDIR | (mode & 07777), 0, {}));
}

Reply<Entry> Memory::symlink(const Context& context, Ino parent, std::string_view name, std::string_view target) {
  if (target.empty()) return Error{ENOENT};
  if (target.size() > 4095) return Error{ENAMETOOLONG};
  return added(add(context, parent, name, S_IFLNK | 0777, 0, target));
}

Reply<std::string> Memory::readlink(const Context&, Ino ino) {
  const auto node = nodes_.find(ino);
  if (node == nullptr) return Error{ESTALE};
  if (node->target() == nullptr) return Error{EINVAL};
  return *node->target();
}

Result<Memory::NodePtr> Memory::open_existing(Ino parent, std::string_view name, OpenFlags flags) {
  auto found = this->directory(parent);
  if (!found) return found.error();
  NodePtr node = child_of(**found, name);
  if (node == nullptr) return Error{ENOENT};
  if (node->is_directory()) return Error{EISDIR};
  // Null if it lost its name, and everybody's interest, since it was found.
  if (nodes_.reference(node->ino) == nullptr) return Error{ENOENT};
  if (flags.truncates() && node->content() != nullptr) {
    const std::lock_guard lock(node->mutex);
    node->content()->resize(0);
    node->kill_capabilities();
    node->modified();
  }
  return node;
}

Reply<Created> Memory::create(const Context& context, Ino parent, std::string_view name, mode_t mode, OpenFlags flags) {
  for (;;) {
    auto node = add(context, parent, name, S_IFREG | (mode & 07777), 0, {});
    if (!node && node.error() == Error{EEXIST} && !flags.exclusive() && name != "." && name != "..") {
      node = open_existing(parent, name, flags);
      if (!node && node.error() == Error{ENOENT}) continue;  // removed in between: now it can be made
    }
    if (!node) return node.error();
    return Created{entry_of(**node), Opened{.keep_cache = true}};
  }
}

Reply<Created> Memory::tmpfile(const Context& context, Ino parent, mode_t mode, OpenFlags flags) {
  auto found = this->directory(parent);
  if (!found) return found.error();
  Node& directory = **found;
  const std::shared_lock lock(directory.mutex);
  if (directory.nlink == 0) return Error{ENOENT};
  auto node = make_node(context, directory, S_IFREG | (mode & 07777), 0, {});
  if (!node) return node.error();
  const std::lock_guard node_lock((*node)->mutex);  // nobody else knows it: this does not wait
  (*node)->nlink = 0;
  (*node)->linkable = !flags.exclusive();
  return Created{entry_of_locked(**node), Opened{.keep_cache = true}};
}

Reply<Entry> Memory::link(const Context&, Ino ino, Ino new_parent, std::string_view new_name) {
  if (auto checked = check_new_name(new_name); !checked) return checked.error();
  const auto node = nodes_.find(ino);
  if (node == nullptr) return Error{ESTALE};
  if (node->is_directory()) return Error{EPERM};
  auto directory = this->directory(new_parent);
  if (!directory) return directory.error();
  const NodeLocks locks({node.get(), directory->get()});
  if ((*directory)->nlink == 0 || (node->nlink == 0 && !node->linkable)) return Error{ENOENT};
  if ((*directory)->names()->find(new_name) != nullptr) return Error{EEXIST};
  if (node->nlink >= max_links) return Error{EMLINK};
  if (nodes_.reference(ino) == nullptr) return Error{ESTALE};
  try {
    (*directory)->names()->insert(new_name, ino, node->type());
  } catch (...) {
    nodes_.forget(ino, 1);
    throw;
  }
  if (node->nlink++ == 0) nodes_.keep(ino);
  node->linkable = false;
  node->changed();
  (*directory)->modified();
  return entry_of_locked(*node);
}

void Memory::drop_link(Node& parent, Node& node) {
  if (node.is_directory()) {
    node.nlink = 0;
    --parent.nlink;
  } else {
    --node.nlink;
  }
  node.changed();
  if (node.nlink == 0) nodes_.release(node.ino);
}

Result<void> Memory::remove(Ino parent, std::string_view name, bool directory) {
  if (name.size() > max_name) return Error{ENAMETOOLONG};
  auto found = this->directory(parent);
  if (!found) return found.error();
  Node& from = **found;
  for (;;) {
    const NodePtr node = child_of(from, name);
    if (node == nullptr) return Error{ENOENT};
    const NodeLocks locks({&from, node.get()});
    const Name* there = from.names()->find(name);
    if (there == nullptr || there->ino != node->ino) continue;  // another one by now
    if (directory && !node->is_directory()) return Error{ENOTDIR};
    if (!directory && node->is_directory()) return Error{EISDIR};
    if (directory && !node->names()->empty()) return Error{ENOTEMPTY};
    from.names()->erase(name);
    from.modified();
    drop_link(from, *node);
    return {};
  }
}

Reply<void> Memory::unlink(const Context&, Ino parent, std::string_view name) { return remove(parent, name, false); }

Reply<void> Memory::rmdir(const Context&, Ino parent, std::string_view name) { return remove(parent, name, true); }

Reply<void> Memory::readdir(const Context&, Ino ino, const OpenFile&, std::uint64_t offset, DirectorySink& sink) {
  auto found = this->directory(ino);
  if (!found) return found.error();
  Node& directory = **found;
  if (offset < 1 && !sink.add(".", ino, FileType::directory, 1)) return {};
  if (offset < 2 && !sink.add("..", directory.parent.load(), FileType::directory, 2)) return {};
  offset = std::max(offset, Directory::first_cursor);
  // In batches, so that no other lock is waited for under the directory's.
  std::vector<Name> batch;
  for (;;) {
    batch.clear();
    {
      const std::shared_lock lock(directory.mutex);
      directory.names()->visit_after(offset, [&](const Name& name) {
        batch.push_back(name);
        return batch.size() < 64;
      });
    }
    if (batch.empty()) break;
    for (const Name& name : batch) {
      if (!sink.wants_entries()) {
        if (!sink.add(name.text, name.ino, name.type, name.cursor)) return {};
        continue;
      }
      const NodePtr node = nodes_.reference(name.ino);
      if (node == nullptr) continue;  // removed since the batch was made
      if (!sink.add(name.text, entry_of(*node), name.cursor)) {
        nodes_.forget(name.ino, 1);
        return {};
      }
    }
    offset = batch.back().cursor;
  }
  const Timestamp now = Timestamp::now();
  const std::lock_guard lock(directory.mutex);
  if (directory.wants_atime(now)) directory.atime = now;
  return {};
}

}  // namespace fuselage::memory

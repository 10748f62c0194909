#include "memory.hpp"

#include <unistd.h>

#include <algorithm>
#include <shared_mutex>
#include <utility>

namespace fuselage::memory {

std::uint64_t Options::half_of_ram() noexcept {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) /
         2;
}

void Options::add_to(OptionSet& options) {
  options.bytes("size", &size, "capacity; 0: no limit (half of the memory)")
      .value("inodes", &inodes, "how many files and directories; 0: no limit (one for each page of size)")
      .octal("mode", &mode, "permissions of the root directory (755)")
      .value("uid", &uid, "owner of the root directory")
      .value("gid", &gid, "group of the root directory");
}

Memory::Memory(Options options)
    : timeout_(options.timeout), space_{Quota(options.size), Quota(options.inodes)}, nodes_([&] {
        return std::make_shared<Node>(Birth{.claim = claim_inode(space_),
                                            .ino = root_ino,
                                            .mode = S_IFDIR | (options.mode & 07777),
                                            .uid = options.uid.value_or(::geteuid()),
                                            .gid = options.gid.value_or(::getegid()),
                                            .parent = root_ino});
      }()) {}

Result<void> Memory::init(Negotiation& negotiation) {
  kernel_keeps_times_ = (negotiation.wanted & negotiation.offered).contains(Capability::WRITEBACK_CACHE);
  return {};
}

Result<Memory::NodePtr> Memory::file(Ino ino) const {
  auto node = nodes_.find(ino);
  if (node == nullptr) return Error{ESTALE};
  if (node->is_directory()) return Error{EISDIR};
  if (node->content() == nullptr) return Error{EINVAL};
  return node;
}

Result<Memory::NodePtr> Memory::directory(Ino ino) const {
  auto node = nodes_.find(ino);
  if (node == nullptr) return Error{ESTALE};
  if (!node->is_directory()) return Error{ENOTDIR};
  return node;
}

Attributes Memory::attributes_of_locked(const Node& node) const {
  Attributes attributes = node.attributes();
  // A write may take setuid and setgid away (FUSE_HANDLE_KILLPRIV_V2), and the kernel does not notice:
  // fuse_perform_write leaves the mode in its cache. So the mode of such files must not be cached.
  const bool sets_ids = S_ISREG(node.mode) && (node.mode & (S_ISUID | S_ISGID)) != 0;
  attributes.timeout = sets_ids ? std::chrono::nanoseconds(0) : timeout_;
  return attributes;
}

Entry Memory::entry_of_locked(const Node& node) const {
  return Entry{.ino = node.ino, .attributes = attributes_of_locked(node), .timeout = timeout_};
}

Entry Memory::entry_of(const Node& node) const {
  const std::shared_lock lock(node.mutex);
  return entry_of_locked(node);
}

Reply<Entry> Memory::lookup(const Context&, Ino parent, std::string_view name) {
  if (name.size() > max_name) return Error{ENAMETOOLONG};
  if (name == ".") {
    // For file handles of what the kernel forgot, files as well as directories (fuse_get_dentry).
    const NodePtr node = nodes_.reference(parent);
    if (node == nullptr) return Error{ESTALE};
    return entry_of(*node);
  }
  auto directory = this->directory(parent);
  if (!directory) return directory.error();
  NodePtr node;
  if (name == "..") {
    node = nodes_.reference((*directory)->parent.load());
    if (node == nullptr) return Error{ESTALE};
  } else {
    // Under the directory's lock, for a node that has a name cannot be on its way out.
    const std::shared_lock lock((*directory)->mutex);
    const Name* found = (*directory)->names()->find(name);
    if (found != nullptr) node = nodes_.reference(found->ino);
  }
  return node != nullptr ? entry_of(*node) : Entry::negative(timeout_);
}

void Memory::forget(Ino ino, std::uint64_t count) { nodes_.forget(ino, count); }

Reply<Attributes> Memory::getattr(const Context&, Ino ino, const OpenFile*) {
  const auto node = nodes_.find(ino);
  if (node == nullptr) return Error{ESTALE};
  const std::shared_lock lock(node->mutex);
  return attributes_of_locked(*node);
}

Reply<Attributes> Memory::setattr(const Context&, Ino ino, const SetAttributes& changes, const OpenFile*) {
  const auto node = nodes_.find(ino);
  if (node == nullptr) return Error{ESTALE};
  const std::lock_guard lock(node->mutex);
  if (changes.size) {
    if (node->is_directory()) return Error{EISDIR};
    if (node->content() == nullptr) return Error{EINVAL};
    if (*changes.size > max_file_size) return Error{EFBIG};
    node->content()->resize(*changes.size);
    node->modified();
  }
  if (changes.size || changes.uid || changes.gid) node->kill_capabilities();
  if (changes.uid) node->uid = *changes.uid;
  if (changes.gid) node->gid = *changes.gid;
  if (changes.kill_suidgid) node->kill_suidgid();
  if (changes.mode) node->mode = (node->mode & S_IFMT) | (*changes.mode & 07777);
  if (changes.atime) node->atime = *changes.atime;
  if (changes.mtime) node->mtime = *changes.mtime;
  node->ctime = changes.ctime.value_or(Timestamp::now());
  return attributes_of_locked(*node);
}

Reply<StatFs> Memory::statfs(const Context&, Ino) {
  const auto free = [](const Quota& quota) { return quota.limit() - std::min(quota.used(), quota.limit()); };
  StatFs result;
  result.block_size = result.fragment_size = page_size;
  result.blocks = space_.bytes.limit() / page_size;
  result.blocks_free = result.blocks_available = free(space_.bytes) / page_size;
  result.files = space_.inodes.limit();
  result.files_free = free(space_.inodes);
  result.name_max = max_name;
  return result;
}

}  // namespace fuselage::memory

// rename(2), the operation with the most rules.
#include <utility>

#include "memory.hpp"

namespace fuselage::memory {

/// Whether `ancestor` is `node` or on its way to the root. Ancestors do not change while `rename_mutex_` is held.
bool Memory::is_within(const Node& node, const Node& ancestor) const {
  if (!ancestor.is_directory()) return false;
  Ino ino = node.ino;
  for (;;) {
    if (ino == ancestor.ino) return true;
    if (ino == root_ino) return false;
    const auto next = nodes_.find(ino);
    if (next == nullptr) return false;  // above a directory that was removed
    ino = next->parent;
  }
}

Result<void> Memory::check_rename(const Node& from, const Node& to, Node& source, Node* target,
                                  RenameFlags flags) const {
  if (to.nlink == 0) return Error{ENOENT};
  if (flags.exchange && target == nullptr) return Error{ENOENT};
  if (flags.no_replace && target != nullptr) return Error{EEXIST};
  if (&from != &to) {
    if (is_within(to, source)) return Error{EINVAL};
    if (target != nullptr && is_within(from, *target)) return Error{flags.exchange ? EINVAL : ENOTEMPTY};
  }
  if (flags.exchange || target == nullptr || target == &source) return {};
  if (source.is_directory()) {
    if (!target->is_directory()) return Error{ENOTDIR};
    if (!target->names()->empty()) return Error{ENOTEMPTY};
  } else if (target->is_directory()) {
    return Error{EISDIR};
  }
  return {};
}

void Memory::exchange(Node& from, std::string_view name, Node& to, std::string_view new_name, Node& source,
                      Node& target) {
  from.names()->replace(name, target.ino, target.type());
  to.names()->replace(new_name, source.ino, source.type());
  if (source.is_directory()) {
    source.parent = to.ino;
    --from.nlink;
    ++to.nlink;
  }
  if (target.is_directory()) {
    target.parent = from.ino;
    --to.nlink;
    ++from.nlink;
  }
  target.changed();
}

void Memory::move(Node& from, std::string_view name, Node& to, std::string_view new_name, Node& source, Node* target,
                  Node* whiteout) {
  // The insertion comes first: nothing after it can fail.
  if (target != nullptr) {
    to.names()->replace(new_name, source.ino, source.type());
    drop_link(to, *target);
  } else {
    to.names()->insert(new_name, source.ino, source.type());
  }
  if (whiteout != nullptr) {
    from.names()->replace(name, whiteout->ino, whiteout->type());
  } else {
    from.names()->erase(name);
  }
  if (source.is_directory()) {
    source.parent = to.ino;
    --from.nlink;
    ++to.nlink;
  }
}

Reply<void> Memory::rename(const Context& context, Ino parent, std::string_view name, Ino new_parent,
                           std::string_view new_name, RenameFlags flags) {
  if (flags.exchange && (flags.no_replace || flags.whiteout)) return Error{EINVAL};
  if (name.size() > max_name || new_name.size() > max_name) return Error{ENAMETOOLONG};
  if (name == "." || name == ".." || new_name == "." || new_name == "..") return Error{EBUSY};
  auto from = directory(parent);
  if (!from) return from.error();
  auto to = directory(new_parent);
  if (!to) return to.error();
  std::unique_lock moving(rename_mutex_, std::defer_lock);
  if (parent != new_parent) moving.lock();
  const auto leads_to = [](Node& directory, std::string_view entry, const NodePtr& node) {
    const Name* found = directory.names()->find(entry);
    return node != nullptr ? found != nullptr && found->ino == node->ino : found == nullptr;
  };
  for (;;) {
    const NodePtr source = child_of(**from, name);
    const NodePtr target = child_of(**to, new_name);
    if (source == nullptr) return Error{ENOENT};
    const NodeLocks locks({from->get(), to->get(), source.get(), target.get()});
    if (!leads_to(**from, name, source) || !leads_to(**to, new_name, target)) continue;  // others by now
    if (auto checked = check_rename(**from, **to, *source, target.get(), flags); !checked) return checked.error();
    if (source == target) return {};  // two names of one node: both stay
    if (flags.exchange) {
      exchange(**from, name, **to, new_name, *source, *target);
    } else {
      NodePtr whiteout;
      if (flags.whiteout) {
        auto made = make_node(context, **from, S_IFCHR, 0, {});
        if (!made) return made.error();
        whiteout = *made;
      }
      try {
        move(**from, name, **to, new_name, *source, target.get(), whiteout.get());
      } catch (...) {
        if (whiteout != nullptr) nodes_.forget(whiteout->ino, 1);
        throw;
      }
      // No answer tells the whiteout's number, so its name alone keeps it.
      if (whiteout != nullptr) nodes_.keep(whiteout->ino), nodes_.forget(whiteout->ino, 1);
    }
    source->changed();
    (*from)->modified();
    (*to)->modified();
    return {};
  }
}

}  // namespace fuselage::memory

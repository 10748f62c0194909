// Nodes and names.
#include "path/with.hpp"

namespace fuselage::path {

// Makes the entry of a name that a handler has found or made.
auto Adapter::entering(std::string_view name) {
  return [this, name](Hold& hold, const Result<Attributes>& attributes) -> Result<Entry> {
    if (!attributes) return attributes.error();
    return enter(*hold.first.node, name, *attributes);
  };
}

Reply<Entry> Adapter::lookup(const Context& context, Ino parent, std::string_view name) {
  if (name == "." || name == "..") return lookup_known(context, parent, name);
  const auto absent = [this](const Error& error) -> Result<Entry> {
    const bool to_be_believed = error.code() == ENOENT && options_.negative_timeout.count() > 0;
    return to_be_believed ? Result<Entry>(Entry::negative(options_.negative_timeout)) : Result<Entry>(error);
  };
  const Want want{{parent, name}};
  if (!has(operations::lookup)) {
    return with(
        context, want, Nameless::refuse,
        [this, &context](Hold&, Path path, Path) { return file_system_.getattr(context, path, nullptr); },
        [this, name, absent](Hold& hold, const Result<Attributes>& attributes) -> Result<Entry> {
          if (!attributes) return absent(attributes.error());
          return enter(*hold.first.node, name, *attributes);
        });
  }
  return with(
      context, want, Nameless::refuse,
      [this, &context](Hold&, Path path, Path) { return file_system_.lookup(context, path); },
      [this, name, absent](Hold& hold, const Result<PathEntry>& found) -> Result<Entry> {
        if (!found) return absent(found.error());
        Entry entry = enter(*hold.first.node, name, found->attributes);
        if (found->timeout) entry.timeout = found->timeout;
        return entry;
      });
}

// Asked when a file handle (of NFS, of open_by_handle_at) is decoded.
Reply<Entry> Adapter::lookup_known(const Context& context, Ino ino, std::string_view name) {
  if (name == "..") {
    const PinnedNode node = tree().pin(ino);
    if (node == nullptr) return Error{ESTALE};
    if (!tree().is_root(*node)) {
      const auto place = locks_.place_of(*node);
      if (!place) return Error{ESTALE};
      ino = place->first;
    }
  }
  return with(
      context, Want{{ino}}, Nameless::refuse,
      [this, &context](Hold&, Path path, Path) { return file_system_.getattr(context, path, nullptr); },
      [this](Hold& hold, const Result<Attributes>& attributes) -> Result<Entry> {
        if (!attributes) return attributes.error();
        tree().look_up_again(*hold.first.node);
        return entry_of(hold.first.node->ino(), *attributes);
      });
}

Reply<Attributes> Adapter::getattr(const Context& context, Ino ino, const OpenFile* file) {
  const auto ask = [this, &context, ino, file](Path path) -> Reply<Attributes> {
    const OpenFile* const open = file_of(context, ino, file, path);
    if (path.empty() && open == nullptr) return Error{ENOENT};
    return file_system_.getattr(context, path, open);
  };
  if (file != nullptr && options_.omit_paths) {
    return with(
        context, Want{{root_ino}}, Nameless::call, [ask, ino](Hold&, Path, Path) { return ask(Path("", 0, ino)); },
        [this, ino](Hold&, const Result<Attributes>& attributes) { return seen(ino, attributes); });
  }
  return with(
      context, Want{{ino}}, Nameless::call, [ask](Hold&, Path path, Path) { return ask(path); },
      [this, ino](Hold&, const Result<Attributes>& attributes) { return seen(ino, attributes); });
}

Reply<Attributes> Adapter::setattr(const Context& context, Ino ino, const SetAttributes& changes,
                                   const OpenFile* file) {
  const auto ask = [this, &context, ino, &changes, file](Path path) -> Reply<Attributes> {
    const OpenFile* const open = file_of(context, ino, file, path);
    if (path.empty() && open == nullptr) return Error{ENOENT};
    return file_system_.setattr(context, path, changes, open);
  };
  const bool only_size =
      changes.size && !changes.mode && !changes.uid && !changes.gid && !changes.atime && !changes.mtime;
  const bool omit = file != nullptr && only_size && options_.omit_paths;
  // The root's lock is none: with it nothing is waited for.
  return with(
      context, Want{{omit ? root_ino : ino}}, Nameless::call,
      [ask, omit, ino](Hold&, Path path, Path) { return ask(omit ? Path("", 0, ino) : path); },
      [this, ino](Hold&, const Result<Attributes>& attributes) { return seen(ino, attributes); });
}

Reply<std::string> Adapter::readlink(const Context& context, Ino ino) {
  return with(context, Want{{ino}}, Nameless::refuse,
              [this, &context](Hold&, Path path, Path) { return file_system_.readlink(context, path); });
}

Reply<Entry> Adapter::mknod(const Context& context, Ino parent, std::string_view name, mode_t mode, dev_t rdev) {
  return with(
      context, Want{{parent, name}}, Nameless::refuse,
      [this, &context, mode, rdev](Hold&, Path path, Path) { return file_system_.mknod(context, path, mode, rdev); },
      entering(name));
}

Reply<Entry> Adapter::mkdir(const Context& context, Ino parent, std::string_view name, mode_t mode) {
  return with(
      context, Want{{parent, name}}, Nameless::refuse,
      [this, &context, mode](Hold&, Path path, Path) { return file_system_.mkdir(context, path, mode); },
      entering(name));
}

Reply<Entry> Adapter::symlink(const Context& context, Ino parent, std::string_view name, std::string_view target) {
  return with(
      context, Want{{parent, name}}, Nameless::refuse,
      [this, &context, target](Hold&, Path path, Path) { return file_system_.symlink(context, path, target); },
      entering(name));
}

Reply<Entry> Adapter::link(const Context& context, Ino ino, Ino new_parent, std::string_view new_name) {
  return with(
      context, Want{{ino}, {{new_parent, new_name}}}, Nameless::call,
      [this, &context, ino](Hold&, Path path, Path new_path) -> Reply<Attributes> {
        const OpenFile* const open = file_of(context, ino, nullptr, path);
        if (new_path.empty() || (path.empty() && open == nullptr)) return Error{ENOENT};
        return file_system_.link(context, path, open, new_path);
      },
      [this, new_name](Hold& hold, const Result<Attributes>& attributes) -> Result<Entry> {
        if (!attributes) return attributes.error();
        Node& node = *hold.first.node;
        // The first name of a file of O_TMPFILE is one in any case.
        if (!options_.hard_links && hold.first.has_path) return enter(*hold.second.node, new_name, *attributes);
        tree().add_name(node, *hold.second.node, new_name, identity_of(*attributes));
        return entry_of(node.ino(), *attributes);
      });
}

Reply<StatFs> Adapter::statfs(const Context& context, Ino ino) {
  return with(context, Want{{ino}}, Nameless::call, [this, &context](Hold&, Path path, Path) {
    return file_system_.statfs(context, path.empty() ? Path("/", 1, root_ino) : path);
  });
}

Reply<void> Adapter::syncfs(const Context& context, Ino ino) {
  return with(context, Want{{ino}}, Nameless::refuse,
              [this, &context](Hold&, Path path, Path) { return file_system_.syncfs(context, path); });
}

Reply<void> Adapter::access(const Context& context, Ino ino, int mask) {
  return with(context, Want{{ino}}, Nameless::refuse,
              [this, &context, mask](Hold&, Path path, Path) { return file_system_.access(context, path, mask); });
}

Reply<void> Adapter::setxattr(const Context& context, Ino ino, std::string_view name, Bytes value, XattrFlags flags) {
  return with(context, Want{{ino}}, Nameless::refuse, [this, &context, name, value, flags](Hold&, Path path, Path) {
    return file_system_.setxattr(context, path, name, value, flags);
  });
}

Reply<Data> Adapter::getxattr(const Context& context, Ino ino, std::string_view name) {
  return with(context, Want{{ino}}, Nameless::refuse,
              [this, &context, name](Hold&, Path path, Path) { return file_system_.getxattr(context, path, name); });
}

Reply<std::vector<std::string>> Adapter::listxattr(const Context& context, Ino ino) {
  return with(context, Want{{ino}}, Nameless::refuse,
              [this, &context](Hold&, Path path, Path) { return file_system_.listxattr(context, path); });
}

Reply<void> Adapter::removexattr(const Context& context, Ino ino, std::string_view name) {
  return with(context, Want{{ino}}, Nameless::refuse,
              [this, &context, name](Hold&, Path path, Path) { return file_system_.removexattr(context, path, name); });
}

}  // namespace fuselage::path

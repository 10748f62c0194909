// Open files: their life, their data, and what else is done with them.
#include "path/with.hpp"

namespace fuselage::path {

// What the options make of an opened file; from here on it is known to be open, if its end will be told.
Opened Adapter::as_opened(Ino ino, Opened opened) {
  opened.direct_io = opened.direct_io || options_.direct_io;
  opened.keep_cache = opened.keep_cache || options_.kernel_cache;
  if (cares_for_open_files_) files_.add(ino, opened.handle);
  return opened;
}

Reply<Opened> Adapter::open(const Context& context, Ino ino, OpenFlags flags) {
  return with(
      context, Want{{ino}}, Nameless::refuse,
      [this, &context, ino, flags](Hold&, Path path, Path) -> Reply<Opened> {
        if (options_.auto_cache) return open_and_compare(context, ino, path, flags);
        if (!has(operations::open)) return Opened{};
        return file_system_.open(context, path, flags);
      },
      [this, ino](Hold&, const Result<Opened>& opened) -> Result<Opened> {
        if (!opened) return opened.error();
        return as_opened(ino, *opened);
      });
}

// Keeps the cached data if the file looks as it did when they were read.
Reply<Opened> Adapter::open_and_compare(const Context& context, Ino ino, Path path, OpenFlags flags) {
  Opened opened;
  if (has(operations::open)) {
    Result<Opened> answer = co_await file_system_.open(context, path, flags);
    if (!answer) co_return answer.error();
    opened = *answer;
  }
  constexpr PathOptions::Time usual = std::chrono::seconds(1);
  const PathOptions::Time fresh = options_.ac_attr_timeout.value_or(options_.attr_timeout.value_or(usual));
  const auto seen = files_.seen_at(ino);
  if (seen && OpenFiles::Clock::now() - *seen < fresh) {
    opened.keep_cache = files_.keep_cache(ino);
    co_return opened;
  }
  const OpenFile file{opened.handle, flags, {}};
  const Result<Attributes> attributes = co_await file_system_.getattr(context, path, &file);
  if (attributes) {
    files_.saw(ino, *attributes);
    opened.keep_cache = files_.keep_cache(ino);
  }
  co_return opened;
}

Reply<Created> Adapter::create(const Context& context, Ino parent, std::string_view name, mode_t mode,
                               OpenFlags flags) {
  return with(
      context, Want{{parent, name}}, Nameless::refuse,
      [this, &context, mode, flags](Hold&, Path path, Path) { return file_system_.create(context, path, mode, flags); },
      [this, name](Hold& hold, const Result<CreatedFile>& created) -> Result<Created> {
        if (!created) return created.error();
        const Entry entry = enter(*hold.first.node, name, created->attributes);
        return Created{entry, as_opened(entry.ino, created->opened)};
      });
}

Reply<Created> Adapter::tmpfile(const Context& context, Ino parent, mode_t mode, OpenFlags flags) {
  return with(
      context, Want{{parent}}, Nameless::refuse,
      [this, &context, mode, flags](Hold&, Path path, Path) {
        return file_system_.tmpfile(context, path, mode, flags);
      },
      [this](Hold&, const Result<CreatedFile>& created) -> Result<Created> {
        if (!created) return created.error();
        const Ino ino = tree().enter_nameless();
        return Created{entry_of(ino, created->attributes), as_opened(ino, created->opened)};
      });
}

Reply<void> Adapter::release(const Context& context, Ino ino, const OpenFile& file, bool flock_unlock) {
  const auto call = [this, &context, &file, flock_unlock](Path path) -> Reply<void> {
    if (!has(operations::release)) return {};
    return file_system_.release(context, path, file, flock_unlock);
  };
  if (options_.hide_removed) return release_hidden(context, ino, file.handle, with_file(context, ino, call));
  files_.remove(ino, file.handle);
  return with_file(context, ino, call);
}

// The last one to close a hidden file removes it.
Reply<void> Adapter::release_hidden(const Context& context, Ino ino, Handle handle, Reply<void> release) {
  Result<void> released = co_await release;
  if (!files_.remove(ino, handle)) co_return released;
  struct Place {
    Ino parent;
    std::string name;
  };
  Result<Place> place = co_await with(
      context, Want{{ino}}, Nameless::refuse, [](Hold&, Path, Path) -> Reply<void> { return {}; },
      [](Hold& hold, const Result<void>&) -> Result<Place> {
        const Node& node = *hold.first.node;
        return Place{node.parent->ino(), std::string(node.text.view())};
      });
  if (!place) co_return released;  // somebody else has removed it
  const Result<void> removed = co_await unlink(context, place->parent, place->name);
  if (!removed) co_return removed.error();
  co_return released;
}

Reply<Data> Adapter::read(const Context& context, Ino ino, const OpenFile& file, Range range) {
  return with_file(context, ino,
                   [this, &context, &file, range](Path path) { return file_system_.read(context, path, file, range); });
}

Reply<std::size_t> Adapter::write(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                                  Bytes bytes, WriteFlags flags) {
  return with_file(context, ino, [this, &context, &file, offset, bytes, flags](Path path) {
    return file_system_.write(context, path, file, offset, bytes, flags);
  });
}

Reply<void> Adapter::fsync(const Context& context, Ino ino, const OpenFile& file, bool data_only) {
  return with_file(context, ino, [this, &context, &file, data_only](Path path) {
    return file_system_.fsync(context, path, file, data_only);
  });
}

Reply<void> Adapter::flush(const Context& context, Ino ino, const OpenFile& file) {
  return with_file(context, ino,
                   [this, &context, &file](Path path) { return file_system_.flush(context, path, file); });
}

Reply<Lock> Adapter::getlk(const Context& context, Ino ino, const OpenFile& file, Lock lock) {
  return with_file(context, ino,
                   [this, &context, &file, lock](Path path) { return file_system_.getlk(context, path, file, lock); });
}

Reply<void> Adapter::setlk(const Context& context, Ino ino, const OpenFile& file, Lock lock, bool wait) {
  return with(context, Want{{options_.omit_paths ? root_ino : ino}}, Nameless::call,
              [this, &context, ino, &file, lock, wait](Hold& hold, Path path, Path) {
                if (wait) hold.release();  // a lock may be waited for longer than a rename should
                return file_system_.setlk(context, options_.omit_paths ? Path("", 0, ino) : path, file, lock, wait);
              });
}

Reply<std::uint64_t> Adapter::bmap(const Context& context, Ino ino, std::uint32_t block_size, std::uint64_t block) {
  return with(context, Want{{ino}}, Nameless::refuse, [this, &context, block_size, block](Hold&, Path path, Path) {
    return file_system_.bmap(context, path, block_size, block);
  });
}

Reply<IoctlReply> Adapter::ioctl(const Context& context, Ino ino, const OpenFile& file, const IoctlCall& call) {
  if (call.directory) {
    const auto directory = directories_.find(file.handle);
    if (directory == nullptr) return Error{EBADF};
    const OpenFile& inner = inner_file(context, file, *directory);
    return with_file(context, ino, [this, &context, &inner, &call](Path path) {
      return file_system_.ioctl(context, path, inner, call);
    });
  }
  return with_file(context, ino,
                   [this, &context, &file, &call](Path path) { return file_system_.ioctl(context, path, file, call); });
}

Reply<std::uint32_t> Adapter::poll(const Context& context, Ino ino, const OpenFile& file, std::uint32_t events,
                                   PollHandle wake) {
  return with_file(context, ino, [this, &context, &file, events, wake](Path path) {
    return file_system_.poll(context, path, file, events, wake);
  });
}

Reply<void> Adapter::fallocate(const Context& context, Ino ino, const OpenFile& file, int mode, std::uint64_t offset,
                               std::uint64_t length) {
  return with_file(context, ino, [this, &context, &file, mode, offset, length](Path path) {
    return file_system_.fallocate(context, path, file, mode, offset, length);
  });
}

Reply<std::uint64_t> Adapter::lseek(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                                    int whence) {
  return with_file(context, ino, [this, &context, &file, offset, whence](Path path) {
    return file_system_.lseek(context, path, file, offset, whence);
  });
}

Reply<std::uint64_t> Adapter::copy_file_range(const Context& context, Ino ino, const OpenFile& file,
                                              std::uint64_t offset, Ino target_ino, const OpenFile& target,
                                              std::uint64_t target_offset, std::uint64_t length, std::uint64_t flags) {
  const auto call = [=, this, &context, &file, &target](Path path, Path target_path) {
    return file_system_.copy_file_range(context, path, file, offset, target_path, target, target_offset, length, flags);
  };
  if (options_.omit_paths) return call(Path("", 0, ino), Path("", 0, target_ino));
  return with(context, Want{{ino}, {{target_ino}}}, Nameless::call,
              [call](Hold&, Path path, Path target_path) { return call(path, target_path); });
}

Reply<void> Adapter::setupmapping(const Context& context, Ino ino, const OpenFile& file, Mapping mapping) {
  return with_file(context, ino, [this, &context, &file, mapping](Path path) {
    return file_system_.setupmapping(context, path, file, mapping);
  });
}

Reply<void> Adapter::removemapping(const Context& context, Ino ino, std::span<const WindowRange> ranges) {
  return with_file(context, ino,
                   [this, &context, ranges](Path path) { return file_system_.removemapping(context, path, ranges); });
}

}  // namespace fuselage::path

// Module: path.
//
// `PathFileSystem`: what a file system that thinks in paths overrides. `examples/hello_path.cpp` is a complete one.
//
// What <fuselage/file_system.hpp> says of handlers holds here too: override what you have, in a public section, with
// exactly the signature below; values, errors or coroutines; several threads at once. The cards have the same order.
// On top of that:
//
// * A `Path` is true while the handler runs, and may be of any length. Handlers that run at the same time may be about
//   the same path.
// * Operations with a `file` also come for files that have lost their last name: then the path is empty. `file` is the
//   open file that the request names, or, where it names none, any that is open; null: none is.
// * An operation that makes or changes a node answers its attributes, so that the kernel need not ask again.
// * The library keeps inode numbers, lookup counts and the listing of directories.
#pragma once

#include <concepts>
#include <cstdint>
#include <fuselage/file_system.hpp>
#include <fuselage/path.hpp>
#include <fuselage/path_directory_sink.hpp>
#include <fuselage/path_notifier.hpp>
#include <fuselage/path_options.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fuselage {

class PathFileSystemRef;

/// What `PathFileSystem::lookup` answers.
struct PathEntry {
  Attributes attributes{};
  Timeout timeout{};  ///< How long the name leads here.
};

/// What `PathFileSystem::create` and `tmpfile` answer.
struct CreatedFile {
  Attributes attributes{};
  Opened opened{};
};

/// What `PathFileSystem::init` may look at and change. Valid during `init`; copy the notifiers to keep them.
struct PathSetup {
  Negotiation& negotiation;
  PathOptions& options;
  PathNotifier notifier;
};

/// A file system at path level. Derive, override, and hand it to `run` or `Session::create`.
class PathFileSystem {
 public:
  PathFileSystem() = default;
  virtual ~PathFileSystem() = default;
  PathFileSystem(const PathFileSystem&) = delete;
  PathFileSystem& operator=(const PathFileSystem&) = delete;

  /// Called once, before everything else. An error keeps the session from starting.
  virtual Result<void> init(PathSetup& setup) { return inner_ != nullptr ? inner_->init(setup) : Result<void>(); }

  /// Called once, after the last request was answered, if `init` succeeded.
  virtual void destroy() {
    if (inner_ != nullptr) inner_->destroy();
  }

  /// Asked when: a name is looked up.
  /// Answer: the attributes, and how long the name may be believed.
  /// Errors: ENOENT.
  /// If not overridden: `getattr` is asked: enough unless names have timeouts of their own.
  /// Since: 7.1.
  virtual Reply<PathEntry> lookup(const Context& context, Path path) {
    return forward(&PathFileSystem::lookup, context, path);
  }

  /// Asked when: stat(2), statx(2), a name is looked up, and whenever cached attributes ran out.
  /// Arguments: `path` empty if the node has no name; `file` for fstat(2) where the kernel says so, and then.
  /// Answer: the attributes; with `btime` set, statx(2) sees it.
  /// Errors: ENOENT.
  /// If not overridden: ENOSYS: nothing can be reached.
  /// Since: 7.1 (STATX 7.39).
  virtual Reply<Attributes> getattr(const Context& context, Path path, const OpenFile* file) {
    return forward(&PathFileSystem::getattr, context, path, file);
  }

  /// Asked when: chmod(2), chown(2), truncate(2), utimensat(2) and their f-forms.
  /// Arguments: change exactly what is set; `path` and `file` as for `getattr`.
  /// Answer: the attributes afterwards.
  /// Errors: EPERM, EACCES, EFBIG, EROFS.
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.1.
  virtual Reply<Attributes> setattr(const Context& context, Path path, const SetAttributes& changes,
                                    const OpenFile* file) {
    return forward(&PathFileSystem::setattr, context, path, changes, file);
  }

  /// Asked when: a symbolic link is followed or read.
  /// Answer: its target, at most 4095 bytes (longer ones are cut), no NUL.
  /// Errors: EINVAL (not a link).
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.1.
  virtual Reply<std::string> readlink(const Context& context, Path path) {
    return forward(&PathFileSystem::readlink, context, path);
  }

  /// Asked when: mknod(2), mkfifo(2), bind(2); for regular files if `create` is not there.
  /// Arguments: `mode` with type bits; the umask is already applied unless `dont_mask` is on.
  /// Answer: the attributes of the new node.
  /// Errors: EEXIST, ENOSPC, EPERM.
  /// If not overridden: EPERM to the caller.
  /// Since: 7.1.
  virtual Reply<Attributes> mknod(const Context& context, Path path, mode_t mode, dev_t rdev) {
    return forward(&PathFileSystem::mknod, context, path, mode, rdev);
  }

  /// Asked when: mkdir(2).
  /// Arguments: `mode`: permissions, without type bits.
  /// Answer: the attributes of the new directory.
  /// Errors: EEXIST, ENOSPC, EMLINK.
  /// If not overridden: EPERM to the caller.
  /// Since: 7.1.
  virtual Reply<Attributes> mkdir(const Context& context, Path path, mode_t mode) {
    return forward(&PathFileSystem::mkdir, context, path, mode);
  }

  /// Asked when: unlink(2) of anything but a directory.
  /// Arguments: `path.node()` lives on while it is open.
  /// Answer: nothing.
  /// Errors: ENOENT, EPERM, EISDIR.
  /// If not overridden: EPERM to the caller.
  /// Since: 7.1.
  virtual Reply<void> unlink(const Context& context, Path path) {
    return forward(&PathFileSystem::unlink, context, path);
  }

  /// Asked when: rmdir(2).
  /// Arguments: as unlink.
  /// Answer: nothing.
  /// Errors: ENOTEMPTY, ENOTDIR, ENOENT.
  /// If not overridden: EPERM to the caller.
  /// Since: 7.1.
  virtual Reply<void> rmdir(const Context& context, Path path) {
    return forward(&PathFileSystem::rmdir, context, path);
  }

  /// Asked when: symlink(2).
  /// Arguments: `path` is the new link; `target` to be stored as it is.
  /// Answer: the attributes of the new link.
  /// Errors: EEXIST, ENOSPC.
  /// If not overridden: EPERM to the caller.
  /// Since: 7.1.
  virtual Reply<Attributes> symlink(const Context& context, Path path, std::string_view target) {
    return forward(&PathFileSystem::symlink, context, path, target);
  }

  /// Asked when: rename(2), renameat2(2).
  /// Arguments: `new_path.node()` is what it replaces, if that is known.
  /// Answer: nothing; the change is atomic.
  /// Errors: EEXIST, ENOTEMPTY, EINVAL (a flag that is not known here).
  /// If not overridden: EPERM to the caller.
  /// Since: 7.1 (flags 7.23).
  virtual Reply<void> rename(const Context& context, Path path, Path new_path, RenameFlags flags) {
    return forward(&PathFileSystem::rename, context, path, new_path, flags);
  }

  /// Asked when: link(2).
  /// Arguments: `path` gets another name; it is empty, and `file` set, for a file of `tmpfile`.
  /// Answer: the attributes, with the new nlink.
  /// Errors: EEXIST, EPERM (a directory), EMLINK.
  /// If not overridden: EPERM to the caller.
  /// Since: 7.1.
  virtual Reply<Attributes> link(const Context& context, Path path, const OpenFile* file, Path new_path) {
    return forward(&PathFileSystem::link, context, path, file, new_path);
  }

  /// Asked when: open(2) of an existing file.
  /// Arguments: without O_CREAT and O_EXCL; O_TRUNC only with `atomic_o_trunc`, otherwise a `setattr` of the size
  ///   follows.
  /// Answer: the handle and how to cache. One `release` follows for each.
  /// Errors: EACCES (when permissions are yours to check), EROFS, ETXTBSY.
  /// If not overridden: every open succeeds with handle 0, and the kernel stops asking (since 7.23) unless `release` is
  ///   overridden or an option has to know what is open (`hide_removed`, `kernel_cache`, `auto_cache`, `direct_io`).
  /// Since: 7.1.
  virtual Reply<Opened> open(const Context& context, Path path, OpenFlags flags) {
    return forward(&PathFileSystem::open, context, path, flags);
  }

  /// Asked when: read(2), mmap(2), read-ahead.
  /// Arguments: `range` of the file; `range.size` at most the connection's limit; `path` may be empty.
  /// Answer: exactly as many bytes as asked for except at the end of the file: fewer mean the end.
  /// Errors: EIO, EISDIR.
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.1.
  virtual Reply<Data> read(const Context& context, Path path, const OpenFile& file, Range range) {
    return forward(&PathFileSystem::read, context, path, file, range);
  }

  /// Asked when: write(2); with the writeback cache when pages are cleaned.
  /// Arguments: `bytes` valid until the reply; `path` may be empty.
  /// Answer: how many bytes were taken: all, or fewer with `direct_io`. More is answered EIO.
  /// Errors: ENOSPC, EFBIG, EDQUOT.
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.1.
  virtual Reply<std::size_t> write(const Context& context, Path path, const OpenFile& file, std::uint64_t offset,
                                   Bytes bytes, WriteFlags flags) {
    return forward(&PathFileSystem::write, context, path, file, offset, bytes, flags);
  }

  /// Asked when: statfs(2), df(1).
  /// Arguments: `path` of the node that was asked about; "/" if it has none.
  /// Answer: sizes and counts.
  /// Errors: EIO.
  /// If not overridden: all zero, names up to 255 bytes.
  /// Since: 7.1.
  virtual Reply<StatFs> statfs(const Context& context, Path path) {
    return forward(&PathFileSystem::statfs, context, path);
  }

  /// Asked when: the last descriptor and mapping of one open file are gone. Nobody waits for the answer.
  /// Arguments: `file.handle` from open or create; `flock_unlock`: drop the flock of `file.lock_owner`; `path` may be
  ///   empty.
  /// Answer: nothing; errors go nowhere.
  /// Errors: none.
  /// If not overridden: nothing happens.
  /// Since: 7.1.
  virtual Reply<void> release(const Context& context, Path path, const OpenFile& file, bool flock_unlock) {
    return forward(&PathFileSystem::release, context, path, file, flock_unlock);
  }

  /// Asked when: fsync(2), fdatasync(2), O_SYNC.
  /// Arguments: `data_only` for fdatasync; `path` may be empty.
  /// Answer: nothing, once the data is safe.
  /// Errors: EIO, ENOSPC.
  /// If not overridden: success, and the kernel stops asking.
  /// Since: 7.1.
  virtual Reply<void> fsync(const Context& context, Path path, const OpenFile& file, bool data_only) {
    return forward(&PathFileSystem::fsync, context, path, file, data_only);
  }

  /// Asked when: setxattr(2), also for ACLs.
  /// Arguments: `name` with its namespace (`user.`); `value` any bytes.
  /// Answer: nothing.
  /// Errors: EEXIST, ENODATA (see `XattrFlags`), ENOSPC, E2BIG, ENOTSUP.
  /// If not overridden: ENOTSUP, and the kernel stops asking.
  /// Since: 7.1 (acl_kill_sgid 7.33).
  virtual Reply<void> setxattr(const Context& context, Path path, std::string_view name, Bytes value,
                               XattrFlags flags) {
    return forward(&PathFileSystem::setxattr, context, path, name, value, flags);
  }

  /// Asked when: getxattr(2), and by the kernel for ACLs and capabilities.
  /// Arguments: `name` with its namespace.
  /// Answer: the whole value: asking for its size and ERANGE are the library's business.
  /// Errors: ENODATA (no such attribute), ENOTSUP.
  /// If not overridden: ENOTSUP, and the kernel stops asking.
  /// Since: 7.1.
  virtual Reply<Data> getxattr(const Context& context, Path path, std::string_view name) {
    return forward(&PathFileSystem::getxattr, context, path, name);
  }

  /// Asked when: listxattr(2).
  /// Answer: the names: sizes and ERANGE are the library's business.
  /// Errors: ENOTSUP.
  /// If not overridden: ENOTSUP, and the kernel stops asking.
  /// Since: 7.1.
  virtual Reply<std::vector<std::string>> listxattr(const Context& context, Path path) {
    return forward(&PathFileSystem::listxattr, context, path);
  }

  /// Asked when: removexattr(2).
  /// Answer: nothing.
  /// Errors: ENODATA, ENOTSUP.
  /// If not overridden: ENOTSUP, and the kernel stops asking.
  /// Since: 7.1.
  virtual Reply<void> removexattr(const Context& context, Path path, std::string_view name) {
    return forward(&PathFileSystem::removexattr, context, path, name);
  }

  /// Asked when: each close(2) of a descriptor, also of duplicates: none, once or often for one open file.
  /// Arguments: `file.lock_owner`: drop its POSIX locks; `path` may be empty.
  /// Answer: nothing; the error is the one of close(2).
  /// Errors: EIO, ENOSPC, EDQUOT.
  /// If not overridden: success, and the kernel stops asking.
  /// Since: 7.1.
  virtual Reply<void> flush(const Context& context, Path path, const OpenFile& file) {
    return forward(&PathFileSystem::flush, context, path, file);
  }

  /// Asked when: opendir(3).
  /// Answer: the handle and how to cache. One `releasedir` follows for each.
  /// Errors: EACCES.
  /// If not overridden: every opendir succeeds with handle 0.
  /// Since: 7.1.
  virtual Reply<Opened> opendir(const Context& context, Path path, OpenFlags flags) {
    return forward(&PathFileSystem::opendir, context, path, flags);
  }

  /// Asked when: getdents(2), from READDIR and READDIRPLUS.
  /// Arguments: `offset` 0 for the start, else the `next` of the entry after which to go on; `sink` takes the
  ///   entries, also "." and ".." if you like; `path` may be empty.
  /// Answer: nothing; no entry added means the end.
  /// Errors: ENOTDIR, EIO.
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.1 (READDIRPLUS 7.21).
  virtual Reply<void> readdir(const Context& context, Path path, const OpenFile& file, std::uint64_t offset,
                              PathDirectorySink& sink) {
    return forward(&PathFileSystem::readdir, context, path, file, offset, sink);
  }

  /// Asked when: the open directory is gone. Nobody waits for the answer.
  /// Arguments: `file.handle` from opendir; `path` may be empty.
  /// Answer: nothing; errors go nowhere.
  /// Errors: none.
  /// If not overridden: nothing happens.
  /// Since: 7.1.
  virtual Reply<void> releasedir(const Context& context, Path path, const OpenFile& file) {
    return forward(&PathFileSystem::releasedir, context, path, file);
  }

  /// Asked when: fsync(2) of a directory.
  /// Arguments: as fsync.
  /// Answer: nothing, once the entries are safe.
  /// Errors: EIO.
  /// If not overridden: success, and the kernel stops asking.
  /// Since: 7.1.
  virtual Reply<void> fsyncdir(const Context& context, Path path, const OpenFile& file, bool data_only) {
    return forward(&PathFileSystem::fsyncdir, context, path, file, data_only);
  }

  /// Asked when: fcntl(F_GETLK).
  /// Arguments: could `lock` be placed by `file.lock_owner`? `path` may be empty.
  /// Answer: the lock that is in the way, or one of type `unlock`.
  /// Errors: EIO.
  /// If not overridden: locks are kept by the kernel, for this machine only.
  /// Since: 7.7.
  virtual Reply<Lock> getlk(const Context& context, Path path, const OpenFile& file, Lock lock) {
    return forward(&PathFileSystem::getlk, context, path, file, lock);
  }

  /// Asked when: fcntl(F_SETLK, F_SETLKW) and flock(2).
  /// Arguments: `wait`: answer when the lock is yours, and give up with EINTR when interrupted. `path` may be empty;
  ///   with `wait` it is not kept from being renamed.
  /// Answer: nothing.
  /// Errors: EAGAIN (held by somebody else and not `wait`), EINTR, EDEADLK, ENOLCK.
  /// If not overridden: locks are kept by the kernel, for this machine only.
  /// Since: 7.7 (flock 7.17).
  virtual Reply<void> setlk(const Context& context, Path path, const OpenFile& file, Lock lock, bool wait) {
    return forward(&PathFileSystem::setlk, context, path, file, lock, wait);
  }

  /// Asked when: access(2), chdir(2); not with `default_permissions`.
  /// Arguments: `mask` of R_OK, W_OK, X_OK, or F_OK.
  /// Answer: nothing: allowed.
  /// Errors: EACCES.
  /// If not overridden: allowed, and the kernel stops asking.
  /// Since: 7.3.
  virtual Reply<void> access(const Context& context, Path path, int mask) {
    return forward(&PathFileSystem::access, context, path, mask);
  }

  /// Asked when: open(2) with O_CREAT of a name that does not exist.
  /// Arguments: `mode` with S_IFREG; the umask is already applied unless `dont_mask` is on.
  /// Answer: the attributes of the new file and how it is open.
  /// Errors: EEXIST (with O_EXCL), ENOSPC.
  /// If not overridden: mknod and open are asked instead.
  /// Since: 7.3.
  virtual Reply<CreatedFile> create(const Context& context, Path path, mode_t mode, OpenFlags flags) {
    return forward(&PathFileSystem::create, context, path, mode, flags);
  }

  /// Asked when: ioctl(FIBMAP); only on `blkdev` mounts.
  /// Arguments: `block` within the file, in units of `block_size`.
  /// Answer: the block of the device.
  /// Errors: EINVAL.
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.8.
  virtual Reply<std::uint64_t> bmap(const Context& context, Path path, std::uint32_t block_size, std::uint64_t block) {
    return forward(&PathFileSystem::bmap, context, path, block_size, block);
  }

  /// Asked when: ioctl(2).
  /// Arguments: restricted: data as the command's own size and direction say; `path` may be empty.
  /// Answer: the result and the output.
  /// Errors: ENOTTY (not known here).
  /// If not overridden: ENOTTY to the caller.
  /// Since: 7.11 (directories 7.18).
  virtual Reply<IoctlReply> ioctl(const Context& context, Path path, const OpenFile& file, const IoctlCall& call) {
    return forward(&PathFileSystem::ioctl, context, path, file, call);
  }

  /// Asked when: poll(2), select(2), epoll.
  /// Arguments: `events` waited for (since 7.21); if `wake` is not 0, call `Notifier::poll(wake)` once something
  ///   becomes ready. One call settles all earlier ones. `path` may be empty.
  /// Answer: the events that are ready now.
  /// Errors: EIO.
  /// If not overridden: always ready, and the kernel stops asking.
  /// Since: 7.11.
  virtual Reply<std::uint32_t> poll(const Context& context, Path path, const OpenFile& file, std::uint32_t events,
                                    PollHandle wake) {
    return forward(&PathFileSystem::poll, context, path, file, events, wake);
  }

  /// Asked when: fallocate(2).
  /// Arguments: `mode` of FALLOC_FL_*; `path` may be empty.
  /// Answer: nothing; later writes to the range do not fail for lack of space.
  /// Errors: EOPNOTSUPP (a mode not known here), ENOSPC, EFBIG.
  /// If not overridden: EOPNOTSUPP, and the kernel stops asking.
  /// Since: 7.19.
  virtual Reply<void> fallocate(const Context& context, Path path, const OpenFile& file, int mode, std::uint64_t offset,
                                std::uint64_t length) {
    return forward(&PathFileSystem::fallocate, context, path, file, mode, offset, length);
  }

  /// Asked when: lseek(2) with SEEK_DATA or SEEK_HOLE; never with the writeback cache.
  /// Arguments: `path` may be empty.
  /// Answer: the offset found.
  /// Errors: ENXIO (nothing from there on).
  /// If not overridden: the whole file is data, and the kernel stops asking.
  /// Since: 7.24.
  virtual Reply<std::uint64_t> lseek(const Context& context, Path path, const OpenFile& file, std::uint64_t offset,
                                     int whence) {
    return forward(&PathFileSystem::lseek, context, path, file, offset, whence);
  }

  /// Asked when: copy_file_range(2) within this mount.
  /// Arguments: `flags` is 0 so far; the paths may be empty.
  /// Answer: how many bytes were copied; fewer is fine.
  /// Errors: EXDEV, EOPNOTSUPP (the kernel copies by itself).
  /// If not overridden: the kernel copies by reading and writing, and stops asking.
  /// Since: 7.28 (more than 4 GiB at once 7.45).
  virtual Reply<std::uint64_t> copy_file_range(const Context& context, Path path, const OpenFile& file,
                                               std::uint64_t offset, Path target_path, const OpenFile& target,
                                               std::uint64_t target_offset, std::uint64_t length, std::uint64_t flags) {
    return forward(&PathFileSystem::copy_file_range, context, path, file, offset, target_path, target, target_offset,
                   length, flags);
  }

  /// Asked when: a page of a DAX file is touched; virtiofs only.
  /// Arguments: `path` may be empty.
  /// Answer: nothing.
  /// Errors: EINVAL.
  /// If not overridden: ENOSYS.
  /// Since: 7.31.
  virtual Reply<void> setupmapping(const Context& context, Path path, const OpenFile& file, Mapping mapping) {
    return forward(&PathFileSystem::setupmapping, context, path, file, mapping);
  }

  /// Asked when: the window is needed elsewhere; virtiofs only.
  /// Arguments: `path` may be empty.
  /// Answer: nothing.
  /// Errors: EINVAL.
  /// If not overridden: ENOSYS.
  /// Since: 7.31.
  virtual Reply<void> removemapping(const Context& context, Path path, std::span<const WindowRange> ranges) {
    return forward(&PathFileSystem::removemapping, context, path, ranges);
  }

  /// Asked when: syncfs(2); virtiofs and `blkdev` mounts.
  /// Arguments: `path` the root of the mount.
  /// Answer: nothing, once everything is safe.
  /// Errors: EIO.
  /// If not overridden: success, and the kernel stops asking.
  /// Since: 7.34.
  virtual Reply<void> syncfs(const Context& context, Path path) {
    return forward(&PathFileSystem::syncfs, context, path);
  }

  /// Asked when: open(2) with O_TMPFILE.
  /// Arguments: `path` of the directory; a file without a name, which `link` may give it unless `flags.exclusive()`.
  /// Answer: its attributes (nlink 0) and how it is open.
  /// Errors: EOPNOTSUPP, ENOSPC.
  /// If not overridden: EOPNOTSUPP, and the kernel stops asking.
  /// Since: 7.37.
  virtual Reply<CreatedFile> tmpfile(const Context& context, Path path, mode_t mode, OpenFlags flags) {
    return forward(&PathFileSystem::tmpfile, context, path, mode, flags);
  }

 protected:
  /// For `PathLayer`: every operation that is not overridden goes to `inner`.
  explicit PathFileSystem(const PathFileSystemRef& inner) noexcept;

 private:
  friend class PathFileSystemRef;
  friend class PathLayer;

  template <class Answer, class... Parameters, class... Arguments>
  Answer forward(Answer (PathFileSystem::*operation)(Parameters...), Arguments&&... arguments) {
    if (inner_ == nullptr) return Error{ENOSYS};
    return (inner_->*operation)(std::forward<Arguments>(arguments)...);
  }

  PathFileSystem* inner_ = nullptr;
  OperationSet inner_operations_;
};

/// The operations that `T` overrides, found from the classes that declare its members.
template <std::derived_from<PathFileSystem> T>
constexpr OperationSet operations_of() noexcept {
  static_assert(!std::is_same_v<T, PathFileSystem>,
                "name the concrete class: what a file system overrides is read off its static type");
  return detail::overridden<T, PathFileSystem>();
}

/// A file system and what it implements; made from any class that derives from `PathFileSystem`. Refers, does not own.
class PathFileSystemRef {
 public:
  template <std::derived_from<PathFileSystem> T>
  PathFileSystemRef(T& file_system) noexcept  // NOLINT: a file system is what is referred to
      : PathFileSystemRef(file_system, operations_of<T>() | file_system.PathFileSystem::inner_operations_) {}
  /// For one that knows at run time what it implements: a union of constants of `operations`, all of which it must
  /// override.
  PathFileSystemRef(PathFileSystem& file_system, OperationSet operations) noexcept
      : file_system_(&file_system), operations_(operations) {}

  PathFileSystem& file_system() const noexcept { return *file_system_; }
  OperationSet operations() const noexcept { return operations_; }

 private:
  PathFileSystem* file_system_;
  OperationSet operations_;
};

inline PathFileSystem::PathFileSystem(const PathFileSystemRef& inner) noexcept
    : inner_(&inner.file_system()), inner_operations_(inner.operations()) {}

/// A file system on top of another: forwards everything; override what you change, and call the inner one for the rest.
/// The inner file system must outlive the layer. Layers stack. A layer that changes paths must change all of them.
class PathLayer : public PathFileSystem {
 public:
  explicit PathLayer(const PathFileSystemRef& inner) noexcept : PathFileSystem(inner) {}

 protected:
  PathFileSystem& inner() const noexcept { return *inner_; }
};

/// `file_system` at inode level, for one session: each call makes nodes, locks and numbers of their own. It must
/// outlive what is returned.
///
///   auto session = Session::create(by_path(files, {.hard_links = true}), *mount);
FileSystemRef by_path(const PathFileSystemRef& file_system, const PathOptions& options = {});

/// What makes `FileSystemRef`, and with it `Session::create`, `run` and the fake kernel, take a `PathFileSystem` as it
/// is.
template <std::derived_from<PathFileSystem> T>
FileSystemRef as_file_system(T& file_system) {
  return by_path(file_system);
}

}  // namespace fuselage

// Module: inode.
//
// `FileSystem`: what a file system that thinks in inodes overrides. `examples/hello.cpp` is a complete one.
//
// Every operation has a contract card, always in the same order. What holds for all of them:
//
// * Override what you have; the rest behaves as its card says under "If not overridden". What is overridden is found at
//   compile time from the class that declares it, so override in a public section, with exactly the signature below.
// * Handlers are called from several threads at once unless the session has `max_threads = 1`. One that waits holds up
//   nobody else; one that can be a coroutine does not even hold a thread.
// * `context`, names, bytes and the other references are valid until the reply, also across `co_await`.
// * Errors are positive errnos. The kernel passes any errno on to the caller except that it remembers ENOSYS as "never
//   ask again" for many operations: do not return it for other reasons.
// * Permissions are checked by the kernel if the mount has `default_permissions`; otherwise they are yours to check.
// * A handler that throws is answered as `error_of_current_exception` says, and logged.
#pragma once

#include <concepts>
#include <cstdint>
#include <fuselage/attributes.hpp>
#include <fuselage/context.hpp>
#include <fuselage/data.hpp>
#include <fuselage/directory_sink.hpp>
#include <fuselage/negotiation.hpp>
#include <fuselage/operation_set.hpp>
#include <fuselage/reply.hpp>
#include <fuselage/requests.hpp>
#include <fuselage/types.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace fuselage {

class FileSystemRef;

/// A file system at inode level. Derive, override, and hand it to `run` or `Session::create`.
class FileSystem {
 public:
  FileSystem() = default;
  virtual ~FileSystem() = default;
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;

  /// Called once, before everything else, when the kernel says what it can do: look at it, change what is wanted, keep
  /// the notifier. An error keeps the session from starting.
  virtual Result<void> init(Negotiation& negotiation) {
    return inner_ != nullptr ? inner_->init(negotiation) : Result<void>();
  }

  /// Called once, after the last request was answered, if `init` succeeded.
  virtual void destroy() {
    if (inner_ != nullptr) inner_->destroy();
  }

  /// Asked when: the kernel walks a path and does not know `name` (or no longer).
  /// Arguments: `parent` a directory; `name` one component, any bytes but slash and NUL. With `export_support` also "."
  ///   of any node, and "..", when a file handle names one that the kernel has forgotten.
  /// Answer: the entry; it counts as one lookup of its ino until `forget` gives it back.
  /// Errors: ENOENT (or `Entry::negative`); ENAMETOOLONG.
  /// If not overridden: every name is ENOSYS: nothing but the root can be reached.
  /// Since: 7.1.
  virtual Reply<Entry> lookup(const Context& context, Ino parent, std::string_view name) {
    return forward(&FileSystem::lookup, context, parent, name);
  }

  /// Asked when: the kernel lets go of a node: `count` lookups fewer. Not asked for at unmount.
  /// Arguments: `ino` known by lookup or creation.
  /// Answer: none: it must not fail.
  /// Errors: none.
  /// If not overridden: nothing happens.
  /// Since: 7.1 (in batches 7.16).
  virtual void forget(Ino ino, std::uint64_t count) {
    if (inner_ != nullptr) inner_->forget(ino, count);
  }

  /// Asked when: stat(2), statx(2), and whenever cached attributes ran out.
  /// Arguments: `file` the open file of fstat(2), or null; only `handle` is set.
  /// Answer: the attributes; with `btime` set, statx(2) sees it.
  /// Errors: ENOENT, ESTALE (the node is gone).
  /// If not overridden: ENOSYS: the mount is of little use.
  /// Since: 7.1 (STATX 7.39).
  virtual Reply<Attributes> getattr(const Context& context, Ino ino, const OpenFile* file) {
    return forward(&FileSystem::getattr, context, ino, file);
  }

  /// Asked when: chmod(2), chown(2), truncate(2), utimensat(2) and their f-forms.
  /// Arguments: change exactly what is set; `file` the open file of the f-forms, or null.
  /// Answer: the attributes afterwards.
  /// Errors: EPERM, EACCES, EFBIG, EROFS.
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.1.
  virtual Reply<Attributes> setattr(const Context& context, Ino ino, const SetAttributes& changes,
                                    const OpenFile* file) {
    return forward(&FileSystem::setattr, context, ino, changes, file);
  }

  /// Asked when: a symbolic link is followed or read.
  /// Arguments: `ino` a symbolic link.
  /// Answer: its target, at most 4095 bytes (longer ones are cut), no NUL.
  /// Errors: EINVAL (not a link).
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.1.
  virtual Reply<std::string> readlink(const Context& context, Ino ino) {
    return forward(&FileSystem::readlink, context, ino);
  }

  /// Asked when: mknod(2), mkfifo(2), bind(2); for regular files if `create` is not there.
  /// Arguments: `mode` with type bits; the umask is already applied unless `dont_mask` is on.
  /// Answer: the new entry: one lookup.
  /// Errors: EEXIST, ENOSPC, EPERM.
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.1.
  virtual Reply<Entry> mknod(const Context& context, Ino parent, std::string_view name, mode_t mode, dev_t rdev) {
    return forward(&FileSystem::mknod, context, parent, name, mode, rdev);
  }

  /// Asked when: mkdir(2).
  /// Arguments: `mode`: permissions, without type bits.
  /// Answer: the new entry: one lookup.
  /// Errors: EEXIST, ENOSPC, EMLINK.
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.1.
  virtual Reply<Entry> mkdir(const Context& context, Ino parent, std::string_view name, mode_t mode) {
    return forward(&FileSystem::mkdir, context, parent, name, mode);
  }

  /// Asked when: unlink(2) of anything but a directory.
  /// Arguments: the node lives on while the kernel knows it or has it open.
  /// Answer: nothing.
  /// Errors: ENOENT, EPERM, EISDIR.
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.1.
  virtual Reply<void> unlink(const Context& context, Ino parent, std::string_view name) {
    return forward(&FileSystem::unlink, context, parent, name);
  }

  /// Asked when: rmdir(2).
  /// Arguments: as unlink.
  /// Answer: nothing.
  /// Errors: ENOTEMPTY, ENOTDIR, ENOENT.
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.1.
  virtual Reply<void> rmdir(const Context& context, Ino parent, std::string_view name) {
    return forward(&FileSystem::rmdir, context, parent, name);
  }

  /// Asked when: symlink(2).
  /// Arguments: `target` to be stored as it is.
  /// Answer: the new entry: one lookup.
  /// Errors: EEXIST, ENOSPC.
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.1.
  virtual Reply<Entry> symlink(const Context& context, Ino parent, std::string_view name, std::string_view target) {
    return forward(&FileSystem::symlink, context, parent, name, target);
  }

  /// Asked when: rename(2), renameat2(2).
  /// Arguments: both parents are directories, perhaps the same.
  /// Answer: nothing; the change is atomic.
  /// Errors: EEXIST, ENOTEMPTY, EINVAL (a flag that is not known here).
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.1 (flags 7.23).
  virtual Reply<void> rename(const Context& context, Ino parent, std::string_view name, Ino new_parent,
                             std::string_view new_name, RenameFlags flags) {
    return forward(&FileSystem::rename, context, parent, name, new_parent, new_name, flags);
  }

  /// Asked when: link(2).
  /// Arguments: `ino` gets another name.
  /// Answer: the entry of the new name: one more lookup of `ino`.
  /// Errors: EEXIST, EPERM (a directory), EMLINK.
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.1.
  virtual Reply<Entry> link(const Context& context, Ino ino, Ino new_parent, std::string_view new_name) {
    return forward(&FileSystem::link, context, ino, new_parent, new_name);
  }

  /// Asked when: open(2) of an existing file.
  /// Arguments: without O_CREAT and O_EXCL; O_TRUNC only with `atomic_o_trunc`, otherwise a `setattr` of the size
  ///   follows.
  /// Answer: the handle and how to cache. One `release` follows for each.
  /// Errors: EACCES (when permissions are yours to check), EROFS, ETXTBSY.
  /// If not overridden: every open succeeds with handle 0, and the kernel stops asking (since 7.23) unless `release` is
  ///   overridden.
  /// Since: 7.1.
  virtual Reply<Opened> open(const Context& context, Ino ino, OpenFlags flags) {
    return forward(&FileSystem::open, context, ino, flags);
  }

  /// Asked when: read(2), mmap(2), read-ahead.
  /// Arguments: `range` of the file; `range.size` at most the connection's limit.
  /// Answer: exactly as many bytes as asked for except at the end of the file: fewer mean the end.
  /// Errors: EIO, EISDIR.
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.1.
  virtual Reply<Data> read(const Context& context, Ino ino, const OpenFile& file, Range range) {
    return forward(&FileSystem::read, context, ino, file, range);
  }

  /// Asked when: write(2); with the writeback cache when pages are cleaned.
  /// Arguments: `bytes` valid until the reply.
  /// Answer: how many bytes were taken: all, or fewer with `direct_io`. More is answered EIO.
  /// Errors: ENOSPC, EFBIG, EDQUOT.
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.1.
  virtual Reply<std::size_t> write(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                                   Bytes bytes, WriteFlags flags) {
    return forward(&FileSystem::write, context, ino, file, offset, bytes, flags);
  }

  /// Asked when: statfs(2), df(1).
  /// Arguments: `ino` the node that was asked about.
  /// Answer: sizes and counts.
  /// Errors: EIO.
  /// If not overridden: all zero, names up to 255 bytes.
  /// Since: 7.1.
  virtual Reply<StatFs> statfs(const Context& context, Ino ino) { return forward(&FileSystem::statfs, context, ino); }

  /// Asked when: the last descriptor and mapping of one open file are gone. Nobody waits for the answer.
  /// Arguments: `file.handle` from open or create; `flock_unlock`: drop the flock of `file.lock_owner`.
  /// Answer: nothing; errors go nowhere.
  /// Errors: none.
  /// If not overridden: nothing happens.
  /// Since: 7.1.
  virtual Reply<void> release(const Context& context, Ino ino, const OpenFile& file, bool flock_unlock) {
    return forward(&FileSystem::release, context, ino, file, flock_unlock);
  }

  /// Asked when: fsync(2), fdatasync(2), O_SYNC.
  /// Arguments: `data_only` for fdatasync.
  /// Answer: nothing, once the data is safe.
  /// Errors: EIO, ENOSPC.
  /// If not overridden: success, and the kernel stops asking.
  /// Since: 7.1.
  virtual Reply<void> fsync(const Context& context, Ino ino, const OpenFile& file, bool data_only) {
    return forward(&FileSystem::fsync, context, ino, file, data_only);
  }

  /// Asked when: setxattr(2), also for ACLs.
  /// Arguments: `name` with its namespace (`user.`); `value` any bytes.
  /// Answer: nothing.
  /// Errors: EEXIST, ENODATA (see `XattrFlags`), ENOSPC, E2BIG, ENOTSUP.
  /// If not overridden: ENOTSUP, and the kernel stops asking.
  /// Since: 7.1 (acl_kill_sgid 7.33).
  virtual Reply<void> setxattr(const Context& context, Ino ino, std::string_view name, Bytes value, XattrFlags flags) {
    return forward(&FileSystem::setxattr, context, ino, name, value, flags);
  }

  /// Asked when: getxattr(2), and by the kernel for ACLs and capabilities.
  /// Arguments: `name` with its namespace.
  /// Answer: the whole value: asking for its size and ERANGE are the library's business.
  /// Errors: ENODATA (no such attribute), ENOTSUP.
  /// If not overridden: ENOTSUP, and the kernel stops asking.
  /// Since: 7.1.
  virtual Reply<Data> getxattr(const Context& context, Ino ino, std::string_view name) {
    return forward(&FileSystem::getxattr, context, ino, name);
  }

  /// Asked when: listxattr(2).
  /// Answer: the names: sizes and ERANGE are the library's business.
  /// Errors: ENOTSUP.
  /// If not overridden: ENOTSUP, and the kernel stops asking.
  /// Since: 7.1.
  virtual Reply<std::vector<std::string>> listxattr(const Context& context, Ino ino) {
    return forward(&FileSystem::listxattr, context, ino);
  }

  /// Asked when: removexattr(2).
  /// Answer: nothing.
  /// Errors: ENODATA, ENOTSUP.
  /// If not overridden: ENOTSUP, and the kernel stops asking.
  /// Since: 7.1.
  virtual Reply<void> removexattr(const Context& context, Ino ino, std::string_view name) {
    return forward(&FileSystem::removexattr, context, ino, name);
  }

  /// Asked when: each close(2) of a descriptor, also of duplicates: none, once or often for one open file.
  /// Arguments: `file.lock_owner`: drop its POSIX locks.
  /// Answer: nothing; the error is the one of close(2).
  /// Errors: EIO, ENOSPC, EDQUOT.
  /// If not overridden: success, and the kernel stops asking.
  /// Since: 7.1.
  virtual Reply<void> flush(const Context& context, Ino ino, const OpenFile& file) {
    return forward(&FileSystem::flush, context, ino, file);
  }

  /// Asked when: opendir(3).
  /// Arguments: `ino` a directory.
  /// Answer: the handle and how to cache. One `releasedir` follows for each.
  /// Errors: EACCES.
  /// If not overridden: every opendir succeeds with handle 0, and the kernel stops asking and caches the listing
  ///   (since 7.29) unless `releasedir` is overridden.
  /// Since: 7.1.
  virtual Reply<Opened> opendir(const Context& context, Ino ino, OpenFlags flags) {
    return forward(&FileSystem::opendir, context, ino, flags);
  }

  /// Asked when: getdents(2), from READDIR and READDIRPLUS.
  /// Arguments: `offset` 0 for the start, else the `next` of the entry after which to go on; `sink` takes the
  ///   entries, also "." and ".." if you like.
  /// Answer: nothing; no entry added means the end. Names that stay must not be skipped or repeated while others
  ///   come and go.
  /// Errors: ENOTDIR, EIO.
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.1 (READDIRPLUS 7.21).
  virtual Reply<void> readdir(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                              DirectorySink& sink) {
    return forward(&FileSystem::readdir, context, ino, file, offset, sink);
  }

  /// Asked when: the open directory is gone. Nobody waits for the answer.
  /// Arguments: `file.handle` from opendir.
  /// Answer: nothing; errors go nowhere.
  /// Errors: none.
  /// If not overridden: nothing happens.
  /// Since: 7.1.
  virtual Reply<void> releasedir(const Context& context, Ino ino, const OpenFile& file) {
    return forward(&FileSystem::releasedir, context, ino, file);
  }

  /// Asked when: fsync(2) of a directory.
  /// Arguments: as fsync.
  /// Answer: nothing, once the entries are safe.
  /// Errors: EIO.
  /// If not overridden: success, and the kernel stops asking.
  /// Since: 7.1.
  virtual Reply<void> fsyncdir(const Context& context, Ino ino, const OpenFile& file, bool data_only) {
    return forward(&FileSystem::fsyncdir, context, ino, file, data_only);
  }

  /// Asked when: fcntl(F_GETLK).
  /// Arguments: could `lock` be placed by `file.lock_owner`?
  /// Answer: the lock that is in the way, or one of type `unlock`.
  /// Errors: EIO.
  /// If not overridden: locks are kept by the kernel, for this machine only.
  /// Since: 7.7.
  virtual Reply<Lock> getlk(const Context& context, Ino ino, const OpenFile& file, Lock lock) {
    return forward(&FileSystem::getlk, context, ino, file, lock);
  }

  /// Asked when: fcntl(F_SETLK, F_SETLKW) and flock(2).
  /// Arguments: `wait`: answer when the lock is yours, and give up with EINTR when interrupted.
  /// Answer: nothing.
  /// Errors: EAGAIN (held by somebody else and not `wait`), EINTR, EDEADLK, ENOLCK.
  /// If not overridden: locks are kept by the kernel, for this machine only.
  /// Since: 7.7 (flock 7.17).
  virtual Reply<void> setlk(const Context& context, Ino ino, const OpenFile& file, Lock lock, bool wait) {
    return forward(&FileSystem::setlk, context, ino, file, lock, wait);
  }

  /// Asked when: access(2), chdir(2); not with `default_permissions`.
  /// Arguments: `mask` of R_OK, W_OK, X_OK, or F_OK.
  /// Answer: nothing: allowed.
  /// Errors: EACCES.
  /// If not overridden: allowed, and the kernel stops asking.
  /// Since: 7.3.
  virtual Reply<void> access(const Context& context, Ino ino, int mask) {
    return forward(&FileSystem::access, context, ino, mask);
  }

  /// Asked when: open(2) with O_CREAT of a name that does not exist.
  /// Arguments: `mode` with S_IFREG; the umask is already applied unless `dont_mask` is on.
  /// Answer: the new entry (one lookup) and its open file.
  /// Errors: EEXIST (with O_EXCL), ENOSPC.
  /// If not overridden: mknod and open are asked instead.
  /// Since: 7.3.
  virtual Reply<Created> create(const Context& context, Ino parent, std::string_view name, mode_t mode,
                                OpenFlags flags) {
    return forward(&FileSystem::create, context, parent, name, mode, flags);
  }

  /// Asked when: ioctl(FIBMAP); only on `blkdev` mounts.
  /// Arguments: `block` within the file, in units of `block_size`.
  /// Answer: the block of the device.
  /// Errors: EINVAL.
  /// If not overridden: ENOSYS to the caller.
  /// Since: 7.8.
  virtual Reply<std::uint64_t> bmap(const Context& context, Ino ino, std::uint32_t block_size, std::uint64_t block) {
    return forward(&FileSystem::bmap, context, ino, block_size, block);
  }

  /// Asked when: ioctl(2).
  /// Arguments: restricted: data as the command's own size and direction say.
  /// Answer: the result and the output.
  /// Errors: ENOTTY (not known here).
  /// If not overridden: ENOTTY to the caller.
  /// Since: 7.11 (directories 7.18).
  virtual Reply<IoctlReply> ioctl(const Context& context, Ino ino, const OpenFile& file, const IoctlCall& call) {
    return forward(&FileSystem::ioctl, context, ino, file, call);
  }

  /// Asked when: poll(2), select(2), epoll.
  /// Arguments: `events` waited for (since 7.21); if `wake` is not 0, call `Notifier::poll(wake)` once something
  ///   becomes ready. One call settles all earlier ones.
  /// Answer: the events that are ready now.
  /// Errors: EIO.
  /// If not overridden: always ready, and the kernel stops asking.
  /// Since: 7.11.
  virtual Reply<std::uint32_t> poll(const Context& context, Ino ino, const OpenFile& file, std::uint32_t events,
                                    PollHandle wake) {
    return forward(&FileSystem::poll, context, ino, file, events, wake);
  }

  /// Asked when: fallocate(2).
  /// Arguments: `mode` of FALLOC_FL_*.
  /// Answer: nothing; later writes to the range do not fail for lack of space.
  /// Errors: EOPNOTSUPP (a mode not known here), ENOSPC, EFBIG.
  /// If not overridden: EOPNOTSUPP, and the kernel stops asking.
  /// Since: 7.19.
  virtual Reply<void> fallocate(const Context& context, Ino ino, const OpenFile& file, int mode, std::uint64_t offset,
                                std::uint64_t length) {
    return forward(&FileSystem::fallocate, context, ino, file, mode, offset, length);
  }

  /// Asked when: lseek(2) with SEEK_DATA or SEEK_HOLE; never with the writeback cache, where the kernel may know of
  ///   data that has not been written yet.
  /// Answer: the offset found.
  /// Errors: ENXIO (nothing from there on).
  /// If not overridden: the whole file is data, and the kernel stops asking.
  /// Since: 7.24.
  virtual Reply<std::uint64_t> lseek(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                                     int whence) {
    return forward(&FileSystem::lseek, context, ino, file, offset, whence);
  }

  /// Asked when: copy_file_range(2) within this mount.
  /// Arguments: `flags` is 0 so far.
  /// Answer: how many bytes were copied; fewer is fine.
  /// Errors: EXDEV, EOPNOTSUPP (the kernel copies by itself).
  /// If not overridden: the kernel copies by reading and writing, and stops asking.
  /// Since: 7.28 (more than 4 GiB at once 7.45).
  virtual Reply<std::uint64_t> copy_file_range(const Context& context, Ino ino, const OpenFile& file,
                                               std::uint64_t offset, Ino target_ino, const OpenFile& target,
                                               std::uint64_t target_offset, std::uint64_t length, std::uint64_t flags) {
    return forward(&FileSystem::copy_file_range, context, ino, file, offset, target_ino, target, target_offset, length,
                   flags);
  }

  /// Asked when: a page of a DAX file is touched; virtiofs only.
  /// Answer: nothing.
  /// Errors: EINVAL.
  /// If not overridden: ENOSYS.
  /// Since: 7.31.
  virtual Reply<void> setupmapping(const Context& context, Ino ino, const OpenFile& file, Mapping mapping) {
    return forward(&FileSystem::setupmapping, context, ino, file, mapping);
  }

  /// Asked when: the window is needed elsewhere; virtiofs only.
  /// Answer: nothing.
  /// Errors: EINVAL.
  /// If not overridden: ENOSYS.
  /// Since: 7.31.
  virtual Reply<void> removemapping(const Context& context, Ino ino, std::span<const WindowRange> ranges) {
    return forward(&FileSystem::removemapping, context, ino, ranges);
  }

  /// Asked when: syncfs(2); virtiofs and `blkdev` mounts.
  /// Arguments: `ino` the root of the mount.
  /// Answer: nothing, once everything is safe.
  /// Errors: EIO.
  /// If not overridden: success, and the kernel stops asking.
  /// Since: 7.34.
  virtual Reply<void> syncfs(const Context& context, Ino ino) { return forward(&FileSystem::syncfs, context, ino); }

  /// Asked when: open(2) with O_TMPFILE.
  /// Arguments: a file without a name; `link` may give it one unless `flags.exclusive()`.
  /// Answer: the new entry (one lookup, nlink 0) and its open file.
  /// Errors: EOPNOTSUPP, ENOSPC.
  /// If not overridden: EOPNOTSUPP, and the kernel stops asking.
  /// Since: 7.37.
  virtual Reply<Created> tmpfile(const Context& context, Ino parent, mode_t mode, OpenFlags flags) {
    return forward(&FileSystem::tmpfile, context, parent, mode, flags);
  }

 protected:
  /// For `Layer`: every operation that is not overridden goes to `inner`.
  explicit FileSystem(const FileSystemRef& inner) noexcept;

 private:
  friend class FileSystemRef;
  friend class Layer;

  template <class Answer, class... Parameters, class... Arguments>
  Answer forward(Answer (FileSystem::*operation)(Parameters...), Arguments&&... arguments) {
    if (inner_ == nullptr) return Error{ENOSYS};
    return (inner_->*operation)(std::forward<Arguments>(arguments)...);
  }

  FileSystem* inner_ = nullptr;
  OperationSet inner_operations_;
};

}  // namespace fuselage

#include <fuselage/detail/operations.hpp>  // generated from the operation table: needs FileSystem, gives its members' names

namespace fuselage {

/// The operations that `T` overrides, found from the classes that declare its members.
template <std::derived_from<FileSystem> T>
constexpr OperationSet operations_of() noexcept {
  static_assert(!std::is_same_v<T, FileSystem>,
                "name the concrete class: what a file system overrides is read off its static type");
  return detail::overridden<T, FileSystem>();
}

/// A file system and what it implements; made from any class that derives from `FileSystem`. Refers, does not own.
class FileSystemRef {
 public:
  template <std::derived_from<FileSystem> T>
  FileSystemRef(T& file_system) noexcept  // NOLINT: a file system is what is referred to
      : file_system_(&file_system), operations_(operations_of<T>() | file_system.FileSystem::inner_operations_) {}

  /// From what is a file system of another kind, for which `as_file_system` is declared beside it.
  template <class T>
  requires(!std::derived_from<T, FileSystem> &&
           requires(T & t) {
             { as_file_system(t) } -> std::same_as<FileSystemRef>;
           }) FileSystemRef(T& other)  // NOLINT: a file system is what is referred to
      : FileSystemRef(as_file_system(other)) {}

  /// One that implements `operations` and goes with the last copy of this.
  FileSystemRef(std::shared_ptr<FileSystem> owned, OperationSet operations) noexcept
      : file_system_(owned.get()), operations_(operations), owned_(std::move(owned)) {}

  FileSystem& file_system() const noexcept { return *file_system_; }
  OperationSet operations() const noexcept { return operations_; }

 private:
  FileSystem* file_system_;
  OperationSet operations_;
  std::shared_ptr<FileSystem> owned_;
};

inline FileSystem::FileSystem(const FileSystemRef& inner) noexcept
    : inner_(&inner.file_system()), inner_operations_(inner.operations()) {}

/// A file system on top of another: forwards everything; override what you change, and call the inner one for the rest.
///
///   class ReadOnly : public Layer {
///    public:
///     using Layer::Layer;
///     Reply<std::size_t> write(const Context&, Ino, const OpenFile&, std::uint64_t, Bytes, WriteFlags) override {
///       return Error{EROFS};
///     }
///   };
///
/// The inner file system must outlive the layer. Layers stack.
class Layer : public FileSystem {
 public:
  explicit Layer(const FileSystemRef& inner) noexcept : FileSystem(inner) {}

 protected:
  FileSystem& inner() const noexcept { return *inner_; }
};

}  // namespace fuselage

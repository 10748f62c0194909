#include "capi/v2/high_level.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "capi/v2/context.hpp"
#include "capi/v2/convert.hpp"
#include "capi/v2/low_level.hpp"

namespace fuselage::capi2 {
namespace {

constexpr std::size_t longest_xattr = 65536;  // XATTR_SIZE_MAX and XATTR_LIST_MAX of the kernel
constexpr std::size_t link_buffer = 4096;     // the longest target, and a NUL

// What a result says that is no success. One that is positive is the mistake of an errno without its sign.
Error failure(const char* operation, ssize_t result) {
  if (result < 0 && result >= -highest_errno) return Error{static_cast<int>(-result)};
  complain("{} returned {}: neither 0 nor a negative errno", operation, result);
  return Error{ERANGE};
}

Result<void> outcome(const char* operation, int result) {
  if (result == 0) return {};
  return failure(operation, result);
}

// What the program gave for read_buf is the library's to free.
void release(fuse_bufvec* vector) {
  if (vector == nullptr) return;
  for (std::size_t i = 0; i < vector->count; ++i) {
    if ((vector->buf[i].flags & FUSE_BUF_IS_FD) == 0) std::free(vector->buf[i].mem);
  }
  std::free(vector);
}

int fill(void* buffer, const char* name, const struct stat* status, off_t off) noexcept try {
  auto& sink = *static_cast<PathDirectorySink*>(buffer);
  const FileType type = status != nullptr ? file_type(status->st_mode) : FileType::unknown;
  const Ino ino = status != nullptr ? Ino{status->st_ino} : Ino{};
  return sink.add(name, type, ino, static_cast<std::uint64_t>(off)) ? 0 : 1;
} catch (...) {
  return 1;  // no memory; the program above does not know exceptions
}

// `intr`: system calls of a handler fail with EINTR when its caller is interrupted.
void prepare_interrupts(int number) {
  static thread_local bool done = false;
  if (std::exchange(done, true)) return;
  ::sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, number);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace

// Makes the thread one that runs an operation.
class HighLevel::Asking {
 public:
  Asking(const HighLevel& level, const Context& context) : before_(current()) {
    current() = {{level.owner_, context.uid, context.gid, context.pid, level.fs_->user_data, context.umask}, &context};
    if (level.options_.interrupt_signal == 0) return;
    prepare_interrupts(level.options_.interrupt_signal);
    interrupt_.emplace(context.stop_token(),
                       [this, thread = ::pthread_self(), number = level.options_.interrupt_signal] {
                         ::pthread_kill(thread, number);
                         remind(thread, number);
                       });
  }
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;
  ~Asking() {
    interrupt_.reset();
    reminder_ = {};
    current() = before_;
  }

 private:
  // Once a second: a signal that comes right before the handler's system call is lost.
  void remind(::pthread_t thread, int number) noexcept try {
    reminder_ = std::jthread([thread, number](const std::stop_token& done) {
      std::mutex mutex;
      std::condition_variable_any wake;
      std::unique_lock lock(mutex);
      while (!wake.wait_for(lock, done, std::chrono::seconds(1), [&done] { return done.stop_requested(); })) {
        ::pthread_kill(thread, number);
      }
    });
  } catch (...) {
    complain("no thread to repeat the interrupt: {}", error_of_current_exception().message());
  }

  Current before_;
  std::jthread reminder_;
  std::optional<std::stop_callback<std::function<void()>>> interrupt_;
};

HighLevel::HighLevel(struct fuse* owner, const HighLevelOptions& options, fuse_fs* fs)
    : ServedSession(options.low),
      owner_(owner),
      options_(options),
      fs_(fs),
      nullpath_ok_(fs->ops.flag_nullpath_ok != 0 || fs->ops.flag_nopath != 0) {}

HighLevel::~HighLevel() {
  end();
  const Asking asking(*this, Context(0, 0, 0));
  if (begun_) {
    fuse_fs_destroy(fs_);
  } else {
    discard(fs_);
  }
}

OperationSet HighLevel::implemented() const {
  namespace all = operations;
  const fuse_operations& ops = fs_->ops;
  // What is answered ENOSYS each time where the program has nothing.
  OperationSet set = all::getattr | all::setattr | all::readlink | all::mknod | all::mkdir | all::unlink | all::rmdir |
                     all::symlink | all::rename | all::link | all::read | all::write | all::readdir | all::statfs;
  const auto have = [&set](bool is_there, OperationSet operation) {
    if (is_there) set = set | operation;
  };
  const bool posix = ops.lock != nullptr && options_.low.no_remote_posix_lock == 0;
  const bool flock = ops.flock != nullptr && options_.low.no_remote_flock == 0;
  have(ops.open, all::open), have(ops.release, all::release), have(ops.opendir, all::opendir);
  have(ops.releasedir, all::releasedir), have(ops.flush || posix, all::flush), have(ops.fsync, all::fsync);
  have(ops.fsyncdir, all::fsyncdir), have(ops.setxattr, all::setxattr), have(ops.getxattr, all::getxattr);
  have(ops.listxattr, all::listxattr), have(ops.removexattr, all::removexattr), have(ops.access, all::access);
  have(ops.create, all::create), have(posix, all::getlk), have(posix || flock, all::setlk);
  have(ops.bmap, all::bmap), have(ops.ioctl, all::ioctl), have(ops.poll, all::poll);
  have(ops.fallocate, all::fallocate);
  return set;
}

FileSystemRef HighLevel::file_system() {
  PathOptions options = options_.path;
  // Whatever the options say, a program gets paths unless it can take none, and has what is asked without one.
  const bool can_do_without = nullpath_ok_ && fs_->ops.fgetattr != nullptr && fs_->ops.ftruncate != nullptr;
  options.omit_paths = (options.omit_paths || fs_->ops.flag_nopath != 0) && can_do_without;
  return by_path(PathFileSystemRef(*this, implemented()), options);
}

Result<void> HighLevel::init(PathSetup& setup) {
  notifier = setup.negotiation.notifier;
  fuse_conn_info info = connection_of(setup.negotiation, options_.low);
  info.want |= FUSE_CAP_EXPORT_SUPPORT & info.capable;
  if (fs_->ops.lock != nullptr && options_.low.no_remote_posix_lock == 0) {
    info.want |= FUSE_CAP_POSIX_LOCKS & info.capable;
  }
  if (fs_->ops.flock != nullptr && options_.low.no_remote_flock == 0) info.want |= FUSE_CAP_FLOCK_LOCKS & info.capable;
  if (fs_->ops.ioctl != nullptr) info.want |= FUSE_CAP_IOCTL_DIR & info.capable;
  const Asking asking(*this, Context(0, 0, 0));
  begun_ = true;
  fuse_fs_init(fs_, &info);
  apply(info, setup.negotiation);
  return {};
}

// The program's destroy() is called when fuse_destroy is, whether there was a connection or not.
void HighLevel::destroy() {}

Reply<Attributes> HighLevel::status_of(const char* path, fuse_file_info* info) const {
  struct stat status {};
  const int result = info != nullptr ? fuse_fs_fgetattr(fs_, path, &status, info) : fuse_fs_getattr(fs_, path, &status);
  if (const auto done = outcome("getattr", result); !done) return done.error();
  return attributes_of(status);
}

Reply<Attributes> HighLevel::getattr(const Context& context, Path path, const OpenFile* file) {
  if (!has_path_for(path)) return Error{ENOENT};
  const Asking asking(*this, context);
  fuse_file_info info = info_of(file != nullptr ? *file : OpenFile{});
  return status_of(or_null(path), file != nullptr ? &info : nullptr);
}

// Without `flag_utime_omit_ok` a program only hears of calls that set both times.
int HighLevel::change_times(const char* path, const SetAttributes& changes) const {
  const bool special = fs_->ops.flag_utime_omit_ok != 0;
  if (!special && (!changes.atime || !changes.mtime)) return 0;
  const auto time = [special](const std::optional<Timestamp>& value, bool now) {
    if (special && !value) return ::timespec{0, UTIME_OMIT};
    if (special && now) return ::timespec{0, UTIME_NOW};
    return value->to_timespec();
  };
  const ::timespec times[2] = {time(changes.atime, changes.atime_now), time(changes.mtime, changes.mtime_now)};
  return fuse_fs_utimens(fs_, path, times);
}

int HighLevel::change(const char* path, const SetAttributes& changes, fuse_file_info* info) const {
  int result = 0;
  const bool only_size = !changes.mode && !changes.uid && !changes.gid;
  if (path == nullptr && !(only_size && info != nullptr)) return -ENOENT;
  if (changes.mode) result = fuse_fs_chmod(fs_, path, *changes.mode);
  if (result == 0 && (changes.uid || changes.gid)) {
    result = fuse_fs_chown(fs_, path, changes.uid.value_or(static_cast<uid_t>(-1)),
                           changes.gid.value_or(static_cast<gid_t>(-1)));
  }
  if (result == 0 && changes.size) {
    const auto size = static_cast<off_t>(*changes.size);
    result = info != nullptr ? fuse_fs_ftruncate(fs_, path, size, info) : fuse_fs_truncate(fs_, path, size);
  }
  if (result == 0 && (changes.atime || changes.mtime)) {
    result = path != nullptr ? change_times(path, changes) : -ENOENT;
  }
  return result;
}

Reply<Attributes> HighLevel::setattr(const Context& context, Path path, const SetAttributes& changes,
                                     const OpenFile* file) {
  if (!has_path_for(path)) return Error{ENOENT};
  const Asking asking(*this, context);
  fuse_file_info info = info_of(file != nullptr ? *file : OpenFile{});
  fuse_file_info* const open = file != nullptr ? &info : nullptr;
  if (const auto done = outcome("chmod, chown, truncate or utimens", change(or_null(path), changes, open)); !done) {
    return done.error();
  }
  return status_of(or_null(path), open);
}

Reply<std::string> HighLevel::readlink(const Context& context, Path path) {
  const Asking asking(*this, context);
  std::vector<char> target(link_buffer + 1);
  if (const auto done = outcome("readlink", fuse_fs_readlink(fs_, path.c_str(), target.data(), target.size())); !done) {
    return done.error();
  }
  return std::string(target.data(), ::strnlen(target.data(), target.size()));
}

Reply<Attributes> HighLevel::mknod(const Context& context, Path path, mode_t mode, dev_t rdev) {
  const Asking asking(*this, context);
  if (S_ISREG(mode)) {
    fuse_file_info info = info_of({{}, OpenFlags{O_CREAT | O_EXCL | O_WRONLY}, {}});
    const int result = fuse_fs_create(fs_, path.c_str(), mode, &info);
    if (result == 0) {
      Reply<Attributes> status = status_of(path.c_str(), &info);
      static_cast<void>(fuse_fs_release(fs_, path.c_str(), &info));
      return status;
    }
    if (result != -ENOSYS) return outcome("create", result).error();
  }
  if (const auto done = outcome("mknod", fuse_fs_mknod(fs_, path.c_str(), mode, rdev)); !done) return done.error();
  return status_of(path.c_str(), nullptr);
}

Reply<Attributes> HighLevel::mkdir(const Context& context, Path path, mode_t mode) {
  const Asking asking(*this, context);
  if (const auto done = outcome("mkdir", fuse_fs_mkdir(fs_, path.c_str(), mode)); !done) return done.error();
  return status_of(path.c_str(), nullptr);
}

Reply<void> HighLevel::unlink(const Context& context, Path path) {
  const Asking asking(*this, context);
  return outcome("unlink", fuse_fs_unlink(fs_, path.c_str()));
}

Reply<void> HighLevel::rmdir(const Context& context, Path path) {
  const Asking asking(*this, context);
  return outcome("rmdir", fuse_fs_rmdir(fs_, path.c_str()));
}

Reply<Attributes> HighLevel::symlink(const Context& context, Path path, std::string_view target) {
  const Asking asking(*this, context);
  if (const auto done = outcome("symlink", fuse_fs_symlink(fs_, std::string(target).c_str(), path.c_str())); !done) {
    return done.error();
  }
  return status_of(path.c_str(), nullptr);
}

Reply<void> HighLevel::rename(const Context& context, Path path, Path new_path, RenameFlags flags) {
  // There is no way to tell the program.
  if (flags.no_replace || flags.exchange || flags.whiteout) return Error{EINVAL};
  const Asking asking(*this, context);
  return outcome("rename", fuse_fs_rename(fs_, path.c_str(), new_path.c_str()));
}

Reply<Attributes> HighLevel::link(const Context& context, Path path, const OpenFile* /*file*/, Path new_path) {
  if (path.empty()) return Error{ENOENT};
  const Asking asking(*this, context);
  if (const auto done = outcome("link", fuse_fs_link(fs_, path.c_str(), new_path.c_str())); !done) return done.error();
  return status_of(new_path.c_str(), nullptr);
}

Reply<Opened> HighLevel::open(const Context& context, Path path, OpenFlags flags) {
  const Asking asking(*this, context);
  fuse_file_info info = info_of({{}, flags, {}});
  if (const auto done = outcome("open", fuse_fs_open(fs_, path.c_str(), &info)); !done) return done.error();
  return opened_of(info);
}

Reply<Data> HighLevel::read(const Context& context, Path path, const OpenFile& file, Range range) {
  if (!has_path_for(path)) return Error{ENOENT};
  const Asking asking(*this, context);
  fuse_file_info info = info_of(file);
  const auto offset = static_cast<off_t>(range.offset);
  const std::span<std::byte> buffer = context.reply_buffer(range.size);
  ssize_t size = 0;
  if (fs_->ops.read_buf != nullptr) {
    fuse_bufvec* source = nullptr;
    size = fuse_fs_read_buf(fs_, or_null(path), &source, range.size, offset, &info);
    if (size >= 0 && source != nullptr) {
      fuse_bufvec target = FUSE_BUFVEC_INIT(buffer.size());
      target.buf[0].mem = buffer.data();
      size = fuse_buf_copy(&target, source, static_cast<fuse_buf_copy_flags>(0));
    }
    capi2::release(source);
  } else {
    size = fuse_fs_read(fs_, or_null(path), reinterpret_cast<char*>(buffer.data()), buffer.size(), offset, &info);
  }
  if (size < 0) return failure("read", size);
  if (static_cast<std::size_t>(size) > buffer.size()) {
    complain("read gave {} bytes where {} were asked for", size, buffer.size());
    return Error{EIO};
  }
  return Data::borrow(Bytes(buffer.first(static_cast<std::size_t>(size))));
}

Reply<std::size_t> HighLevel::write(const Context& context, Path path, const OpenFile& file, std::uint64_t offset,
                                    Bytes bytes, WriteFlags flags) {
  if (!has_path_for(path)) return Error{ENOENT};
  const Asking asking(*this, context);
  fuse_file_info info = info_of(file);
  info.writepage = flags.from_cache ? 1 : 0;
  fuse_bufvec source = FUSE_BUFVEC_INIT(bytes.size());
  source.buf[0].mem = const_cast<std::byte*>(bytes.data());
  const int size = fuse_fs_write_buf(fs_, or_null(path), &source, static_cast<off_t>(offset), &info);
  if (size < 0) return failure("write", size);
  return static_cast<std::size_t>(size);
}

Reply<StatFs> HighLevel::statfs(const Context& context, Path path) {
  const Asking asking(*this, context);
  struct statvfs status {};
  if (const auto done = outcome("statfs", fuse_fs_statfs(fs_, path.empty() ? "/" : path.c_str(), &status)); !done) {
    return done.error();
  }
  return statfs_of(status);
}

Reply<void> HighLevel::release(const Context& context, Path path, const OpenFile& file, bool flock_unlock) {
  const Asking asking(*this, context);
  fuse_file_info info = info_of(file);
  info.flock_release = flock_unlock ? 1 : 0;
  // It must be called: a program that cannot do without a path gets this one.
  return outcome("release", fuse_fs_release(fs_, has_path_for(path) ? or_null(path) : "-", &info));
}

Reply<void> HighLevel::fsync(const Context& context, Path path, const OpenFile& file, bool data_only) {
  if (!has_path_for(path)) return Error{ENOENT};
  const Asking asking(*this, context);
  fuse_file_info info = info_of(file);
  return outcome("fsync", fuse_fs_fsync(fs_, or_null(path), data_only ? 1 : 0, &info));
}

Reply<void> HighLevel::setxattr(const Context& context, Path path, std::string_view name, Bytes value,
                                XattrFlags flags) {
  if (path.empty()) return Error{ENOENT};
  const Asking asking(*this, context);
  const int how = (flags.create ? XATTR_CREATE : 0) | (flags.replace ? XATTR_REPLACE : 0);
  return outcome("setxattr", fuse_fs_setxattr(fs_, path.c_str(), std::string(name).c_str(),
                                              reinterpret_cast<const char*>(value.data()), value.size(), how));
}

Reply<Data> HighLevel::getxattr(const Context& context, Path path, std::string_view name) {
  if (path.empty()) return Error{ENOENT};
  const Asking asking(*this, context);
  const std::span<std::byte> buffer = context.reply_buffer(longest_xattr);
  const int size = fuse_fs_getxattr(fs_, path.c_str(), std::string(name).c_str(),
                                    reinterpret_cast<char*>(buffer.data()), buffer.size());
  if (size < 0) return failure("getxattr", size);
  if (static_cast<std::size_t>(size) > buffer.size()) return Error{ERANGE};
  return Data::borrow(Bytes(buffer.first(static_cast<std::size_t>(size))));
}

Reply<std::vector<std::string>> HighLevel::listxattr(const Context& context, Path path) {
  if (path.empty()) return Error{ENOENT};
  const Asking asking(*this, context);
  std::vector<char> buffer(longest_xattr);
  const int size = fuse_fs_listxattr(fs_, path.c_str(), buffer.data(), buffer.size());
  if (size < 0) return failure("listxattr", size);
  if (static_cast<std::size_t>(size) > buffer.size()) return Error{ERANGE};
  std::vector<std::string> names;
  for (std::string_view rest(buffer.data(), static_cast<std::size_t>(size)); !rest.empty();) {
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    names.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return names;
}

Reply<void> HighLevel::removexattr(const Context& context, Path path, std::string_view name) {
  if (path.empty()) return Error{ENOENT};
  const Asking asking(*this, context);
  return outcome("removexattr", fuse_fs_removexattr(fs_, path.c_str(), std::string(name).c_str()));
}

Reply<void> HighLevel::flush(const Context& context, Path path, const OpenFile& file) {
  const Asking asking(*this, context);
  fuse_file_info info = info_of(file);
  info.flush = 1;
  int result = fuse_fs_flush(fs_, or_null(path), &info);
  if (fs_->ops.lock != nullptr && options_.low.no_remote_posix_lock == 0) {
    // close(2) drops the locks of its owner, without the kernel saying so.
    struct flock all = flock_of(Lock{});
    static_cast<void>(fuse_fs_lock(fs_, or_null(path), &info, F_SETLK, &all));
    locks_.set(path.node(), file.lock_owner, Lock{});
    if (result == -ENOSYS) result = 0;
  }
  return outcome("flush", result);
}

Reply<Opened> HighLevel::opendir(const Context& context, Path path, OpenFlags flags) {
  const Asking asking(*this, context);
  fuse_file_info info = info_of({{}, flags, {}});
  if (const auto done = outcome("opendir", fuse_fs_opendir(fs_, path.c_str(), &info)); !done) return done.error();
  return opened_of(info);
}

Reply<void> HighLevel::readdir(const Context& context, Path path, const OpenFile& file, std::uint64_t offset,
                               PathDirectorySink& sink) {
  if (!has_path_for(path)) return Error{ENOENT};
  const Asking asking(*this, context);
  fuse_file_info info = info_of(file);
  return outcome("readdir", fuse_fs_readdir(fs_, or_null(path), &sink, fill, static_cast<off_t>(offset), &info));
}

Reply<void> HighLevel::releasedir(const Context& context, Path path, const OpenFile& file) {
  const Asking asking(*this, context);
  fuse_file_info info = info_of(file);
  return outcome("releasedir", fuse_fs_releasedir(fs_, has_path_for(path) ? or_null(path) : "-", &info));
}

Reply<void> HighLevel::fsyncdir(const Context& context, Path path, const OpenFile& file, bool data_only) {
  if (!has_path_for(path)) return Error{ENOENT};
  const Asking asking(*this, context);
  fuse_file_info info = info_of(file);
  return outcome("fsyncdir", fuse_fs_fsyncdir(fs_, or_null(path), data_only ? 1 : 0, &info));
}

// Locks that were granted here are known with the process that holds them, which the program may not know.
Reply<Lock> HighLevel::getlk(const Context& context, Path path, const OpenFile& file, Lock lock) {
  if (const auto conflict = locks_.conflict(path.node(), file.lock_owner, lock)) return *conflict;
  if (!has_path_for(path)) return Error{ENOENT};
  const Asking asking(*this, context);
  fuse_file_info info = info_of(file);
  struct flock asked = flock_of(lock);
  if (const auto done = outcome("lock", fuse_fs_lock(fs_, or_null(path), &info, F_GETLK, &asked)); !done) {
    return done.error();
  }
  return lock_of(asked);
}

Reply<void> HighLevel::setlk(const Context& context, Path path, const OpenFile& file, Lock lock, bool wait) {
  if (lock.flock ? fs_->ops.flock == nullptr : fs_->ops.lock == nullptr) return Error{ENOSYS};
  if (!has_path_for(path)) return Error{ENOENT};
  const Asking asking(*this, context);
  fuse_file_info info = info_of(file);
  if (lock.flock) return outcome("flock", fuse_fs_flock(fs_, or_null(path), &info, flock_operation(lock, wait)));
  struct flock wanted = flock_of(lock);
  wanted.l_pid = context.pid;
  const int result = fuse_fs_lock(fs_, or_null(path), &info, wait ? F_SETLKW : F_SETLK, &wanted);
  lock.pid = context.pid;
  if (result == 0) locks_.set(path.node(), file.lock_owner, lock);
  return outcome("lock", result);
}

Reply<void> HighLevel::access(const Context& context, Path path, int mask) {
  if (path.empty()) return Error{ENOENT};
  const Asking asking(*this, context);
  return outcome("access", fuse_fs_access(fs_, path.c_str(), mask));
}

Reply<CreatedFile> HighLevel::create(const Context& context, Path path, mode_t mode, OpenFlags flags) {
  const Asking asking(*this, context);
  fuse_file_info info = info_of({{}, flags, {}});
  if (const auto done = outcome("create", fuse_fs_create(fs_, path.c_str(), mode, &info)); !done) return done.error();
  Reply<Attributes> status = status_of(path.c_str(), &info);
  const Result<Attributes> attributes = status.take();
  if (!attributes) {
    // It is open, and nobody will close it.
    static_cast<void>(fuse_fs_release(fs_, path.c_str(), &info));
    return attributes.error();
  }
  return CreatedFile{*attributes, opened_of(info)};
}

Reply<std::uint64_t> HighLevel::bmap(const Context& context, Path path, std::uint32_t block_size, std::uint64_t block) {
  if (path.empty()) return Error{ENOENT};
  const Asking asking(*this, context);
  if (const auto done = outcome("bmap", fuse_fs_bmap(fs_, path.c_str(), block_size, &block)); !done) {
    return done.error();
  }
  return block;
}

Reply<IoctlReply> HighLevel::ioctl(const Context& context, Path path, const OpenFile& file, const IoctlCall& call) {
  if (!has_path_for(path)) return Error{ENOENT};
  const Asking asking(*this, context);
  fuse_file_info info = info_of(file);
  std::vector<std::byte> area(std::max(call.input.size(), call.output_size));
  std::copy(call.input.begin(), call.input.end(), area.begin());
  const unsigned flags = (call.compat ? FUSE_IOCTL_COMPAT : 0u) | (call.unrestricted ? FUSE_IOCTL_UNRESTRICTED : 0u) |
                         (call.directory ? FUSE_IOCTL_DIR : 0u);
  const int result =
      fuse_fs_ioctl(fs_, or_null(path), static_cast<int>(call.command), reinterpret_cast<void*>(call.argument), &info,
                    flags, area.empty() ? nullptr : area.data());
  if (result < 0) return failure("ioctl", result);
  IoctlReply reply;
  reply.result = result;
  area.resize(call.output_size);
  reply.output = Data::own(std::move(area));
  return reply;
}

Reply<std::uint32_t> HighLevel::poll(const Context& context, Path path, const OpenFile& file, std::uint32_t /*events*/,
                                     PollHandle wake) {
  if (!has_path_for(path)) return Error{ENOENT};
  const Asking asking(*this, context);
  fuse_file_info info = info_of(file);
  auto* const handle = wake != PollHandle{} ? new fuse_pollhandle{notifier.synchronous(), wake} : nullptr;
  unsigned events = 0;
  if (const auto done = outcome("poll", fuse_fs_poll(fs_, or_null(path), &info, handle, &events)); !done) {
    return done.error();
  }
  return events;
}

Reply<void> HighLevel::fallocate(const Context& context, Path path, const OpenFile& file, int mode,
                                 std::uint64_t offset, std::uint64_t length) {
  if (!has_path_for(path)) return Error{ENOENT};
  const Asking asking(*this, context);
  fuse_file_info info = info_of(file);
  return outcome("fallocate", fuse_fs_fallocate(fs_, or_null(path), mode, static_cast<off_t>(offset),
                                                static_cast<off_t>(length), &info));
}

}  // namespace fuselage::capi2

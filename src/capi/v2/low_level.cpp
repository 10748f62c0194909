#include "capi/v2/low_level.hpp"

#include <sys/file.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cstring>

#include "capi/v2/convert.hpp"
#include "capi/v2/dirents.hpp"

namespace fuselage::capi2 {
namespace {

constexpr std::size_t longest_xattr = 65536;  // XATTR_SIZE_MAX and XATTR_LIST_MAX of the kernel

// What the kernel asks for when readdir(3) does. Where it has less room it asks again for what did not fit.
constexpr std::size_t listing_size = 32768;

// The kernel ends every name with NUL in the message itself.
const char* c_str(std::string_view name) { return name.data(); }

fuse_ino_t number(Ino ino) { return static_cast<fuse_ino_t>(ino); }

OperationSet operations_of(const fuse_lowlevel_ops& ops) {
  namespace all = operations;
  OperationSet set = all::forget;
  const auto have = [&set](bool is_there, OperationSet operation) {
    if (is_there) set = set | operation;
  };
  have(ops.lookup, all::lookup), have(ops.getattr, all::getattr), have(ops.setattr, all::setattr);
  have(ops.readlink, all::readlink), have(ops.mknod, all::mknod), have(ops.mkdir, all::mkdir);
  have(ops.unlink, all::unlink), have(ops.rmdir, all::rmdir), have(ops.symlink, all::symlink);
  have(ops.rename, all::rename), have(ops.link, all::link), have(ops.open, all::open), have(ops.read, all::read);
  have(ops.write || ops.write_buf, all::write), have(ops.flush, all::flush), have(ops.release, all::release);
  have(ops.fsync, all::fsync), have(ops.opendir, all::opendir), have(ops.readdir, all::readdir);
  have(ops.releasedir, all::releasedir), have(ops.fsyncdir, all::fsyncdir), have(ops.statfs, all::statfs);
  have(ops.setxattr, all::setxattr), have(ops.getxattr, all::getxattr), have(ops.listxattr, all::listxattr);
  have(ops.removexattr, all::removexattr), have(ops.access, all::access), have(ops.create, all::create);
  have(ops.getlk, all::getlk), have(ops.setlk || ops.flock, all::setlk), have(ops.bmap, all::bmap);
  have(ops.ioctl, all::ioctl), have(ops.poll, all::poll), have(ops.fallocate, all::fallocate);
  return set;
}

// The listing that the program has packed goes into the sink.
Result<void> list(Result<Data> packed, DirectorySink& sink) {
  if (!packed) return packed.error();
  unpack(packed->bytes(), sink);
  return {};
}

Reply<void> list_later(Reply<Data> packed, DirectorySink& sink) {
  Result<Data> there = co_await packed;
  co_return list(std::move(there), sink);
}

Result<std::vector<std::string>> split(Result<Data> list) {
  if (!list) return list.error();
  std::vector<std::string> names;
  for (std::string_view rest = text_of(list->bytes()); !rest.empty();) {
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    names.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return names;
}

Reply<std::vector<std::string>> split_later(Reply<Data> list) {
  Result<Data> there = co_await list;
  co_return split(std::move(there));
}

}  // namespace

LowLevel::LowLevel(const LowLevelOptions& options, const fuse_lowlevel_ops& ops, void* user_data)
    : ServedSession(options), ops_(ops), user_data_(user_data) {}

FileSystemRef LowLevel::file_system() {
  OperationSet set = operations_of(ops_);
  // Locks are the kernel's unless both questions are answered here.
  const bool posix = ops_.getlk != nullptr && ops_.setlk != nullptr && options().no_remote_posix_lock == 0;
  const bool flock = ops_.flock != nullptr && options().no_remote_flock == 0;
  if (!posix && !flock) set = OperationSet(set.bits() & ~(operations::getlk | operations::setlk).bits());
  return {std::shared_ptr<FileSystem>(std::shared_ptr<void>(), this), set};
}

Result<void> LowLevel::init(Negotiation& negotiation) {
  notifier = negotiation.notifier;
  fuse_conn_info info = connection_of(negotiation, options());
  if (ops_.getlk != nullptr && ops_.setlk != nullptr && options().no_remote_posix_lock == 0) {
    info.want |= FUSE_CAP_POSIX_LOCKS & info.capable;
  }
  if (ops_.flock != nullptr && options().no_remote_flock == 0) info.want |= FUSE_CAP_FLOCK_LOCKS & info.capable;
  if (ops_.ioctl != nullptr) info.want |= FUSE_CAP_IOCTL_DIR & info.capable;
  if (ops_.init != nullptr) ops_.init(user_data_, &info);
  apply(info, negotiation);
  return {};
}

void LowLevel::destroy() {
  if (ops_.destroy != nullptr) ops_.destroy(user_data_);
}

Reply<Entry> LowLevel::lookup(const Context& context, Ino parent, std::string_view name) {
  return ask<Entry>(context, [&](fuse_req_t req) { ops_.lookup(req, number(parent), c_str(name)); });
}

void LowLevel::forget(Ino ino, std::uint64_t count) {
  static const Context nobody;
  if (ops_.forget != nullptr) {
    static_cast<void>(ask<void>(nobody, [&](fuse_req_t req) { ops_.forget(req, number(ino), count); }));
  } else if (ops_.forget_multi != nullptr) {
    fuse_forget_data one{number(ino), count};
    static_cast<void>(ask<void>(nobody, [&](fuse_req_t req) { ops_.forget_multi(req, 1, &one); }));
  }
}

Reply<Attributes> LowLevel::getattr(const Context& context, Ino ino, const OpenFile* file) {
  fuse_file_info info = info_of(file != nullptr ? *file : OpenFile{});
  return ask<Attributes>(context,
                         [&](fuse_req_t req) { ops_.getattr(req, number(ino), file != nullptr ? &info : nullptr); });
}

Reply<Attributes> LowLevel::setattr(const Context& context, Ino ino, const SetAttributes& changes,
                                    const OpenFile* file) {
  Attributes wanted;
  int set = 0;
  const auto take = [&set](auto& target, const auto& value, int flag) {
    if (!value) return;
    target = *value;
    set |= flag;
  };
  take(wanted.mode, changes.mode, FUSE_SET_ATTR_MODE);
  take(wanted.uid, changes.uid, FUSE_SET_ATTR_UID);
  take(wanted.gid, changes.gid, FUSE_SET_ATTR_GID);
  take(wanted.size, changes.size, FUSE_SET_ATTR_SIZE);
  take(wanted.atime, changes.atime, FUSE_SET_ATTR_ATIME | (changes.atime_now ? FUSE_SET_ATTR_ATIME_NOW : 0));
  take(wanted.mtime, changes.mtime, FUSE_SET_ATTR_MTIME | (changes.mtime_now ? FUSE_SET_ATTR_MTIME_NOW : 0));
  struct stat status = stat_of(wanted);
  fuse_file_info info = info_of(file != nullptr ? *file : OpenFile{});
  return ask<Attributes>(context, [&](fuse_req_t req) {
    ops_.setattr(req, number(ino), &status, set, file != nullptr ? &info : nullptr);
  });
}

Reply<std::string> LowLevel::readlink(const Context& context, Ino ino) {
  return ask<std::string>(context, [&](fuse_req_t req) { ops_.readlink(req, number(ino)); });
}

Reply<Entry> LowLevel::mknod(const Context& context, Ino parent, std::string_view name, mode_t mode, dev_t rdev) {
  return ask<Entry>(context, [&](fuse_req_t req) { ops_.mknod(req, number(parent), c_str(name), mode, rdev); });
}

Reply<Entry> LowLevel::mkdir(const Context& context, Ino parent, std::string_view name, mode_t mode) {
  return ask<Entry>(context, [&](fuse_req_t req) { ops_.mkdir(req, number(parent), c_str(name), mode); });
}

Reply<void> LowLevel::unlink(const Context& context, Ino parent, std::string_view name) {
  return ask<void>(context, [&](fuse_req_t req) { ops_.unlink(req, number(parent), c_str(name)); });
}

Reply<void> LowLevel::rmdir(const Context& context, Ino parent, std::string_view name) {
  return ask<void>(context, [&](fuse_req_t req) { ops_.rmdir(req, number(parent), c_str(name)); });
}

Reply<Entry> LowLevel::symlink(const Context& context, Ino parent, std::string_view name, std::string_view target) {
  return ask<Entry>(context, [&](fuse_req_t req) { ops_.symlink(req, c_str(target), number(parent), c_str(name)); });
}

Reply<void> LowLevel::rename(const Context& context, Ino parent, std::string_view name, Ino new_parent,
                             std::string_view new_name, RenameFlags flags) {
  // There is no way to tell the handler.
  if (flags.no_replace || flags.exchange || flags.whiteout) return Error{EINVAL};
  return ask<void>(context, [&](fuse_req_t req) {
    ops_.rename(req, number(parent), c_str(name), number(new_parent), c_str(new_name));
  });
}

Reply<Entry> LowLevel::link(const Context& context, Ino ino, Ino new_parent, std::string_view new_name) {
  return ask<Entry>(context, [&](fuse_req_t req) { ops_.link(req, number(ino), number(new_parent), c_str(new_name)); });
}

Reply<Opened> LowLevel::open(const Context& context, Ino ino, OpenFlags flags) {
  fuse_file_info info = info_of({{}, flags, {}});
  return ask<Opened>(context, [&](fuse_req_t req) { ops_.open(req, number(ino), &info); });
}

Reply<Data> LowLevel::read(const Context& context, Ino ino, const OpenFile& file, Range range) {
  fuse_file_info info = info_of(file);
  return ask<Data>(context, [&](fuse_req_t req) {
    ops_.read(req, number(ino), range.size, static_cast<off_t>(range.offset), &info);
  });
}

Reply<std::size_t> LowLevel::write(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                                   Bytes bytes, WriteFlags flags) {
  fuse_file_info info = info_of(file);
  info.writepage = flags.from_cache ? 1 : 0;
  return ask<std::size_t>(context, [&](fuse_req_t req) {
    if (ops_.write_buf != nullptr) {
      fuse_bufvec vector = FUSE_BUFVEC_INIT(bytes.size());
      vector.buf[0].mem = const_cast<std::byte*>(bytes.data());
      ops_.write_buf(req, number(ino), &vector, static_cast<off_t>(offset), &info);
    } else {
      ops_.write(req, number(ino), reinterpret_cast<const char*>(bytes.data()), bytes.size(),
                 static_cast<off_t>(offset), &info);
    }
  });
}

Reply<StatFs> LowLevel::statfs(const Context& context, Ino ino) {
  return ask<StatFs>(context, [&](fuse_req_t req) { ops_.statfs(req, number(ino)); });
}

Reply<void> LowLevel::release(const Context& context, Ino ino, const OpenFile& file, bool flock_unlock) {
  fuse_file_info info = info_of(file);
  info.flock_release = flock_unlock ? 1 : 0;
  return ask<void>(context, [&](fuse_req_t req) { ops_.release(req, number(ino), &info); });
}

Reply<void> LowLevel::fsync(const Context& context, Ino ino, const OpenFile& file, bool data_only) {
  fuse_file_info info = info_of(file);
  return ask<void>(context, [&](fuse_req_t req) { ops_.fsync(req, number(ino), data_only ? 1 : 0, &info); });
}

Reply<void> LowLevel::setxattr(const Context& context, Ino ino, std::string_view name, Bytes value, XattrFlags flags) {
  const int how = (flags.create ? XATTR_CREATE : 0) | (flags.replace ? XATTR_REPLACE : 0);
  return ask<void>(context, [&](fuse_req_t req) {
    ops_.setxattr(req, number(ino), c_str(name), reinterpret_cast<const char*>(value.data()), value.size(), how);
  });
}

// Values and lists are always asked for in full: how large they are, and ERANGE, the library sees by itself.
Reply<Data> LowLevel::getxattr(const Context& context, Ino ino, std::string_view name) {
  return ask<Data>(context, [&](fuse_req_t req) { ops_.getxattr(req, number(ino), c_str(name), longest_xattr); });
}

Reply<std::vector<std::string>> LowLevel::listxattr(const Context& context, Ino ino) {
  Reply<Data> reply = ask<Data>(context, [&](fuse_req_t req) { ops_.listxattr(req, number(ino), longest_xattr); });
  if (!reply.ready()) return split_later(std::move(reply));
  return split(reply.take());
}

Reply<void> LowLevel::removexattr(const Context& context, Ino ino, std::string_view name) {
  return ask<void>(context, [&](fuse_req_t req) { ops_.removexattr(req, number(ino), c_str(name)); });
}

Reply<void> LowLevel::flush(const Context& context, Ino ino, const OpenFile& file) {
  fuse_file_info info = info_of(file);
  info.flush = 1;
  return ask<void>(context, [&](fuse_req_t req) { ops_.flush(req, number(ino), &info); });
}

Reply<Opened> LowLevel::opendir(const Context& context, Ino ino, OpenFlags flags) {
  fuse_file_info info = info_of({{}, flags, {}});
  return ask<Opened>(context, [&](fuse_req_t req) { ops_.opendir(req, number(ino), &info); });
}

Reply<void> LowLevel::readdir(const Context& context, Ino ino, const OpenFile& file, std::uint64_t offset,
                              DirectorySink& sink) {
  fuse_file_info info = info_of(file);
  Reply<Data> reply = ask<Data>(context, [&](fuse_req_t req) {
    ops_.readdir(req, number(ino), listing_size, static_cast<off_t>(offset), &info);
  });
  if (!reply.ready()) return list_later(std::move(reply), sink);
  return list(reply.take(), sink);
}

Reply<void> LowLevel::releasedir(const Context& context, Ino ino, const OpenFile& file) {
  fuse_file_info info = info_of(file);
  return ask<void>(context, [&](fuse_req_t req) { ops_.releasedir(req, number(ino), &info); });
}

Reply<void> LowLevel::fsyncdir(const Context& context, Ino ino, const OpenFile& file, bool data_only) {
  fuse_file_info info = info_of(file);
  return ask<void>(context, [&](fuse_req_t req) { ops_.fsyncdir(req, number(ino), data_only ? 1 : 0, &info); });
}

Reply<Lock> LowLevel::getlk(const Context& context, Ino ino, const OpenFile& file, Lock lock) {
  fuse_file_info info = info_of(file);
  struct flock asked = flock_of(lock);
  return ask<Lock>(context, [&](fuse_req_t req) { ops_.getlk(req, number(ino), &info, &asked); });
}

Reply<void> LowLevel::setlk(const Context& context, Ino ino, const OpenFile& file, Lock lock, bool wait) {
  fuse_file_info info = info_of(file);
  if (lock.flock ? ops_.flock == nullptr : ops_.setlk == nullptr) return Error{ENOSYS};
  if (lock.flock) {
    return ask<void>(context,
                     [&](fuse_req_t req) { ops_.flock(req, number(ino), &info, flock_operation(lock, wait)); });
  }
  struct flock wanted = flock_of(lock);
  return ask<void>(context, [&](fuse_req_t req) { ops_.setlk(req, number(ino), &info, &wanted, wait ? 1 : 0); });
}

Reply<void> LowLevel::access(const Context& context, Ino ino, int mask) {
  return ask<void>(context, [&](fuse_req_t req) { ops_.access(req, number(ino), mask); });
}

Reply<Created> LowLevel::create(const Context& context, Ino parent, std::string_view name, mode_t mode,
                                OpenFlags flags) {
  fuse_file_info info = info_of({{}, flags, {}});
  return ask<Created>(context, [&](fuse_req_t req) { ops_.create(req, number(parent), c_str(name), mode, &info); });
}

Reply<std::uint64_t> LowLevel::bmap(const Context& context, Ino ino, std::uint32_t block_size, std::uint64_t block) {
  return ask<std::uint64_t>(context, [&](fuse_req_t req) { ops_.bmap(req, number(ino), block_size, block); });
}

Reply<IoctlReply> LowLevel::ioctl(const Context& context, Ino ino, const OpenFile& file, const IoctlCall& call) {
  fuse_file_info info = info_of(file);
  const unsigned flags = (call.compat ? FUSE_IOCTL_COMPAT : 0u) | (call.unrestricted ? FUSE_IOCTL_UNRESTRICTED : 0u) |
                         (call.directory ? FUSE_IOCTL_DIR : 0u);
  return ask<IoctlReply>(context, [&](fuse_req_t req) {
    ops_.ioctl(req, number(ino), static_cast<int>(call.command), reinterpret_cast<void*>(call.argument), &info, flags,
               call.input.empty() ? nullptr : call.input.data(), call.input.size(), call.output_size);
  });
}

Reply<std::uint32_t> LowLevel::poll(const Context& context, Ino ino, const OpenFile& file, std::uint32_t /*events*/,
                                    PollHandle wake) {
  fuse_file_info info = info_of(file);
  auto* const handle = wake != PollHandle{} ? new fuse_pollhandle{notifier.synchronous(), wake} : nullptr;
  return ask<std::uint32_t>(context, [&](fuse_req_t req) { ops_.poll(req, number(ino), &info, handle); });
}

Reply<void> LowLevel::fallocate(const Context& context, Ino ino, const OpenFile& file, int mode, std::uint64_t offset,
                                std::uint64_t length) {
  fuse_file_info info = info_of(file);
  return ask<void>(context, [&](fuse_req_t req) {
    ops_.fallocate(req, number(ino), mode, static_cast<off_t>(offset), static_cast<off_t>(length), &info);
  });
}

void LowLevel::retrieved(void* cookie, Ino ino, std::uint64_t offset, Bytes bytes) {
  static const Context nobody;
  if (ops_.retrieve_reply == nullptr) return;
  fuse_bufvec vector = FUSE_BUFVEC_INIT(bytes.size());
  vector.buf[0].mem = const_cast<std::byte*>(bytes.data());
  static_cast<void>(ask<void>(nobody, [&](fuse_req_t req) {
    ops_.retrieve_reply(req, cookie, number(ino), static_cast<off_t>(offset), &vector);
  }));
}

fuse_conn_info connection_of(const Negotiation& negotiation, const LowLevelOptions& options) {
  constexpr std::uint32_t known = 0xffb;  // the FUSE_CAP_* of this interface; they are the protocol's own bits
  fuse_conn_info info{};
  info.proto_major = 7;
  info.proto_minor = negotiation.minor;
  info.async_read = options.async_read != 0 ? 1 : 0;
  info.max_write = options.max_write != 0 ? options.max_write : 128 * 1024;
  info.max_readahead = options.max_readahead != 0 ? std::min(options.max_readahead, negotiation.max_readahead)
                                                  : negotiation.max_readahead;
  info.capable = static_cast<std::uint32_t>(negotiation.offered.bits()) & known;
  if (options.atomic_o_trunc != 0) info.want |= FUSE_CAP_ATOMIC_O_TRUNC & info.capable;
  info.want |= FUSE_CAP_BIG_WRITES & info.capable;
  info.max_background = options.max_background;
  info.congestion_threshold = options.congestion_threshold;
  return info;
}

void apply(const fuse_conn_info& wishes, Negotiation& negotiation) {
  // What is newer than this interface changes what its programs see, so only what they asked for is used, and what
  // they cannot notice: larger writes, what carries the requests, and the difference between unmounted and cut off.
  CapabilitySet wanted(wishes.want & wishes.capable);
  wanted.remove(CapabilitySet(Capability::SPLICE_READ) | Capability::SPLICE_WRITE | Capability::SPLICE_MOVE);
  wanted.add(CapabilitySet(Capability::BIG_WRITES) | Capability::MAX_PAGES | Capability::INIT_EXT |
             Capability::ABORT_ERROR | Capability::OVER_IO_URING);
  if (wishes.async_read != 0) wanted.add(Capability::ASYNC_READ);
  negotiation.wanted = wanted & negotiation.offered;
  negotiation.max_write = wishes.max_write;
  negotiation.max_readahead = std::min(wishes.max_readahead, negotiation.max_readahead);
  if (wishes.max_background != 0) {
    negotiation.max_background = static_cast<std::uint16_t>(std::min(wishes.max_background, 0xffffu));
    negotiation.congestion_threshold = static_cast<std::uint16_t>(negotiation.max_background * 3 / 4);
  }
  if (wishes.congestion_threshold != 0) {
    negotiation.congestion_threshold = static_cast<std::uint16_t>(std::min(wishes.congestion_threshold, 0xffffu));
  }
}

fuse_session* new_low_level(fuse_args* args, const void* op, std::size_t op_size, void* user_data) {
  return guarded(
      [&]() -> fuse_session* {
        LowLevelOptions options;
        if (args != nullptr && !parse_low_level(args, options)) return nullptr;
        if (op_size > sizeof(fuse_lowlevel_ops)) {
          complain("the program knows more operations than this library: what is new is not called");
          op_size = sizeof(fuse_lowlevel_ops);
        }
        fuse_lowlevel_ops ops{};
        if (op != nullptr) std::memcpy(&ops, op, op_size);
        return new LowLevel(options, ops, user_data);
      },
      static_cast<fuse_session*>(nullptr));
}

}  // namespace fuselage::capi2

extern "C" {

fuse_session* fuse_lowlevel_new(fuse_args* args, const fuse_lowlevel_ops* op, size_t op_size, void* userdata) {
  return fuselage::capi2::new_low_level(args, op, op_size, userdata);
}

size_t fuse_add_direntry(fuse_req_t /*req*/, char* buf, size_t bufsize, const char* name, const struct stat* stbuf,
                         off_t off) {
  using namespace fuselage::capi2;
  const std::size_t length = std::strlen(name);
  const std::size_t size = dirent_size(length);
  if (buf == nullptr || size > bufsize) return size;
  const Dirent entry{stbuf->st_ino, static_cast<std::uint64_t>(off), static_cast<std::uint32_t>(length),
                     (stbuf->st_mode & S_IFMT) >> 12};
  std::memcpy(buf, &entry, sizeof entry);
  std::memcpy(buf + sizeof entry, name, length);
  std::memset(buf + sizeof entry + length, 0, size - sizeof entry - length);
  return size;
}

}  // extern "C"

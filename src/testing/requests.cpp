// The operations, as the kernel's functions of the same names make them.
#include <sys/xattr.h>

#include "testing/state.hpp"
#include "wire/kernel.hpp"

namespace fuselage {
namespace {

using namespace fake;  // the decoders
using wire::Opcode;

std::uint64_t number(Ino ino) { return static_cast<std::uint64_t>(ino); }
std::uint64_t number(Handle handle) { return static_cast<std::uint64_t>(handle); }
std::uint64_t number(LockOwner owner) { return static_cast<std::uint64_t>(owner); }
std::uint32_t bits(int flags) { return static_cast<std::uint32_t>(flags); }

std::string terminated(std::string_view name) { return std::string(name) + '\0'; }
std::string terminated(std::string_view name, std::string_view second) {
  return terminated(name) + std::string(second) + '\0';
}

wire::fuse_open_in open_in(int flags) {
  wire::fuse_open_in in{};
  in.flags = bits(flags);
  return in;
}

wire::fuse_read_in read_in(const OpenFile& file, std::uint64_t offset, std::uint32_t size) {
  wire::fuse_read_in in{};
  in.fh = number(file.handle);
  in.offset = offset;
  in.size = size;
  in.flags = bits(file.flags.value);
  in.lock_owner = number(file.lock_owner);
  if (file.lock_owner != LockOwner{}) in.read_flags = wire::read_flag::lock_owner;
  return in;
}

wire::fuse_release_in release_in(const OpenFile& file) {
  wire::fuse_release_in in{};
  in.fh = number(file.handle);
  in.flags = bits(file.flags.value);
  in.lock_owner = number(file.lock_owner);
  return in;
}

wire::fuse_fsync_in fsync_in(const OpenFile& file, bool data_only) {
  wire::fuse_fsync_in in{};
  in.fh = number(file.handle);
  in.fsync_flags = data_only ? wire::fsync_flag::data_only : 0;
  return in;
}

wire::fuse_getxattr_in getxattr_in(std::uint32_t size) {
  wire::fuse_getxattr_in in{};
  in.size = size;
  return in;
}

wire::fuse_lk_in lk_in(const OpenFile& file, const Lock& lock) {
  wire::fuse_lk_in in{};
  in.fh = number(file.handle);
  in.owner = number(file.lock_owner);
  in.lk.start = lock.start;
  in.lk.end = std::min<std::uint64_t>(lock.end, INT64_MAX);
  in.lk.type = lock.type == Lock::Type::read ? F_RDLCK : lock.type == Lock::Type::write ? F_WRLCK : F_UNLCK;
  in.lk.pid = static_cast<std::uint32_t>(lock.pid);
  in.lk_flags = lock.flock ? wire::lk_flag::flock : 0;
  return in;
}

wire::fuse_setattr_in setattr_in(const SetAttributes& changes, std::optional<Handle> file) {
  wire::fuse_setattr_in in{};
  const auto set = [&in](const auto& from, auto& to, std::uint32_t bit) {
    if (!from) return;
    to = *from;
    in.valid |= bit;
  };
  const auto set_time = [&in](const std::optional<Timestamp>& from, std::uint64_t& seconds, std::uint32_t& nanoseconds,
                              std::uint32_t bit) {
    if (!from) return;
    seconds = static_cast<std::uint64_t>(from->seconds);
    nanoseconds = from->nanoseconds;
    in.valid |= bit;
  };
  set(changes.mode, in.mode, wire::fattr::mode);
  set(changes.uid, in.uid, wire::fattr::uid);
  set(changes.gid, in.gid, wire::fattr::gid);
  set(changes.size, in.size, wire::fattr::size);
  set_time(changes.atime, in.atime, in.atimensec, wire::fattr::atime);
  set_time(changes.mtime, in.mtime, in.mtimensec, wire::fattr::mtime);
  set_time(changes.ctime, in.ctime, in.ctimensec, wire::fattr::ctime);
  if (changes.kill_suidgid) in.valid |= wire::fattr::kill_suidgid;
  if (file) {
    in.fh = number(*file);
    in.valid |= wire::fattr::fh;
  }
  return in;
}

}  // namespace

Answer<Entry> FakeKernel::lookup(Ino parent, std::string_view name) {
  return {state_->ask<Opcode::LOOKUP>(parent, terminated(name)), to_entry};
}

void FakeKernel::forget(Ino ino, std::uint64_t count) {
  state_->ledger.forget(ino, count);
  state_->ask<Opcode::FORGET>(ino, wire::fuse_forget_in{count});
}

void FakeKernel::forget_all() {
  const auto all = state_->ledger.lookups();
  if (state_->minor < wire::row_of(Opcode::BATCH_FORGET).since) {
    for (const auto& [ino, count] : all) forget(ino, count);
    return;
  }
  std::string items;
  for (const auto& [ino, count] : all) {
    const wire::fuse_forget_one one{number(ino), count};
    items.append(reinterpret_cast<const char*>(&one), sizeof one);
    state_->ledger.forget(ino, count);
  }
  state_->ask<Opcode::BATCH_FORGET>(Ino{}, wire::fuse_batch_forget_in{static_cast<std::uint32_t>(all.size()), 0},
                                    items);
}

Answer<Attributes> FakeKernel::getattr(Ino ino, std::optional<Handle> file) {
  wire::fuse_getattr_in in{};
  in.getattr_flags = file ? wire::getattr_flag::fh : 0;
  in.fh = number(file.value_or(Handle{}));
  return {state_->ask<Opcode::GETATTR>(ino, in), to_attributes};
}

Answer<Attributes> FakeKernel::statx(Ino ino, std::optional<Handle> file) {
  wire::fuse_statx_in in{};
  in.getattr_flags = file ? wire::getattr_flag::fh : 0;
  in.fh = number(file.value_or(Handle{}));
  in.sx_mask = STATX_BASIC_STATS | STATX_BTIME;
  return {state_->ask<Opcode::STATX>(ino, in), to_statx};
}

Answer<Attributes> FakeKernel::setattr(Ino ino, const SetAttributes& changes, std::optional<Handle> file) {
  return {state_->ask<Opcode::SETATTR>(ino, setattr_in(changes, file)), to_attributes};
}

Answer<std::string> FakeKernel::readlink(Ino ino) { return {state_->ask<Opcode::READLINK>(ino), to_text}; }

Answer<Entry> FakeKernel::mknod(Ino parent, std::string_view name, ::mode_t mode, ::dev_t rdev) {
  wire::fuse_mknod_in in{};
  in.mode = state_->masked(mode);
  in.rdev = static_cast<std::uint32_t>(rdev);
  in.umask = state_->caller().umask;
  return {state_->ask<Opcode::MKNOD>(parent, in, terminated(name)), to_entry};
}

Answer<Entry> FakeKernel::mkdir(Ino parent, std::string_view name, ::mode_t mode) {
  wire::fuse_mkdir_in in{};
  in.mode = state_->masked(mode);
  in.umask = state_->caller().umask;
  return {state_->ask<Opcode::MKDIR>(parent, in, terminated(name)), to_entry};
}

Answer<void> FakeKernel::unlink(Ino parent, std::string_view name) {
  return {state_->ask<Opcode::UNLINK>(parent, terminated(name)), to_nothing};
}

Answer<void> FakeKernel::rmdir(Ino parent, std::string_view name) {
  return {state_->ask<Opcode::RMDIR>(parent, terminated(name)), to_nothing};
}

Answer<Entry> FakeKernel::symlink(Ino parent, std::string_view name, std::string_view target) {
  return {state_->ask<Opcode::SYMLINK>(parent, terminated(name, target)), to_entry};
}

Answer<void> FakeKernel::rename(Ino parent, std::string_view name, Ino new_parent, std::string_view new_name,
                                RenameFlags flags) {
  wire::fuse_rename2_in in{};
  in.newdir = number(new_parent);
  in.flags = (flags.no_replace ? bits(RENAME_NOREPLACE) : 0) | (flags.exchange ? bits(RENAME_EXCHANGE) : 0) |
             (flags.whiteout ? bits(RENAME_WHITEOUT) : 0);
  const std::string names = terminated(name, new_name);
  if (in.flags != 0) return {state_->ask<Opcode::RENAME2>(parent, in, names), to_nothing};
  return {state_->ask<Opcode::RENAME>(parent, wire::fuse_rename_in{in.newdir}, names), to_nothing};
}

Answer<Entry> FakeKernel::link(Ino ino, Ino new_parent, std::string_view new_name) {
  return {state_->ask<Opcode::LINK>(new_parent, wire::fuse_link_in{number(ino)}, terminated(new_name)), to_entry};
}

Answer<Opened> FakeKernel::open(Ino ino, int flags) {
  return {state_->ask<Opcode::OPEN>(ino, open_in(flags)), to_opened};
}

Answer<std::string> FakeKernel::read(Ino ino, const OpenFile& file, Range range) {
  return {state_->ask<Opcode::READ>(ino, read_in(file, range.offset, static_cast<std::uint32_t>(range.size))), to_text};
}

Answer<std::size_t> FakeKernel::write(Ino ino, const OpenFile& file, std::uint64_t offset, std::string_view bytes,
                                      WriteFlags flags) {
  wire::fuse_write_in in{};
  in.fh = number(file.handle);
  in.offset = offset;
  in.size = static_cast<std::uint32_t>(bytes.size());
  in.flags = bits(file.flags.value);
  in.lock_owner = number(file.lock_owner);
  in.write_flags = (file.lock_owner != LockOwner{} ? wire::write_flag::lock_owner : 0) |
                   (flags.from_cache ? wire::write_flag::cache : 0) |
                   (flags.kill_suidgid ? wire::write_flag::kill_suidgid : 0);
  return {state_->ask<Opcode::WRITE>(ino, in, bytes), to_written};
}

Answer<StatFs> FakeKernel::statfs(Ino ino) { return {state_->ask<Opcode::STATFS>(ino), fake::to_statfs}; }

Answer<void> FakeKernel::release(Ino ino, const OpenFile& file, bool flock_unlock) {
  wire::fuse_release_in in = release_in(file);
  in.release_flags = flock_unlock ? wire::release_flag::flock_unlock : 0;
  return {state_->ask<Opcode::RELEASE>(ino, in), to_nothing};
}

Answer<void> FakeKernel::fsync(Ino ino, const OpenFile& file, bool data_only) {
  return {state_->ask<Opcode::FSYNC>(ino, fsync_in(file, data_only)), to_nothing};
}

Answer<void> FakeKernel::setxattr(Ino ino, std::string_view name, std::string_view value, XattrFlags flags) {
  wire::fuse_setxattr_in in{};
  in.size = static_cast<std::uint32_t>(value.size());
  in.flags = (flags.create ? bits(XATTR_CREATE) : 0) | (flags.replace ? bits(XATTR_REPLACE) : 0);
  in.setxattr_flags = flags.acl_kill_sgid ? wire::setxattr_flag::acl_kill_sgid : 0;
  return {state_->ask<Opcode::SETXATTR>(ino, in, terminated(name) + std::string(value)), to_nothing};
}

Answer<std::string> FakeKernel::getxattr(Ino ino, std::string_view name, std::uint32_t size) {
  return {state_->ask<Opcode::GETXATTR>(ino, getxattr_in(size), terminated(name)), to_text};
}

Answer<std::size_t> FakeKernel::getxattr_size(Ino ino, std::string_view name) {
  return {state_->ask<Opcode::GETXATTR>(ino, getxattr_in(0), terminated(name)), to_size};
}

Answer<std::vector<std::string>> FakeKernel::listxattr(Ino ino, std::uint32_t size) {
  return {state_->ask<Opcode::LISTXATTR>(ino, getxattr_in(size)), to_names};
}

Answer<std::size_t> FakeKernel::listxattr_size(Ino ino) {
  return {state_->ask<Opcode::LISTXATTR>(ino, getxattr_in(0)), to_size};
}

Answer<void> FakeKernel::removexattr(Ino ino, std::string_view name) {
  return {state_->ask<Opcode::REMOVEXATTR>(ino, terminated(name)), to_nothing};
}

Answer<void> FakeKernel::flush(Ino ino, const OpenFile& file) {
  wire::fuse_flush_in in{};
  in.fh = number(file.handle);
  in.lock_owner = number(file.lock_owner);
  return {state_->ask<Opcode::FLUSH>(ino, in), to_nothing};
}

Answer<Opened> FakeKernel::opendir(Ino ino, int flags) {
  return {state_->ask<Opcode::OPENDIR>(ino, open_in(flags)), to_opened};
}

Answer<std::vector<ListedEntry>> FakeKernel::readdir(Ino ino, const OpenFile& file, std::uint64_t offset,
                                                     std::uint32_t size) {
  return {state_->ask<Opcode::READDIR>(ino, read_in(file, offset, size)), to_listing};
}

Answer<std::vector<ListedEntry>> FakeKernel::readdirplus(Ino ino, const OpenFile& file, std::uint64_t offset,
                                                         std::uint32_t size) {
  return {state_->ask<Opcode::READDIRPLUS>(ino, read_in(file, offset, size)), to_listing_plus};
}

Answer<void> FakeKernel::releasedir(Ino ino, const OpenFile& file) {
  return {state_->ask<Opcode::RELEASEDIR>(ino, release_in(file)), to_nothing};
}

Answer<void> FakeKernel::fsyncdir(Ino ino, const OpenFile& file, bool data_only) {
  return {state_->ask<Opcode::FSYNCDIR>(ino, fsync_in(file, data_only)), to_nothing};
}

Answer<Lock> FakeKernel::getlk(Ino ino, const OpenFile& file, const Lock& lock) {
  return {state_->ask<Opcode::GETLK>(ino, lk_in(file, lock)), to_lock};
}

Answer<void> FakeKernel::setlk(Ino ino, const OpenFile& file, const Lock& lock, bool wait) {
  if (wait) return {state_->ask<Opcode::SETLKW>(ino, lk_in(file, lock)), to_nothing};
  return {state_->ask<Opcode::SETLK>(ino, lk_in(file, lock)), to_nothing};
}

Answer<void> FakeKernel::access(Ino ino, int mask) {
  return {state_->ask<Opcode::ACCESS>(ino, wire::fuse_access_in{bits(mask), 0}), to_nothing};
}

Answer<Created> FakeKernel::create(Ino parent, std::string_view name, ::mode_t mode, int flags) {
  wire::fuse_create_in in{};
  in.flags = bits(flags);
  in.mode = state_->masked(mode);
  in.umask = state_->caller().umask;
  return {state_->ask<Opcode::CREATE>(parent, in, terminated(name)), to_created};
}

Answer<std::uint64_t> FakeKernel::bmap(Ino ino, std::uint32_t block_size, std::uint64_t block) {
  wire::fuse_bmap_in in{};
  in.block = block;
  in.blocksize = block_size;
  return {state_->ask<Opcode::BMAP>(ino, in), to_number};
}

Answer<IoctlReply> FakeKernel::ioctl(Ino ino, const OpenFile& file, const IoctlCall& call) {
  wire::fuse_ioctl_in in{};
  in.fh = number(file.handle);
  in.flags = (call.compat ? wire::ioctl_flag::compat : 0) | (call.unrestricted ? wire::ioctl_flag::unrestricted : 0) |
             (call.directory ? wire::ioctl_flag::directory : 0);
  in.cmd = call.command;
  in.arg = call.argument;
  in.in_size = static_cast<std::uint32_t>(call.input.size());
  in.out_size = static_cast<std::uint32_t>(call.output_size);
  return {state_->ask<Opcode::IOCTL>(ino, in, text_of(call.input)), to_ioctl};
}

Answer<std::uint32_t> FakeKernel::poll(Ino ino, const OpenFile& file, std::uint32_t events, PollHandle wake) {
  wire::fuse_poll_in in{};
  in.fh = number(file.handle);
  in.kh = static_cast<std::uint64_t>(wake);
  in.flags = wake != PollHandle{} ? wire::poll_flag::schedule_notify : 0;
  in.events = events;
  return {state_->ask<Opcode::POLL>(ino, in), to_events};
}

Answer<void> FakeKernel::fallocate(Ino ino, const OpenFile& file, int mode, std::uint64_t offset,
                                   std::uint64_t length) {
  wire::fuse_fallocate_in in{};
  in.fh = number(file.handle);
  in.offset = offset;
  in.length = length;
  in.mode = bits(mode);
  return {state_->ask<Opcode::FALLOCATE>(ino, in), to_nothing};
}

Answer<std::uint64_t> FakeKernel::lseek(Ino ino, const OpenFile& file, std::uint64_t offset, int whence) {
  wire::fuse_lseek_in in{};
  in.fh = number(file.handle);
  in.offset = offset;
  in.whence = bits(whence);
  return {state_->ask<Opcode::LSEEK>(ino, in), to_number};
}

Answer<std::uint64_t> FakeKernel::copy_file_range(Ino ino, Handle file, std::uint64_t offset, Ino target_ino,
                                                  Handle target, std::uint64_t target_offset, std::uint64_t length,
                                                  std::uint64_t flags) {
  const wire::fuse_copy_file_range_in in{number(file), offset, number(target_ino), number(target), target_offset,
                                         length,       flags};
  if (state_->minor >= wire::row_of(Opcode::COPY_FILE_RANGE_64).since) {
    return {state_->ask<Opcode::COPY_FILE_RANGE_64>(ino, in), to_number};
  }
  return {state_->ask<Opcode::COPY_FILE_RANGE>(ino, in), to_copied};
}

Answer<void> FakeKernel::setupmapping(Ino ino, Handle file, const Mapping& mapping) {
  wire::fuse_setupmapping_in in{};
  in.fh = number(file);
  in.foffset = mapping.file_offset;
  in.len = mapping.length;
  in.moffset = mapping.window_offset;
  in.flags =
      (mapping.readable ? wire::setupmapping_flag::read : 0) | (mapping.writable ? wire::setupmapping_flag::write : 0);
  return {state_->ask<Opcode::SETUPMAPPING>(ino, in), to_nothing};
}

Answer<void> FakeKernel::removemapping(Ino ino, const std::vector<WindowRange>& ranges) {
  static_assert(sizeof(WindowRange) == sizeof(wire::fuse_removemapping_one));
  const wire::fuse_removemapping_in in{static_cast<std::uint32_t>(ranges.size())};
  return {state_->ask<Opcode::REMOVEMAPPING>(ino, in, text_of(std::as_bytes(std::span(ranges)))), to_nothing};
}

Answer<void> FakeKernel::syncfs(Ino ino) {
  return {state_->ask<Opcode::SYNCFS>(ino, wire::fuse_syncfs_in{}), to_nothing};
}

Answer<Created> FakeKernel::tmpfile(Ino parent, ::mode_t mode, int flags) {
  wire::fuse_create_in in{};
  in.flags = bits(flags);
  in.mode = state_->masked(mode);
  in.umask = state_->caller().umask;
  // fuse_tmpfile sends the name of the dentry, which is "/".
  return {state_->ask<Opcode::TMPFILE>(parent, in, terminated("/")), to_created};
}

Answer<void> FakeKernel::destroy() { return {state_->ask<Opcode::DESTROY>(Ino{}), to_nothing}; }

}  // namespace fuselage

#include "capi/v2/convert.hpp"

#include <sys/file.h>

#include <cmath>
#include <limits>

namespace fuselage::capi2 {

std::chrono::nanoseconds seconds(double value) noexcept {
  if (!(value > 0)) return {};
  constexpr auto most = std::chrono::nanoseconds::max();
  if (value >= std::chrono::duration<double>(most).count()) return most;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(value));
}

Attributes attributes_of(const struct stat& status) {
  Attributes out;
  out.mode = status.st_mode;
  out.nlink = static_cast<std::uint32_t>(status.st_nlink);
  out.uid = status.st_uid;
  out.gid = status.st_gid;
  out.rdev = status.st_rdev;
  out.size = static_cast<std::uint64_t>(status.st_size);
  out.blocks = static_cast<std::uint64_t>(status.st_blocks);
  out.block_size = static_cast<std::uint32_t>(status.st_blksize);
  out.atime = Timestamp::from(status.st_atim);
  out.mtime = Timestamp::from(status.st_mtim);
  out.ctime = Timestamp::from(status.st_ctim);
  out.ino = Ino{status.st_ino};
  return out;
}

struct stat stat_of(const Attributes& attributes) {
  struct stat out {};
  out.st_mode = attributes.mode;
  out.st_nlink = attributes.nlink;
  out.st_uid = attributes.uid;
  out.st_gid = attributes.gid;
  out.st_rdev = attributes.rdev;
  out.st_size = static_cast<off_t>(attributes.size);
  out.st_blocks = static_cast<blkcnt_t>(attributes.blocks);
  out.st_blksize = attributes.block_size;
  out.st_atim = attributes.atime.to_timespec();
  out.st_mtim = attributes.mtime.to_timespec();
  out.st_ctim = attributes.ctime.to_timespec();
  out.st_ino = static_cast<ino_t>(attributes.ino);
  return out;
}

Entry entry_of(const fuse_entry_param& param) {
  Entry out;
  out.ino = Ino{param.ino};
  out.generation = param.generation;
  out.attributes = attributes_of(param.attr);
  out.attributes.timeout = seconds(param.attr_timeout);
  out.timeout = seconds(param.entry_timeout);
  return out;
}

Opened opened_of(const fuse_file_info& info) {
  Opened out;
  out.handle = Handle{info.fh};
  out.direct_io = info.direct_io != 0;
  out.keep_cache = info.keep_cache != 0;
  out.nonseekable = info.nonseekable != 0;
  return out;
}

StatFs statfs_of(const struct statvfs& status) {
  StatFs out;
  out.blocks = status.f_blocks;
  out.blocks_free = status.f_bfree;
  out.blocks_available = status.f_bavail;
  out.files = status.f_files;
  out.files_free = status.f_ffree;
  out.block_size = static_cast<std::uint32_t>(status.f_bsize);
  out.fragment_size = static_cast<std::uint32_t>(status.f_frsize);
  out.name_max = static_cast<std::uint32_t>(status.f_namemax);
  return out;
}

struct flock flock_of(const Lock& lock) {
  constexpr auto end_of_file = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
  struct flock out {};
  out.l_type = lock.type == Lock::Type::read ? F_RDLCK : lock.type == Lock::Type::write ? F_WRLCK : F_UNLCK;
  out.l_whence = SEEK_SET;
  out.l_start = static_cast<off_t>(lock.start);
  out.l_len = lock.end >= end_of_file ? 0 : static_cast<off_t>(lock.end - lock.start + 1);
  out.l_pid = lock.pid;
  return out;
}

Lock lock_of(const struct flock& lock) {
  Lock out;
  out.type = lock.l_type == F_RDLCK   ? Lock::Type::read
             : lock.l_type == F_WRLCK ? Lock::Type::write
                                      : Lock::Type::unlock;
  out.start = static_cast<std::uint64_t>(lock.l_start);
  out.end = lock.l_len == 0 ? static_cast<std::uint64_t>(std::numeric_limits<off_t>::max())
                            : static_cast<std::uint64_t>(lock.l_start + lock.l_len - 1);
  out.pid = lock.l_pid;
  return out;
}

int flock_operation(const Lock& lock, bool wait) {
  const int kind = lock.type == Lock::Type::read ? LOCK_SH : lock.type == Lock::Type::write ? LOCK_EX : LOCK_UN;
  return kind | (wait ? 0 : LOCK_NB);
}

fuse_file_info info_of(const OpenFile& file) {
  fuse_file_info out{};
  out.flags = file.flags.value;
  out.fh = static_cast<std::uint64_t>(file.handle);
  out.fh_old = static_cast<unsigned long>(file.handle);
  out.lock_owner = static_cast<std::uint64_t>(file.lock_owner);
  return out;
}

}  // namespace fuselage::capi2

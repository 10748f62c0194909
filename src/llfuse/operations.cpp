#include <string.h>

#include <algorithm>
#include <cmath>
#include <fuselage/llfuse/operations.hpp>

namespace llfuse {
namespace {

constexpr std::int64_t nanos_per_second = 1'000'000'000;

fuselage::Timestamp timestamp(std::int64_t ns) noexcept {
  const std::int64_t rest = ns % nanos_per_second;
  const bool borrow = rest < 0;  // the nanoseconds of times before 1970 count forward, too
  return {ns / nanos_per_second - (borrow ? 1 : 0), static_cast<std::uint32_t>(rest + (borrow ? nanos_per_second : 0))};
}

std::int64_t nanoseconds(const fuselage::Timestamp& time) noexcept {
  std::int64_t ns = 0;
  if (__builtin_mul_overflow(time.seconds, nanos_per_second, &ns) ||
      __builtin_add_overflow(ns, std::int64_t{time.nanoseconds}, &ns)) {
    return time.seconds < 0 ? INT64_MIN : INT64_MAX;
  }
  return ns;
}

std::chrono::nanoseconds timeout(double seconds) noexcept {
  constexpr double longest = 9e9;  // what nanoseconds can hold
  if (!(seconds > 0)) return {};
  return std::chrono::nanoseconds(std::llrint(std::min(seconds, longest) * 1e9));
}

}  // namespace

FUSEError::FUSEError(int error) : errno_(error) {
  char buffer[128];
  text_ = ::strerror_r(error, buffer, sizeof buffer);
}

fuselage::Attributes EntryAttributes::attributes() const {
  fuselage::Attributes attributes;
  attributes.mode = st_mode;
  attributes.nlink = st_nlink;
  attributes.uid = st_uid;
  attributes.gid = st_gid;
  attributes.rdev = st_rdev;
  attributes.size = st_size;
  attributes.blocks = st_blocks;
  attributes.block_size = st_blksize;
  attributes.atime = timestamp(st_atime_ns);
  attributes.mtime = timestamp(st_mtime_ns);
  attributes.ctime = timestamp(st_ctime_ns);
  attributes.ino = fuselage::Ino{st_ino};
  attributes.timeout = timeout(attr_timeout);
  return attributes;
}

fuselage::Entry EntryAttributes::entry() const {
  return {fuselage::Ino{st_ino}, generation, attributes(), timeout(entry_timeout)};
}

fuselage::StatFs StatvfsData::statfs() const {
  fuselage::StatFs statfs;
  statfs.blocks = f_blocks;
  statfs.blocks_free = f_bfree;
  statfs.blocks_available = f_bavail;
  statfs.files = f_files;
  statfs.files_free = f_ffree;
  statfs.block_size = static_cast<std::uint32_t>(f_bsize);
  statfs.fragment_size = static_cast<std::uint32_t>(f_frsize);
  statfs.name_max = static_cast<std::uint32_t>(f_namemax);
  return statfs;
}

std::pair<EntryAttributes, SetattrFields> from(const fuselage::SetAttributes& changes) {
  EntryAttributes attr;
  attr.st_mode = changes.mode.value_or(0);
  attr.st_uid = changes.uid.value_or(0);
  attr.st_gid = changes.gid.value_or(0);
  attr.st_size = changes.size.value_or(0);
  if (changes.atime) attr.st_atime_ns = nanoseconds(*changes.atime);
  if (changes.mtime) attr.st_mtime_ns = nanoseconds(*changes.mtime);
  SetattrFields fields;
  fields.update_atime = changes.atime.has_value();
  fields.update_mtime = changes.mtime.has_value();
  fields.update_mode = changes.mode.has_value();
  fields.update_uid = changes.uid.has_value();
  fields.update_gid = changes.gid.has_value();
  fields.update_size = changes.size.has_value();
  return {attr, fields};
}

EntryAttributes Operations::lookup(std::uint64_t /*parent_inode*/, std::string_view /*name*/,
                                   const RequestContext& /*ctx*/) {
  throw FUSEError(ENOSYS);
}
void Operations::forget(std::span<const Forgotten> /*inode_list*/) {}
EntryAttributes Operations::getattr(std::uint64_t /*inode*/, const RequestContext& /*ctx*/) { throw FUSEError(ENOSYS); }
EntryAttributes Operations::setattr(std::uint64_t /*inode*/, const EntryAttributes& /*attr*/,
                                    const SetattrFields& /*fields*/, std::optional<std::uint64_t> /*fh*/,
                                    const RequestContext& /*ctx*/) {
  throw FUSEError(ENOSYS);
}
std::string Operations::readlink(std::uint64_t /*inode*/, const RequestContext& /*ctx*/) { throw FUSEError(ENOSYS); }
EntryAttributes Operations::mknod(std::uint64_t /*parent_inode*/, std::string_view /*name*/, ::mode_t /*mode*/,
                                  ::dev_t /*rdev*/, const RequestContext& /*ctx*/) {
  throw FUSEError(ENOSYS);
}
EntryAttributes Operations::mkdir(std::uint64_t /*parent_inode*/, std::string_view /*name*/, ::mode_t /*mode*/,
                                  const RequestContext& /*ctx*/) {
  throw FUSEError(ENOSYS);
}
void Operations::unlink(std::uint64_t /*parent_inode*/, std::string_view /*name*/, const RequestContext& /*ctx*/) {
  throw FUSEError(ENOSYS);
}
void Operations::rmdir(std::uint64_t /*parent_inode*/, std::string_view /*name*/, const RequestContext& /*ctx*/) {
  throw FUSEError(ENOSYS);
}
EntryAttributes Operations::symlink(std::uint64_t /*parent_inode*/, std::string_view /*name*/,
                                    std::string_view /*target*/, const RequestContext& /*ctx*/) {
  throw FUSEError(ENOSYS);
}
void Operations::rename(std::uint64_t /*parent_inode_old*/, std::string_view /*name_old*/,
                        std::uint64_t /*parent_inode_new*/, std::string_view /*name_new*/,
                        const RequestContext& /*ctx*/) {
  throw FUSEError(ENOSYS);
}
EntryAttributes Operations::link(std::uint64_t /*inode*/, std::uint64_t /*new_parent_inode*/,
                                 std::string_view /*new_name*/, const RequestContext& /*ctx*/) {
  throw FUSEError(ENOSYS);
}
std::uint64_t Operations::open(std::uint64_t /*inode*/, int /*flags*/, const RequestContext& /*ctx*/) {
  throw FUSEError(ENOSYS);
}
std::string Operations::read(std::uint64_t /*fh*/, std::uint64_t /*off*/, std::size_t /*size*/) {
  throw FUSEError(ENOSYS);
}
std::size_t Operations::write(std::uint64_t /*fh*/, std::uint64_t /*off*/, fuselage::Bytes /*buf*/) {
  throw FUSEError(ENOSYS);
}
void Operations::flush(std::uint64_t /*fh*/) { throw FUSEError(ENOSYS); }
void Operations::release(std::uint64_t /*fh*/) { throw FUSEError(ENOSYS); }
void Operations::fsync(std::uint64_t /*fh*/, bool /*datasync*/) { throw FUSEError(ENOSYS); }
std::uint64_t Operations::opendir(std::uint64_t /*inode*/, const RequestContext& /*ctx*/) { throw FUSEError(ENOSYS); }
void Operations::readdir(std::uint64_t /*fh*/, std::uint64_t /*off*/, const Yield& /*yield*/) {
  throw FUSEError(ENOSYS);
}
void Operations::releasedir(std::uint64_t /*fh*/) { throw FUSEError(ENOSYS); }
void Operations::fsyncdir(std::uint64_t /*fh*/, bool /*datasync*/) { throw FUSEError(ENOSYS); }
StatvfsData Operations::statfs(const RequestContext& /*ctx*/) { throw FUSEError(ENOSYS); }
void Operations::setxattr(std::uint64_t /*inode*/, std::string_view /*name*/, fuselage::Bytes /*value*/,
                          const RequestContext& /*ctx*/) {
  throw FUSEError(ENOSYS);
}
std::string Operations::getxattr(std::uint64_t /*inode*/, std::string_view /*name*/, const RequestContext& /*ctx*/) {
  throw FUSEError(ENOSYS);
}
std::vector<std::string> Operations::listxattr(std::uint64_t /*inode*/, const RequestContext& /*ctx*/) {
  throw FUSEError(ENOSYS);
}
void Operations::removexattr(std::uint64_t /*inode*/, std::string_view /*name*/, const RequestContext& /*ctx*/) {
  throw FUSEError(ENOSYS);
}
bool Operations::access(std::uint64_t /*inode*/, int /*mode*/, const RequestContext& /*ctx*/) {
  throw FUSEError(ENOSYS);
}
std::pair<std::uint64_t, EntryAttributes> Operations::create(std::uint64_t /*parent_inode*/, std::string_view /*name*/,
                                                             ::mode_t /*mode*/, int /*flags*/,
                                                             const RequestContext& /*ctx*/) {
  throw FUSEError(ENOSYS);
}

}  // namespace llfuse

// Between the structures of the C interface and those of the library.
#pragma once

#include <fuselage/file_system.hpp>

#include "capi/v2/api.hpp"

namespace fuselage::capi2 {

/// Seconds as a program gives them; negative and endless ones become the nearest that can be told.
std::chrono::nanoseconds seconds(double value) noexcept;

Attributes attributes_of(const struct stat& status);
struct stat stat_of(const Attributes& attributes);
Entry entry_of(const fuse_entry_param& param);
Opened opened_of(const fuse_file_info& info);
StatFs statfs_of(const struct statvfs& status);

/// A lock with whence SEEK_SET; and back.
struct flock flock_of(const Lock& lock);
Lock lock_of(const struct flock& lock);
/// LOCK_SH, LOCK_EX or LOCK_UN, with LOCK_NB unless `wait`.
int flock_operation(const Lock& lock, bool wait);

fuse_file_info info_of(const OpenFile& file);

/// The kernel takes no higher errno.
constexpr int highest_errno = 511;

}  // namespace fuselage::capi2

// The flag bits of the kernel's structures, a namespace for each field; INIT's are in capabilities.def.
#pragma once

#include <cstdint>

namespace fuselage::wire {

// Bits of `fuse_setattr_in::valid`.
namespace fattr {
inline constexpr std::uint32_t mode = 1u << 0;
inline constexpr std::uint32_t uid = 1u << 1;
inline constexpr std::uint32_t gid = 1u << 2;
inline constexpr std::uint32_t size = 1u << 3;
inline constexpr std::uint32_t atime = 1u << 4;
inline constexpr std::uint32_t mtime = 1u << 5;
inline constexpr std::uint32_t fh = 1u << 6;
inline constexpr std::uint32_t atime_now = 1u << 7;
inline constexpr std::uint32_t mtime_now = 1u << 8;
inline constexpr std::uint32_t lock_owner = 1u << 9;
inline constexpr std::uint32_t ctime = 1u << 10;
inline constexpr std::uint32_t kill_suidgid = 1u << 11;
}  // namespace fattr

// Bits of `fuse_open_out::open_flags`: how the kernel shall treat this open file.
namespace fopen_flag {
inline constexpr std::uint32_t direct_io = 1u << 0;
inline constexpr std::uint32_t keep_cache = 1u << 1;
inline constexpr std::uint32_t nonseekable = 1u << 2;
inline constexpr std::uint32_t cache_dir = 1u << 3;
inline constexpr std::uint32_t stream = 1u << 4;
inline constexpr std::uint32_t noflush = 1u << 5;
inline constexpr std::uint32_t parallel_direct_writes = 1u << 6;
inline constexpr std::uint32_t passthrough = 1u << 7;
}  // namespace fopen_flag

// Bits of the requests' own flag fields, one namespace for each structure.
namespace open_flag {  // fuse_open_in::open_flags, fuse_create_in::open_flags
inline constexpr std::uint32_t kill_suidgid = 1u << 0;
}
namespace release_flag {
inline constexpr std::uint32_t flush = 1u << 0;
inline constexpr std::uint32_t flock_unlock = 1u << 1;
}  // namespace release_flag
namespace getattr_flag {
inline constexpr std::uint32_t fh = 1u << 0;
}
namespace lk_flag {
inline constexpr std::uint32_t flock = 1u << 0;
}
namespace read_flag {
inline constexpr std::uint32_t lock_owner = 1u << 1;
}
namespace write_flag {
inline constexpr std::uint32_t cache = 1u << 0;  ///< written back from the page cache: `fh` and the ids are guessed
inline constexpr std::uint32_t lock_owner = 1u << 1;
inline constexpr std::uint32_t kill_suidgid = 1u << 2;
}  // namespace write_flag
namespace fsync_flag {
inline constexpr std::uint32_t data_only = 1u << 0;
}
namespace setxattr_flag {
inline constexpr std::uint32_t acl_kill_sgid = 1u << 0;
}
namespace poll_flag {
inline constexpr std::uint32_t schedule_notify = 1u << 0;
}
namespace ioctl_flag {
inline constexpr std::uint32_t compat = 1u << 0;
inline constexpr std::uint32_t unrestricted = 1u << 1;
inline constexpr std::uint32_t retry = 1u << 2;
inline constexpr std::uint32_t is_32bit = 1u << 3;
inline constexpr std::uint32_t directory = 1u << 4;
inline constexpr std::uint32_t compat_x32 = 1u << 5;
}  // namespace ioctl_flag
inline constexpr std::uint32_t ioctl_max_iov = 256;  ///< in and out vectors of a retry together
namespace attr_flag {                                // fuse_attr::flags
inline constexpr std::uint32_t submount = 1u << 0;
inline constexpr std::uint32_t dax = 1u << 1;
}  // namespace attr_flag
namespace inval_entry_flag {
inline constexpr std::uint32_t expire_only = 1u << 0;
}
namespace setupmapping_flag {
inline constexpr std::uint64_t write = 1u << 0;
inline constexpr std::uint64_t read = 1u << 1;
}  // namespace setupmapping_flag
namespace cuse_flag {
inline constexpr std::uint32_t unrestricted_ioctl = 1u << 0;
}

// Types of extensions: up to `max_nr_secctx` the field is the number of security contexts, above it a type.
namespace extension_type {
inline constexpr std::uint32_t max_nr_secctx = 31;
inline constexpr std::uint32_t groups = 32;
}  // namespace extension_type

}  // namespace fuselage::wire

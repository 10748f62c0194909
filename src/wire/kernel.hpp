// The kernel's side of the protocol as data: the structures of <linux/fuse.h> to 7.45 under their own names, and its
// constants under readable ones. The library carries its own copy because an installed <linux/fuse.h> is as old as the
// distribution, while the kernel that runs may be newer.
//
// Everything is in host byte order. Structures are multiples of 8 bytes unless a comment says otherwise.
#pragma once

#include <linux/ioctl.h>

#include <cstdint>

#include "wire/kernel_flags.hpp"

namespace fuselage::wire {

inline constexpr std::uint32_t kernel_major = 7;
inline constexpr std::uint32_t kernel_minor = 45;  ///< the newest minor this library speaks
inline constexpr std::uint32_t oldest_minor = 12;  ///< the oldest: from here on the argument sizes are today's
inline constexpr std::uint64_t root_nodeid = 1;
inline constexpr std::uint32_t min_read_buffer = 8192;  ///< fuse_dev_do_read refuses a smaller buffer
/// Set in `fuse_in_header::unique` of a request that the kernel sends again after RESEND.
inline constexpr std::uint64_t unique_resend = std::uint64_t{1} << 63;
/// `uid`/`gid` of a request whose ids have no mapping (ALLOW_IDMAP).
inline constexpr std::uint32_t invalid_id = 0xffffffff;

/// The operations; see operations.def.
enum class Opcode : std::uint32_t {
#define OPERATION(NAME, number, ...) NAME = number,
#include "wire/operations.def"
#undef OPERATION
};

/// Messages the server sends unasked: a reply header with `unique` 0 and this code in `error`; see notifications.def.
enum class Notify : std::int32_t {
#define NOTIFICATION(NAME, number, ...) NAME = number,
#include "wire/notifications.def"
#undef NOTIFICATION
};

struct fuse_in_header {
  std::uint32_t len;
  std::uint32_t opcode;
  std::uint64_t unique;
  std::uint64_t nodeid;
  std::uint32_t uid;
  std::uint32_t gid;
  std::uint32_t pid;
  std::uint16_t total_extlen;  // of the extensions at the end of the message, in units of 8 bytes; since 7.38
  std::uint16_t padding;
};

struct fuse_out_header {
  std::uint32_t len;
  std::int32_t error;
  std::uint64_t unique;
};

struct fuse_attr {
  std::uint64_t ino;
  std::uint64_t size;
  std::uint64_t blocks;
  std::uint64_t atime;
  std::uint64_t mtime;
  std::uint64_t ctime;
  std::uint32_t atimensec;
  std::uint32_t mtimensec;
  std::uint32_t ctimensec;
  std::uint32_t mode;
  std::uint32_t nlink;
  std::uint32_t uid;
  std::uint32_t gid;
  std::uint32_t rdev;
  std::uint32_t blksize;
  std::uint32_t flags;
};

struct fuse_sx_time {
  std::int64_t tv_sec;
  std::uint32_t tv_nsec;
  std::int32_t reserved;
};

struct fuse_statx {
  std::uint32_t mask;
  std::uint32_t blksize;
  std::uint64_t attributes;
  std::uint32_t nlink;
  std::uint32_t uid;
  std::uint32_t gid;
  std::uint16_t mode;
  std::uint16_t spare0;
  std::uint64_t ino;
  std::uint64_t size;
  std::uint64_t blocks;
  std::uint64_t attributes_mask;
  fuse_sx_time atime;
  fuse_sx_time btime;
  fuse_sx_time ctime;
  fuse_sx_time mtime;
  std::uint32_t rdev_major;
  std::uint32_t rdev_minor;
  std::uint32_t dev_major;
  std::uint32_t dev_minor;
  std::uint64_t spare2[14];
};

struct fuse_kstatfs {
  std::uint64_t blocks;
  std::uint64_t bfree;
  std::uint64_t bavail;
  std::uint64_t files;
  std::uint64_t ffree;
  std::uint32_t bsize;
  std::uint32_t namelen;
  std::uint32_t frsize;
  std::uint32_t padding;
  std::uint32_t spare[6];
};

struct fuse_file_lock {
  std::uint64_t start;
  std::uint64_t end;
  std::uint32_t type;
  std::uint32_t pid;  // of the thread group
};

struct fuse_entry_out {
  std::uint64_t nodeid;
  std::uint64_t generation;
  std::uint64_t entry_valid;
  std::uint64_t attr_valid;
  std::uint32_t entry_valid_nsec;
  std::uint32_t attr_valid_nsec;
  fuse_attr attr;
};

struct fuse_forget_in {
  std::uint64_t nlookup;
};

struct fuse_forget_one {
  std::uint64_t nodeid;
  std::uint64_t nlookup;
};

struct fuse_batch_forget_in {
  std::uint32_t count;
  std::uint32_t dummy;
};

struct fuse_getattr_in {
  std::uint32_t getattr_flags;
  std::uint32_t dummy;
  std::uint64_t fh;
};

struct fuse_attr_out {
  std::uint64_t attr_valid;
  std::uint32_t attr_valid_nsec;
  std::uint32_t dummy;
  fuse_attr attr;
};

struct fuse_statx_in {
  std::uint32_t getattr_flags;
  std::uint32_t reserved;
  std::uint64_t fh;
  std::uint32_t sx_flags;
  std::uint32_t sx_mask;
};

struct fuse_statx_out {
  std::uint64_t attr_valid;
  std::uint32_t attr_valid_nsec;
  std::uint32_t flags;
  std::uint64_t spare[2];
  fuse_statx stat;
};

struct fuse_mknod_in {
  std::uint32_t mode;
  std::uint32_t rdev;
  std::uint32_t umask;
  std::uint32_t padding;
};

struct fuse_mkdir_in {
  std::uint32_t mode;
  std::uint32_t umask;
};

struct fuse_rename_in {
  std::uint64_t newdir;
};

struct fuse_rename2_in {
  std::uint64_t newdir;
  std::uint32_t flags;
  std::uint32_t padding;
};

struct fuse_link_in {
  std::uint64_t oldnodeid;
};

struct fuse_setattr_in {
  std::uint32_t valid;
  std::uint32_t padding;
  std::uint64_t fh;
  std::uint64_t size;
  std::uint64_t lock_owner;
  std::uint64_t atime;
  std::uint64_t mtime;
  std::uint64_t ctime;
  std::uint32_t atimensec;
  std::uint32_t mtimensec;
  std::uint32_t ctimensec;
  std::uint32_t mode;
  std::uint32_t unused4;
  std::uint32_t uid;
  std::uint32_t gid;
  std::uint32_t unused5;
};

struct fuse_open_in {
  std::uint32_t flags;
  std::uint32_t open_flags;
};

struct fuse_create_in {
  std::uint32_t flags;
  std::uint32_t mode;
  std::uint32_t umask;
  std::uint32_t open_flags;
};

struct fuse_open_out {
  std::uint64_t fh;
  std::uint32_t open_flags;
  std::int32_t backing_id;  // with fopen_flag::passthrough
};

struct fuse_release_in {
  std::uint64_t fh;
  std::uint32_t flags;
  std::uint32_t release_flags;
  std::uint64_t lock_owner;
};

struct fuse_flush_in {
  std::uint64_t fh;
  std::uint32_t unused;
  std::uint32_t padding;
  std::uint64_t lock_owner;
};

struct fuse_read_in {
  std::uint64_t fh;
  std::uint64_t offset;
  std::uint32_t size;
  std::uint32_t read_flags;
  std::uint64_t lock_owner;
  std::uint32_t flags;
  std::uint32_t padding;
};

struct fuse_write_in {
  std::uint64_t fh;
  std::uint64_t offset;
  std::uint32_t size;
  std::uint32_t write_flags;
  std::uint64_t lock_owner;
  std::uint32_t flags;
  std::uint32_t padding;
};

struct fuse_write_out {
  std::uint32_t size;
  std::uint32_t padding;
};

struct fuse_statfs_out {
  fuse_kstatfs st;
};

struct fuse_fsync_in {
  std::uint64_t fh;
  std::uint32_t fsync_flags;
  std::uint32_t padding;
};

struct fuse_setxattr_in {
  std::uint32_t size;
  std::uint32_t flags;
  std::uint32_t setxattr_flags;  // this and the next only when SETXATTR_EXT was negotiated
  std::uint32_t padding;
};

struct fuse_getxattr_in {
  std::uint32_t size;
  std::uint32_t padding;
};

struct fuse_getxattr_out {
  std::uint32_t size;
  std::uint32_t padding;
};

struct fuse_lk_in {
  std::uint64_t fh;
  std::uint64_t owner;
  fuse_file_lock lk;
  std::uint32_t lk_flags;
  std::uint32_t padding;
};

struct fuse_lk_out {
  fuse_file_lock lk;
};

struct fuse_access_in {
  std::uint32_t mask;
  std::uint32_t padding;
};

struct fuse_init_in {
  std::uint32_t major;
  std::uint32_t minor;
  std::uint32_t max_readahead;
  std::uint32_t flags;
  std::uint32_t flags2;  // from here on since 7.36
  std::uint32_t unused[11];
};

struct fuse_init_out {
  std::uint32_t major;
  std::uint32_t minor;
  std::uint32_t max_readahead;
  std::uint32_t flags;
  std::uint16_t max_background;
  std::uint16_t congestion_threshold;
  std::uint32_t max_write;
  std::uint32_t time_gran;  // from here on since 7.23
  std::uint16_t max_pages;
  std::uint16_t map_alignment;
  std::uint32_t flags2;
  std::uint32_t max_stack_depth;
  std::uint16_t request_timeout;  // seconds
  std::uint16_t unused[11];
};

/// The bytes of `fuse_init_out` that a kernel speaking `minor` takes: fuse_send_init gives it no room for more.
constexpr std::uint32_t init_out_size(unsigned minor) { return minor < 23 ? 24 : sizeof(fuse_init_out); }

struct cuse_init_in {
  std::uint32_t major;
  std::uint32_t minor;
  std::uint32_t unused;
  std::uint32_t flags;
};

struct cuse_init_out {
  std::uint32_t major;
  std::uint32_t minor;
  std::uint32_t unused;
  std::uint32_t flags;
  std::uint32_t max_read;
  std::uint32_t max_write;
  std::uint32_t dev_major;
  std::uint32_t dev_minor;
  std::uint32_t spare[10];
};

struct fuse_interrupt_in {
  std::uint64_t unique;
};

struct fuse_bmap_in {
  std::uint64_t block;
  std::uint32_t blocksize;
  std::uint32_t padding;
};

struct fuse_bmap_out {
  std::uint64_t block;
};

struct fuse_ioctl_in {
  std::uint64_t fh;
  std::uint32_t flags;
  std::uint32_t cmd;
  std::uint64_t arg;
  std::uint32_t in_size;
  std::uint32_t out_size;
};

struct fuse_ioctl_iovec {
  std::uint64_t base;
  std::uint64_t len;
};

struct fuse_ioctl_out {
  std::int32_t result;
  std::uint32_t flags;
  std::uint32_t in_iovs;
  std::uint32_t out_iovs;
};

struct fuse_poll_in {
  std::uint64_t fh;
  std::uint64_t kh;
  std::uint32_t flags;
  std::uint32_t events;
};

struct fuse_poll_out {
  std::uint32_t revents;
  std::uint32_t padding;
};

struct fuse_fallocate_in {
  std::uint64_t fh;
  std::uint64_t offset;
  std::uint64_t length;
  std::uint32_t mode;
  std::uint32_t padding;
};

struct fuse_lseek_in {
  std::uint64_t fh;
  std::uint64_t offset;
  std::uint32_t whence;
  std::uint32_t padding;
};

struct fuse_lseek_out {
  std::uint64_t offset;
};

struct fuse_copy_file_range_in {
  std::uint64_t fh_in;
  std::uint64_t off_in;
  std::uint64_t nodeid_out;
  std::uint64_t fh_out;
  std::uint64_t off_out;
  std::uint64_t len;
  std::uint64_t flags;
};

struct fuse_copy_file_range_out {
  std::uint64_t bytes_copied;
};

struct fuse_setupmapping_in {
  std::uint64_t fh;
  std::uint64_t foffset;
  std::uint64_t len;
  std::uint64_t flags;
  std::uint64_t moffset;
};

struct fuse_removemapping_in {  // 4 bytes: the items that follow are not aligned
  std::uint32_t count;
};

struct fuse_removemapping_one {
  std::uint64_t moffset;
  std::uint64_t len;
};

struct fuse_syncfs_in {
  std::uint64_t padding;
};

/// Followed by `namelen` bytes of name and padding to 8 bytes.
struct fuse_dirent {
  std::uint64_t ino;
  std::uint64_t off;
  std::uint32_t namelen;
  std::uint32_t type;
};

struct fuse_direntplus {
  fuse_entry_out entry_out;
  fuse_dirent dirent;
};

struct fuse_notify_poll_wakeup_out {
  std::uint64_t kh;
};

struct fuse_notify_inval_inode_out {
  std::uint64_t ino;
  std::int64_t off;
  std::int64_t len;
};

struct fuse_notify_inval_entry_out {
  std::uint64_t parent;
  std::uint32_t namelen;
  std::uint32_t flags;
};

struct fuse_notify_delete_out {
  std::uint64_t parent;
  std::uint64_t child;
  std::uint32_t namelen;
  std::uint32_t padding;
};

struct fuse_notify_store_out {
  std::uint64_t nodeid;
  std::uint64_t offset;
  std::uint32_t size;
  std::uint32_t padding;
};

struct fuse_notify_retrieve_out {
  std::uint64_t notify_unique;
  std::uint64_t nodeid;
  std::uint64_t offset;
  std::uint32_t size;
  std::uint32_t padding;
};

/// The arguments of NOTIFY_REPLY; laid out like `fuse_write_in`.
struct fuse_notify_retrieve_in {
  std::uint64_t dummy1;
  std::uint64_t offset;
  std::uint32_t size;
  std::uint32_t dummy2;
  std::uint64_t dummy3;
  std::uint64_t dummy4;
};

/// Followed by `count` node ids of 8 bytes.
struct fuse_notify_prune_out {
  std::uint32_t count;
  std::uint32_t padding;
  std::uint64_t spare;
};

/// Followed by the name (NUL-terminated) and `size` bytes of context, padded to 8 bytes.
struct fuse_secctx {
  std::uint32_t size;
  std::uint32_t padding;
};

struct fuse_secctx_header {
  std::uint32_t size;  // of the whole extension
  std::uint32_t nr_secctx;
};

struct fuse_ext_header {
  std::uint32_t size;  // of the whole extension
  std::uint32_t type;
};

/// Followed by `nr_groups` group ids of 4 bytes.
struct fuse_supp_groups {
  std::uint32_t nr_groups;
};

struct fuse_backing_map {
  std::int32_t fd;
  std::uint32_t flags;
  std::uint64_t padding;
};

// ioctls of /dev/fuse.
inline constexpr unsigned long dev_ioc_clone = _IOR(229, 0, std::uint32_t);
inline constexpr unsigned long dev_ioc_backing_open = _IOW(229, 1, fuse_backing_map);
inline constexpr unsigned long dev_ioc_backing_close = _IOW(229, 2, std::uint32_t);
inline constexpr unsigned long dev_ioc_sync_init = _IO(229, 3);

// io_uring, since 7.42: the command in the SQE's 80 bytes, and the header buffer of a ring entry.
enum class UringCommand : std::uint32_t { invalid = 0, register_entry = 1, commit_and_fetch = 2 };
inline constexpr std::uint32_t uring_in_out_size = 128;
inline constexpr std::uint32_t uring_op_size = 128;

struct fuse_uring_ent_in_out {
  std::uint64_t flags;
  std::uint64_t commit_id;
  std::uint32_t payload_sz;
  std::uint32_t padding;
  std::uint64_t reserved;
};

struct fuse_uring_req_header {
  alignas(8) std::uint8_t in_out[uring_in_out_size];  // fuse_in_header, for the reply fuse_out_header
  alignas(8) std::uint8_t op_in[uring_op_size];       // the fixed arguments
  fuse_uring_ent_in_out ring_ent_in_out;
};

struct fuse_uring_cmd_req {
  std::uint64_t flags;
  std::uint64_t commit_id;
  std::uint16_t qid;
  std::uint8_t padding[6];
};

static_assert(sizeof(fuse_in_header) == 40 && sizeof(fuse_out_header) == 16);
static_assert(sizeof(fuse_attr) == 88 && sizeof(fuse_statx) == 256 && sizeof(fuse_sx_time) == 16);
static_assert(sizeof(fuse_kstatfs) == 80 && sizeof(fuse_statfs_out) == 80 && sizeof(fuse_file_lock) == 24);
static_assert(sizeof(fuse_entry_out) == 128 && sizeof(fuse_attr_out) == 104 && sizeof(fuse_statx_out) == 288);
static_assert(sizeof(fuse_forget_in) == 8 && sizeof(fuse_forget_one) == 16 && sizeof(fuse_batch_forget_in) == 8);
static_assert(sizeof(fuse_getattr_in) == 16 && sizeof(fuse_statx_in) == 24 && sizeof(fuse_setattr_in) == 88);
static_assert(sizeof(fuse_mknod_in) == 16 && sizeof(fuse_mkdir_in) == 8 && sizeof(fuse_link_in) == 8);
static_assert(sizeof(fuse_rename_in) == 8 && sizeof(fuse_rename2_in) == 16);
static_assert(sizeof(fuse_open_in) == 8 && sizeof(fuse_create_in) == 16 && sizeof(fuse_open_out) == 16);
static_assert(sizeof(fuse_release_in) == 24 && sizeof(fuse_flush_in) == 24 && sizeof(fuse_fsync_in) == 16);
static_assert(sizeof(fuse_read_in) == 40 && sizeof(fuse_write_in) == 40 && sizeof(fuse_write_out) == 8);
static_assert(sizeof(fuse_setxattr_in) == 16 && sizeof(fuse_getxattr_in) == 8 && sizeof(fuse_getxattr_out) == 8);
static_assert(sizeof(fuse_lk_in) == 48 && sizeof(fuse_lk_out) == 24 && sizeof(fuse_access_in) == 8);
static_assert(sizeof(fuse_init_in) == 64 && sizeof(fuse_init_out) == 64);
static_assert(sizeof(cuse_init_in) == 16 && sizeof(cuse_init_out) == 72);
static_assert(sizeof(fuse_interrupt_in) == 8 && sizeof(fuse_bmap_in) == 16 && sizeof(fuse_bmap_out) == 8);
static_assert(sizeof(fuse_ioctl_in) == 32 && sizeof(fuse_ioctl_iovec) == 16 && sizeof(fuse_ioctl_out) == 16);
static_assert(sizeof(fuse_poll_in) == 24 && sizeof(fuse_poll_out) == 8 && sizeof(fuse_fallocate_in) == 32);
static_assert(sizeof(fuse_lseek_in) == 24 && sizeof(fuse_lseek_out) == 8);
static_assert(sizeof(fuse_copy_file_range_in) == 56 && sizeof(fuse_copy_file_range_out) == 8);
static_assert(sizeof(fuse_setupmapping_in) == 40 && sizeof(fuse_syncfs_in) == 8);
static_assert(sizeof(fuse_removemapping_in) == 4 && sizeof(fuse_removemapping_one) == 16);
static_assert(sizeof(fuse_dirent) == 24 && sizeof(fuse_direntplus) == 152);
static_assert(sizeof(fuse_notify_poll_wakeup_out) == 8 && sizeof(fuse_notify_inval_inode_out) == 24);
static_assert(sizeof(fuse_notify_inval_entry_out) == 16 && sizeof(fuse_notify_delete_out) == 24);
static_assert(sizeof(fuse_notify_store_out) == 24 && sizeof(fuse_notify_retrieve_out) == 32);
static_assert(sizeof(fuse_notify_retrieve_in) == sizeof(fuse_write_in) && sizeof(fuse_notify_prune_out) == 16);
static_assert(sizeof(fuse_secctx) == 8 && sizeof(fuse_secctx_header) == 8 && sizeof(fuse_ext_header) == 8);
static_assert(sizeof(fuse_supp_groups) == 4 && sizeof(fuse_backing_map) == 16);
static_assert(sizeof(fuse_uring_ent_in_out) == 32 && sizeof(fuse_uring_req_header) == 288);
static_assert(sizeof(fuse_uring_cmd_req) == 24);

}  // namespace fuselage::wire

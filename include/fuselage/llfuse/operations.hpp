// Module: llfuse.
//
// What a file system for `llfuse::init` implements, and the data that it is asked and answers with. Names, order and
// meaning are those of python-llfuse.
#pragma once

#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <fuselage/attributes.hpp>
#include <fuselage/context.hpp>
#include <fuselage/types.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llfuse {

/// The directory that is mounted.
inline constexpr std::uint64_t ROOT_INODE = 1;

/// What a handler throws to answer with an errno.
class FUSEError : public std::exception {
 public:
  /// What is no errno becomes EIO on its way to the kernel.
  explicit FUSEError(int error);
  int error() const noexcept { return errno_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  int errno_;
  std::string text_;
};

/// Who asks. The groups, and whether the caller was interrupted, can be had from it too.
using RequestContext = fuselage::Context;

/// What a name leads to and what stat(2) tells of it. Times are nanoseconds since 1970, timeouts seconds for which the
/// kernel may believe the name and the attributes.
struct EntryAttributes {
  std::uint64_t st_ino = 0;
  std::uint64_t generation = 0;
  double entry_timeout = 300;
  double attr_timeout = 300;
  ::mode_t st_mode = S_IFREG;
  std::uint32_t st_nlink = 1;
  ::uid_t st_uid = 0;
  ::gid_t st_gid = 0;
  ::dev_t st_rdev = 0;
  std::uint64_t st_size = 0;
  std::uint32_t st_blksize = 4096;
  std::uint64_t st_blocks = 0;
  std::int64_t st_atime_ns = 0;
  std::int64_t st_mtime_ns = 0;
  std::int64_t st_ctime_ns = 0;

  /// The same in the library's own words.
  fuselage::Attributes attributes() const;
  fuselage::Entry entry() const;
};

/// Which members of the attributes `setattr` shall change.
struct SetattrFields {
  bool update_atime = false;
  bool update_mtime = false;
  bool update_mode = false;
  bool update_uid = false;
  bool update_gid = false;
  bool update_size = false;
};

/// `changes` as attributes with the fields that count.
std::pair<EntryAttributes, SetattrFields> from(const fuselage::SetAttributes& changes);

/// What statvfs(3) tells.
struct StatvfsData {
  std::uint64_t f_bsize = 0;
  std::uint64_t f_frsize = 0;
  std::uint64_t f_blocks = 0;
  std::uint64_t f_bfree = 0;
  std::uint64_t f_bavail = 0;
  std::uint64_t f_files = 0;
  std::uint64_t f_ffree = 0;
  std::uint64_t f_favail = 0;  ///< The protocol has no place for it.
  std::uint64_t f_namemax = 255;

  fuselage::StatFs statfs() const;
};

/// Where `readdir` puts an entry: its name, its attributes, and the offset from which to go on after it, which is never
/// 0. False: there is no room, and the entry is not taken; return.
using Yield = std::function<bool(std::string_view name, const EntryAttributes& attr, std::uint64_t next)>;

/// One inode and how many lookups of it the kernel gives back.
using Forgotten = std::pair<std::uint64_t, std::uint64_t>;

/// A file system. Override what you have; the rest throws FUSEError(ENOSYS), which the kernel makes the best of: it
/// does without `access`, `flush`, `fsync`, extended attributes and the like, and passes the error on for others.
/// Handlers run on several threads at once unless `main` has one worker. Each entry that is answered (by `lookup`,
/// `mknod`, `mkdir`, `symlink`, `link`, `create`) counts one lookup of its inode, which `forget` gives back.
class Operations {
 public:
  Operations() = default;
  virtual ~Operations() = default;
  Operations(const Operations&) = delete;
  Operations& operator=(const Operations&) = delete;

  virtual void init() {}     ///< By `main`, before everything else.
  virtual void destroy() {}  ///< By `close`.

  /// An `st_ino` of 0: there is no such name, and the kernel may remember that for `entry_timeout`.
  virtual EntryAttributes lookup(std::uint64_t parent_inode, std::string_view name, const RequestContext& ctx);
  virtual void forget(std::span<const Forgotten> inode_list);
  virtual EntryAttributes getattr(std::uint64_t inode, const RequestContext& ctx);
  /// `fh` is nothing when the file was named by its path.
  virtual EntryAttributes setattr(std::uint64_t inode, const EntryAttributes& attr, const SetattrFields& fields,
                                  std::optional<std::uint64_t> fh, const RequestContext& ctx);
  virtual std::string readlink(std::uint64_t inode, const RequestContext& ctx);
  virtual EntryAttributes mknod(std::uint64_t parent_inode, std::string_view name, ::mode_t mode, ::dev_t rdev,
                                const RequestContext& ctx);
  /// `mode` has S_IFDIR.
  virtual EntryAttributes mkdir(std::uint64_t parent_inode, std::string_view name, ::mode_t mode,
                                const RequestContext& ctx);
  virtual void unlink(std::uint64_t parent_inode, std::string_view name, const RequestContext& ctx);
  virtual void rmdir(std::uint64_t parent_inode, std::string_view name, const RequestContext& ctx);
  virtual EntryAttributes symlink(std::uint64_t parent_inode, std::string_view name, std::string_view target,
                                  const RequestContext& ctx);
  virtual void rename(std::uint64_t parent_inode_old, std::string_view name_old, std::uint64_t parent_inode_new,
                      std::string_view name_new, const RequestContext& ctx);
  virtual EntryAttributes link(std::uint64_t inode, std::uint64_t new_parent_inode, std::string_view new_name,
                               const RequestContext& ctx);
  /// The kernel keeps what it has cached of the file: what changes otherwise is told by `invalidate_inode`.
  virtual std::uint64_t open(std::uint64_t inode, int flags, const RequestContext& ctx);
  virtual std::string read(std::uint64_t fh, std::uint64_t off, std::size_t size);
  virtual std::size_t write(std::uint64_t fh, std::uint64_t off, fuselage::Bytes buf);
  virtual void flush(std::uint64_t fh);
  virtual void release(std::uint64_t fh);
  virtual void fsync(std::uint64_t fh, bool datasync);
  virtual std::uint64_t opendir(std::uint64_t inode, const RequestContext& ctx);
  /// From the start when `off` is 0, else after the entry that was yielded with it.
  virtual void readdir(std::uint64_t fh, std::uint64_t off, const Yield& yield);
  virtual void releasedir(std::uint64_t fh);
  virtual void fsyncdir(std::uint64_t fh, bool datasync);
  virtual StatvfsData statfs(const RequestContext& ctx);
  /// Flags of setxattr(2) are seen to by calling `getxattr` first.
  virtual void setxattr(std::uint64_t inode, std::string_view name, fuselage::Bytes value, const RequestContext& ctx);
  virtual std::string getxattr(std::uint64_t inode, std::string_view name, const RequestContext& ctx);
  virtual std::vector<std::string> listxattr(std::uint64_t inode, const RequestContext& ctx);
  virtual void removexattr(std::uint64_t inode, std::string_view name, const RequestContext& ctx);
  /// False: EACCES. Not asked with the option `default_permissions`.
  virtual bool access(std::uint64_t inode, int mode, const RequestContext& ctx);
  virtual std::pair<std::uint64_t, EntryAttributes> create(std::uint64_t parent_inode, std::string_view name,
                                                           ::mode_t mode, int flags, const RequestContext& ctx);
};

}  // namespace llfuse

#include <fuselage/llfuse/duck.hpp>

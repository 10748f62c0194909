// Module: mount.
//
// A mounted /dev/fuse, and the end of it.
//
//   auto mount = Mount::create("/mnt/data", {.fsname = "data", .auto_unmount = true});
//   if (!mount) return fail(mount.error().message());
//   ... serve mount->device() ...
//   // unmounted where `mount` ends
#pragma once

#include <cstdint>
#include <filesystem>
#include <fuselage/options.hpp>
#include <fuselage/result.hpp>
#include <memory>
#include <optional>
#include <string>

namespace fuselage {

/// How to mount. Members have the names of the options of mount(8); every one has its default here.
struct MountOptions {
  std::string fsname = {};   ///< The source, first column of the mount table; for `blkdev` the block device.
  std::string subtype = {};  ///< Shown as the type `fuse.SUBTYPE`.

  bool allow_other = false;          ///< Everybody may enter; without it only the user who mounted.
  bool allow_root = false;           ///< The user who mounted and root may enter. The kernel only knows `allow_other`,
                                     ///< which this implies: whoever answers requests must refuse the others.
  bool default_permissions = false;  ///< The kernel checks access by mode, uid and gid.
  bool auto_unmount = false;         ///< A watcher process unmounts when this one ends in any way, also by SIGKILL.
  bool blkdev = false;               ///< Mount as type `fuseblk` from the block device `fsname` (root only).
  bool file_root = false;            ///< The root is a regular file, mounted over a regular file.
  std::optional<std::uint32_t> max_read = {};  ///< Largest READ request in bytes; the kernel's own limit when absent.
  std::optional<std::uint32_t> blksize = {};   ///< Block size in bytes, with `blkdev` only.

  bool ro = false;
  bool nosuid = true;  ///< Set-user-ID bits have no effect. Always on when mounted by an ordinary user.
  bool nodev = true;   ///< Device nodes cannot be opened. Always on when mounted by an ordinary user.
  bool noexec = false;
  bool sync = false;
  bool dirsync = false;
  bool noatime = false;
  bool nodiratime = false;
  bool relatime = false;
  bool strictatime = false;
  bool nosymfollow = false;
  bool lazytime = false;

  std::string context = {};      ///< SELinux label of every file.
  std::string fscontext = {};    ///< ... of the file system.
  std::string defcontext = {};   ///< ... of files that have none.
  std::string rootcontext = {};  ///< ... of the root.
};

/// Adds a row for every member but `file_root` (which is the file system's choice) to `table`, and accepts what
/// mount(8) and fstab may pass without a meaning for FUSE (`defaults`, `nofail`, `_netdev`, `user=`, `x-...`,
/// `comment=`, ...). `options` must outlive the use of `table`.
void add_mount_options(OptionSet& table, MountOptions& options);

/// Owns a /dev/fuse descriptor that is mounted. The order of an end without losses: `unmount()` while requests are
/// still answered (the kernel may have dirty pages to write back), then stop answering, then destroy.
///
/// Thread-safety: `device`, `mountpoint`, `mounted` and `unmount` may be called from any thread; moving and destroying
/// may not run beside them. A moved-from Mount may only be assigned to or destroyed.
class Mount {
 public:
  /// Mounts on `mountpoint` by mount(2), or by the setuid program fusermount3 where this process may not mount itself.
  /// A dead FUSE mount found there (its server is gone) is unmounted first. Nothing is left mounted when it fails.
  ///
  /// The mount point `/dev/fd/N` means: N is a mounted /dev/fuse that somebody else opened. It is adopted, closed in
  /// the end, and never unmounted; `options` have no effect.
  ///
  /// Errors say what to do: ENOENT, ENOTDIR, EISDIR, EACCES for the mount point; ENODEV without /dev/fuse; EPERM when
  /// neither way is permitted; EINVAL for options that do not go together; ENOTCONN for a dead mount that cannot be
  /// unmounted.
  static Result<Mount> create(const std::filesystem::path& mountpoint, const MountOptions& options = {});

  Mount(Mount&& other) noexcept;
  Mount& operator=(Mount&& other) noexcept;

  /// Closes the device, then unmounts like `unmount`; what goes wrong is logged. The device comes first because
  /// nobody answers any more: an open connection would let the kernel wait for its last requests for ever.
  ~Mount();

  /// The descriptor, valid until the Mount is destroyed. Close-on-exec, blocking unless the caller changes it.
  int device() const noexcept;

  /// The canonical path; `/dev/fd/N` for an adopted device.
  const std::filesystem::path& mountpoint() const noexcept;

  /// Whether this Mount has something to unmount: true until `unmount`, `release`, or until it was unmounted or
  /// aborted from outside. False for an adopted device.
  bool mounted() const noexcept;

  /// Unmounts; busy or not, it leaves the name space at once (MNT_DETACH) and the connection ends with its last user.
  /// Does nothing the second time, and nothing when it was unmounted from outside: what sits there by now is left
  /// alone. A mount that was aborted from outside is dead but still there, and is taken off (before Linux 6.8, where it
  /// cannot be told from a later one, only by `auto_unmount`). Fails with EBUSY when another file system was mounted
  /// over it, with EPERM when not permitted.
  Result<void> unmount();

  /// Leaves it mounted when this ends (and dead, once the last copy of the device is closed); ends `auto_unmount`.
  void release() noexcept;

 private:
  struct State;
  explicit Mount(std::unique_ptr<State> state) noexcept;

  std::unique_ptr<State> state_;
};

}  // namespace fuselage

// The mount table of this process, and unmounting by path.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fuselage/result.hpp>
#include <optional>
#include <string>
#include <vector>

namespace fuselage::mounting {

/// One line of /proc/self/mountinfo, escapes resolved.
struct MountEntry {
  int id = 0;
  int parent = 0;
  std::string device = {};                ///< "MAJOR:MINOR" of the superblock.
  std::filesystem::path mountpoint = {};  ///< As seen from the root directory of this process.
  std::string options = {};               ///< Of the mount: "rw,nosuid,nodev".
  std::string type = {};                  ///< "fuse", "fuse.SUBTYPE", "fuseblk", "ext4", ...
  std::string source = {};
  std::string super_options = {};  ///< Of the superblock: "rw,user_id=0,group_id=0,allow_other".

  bool is_fuse() const;

  /// The connection's name in /sys/fs/fuse/connections: the minor number of the device. Empty if this is not FUSE, or
  /// is `fuseblk`, which borrows the device number of its disk.
  std::string connection() const;
};

/// All mounts that this process can see.
Result<std::vector<MountEntry>> all_mounts();

/// Those of type fuse and fuseblk, whoever serves them.
Result<std::vector<MountEntry>> fuse_mounts();

/// The entry that a path walk ends on at `mountpoint` (canonical): the one that no other covers.
std::optional<MountEntry> top_mount(const std::vector<MountEntry>& mounts, const std::filesystem::path& mountpoint);

/// The number of the mount that a path walk ends on at `mountpoint`, never given out again until the next boot, where
/// an id and a device number are free for the next mount at once. 0 before Linux 6.8. Asks the file system nothing, so
/// it also works where nobody answers.
std::uint64_t unique_mount_id(const std::filesystem::path& mountpoint);

/// `path` made absolute without symbolic links and without asking the file system mounted there anything, so that it
/// also works on a dead or hanging mount.
Result<std::filesystem::path> resolve(const std::filesystem::path& path);

/// Unmounts what is mounted at `path`: by umount2(2), or fusermount3 where this process may not. `lazy` takes a busy
/// mount out of the name space at once; without it EBUSY is the answer. EINVAL when nothing is mounted there.
Result<void> unmount(const std::filesystem::path& path, bool lazy);

}  // namespace fuselage::mounting

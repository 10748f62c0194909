// MountOptions in the words of mount(2) and of fusermount3.
#pragma once

#include <sys/types.h>

#include <fuselage/mount.hpp>
#include <string>

namespace fuselage::mounting {

/// Whether the options go together.
Result<void> check(const MountOptions& options);

/// The MS_ bits.
unsigned long mount_flags(const MountOptions& options);

/// "fuse.SUBTYPE" and the like.
std::string mount_type(const MountOptions& options);

/// The first column of the mount table.
std::string mount_source(const MountOptions& options);

/// The data of mount(2) for this process as the owner; `root_mode` is the type of the root inode (S_IFDIR, S_IFREG).
std::string mount_data(const MountOptions& options, int device, mode_t root_mode);

/// The argument of `fusermount3 -o`.
std::string helper_options(const MountOptions& options);

}  // namespace fuselage::mounting

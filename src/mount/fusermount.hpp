// The setuid program fusermount3, which mounts and unmounts for ordinary users.
#pragma once

#include <filesystem>
#include <fuselage/result.hpp>
#include <string>

#include "base/unique_fd.hpp"

namespace fuselage::mounting {

/// Lets the helper open /dev/fuse and mount it on `mountpoint` (canonical) with the `-o` text `options`; it sends the
/// descriptor back. What it says on stderr becomes the error's message. EPERM whatever the reason: the helper tells no
/// errno.
Result<base::UniqueFd> mount_by_helper(const std::filesystem::path& mountpoint, const std::string& options);

/// Lets the helper unmount a FUSE mount of this user.
Result<void> unmount_by_helper(const std::filesystem::path& mountpoint, bool lazy);

}  // namespace fuselage::mounting

// Mounting as programs of the C interface ask for it.
#pragma once

#include "capi/v2/api.hpp"

namespace fuselage::capi2 {

/// How large the buffer for messages of /dev/fuse is that programs make: 128 KiB of data and a page.
inline constexpr std::size_t kernel_buffer = 132 * 1024;

/// Mounts as the options in `args` say, and takes those out. A channel that mounted nothing if help was asked for; null
/// after a message.
fuse_chan* mount_channel(const char* mountpoint, fuse_args* args);

/// Unmounts whatever is mounted there, busy or not.
void unmount(const char* mountpoint);

}  // namespace fuselage::capi2

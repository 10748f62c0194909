// The API's values as the kernel's structures, and back.
#pragma once

#include <sys/sysmacros.h>

#include <chrono>
#include <fuselage/attributes.hpp>
#include <fuselage/requests.hpp>

#include "wire/kernel.hpp"

namespace fuselage::inode {

/// The timeouts that hold where an answer does not say.
struct DefaultTimeouts {
  std::chrono::nanoseconds entry;
  std::chrono::nanoseconds attributes;
};

/// `ino` is shown as st_ino where the attributes do not say.
wire::fuse_attr to_attr(const Attributes& attributes, Ino ino) noexcept;
wire::fuse_attr_out to_attr_out(const Attributes& attributes, Ino ino, const DefaultTimeouts& defaults) noexcept;
wire::fuse_statx_out to_statx_out(const Attributes& attributes, Ino ino, const DefaultTimeouts& defaults) noexcept;
wire::fuse_entry_out to_entry_out(const Entry& entry, const DefaultTimeouts& defaults) noexcept;
wire::fuse_open_out to_open_out(const Opened& opened) noexcept;
wire::fuse_statfs_out to_statfs_out(const StatFs& statfs) noexcept;
wire::fuse_file_lock to_file_lock(const Lock& lock) noexcept;

SetAttributes to_set_attributes(const wire::fuse_setattr_in& in) noexcept;
/// `type` is invalid if the kernel sent none of F_RDLCK, F_WRLCK, F_UNLCK: then there is no lock.
std::optional<Lock> to_lock(const wire::fuse_lk_in& in, bool flock) noexcept;

}  // namespace fuselage::inode

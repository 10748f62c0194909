// The kinds of answers that several operations share.
#pragma once

#include <sys/uio.h>

#include <array>
#include <fuselage/data.hpp>
#include <fuselage/file_system.hpp>

#include "inode/convert.hpp"
#include "inode/dispatch.hpp"

namespace fuselage::inode {

inline DefaultTimeouts default_timeouts(const Request& request) noexcept {
  const SessionOptions& options = request.connection().options();
  return {options.entry_timeout, options.attr_timeout};
}

/// Takes back a lookup whose answer did not reach the kernel.
void give_back(FileSystem& file_system, const Request& request, Ino ino) noexcept;

/// Takes back an open file whose answer did not reach the kernel, which will not release it.
Reply<void> release_opened(FileSystem& file_system, Request& request, Ino ino, Handle handle);

/// Answers GETATTR, SETATTR and STATX.
void answer_attributes(Request& request, const Attributes& attributes);

/// Answers with a new or found entry, which counts as a lookup if it is delivered.
void answer_entry(FileSystem& file_system, Request& request, const Entry& entry);

/// Answers `create` and `tmpfile`; what it returns takes back what was not delivered.
Reply<void> answer_created(FileSystem& file_system, Request& request, const Created& created);

/// Answers with bytes, at most `limit` of them.
void answer_data(Request& request, const Data& data, std::size_t limit);

/// Answers with an attribute's value or a list of names, as getxattr(2) and listxattr(2) want it: `wanted` 0 asks for
/// the size only.
void answer_sized(Request& request, Bytes bytes, std::uint32_t wanted);

/// Answers an ioctl: output, or the list of what a retry needs.
void answer_ioctl(Request& request, const IoctlCall& call, const IoctlReply& reply);

}  // namespace fuselage::inode

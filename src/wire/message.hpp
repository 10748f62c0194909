// One request as it came from the kernel: header, arguments and payload, in one buffer or in three.
//
//   Result<Message> message = split(buffer);                       // /dev/fuse; io_uring fills the three parts itself
//   const OperationRow* row = find_operation(message->header->opcode);
//   Result<void> checked = arrange(*message, *row, minor, flags);  // now each part is what its name says
#pragma once

#include <cstddef>
#include <cstdint>
#include <fuselage/result.hpp>
#include <span>

#include "wire/kernel.hpp"
#include "wire/operations.hpp"

namespace fuselage::wire {

using Status = Result<void>;

/// A view; whoever filled it owns the bytes.
struct Message {
  const fuse_in_header* header = nullptr;
  std::span<const std::byte> arguments;   ///< the fixed structure, after `arrange` exactly of the row's size
  std::span<const std::byte> payload;     ///< names and data
  std::span<const std::byte> extensions;  ///< after `arrange`: what the header counts in `total_extlen`, else empty
  bool contiguous = false;                ///< until `arrange`: everything behind the header is in `arguments`
};

/// A message that lies in one buffer. Looks at the header only: fails with EINVAL when the buffer is shorter than one,
/// is not aligned to 8 bytes or does not have the length that the header states. Such a message cannot be answered.
Result<Message> split(std::span<const std::byte> whole);

/// Puts each byte into the part it belongs to and checks the length against the row: fails with EIO when the message is
/// too short for its arguments, for as many NUL-terminated strings as the row names, or for its extensions. (Data that
/// the arguments count is checked where it is decoded.) `minor` and `init_flags` are what was negotiated; INIT brings
/// its own minor. A message whose parts came separately may have longer `arguments`: an io_uring entry has 128 bytes.
///
/// Idempotent. On failure the message keeps its parts as they were.
Status arrange(Message& message, const OperationRow& row, unsigned minor, std::uint64_t init_flags);

}  // namespace fuselage::wire

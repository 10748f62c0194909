// What the kernel takes for an answer.
#pragma once

#include <optional>
#include <string>

#include "testing/ledger.hpp"

namespace fuselage::fake {

/// The bit that tells the answer of an INTERRUPT from that of its request (FUSE_INT_REQ_BIT).
inline constexpr std::uint64_t interrupt_bit = 1;

/// Why the kernel would refuse this answer, or fail the system call that waits for it; nothing if it is fine.
std::optional<std::string> objection(const Exchange& exchange, const wire::fuse_out_header& header,
                                     const std::string& body, unsigned minor);

/// The same for a notification.
std::optional<std::string> objection_to_notification(const wire::fuse_out_header& header, const std::string& body,
                                                     unsigned minor);

}  // namespace fuselage::fake

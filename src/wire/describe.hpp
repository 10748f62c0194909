// Any message as one line of text, for traces and logs: `READ unique=41 ino=2 fh=3 offset=0 size=4096 pid=12 uid=0`.
//
// Made for whatever bytes arrive: nothing here fails or reads past a span. Names are quoted with C escapes, numbers are
// decimal, flags hexadecimal, modes octal; fields that are always there come first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "wire/message.hpp"

namespace fuselage::wire {

/// A request, before or after `arrange`. One that does not fit its row ends in "malformed: " and the reason.
std::string describe(const Message& message, unsigned minor, std::uint64_t init_flags);

/// An answer to `opcode`: its error by name, or the fields of what `body` holds.
std::string describe_reply(Opcode opcode, const fuse_out_header& header, std::span<const std::byte> body);

/// A notification: the code is in `header.error`.
std::string describe_notification(const fuse_out_header& header, std::span<const std::byte> body);

/// The bytes between double quotes; what is not printable ASCII, a quote or a backslash is escaped as in C.
std::string quoted(std::string_view bytes);

}  // namespace fuselage::wire

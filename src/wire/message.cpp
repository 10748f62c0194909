#include "wire/message.hpp"

#include <fmt/format.h>

#include <cstring>

namespace fuselage::wire {
namespace {

using Bytes = std::span<const std::byte>;

/// The bytes that the first `count` NUL-terminated strings take; more than there are when one does not end.
std::size_t names_length(Bytes bytes, unsigned count) {
  std::size_t used = 0;
  for (; count != 0; --count) {
    const Bytes rest = bytes.subspan(used);
    const void* end = rest.empty() ? nullptr : std::memchr(rest.data(), 0, rest.size());
    if (end == nullptr) return bytes.size() + 1;
    used = static_cast<std::size_t>(static_cast<const std::byte*>(end) - bytes.data()) + 1;
  }
  return used;
}

/// Whether a SETXATTR has the shorter structure. fuse_setxattr chooses before fuse_simple_request waits for INIT's
/// answer, so the first requests of a connection have it whatever INIT agrees on. The lengths tell: the longer
/// structure ends in zeros, which as a name would be shorter than the structure is longer.
bool is_shorter_setxattr(const Message& message, const OperationRow& row) {
  if (!message.contiguous) {
    return message.header->len == sizeof(fuse_in_header) + row.shorter_arguments + message.payload.size();
  }
  if (message.arguments.size() < row.shorter_arguments) return false;
  fuse_setxattr_in in{};
  std::memcpy(&in, message.arguments.data(), row.shorter_arguments);
  const Bytes rest = message.arguments.subspan(row.shorter_arguments);
  const std::size_t name = names_length(rest, 1);
  return name > 1 && rest.size() == name + in.size;
}

/// The size of the arguments in this very message. INIT is where the minor is agreed on, so its own words count: the
/// kernel always sends the structure that it was compiled with (fuse_send_init).
std::uint32_t expected_arguments(const Message& message, const OperationRow& row, unsigned minor, std::uint64_t flags) {
  if (row.opcode == Opcode::INIT && message.arguments.size() >= 2 * sizeof(std::uint32_t)) {
    std::uint32_t stated;
    std::memcpy(&stated, message.arguments.data() + sizeof(stated), sizeof stated);
    minor = stated;
  }
  if (row.opcode == Opcode::SETXATTR && is_shorter_setxattr(message, row)) return row.shorter_arguments;
  return row.arguments_size(minor, flags);
}

/// The length of the extensions. Before 7.38 the header did not count them; the one that existed, the security context,
/// was simply what came behind the names (get_security_context).
std::size_t extensions_length(const Message& message, Bytes payload, const OperationRow& row, unsigned minor,
                              std::uint64_t flags) {
  constexpr unsigned counted_since = 38;
  if (minor >= counted_since) return std::size_t{message.header->total_extlen} * 8;
  const bool creates = row.opcode == Opcode::CREATE || row.opcode == Opcode::MKDIR || row.opcode == Opcode::MKNOD ||
                       row.opcode == Opcode::SYMLINK;
  if (!creates || !has(flags, Capability::SECURITY_CTX)) return 0;
  const std::size_t names = names_length(payload, row.names);
  return names <= payload.size() ? payload.size() - names : 0;
}

}  // namespace

Result<Message> split(Bytes whole) {
  if (whole.size() < sizeof(fuse_in_header)) {
    return Error{EINVAL, fmt::format("message of {} bytes is shorter than a header", whole.size())};
  }
  if (reinterpret_cast<std::uintptr_t>(whole.data()) % alignof(fuse_in_header) != 0) {
    return Error{EINVAL, "message buffer is not aligned to 8 bytes"};
  }
  const auto* header = reinterpret_cast<const fuse_in_header*>(whole.data());
  if (header->len != whole.size()) {
    return Error{EINVAL, fmt::format("message of {} bytes states a length of {}", whole.size(), header->len)};
  }
  return Message{header, whole.subspan(sizeof(fuse_in_header)), {}, {}, true};
}

Status arrange(Message& message, const OperationRow& row, unsigned minor, std::uint64_t init_flags) {
  const std::uint32_t expected = expected_arguments(message, row, minor, init_flags);
  if (message.arguments.size() < expected) {
    return Error{
        EIO, fmt::format("{} has {} bytes of arguments instead of {}", row.name, message.arguments.size(), expected)};
  }
  Bytes payload = message.contiguous ? message.arguments.subspan(expected) : message.payload;
  Bytes extensions = message.extensions;
  if (extensions.empty()) {
    const std::size_t length = extensions_length(message, payload, row, minor, init_flags);
    if (length > payload.size()) {
      return Error{EIO, fmt::format("{} states {} bytes of extensions and has {}", row.name, length, payload.size())};
    }
    extensions = payload.last(length);
    payload = payload.first(payload.size() - length);
  }
  if (names_length(payload, row.names) > payload.size()) {
    return Error{EIO, fmt::format("{} has {} bytes that do not hold {} names", row.name, payload.size(), row.names)};
  }
  message.arguments = message.arguments.first(expected);
  message.payload = payload;
  message.extensions = extensions;
  message.contiguous = false;
  return {};
}

}  // namespace fuselage::wire

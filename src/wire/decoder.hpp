// Reads an arranged message from front to back. Nothing in a message is trusted: what is not there, or is no name, is
// an empty optional, and structures are copied out, so alignment does not matter.
//
//   Decoder decoder(message);
//   const auto in = decoder.arguments<fuse_rename_in>();
//   const auto from = decoder.name();
//   const auto to = decoder.name();
//   if (!from || !to) return malformed();
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fuselage/result.hpp>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "wire/message.hpp"

namespace fuselage::wire {

/// Can it be the name of a directory entry? Not when it is empty or holds a '/' or a NUL. Any other bytes are allowed,
/// UTF-8 or not, of any length.
constexpr bool valid_name(std::string_view name) {
  return !name.empty() && name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

/// The structure at the front of `bytes`, filled up with zeros where they are shorter.
template <class T>
requires std::is_trivially_copyable_v<T> T copy_out(std::span<const std::byte> bytes) {
  T value{};
  if (bytes.size() >= sizeof(T)) {
    std::memcpy(&value, bytes.data(), sizeof(T));  // of constant size: a few instructions
  } else if (!bytes.empty()) {
    std::memcpy(&value, bytes.data(), bytes.size());
  }
  return value;
}

/// A cursor over the payload of a message for which `arrange` succeeded. Views it gives are into the message's bytes.
class Decoder {
 public:
  explicit Decoder(const Message& message) : arguments_(message.arguments), rest_(message.payload) {}

  /// The fixed structure; a shorter one of an older minor is filled up with zeros.
  template <class T>
  T arguments() const {
    return copy_out<T>(arguments_);
  }

  /// The next string, as the name of a directory entry; nothing when it is missing or `valid_name` says no.
  std::optional<std::string_view> name() {
    const auto next = text();
    return next && valid_name(*next) ? next : std::nullopt;
  }

  /// The next string, whatever is in it: the target of a symbolic link, the name of an extended attribute, the
  /// placeholder that TMPFILE brings instead of a name.
  std::optional<std::string_view> text();

  /// The next `count` bytes; nothing when there are fewer.
  std::optional<std::span<const std::byte>> bytes(std::size_t count);

  /// The next structure; nothing when there are too few bytes.
  template <class T>
  std::optional<T> item() {
    const auto next = bytes(sizeof(T));
    return next ? std::optional<T>(copy_out<T>(*next)) : std::nullopt;
  }

  /// All that is left, without moving on.
  std::span<const std::byte> rest() const { return rest_; }

 private:
  std::span<const std::byte> arguments_;
  std::span<const std::byte> rest_;
};

/// A label that the new inode shall get (SECURITY_CTX).
struct SecurityContext {
  std::string_view name;             ///< of the extended attribute, "security.selinux"
  std::span<const std::byte> value;  ///< without its padding
};

/// What the extensions of a message say; views are into the message's bytes.
struct Extensions {
  std::vector<SecurityContext> security_contexts;
  std::vector<std::uint32_t> groups;  ///< of the caller that matter for the new inode (CREATE_SUPP_GROUP)

  /// Reads `Message::extensions`. Unknown kinds are passed over. EIO when a length does not fit.
  static Result<Extensions> parse(std::span<const std::byte> bytes);
};

}  // namespace fuselage::wire

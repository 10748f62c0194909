// The table of capabilities (capabilities.def) as C++. A set of capabilities is a 64-bit mask: INIT carries its lower
// half in `flags` and, with INIT_EXT, its upper half in `flags2`.
#pragma once

#include <array>
#include <cstdint>
#include <fuselage/capability.hpp>
#include <string>
#include <string_view>

namespace fuselage::wire {

using fuselage::Capability;

/// When the session asks for a capability; capabilities.def explains each.
enum class Wanted : std::uint8_t { always, never, with_operation, without_operation, option };

/// One capability. Rows are constants; views in them live for ever.
struct CapabilityRow {
  Capability capability;
  std::string_view name;  ///< as in the protocol: "ASYNC_READ"
  unsigned since;         ///< protocol minor
  Wanted wanted;
  std::string_view operation;  ///< the handler that `with_operation` and `without_operation` name, else empty
  std::string_view option;     ///< the session option that decides or overrides, else empty
};

/// The mask of a capability.
constexpr std::uint64_t bit(Capability capability) { return static_cast<std::uint64_t>(capability); }

/// Is it in the set?
constexpr bool has(std::uint64_t set, Capability capability) { return (set & bit(capability)) != 0; }

namespace detail {
constexpr std::string_view unless_none(std::string_view text) { return text == "none" ? std::string_view() : text; }
}  // namespace detail

/// All rows, sorted by bit.
inline constexpr std::array capabilities = {
#define CAPABILITY(NAME, bit, since, wanted, operation, option) \
  CapabilityRow{                                                \
      Capability::NAME, #NAME, since, Wanted::wanted, detail::unless_none(#operation), detail::unless_none(#option)},
#include "wire/capabilities.def"
#undef CAPABILITY
};

/// Its row; null for a bit of a newer protocol.
constexpr const CapabilityRow* find_capability(Capability capability) {
  for (const CapabilityRow& row : capabilities) {
    if (row.capability == capability) return &row;
  }
  return nullptr;
}

/// "ASYNC_READ"; "unknown" for a bit of a newer protocol.
constexpr std::string_view name(Capability capability) {
  const CapabilityRow* row = find_capability(capability);
  return row != nullptr ? row->name : std::string_view("unknown");
}

/// A set as text, "ASYNC_READ|BIG_WRITES"; unknown bits as one hexadecimal number, the empty set as "0".
std::string to_text(std::uint64_t set);

}  // namespace fuselage::wire

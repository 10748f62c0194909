# Makes <fuselage/detail/operations.hpp> and <fuselage/capability.hpp> from the two tables, so that the public headers know
# every operation with its member function, and every capability, without a second list. The rows look like
# OPERATION(NAME, number, handler, ...) and CAPABILITY(NAME, bit, ...).

set(FUSELAGE_GENERATED_INCLUDE ${PROJECT_BINARY_DIR}/include)
set(table ${PROJECT_SOURCE_DIR}/src/wire/operations.def)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${table})

set(row_pattern "^[ \t]*OPERATION\\([ \t]*([A-Z0-9_]+)[ \t]*,[ \t]*([0-9]+)[ \t]*,[ \t]*([a-z0-9_]+)[ \t]*,")
set(handlers "")
file(STRINGS ${table} rows REGEX "${row_pattern}")
foreach(row IN LISTS rows)
  string(REGEX MATCH "${row_pattern}" matched "${row}")
  set(handler ${CMAKE_MATCH_3})
  # The session serves these itself, whatever the file system is.
  if(NOT handler STREQUAL "session")
    list(APPEND handlers ${handler})
    list(APPEND bits_of_${handler} "std::uint64_t{1} << ${CMAKE_MATCH_2}")
  endif()
endforeach()
list(REMOVE_DUPLICATES handlers)
if(NOT handlers)
  message(FATAL_ERROR "No row OPERATION(NAME, number, handler, ...) was found in ${table}")
endif()

set(terms "")
set(constants "")
foreach(handler IN LISTS handlers)
  list(LENGTH bits_of_${handler} opcodes)
  set(mask "${bits_of_${handler}}")
  if(opcodes GREATER 1)
    list(JOIN bits_of_${handler} ") | (" mask)
    set(mask "(${mask})")
  endif()
  string(APPEND terms "  if constexpr (requires { &FileSystem::${handler}; }) {
    set = set | if_overridden(${mask}, &FileSystem::${handler}, &T::${handler});
  }\n")
  string(APPEND constants "inline constexpr OperationSet ${handler}{${mask}};\n")
endforeach()

file(CONFIGURE OUTPUT ${FUSELAGE_GENERATED_INCLUDE}/fuselage/detail/operations.hpp @ONLY CONTENT
"// Module: inode.
// Generated from the operation table; do not edit. Included by <fuselage/file_system.hpp>.
#pragma once

#include <cstdint>
#include <fuselage/detail/overridden.hpp>
#include <fuselage/operation_set.hpp>

namespace fuselage::detail {

/// The operations whose member functions `T`, or a class between it and `FileSystem`, declares (bit N is opcode N).
/// `FileSystem` is any class that declares operations; those that it does not have, nobody overrides.
template <class T, class FileSystem>
constexpr OperationSet overridden() noexcept {
  OperationSet set;
@terms@  return set;
}

}  // namespace fuselage::detail

/// Each operation as a set of its own, for file systems that know at run time what they have.
namespace fuselage::operations {

@constants@
}  // namespace fuselage::operations
")

file(GLOB capability_table CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/wire/capabilities.def)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${capability_table})
set(row_pattern "^[ \t]*CAPABILITY\\([ \t]*([A-Z0-9_]+)[ \t]*,[ \t]*([0-9]+)[ \t]*,")
set(enumerators "")
file(STRINGS ${capability_table} rows REGEX "${row_pattern}")
foreach(row IN LISTS rows)
  string(REGEX MATCH "${row_pattern}" matched "${row}")
  string(APPEND enumerators "  ${CMAKE_MATCH_1} = std::uint64_t{1} << ${CMAKE_MATCH_2},\n")
endforeach()

file(CONFIGURE OUTPUT ${FUSELAGE_GENERATED_INCLUDE}/fuselage/capability.hpp @ONLY CONTENT
"// Module: base.
// Generated from the capability table; do not edit.
#pragma once

#include <cstdint>

namespace fuselage {

/// What kernel and server can agree on at INIT: the protocol's own names, one bit each.
enum class Capability : std::uint64_t {
@enumerators@};

/// A set of capabilities. A plain value.
class CapabilitySet {
 public:
  constexpr CapabilitySet() noexcept = default;
  constexpr CapabilitySet(Capability capability) noexcept  // NOLINT: one is a set too
      : bits_(static_cast<std::uint64_t>(capability)) {}
  constexpr explicit CapabilitySet(std::uint64_t bits) noexcept : bits_(bits) {}

  constexpr bool contains(Capability capability) const noexcept {
    return (bits_ & static_cast<std::uint64_t>(capability)) != 0;
  }
  constexpr void add(CapabilitySet other) noexcept { bits_ |= other.bits_; }
  constexpr void remove(CapabilitySet other) noexcept { bits_ &= ~other.bits_; }
  constexpr std::uint64_t bits() const noexcept { return bits_; }

  friend constexpr CapabilitySet operator|(CapabilitySet a, CapabilitySet b) noexcept {
    return CapabilitySet(a.bits_ | b.bits_);
  }
  friend constexpr CapabilitySet operator&(CapabilitySet a, CapabilitySet b) noexcept {
    return CapabilitySet(a.bits_ & b.bits_);
  }
  friend constexpr bool operator==(CapabilitySet, CapabilitySet) = default;

 private:
  std::uint64_t bits_ = 0;
};

}  // namespace fuselage
")

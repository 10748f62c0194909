# Makes <fuselage/detail/operations.hpp> from the operation table, so that the public headers know every operation and
# its member function without a second list. The rows look like OPERATION(NAME, number, handler, ...).

set(FUSELAGE_GENERATED_INCLUDE ${PROJECT_BINARY_DIR}/include)
file(GLOB table CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/wire/operations.def)
if(NOT table)
  return()
endif()
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

set(visits "")
foreach(handler IN LISTS handlers)
  list(LENGTH bits_of_${handler} opcodes)
  set(mask "${bits_of_${handler}}")
  if(opcodes GREATER 1)
    list(JOIN bits_of_${handler} ") | (" mask)
    set(mask "(${mask})")
  endif()
  string(APPEND visits "  visit(\"${handler}\", ${mask}, &T::${handler});\n")
endforeach()

file(CONFIGURE OUTPUT ${FUSELAGE_GENERATED_INCLUDE}/fuselage/detail/operations.hpp @ONLY CONTENT
"// Module: inode.
// Generated from the operation table; do not edit.
#pragma once

#include <cstdint>

namespace fuselage::detail {

/// Calls visit(name, opcodes, member): once for each operation, its opcodes (bit N is opcode N) and its member function.
template <class T, class Visitor>
constexpr void for_each_operation(Visitor&& visit) {
@visits@}

}  // namespace fuselage::detail
")

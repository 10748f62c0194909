// The C interface as this face's own sources see it: the newest version, exported as the version script says.
#pragma once

#define FUSE_USE_VERSION 29
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#endif

#include <fmt/format.h>
#include <fuse_lowlevel.h>

#include <cstdio>
#include <utility>

namespace fuselage::capi2 {

/// A line on stderr, where the users of this interface look for it.
template <class... Arguments>
void complain(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  const std::string line = fmt::format(format, std::forward<Arguments>(arguments)...);
  std::fprintf(stderr, "fuse: %s\n", line.c_str());
}

/// A row that stores `value`, or what the template reads, at `offset` of the options.
constexpr fuse_opt row(const char* templ, std::size_t offset, int value = 1) { return {templ, offset, value}; }

/// Runs `body`; what it throws becomes `otherwise`, for no exception may reach a C program.
template <class Body, class Otherwise>
auto guarded(Body&& body, Otherwise otherwise) noexcept -> Otherwise {
  try {
    return body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fuse: %s\n", error.what());
    return otherwise;
  }
}

}  // namespace fuselage::capi2

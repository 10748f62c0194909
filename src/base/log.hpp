// Where the library's own messages go: one replaceable sink for the process.
#pragma once

#include <fmt/format.h>

#include <fuselage/log.hpp>
#include <string_view>

namespace fuselage::base {

/// Hands one line (no newline) to the sink that `fuselage::set_log_sink` chose; stderr by default. Cold, so that the
/// compiler keeps what leads here away from what is run for each request.
[[gnu::cold]] void log(LogLevel level, std::string_view line) noexcept;

template <class... Arguments>
[[gnu::cold]] void log(LogLevel level, fmt::format_string<Arguments...> format, Arguments&&... arguments) noexcept try {
  log(level, std::string_view(fmt::format(format, std::forward<Arguments>(arguments)...)));
} catch (...) {
  log(level, std::string_view("(a log line could not be formatted)"));
}

}  // namespace fuselage::base

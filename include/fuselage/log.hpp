// Module: base.
//
// What the library has to say (a handler threw, a malformed message arrived, ...) goes to one sink of the process.
#pragma once

#include <functional>
#include <string_view>

namespace fuselage {

/// How much a log line matters.
enum class LogLevel { error, warning, info, debug };

/// Receives one line, without a newline; the view is valid during the call. May be called from any thread, also from
/// several at once.
using LogSink = std::function<void(LogLevel, std::string_view)>;

/// Replaces the sink; an empty one restores the default, which writes `fuselage: LINE` to stderr and leaves out
/// `debug`. Thread-safe.
void set_log_sink(LogSink sink);

}  // namespace fuselage

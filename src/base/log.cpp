#include "base/log.hpp"

#include <unistd.h>

#include <memory>
#include <mutex>
#include <string>

namespace fuselage {
namespace {

std::mutex sink_mutex;
std::shared_ptr<const LogSink> sink;

// One write call, so that lines of several threads do not mix.
void write_to_stderr(LogLevel level, std::string_view line) {
  if (level == LogLevel::debug) return;
  const std::string text = fmt::format("fuselage: {}\n", line);
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

void set_log_sink(LogSink new_sink) {
  auto shared = new_sink ? std::make_shared<const LogSink>(std::move(new_sink)) : nullptr;
  const std::lock_guard lock(sink_mutex);
  sink.swap(shared);
}

void base::log(LogLevel level, std::string_view line) noexcept try {
  std::shared_ptr<const LogSink> current;
  {
    const std::lock_guard lock(sink_mutex);
    current = sink;
  }
  if (current) {
    (*current)(level, line);
  } else {
    write_to_stderr(level, line);
  }
} catch (...) {
  // A message that cannot be told must not end the program.
}

}  // namespace fuselage

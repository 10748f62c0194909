#include "capi/v2/watched_run.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fuselage/log.hpp>
#include <string>

#include "capi/v2/api.hpp"

namespace fuselage::capi2 {

WatchedRun::WatchedRun() {
  const char* const number = std::getenv("FUSELAGE_RUN_SOCKET");
  if (number == nullptr) return;
  const char* const wishes = std::getenv("FUSELAGE_RUN");
  socket_ = std::atoi(number);
  struct stat status {};
  if (::fstat(socket_, &status) != 0 || !S_ISSOCK(status.st_mode)) {
    socket_ = -1;
    return;
  }
  inode_ = status.st_ino;
  ::fcntl(socket_, F_SETFD, FD_CLOEXEC);
  say("loaded", std::to_string(::getpid()));
  // Until the tool has looked at our mappings.
  char seen = 0;
  static_cast<void>(::recv(socket_, &seen, 1, 0));
  if (wishes == nullptr || std::string_view(wishes) != "trace") return;
  trace_ = true;
  set_log_sink([this](LogLevel level, std::string_view line) {
    if (level != LogLevel::debug) say("trace", line);
  });
}

bool WatchedRun::is_ours() const noexcept {
  struct stat status {};
  return socket_ >= 0 && ::fstat(socket_, &status) == 0 && S_ISSOCK(status.st_mode) && status.st_ino == inode_;
}

void WatchedRun::say(std::string_view kind, std::string_view text) noexcept try {
  if (!is_ours()) return;
  const std::string message = fmt::format("{}\n{}", kind, text);
  static_cast<void>(::send(socket_, message.data(), message.size(), MSG_NOSIGNAL));
} catch (...) {
}

void WatchedRun::left_loop(const void* session, const Statistics& statistics) noexcept try {
  if (socket_ < 0) return;
  const std::lock_guard lock(mutex_);
  not_ended_.insert_or_assign(session, statistics.to_string());
} catch (...) {
}

void WatchedRun::ended(const void* session, const Statistics& statistics) noexcept try {
  if (socket_ < 0) return;
  say("stats", statistics.to_string());
  const std::lock_guard lock(mutex_);
  not_ended_.erase(session);
} catch (...) {
}

void WatchedRun::exit() noexcept {
  const std::lock_guard lock(mutex_);
  for (const auto& [session, statistics] : not_ended_) say("stats", statistics);
  not_ended_.clear();
}

WatchedRun& watched_run() {
  static WatchedRun& run = *new WatchedRun;  // never destroyed: the program's last destructors may end sessions
  return run;
}

namespace {

// The tool wants to know at once, not with the first session.
[[gnu::constructor]] void announce() { watched_run(); }
[[gnu::destructor]] void take_leave() { watched_run().exit(); }

}  // namespace
}  // namespace fuselage::capi2

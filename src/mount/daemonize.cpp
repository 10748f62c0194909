#include "mount/daemonize.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <tuple>

namespace fuselage::mounting {
namespace {

// A report is one byte, the exit code, and the message after it, up to the end of the stream.
std::string read_all(int socket) {
  std::string text;
  std::array<char, 4096> piece;
  for (;;) {
    const ssize_t size = ::read(socket, piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(size));
  }
}

// The parent: waits, speaks, exits. _exit, because what atexit and destructors clean up belongs to the child now.
[[noreturn]] void wait_for_report(int socket, pid_t child) {
  const std::string report = read_all(socket);
  if (!report.empty()) {
    const std::string_view message = std::string_view(report).substr(1);
    if (!message.empty()) fmt::print(stderr, "{}\n", message);
    ::_exit(static_cast<unsigned char>(report.front()));
  }
  int status = 0;
  pid_t ended = 0;
  do {
    ended = ::waitpid(child, &status, 0);
  } while (ended < 0 && errno == EINTR);
  int code = 1;
  std::string how = "ended";
  if (ended == child && WIFSIGNALED(status)) {
    code = 128 + WTERMSIG(status);
    how = fmt::format("was ended by signal {}", WTERMSIG(status));
  } else if (ended == child && WEXITSTATUS(status) != 0) {
    code = WEXITSTATUS(status);
    how = fmt::format("ended with status {}", code);
  }
  fmt::print(stderr, "the background process {} before it was ready\n", how);
  ::_exit(code);
}

}  // namespace

Result<Daemonizer> Daemonizer::start() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return Error::last();
  const base::UniqueFd ours(ends[0]);
  base::UniqueFd theirs(ends[1]);
  // What is buffered must not be written twice.
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return Error{errno, fmt::format("cannot go to the background: {}", Error::last().message())};
  if (child > 0) {
    theirs.reset();
    wait_for_report(ours.get(), child);
  }
  return Daemonizer(std::move(theirs));
}

Daemonizer::~Daemonizer() { failed(1, "the background process gave up before it was ready"); }

Result<void> Daemonizer::ready() {
  if (!parent_) return {};
  std::fflush(nullptr);
  base::UniqueFd null(::open("/dev/null", O_RDWR));
  if (!null) return Error{errno, fmt::format("cannot open /dev/null: {}", Error::last().message())};
  if (::setsid() < 0) return Error{errno, fmt::format("cannot start a session: {}", Error::last().message())};
  if (::chdir("/") != 0) return Error::last();
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::dup2(null.get(), standard) < 0) return Error::last();
  }
  // A standard stream that was closed before is what open returned.
  if (null.get() <= STDERR_FILENO) std::ignore = null.release();
  report(0, {});
  return {};
}

void Daemonizer::failed(int exit_code, std::string_view message) noexcept {
  if (!parent_) return;
  report(std::clamp(exit_code, 1, 255), message);
}

void Daemonizer::report(int exit_code, std::string_view message) noexcept {
  const char code = static_cast<char>(exit_code);
  // MSG_NOSIGNAL: a parent that was killed meanwhile must not take this process with it.
  ::send(parent_.get(), &code, 1, MSG_NOSIGNAL | MSG_MORE);
  while (!message.empty()) {
    const ssize_t size = ::send(parent_.get(), message.data(), message.size(), MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    message.remove_prefix(static_cast<std::size_t>(size));
  }
  parent_.reset();
}

}  // namespace fuselage::mounting

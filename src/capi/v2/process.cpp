// What concerns the whole process: the background, and the signals that end it.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "capi/v2/api.hpp"

namespace {

using fuselage::capi2::complain;

std::atomic<fuse_session*> session_of_signals{nullptr};

void end_session(int /*number*/) {
  const int error = errno;
  if (fuse_session* const session = session_of_signals.load()) fuse_session_exit(session);
  errno = error;
}

// Only where nobody handles or ignores it, and back only where it is still ours.
bool replace(int number, void (*from)(int), void (*to)(int)) {
  struct sigaction current {};
  if (::sigaction(number, nullptr, &current) != 0) return false;
  if (current.sa_handler != from) return true;
  struct sigaction wanted {};
  wanted.sa_handler = to;
  ::sigemptyset(&wanted.sa_mask);
  return ::sigaction(number, &wanted, nullptr) == 0;
}

constexpr int ending_signals[] = {SIGHUP, SIGINT, SIGTERM};

}  // namespace

extern "C" {

int fuse_set_signal_handlers(fuse_session* se) {
  for (const int number : ending_signals) {
    if (!replace(number, SIG_DFL, end_session)) return -1;
  }
  if (!replace(SIGPIPE, SIG_DFL, SIG_IGN)) return -1;
  session_of_signals.store(se);
  return 0;
}

void fuse_remove_signal_handlers(fuse_session* se) {
  fuse_session* expected = se;
  if (!session_of_signals.compare_exchange_strong(expected, nullptr)) {
    complain("the signals belong to another session");
  }
  for (const int number : ending_signals) replace(number, end_session, SIG_DFL);
  replace(SIGPIPE, SIG_IGN, SIG_DFL);
}

int fuse_daemonize(int foreground) {
  if (foreground != 0) return 0;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    complain("pipe: {}", std::strerror(errno));
    return -1;
  }
  // The parent stays until the child has left its terminal, so that the next command of a script finds it gone.
  const pid_t child = ::fork();
  if (child < 0) {
    complain("fork: {}", std::strerror(errno));
    return -1;
  }
  if (child > 0) {
    char done = 0;
    ::close(ends[1]);
    ::_exit(::read(ends[0], &done, 1) == 1 ? 0 : 1);
  }
  ::close(ends[0]);
  if (::setsid() < 0 || ::chdir("/") != 0) {
    complain("going into the background: {}", std::strerror(errno));
    return -1;
  }
  const int null = ::open("/dev/null", O_RDWR);
  for (int stream = 0; null >= 0 && stream <= 2; ++stream) ::dup2(null, stream);
  if (null > 2) ::close(null);
  const char done = 1;
  if (::write(ends[1], &done, 1) != 1) return -1;
  ::close(ends[1]);
  return 0;
}

}  // extern "C"

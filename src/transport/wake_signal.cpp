#include "transport/wake_signal.hpp"

#include <initializer_list>

namespace fuselage::transport {
namespace {

int claim_signal() noexcept {
  for (int candidate = SIGRTMAX - 1; candidate > SIGRTMIN; --candidate) {
    struct ::sigaction current {};
    if (::sigaction(candidate, nullptr, &current) != 0) continue;
    if ((current.sa_flags & SA_SIGINFO) != 0 || current.sa_handler != SIG_DFL) continue;
    struct ::sigaction nothing {};
    nothing.sa_handler = [](int) {};
    ::sigemptyset(&nothing.sa_mask);
    // Without SA_RESTART: failing with EINTR is what the signal is for.
    if (::sigaction(candidate, &nothing, nullptr) == 0) return candidate;
  }
  return SIGURG;  // Every real-time signal is taken: this one is ignored by default, so at worst a stop takes longer.
}

}  // namespace

int wake_signal() noexcept {
  static const int signal = claim_signal();
  return signal;
}

::sigset_t accept_only_wake_signal() noexcept {
  ::sigset_t blocked;
  ::sigfillset(&blocked);
  for (const int signal : {wake_signal(), SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGPROF}) {
    ::sigdelset(&blocked, signal);
  }
  ::sigset_t old;
  ::pthread_sigmask(SIG_SETMASK, &blocked, &old);
  return old;
}

}  // namespace fuselage::transport

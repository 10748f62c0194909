#include "session/signals.hpp"

#include <signal.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <system_error>
#include <thread>

namespace fuselage::session {
namespace {

// Signals belong to the process, so this is the one place with state of the process.
struct Listener {
  std::atomic<SignalGuard::Function> function{nullptr};
  std::atomic<void*> target{nullptr};
};
std::array<Listener, 64> listeners;
std::atomic<int> handlers_running{0};

constexpr std::array ending_signals = {SIGTERM, SIGINT, SIGHUP};
std::mutex mutex;
int guards = 0;                                  // guarded by mutex
std::array<bool, ending_signals.size()> ours{};  // guarded by mutex
bool pipe_is_ours = false;                       // guarded by mutex

void deliver(int number) {
  const int error = errno;
  handlers_running.fetch_add(1);
  for (Listener& listener : listeners) {
    if (const auto function = listener.function.load()) function(listener.target.load(), number);
  }
  handlers_running.fetch_sub(1);
  errno = error;
}

bool replace_default(int number, void (*handler)(int)) {
  struct ::sigaction current {};
  ::sigaction(number, nullptr, &current);
  if ((current.sa_flags & SA_SIGINFO) != 0 || current.sa_handler != SIG_DFL) return false;
  struct ::sigaction replacement {};
  replacement.sa_handler = handler;
  ::sigemptyset(&replacement.sa_mask);
#ifndef __SANITIZE_THREAD__  // it keeps a signal until the thread returns from the call that the signal came in
  replacement.sa_flags = SA_RESTART;  // handlers' own system calls go on; the reader is woken by other means
#endif
  return ::sigaction(number, &replacement, nullptr) == 0;
}

}  // namespace

SignalGuard::SignalGuard(Function on_signal, void* target) {
  const std::lock_guard lock(mutex);
  for (std::size_t i = 0; i < listeners.size() && place_ < 0; ++i) {
    if (listeners[i].function.load() == nullptr) place_ = static_cast<int>(i);
  }
  if (place_ < 0) throw std::system_error(EAGAIN, std::generic_category(), "more sessions with signals than places");
  listeners[static_cast<std::size_t>(place_)].target.store(target);
  listeners[static_cast<std::size_t>(place_)].function.store(on_signal);
  if (guards++ > 0) return;
  for (std::size_t i = 0; i < ending_signals.size(); ++i) ours[i] = replace_default(ending_signals[i], deliver);
  pipe_is_ours = replace_default(SIGPIPE, SIG_IGN);
}

SignalGuard::~SignalGuard() {
  const std::lock_guard lock(mutex);
  if (--guards == 0) {
    for (std::size_t i = 0; i < ending_signals.size(); ++i) {
      if (ours[i]) ::signal(ending_signals[i], SIG_DFL);
    }
    if (pipe_is_ours) ::signal(SIGPIPE, SIG_DFL);
  }
  listeners[static_cast<std::size_t>(place_)].function.store(nullptr);
  // A handler that is running in another thread may have read the function before it went.
  while (handlers_running.load() != 0) std::this_thread::yield();
}

}  // namespace fuselage::session

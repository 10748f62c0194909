#include "llfuse/signals.hpp"

#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace llfuse {
namespace {

// Signals belong to the process, so this is state of the process.
std::array<std::atomic<Session*>, 64> sessions;
std::atomic<int> handlers_running{0};

constexpr std::array numbers = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE};
std::mutex mutex;
int guards = 0;                                             // guarded by mutex
std::array<struct ::sigaction, numbers.size()> original{};  // guarded by mutex

void deliver(int number) {
  const int error = errno;
  handlers_running.fetch_add(1);
  for (auto& place : sessions) {
    if (Session* session = place.load()) session->signalled(number);
  }
  handlers_running.fetch_sub(1);
  errno = error;
}

void (*disposition(int number))(int) {
  if (number == SIGPIPE) return SIG_IGN;
  if (number == SIGUSR1) return [](int) {};
  return deliver;
}

}  // namespace

Signals::Signals(Session& session) {
  const std::lock_guard lock(mutex);
  const auto free = std::find_if(sessions.begin(), sessions.end(), [](const auto& at) { return at.load() == nullptr; });
  if (free == sessions.end()) throw std::runtime_error("more sessions with handle_signals than places");
  free->store(&session);
  place_ = static_cast<std::size_t>(free - sessions.begin());
  if (guards++ > 0) return;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    struct ::sigaction replacement {};
    replacement.sa_handler = disposition(numbers[i]);
    ::sigemptyset(&replacement.sa_mask);
    replacement.sa_flags = SA_RESTART;  // system calls of handlers go on; the session is woken by other means
    ::sigaction(numbers[i], &replacement, &original[i]);
  }
}

Signals::~Signals() {
  const std::lock_guard lock(mutex);
  if (--guards == 0) {
    for (std::size_t i = 0; i < numbers.size(); ++i) ::sigaction(numbers[i], &original[i], nullptr);
  }
  sessions[place_].store(nullptr);
  // A handler that is running in another thread may have read the pointer before it went.
  while (handlers_running.load() != 0) std::this_thread::yield();
}

}  // namespace llfuse

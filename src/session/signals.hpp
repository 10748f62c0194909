// Signals that end sessions.
#pragma once

namespace fuselage::session {

/// While it lives, SIGTERM, SIGINT and SIGHUP call `on_signal` of every guard in the process, and SIGPIPE is ignored;
/// each only where the program had left the default. The last guard restores what was there before.
class SignalGuard {
 public:
  /// `on_signal(target, number)` is called in a signal handler: it must be async-signal-safe.
  using Function = void (*)(void* target, int number) noexcept;
  SignalGuard(Function on_signal, void* target);
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

 private:
  int place_ = -1;
};

}  // namespace fuselage::session

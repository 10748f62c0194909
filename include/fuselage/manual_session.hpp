// Module: inode.
//
// A session without a loop of its own: somebody else brings the messages, from wherever they come, on threads of his.
//
//   class Tunnel : public Carrier { int send(std::span<const ::iovec> message) noexcept override { ... } };
//   auto session = ManualSession::create(files, tunnel);
//   while (auto message = tunnel.next()) session->process(*message);
#pragma once

#include <sys/uio.h>

#include <fuselage/file_system.hpp>
#include <fuselage/notifier.hpp>
#include <fuselage/result.hpp>
#include <fuselage/session_options.hpp>
#include <fuselage/statistics.hpp>
#include <fuselage/types.hpp>
#include <memory>
#include <span>

namespace fuselage {

/// Where the session's messages go. `send` is called from any thread, also from several at once.
class Carrier {
 public:
  virtual ~Carrier() = default;

  /// Takes one whole message, to be joined from its parts; they are valid during the call. 0, or an errno: ENOENT if
  /// nobody waits for this answer any more.
  virtual int send(std::span<const ::iovec> message) noexcept = 0;
};

/// Serves the messages that it is given. Thread-safe; any number may live in a process. `SessionOptions::max_threads`
/// and `handle_signals` have no meaning here: handlers run on the threads that call `process`, coroutines that have
/// waited go on on a thread of the session.
class ManualSession {
 public:
  /// `file_system` and `carrier` must outlive the session.
  static Result<ManualSession> create(FileSystemRef file_system, Carrier& carrier, SessionOptions options = {});

  ManualSession(ManualSession&&) noexcept;
  ManualSession& operator=(ManualSession&&) noexcept;
  /// No `process` may be under way. What still waits is answered EIO, then `FileSystem::destroy` is called.
  ~ManualSession();

  /// Serves one message as it came from the kernel, the first of them INIT. Returns when it is answered, or waits for
  /// something as a coroutine. EMSGSIZE: longer than what was negotiated. EPROTO, or the error of `FileSystem::init`:
  /// the session cannot begin.
  Result<void> process(Bytes message);

  /// Tells handlers that are under way to give up: they see `interrupted()`.
  void stop() noexcept;

  /// For telling the kernel things.
  Notifier notifier() const;

  /// The counters so far.
  Statistics statistics() const;

 private:
  struct State;
  explicit ManualSession(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

}  // namespace fuselage

// Module: inode.
//
// A running connection between the kernel and a file system.
//
//   Memory files;
//   auto mount = Mount::create("/mnt/files");
//   auto session = Session::create(files, *mount);
//   Ended ended = session->run();
//
// Destroy in reverse order: the session joins its threads, the mount unmounts.
#pragma once

#include <chrono>
#include <fuselage/file_system.hpp>
#include <fuselage/mount.hpp>
#include <fuselage/notifier.hpp>
#include <fuselage/options.hpp>
#include <fuselage/result.hpp>
#include <fuselage/session_options.hpp>
#include <fuselage/statistics.hpp>
#include <memory>
#include <string>
#include <vector>

namespace fuselage {

/// Serves one mount, from the moment `create` has shaken hands with the kernel until `run` returns. Any number of
/// sessions may live in a process. Movable; the functions are thread-safe except that `run` is called by one thread.
class Session {
 public:
  /// Answers the kernel's INIT, after `FileSystem::init` had its say; the first access succeeds from then on, as soon
  /// as `run` is called. `file_system` and `mount` must outlive the session. Errors: those of `FileSystem::init`;
  /// EPROTO: the kernel speaks another major version; ENODEV: not mounted any more.
  static Result<Session> create(FileSystemRef file_system, Mount& mount, SessionOptions options = {});

  /// The same over any descriptor that carries the protocol message by message: a `/dev/fuse` that somebody else
  /// mounted, or a SOCK_SEQPACKET socket. `device` must stay open as long as the session lives; it is not closed.
  static Result<Session> create(FileSystemRef file_system, int device, SessionOptions options = {});

  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  /// Stops if need be and waits for every handler to return.
  ~Session();

  /// Serves until the file system is unmounted, `stop` is called, a signal arrives (`SessionOptions::handle_signals`)
  /// or the connection breaks; tells which. May be called again after `stopped` or `signal`: the mount is still there.
  Ended run();

  /// In place of `SessionOptions::max_threads`, from the next `run` on; not while it runs. Errors: EINVAL: none, or one
  /// over io_uring, whose threads never are the one that called `run`.
  Result<void> set_max_threads(unsigned count);

  /// Makes `run` return, also when nothing happens on the mount; handlers that are under way see `interrupted()`.
  /// From any thread and from signal handlers.
  void stop() noexcept;

  /// For telling the kernel things.
  Notifier notifier() const;

  /// The counters so far.
  Statistics statistics() const;

  /// One line for each request whose handler has had it for at least `age`: "READ ino=2 unique=41 pid=7 for 3.2 s". For
  /// saying why something does not end; meant for requests that hang, not for watching those that come and go.
  std::vector<std::string> under_way(std::chrono::nanoseconds age) const;

 private:
  struct State;
  explicit Session(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

/// Adds to `table` a row for every member that a command line may set, and for every capability with an option the pair
/// NAME and `no_NAME`. `options` must outlive the use of `table`.
void add_session_options(OptionSet& table, SessionOptions& options);

}  // namespace fuselage

// Module: llfuse.
//
// The functions of python-llfuse, for C++: one file system of the process is mounted by `init`, served by `main`, and
// ended by `close`. `examples/llfuse_hello.cpp` is a complete program.
//
//   llfuse::init(operations, "/mnt/data", {"fsname=data", "default_permissions"});
//   const std::optional<int> signal = llfuse::main();
//   llfuse::close();
//
// Errors of these functions are exceptions: std::runtime_error says what went wrong and what to do. What needs several
// mounts in one process, or errors as values, uses `llfuse::Session` or the classes below it, `fuselage::Session` and
// `fuselage::Mount`.
#pragma once

#include <fuselage/file_system.hpp>
#include <fuselage/llfuse/operations.hpp>
#include <fuselage/session.hpp>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace llfuse {

/// Options of `init`, each one of those that `-o` takes: those of mount(8) for FUSE, and those of a session. Anything
/// else is an error.
using Options = std::set<std::string>;

/// A reasonable choice, to be copied and changed. It never has `fsname=`.
inline const Options default_options = {"big_writes", "default_permissions", "no_splice_read", "splice_write",
                                        "splice_move"};

/// How many handlers run at once when `main` is not told: as many as python-llfuse starts threads.
inline constexpr unsigned default_workers = 30;

/// One mount and the loop that serves it: what `init`, `main` and `close` do for the one of the process, for any file
/// system of inode level. Thread-safe, except that `main` is called by one thread at a time, and nothing beside
/// `close`.
class Session {
 public:
  /// Mounts. The file system is not asked anything before `main`; it must outlive the session. Throws
  /// std::runtime_error when an option is not known or the mount fails; nothing is left mounted then.
  Session(fuselage::FileSystemRef file_system, const std::string& mountpoint, const Options& options = default_options);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  /// Like `close(false)`.
  ~Session();

  /// Serves until the file system is unmounted, `stop` is called, or, with `handle_signals`, SIGTERM, SIGINT or SIGHUP
  /// arrives. Answers the number of that signal, else nothing. SIGPIPE is ignored and SIGUSR1 does nothing meanwhile;
  /// afterwards all five are as they were. With `workers` 1 every handler runs on the calling thread. May be called
  /// again after it was stopped. All threads that it starts have ended when it returns, but after `stop` or a signal
  /// those that have served rings of io_uring: they rest until the next call or `close`, because the kernel would take
  /// the rings back. Throws std::invalid_argument for no workers, or for one after more have served rings;
  /// std::runtime_error when it cannot go on.
  std::optional<int> main(unsigned workers = default_workers, bool handle_signals = true);

  /// What the thread in `main` calls when a signal has cut its wait short, and while `descriptor` can be read: see
  /// `fuselage::SessionOptions::on_interrupt`. Before the first `main`.
  void on_interrupt(std::function<void()> function, int descriptor);

  /// Makes `main` return, or its next call if it is not running. From any thread and from signal handlers.
  void stop() noexcept;

  /// Calls `destroy` of the file system if it was initialised, and unmounts unless told not to. What was not unmounted,
  /// or was cut off through /sys/fs/fuse/connections, stays in the mount table and answers ENOTCONN.
  void close(bool unmount = true);

  /// For telling the kernel things; what it has before `main` fails with ENOTCONN.
  fuselage::Notifier notifier() const;

  /// What `main` has served so far.
  fuselage::Statistics statistics() const;

  /// For signal handlers: `stop` with the number that `main` answers.
  void signalled(int number) noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Mounts the file system of this process. `ops` must outlive `close`. Throws std::runtime_error when there is one
/// already, when an option is not known, and when the mount fails; nothing is left mounted then.
void init(Operations& ops, const std::string& mountpoint, const Options& options = default_options);

/// The same for an object of any class that has member functions like those of `Operations`. What it lacks behaves as
/// there; what has the name of an operation but does not take its arguments does not compile.
template <class Ops>
requires(!std::derived_from<Ops, Operations>) void init(Ops& ops, const std::string& mountpoint,
                                                        const Options& options = default_options);

/// Serves until unmounted (and answers nothing) or until a signal (and answers its number): see `Session::main`. An
/// exception of a handler other than FUSEError is answered EIO, ends the loop, and is thrown by this function. Throws
/// std::runtime_error before `init`.
std::optional<int> main(unsigned workers = default_workers, bool handle_signals = true);

/// Makes `main` return. From any thread and from signal handlers; not beside `close`.
void stop() noexcept;

/// Cleans up and ensures that the file system is unmounted, unless told not to: see `Session::close`. What `destroy`
/// throws is thrown afterwards. Throws std::runtime_error before `init`.
void close(bool unmount = true);

/// The kernel shall forget cached attributes and, unless `attr_only`, cached data of `inode`. Asynchronous: it may be
/// called from handlers. What the kernel thinks of it is not told. Throws std::runtime_error before `init`.
void invalidate_inode(std::uint64_t inode, bool attr_only = false);

/// The kernel shall forget the entry `name` of the directory `inode_p`; otherwise like `invalidate_inode`.
void invalidate_entry(std::uint64_t inode_p, std::string_view name);

/// Puts `data` into the page cache of `inode`; a file that ends before is extended. Returns when it is there: never
/// call it in a handler for the same inode. Throws std::system_error (a part may be stored then), std::overflow_error
/// when the offset is too large, std::runtime_error before `init`.
void notify_store(std::uint64_t inode, std::uint64_t offset, fuselage::Bytes data);

/// How many bits an inode number has.
constexpr int get_ino_t_bits() noexcept { return 64; }

/// How many bits an offset has, its sign included.
constexpr int get_off_t_bits() noexcept { return 64; }

namespace detail {

void init(std::unique_ptr<Operations> ops, const std::string& mountpoint, const Options& options);

}  // namespace detail

template <class Ops>
requires(!std::derived_from<Ops, Operations>) void init(Ops& ops, const std::string& mountpoint,
                                                        const Options& options) {
  detail::init(std::make_unique<detail::Duck<Ops>>(ops), mountpoint, options);
}

}  // namespace llfuse

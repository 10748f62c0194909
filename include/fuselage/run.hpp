// Module: app.
//
// A file system as a whole program: command line, mounting, going to the background, serving, signals, unmounting.
//
//   int main(int argc, char** argv) { return fuselage::run<Hello>(argc, argv); }
//
//   PROGRAM [-f] [-d] [-s] [-o OPTION,...] MOUNTPOINT
//
// The program goes to the background unless -f or -d is given. The command returns when the first access would succeed,
// or with the message and the exit code of what went wrong. SIGTERM, SIGINT and SIGHUP end it: it unmounts while
// requests are still answered, so that nothing that was written is lost, then stops. A handler that does not return
// then cannot keep it: when nothing was answered for two seconds, it says which request hangs, unmounts, and exits.
//
// Exit codes: 0 it was unmounted, or ended by a signal; 1 it could not start, or broke (the message is on stderr, or in
// the system's log once it is in the background); 2 the command line was wrong.
#pragma once

#include <concepts>
#include <functional>
#include <fuselage/file_system.hpp>
#include <fuselage/mount.hpp>
#include <fuselage/options.hpp>
#include <fuselage/path_file_system.hpp>
#include <fuselage/session_options.hpp>
#include <string>
#include <utility>

namespace fuselage {

/// What a program wants to be different from the start; the command line may change it again.
struct RunDefaults {
  std::string name = {};         ///< In messages, and where `mount.fsname` and `mount.subtype` are empty; when empty
                                 ///< itself, the base name of `argv[0]`.
  std::string version = {};      ///< For --version; the library's own version is shown behind it.
  std::string description = {};  ///< A sentence at the head of --help.
  MountOptions mount = {};
  SessionOptions session = {};
  /// Let the kernel check permissions by mode, uid and gid (`default_permissions`) unless the file system overrides
  /// `access`. Off, or `-o no_default_permissions`: everything is allowed that the file system does not refuse.
  bool default_permissions = true;
  /// Adds the file system's own options to those of `-o`. Called while the command line is read; what it points to
  /// must live until `run` returns.
  std::function<void(OptionSet&)> options = {};
};

/// Serves `file_system` as the command line says and answers the exit code for `main`. It forks (unless -f or -d), so
/// call it while the process has one thread: a file system starts its own in `init`, which runs afterwards. One call at
/// a time.
int run(FileSystemRef file_system, int argc, char** argv, RunDefaults defaults = {});

/// The same for a file system that needs its options to be made: `make` is called once they are read, before forking.
/// What it returns must live until `run` returns. An exception of `make` becomes the message.
int run(const std::function<FileSystemRef()>& make, int argc, char** argv, RunDefaults defaults = {});

namespace detail {
/// Says why the file system could not be made; answers the exit code.
int report_no_file_system(const char* program, const Error& why) noexcept;
}  // namespace detail

/// The same with a file system of its own, which thinks in inodes or in paths. If `T` has a member
/// `void options(OptionSet&)`, it adds the options of `T`. One that thinks in paths has those of `PathOptions` too.
template <class T>
requires(std::derived_from<T, FileSystem> || std::derived_from<T, PathFileSystem>) int run(int argc, char** argv) try {
  T file_system;
  [[maybe_unused]] PathOptions paths;
  RunDefaults defaults;
  defaults.options = [&](OptionSet& table) {
    if constexpr (std::derived_from<T, PathFileSystem>) add_path_options(table, paths);
    if constexpr (requires { file_system.options(table); }) file_system.options(table);
  };
  const auto make = [&]() -> FileSystemRef {
    if constexpr (std::derived_from<T, PathFileSystem>) {
      return by_path(file_system, paths);
    } else {
      return file_system;
    }
  };
  return run(make, argc, argv, std::move(defaults));
} catch (...) {
  return detail::report_no_file_system(argc > 0 ? argv[0] : nullptr, error_of_current_exception());
}

}  // namespace fuselage

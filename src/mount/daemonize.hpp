// Going to the background, with an honest answer to whoever started the program.
#pragma once

#include <fuselage/result.hpp>
#include <string_view>

#include "base/unique_fd.hpp"

namespace fuselage::mounting {

/// The child's side of a program that splits in two: the parent stays in front until the child says how the start went,
/// then exits with that status, so the shell, mount(8) or systemd sees success exactly when the file system is usable.
/// Until then the child is an ordinary foreground process: Ctrl-C ends both, its stderr is seen.
///
///   auto background = Daemonizer::start();   // only the child returns
///   auto mount = Mount::create(...);
///   if (!mount) { background->failed(1, mount.error().message()); return 1; }
///   ... the session, on its first request: background->ready();
///
/// Not thread-safe.
class Daemonizer {
 public:
  /// Forks; call it while this process has one thread and has resolved its relative paths. Returns in the child, or an
  /// error when there is none. The parent exits with what the child reports; when the child dies without a word, it
  /// says so on stderr and exits with the child's status (128 + N for signal N; 1 where that would be 0).
  static Result<Daemonizer> start();

  Daemonizer(Daemonizer&&) noexcept = default;
  Daemonizer& operator=(Daemonizer&&) = delete;

  /// Counts as `failed(1, ...)` when nothing was reported.
  ~Daemonizer();

  /// Becomes a daemon (own session, working directory /, standard streams on /dev/null) and lets the parent exit with
  /// 0. Does nothing after the first report.
  Result<void> ready();

  /// Lets the parent print `message` on stderr, if there is one, and exit with `exit_code` (1 to 255). Does nothing
  /// after the first report.
  void failed(int exit_code, std::string_view message) noexcept;

 private:
  explicit Daemonizer(base::UniqueFd parent) noexcept : parent_(std::move(parent)) {}

  void report(int exit_code, std::string_view message) noexcept;

  base::UniqueFd parent_;  // closed by the first report
};

}  // namespace fuselage::mounting

// Whole programs for tests: what they say, and how they end.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "support/process.hpp"

namespace fuselage::test {

/// A program in a child process with its output collected; killed and reaped at the end of the scope.
class Program {
 public:
  /// Runs a command line.
  explicit Program(std::vector<std::string> command)
      : Program([command = std::move(command)] {
          std::vector<char*> arguments;
          for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
          arguments.push_back(nullptr);
          ::execvp(arguments.front(), arguments.data());
          return 127;
        }) {}

  /// Runs `body`, whose result is the exit code.
  explicit Program(const std::function<int()>& body) : output_(::memfd_create("output", MFD_CLOEXEC)) {
    // What the program leaves behind becomes ours, so that it can be waited for.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    std::fflush(nullptr);  // or it would say again what we have not written yet
    pid_ = ::fork();
    if (pid_ != 0) return;
    // A shell that starts the tests in the background may have them ignored, and programs leave it at that.
    for (const int number : {SIGINT, SIGHUP}) std::signal(number, SIG_DFL);
    ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
    ::dup2(output_, STDOUT_FILENO);
    ::dup2(output_, STDERR_FILENO);
    const int code = body();
    std::fflush(nullptr);
    ::_exit(code);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    if (!code_) ::kill(pid_, SIGKILL), ::waitpid(pid_, nullptr, 0);
    ::close(output_);
  }

  pid_t pid() const { return pid_; }

  /// The exit code, 128 + N for signal N; -1 if it goes on for longer than `limit`.
  int wait(std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    eventually(
        [this] {
          int status = 0;
          if (!code_ && ::waitpid(pid_, &status, WNOHANG) == pid_) {
            code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
          }
          return code_.has_value();
        },
        limit);
    return code_.value_or(-1);
  }

  void signal(int number) const { ::kill(pid_, number); }

  /// What it has written so far, on stdout and stderr.
  std::string output() const {
    std::string text(static_cast<std::size_t>(::lseek(output_, 0, SEEK_END)), '\0');
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::pread(output_, text.data(), text.size(), 0))));
    return text;
  }

 private:
  int output_;
  pid_t pid_ = -1;
  std::optional<int> code_;
};

/// Waits until nothing that programs of this test have left in the background runs any more.
inline bool background_ended(std::chrono::milliseconds limit = std::chrono::seconds(10)) {
  return eventually([] { return ::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD; }, limit);
}

}  // namespace fuselage::test

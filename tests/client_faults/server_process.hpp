// A server in a process of its own, for tests that do to it what one does to processes.
#pragma once

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <functional>
#include <string>

#include "support/served.hpp"

namespace fuselage::test {

/// Forks a process that mounts, serves and unmounts; `ended` is what its `run` said. Killed at the end of the scope.
class ServerProcess {
 public:
  /// `make` is called in the child and owns what it makes there. Throws if the child cannot serve.
  template <class FileSystemType>
  ServerProcess(const std::filesystem::path& path, std::function<std::unique_ptr<FileSystemType>()> make,
                const MountOptions& mounting = {}, SessionOptions options = {.handle_signals = true}) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ends[0]);
      for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::signal(number, SIG_DFL);
      ::_exit(serve(path, *make(), mounting, std::move(options), ends[1]));
    }
    ::close(ends[1]);
    pipe_ = ends[0];
    if (const std::string line = read_line(); line != "ready") {
      kill();
      throw std::runtime_error(line);
    }
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess() {
    // What has ended still has to unmount.
    if (has_ended_ && pid_ > 0) exit_status();
    kill();
    ::close(pipe_);
  }

  pid_t pid() const { return pid_; }

  /// What `Ended::to_string` said; "" if it does not end within `limit`, or died.
  std::string ended(std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    ::pollfd wait{pipe_, POLLIN, 0};
    const std::string line = ::poll(&wait, 1, static_cast<int>(limit.count())) == 1 ? read_line() : "";
    has_ended_ = has_ended_ || !line.empty();
    return line;
  }

  /// Waits for the process; its exit status, or minus the signal that killed it.
  int exit_status() {
    int status = 0;
    ::waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    exit_status();
  }

 private:
  template <class FileSystemType>
  static int serve(const std::filesystem::path& path, FileSystemType& file_system, const MountOptions& mounting,
                   SessionOptions options, int pipe) {
    const auto tell = [pipe](const std::string& text) {
      const std::string line = text + "\n";
      [[maybe_unused]] const ssize_t size = ::write(pipe, line.data(), line.size());
    };
    try {
      Mount mount = must(Mount::create(path, mounting));
      Session session = must(Session::create(file_system, mount, std::move(options)));
      tell("ready");
      tell(session.run().to_string());
      return 0;
    } catch (const std::exception& error) {
      tell(error.what());
      return 1;
    }
  }

  std::string read_line() const {
    std::string line;
    for (char byte = 0; ::read(pipe_, &byte, 1) == 1 && byte != '\n';) line += byte;
    return line;
  }

  pid_t pid_ = 0;
  int pipe_ = -1;
  bool has_ended_ = false;
};

}  // namespace fuselage::test

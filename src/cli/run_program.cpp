// `fuselage run`: an existing FUSE program on our library.
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>

#include "base/unique_fd.hpp"
#include "cli/commands.hpp"

namespace fuselage::cli {
namespace {

// Beside the tool in a build tree, or where it is installed.
std::optional<std::filesystem::path> library_directory() {
  std::error_code error;
  const auto beside = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const std::filesystem::path& place : {beside / "lib/fuselage", beside / FUSELAGE_DROP_IN}) {
    if (std::filesystem::exists(place / "libfuse.so.2", error)) return std::filesystem::canonical(place, error);
  }
  return std::nullopt;
}

// What a process has mapped whose name begins with libfuse.
std::vector<std::filesystem::path> fuse_libraries(const std::string& pid) {
  std::vector<std::filesystem::path> found;
  std::ifstream maps("/proc/" + pid + "/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::size_t at = line.find('/');
    if (at == line.npos) continue;
    const std::filesystem::path path = line.substr(at);
    if (path.filename().native().starts_with("libfuse.so.") || path.filename().native().starts_with("libfuse3.so.")) {
      found.push_back(path);
    }
  }
  return found;
}

[[noreturn]] void become(const RunOrder& order, const std::filesystem::path& directory, int socket) {
  const char* const before = std::getenv("LD_LIBRARY_PATH");
  const std::string path =
      before != nullptr && *before != '\0' ? directory.string() + ":" + before : directory.string();
  ::setenv("LD_LIBRARY_PATH", path.c_str(), 1);
  ::setenv("FUSELAGE_RUN_SOCKET", std::to_string(socket).c_str(), 1);
  ::setenv("FUSELAGE_RUN", order.trace ? "trace" : "", 1);
  std::vector<char*> arguments;
  for (const std::string& word : order.command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments.front(), arguments.data());
  fmt::print(stderr, "fuselage: cannot run '{}': {}\n", order.command.front(), std::strerror(errno));
  ::_exit(127);
}

// The program, until it has ended; later the signal is for us.
std::atomic<pid_t> signalled{0};

void pass_on(int number) {
  const int before = errno;
  if (const pid_t program = signalled) {
    ::kill(program, number);
  } else {
    std::signal(number, SIG_DFL);
    ::raise(number);
  }
  errno = before;
}

/// Listens to what the library in the program has to say.
class Watch {
 public:
  Watch(const RunOrder& order, std::filesystem::path directory, int socket, pid_t child)
      : order_(order), directory_(std::move(directory)), socket_(socket), child_(child) {}

  int wait() {
    const bool stays = order_.stats || order_.trace;
    for (bool open = true; open && (stays || !exit_code_);) {
      ::pollfd look{socket_, POLLIN, 0};
      const int ready = ::poll(&look, 1, 200);
      if (ready > 0) open = receive();
      if (!loaded_ && !is_as_wanted()) return 1;
      reap(WNOHANG);
    }
    reap(0);
    if (!loaded_ && exit_code_ != 127) {
      fmt::print(stderr, "fuselage: '{}' did not load a FUSE library of {}: is it linked statically, or set-user-ID?\n",
                 order_.command.front(), directory_.string());
      return exit_code_.value_or(1) != 0 ? *exit_code_ : 1;
    }
    return exit_code_.value_or(1);
  }

 private:
  bool receive() {
    std::array<char, 65536> buffer;
    const ssize_t size = ::recv(socket_, buffer.data(), buffer.size(), 0);
    if (size <= 0) return size < 0 && errno == EINTR;
    const std::string_view message(buffer.data(), static_cast<std::size_t>(size));
    const std::string_view kind = message.substr(0, message.find('\n'));
    const std::string text(message.substr(kind.size() + 1));
    if (kind == "loaded") {
      loader_ = std::atoi(text.c_str());
      for (const auto& library : fuse_libraries(text)) loaded_ = loaded_ || library.parent_path() == directory_;
      // Unanswered it waits for its end, and has mounted nothing.
      if (loaded_) static_cast<void>(::send(socket_, "", 1, MSG_NOSIGNAL));
    } else if (kind == "stats" ? order_.stats : order_.trace) {
      std::fprintf(stderr, "%s%s", text.c_str(), text.ends_with('\n') ? "" : "\n");
    }
    return true;
  }

  // A program that has another FUSE library is of no use here, and would only seem to run on ours.
  bool is_as_wanted() {
    for (const auto& library : fuse_libraries(std::to_string(loader_))) {
      if (library.parent_path() == directory_) return true;  // it is about to say so
      fmt::print(stderr, "fuselage: '{}' loaded {} instead of a library of {}\n", order_.command.front(),
                 library.string(), directory_.string());
      signalled = 0;
      for (const pid_t process : {loader_, child_}) ::kill(process, SIGTERM);
      ::waitpid(child_, nullptr, 0);
      return false;
    }
    return true;
  }

  void reap(int flags) {
    // Its number is nobody else's until we have waited for it.
    ::siginfo_t info{};
    if (exit_code_ || ::waitid(P_PID, static_cast<id_t>(child_), &info, flags | WEXITED | WNOWAIT) != 0) return;
    if (info.si_pid != child_) return;
    signalled = 0;
    int status = 0;
    ::waitpid(child_, &status, 0);
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  const RunOrder& order_;
  const std::filesystem::path directory_;
  const int socket_;
  const pid_t child_;
  pid_t loader_ = child_;  // the program, or a child of it that has told of its library
  bool loaded_ = false;
  std::optional<int> exit_code_;
};

}  // namespace

int run_program(const RunOrder& order) {
  const auto directory = library_directory();
  if (!directory) {
    fmt::print(stderr, "fuselage: libfuse.so.2 of fuselage is not installed beside this tool\n");
    return 1;
  }
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0) {
    fmt::print(stderr, "fuselage: socketpair: {}\n", std::strerror(errno));
    return 1;
  }
  const base::UniqueFd ours(ends[0]);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    become(order, *directory, ends[1]);
  }
  ::close(ends[1]);
  if (child < 0) {
    fmt::print(stderr, "fuselage: fork: {}\n", std::strerror(errno));
    return 1;
  }
  // Signals are for the program, whose end we wait for. A terminal sends those two to it as well.
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
  signalled = child;
  std::signal(SIGTERM, pass_on);
  return Watch(order, *directory, ours.get(), child).wait();
}

}  // namespace fuselage::cli

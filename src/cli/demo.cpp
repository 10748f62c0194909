#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <fuselage/session.hpp>
#include <mutex>
#include <thread>

#include "base/unique_fd.hpp"
#include "cli/commands.hpp"
#include "filesystems/memory/memory.hpp"

namespace fuselage::cli {
namespace {

namespace fs = std::filesystem;

// A directory of its own, removed at the end.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "fuselage-demo-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), name);
    path_ = name;
  }
  ~Scratch() { ::rmdir(path_.c_str()); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void expect(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(what);
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path);
  return {(std::istreambuf_iterator<char>(file)), {}};
}

// What any program does with files; all of it goes through the kernel and comes back to the server.
void use_it(const fs::path& root) {
  const auto note = root / "note.txt";
  const std::string text = "kept in memory, served over /dev/fuse\n";
  expect(static_cast<bool>(std::ofstream(note) << text), "writing failed");
  fmt::print("wrote     {} ({} bytes)\n", note.string(), fs::file_size(note));
  expect(read_file(note) == text, "what was read is not what was written");
  fmt::print("read back the same bytes\n");

  const auto folder = root / "folder";
  fs::create_directory(folder);
  fs::rename(note, folder / "renamed.txt");
  expect(!fs::exists(note) && read_file(folder / "renamed.txt") == text, "renaming failed");
  fmt::print("renamed   note.txt to folder/renamed.txt\n");

  fs::create_symlink("folder/renamed.txt", root / "link");
  std::ofstream(root / "big") << std::string(std::size_t{8} << 20, 'x');
  expect(fs::file_size(root / "big") == std::size_t{8} << 20, "a file of 8 MiB has another size");
  fmt::print("listed   ");
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    fmt::print(" {}", fs::path(entry.path()).lexically_relative(root).string());
  }
  fmt::print("\n");
  std::fflush(stdout);
}

// The client: a process of its own, because a server must never wait for itself.
class Client {
 public:
  /// Forks: before any thread begins.
  explicit Client(const fs::path& root) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    const base::UniqueFd begin(ends[0]);
    begin_.reset(ends[1]);
    std::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid_ > 0) return;
    begin_.reset();
    char go = 0;
    if (::read(begin.get(), &go, 1) != 1) ::_exit(1);  // the server did not get that far
    try {
      use_it(root);
      ::_exit(0);
    } catch (const std::exception& error) {
      fmt::print(stderr, "fuselage: {}\n", error.what());
      ::_exit(1);
    }
  }
  ~Client() {
    end();
    wait();
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void begin() { [[maybe_unused]] const auto written = ::write(begin_.get(), "", 1); }

  /// Whether all went well.
  bool wait() {
    ::siginfo_t info{};
    // WNOWAIT: the pid stays ours until `end` can see that it is over.
    while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) continue;
    const std::lock_guard lock(mutex_);
    if (!ended_) ::waitpid(pid_, &status_, 0);
    ended_ = true;
    return WIFEXITED(status_) && WEXITSTATUS(status_) == 0;
  }

  /// Ends it if it is still at work.
  void end() {
    const std::lock_guard lock(mutex_);
    begin_.reset();
    if (!ended_) ::kill(pid_, SIGKILL);
  }

 private:
  base::UniqueFd begin_;
  pid_t pid_ = -1;
  std::mutex mutex_;
  bool ended_ = false;
  int status_ = 0;
};

// Serves `mount` while the client uses it, and then until Ctrl-C if somebody is there to press it.
Result<bool> serve(Mount& mount, Client& client) {
  memory::Memory files;
  auto session = Session::create(files, mount, {.handle_signals = true});
  if (!session) return session.error();
  bool worked = false;
  std::thread watcher([&] {
    client.begin();
    worked = client.wait();
    fmt::print("\n{}", session->statistics().to_string());
    if (worked && ::isatty(STDIN_FILENO) != 0) {
      fmt::print("\nmounted at {}; look around, Ctrl-C ends\n", mount.mountpoint().string());
    } else {
      session->stop();
    }
    std::fflush(stdout);
  });
  const Ended ended = session->run();
  client.end();  // nobody would answer it
  watcher.join();
  fmt::print("ended: {}\n", ended.to_string());
  return worked || ended.reason == Ended::Reason::signal;
}

}  // namespace

int demo() try {
  const Scratch scratch;
  Client client(scratch.path());
  auto mount = Mount::create(scratch.path(), {.fsname = "memory", .subtype = "fuselage", .default_permissions = true});
  if (!mount) throw std::runtime_error(mount.error().message());
  fmt::print("mounted   the memory file system at {}\n", mount->mountpoint().string());
  std::fflush(stdout);
  const auto worked = serve(*mount, client);
  if (!worked) throw std::runtime_error(worked.error().message());
  return *worked ? 0 : 1;
} catch (const std::exception& error) {
  fmt::print(stderr, "fuselage: {}\n", error.what());
  return 1;
}

}  // namespace fuselage::cli

#include "cli/fuse_mounts.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <map>

#include "base/unique_fd.hpp"

namespace fuselage::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds patience(500);

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The value of "KEY=VALUE" among options.
std::optional<int> option(const std::string& options, std::string_view key) {
  const auto at = ("," + options).find("," + std::string(key) + "=");
  if (at == std::string::npos) return std::nullopt;
  const auto start = at + key.size() + 1;
  return number(std::string_view(options).substr(start, options.find(',', start) - start));
}

std::string command_of(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  while (text.ends_with('\0')) text.pop_back();
  std::replace(text.begin(), text.end(), '\0', ' ');
  return text;
}

// The connection that a descriptor of /dev/fuse belongs to (fuse_dev_show_fdinfo); empty where the kernel does not say.
std::string connection_of(const fs::path& fdinfo) {
  std::ifstream file(fdinfo);
  constexpr std::string_view key = "fuse_connection:";
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const auto at = line.find_first_not_of(" \t", key.size());
    return at == std::string::npos ? std::string() : line.substr(at);
  }
  return {};
}

// The threads that serve rings are named "fuse-ring/CONNECTION", or "fuse-ring-CPU" by libfuse.
std::string transport_of(const fs::path& process, const std::string& connection) {
  std::error_code ended;
  for (fs::directory_iterator at(process / "task", ended), end; !ended && at != end; at.increment(ended)) {
    std::string name;
    std::getline(std::ifstream(at->path() / "comm"), name);
    if (name == "fuse-ring/" + connection || name.starts_with("fuse-ring-")) return "io_uring";
  }
  return "device";
}

// By connection: the processes whose descriptors this user may see.
std::multimap<std::string, Server> servers_by_connection() {
  std::multimap<std::string, Server> found;
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", fs::directory_options::skip_permission_denied, error)) {
    const auto pid = number(process.path().filename().string());
    if (!pid) continue;
    std::vector<std::string> connections;
    std::error_code closed;
    for (fs::directory_iterator at(process.path() / "fd", closed), end; !closed && at != end; at.increment(closed)) {
      std::error_code gone;
      if (fs::read_symlink(at->path(), gone) != "/dev/fuse") continue;
      const std::string connection = connection_of(process.path() / "fdinfo" / at->path().filename());
      if (connection.empty() || std::count(connections.begin(), connections.end(), connection) > 0) continue;
      connections.push_back(connection);
      found.emplace(connection, Server{*pid, command_of(*pid), transport_of(process.path(), connection)});
    }
  }
  return found;
}

// Asks the file system itself, in a child that can be killed while it waits.
FuseMount::State ask(const fs::path& mountpoint) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return FuseMount::State::unknown;
  const base::UniqueFd answer(ends[0]);
  base::UniqueFd question(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return FuseMount::State::unknown;
  if (child == 0) {
    struct statx status {};
    const int failed =
        ::statx(AT_FDCWD, mountpoint.c_str(), AT_STATX_FORCE_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &status);
    const int code = failed == 0 ? 0 : errno;
    [[maybe_unused]] const auto written = ::write(question.get(), &code, sizeof code);
    ::_exit(0);
  }
  question.reset();
  ::pollfd event{answer.get(), POLLIN, 0};
  int code = 0;
  const bool answered = ::poll(&event, 1, static_cast<int>(patience.count())) > 0 &&
                        ::read(answer.get(), &code, sizeof code) == sizeof code;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  if (!answered) return FuseMount::State::silent;
  if (code == ENOTCONN || code == ECONNABORTED) return FuseMount::State::dead;
  return code == EACCES || code == EPERM ? FuseMount::State::unknown : FuseMount::State::served;
}

}  // namespace

const char* to_text(FuseMount::State state) {
  switch (state) {
    case FuseMount::State::served:
      return "served";
    case FuseMount::State::silent:
      return "no answer";
    case FuseMount::State::dead:
      return "dead";
    case FuseMount::State::unknown:
      break;
  }
  return "unknown";
}

Result<std::vector<FuseMount>> look_at_fuse_mounts() {
  auto entries = mounting::fuse_mounts();
  if (!entries) return entries.error();
  const auto servers = servers_by_connection();
  std::vector<FuseMount> mounts;
  for (mounting::MountEntry& entry : *entries) {
    FuseMount mount;
    mount.owner = option(entry.super_options, "user_id");
    const std::string connection = entry.connection();
    const auto [first, last] = servers.equal_range(connection);
    for (auto at = first; at != last; ++at) mount.servers.push_back(at->second);
    if (int waiting = 0; std::ifstream("/sys/fs/fuse/connections/" + connection + "/waiting") >> waiting) {
      mount.waiting = waiting;
    }
    mount.state = mount.servers.empty() ? ask(entry.mountpoint) : FuseMount::State::served;
    mount.entry = std::move(entry);
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

}  // namespace fuselage::cli

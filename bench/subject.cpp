#include "subject.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "servers/store.hpp"

namespace bench {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// Where the servers are. Read before main moves into a mount namespace of its own: from there the link would show the
// way from the real root, not from that of a chroot.
const fs::path program_folder = fs::read_symlink("/proc/self/exe").parent_path();

// The same tree as the servers have it, without what is measured cold: this is never cold.
void fill_tmpfs(const fs::path& root) {
  std::ofstream(root / "file") << std::string(8 << 20, 'x');
  fs::create_hard_link(root / "file", root / "fleeting");
  fs::create_directory(root / "made");
  fs::path deep = root / "deep";
  for (std::uint64_t i = 1; i < Store::depth; ++i) deep /= "d";
  fs::create_directories(deep);
  std::ofstream(deep / "file");
  fs::create_directory(root / "many");
  for (int i = 0; i < 10'000; ++i) ::mknod((root / "many" / ("f" + std::to_string(i))).c_str(), S_IFREG | 0644, 0);
}

bool ring_is_enabled() {
  std::ifstream parameter("/sys/module/fuse/parameters/enable_uring");
  return parameter.get() == 'Y';
}

}  // namespace

std::vector<Subject> subjects() {
  constexpr auto* libfuse2_options = "big_writes,hard_remove,entry_timeout=3600,attr_timeout=3600";
  // At the level of paths, libfuse has one timeout for all names.
  return {
      {"raw-device", "device", "", {"bench-raw-device"}},
      {"fuselage-device", "device", "raw-device", {"bench-fuselage", "-f", "-o", "no_default_permissions"}},
      {"fuselage-path-device", "device", "raw-device", {"bench-fuselage-path", "-f", "-o", "no_default_permissions"}},
      {"raw-ring", "ring", "", {"bench-raw-ring"}},
      {"fuselage-ring", "ring", "raw-ring", {"bench-fuselage", "-f", "-o", "no_default_permissions,transport=uring"}},
      {"fuselage-path-ring",
       "ring",
       "raw-ring",
       {"bench-fuselage-path", "-f", "-o", "no_default_permissions,transport=uring"}},
      {"libfuse3-low-mt", "device", "raw-device", {"bench-libfuse3-lowlevel"}},
      {"libfuse3-low-st", "device", "raw-device", {"bench-libfuse3-lowlevel", "-s"}},
      {"libfuse3-high-mt", "device", "raw-device", {"bench-libfuse3-highlevel", "-f"}, "lookup"},
      {"libfuse3-high-st", "device", "raw-device", {"bench-libfuse3-highlevel", "-f", "-s"}, "lookup"},
      {"libfuse2-high-mt",
       "device",
       "raw-device",
       {"bench-libfuse2-highlevel", "-f", "-o", libfuse2_options},
       "lookup"},
      {"tmpfs", "none", "", {}},
  };
}

std::string obstacle(const Subject& subject) {
  if (subject.transport == "ring" && !ring_is_enabled()) {
    return "the kernel does not offer io_uring: echo 1 > /sys/module/fuse/parameters/enable_uring";
  }
  if (!subject.command.empty() && !fs::exists(program_folder / subject.command.front())) {
    return subject.command.front() + " was not built: its library was missing";
  }
  return {};
}

void pin() {
  ::cpu_set_t allowed;
  ::sched_getaffinity(0, sizeof allowed, &allowed);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    ::cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ::sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

Server::Server(const Subject& subject, fs::path mountpoint, bool pinned) : mountpoint_(std::move(mountpoint)) {
  if (subject.command.empty()) {
    if (::mount("tmpfs", mountpoint_.c_str(), "tmpfs", 0, "size=75%,nr_inodes=0") != 0) {
      throw std::system_error(errno, std::generic_category(), "mounting tmpfs");
    }
    fill_tmpfs(mountpoint_);
    return;
  }
  start(subject, pinned);
  try {
    wait_until_mounted();
  } catch (...) {
    end();
    throw;
  }
}

Server::~Server() { end(); }

void Server::start(const Subject& subject, bool pinned) {
  std::vector<char*> arguments;
  for (const std::string& word : subject.command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(const_cast<char*>(mountpoint_.c_str()));
  arguments.push_back(nullptr);
  const fs::path program = program_folder / subject.command.front();
  output_ = ::memfd_create("output", MFD_CLOEXEC);
  pid_ = ::fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ > 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(output_, STDOUT_FILENO);
  ::dup2(output_, STDERR_FILENO);
  ::setenv("FUSELAGE_TRANSPORT", subject.transport == "ring" ? "uring" : "device", 1);
  if (pinned) pin();
  ::execv(program.c_str(), arguments.data());
  ::_exit(127);
}

void Server::wait_until_mounted() {
  struct ::stat parent {};
  ::stat(mountpoint_.parent_path().c_str(), &parent);
  for (const auto end = std::chrono::steady_clock::now() + 30s; std::chrono::steady_clock::now() < end;) {
    struct ::stat status {};
    if (::stat(mountpoint_.c_str(), &status) == 0 && status.st_dev != parent.st_dev) return;
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = 0;
      break;
    }
    std::this_thread::sleep_for(2ms);
  }
  std::string text(4096, '\0');
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::pread(output_, text.data(), text.size(), 0))));
  while (text.ends_with('\n')) text.pop_back();
  throw std::runtime_error("the server did not come up" + (text.empty() ? text : ": " + text));
}

void Server::end() noexcept {
  ::umount2(mountpoint_.c_str(), MNT_DETACH);
  for (int i = 0; pid_ > 0 && i < 500; ++i) {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
    if (pid_ > 0) std::this_thread::sleep_for(10ms);
  }
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  if (output_ >= 0) ::close(output_);
}

}  // namespace bench

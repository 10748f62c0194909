#include "mount/fusermount.hpp"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string_view>
#include <vector>

namespace fuselage::mounting {
namespace {

constexpr std::string_view comm_variable = "_FUSE_COMMFD=";

// argv and envp want arrays of pointers that end with null.
std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (std::string& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_with(int comm) {
  std::vector<std::string> result;
  for (char** entry = environ; entry && *entry; ++entry) {
    if (!std::string_view(*entry).starts_with(comm_variable)) result.emplace_back(*entry);
  }
  if (comm >= 0) result.push_back(fmt::format("{}{}", comm_variable, comm));
  return result;
}

// One run of the helper; its stderr goes to a file in memory, which needs no reader.
class Helper {
 public:
  // `comm`: our end's peer of the socket over which the device comes, or -1.
  static Result<Helper> start(std::vector<std::string> arguments, int comm) {
    Helper helper;
    helper.errors_.reset(::memfd_create("fusermount", MFD_CLOEXEC));
    if (!helper.errors_) return Error::last();
    for (const char* program : {"fusermount3", "fusermount"}) {
      const int error = helper.spawn(program, arguments, comm);
      if (error == 0) return helper;
      if (error != ENOENT) return Error{error, fmt::format("cannot run {}: {}", program, Error{error}.message())};
    }
    return Error{
        EPERM,
        "this process may not mount or unmount itself, and the program fusermount3 is not in PATH; install the "
        "package fuse3 or run as root"};
  }

  // Waits for its end; an error has what it said.
  Result<void> finish() {
    int status = 0;
    pid_t ended = 0;
    do {
      ended = ::waitpid(pid_, &status, 0);
    } while (ended < 0 && errno == EINTR);
    // ECHILD: the program ignores SIGCHLD, or reaps every child itself; what was said decides then.
    const std::string said = this->said();
    if (ended < 0 ? said.empty() : status == 0) return {};
    if (!said.empty()) return Error{EPERM, said};
    return Error{EPERM, fmt::format("fusermount3 failed without a message (wait status {})", status)};
  }

 private:
  int spawn(const char* program, std::vector<std::string> arguments, int comm) {
    arguments.insert(arguments.begin(), program);
    auto environment = environment_with(comm);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    // Duplicating a descriptor onto itself makes it survive exec.
    if (comm >= 0) ::posix_spawn_file_actions_adddup2(&actions, comm, comm);
    ::posix_spawn_file_actions_adddup2(&actions, errors_.get(), STDERR_FILENO);
    // A Ctrl-C that ends the file system must not stop the helper on its way to unmount it.
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    const int error =
        ::posix_spawnp(&pid_, program, &actions, &attributes, pointers(arguments).data(), pointers(environment).data());
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    return error;
  }

  std::string said() const {
    std::array<char, 1024> text;
    const ssize_t size = ::pread(errors_.get(), text.data(), text.size(), 0);
    std::string_view view(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
    while (view.ends_with('\n')) view.remove_suffix(1);
    return std::string(view);
  }

  base::UniqueFd errors_;
  pid_t pid_ = -1;
};

// One byte with one descriptor; end of file when the helper failed.
base::UniqueFd receive_descriptor(int socket) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t received = 0;
  do {
    received = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  const cmsghdr* const header = received > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) return {};
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return base::UniqueFd(fd);
}

}  // namespace

Result<base::UniqueFd> mount_by_helper(const std::filesystem::path& mountpoint, const std::string& options) {
  // The helper looks there before it unmounts. What nobody could unmount again is better not mounted.
  if (::access("/etc/mtab", F_OK) != 0) {
    return Error{
        EPERM,
        "fusermount3 unmounts nothing where there is no /etc/mtab; ln -s /proc/self/mounts /etc/mtab, or run as "
        "root"};
  }
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return Error::last();
  const base::UniqueFd ours(ends[0]);
  base::UniqueFd theirs(ends[1]);
  auto helper = Helper::start({"-o", options, "--", mountpoint.string()}, theirs.get());
  if (!helper) return helper.error();
  theirs.reset();
  base::UniqueFd device = receive_descriptor(ours.get());
  if (auto finished = helper->finish(); !finished) return finished.error();
  if (!device) return Error{EPERM, "fusermount3 sent no descriptor"};
  return device;
}

Result<void> unmount_by_helper(const std::filesystem::path& mountpoint, bool lazy) {
  std::vector<std::string> arguments{"-u"};
  if (lazy) arguments.emplace_back("-z");
  arguments.insert(arguments.end(), {"--", mountpoint.string()});
  auto helper = Helper::start(std::move(arguments), -1);
  if (!helper) return helper.error();
  return helper->finish();
}

}  // namespace fuselage::mounting

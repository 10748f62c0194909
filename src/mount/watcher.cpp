#include "mount/watcher.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>

namespace fuselage::mounting {
namespace {

// What to guard, as it goes over the socket; any shorter message means "stand down".
struct Order {
  int id = 0;
  std::uint64_t unique = 0;
  std::array<char, 32> device{};
  std::array<char, 4096> mountpoint{};  // PATH_MAX
};

// Closes everything but `keep`, which becomes `kept`; a /dev/fuse left open would keep the connection alive.
void keep_one_descriptor(int keep, int kept) {
  if (keep != kept) ::dup2(keep, kept);
  if (::close_range(kept + 1, ~0U, 0) != 0) {
    for (int fd = kept + 1; fd < 65536; ++fd) ::close(fd);
  }
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd < kept; ++fd) {
    if (null < 0) {
      ::close(fd);
    } else {
      ::dup2(null, fd);
    }
  }
  if (null > kept) ::close(null);
}

void watch(int socket_of_start) {
  constexpr int socket = 3;
  ::setsid();
  ::prctl(PR_SET_NAME, "fuselage-umount");
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE}) std::signal(signal, SIG_IGN);
  std::signal(SIGCHLD, SIG_DFL);
  // The working directory must not keep a file system busy.
  [[maybe_unused]] const int changed = ::chdir("/");
  keep_one_descriptor(socket_of_start, socket);
  const char settled = 0;
  ::send(socket, &settled, 1, MSG_NOSIGNAL);

  Order order;
  bool guarding = false;
  for (;;) {
    Order received;
    const ssize_t size = ::recv(socket, &received, sizeof received, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size != sizeof received) {
      // SOCK_SEQPACKET: zero bytes are the end of the owner; anything else stands down.
      if (size == 0 && guarding) {
        [[maybe_unused]] const auto done =
            unmount_exactly({order.id, order.device.data(), order.mountpoint.data(), order.unique});
      }
      return;
    }
    order = received;
    guarding = true;
  }
}

}  // namespace

Result<Watcher> Watcher::start() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return Error::last();
  base::UniqueFd ours(ends[0]);
  base::UniqueFd theirs(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return Error{errno, fmt::format("cannot start the watcher: {}", Error::last().message())};
  if (child == 0) {
    const pid_t watcher = ::fork();
    if (watcher == 0) {
      try {
        watch(theirs.get());
      } catch (...) {
        ::_exit(1);
      }
    }
    ::_exit(watcher < 0 ? errno : 0);
  }
  int status = 0;
  pid_t ended = 0;
  do {
    ended = ::waitpid(child, &status, 0);
  } while (ended < 0 && errno == EINTR);
  theirs.reset();
  // Until the watcher has left our session, a Ctrl-C would end it as well.
  char settled = 0;
  ssize_t size = 0;
  do {
    size = ::recv(ours.get(), &settled, 1, 0);
  } while (size < 0 && errno == EINTR);
  if (size == 1) return Watcher(std::move(ours));
  const int code = ended == child && WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EIO;
  return Error{code, fmt::format("cannot start the watcher: {}", Error{code}.message())};
}

Result<void> Watcher::guard(const MountIdentity& mount) {
  Order order{.id = mount.id, .unique = mount.unique};
  const std::string path = mount.mountpoint.string();
  if (path.size() >= order.mountpoint.size() || mount.device.size() >= order.device.size()) return Error{ENAMETOOLONG};
  mount.device.copy(order.device.data(), mount.device.size());
  path.copy(order.mountpoint.data(), path.size());
  if (::send(socket_.get(), &order, sizeof order, MSG_NOSIGNAL) != sizeof order) return Error::last();
  return {};
}

void Watcher::stand_down() noexcept {
  if (!socket_) return;
  const char byte = 0;
  [[maybe_unused]] const ssize_t sent = ::send(socket_.get(), &byte, 1, MSG_NOSIGNAL);
  socket_.reset();
}

MountIdentity MountIdentity::of(const MountEntry& entry) {
  return {entry.id, entry.device, entry.mountpoint, unique_mount_id(entry.mountpoint)};
}

Result<void> unmount_exactly(const MountIdentity& mount) {
  const Error gone{ENOENT, fmt::format("'{}' is unmounted already", mount.mountpoint.string())};
  const auto mounts = all_mounts();
  if (!mounts) return mounts.error();
  const auto same = std::find_if(mounts->begin(), mounts->end(), [&](const MountEntry& other) {
    return other.id == mount.id && other.device == mount.device && other.is_fuse();
  });
  if (same == mounts->end()) return gone;
  // A directory above it may have got another name since: the table's path counts.
  const auto top = top_mount(*mounts, same->mountpoint);
  if (!top || top->id != mount.id) {
    return Error{EBUSY,
                 fmt::format("something else is mounted over '{}'; unmount that first", same->mountpoint.string())};
  }
  // Linux gives the id and the device number of an unmounted file system to the next one.
  const std::uint64_t unique = unique_mount_id(same->mountpoint);
  if (unique != 0 && mount.unique != 0 && unique != mount.unique) return gone;
  return unmount(same->mountpoint, true);
}

}  // namespace fuselage::mounting

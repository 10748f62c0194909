#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fuselage/mount.hpp>
#include <mutex>

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "mount/fusermount.hpp"
#include "mount/mount_options.hpp"
#include "mount/table.hpp"
#include "mount/watcher.hpp"

namespace fuselage {
namespace {

struct Root {
  std::filesystem::path path;  // canonical
  mode_t type;                 // S_IFDIR or S_IFREG
};

Error about(const std::filesystem::path& path, int code, std::string_view what) {
  return Error{code, fmt::format("mount point '{}' {}", path.string(), what)};
}

Error unreachable(const std::filesystem::path& path, int code) {
  switch (code) {
    case ENOENT:
      return about(path, code, "does not exist; create it first");
    case ENOTDIR:
      return about(path, code, "is not below a directory: one part of the path is a file");
    case EACCES:
      return about(path, code, "cannot be reached: permission denied on the way, or it is another user's FUSE mount");
    case ENOTCONN:
    case ECONNREFUSED:
    case ECONNABORTED:
      return about(path, ENOTCONN, "is on a FUSE mount whose server is gone; unmount that first");
    default:
      return about(path, code, fmt::format("cannot be used: {}", Error{code}.message()));
  }
}

// The errors of a FUSE mount without a server (fuse_get_req, fuse_dev_end_requests).
bool is_dead(int code) { return code == ENOTCONN || code == ECONNREFUSED || code == ECONNABORTED; }

// Takes a dead FUSE mount off `path`; an error when what is dead lies further up, or is not ours to unmount.
Result<void> clear_dead_mount(const std::filesystem::path& path) {
  const auto mounts = mounting::all_mounts();
  if (!mounts) return mounts.error();
  const auto top = top_mount(*mounts, path);
  if (!top || !top->is_fuse()) return unreachable(path, ENOTCONN);
  if (auto done = mounting::unmount(path, true); !done) {
    return about(
        path, ENOTCONN,
        fmt::format("has a FUSE mount whose server is gone and which cannot be unmounted: {}", done.error().message()));
  }
  return {};
}

Result<Root> prepare(const std::filesystem::path& mountpoint, const MountOptions& options) {
  const auto path = mounting::resolve(mountpoint);
  if (!path) return unreachable(mountpoint, path.error().code());
  struct statx status {};
  // FORCE_SYNC: the attributes of a dead mount may still be cached.
  while (::statx(AT_FDCWD, path->c_str(), AT_STATX_FORCE_SYNC | AT_SYMLINK_NOFOLLOW, STATX_TYPE, &status) != 0) {
    if (!is_dead(errno)) return unreachable(*path, errno);
    if (auto cleared = clear_dead_mount(*path); !cleared) return cleared.error();
  }
  const mode_t type = status.stx_mode & S_IFMT;
  if (options.file_root && type != S_IFREG) return about(*path, EISDIR, "is not a regular file");
  if (!options.file_root && type != S_IFDIR) return about(*path, ENOTDIR, "is not a directory");
  return Root{*path, type};
}

Error no_fuse() {
  return Error{ENODEV,
               "this system has no /dev/fuse; load the kernel module (modprobe fuse), or pass the device into the "
               "container (--device /dev/fuse)"};
}

// mount(2). EPERM: not permitted to this process, the helper may be.
Result<base::UniqueFd> mount_directly(const Root& root, const MountOptions& options) {
  base::UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!device) {
    if (errno == ENOENT || errno == ENODEV || errno == ENXIO) return no_fuse();
    if (errno == EACCES || errno == EPERM) return Error{EPERM, "/dev/fuse may not be opened"};
    return Error{errno, fmt::format("cannot open /dev/fuse: {}", Error::last().message())};
  }
  const std::string data = mounting::mount_data(options, device.get(), root.type);
  if (::mount(mounting::mount_source(options).c_str(), root.path.c_str(), mounting::mount_type(options).c_str(),
              mounting::mount_flags(options), data.c_str()) == 0) {
    return device;
  }
  switch (errno) {
    case EPERM:
      return Error{EPERM, "mount(2) is not permitted"};
    case ENODEV:
      return no_fuse();
    case EINVAL:
      return about(root.path, EINVAL,
                   fmt::format("was refused by the kernel with the options '{}'; dmesg may say more", data));
    default:
      return about(root.path, errno, fmt::format("cannot be mounted: {}", Error::last().message()));
  }
}

Result<base::UniqueFd> mount_either_way(const Root& root, const MountOptions& options) {
  auto device = mount_directly(root, options);
  if (device || device.error().code() != EPERM) return device;
  if (::access(root.path.c_str(), W_OK) != 0) {
    return about(root.path, errno, "cannot be mounted by this user, who may not write to it");
  }
  auto helped = mounting::mount_by_helper(root.path, mounting::helper_options(options));
  if (helped) return helped;
  return about(
      root.path, helped.error().code(),
      fmt::format("cannot be mounted: {} (tried first: {})", helped.error().message(), device.error().message()));
}

// The N of "/dev/fd/N".
std::optional<int> adopted_descriptor(const std::filesystem::path& mountpoint) {
  constexpr std::string_view prefix = "/dev/fd/";
  const std::string& text = mountpoint.native();
  if (!text.starts_with(prefix)) return std::nullopt;
  const auto number = OptionValue<int>::parse(std::string_view(text).substr(prefix.size()));
  return number ? std::optional(*number) : std::nullopt;
}

Result<base::UniqueFd> adopt(int fd) {
  constexpr unsigned misc_major = 10, fuse_minor = 229;
  struct stat status {};
  if (::fstat(fd, &status) != 0) return Error{EBADF, fmt::format("/dev/fd/{}: no such descriptor is open", fd)};
  if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(misc_major, fuse_minor)) {
    return Error{EINVAL, fmt::format("/dev/fd/{} is not a /dev/fuse", fd)};
  }
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return Error::last();
  return base::UniqueFd(fd);
}

// fuse_dev_poll: EPOLLERR once the connection is gone, by unmount or abort.
bool is_disconnected(int device) {
  pollfd poll{device, 0, 0};
  return ::poll(&poll, 1, 0) > 0 && (poll.revents & (POLLERR | POLLNVAL)) != 0;
}

}  // namespace

struct Mount::State {
  State(base::UniqueFd fd, std::filesystem::path path) : device(std::move(fd)), mountpoint(std::move(path)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  ~State() {
    if (!ours) return;
    if (!is_certain()) return;
    device.reset();
    if (auto done = take_off(); !done) {
      base::log(LogLevel::error, "cannot unmount '{}': {}", mountpoint.string(), done.error().message());
    }
  }

  // Gone or aborted from outside: somebody else's mount may sit there by now, with the id and the device number of
  // ours.
  bool is_certain() const { return identity.unique != 0 || !is_disconnected(device.get()); }

  Result<void> take_off() {
    if (auto done = mounting::unmount_exactly(identity); !done && done.error().code() != ENOENT) return done;
    ours = false;
    watcher.stand_down();
    return {};
  }

  base::UniqueFd device;
  std::filesystem::path mountpoint;
  mounting::MountIdentity identity;
  mounting::Watcher watcher;
  mutable std::mutex mutex;  // guards `ours` and `watcher`
  bool ours = false;         // there is something to unmount
};

Result<Mount> Mount::create(const std::filesystem::path& mountpoint, const MountOptions& options) {
  if (const auto fd = adopted_descriptor(mountpoint)) {
    auto device = adopt(*fd);
    if (!device) return device.error();
    return Mount(std::make_unique<State>(std::move(device).value(), mountpoint));
  }
  if (auto checked = mounting::check(options); !checked) return checked.error();
  const auto root = prepare(mountpoint, options);
  if (!root) return root.error();
  // Before the device is open: the watcher must never hold it.
  auto watcher = options.auto_unmount ? mounting::Watcher::start() : Result<mounting::Watcher>(mounting::Watcher());
  if (!watcher) return watcher.error();
  // Read before as well, so that a missing /proc fails while nothing is mounted.
  if (auto before = mounting::all_mounts(); !before) return before.error();

  auto device = mount_either_way(*root, options);
  if (!device) return device.error();
  auto state = std::make_unique<State>(std::move(device).value(), root->path);
  const auto mounts = mounting::all_mounts();
  const auto entry = mounts ? top_mount(*mounts, root->path) : std::nullopt;
  if (!entry || !entry->is_fuse()) {
    [[maybe_unused]] const auto done = mounting::unmount(root->path, true);
    return mounts ? about(root->path, EIO, "is missing in /proc/self/mountinfo after mounting") : mounts.error();
  }
  state->identity = mounting::MountIdentity::of(*entry);
  state->ours = true;
  state->watcher = std::move(watcher).value();
  if (options.auto_unmount) {
    if (auto guarded = state->watcher.guard(state->identity); !guarded) return guarded.error();
  }
  return Mount(std::move(state));
}

Mount::Mount(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Mount::Mount(Mount&& other) noexcept = default;
Mount& Mount::operator=(Mount&& other) noexcept = default;
Mount::~Mount() = default;

int Mount::device() const noexcept { return state_->device.get(); }

const std::filesystem::path& Mount::mountpoint() const noexcept { return state_->mountpoint; }

bool Mount::mounted() const noexcept {
  const std::lock_guard lock(state_->mutex);
  return state_->ours && !is_disconnected(state_->device.get());
}

Result<void> Mount::unmount() {
  const std::lock_guard lock(state_->mutex);
  if (!state_->ours || !state_->is_certain()) return {};
  return state_->take_off();
}

void Mount::release() noexcept {
  const std::lock_guard lock(state_->mutex);
  state_->ours = false;
  state_->watcher.stand_down();
}

}  // namespace fuselage

// fuse_mount and fuse_unmount.
#include "capi/v2/mounting.hpp"

#include <dirent.h>
#include <sys/stat.h>

#include <memory>
#include <vector>

#include "capi/v2/session.hpp"
#include "mount/table.hpp"

namespace fuselage::capi2 {
namespace {

enum Key { key_mount, key_mount_and_keep, key_allow_root, key_read_only, key_help, key_version };

// The options of mounting, by their names alone: what they mean is in the library's own table.
const fuse_opt mount_rows[] = {
    FUSE_OPT_KEY("allow_other", key_mount),
    FUSE_OPT_KEY("allow_root", key_allow_root),
    FUSE_OPT_KEY("nonempty", key_mount),
    FUSE_OPT_KEY("blkdev", key_mount),
    FUSE_OPT_KEY("auto_unmount", key_mount),
    FUSE_OPT_KEY("fsname=", key_mount),
    FUSE_OPT_KEY("subtype=", key_mount),
    FUSE_OPT_KEY("large_read", key_mount),
    FUSE_OPT_KEY("blksize=", key_mount),
    FUSE_OPT_KEY("default_permissions", key_mount),
    FUSE_OPT_KEY("max_read=", key_mount_and_keep),
    FUSE_OPT_KEY("context=", key_mount),
    FUSE_OPT_KEY("fscontext=", key_mount),
    FUSE_OPT_KEY("defcontext=", key_mount),
    FUSE_OPT_KEY("rootcontext=", key_mount),
    FUSE_OPT_KEY("user=", key_mount),
    FUSE_OPT_KEY("ro", key_mount),
    FUSE_OPT_KEY("rw", key_mount),
    FUSE_OPT_KEY("suid", key_mount),
    FUSE_OPT_KEY("nosuid", key_mount),
    FUSE_OPT_KEY("dev", key_mount),
    FUSE_OPT_KEY("nodev", key_mount),
    FUSE_OPT_KEY("exec", key_mount),
    FUSE_OPT_KEY("noexec", key_mount),
    FUSE_OPT_KEY("async", key_mount),
    FUSE_OPT_KEY("sync", key_mount),
    FUSE_OPT_KEY("dirsync", key_mount),
    FUSE_OPT_KEY("atime", key_mount),
    FUSE_OPT_KEY("noatime", key_mount),
    FUSE_OPT_KEY("-r", key_read_only),
    FUSE_OPT_KEY("-h", key_help),
    FUSE_OPT_KEY("--help", key_help),
    FUSE_OPT_KEY("-V", key_version),
    FUSE_OPT_KEY("--version", key_version),
    FUSE_OPT_END,
};

struct Wishes {
  MountOptions options;
  OptionSet table;
  bool nonempty = false;
  bool only_talk = false;  ///< Help or version was asked for.

  Wishes() {
    add_mount_options(table, options);
    table.flag("nonempty", &nonempty, "mount over a directory that is not empty").ignore("large_read").ignore("user");
  }
};

// A comma of a value is escaped for the table, which takes whole lists.
bool take(Wishes& wishes, std::string_view option) {
  std::string escaped;
  for (const char c : option) {
    if (c == ',' || c == '\\') escaped += '\\';
    escaped += c;
  }
  const Result<void> taken = wishes.table.parse(escaped);
  if (!taken) complain("{}", taken.error().message());
  return taken.has_value();
}

int on_option(void* data, const char* arg, int key, fuse_args* outargs) {
  auto& wishes = *static_cast<Wishes*>(data);
  switch (key) {
    case key_mount:
      return take(wishes, arg) ? 0 : -1;
    case key_mount_and_keep:
      return take(wishes, arg) ? 1 : -1;
    case key_read_only:
      return take(wishes, "ro") ? 0 : -1;
    case key_allow_root:
      // Who is let in is checked request by request, by the session.
      return take(wishes, "allow_root") && fuse_opt_add_arg(outargs, "-oallow_root") == 0 ? 0 : -1;
    case key_version:
      wishes.only_talk = true;
      return 1;
    case key_help:
      wishes.only_talk = true;
      std::fprintf(stderr, "Options of mounting (-o):\n%s\n", wishes.table.help().c_str());
      return 1;
    default:
      return 1;
  }
}

bool is_empty(const char* directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory), ::closedir);
  if (stream == nullptr) return true;  // what is wrong with it, mounting tells
  while (const dirent* const entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") return false;
  }
  return true;
}

Result<Mount> mount(const char* mountpoint, Wishes& wishes) {
  struct stat status {};
  if (::stat(mountpoint, &status) == 0) {
    wishes.options.file_root = S_ISREG(status.st_mode);
    const bool something = S_ISREG(status.st_mode) ? status.st_size > 0 : !is_empty(mountpoint);
    if (something && !wishes.nonempty) {
      return Error{ENOTEMPTY, fmt::format("'{}' is not empty: what is in it would be hidden; mount with '-o nonempty' "
                                          "if that is wanted",
                                          mountpoint)};
    }
  }
  return Mount::create(mountpoint, wishes.options);
}

}  // namespace

fuse_chan* mount_channel(const char* mountpoint, fuse_args* args) {
  Wishes wishes;
  if (args != nullptr && fuse_opt_parse(args, &wishes, mount_rows, on_option) == -1) return nullptr;
  auto channel = std::make_unique<fuse_chan>();
  channel->buffer_size = kernel_buffer;
  channel->only_talk = wishes.only_talk;
  if (channel->only_talk) return channel.release();  // others have more to tell
  if (mountpoint == nullptr) {
    complain("no mount point");
    return nullptr;
  }
  auto mounted = mount(mountpoint, wishes);
  if (!mounted) {
    complain("{}", mounted.error().message());
    return nullptr;
  }
  channel->fd = mounted->device();
  channel->mount.emplace(std::move(*mounted));
  return channel.release();
}

void unmount(const char* mountpoint) {
  const auto path = mounting::resolve(mountpoint);
  if (path) static_cast<void>(mounting::unmount(*path, true));
}

}  // namespace fuselage::capi2

using namespace fuselage::capi2;

extern "C" {

fuse_chan* fuse_mount(const char* mountpoint, fuse_args* args) {
  return guarded([&] { return mount_channel(mountpoint, args); }, static_cast<fuse_chan*>(nullptr));
}

void fuse_unmount(const char* mountpoint, fuse_chan* ch) {
  if (mountpoint == nullptr) return;
  guarded(
      [&] {
        bool in_loop = false;
        if (ch != nullptr) {
          const std::lock_guard lock(ch->mutex);
          in_loop = ch->in_loop;
        }
        if (ch == nullptr || !ch->mount) {
          if (ch == nullptr || !ch->only_talk) unmount(mountpoint);
        } else if (in_loop) {
          static_cast<void>(ch->mount->unmount());  // ends the loop, which then destroys the channel
        } else {
          ch->mount.reset();
          ch->fd = -1;
        }
        if (ch != nullptr) destroy(ch);
        return 0;
      },
      -1);
}

}  // extern "C"

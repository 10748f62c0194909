#include "mount/table.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>

#include "mount/fusermount.hpp"

namespace fuselage::mounting {
namespace {

// show_mountinfo writes blanks, newlines, backslashes and '#' as a backslash and three octal digits.
std::string unescape(std::string_view text) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

// "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue"; the fields after the sixth and
// before the dash are optional.
std::optional<MountEntry> parse_line(const std::string& line) {
  std::istringstream fields(line);
  MountEntry entry;
  std::string root, mountpoint, field, type, source;
  if (!(fields >> entry.id >> entry.parent >> entry.device >> root >> mountpoint >> entry.options)) return std::nullopt;
  while (fields >> field && field != "-") continue;
  fields >> type;
  // An empty source is written as an empty field, between two blanks.
  fields.get();
  std::getline(fields, source, ' ');
  std::getline(fields, entry.super_options);
  entry.mountpoint = unescape(mountpoint);
  entry.type = unescape(type);
  entry.source = unescape(source);
  return entry;
}

}  // namespace

bool MountEntry::is_fuse() const {
  const std::string_view base = std::string_view(type).substr(0, type.find('.'));
  return base == "fuse" || base == "fuseblk";
}

std::string MountEntry::connection() const {
  if (!is_fuse() || type.starts_with("fuseblk")) return {};
  return device.substr(device.find(':') + 1);
}

Result<std::vector<MountEntry>> all_mounts() {
  std::ifstream file("/proc/self/mountinfo");
  if (!file) return Error{ENOENT, "cannot read /proc/self/mountinfo; is /proc mounted?"};
  std::vector<MountEntry> entries;
  for (std::string line; std::getline(file, line);) {
    if (auto entry = parse_line(line)) entries.push_back(*std::move(entry));
  }
  return entries;
}

Result<std::vector<MountEntry>> fuse_mounts() {
  auto entries = all_mounts();
  if (entries) std::erase_if(*entries, [](const MountEntry& entry) { return !entry.is_fuse(); });
  return entries;
}

std::optional<MountEntry> top_mount(const std::vector<MountEntry>& mounts, const std::filesystem::path& mountpoint) {
  for (const MountEntry& entry : mounts) {
    if (entry.mountpoint != mountpoint) continue;
    const bool covered = std::any_of(mounts.begin(), mounts.end(), [&](const MountEntry& other) {
      return other.parent == entry.id && other.id != entry.id && other.mountpoint == mountpoint;
    });
    if (!covered) return entry;
  }
  return std::nullopt;
}

std::uint64_t unique_mount_id(const std::filesystem::path& mountpoint) {
  constexpr unsigned statx_mnt_id_unique = 0x4000;  // not in the headers of glibc 2.36
  struct statx status {};
  // DONT_SYNC keeps fuse_update_get_attr from sending GETATTR.
  constexpr int quietly = AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  if (::statx(AT_FDCWD, mountpoint.c_str(), quietly, statx_mnt_id_unique, &status) != 0) return 0;
  return status.stx_mask & statx_mnt_id_unique ? status.stx_mnt_id : 0;
}

Result<std::filesystem::path> resolve(const std::filesystem::path& path) {
  std::string text = path.string();
  // realpath asks the file system about a directory that is followed by a slash.
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(text.c_str(), nullptr), &std::free);
  if (!resolved) return Error::last();
  return std::filesystem::path(resolved.get());
}

Result<void> unmount(const std::filesystem::path& path, bool lazy) {
  const auto resolved = resolve(path);
  if (!resolved) {
    return Error{resolved.error().code(),
                 fmt::format("cannot find '{}': {}", path.string(), resolved.error().message())};
  }
  if (::umount2(resolved->c_str(), UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0) return {};
  switch (errno) {
    case EPERM:
      return unmount_by_helper(*resolved, lazy);
    case EINVAL:
      return Error{EINVAL, fmt::format("'{}' is not a mount point", resolved->string())};
    case EBUSY:
      return Error{EBUSY, fmt::format("'{}' is busy: a process has a file open or its working directory there; end it "
                                      "or unmount lazily",
                                      resolved->string())};
    default:
      return Error{errno, fmt::format("cannot unmount '{}': {}", resolved->string(), Error::last().message())};
  }
}

}  // namespace fuselage::mounting

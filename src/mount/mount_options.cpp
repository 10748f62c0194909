#include "mount/mount_options.hpp"

#include <fmt/format.h>
#include <sys/mount.h>
#include <unistd.h>

namespace fuselage {
namespace {

// Not in the headers of glibc 2.36.
constexpr unsigned long ms_nosymfollow = 256;

// Whether it matters enough to bother fusermount3 with it, which does not know all of these: FUSE inodes are S_NOATIME
// (fuse_init_inode), so what is said about access times shows up in the mount table and nowhere else.
enum class Helper { tell, leave_out };

// The generic options: the name that sets the MS_ bit, the name that clears it.
struct GenericFlag {
  const char* set;
  const char* clear;
  unsigned long bit;
  bool MountOptions::*member;
  Helper helper;
  const char* help;
};

constexpr GenericFlag generic_flags[] = {
    {"ro", "rw", MS_RDONLY, &MountOptions::ro, Helper::tell, "read-only"},
    {"nosuid", "suid", MS_NOSUID, &MountOptions::nosuid, Helper::tell, "set-user-ID bits have no effect"},
    {"nodev", "dev", MS_NODEV, &MountOptions::nodev, Helper::tell, "device nodes cannot be opened"},
    {"noexec", "exec", MS_NOEXEC, &MountOptions::noexec, Helper::tell, "programs cannot be executed"},
    {"sync", "async", MS_SYNCHRONOUS, &MountOptions::sync, Helper::tell, "writes are synchronous"},
    {"dirsync", nullptr, MS_DIRSYNC, &MountOptions::dirsync, Helper::tell, "directory changes are synchronous"},
    {"noatime", "atime", MS_NOATIME, &MountOptions::noatime, Helper::leave_out, "reading keeps the access time"},
    {"nodiratime", "diratime", MS_NODIRATIME, &MountOptions::nodiratime, Helper::leave_out, "the same for directories"},
    {"relatime", "norelatime", MS_RELATIME, &MountOptions::relatime, Helper::leave_out, "access times now and then"},
    {"strictatime", "nostrictatime", MS_STRICTATIME, &MountOptions::strictatime, Helper::leave_out,
     "access times always"},
    {"nosymfollow", "symfollow", ms_nosymfollow, &MountOptions::nosymfollow, Helper::tell,
     "symbolic links are not followed"},
    {"lazytime", "nolazytime", MS_LAZYTIME, &MountOptions::lazytime, Helper::leave_out, "times are written lazily"},
};

struct Label {
  const char* name;
  std::string MountOptions::*member;
  const char* help;
};

const Label labels[] = {
    {"context", &MountOptions::context, "SELinux label of every file"},
    {"fscontext", &MountOptions::fscontext, "SELinux label of the file system"},
    {"defcontext", &MountOptions::defcontext, "SELinux label of files without one"},
    {"rootcontext", &MountOptions::rootcontext, "SELinux label of the root"},
};

// Words of fstab for mount(8) and its relatives; they may reach a mount helper.
constexpr const char* without_meaning[] = {"defaults", "auto",  "noauto", "user",   "nouser",
                                           "users",    "owner", "group",  "nofail", "_netdev",
                                           "comment",  "loud",  "silent", "x-*",    "X-*"};

// fusermount3 resolves backslashes in these two.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == ',' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

// What the kernel and fusermount3 call by the same names, each with a comma before it.
std::string common_data(const MountOptions& options) {
  std::string data;
  if (options.allow_other || options.allow_root) data += ",allow_other";
  if (options.default_permissions) data += ",default_permissions";
  if (options.max_read) data += fmt::format(",max_read={}", *options.max_read);
  if (options.blksize) data += fmt::format(",blksize={}", *options.blksize);
  for (const Label& label : labels) {
    const std::string& text = options.*label.member;
    // Labels may contain commas; the security modules take quotes off (selinux_eat_lsm_opts).
    const char* const quote = text.find(',') == text.npos ? "" : "\"";
    if (!text.empty()) data += fmt::format(",{0}={1}{2}{1}", label.name, quote, text);
  }
  return data;
}

}  // namespace

void add_mount_options(OptionSet& table, MountOptions& options) {
  table.value("fsname", &options.fsname, "name of the source in the mount table")
      .value("subtype", &options.subtype, "the type in the mount table becomes fuse.TEXT")
      .flag("allow_other", &options.allow_other, "every user may enter")
      .flag("allow_root", &options.allow_root, "root may enter too")
      .flag("default_permissions", &options.default_permissions, "the kernel checks access by mode, owner and group")
      .flag("auto_unmount", &options.auto_unmount, "unmount when the process ends in any way")
      .flag("blkdev", &options.blkdev, "mount the block device that fsname names")
      .bytes("max_read", &options.max_read, "largest read request")
      .bytes("blksize", &options.blksize, "block size, with blkdev");
  for (const GenericFlag& flag : generic_flags) {
    table.flag(flag.set, &(options.*flag.member), flag.help);
    if (flag.clear) table.flag(flag.clear, &(options.*flag.member), fmt::format("not {}", flag.set), false);
  }
  for (const Label& label : labels) table.value(label.name, &(options.*label.member), label.help);
  for (const char* name : without_meaning) table.ignore(name);
}

namespace mounting {

Result<void> check(const MountOptions& options) {
  if (options.blkdev && options.fsname.empty()) {
    return Error{EINVAL, "option 'blkdev' needs the block device: add 'fsname=/dev/...'"};
  }
  if (options.blksize && !options.blkdev) return Error{EINVAL, "option 'blksize' is for block devices: add 'blkdev'"};
  return {};
}

unsigned long mount_flags(const MountOptions& options) {
  unsigned long bits = 0;
  for (const GenericFlag& flag : generic_flags) bits |= options.*flag.member ? flag.bit : 0;
  return bits;
}

std::string mount_type(const MountOptions& options) {
  std::string type = options.blkdev ? "fuseblk" : "fuse";
  if (!options.subtype.empty()) type += "." + options.subtype;
  return type;
}

std::string mount_source(const MountOptions& options) {
  if (!options.fsname.empty()) return options.fsname;
  return options.subtype.empty() ? "fuse" : options.subtype;
}

std::string mount_data(const MountOptions& options, int device, mode_t root_mode) {
  return fmt::format("fd={},rootmode={:o},user_id={},group_id={}{}", device, root_mode, ::getuid(), ::getgid(),
                     common_data(options));
}

std::string helper_options(const MountOptions& options) {
  std::string text = "fsname=" + escaped(mount_source(options));
  if (!options.subtype.empty()) text += ",subtype=" + escaped(options.subtype);
  if (options.blkdev) text += ",blkdev";
  const MountOptions defaults;
  for (const GenericFlag& flag : generic_flags) {
    const bool wanted = options.*flag.member;
    if (flag.helper == Helper::leave_out || wanted == defaults.*flag.member) continue;
    text += fmt::format(",{}", wanted ? flag.set : flag.clear);
  }
  return text + common_data(options);
}

}  // namespace mounting
}  // namespace fuselage

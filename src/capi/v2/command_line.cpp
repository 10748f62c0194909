// What programs share on their command lines: fuse_parse_cmdline, and the options of the low level.

#include <cstdlib>
#include <cstring>
#include <string_view>

#include "capi/v2/session.hpp"
#include "mount/table.hpp"

namespace fuselage::capi2 {
namespace {

enum Key { key_help, key_help_short, key_version };

struct General {
  int foreground = 0;
  int single_threaded = 0;
  int named = 0;
  char* mountpoint = nullptr;
};

const fuse_opt general_rows[] = {
    row("-d", offsetof(General, foreground)),
    row("debug", offsetof(General, foreground)),
    row("-f", offsetof(General, foreground)),
    row("-s", offsetof(General, single_threaded)),
    row("fsname=", offsetof(General, named)),
    row("subtype=", offsetof(General, named)),
    FUSE_OPT_KEY("-h", key_help),
    FUSE_OPT_KEY("--help", key_help),
    FUSE_OPT_KEY("-ho", key_help_short),
    FUSE_OPT_KEY("-V", key_version),
    FUSE_OPT_KEY("--version", key_version),
    FUSE_OPT_KEY("-d", FUSE_OPT_KEY_KEEP),
    FUSE_OPT_KEY("debug", FUSE_OPT_KEY_KEEP),
    FUSE_OPT_KEY("fsname=", FUSE_OPT_KEY_KEEP),
    FUSE_OPT_KEY("subtype=", FUSE_OPT_KEY_KEEP),
    FUSE_OPT_END,
};

int take_mountpoint(General& general, const char* arg) {
  if (general.mountpoint != nullptr) {
    complain("'{}' is one argument too many: the mount point is '{}'", arg, general.mountpoint);
    return -1;
  }
  // Without asking what is mounted there, which may be dead.
  const auto path = mounting::resolve(arg);
  if (!path) {
    complain("the mount point '{}': {}", arg, path.error().message());
    return -1;
  }
  general.mountpoint = ::strdup(path->c_str());
  return general.mountpoint != nullptr ? 0 : -1;
}

int on_general(void* data, const char* arg, int key, fuse_args* outargs) {
  switch (key) {
    case key_help:
      std::fprintf(stderr, "usage: %s MOUNTPOINT [OPTION...]\n\n", outargs->argv[0]);
      [[fallthrough]];
    case key_help_short:
      std::fputs(
          "General options:\n"
          "    -o OPTION[,OPTION...]  options of mounting and of the file system\n"
          "    -f                     stay in the foreground\n"
          "    -d, -o debug           show every request; implies -f\n"
          "    -s                     handle one request at a time\n"
          "    -h, --help             show this\n"
          "    -V, --version          show the version\n\n",
          stderr);
      return fuse_opt_add_arg(outargs, "-h");
    case key_version:
      std::fprintf(stderr, "FUSE library: fuselage %s, with the interface %d.%d\n", FUSELAGE_VERSION,
                   FUSE_MAJOR_VERSION, FUSE_MINOR_VERSION);
      return fuse_opt_add_arg(outargs, "--version");
    case FUSE_OPT_KEY_NONOPT:
      return take_mountpoint(*static_cast<General*>(data), arg);
    default:
      return 1;
  }
}

// A mount without a name is shown with that of the program.
int name_after_program(fuse_args* args) {
  const std::string_view program = args->argv[0] != nullptr ? args->argv[0] : "";
  const std::string_view name = program.substr(program.rfind('/') + 1);
  if (name.empty()) return 0;
  return fuse_opt_add_arg(args, fmt::format("-osubtype={}", name).c_str());
}

enum LowLevelKey { key_low_help, key_low_version, key_ignored };

const fuse_opt low_level_rows[] = {
    row("debug", offsetof(LowLevelOptions, debug)),
    row("-d", offsetof(LowLevelOptions, debug)),
    row("allow_root", offsetof(LowLevelOptions, allow_root)),
    row("atomic_o_trunc", offsetof(LowLevelOptions, atomic_o_trunc)),
    row("async_read", offsetof(LowLevelOptions, async_read)),
    row("sync_read", offsetof(LowLevelOptions, async_read), 0),
    row("no_remote_lock", offsetof(LowLevelOptions, no_remote_posix_lock)),
    row("no_remote_lock", offsetof(LowLevelOptions, no_remote_flock)),
    row("no_remote_posix_lock", offsetof(LowLevelOptions, no_remote_posix_lock)),
    row("no_remote_flock", offsetof(LowLevelOptions, no_remote_flock)),
    row("max_write=%u", offsetof(LowLevelOptions, max_write), 0),
    row("max_readahead=%u", offsetof(LowLevelOptions, max_readahead), 0),
    row("max_background=%u", offsetof(LowLevelOptions, max_background), 0),
    row("congestion_threshold=%u", offsetof(LowLevelOptions, congestion_threshold), 0),
    FUSE_OPT_KEY("max_read=", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("big_writes", key_ignored),
    FUSE_OPT_KEY("splice_read", key_ignored),
    FUSE_OPT_KEY("splice_write", key_ignored),
    FUSE_OPT_KEY("splice_move", key_ignored),
    FUSE_OPT_KEY("no_splice_read", key_ignored),
    FUSE_OPT_KEY("no_splice_write", key_ignored),
    FUSE_OPT_KEY("no_splice_move", key_ignored),
    FUSE_OPT_KEY("-h", key_low_help),
    FUSE_OPT_KEY("--help", key_low_help),
    FUSE_OPT_KEY("-V", key_low_version),
    FUSE_OPT_KEY("--version", key_low_version),
    FUSE_OPT_END,
};

int on_low_level(void* /*data*/, const char* arg, int key, fuse_args* /*outargs*/) {
  switch (key) {
    case key_ignored:  // writes are as large as they may be anyway, and splicing is the library's own decision
      return 0;
    case key_low_help:
      std::fputs(
          "Options of the connection (-o):\n"
          "    max_write=N            bytes in one write\n"
          "    max_readahead=N        bytes that the kernel reads ahead\n"
          "    max_background=N       requests of the kernel's own under way at once\n"
          "    congestion_threshold=N from how many on the kernel holds back\n"
          "    async_read, sync_read  several reads of one file at once (default), or one\n"
          "    atomic_o_trunc         O_TRUNC is given to open\n"
          "    no_remote_lock         locks are kept by the kernel\n"
          "    no_remote_posix_lock   ... those of fcntl(2)\n"
          "    no_remote_flock        ... those of flock(2)\n"
          "    big_writes, [no_]splice_read, [no_]splice_write, [no_]splice_move\n"
          "                           accepted, without effect\n",
          stderr);
      return -1;
    case key_low_version:
      return -1;
    default:
      complain("unknown option '{}'", arg);
      return -1;
  }
}

}  // namespace

bool parse_low_level(fuse_args* args, LowLevelOptions& options) {
  return fuse_opt_parse(args, &options, low_level_rows, on_low_level) != -1;
}

}  // namespace fuselage::capi2

using namespace fuselage::capi2;

extern "C" {

int fuse_parse_cmdline(fuse_args* args, char** mountpoint, int* multithreaded, int* foreground) {
  General general;
  if (fuse_opt_parse(args, &general, general_rows, on_general) == -1 ||
      (general.named == 0 && name_after_program(args) == -1)) {
    std::free(general.mountpoint);
    return -1;
  }
  if (mountpoint != nullptr) {
    *mountpoint = general.mountpoint;
  } else {
    std::free(general.mountpoint);
  }
  if (multithreaded != nullptr) *multithreaded = general.single_threaded != 0 ? 0 : 1;
  if (foreground != nullptr) *foreground = general.foreground;
  return 0;
}

int fuse_lowlevel_is_lib_option(const char* opt) { return fuse_opt_match(low_level_rows, opt); }

int fuse_version(void) { return FUSE_VERSION; }

}  // extern "C"

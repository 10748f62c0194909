// The options of fuse_new.
#include <signal.h>

#include <cstdlib>

#include "capi/v2/convert.hpp"
#include "capi/v2/high_level.hpp"

namespace fuselage::capi2 {
namespace {

// As the table of options fills it.
struct Raw {
  int hard_remove = 0;
  int use_ino = 0;
  int readdir_ino = 0;
  int direct_io = 0;
  int kernel_cache = 0;
  int auto_cache = 0;
  int nopath = 0;
  int intr = 0;
  int intr_signal = SIGUSR1;
  int noforget = 0;
  unsigned remember = 0;
  int has_umask = 0;
  unsigned umask = 0;
  int has_uid = 0;
  unsigned uid = 0;
  int has_gid = 0;
  unsigned gid = 0;
  double entry_timeout = 1;
  double attr_timeout = 1;
  double negative_timeout = 0;
  int has_ac_attr_timeout = 0;
  double ac_attr_timeout = 0;
  char* modules = nullptr;
};

enum Key { key_help };

const fuse_opt rows[] = {
    row("hard_remove", offsetof(Raw, hard_remove)),
    row("use_ino", offsetof(Raw, use_ino)),
    row("readdir_ino", offsetof(Raw, readdir_ino)),
    row("direct_io", offsetof(Raw, direct_io)),
    row("kernel_cache", offsetof(Raw, kernel_cache)),
    row("auto_cache", offsetof(Raw, auto_cache)),
    row("noauto_cache", offsetof(Raw, auto_cache), 0),
    row("nopath", offsetof(Raw, nopath)),
    row("intr", offsetof(Raw, intr)),
    row("intr_signal=%d", offsetof(Raw, intr_signal)),
    row("noforget", offsetof(Raw, noforget)),
    row("remember=%u", offsetof(Raw, remember)),
    row("umask=", offsetof(Raw, has_umask)),
    row("umask=%o", offsetof(Raw, umask)),
    row("uid=", offsetof(Raw, has_uid)),
    row("uid=%u", offsetof(Raw, uid)),
    row("gid=", offsetof(Raw, has_gid)),
    row("gid=%u", offsetof(Raw, gid)),
    row("entry_timeout=%lf", offsetof(Raw, entry_timeout)),
    row("attr_timeout=%lf", offsetof(Raw, attr_timeout)),
    row("negative_timeout=%lf", offsetof(Raw, negative_timeout)),
    row("ac_attr_timeout=", offsetof(Raw, has_ac_attr_timeout)),
    row("ac_attr_timeout=%lf", offsetof(Raw, ac_attr_timeout)),
    row("modules=%s", offsetof(Raw, modules)),
    FUSE_OPT_KEY("-h", key_help),
    FUSE_OPT_KEY("--help", key_help),
    FUSE_OPT_END,
};

int on_option(void* /*data*/, const char* /*arg*/, int key, fuse_args* /*outargs*/) {
  if (key != key_help) return 1;
  std::fputs(
      "Options of the file system's paths (-o):\n"
      "    hard_remove            remove open files at once instead of hiding them until they are closed\n"
      "    use_ino                the file system gives the inode numbers\n"
      "    readdir_ino            try to give inode numbers in listings\n"
      "    direct_io              do not cache file contents\n"
      "    kernel_cache           keep what is cached of a file when it is opened\n"
      "    auto_cache             the same if it has not changed meanwhile; noauto_cache: do not\n"
      "    umask=M                permissions are those that the octal M leaves\n"
      "    uid=N, gid=N           owner and group of every file\n"
      "    entry_timeout=T        seconds that a name may be believed (1)\n"
      "    negative_timeout=T     ... that there is no such name (0)\n"
      "    attr_timeout=T         ... attributes (1)\n"
      "    ac_attr_timeout=T      ... attributes, for auto_cache (as attr_timeout)\n"
      "    noforget, remember=T   keep nodes for ever, or for T seconds after the kernel forgot them\n"
      "    nopath                 do not give paths to operations on open files\n"
      "    intr, intr_signal=N    interrupt system calls of the file system along with those of its callers\n"
      "    modules=M1[:M2...]     put layers on top\n",
      stderr);
  help_of_modules();
  return 1;
}

}  // namespace

bool parse_high_level(fuse_args* args, HighLevelOptions& options) {
  Raw raw;
  const bool parsed = args == nullptr || fuse_opt_parse(args, &raw, rows, on_option) != -1;
  if (raw.modules != nullptr) options.modules = raw.modules;
  std::free(raw.modules);
  if (!parsed) return false;
  PathOptions& path = options.path;
  path.hide_removed = raw.hard_remove == 0;
  path.use_ino = raw.use_ino != 0;
  path.readdir_ino = raw.readdir_ino != 0;
  path.direct_io = raw.direct_io != 0;
  path.kernel_cache = raw.kernel_cache != 0;
  path.auto_cache = raw.auto_cache != 0;
  path.omit_paths = raw.nopath != 0;
  path.remember = raw.noforget != 0 ? PathOptions::for_ever : PathOptions::Time(std::chrono::seconds(raw.remember));
  if (raw.has_umask != 0) path.umask = raw.umask;
  if (raw.has_uid != 0) path.uid = raw.uid;
  if (raw.has_gid != 0) path.gid = raw.gid;
  path.entry_timeout = seconds(raw.entry_timeout);
  path.attr_timeout = seconds(raw.attr_timeout);
  path.negative_timeout = seconds(raw.negative_timeout);
  if (raw.has_ac_attr_timeout != 0) path.ac_attr_timeout = seconds(raw.ac_attr_timeout);
  options.interrupt_signal = raw.intr != 0 ? raw.intr_signal : 0;
  return true;
}

}  // namespace fuselage::capi2

extern "C" int fuse_is_lib_option(const char* opt) {
  using namespace fuselage::capi2;
  return fuse_lowlevel_is_lib_option(opt) != 0 || fuse_opt_match(rows, opt) != 0 || is_module_option(opt) ? 1 : 0;
}

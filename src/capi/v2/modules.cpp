// -o modules=: layers between the library and the program. Two are built in, others are libraries of their own.
#include <dlfcn.h>
#include <iconv.h>
#include <langinfo.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>

#include "capi/v2/context.hpp"
#include "capi/v2/high_api.hpp"

namespace fuselage::capi2 {
namespace {

/// A layer that changes paths on their way down, and names on their way up.
class Layer {
 public:
  explicit Layer(fuse_fs* below) noexcept : next(below) {}
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  /// 0, or a negative errno.
  virtual int down(const char* path, std::string& out) = 0;
  virtual int name_up(const char* name, std::string& out) { return out = name, 0; }
  virtual int target_down(const char* target, std::string& out) { return out = target, 0; }
  virtual int target_up(const char* /*path*/, const char* target, std::string& out) { return out = target, 0; }

  fuse_fs* const next;
};

Layer& layer() { return *static_cast<Layer*>(current().context.private_data); }

// The operation `function` of the next file system, with the path that it shall see.
template <auto function>
struct Through;
template <class... Arguments, int (*function)(fuse_fs*, const char*, Arguments...)>
struct Through<function> {
  static int call(const char* path, Arguments... arguments) {
    Layer& here = layer();
    if (path == nullptr) return function(here.next, nullptr, arguments...);
    return guarded(
        [&] {
          std::string below;
          const int failure = here.down(path, below);
          return failure != 0 ? failure : function(here.next, below.c_str(), arguments...);
        },
        -ENOMEM);
  }
};

template <int (*function)(fuse_fs*, const char*, const char*)>
int through_both(const char* from, const char* to) {
  Layer& here = layer();
  return guarded(
      [&] {
        std::string below_from;
        std::string below_to;
        int failure = here.down(from, below_from);
        if (failure == 0) failure = here.down(to, below_to);
        return failure != 0 ? failure : function(here.next, below_from.c_str(), below_to.c_str());
      },
      -ENOMEM);
}

int through_symlink(const char* target, const char* path) {
  Layer& here = layer();
  return guarded(
      [&] {
        std::string below_target;
        std::string below;
        int failure = here.target_down(target, below_target);
        if (failure == 0) failure = here.down(path, below);
        return failure != 0 ? failure : fuse_fs_symlink(here.next, below_target.c_str(), below.c_str());
      },
      -ENOMEM);
}

int through_readlink(const char* path, char* buffer, std::size_t size) {
  Layer& here = layer();
  return guarded(
      [&] {
        std::string below;
        if (const int failure = here.down(path, below); failure != 0) return failure;
        if (const int failure = fuse_fs_readlink(here.next, below.c_str(), buffer, size); failure != 0) return failure;
        std::string target;
        if (const int failure = here.target_up(below.c_str(), buffer, target); failure != 0) return failure;
        ::snprintf(buffer, size, "%s", target.c_str());
        return 0;
      },
      -ENOMEM);
}

struct Listing {
  Layer& layer;
  void* buffer;
  fuse_fill_dir_t filler;
};

int fill_up(void* data, const char* name, const struct stat* status, off_t off) noexcept try {
  const Listing& listing = *static_cast<Listing*>(data);
  std::string above;
  // A name that cannot be shown does not hide the others.
  if (listing.layer.name_up(name, above) != 0) return 0;
  return listing.filler(listing.buffer, above.c_str(), status, off);
} catch (...) {
  return 1;  // no memory; the program below does not know exceptions
}

int through_readdir(const char* path, void* buffer, fuse_fill_dir_t filler, off_t off, fuse_file_info* fi) {
  Listing listing{layer(), buffer, filler};
  fuse_fs* const next = listing.layer.next;
  if (path == nullptr) return fuse_fs_readdir(next, nullptr, &listing, fill_up, off, fi);
  return guarded(
      [&] {
        std::string below;
        const int failure = listing.layer.down(path, below);
        return failure != 0 ? failure : fuse_fs_readdir(next, below.c_str(), &listing, fill_up, off, fi);
      },
      -ENOMEM);
}

void* init_through(fuse_conn_info* conn) {
  Layer& here = layer();
  fuse_fs_init(here.next, conn);
  return &here;
}

void destroy_through(void* data) {
  auto* const here = static_cast<Layer*>(data);
  fuse_fs_destroy(here->next);
  delete here;
}

fuse_operations layer_operations() {
  fuse_operations ops{};
  ops.getattr = Through<fuse_fs_getattr>::call;
  ops.fgetattr = Through<fuse_fs_fgetattr>::call;
  ops.readlink = through_readlink;
  ops.mknod = Through<fuse_fs_mknod>::call;
  ops.mkdir = Through<fuse_fs_mkdir>::call;
  ops.unlink = Through<fuse_fs_unlink>::call;
  ops.rmdir = Through<fuse_fs_rmdir>::call;
  ops.symlink = through_symlink;
  ops.rename = through_both<fuse_fs_rename>;
  ops.link = through_both<fuse_fs_link>;
  ops.chmod = Through<fuse_fs_chmod>::call;
  ops.chown = Through<fuse_fs_chown>::call;
  ops.truncate = Through<fuse_fs_truncate>::call;
  ops.ftruncate = Through<fuse_fs_ftruncate>::call;
  ops.utimens = Through<fuse_fs_utimens>::call;
  ops.open = Through<fuse_fs_open>::call;
  ops.create = Through<fuse_fs_create>::call;
  ops.read_buf = Through<fuse_fs_read_buf>::call;
  ops.write_buf = Through<fuse_fs_write_buf>::call;
  ops.read = Through<fuse_fs_read>::call;
  ops.write = Through<fuse_fs_write>::call;
  ops.statfs = Through<fuse_fs_statfs>::call;
  ops.flush = Through<fuse_fs_flush>::call;
  ops.release = Through<fuse_fs_release>::call;
  ops.fsync = Through<fuse_fs_fsync>::call;
  ops.setxattr = Through<fuse_fs_setxattr>::call;
  ops.getxattr = Through<fuse_fs_getxattr>::call;
  ops.listxattr = Through<fuse_fs_listxattr>::call;
  ops.removexattr = Through<fuse_fs_removexattr>::call;
  ops.opendir = Through<fuse_fs_opendir>::call;
  ops.readdir = through_readdir;
  ops.releasedir = Through<fuse_fs_releasedir>::call;
  ops.fsyncdir = Through<fuse_fs_fsyncdir>::call;
  ops.access = Through<fuse_fs_access>::call;
  ops.lock = Through<fuse_fs_lock>::call;
  ops.flock = Through<fuse_fs_flock>::call;
  ops.bmap = Through<fuse_fs_bmap>::call;
  ops.ioctl = Through<fuse_fs_ioctl>::call;
  ops.poll = Through<fuse_fs_poll>::call;
  ops.fallocate = Through<fuse_fs_fallocate>::call;
  ops.init = init_through;
  ops.destroy = destroy_through;
  ops.flag_nullpath_ok = ops.flag_nopath = ops.flag_utime_omit_ok = 1;
  return ops;
}

// What is missing below is missing above: the kernel does by itself what nobody wants to do.
void take_away_missing(fuse_operations& ops, const fuse_fs& below) {
  const fuse_operations& has = below.ops;
  const auto keep = [](auto& operation, bool is_there) {
    if (!is_there) operation = nullptr;
  };
  keep(ops.create, has.create), keep(ops.flush, has.flush), keep(ops.fsync, has.fsync);
  keep(ops.fsyncdir, has.fsyncdir), keep(ops.setxattr, has.setxattr), keep(ops.getxattr, has.getxattr);
  keep(ops.listxattr, has.listxattr), keep(ops.removexattr, has.removexattr), keep(ops.access, has.access);
  keep(ops.lock, has.lock), keep(ops.flock, has.flock), keep(ops.bmap, has.bmap), keep(ops.ioctl, has.ioctl);
  keep(ops.poll, has.poll), keep(ops.fallocate, has.fallocate), keep(ops.readdir, has.readdir || has.getdir);
  keep(ops.read_buf, has.read_buf), keep(ops.write_buf, has.write_buf);
}

fuse_fs* new_layer(Layer* layer) {
  fuse_operations ops = layer_operations();
  take_away_missing(ops, *layer->next);
  return new_fs(&ops, sizeof ops, layer, 29);
}

// Takes away the components that two paths begin with alike.
void skip_common(std::string_view& a, std::string_view& b) {
  for (;;) {
    for (std::string_view* path : {&a, &b}) path->remove_prefix(std::min(path->find_first_not_of('/'), path->size()));
    const std::string_view first = a.substr(0, a.find('/'));
    if (first.empty() || first != b.substr(0, b.find('/'))) return;
    a.remove_prefix(first.size());
    b.remove_prefix(first.size());
  }
}

/// `subdir`: the mount shows a directory of the file system.
class Subdir final : public Layer {
 public:
  Subdir(fuse_fs* below, std::string base, bool relative_links)
      : Layer(below), base_(std::move(base)), relative_links_(relative_links) {}

  int down(const char* path, std::string& out) override {
    out = base_;
    out += path[0] == '/' && (path[1] != '\0' || base_.empty()) ? path : "";
    return 0;
  }
  // A link to somewhere below the directory leads there from where the link lies. Others are left as they are.
  int target_up(const char* path, const char* target, std::string& out) override {
    out = target;
    if (!relative_links_ || target[0] != '/') return 0;
    std::string_view from(path);
    std::string_view to(target);
    skip_common(from, to);
    if (out.size() - to.size() <= base_.size() || from.empty()) return 0;
    std::string up;
    for (const char letter : from) up += letter == '/' ? "../" : "";
    out = up + std::string(to);
    if (out.empty()) out = ".";
    return 0;
  }

 private:
  const std::string base_;  ///< Without a slash at its end.
  const bool relative_links_;
};

/// `iconv`: names in another character set.
class Iconv final : public Layer {
 public:
  Iconv(fuse_fs* below, iconv_t down, iconv_t up) : Layer(below), down_(down), up_(up) {}
  ~Iconv() override {
    ::iconv_close(down_);
    ::iconv_close(up_);
  }

  int down(const char* path, std::string& out) override { return convert(down_, path, out); }
  int name_up(const char* name, std::string& out) override { return convert(up_, name, out); }
  int target_down(const char* target, std::string& out) override { return convert(down_, target, out); }
  int target_up(const char* /*path*/, const char* target, std::string& out) override {
    return convert(up_, target, out);
  }

 private:
  int convert(iconv_t how, const char* text, std::string& out) {
    const std::lock_guard lock(mutex_);
    ::iconv(how, nullptr, nullptr, nullptr, nullptr);
    char* in = const_cast<char*>(text);
    std::size_t left = std::strlen(text);
    out.clear();
    while (left > 0) {
      char piece[256];
      char* to = piece;
      std::size_t room = sizeof piece;
      const std::size_t converted = ::iconv(how, &in, &left, &to, &room);
      const int failure = errno;
      out.append(piece, static_cast<std::size_t>(to - piece));
      if (converted == static_cast<std::size_t>(-1) && failure != E2BIG) return failure == EILSEQ ? -EILSEQ : -EINVAL;
    }
    return 0;
  }

  std::mutex mutex_;
  iconv_t down_;
  iconv_t up_;
};

struct ModuleOptions {
  char* subdir = nullptr;
  int relative_links = 0;
  char* from_code = nullptr;
  char* to_code = nullptr;
  ~ModuleOptions() {
    std::free(subdir);
    std::free(from_code);
    std::free(to_code);
  }
};

const fuse_opt subdir_rows[] = {
    row("subdir=%s", offsetof(ModuleOptions, subdir), 0),
    row("rellinks", offsetof(ModuleOptions, relative_links)),
    row("norellinks", offsetof(ModuleOptions, relative_links), 0),
    FUSE_OPT_END,
};

const fuse_opt iconv_rows[] = {
    row("from_code=%s", offsetof(ModuleOptions, from_code), 0),
    row("to_code=%s", offsetof(ModuleOptions, to_code), 0),
    FUSE_OPT_END,
};

fuse_fs* make_subdir(fuse_args* args, fuse_fs* fs[]) {
  ModuleOptions options;
  if (fuse_opt_parse(args, &options, subdir_rows, nullptr) == -1) return nullptr;
  if (fs[0] == nullptr || fs[1] != nullptr || options.subdir == nullptr) {
    complain("the module subdir needs the option 'subdir=DIR', and stands on one file system");
    return nullptr;
  }
  std::string base(options.subdir);
  while (!base.empty() && base.back() == '/') base.pop_back();
  if (!base.empty() && base.front() != '/') base.insert(0, "/");
  return new_layer(new Subdir(fs[0], std::move(base), options.relative_links != 0));
}

fuse_fs* make_iconv(fuse_args* args, fuse_fs* fs[]) {
  ModuleOptions options;
  if (fuse_opt_parse(args, &options, iconv_rows, nullptr) == -1) return nullptr;
  if (fs[0] == nullptr || fs[1] != nullptr) {
    complain("the module iconv stands on one file system");
    return nullptr;
  }
  std::string locale;
  if (options.to_code == nullptr) {
    const char* const before = ::setlocale(LC_CTYPE, nullptr);
    const std::string old = before != nullptr ? before : "C";
    ::setlocale(LC_CTYPE, "");
    locale = ::nl_langinfo(CODESET);
    ::setlocale(LC_CTYPE, old.c_str());
  }
  const char* const below = options.from_code != nullptr ? options.from_code : "UTF-8";
  const char* const above = options.to_code != nullptr ? options.to_code : locale.c_str();
  const iconv_t down = ::iconv_open(below, above);
  const iconv_t up = ::iconv_open(above, below);
  if (down == iconv_t(-1) || up == iconv_t(-1)) {
    complain("the module iconv cannot convert between '{}' and '{}'", below, above);
    if (down != iconv_t(-1)) ::iconv_close(down);
    if (up != iconv_t(-1)) ::iconv_close(up);
    return nullptr;
  }
  return new_layer(new Iconv(fs[0], down, up));
}

std::mutex registry_mutex;
fuse_module iconv_module = {"iconv", make_iconv, nullptr, nullptr, 0};
fuse_module subdir_module = {"subdir", make_subdir, &iconv_module, nullptr, 0};
fuse_module* registry = &subdir_module;  // guarded by registry_mutex

fuse_module* find_module(std::string_view name) {
  const std::lock_guard lock(registry_mutex);
  for (fuse_module* module = registry; module != nullptr; module = module->next) {
    if (module->name == name) return module;
  }
  return nullptr;
}

// libfusemod_NAME.so either registers its module when it is loaded, or has it under a name of its own.
fuse_module* load_module(const std::string& name) {
  void* const library = ::dlopen(fmt::format("libfusemod_{}.so", name).c_str(), RTLD_NOW);
  if (library == nullptr) {
    complain("there is no module '{}': {}", name, ::dlerror());
    return nullptr;
  }
  if (fuse_module* const registered = find_module(name)) return registered;
  auto* const module = static_cast<fuse_module*>(::dlsym(library, fmt::format("fuse_fusemod_{}_module", name).c_str()));
  if (module == nullptr) {
    complain("the library of the module '{}' has no such module in it", name);
    ::dlclose(library);
    return nullptr;
  }
  fuse_register_module(module);
  return module;
}

}  // namespace

fuse_fs* push_module(const char* name, fuse_args* args, fuse_fs* below) {
  fuse_module* module = find_module(name);
  if (module == nullptr) module = load_module(name);
  fuse_fs* stack[2] = {below, nullptr};
  const fuse_operations flags = below->ops;
  fuse_fs* const fs = module != nullptr ? module->factory(args, stack) : nullptr;
  if (fs == nullptr) {
    discard(below);
    return nullptr;
  }
  fs->ops.flag_nullpath_ok &= flags.flag_nullpath_ok;
  fs->ops.flag_nopath &= flags.flag_nopath;
  fs->ops.flag_utime_omit_ok &= flags.flag_utime_omit_ok;
  return fs;
}

void help_of_modules() {
  std::fputs(
      "Module subdir:\n"
      "    subdir=DIR             show this directory\n"
      "    rellinks, norellinks   make absolute links relative, or do not\n"
      "Module iconv:\n"
      "    from_code=CHARSET      of the names below (UTF-8)\n"
      "    to_code=CHARSET        of the names as they are shown (that of the locale)\n",
      stderr);
}

bool is_module_option(const char* option) {
  return fuse_opt_match(subdir_rows, option) != 0 || fuse_opt_match(iconv_rows, option) != 0;
}

}  // namespace fuselage::capi2

extern "C" void fuse_register_module(fuse_module* mod) {
  using namespace fuselage::capi2;
  const std::lock_guard lock(registry_mutex);
  mod->next = registry;
  registry = mod;
}

// cuse_lowlevel_*: sessions of the low level that serve a character device.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "capi/v2/compat.hpp"
#include "capi/v2/low_level.hpp"

// With the choices of api.hpp.
#include <cuse_lowlevel.h>

namespace fuselage::capi2 {
namespace {

constexpr const char* device_path = "/dev/cuse";

class DeviceSession final : public LowLevel {
 public:
  DeviceSession(const LowLevelOptions& options, const cuse_info& info, const cuse_lowlevel_ops& ops, void* user_data)
      : LowLevel(options, without_inodes(ops), user_data), ops_(ops) {
    CharacterDevice device;
    device.information.assign(info.dev_info_argv, info.dev_info_argv + info.dev_info_argc);
    device.major = info.dev_major;
    device.minor = info.dev_minor;
    device.unrestricted_ioctl = (info.flags & CUSE_UNRESTRICTED_IOCTL) != 0;
    device.announced = [this] {
      if (ops_.init_done != nullptr) ops_.init_done(this->user_data());
    };
    serve_device(std::move(device));
  }
  ~DeviceSession() override { end(); }

 private:
  static const cuse_lowlevel_ops& ops_of(fuse_req_t request) {
    return static_cast<DeviceSession*>(request->session)->ops_;
  }
  static fuse_lowlevel_ops without_inodes(const cuse_lowlevel_ops& ops);

  const cuse_lowlevel_ops ops_;
};

// The same operations; their inode is always 0.
fuse_lowlevel_ops DeviceSession::without_inodes(const cuse_lowlevel_ops& ops) {
  fuse_lowlevel_ops low{};
  low.init = ops.init;
  low.destroy = ops.destroy;
  if (ops.open != nullptr) {
    low.open = [](fuse_req_t req, fuse_ino_t, fuse_file_info* fi) { ops_of(req).open(req, fi); };
  }
  if (ops.read != nullptr) {
    low.read = [](fuse_req_t req, fuse_ino_t, size_t size, off_t off, fuse_file_info* fi) {
      ops_of(req).read(req, size, off, fi);
    };
  }
  if (ops.write != nullptr) {
    low.write = [](fuse_req_t req, fuse_ino_t, const char* buf, size_t size, off_t off, fuse_file_info* fi) {
      ops_of(req).write(req, buf, size, off, fi);
    };
  }
  if (ops.flush != nullptr) {
    low.flush = [](fuse_req_t req, fuse_ino_t, fuse_file_info* fi) { ops_of(req).flush(req, fi); };
  }
  if (ops.release != nullptr) {
    low.release = [](fuse_req_t req, fuse_ino_t, fuse_file_info* fi) { ops_of(req).release(req, fi); };
  }
  if (ops.fsync != nullptr) {
    low.fsync = [](fuse_req_t req, fuse_ino_t, int data_only, fuse_file_info* fi) {
      ops_of(req).fsync(req, data_only, fi);
    };
  }
  if (ops.ioctl != nullptr) {
    low.ioctl = [](fuse_req_t req, fuse_ino_t, int cmd, void* arg, fuse_file_info* fi, unsigned flags, const void* in,
                   size_t in_size,
                   size_t out_size) { ops_of(req).ioctl(req, cmd, arg, fi, flags, in, in_size, out_size); };
  }
  if (ops.poll != nullptr) {
    low.poll = [](fuse_req_t req, fuse_ino_t, fuse_file_info* fi, fuse_pollhandle* ph) {
      ops_of(req).poll(req, fi, ph);
    };
  }
  return low;
}

bool fits(const cuse_info& info) {
  constexpr std::size_t most = 4096;  // CUSE_INIT_INFO_MAX of the kernel
  std::size_t size = 0;
  for (unsigned i = 0; i < info.dev_info_argc; ++i) size += std::strlen(info.dev_info_argv[i]) + 1;
  if (size > most) complain("the information about the device takes {} bytes, {} are the most", size, most);
  return size <= most;
}

fuse_session* new_device(fuse_args* args, const cuse_info& info, const cuse_lowlevel_ops& ops, void* user_data) {
  LowLevelOptions options;
  if ((args != nullptr && !parse_low_level(args, options)) || !fits(info)) return nullptr;
  return new DeviceSession(options, info, ops, user_data);
}

bool open_device(fuse_session& session) {
  const int fd = ::open(device_path, O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    const int error = errno;
    const bool missing = error == ENOENT || error == ENODEV || error == ENXIO;
    complain("{}: {}{}", device_path, std::strerror(error),
             missing ? " (the kernel's module is not there: modprobe cuse)" : "");
    return false;
  }
  fuse_session_add_chan(&session, kernel_channel(fd));
  return true;
}

fuse_session* set_up_device(fuse_args& args, const cuse_info& info, const cuse_lowlevel_ops& ops, int* multithreaded,
                            void* user_data) {
  // What a mount would be called has no meaning here.
  static const fuse_opt discarded[] = {FUSE_OPT_KEY("subtype=", FUSE_OPT_KEY_DISCARD), FUSE_OPT_END};
  int foreground = 0;
  if (fuse_parse_cmdline(&args, nullptr, multithreaded, &foreground) == -1 ||
      fuse_opt_parse(&args, nullptr, discarded, nullptr) == -1) {
    return nullptr;
  }
  fuse_session* const session = new_device(&args, info, ops, user_data);
  if (session == nullptr) return nullptr;
  if (open_device(*session) && fuse_set_signal_handlers(session) == 0) {
    if (fuse_daemonize(foreground) == 0) return session;
    fuse_remove_signal_handlers(session);
  }
  fuse_session_destroy(session);
  return nullptr;
}

}  // namespace
}  // namespace fuselage::capi2

using namespace fuselage::capi2;

extern "C" {

fuse_session* cuse_lowlevel_new(fuse_args* args, const cuse_info* ci, const cuse_lowlevel_ops* clop, void* userdata) {
  return guarded([&] { return new_device(args, *ci, *clop, userdata); }, static_cast<fuse_session*>(nullptr));
}

fuse_session* cuse_lowlevel_setup(int argc, char* argv[], const cuse_info* ci, const cuse_lowlevel_ops* clop,
                                  int* multithreaded, void* userdata) {
  fuse_args args = FUSE_ARGS_INIT(argc, argv);
  fuse_session* const session = guarded([&] { return set_up_device(args, *ci, *clop, multithreaded, userdata); },
                                        static_cast<fuse_session*>(nullptr));
  fuse_opt_free_args(&args);
  return session;
}

void cuse_lowlevel_teardown(fuse_session* se) {
  fuse_remove_signal_handlers(se);
  fuse_session_destroy(se);
}

int cuse_lowlevel_main(int argc, char* argv[], const cuse_info* ci, const cuse_lowlevel_ops* clop, void* userdata) {
  int multithreaded = 1;
  fuse_session* const session = cuse_lowlevel_setup(argc, argv, ci, clop, &multithreaded, userdata);
  if (session == nullptr) return 1;
  const int result = multithreaded != 0 ? fuse_session_loop_mt(session) : fuse_session_loop(session);
  cuse_lowlevel_teardown(session);
  return result == -1 ? 1 : 0;
}

}  // extern "C"

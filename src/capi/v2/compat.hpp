// The structures of older interfaces, and how their functions get the version under which old programs look for them.
#pragma once

#include <sys/statfs.h>

#include "capi/v2/api.hpp"

// `name@version`, for `function` of the same source file.
#define FUSELAGE_OLD_VERSION(function, name, version) __asm__(".symver " #function "," #name "@" version);

extern "C" {
struct fuse_file_info_compat {
  int flags;
  unsigned long fh;
  int writepage;
  unsigned int direct_io : 1;
  unsigned int keep_cache : 1;

  fuse_file_info current() const {
    fuse_file_info info{};
    info.flags = flags;
    info.fh = info.fh_old = fh;
    info.direct_io = direct_io;
    info.keep_cache = keep_cache;
    return info;
  }
};

struct fuse_chan_ops_compat24 {
  int (*receive)(fuse_chan* ch, char* buf, size_t size);
  int (*send)(fuse_chan* ch, const iovec iov[], size_t count);
  void (*destroy)(fuse_chan* ch);
};
}

namespace fuselage::capi2 {

/// An argument list of nothing but the options in `opts`, which may be null.
class OldArguments {
 public:
  explicit OldArguments(const char* opts);
  OldArguments(const OldArguments&) = delete;
  OldArguments& operator=(const OldArguments&) = delete;
  ~OldArguments() { fuse_opt_free_args(&args_); }

  fuse_args* get() noexcept { return &args_; }

 private:
  fuse_args args_ = FUSE_ARGS_INIT(0, nullptr);
};

/// Mounts, and gives a descriptor of the device that belongs to the caller; -1 after a message.
int mount_descriptor(const char* mountpoint, fuse_args* args);

/// A channel over a descriptor of /dev/fuse, which it closes.
fuse_chan* kernel_channel(int fd);

inline struct statvfs current(const struct statfs& status) {
  struct statvfs out {};
  out.f_bsize = static_cast<unsigned long>(status.f_bsize);
  out.f_frsize = static_cast<unsigned long>(status.f_bsize);
  out.f_blocks = status.f_blocks;
  out.f_bfree = status.f_bfree;
  out.f_bavail = status.f_bavail;
  out.f_files = status.f_files;
  out.f_ffree = status.f_ffree;
  out.f_namemax = static_cast<unsigned long>(status.f_namelen);
  return out;
}

}  // namespace fuselage::capi2

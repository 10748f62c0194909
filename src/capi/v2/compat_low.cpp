// What programs linked long ago still call, of the low level and of mounting.
#include <fcntl.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "capi/v2/compat.hpp"
#include "capi/v2/dirents.hpp"
#include "capi/v2/low_level.hpp"
#include "capi/v2/mounting.hpp"

namespace fuselage::capi2 {

OldArguments::OldArguments(const char* opts) {
  fuse_opt_add_arg(&args_, "");
  if (opts == nullptr) return;
  fuse_opt_add_arg(&args_, "-o");
  fuse_opt_add_arg(&args_, opts);
}

int mount_descriptor(const char* mountpoint, fuse_args* args) {
  fuse_chan* const channel = fuse_mount(mountpoint, args);
  if (channel == nullptr) return -1;
  // The mount stays; the program unmounts by path.
  const int descriptor = ::fcntl(channel->fd, F_DUPFD_CLOEXEC, 0);
  destroy(channel);
  return descriptor;
}

fuse_chan* kernel_channel(int fd) {
  auto* const channel = new fuse_chan;
  channel->fd = fd;
  channel->buffer_size = kernel_buffer;
  return channel;
}

namespace {

int receive_24(fuse_chan** chp, char* buf, size_t size) { return (*chp)->receive_24(*chp, buf, size); }

}  // namespace
}  // namespace fuselage::capi2

using namespace fuselage::capi2;

extern "C" {

fuse_session* fuse_lowlevel_new_compat25(fuse_args* args, const void* op, size_t op_size, void* userdata) {
  return new_low_level(args, op, op_size, userdata);
}

// Handlers of this age get the beginning of fuse_file_info, which has not changed: fh_old is what they call fh.
fuse_session* fuse_lowlevel_new_compat(const char* opts, const void* op, size_t op_size, void* userdata) {
  OldArguments arguments(opts);
  return new_low_level(arguments.get(), op, op_size, userdata);
}

int fuse_reply_open_compat(fuse_req_t req, const fuse_file_info_compat* fi) {
  const fuse_file_info info = fi->current();
  return fuse_reply_open(req, &info);
}

int fuse_reply_statfs_compat(fuse_req_t req, const struct statfs* stbuf) {
  const struct statvfs status = current(*stbuf);
  return fuse_reply_statfs(req, &status);
}

size_t fuse_dirent_size(size_t namelen) { return dirent_size(namelen); }

char* fuse_add_dirent(char* buf, const char* name, const struct stat* stbuf, off_t off) {
  const std::size_t size = dirent_size(std::strlen(name));
  fuse_add_direntry(nullptr, buf, size, name, stbuf, off);
  return buf + size;
}

fuse_chan* fuse_chan_new_compat24(fuse_chan_ops_compat24* op, int fd, size_t bufsize, void* data) {
  fuse_chan_ops ops = {receive_24, op->send, op->destroy};
  fuse_chan* const channel = fuse_chan_new(&ops, fd, bufsize, data);
  if (channel != nullptr) channel->receive_24 = op->receive;
  return channel;
}

int fuse_chan_receive(fuse_chan* ch, char* buf, size_t size) {
  fuse_chan* from = ch;
  const int received = fuse_chan_recv(&from, buf, size);
  if (received >= 0) return received;
  return received == -EINTR || received == -EAGAIN ? 0 : -1;
}

fuse_chan* fuse_kern_chan_new(int fd) {
  return guarded([&] { return kernel_channel(fd); }, static_cast<fuse_chan*>(nullptr));
}

int fuse_mount_compat25(const char* mountpoint, fuse_args* args) {
  return guarded([&] { return mount_descriptor(mountpoint, args); }, -1);
}

int fuse_mount_compat22(const char* mountpoint, const char* opts) {
  OldArguments arguments(opts);
  return fuse_mount_compat25(mountpoint, arguments.get());
}

// The options were an argument list of fusermount, and are taken for granted.
int fuse_mount_compat1(const char* mountpoint, const char* /*args*/[]) {
  return fuse_mount_compat22(mountpoint, nullptr);
}

// What they answer, and take, has only grown at its end.
const fuse_ctx* fuse_req_ctx_compat24(fuse_req_t req) { return fuse_req_ctx(req); }
int fuse_opt_insert_arg_compat(fuse_args* args, int pos, const char* arg) {
  return fuse_opt_insert_arg(args, pos, arg);
}

void fuse_unmount_compat22(const char* mountpoint) { fuse_unmount(mountpoint, nullptr); }

}  // extern "C"

FUSELAGE_OLD_VERSION(fuse_lowlevel_new_compat25, fuse_lowlevel_new, "FUSE_2.5")
FUSELAGE_OLD_VERSION(fuse_lowlevel_new_compat, fuse_lowlevel_new, "FUSE_2.4")
FUSELAGE_OLD_VERSION(fuse_reply_open_compat, fuse_reply_open, "FUSE_2.4")
FUSELAGE_OLD_VERSION(fuse_reply_statfs_compat, fuse_reply_statfs, "FUSE_2.4")
FUSELAGE_OLD_VERSION(fuse_chan_new_compat24, fuse_chan_new, "FUSE_2.4")
FUSELAGE_OLD_VERSION(fuse_mount_compat25, fuse_mount, "FUSE_2.5")
FUSELAGE_OLD_VERSION(fuse_mount_compat22, fuse_mount, "FUSE_2.2")
FUSELAGE_OLD_VERSION(fuse_unmount_compat22, fuse_unmount, "FUSE_2.2")
FUSELAGE_OLD_VERSION(fuse_req_ctx_compat24, fuse_req_ctx, "FUSE_2.4")
FUSELAGE_OLD_VERSION(fuse_opt_insert_arg_compat, fuse_opt_insert_arg, "FUSE_2.5")

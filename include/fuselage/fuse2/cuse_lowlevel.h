/* Character devices in programs (CUSE): the low level's requests, about /dev/NAME instead of a mount.
 *
 * Part of the C interface of FUSE 2.9. C90, C++98 and later. */
#ifndef FUSELAGE_CUSE2_LOWLEVEL_H
#define FUSELAGE_CUSE2_LOWLEVEL_H

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 29
#endif

#include <fuse_lowlevel.h>
#include <fuse_opt.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* flags of cuse_info: ioctl() may ask for any part of its caller's memory by fuse_reply_ioctl_retry(). Without it the
 * kernel brings what the command's number says. */
#define CUSE_UNRESTRICTED_IOCTL (1 << 0)

struct fuse_session;

/* What device it is. Used during the call only. */
struct cuse_info {
  unsigned dev_major; /* 0: the kernel finds a number */
  unsigned dev_minor;
  unsigned dev_info_argc;     /* how many strings */
  const char** dev_info_argv; /* what its uevent says, "KEY=VALUE": "DEVNAME=name" is needed */
  unsigned flags;
};

/* What it can do: as the members of fuse_lowlevel_ops with these names, but there is no inode. All are optional. */
struct cuse_lowlevel_ops {
  void (*init)(void* userdata, struct fuse_conn_info* conn);
  void (*init_done)(void* userdata); /* the kernel has been told everything: /dev/NAME is about to appear */
  void (*destroy)(void* userdata);
  void (*open)(fuse_req_t req, struct fuse_file_info* fi);
  void (*read)(fuse_req_t req, size_t size, off_t off, struct fuse_file_info* fi);
  void (*write)(fuse_req_t req, const char* buf, size_t size, off_t off, struct fuse_file_info* fi);
  void (*flush)(fuse_req_t req, struct fuse_file_info* fi);
  void (*release)(fuse_req_t req, struct fuse_file_info* fi);
  void (*fsync)(fuse_req_t req, int datasync, struct fuse_file_info* fi);
  void (*ioctl)(fuse_req_t req, int cmd, void* arg, struct fuse_file_info* fi, unsigned int flags, const void* in_buf,
                size_t in_bufsz, size_t out_bufsz);
  void (*poll)(fuse_req_t req, struct fuse_file_info* fi, struct fuse_pollhandle* ph);
};

/* A session without a channel. NULL after a message: an unknown option, or too much information. */
struct fuse_session* cuse_lowlevel_new(struct fuse_args* args, const struct cuse_info* ci,
                                       const struct cuse_lowlevel_ops* clop, void* userdata);

/* Takes the options of a whole program (-f, -d, -s, ...), opens /dev/cuse, handles signals and goes into the
 * background. *multithreaded: which loop to call. NULL after a message; a missing /dev/cuse is such a reason. */
struct fuse_session* cuse_lowlevel_setup(int argc, char* argv[], const struct cuse_info* ci,
                                         const struct cuse_lowlevel_ops* clop, int* multithreaded, void* userdata);

/* Undoes it; the device disappears. */
void cuse_lowlevel_teardown(struct fuse_session* se);

/* All of it: 0, or 1 if it could not begin or go on. */
int cuse_lowlevel_main(int argc, char* argv[], const struct cuse_info* ci, const struct cuse_lowlevel_ops* clop,
                       void* userdata);

#ifdef __cplusplus
}
#endif

#endif

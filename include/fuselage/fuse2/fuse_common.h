/* What the high level (fuse.h) and the low level (fuse_lowlevel.h) share. Include one of those, not this.
 *
 * Part of the C interface of FUSE 2.9. C90, C++98 and later. */
#ifndef FUSELAGE_FUSE2_COMMON_H
#define FUSELAGE_FUSE2_COMMON_H

#if !defined(FUSELAGE_FUSE2_H) && !defined(FUSELAGE_FUSE2_LOWLEVEL_H)
#error "include <fuse.h> or <fuse_lowlevel.h>"
#endif
#if !defined(_FILE_OFFSET_BITS) || _FILE_OFFSET_BITS != 64
#error "compile with -D_FILE_OFFSET_BITS=64"
#endif

#include <fuse_opt.h>
#include <stdint.h>
#include <sys/types.h>

#define FUSE_MAJOR_VERSION 2
#define FUSE_MINOR_VERSION 9
#define FUSE_MAKE_VERSION(maj, min) ((maj)*10 + (min))
#define FUSE_VERSION FUSE_MAKE_VERSION(FUSE_MAJOR_VERSION, FUSE_MINOR_VERSION)

#ifdef __cplusplus
extern "C" {
#endif

/* An open file, as open() and create() answer it and later operations get it back. */
struct fuse_file_info {
  int flags;                      /* those of open(2); in open, create, read, write and release */
  unsigned long fh_old;           /* the low bits of fh, for old programs */
  int writepage;                  /* in write: nonzero if it comes from the page cache, after the fact */
  unsigned int direct_io : 1;     /* out: bypass the page cache for this open file */
  unsigned int keep_cache : 1;    /* out: what is cached of the file is still right */
  unsigned int flush : 1;         /* in release (high level): a flush is due too */
  unsigned int nonseekable : 1;   /* out: lseek(2) makes no sense here */
  unsigned int flock_release : 1; /* in release: drop the flock of lock_owner */
  unsigned int padding : 27;
  uint64_t fh;         /* out: whatever the file system likes */
  uint64_t lock_owner; /* in flush, release, and the lock operations */
};

/* fuse_conn_info.capable and .want */
#define FUSE_CAP_ASYNC_READ (1 << 0)     /* several reads of one file at once */
#define FUSE_CAP_POSIX_LOCKS (1 << 1)    /* fcntl(2) locks reach the file system */
#define FUSE_CAP_ATOMIC_O_TRUNC (1 << 3) /* O_TRUNC reaches open() */
#define FUSE_CAP_EXPORT_SUPPORT (1 << 4) /* lookups of "." and ".." are answered */
#define FUSE_CAP_BIG_WRITES (1 << 5)     /* writes of more than a page */
#define FUSE_CAP_DONT_MASK (1 << 6)      /* the umask is left to the file system */
#define FUSE_CAP_SPLICE_WRITE (1 << 7)
#define FUSE_CAP_SPLICE_MOVE (1 << 8)
#define FUSE_CAP_SPLICE_READ (1 << 9)
#define FUSE_CAP_FLOCK_LOCKS (1 << 10) /* flock(2) locks reach the file system */
#define FUSE_CAP_IOCTL_DIR (1 << 11)   /* ioctl(2) of directories too */

/* Flags of ioctl() */
#define FUSE_IOCTL_COMPAT (1 << 0)
#define FUSE_IOCTL_UNRESTRICTED (1 << 1)
#define FUSE_IOCTL_RETRY (1 << 2)
#define FUSE_IOCTL_DIR (1 << 4)
#define FUSE_IOCTL_MAX_IOV 256

/* The agreement with the kernel; init() may change what is not marked [in]. */
struct fuse_conn_info {
  unsigned proto_major;          /* [in] */
  unsigned proto_minor;          /* [in] */
  unsigned async_read;           /* several reads of one file at once */
  unsigned max_write;            /* bytes in one write */
  unsigned max_readahead;        /* bytes */
  unsigned capable;              /* [in] FUSE_CAP_*: what the kernel offers */
  unsigned want;                 /* FUSE_CAP_*: what shall be used */
  unsigned max_background;       /* read-ahead and other requests of the kernel's own under way at once */
  unsigned congestion_threshold; /* from how many on the kernel holds back */
  unsigned reserved[23];
};

struct fuse_session;
struct fuse_chan;
struct fuse_pollhandle;

/* Mounts at `mountpoint` as the -o options in `args` say, and takes those out. The channel, or NULL with a message on
 * stderr. */
struct fuse_chan* fuse_mount(const char* mountpoint, struct fuse_args* args);

/* Unmounts (if `mountpoint` is not NULL and it is still mounted) and destroys the channel. */
void fuse_unmount(const char* mountpoint, struct fuse_chan* ch);

/* Takes -f, -d, -s, -h, -V, their -o forms and the mount point out of `args`. Each result may be NULL; *mountpoint is
 * from malloc(3), and NULL if none was given. 0, or -1: a mistake, or help or version was asked for and printed. */
int fuse_parse_cmdline(struct fuse_args* args, char** mountpoint, int* multithreaded, int* foreground);

/* Goes into the background unless `foreground`. 0, or -1. */
int fuse_daemonize(int foreground);

/* FUSE_VERSION of the library. */
int fuse_version(void);

void fuse_pollhandle_destroy(struct fuse_pollhandle* ph);

/* What a fuse_buf is */
enum fuse_buf_flags {
  FUSE_BUF_IS_FD = (1 << 1),   /* fd counts, else mem */
  FUSE_BUF_FD_SEEK = (1 << 2), /* at pos, else at the descriptor's own offset */
  FUSE_BUF_FD_RETRY = (1 << 3) /* go on after a short transfer until size or the end is reached */
};

/* How fuse_buf_copy shall copy */
enum fuse_buf_copy_flags {
  FUSE_BUF_NO_SPLICE = (1 << 1),
  FUSE_BUF_FORCE_SPLICE = (1 << 2), /* EINVAL where splice(2) is not possible */
  FUSE_BUF_SPLICE_MOVE = (1 << 3),
  FUSE_BUF_SPLICE_NONBLOCK = (1 << 4)
};

/* `size` bytes of memory or of a file. */
struct fuse_buf {
  size_t size;
  enum fuse_buf_flags flags;
  void* mem;
  int fd;
  off_t pos;
};

/* A sequence of them, and how far it has been worked off. */
struct fuse_bufvec {
  size_t count;
  size_t idx; /* the current element of buf */
  size_t off; /* the offset in it */
  struct fuse_buf buf[1];
};

#define FUSE_BUFVEC_INIT(size__) \
  (__extension__(struct fuse_bufvec){1, 0, 0, {{(size__), (enum fuse_buf_flags)0, NULL, -1, 0}}})

/* How many bytes there are in all elements; SIZE_MAX where that is more than a size_t holds. */
size_t fuse_buf_size(const struct fuse_bufvec* bufv);

/* Copies until either side is at its end; both know afterwards how far they came. How many bytes were copied, or -errno
 * if that is 0. */
ssize_t fuse_buf_copy(struct fuse_bufvec* dst, struct fuse_bufvec* src, enum fuse_buf_copy_flags flags);

/* Lets SIGHUP, SIGINT and SIGTERM, where nobody handles or ignores them, end the loop of `se`, and ignores SIGPIPE. One
 * session of the process at a time. 0, or -1. */
int fuse_set_signal_handlers(struct fuse_session* se);
void fuse_remove_signal_handlers(struct fuse_session* se);

/* {{{ programs written for older interfaces */
#if FUSE_USE_VERSION < 26
#undef FUSE_MINOR_VERSION
#if FUSE_USE_VERSION == 25
#define FUSE_MINOR_VERSION 5
#define fuse_mount fuse_mount_compat25
#elif FUSE_USE_VERSION == 24 || FUSE_USE_VERSION == 22
#define FUSE_MINOR_VERSION 4
#define fuse_mount fuse_mount_compat22
#elif FUSE_USE_VERSION == 21
#define FUSE_MINOR_VERSION 1
#define fuse_mount fuse_mount_compat22
#else
#error "FUSE_USE_VERSION must be 21, 22, 24 (low level), or 25 and above"
#endif
#define fuse_unmount fuse_unmount_compat22

struct fuse_file_info_compat {
  int flags;
  unsigned long fh;
  int writepage;
  unsigned int direct_io : 1;
  unsigned int keep_cache : 1;
};

/* These answer the descriptor of /dev/fuse, or -1. */
int fuse_mount_compat25(const char* mountpoint, struct fuse_args* args);
int fuse_mount_compat22(const char* mountpoint, const char* opts);
void fuse_unmount_compat22(const char* mountpoint);
#endif
/* }}} */

#ifdef __cplusplus
}
#endif

#endif

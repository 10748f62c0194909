/* The low level: file systems that think in inodes, and answer requests when they like.
 *
 * Part of the C interface of FUSE 2.9. C90, C++98 and later. */
#ifndef FUSELAGE_FUSE2_LOWLEVEL_H
#define FUSELAGE_FUSE2_LOWLEVEL_H

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 24
#endif

#include <fcntl.h>
#include <fuse_common.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <utime.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FUSE_ROOT_ID 1 /* the inode that is mounted */

typedef unsigned long fuse_ino_t;

/* A request: to be answered by exactly one fuse_reply_*, from any thread, now or later; gone afterwards. */
typedef struct fuse_req* fuse_req_t;

/* What a name leads to. Each that reaches the kernel counts as one lookup, to be given back by forget(). */
struct fuse_entry_param {
  fuse_ino_t ino;           /* 0: there is no such name, to be believed for entry_timeout */
  unsigned long generation; /* with ino unique for the life of the file system */
  struct stat attr;         /* without st_blksize */
  double attr_timeout;      /* seconds */
  double entry_timeout;     /* seconds */
};

/* Who asks. umask: in create, mkdir and mknod. */
struct fuse_ctx {
  uid_t uid;
  gid_t gid;
  pid_t pid;
  mode_t umask;
};

struct fuse_forget_data {
  uint64_t ino;
  uint64_t nlookup;
};

/* to_set of setattr() */
#define FUSE_SET_ATTR_MODE (1 << 0)
#define FUSE_SET_ATTR_UID (1 << 1)
#define FUSE_SET_ATTR_GID (1 << 2)
#define FUSE_SET_ATTR_SIZE (1 << 3)
#define FUSE_SET_ATTR_ATIME (1 << 4)
#define FUSE_SET_ATTR_MTIME (1 << 5)
#define FUSE_SET_ATTR_ATIME_NOW (1 << 7)
#define FUSE_SET_ATTR_MTIME_NOW (1 << 8)

/* The operations; behind each the answers it may give, besides fuse_reply_err. One that is NULL is answered ENOSYS, but
 * open, opendir, release, releasedir and statfs succeed. What pointers point to is valid until the handler returns. */
struct fuse_lowlevel_ops {
  void (*init)(void* userdata, struct fuse_conn_info* conn);
  void (*destroy)(void* userdata);
  void (*lookup)(fuse_req_t req, fuse_ino_t parent, const char* name);                                       /* entry */
  void (*forget)(fuse_req_t req, fuse_ino_t ino, unsigned long nlookup);                                     /* none */
  void (*getattr)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi);                                /* attr */
  void (*setattr)(fuse_req_t req, fuse_ino_t ino, struct stat* attr, int to_set, struct fuse_file_info* fi); /* attr */
  void (*readlink)(fuse_req_t req, fuse_ino_t ino);                                            /* readlink */
  void (*mknod)(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, dev_t rdev); /* entry */
  void (*mkdir)(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode);             /* entry */
  void (*unlink)(fuse_req_t req, fuse_ino_t parent, const char* name);                         /* err 0 */
  void (*rmdir)(fuse_req_t req, fuse_ino_t parent, const char* name);                          /* err 0 */
  void (*symlink)(fuse_req_t req, const char* link, fuse_ino_t parent, const char* name);      /* entry */
  void (*rename)(fuse_req_t req, fuse_ino_t parent, const char* name, fuse_ino_t newparent,
                 const char* newname);                                                             /* err 0 */
  void (*link)(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char* newname);         /* entry */
  void (*open)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi);                         /* open */
  void (*read)(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info* fi); /* buf, data, iov */
  void (*write)(fuse_req_t req, fuse_ino_t ino, const char* buf, size_t size, off_t off,
                struct fuse_file_info* fi);                                                           /* write */
  void (*flush)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi);                           /* err 0 */
  void (*release)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi);                         /* err 0 */
  void (*fsync)(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info* fi);             /* err 0 */
  void (*opendir)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi);                         /* open */
  void (*readdir)(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info* fi); /* buf, data */
  void (*releasedir)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi);                      /* err 0 */
  void (*fsyncdir)(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info* fi);          /* err 0 */
  void (*statfs)(fuse_req_t req, fuse_ino_t ino);                                                     /* statfs */
  void (*setxattr)(fuse_req_t req, fuse_ino_t ino, const char* name, const char* value, size_t size,
                   int flags);                                                     /* err 0 */
  void (*getxattr)(fuse_req_t req, fuse_ino_t ino, const char* name, size_t size); /* buf, xattr */
  void (*listxattr)(fuse_req_t req, fuse_ino_t ino, size_t size);                  /* buf, xattr */
  void (*removexattr)(fuse_req_t req, fuse_ino_t ino, const char* name);           /* err 0 */
  void (*access)(fuse_req_t req, fuse_ino_t ino, int mask);                        /* err 0 */
  void (*create)(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode,
                 struct fuse_file_info* fi);                                                               /* create */
  void (*getlk)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi, struct flock* lock);            /* lock */
  void (*setlk)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi, struct flock* lock, int sleep); /* err 0 */
  void (*bmap)(fuse_req_t req, fuse_ino_t ino, size_t blocksize, uint64_t idx);                            /* bmap */
  void (*ioctl)(fuse_req_t req, fuse_ino_t ino, int cmd, void* arg, struct fuse_file_info* fi, unsigned flags,
                const void* in_buf, size_t in_bufsz, size_t out_bufsz);                                /* ioctl* */
  void (*poll)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi, struct fuse_pollhandle* ph); /* poll */
  void (*write_buf)(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec* bufv, off_t off,
                    struct fuse_file_info* fi); /* write */
  void (*retrieve_reply)(fuse_req_t req, void* cookie, fuse_ino_t ino, off_t offset,
                         struct fuse_bufvec* bufv);                                     /* none */
  void (*forget_multi)(fuse_req_t req, size_t count, struct fuse_forget_data* forgets); /* none */
  void (*flock)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi, int op);     /* err 0 */
  void (*fallocate)(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                    struct fuse_file_info* fi); /* err 0 */
};

/* Answers. 0, or -errno: -ENOENT if nobody waits for it any more. What they point to may go when they return. */
int fuse_reply_err(fuse_req_t req, int err); /* err: positive, or 0 for success */
void fuse_reply_none(fuse_req_t req);        /* for what is never answered */
int fuse_reply_entry(fuse_req_t req, const struct fuse_entry_param* e);
int fuse_reply_create(fuse_req_t req, const struct fuse_entry_param* e, const struct fuse_file_info* fi);
int fuse_reply_attr(fuse_req_t req, const struct stat* attr, double attr_timeout);
int fuse_reply_readlink(fuse_req_t req, const char* link);
int fuse_reply_open(fuse_req_t req, const struct fuse_file_info* fi);
int fuse_reply_write(fuse_req_t req, size_t count);
int fuse_reply_buf(fuse_req_t req, const char* buf, size_t size); /* buf may be NULL if size is 0 */
int fuse_reply_data(fuse_req_t req, struct fuse_bufvec* bufv, enum fuse_buf_copy_flags flags);
int fuse_reply_iov(fuse_req_t req, const struct iovec* iov, int count);
int fuse_reply_statfs(fuse_req_t req, const struct statvfs* stbuf);
int fuse_reply_xattr(fuse_req_t req, size_t count); /* how large a value or list is, where size was 0 */
int fuse_reply_lock(fuse_req_t req, const struct flock* lock);
int fuse_reply_bmap(fuse_req_t req, uint64_t idx);
int fuse_reply_ioctl_retry(fuse_req_t req, const struct iovec* in_iov, size_t in_count, const struct iovec* out_iov,
                           size_t out_count);
int fuse_reply_ioctl(fuse_req_t req, int result, const void* buf, size_t size);
int fuse_reply_ioctl_iov(fuse_req_t req, int result, const struct iovec* iov, int count);
int fuse_reply_poll(fuse_req_t req, unsigned revents);

/* Puts a name into the buffer that answers readdir(), if there is room; how much room it needs. Of `stbuf` st_ino and
 * the type of st_mode count; `off` is where to go on behind it. */
size_t fuse_add_direntry(fuse_req_t req, char* buf, size_t bufsize, const char* name, const struct stat* stbuf,
                         off_t off);

/* Notifications. 0, or -errno. Not from inside a handler for the inode or name it is about: the kernel may hold a lock
 * until the handler has answered. */
int fuse_lowlevel_notify_poll(struct fuse_pollhandle* ph);
int fuse_lowlevel_notify_inval_inode(struct fuse_chan* ch, fuse_ino_t ino, off_t off, off_t len);
int fuse_lowlevel_notify_inval_entry(struct fuse_chan* ch, fuse_ino_t parent, const char* name, size_t namelen);
int fuse_lowlevel_notify_delete(struct fuse_chan* ch, fuse_ino_t parent, fuse_ino_t child, const char* name,
                                size_t namelen);
int fuse_lowlevel_notify_store(struct fuse_chan* ch, fuse_ino_t ino, off_t offset, struct fuse_bufvec* bufv,
                               enum fuse_buf_copy_flags flags);
/* The cached bytes come through retrieve_reply(), with `cookie`. */
int fuse_lowlevel_notify_retrieve(struct fuse_chan* ch, fuse_ino_t ino, size_t size, off_t offset, void* cookie);

/* About a request; valid until it is answered. */
void* fuse_req_userdata(fuse_req_t req);
const struct fuse_ctx* fuse_req_ctx(fuse_req_t req);
/* The caller's supplementary groups: how many there are, of which the first `size` are in `list`; or -errno. */
int fuse_req_getgroups(fuse_req_t req, int size, gid_t list[]);
/* Lets `func` be called when the caller is interrupted, at once if it already was. NULL takes it back. */
typedef void (*fuse_interrupt_func_t)(fuse_req_t req, void* data);
void fuse_req_interrupt_func(fuse_req_t req, fuse_interrupt_func_t func, void* data);
int fuse_req_interrupted(fuse_req_t req);

/* Whether fuse_lowlevel_new understands this -o option. */
int fuse_lowlevel_is_lib_option(const char* opt);

/* A session that serves the operations; `op_size` is sizeof(struct fuse_lowlevel_ops). All of `args` must be options
 * that are known here. NULL after a message. */
struct fuse_session* fuse_lowlevel_new(struct fuse_args* args, const struct fuse_lowlevel_ops* op, size_t op_size,
                                       void* userdata);

/* A session of one's own kind: what to do with a message. `process` is needed. */
struct fuse_session_ops {
  void (*process)(void* data, const char* buf, size_t len, struct fuse_chan* ch);
  void (*exit)(void* data, int val);
  int (*exited)(void* data);
  void (*destroy)(void* data);
};
struct fuse_session* fuse_session_new(struct fuse_session_ops* op, void* data);

/* A session has one channel; a channel belongs to one session. */
void fuse_session_add_chan(struct fuse_session* se, struct fuse_chan* ch);
void fuse_session_remove_chan(struct fuse_chan* ch);
struct fuse_chan* fuse_session_next_chan(struct fuse_session* se, struct fuse_chan* ch);

/* Serves one message, on this thread. */
void fuse_session_process(struct fuse_session* se, const char* buf, size_t len, struct fuse_chan* ch);
void fuse_session_process_buf(struct fuse_session* se, const struct fuse_buf* buf, struct fuse_chan* ch);
/* Waits for a message: its size, 0 at the end of the session, or -errno. */
int fuse_session_receive_buf(struct fuse_session* se, struct fuse_buf* buf, struct fuse_chan** chp);

void fuse_session_destroy(struct fuse_session* se);
void fuse_session_exit(struct fuse_session* se);
void fuse_session_reset(struct fuse_session* se);
int fuse_session_exited(struct fuse_session* se);
void* fuse_session_data(struct fuse_session* se);

/* Serve until unmounted or until fuse_session_exit: on this thread, or on as many as it takes. 0, or -1. */
int fuse_session_loop(struct fuse_session* se);
int fuse_session_loop_mt(struct fuse_session* se);

/* How a channel of one's own carries messages. receive: the size, 0 at the end, or -errno. send: 0, or -errno. */
struct fuse_chan_ops {
  int (*receive)(struct fuse_chan** chp, char* buf, size_t size);
  int (*send)(struct fuse_chan* ch, const struct iovec iov[], size_t count);
  void (*destroy)(struct fuse_chan* ch);
};
struct fuse_chan* fuse_chan_new(struct fuse_chan_ops* op, int fd, size_t bufsize, void* data);
int fuse_chan_fd(struct fuse_chan* ch);
size_t fuse_chan_bufsize(struct fuse_chan* ch);
void* fuse_chan_data(struct fuse_chan* ch);
struct fuse_session* fuse_chan_session(struct fuse_chan* ch);
int fuse_chan_recv(struct fuse_chan** ch, char* buf, size_t size);
int fuse_chan_send(struct fuse_chan* ch, const struct iovec iov[], size_t count);
void fuse_chan_destroy(struct fuse_chan* ch);

/* {{{ programs written for older interfaces */
#if FUSE_USE_VERSION < 26
#include <sys/statfs.h>

struct fuse_lowlevel_ops_compat25 {
  void (*init)(void* userdata);
  void (*destroy)(void* userdata);
  void (*lookup)(fuse_req_t req, fuse_ino_t parent, const char* name);
  void (*forget)(fuse_req_t req, fuse_ino_t ino, unsigned long nlookup);
  void (*getattr)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi);
  void (*setattr)(fuse_req_t req, fuse_ino_t ino, struct stat* attr, int to_set, struct fuse_file_info* fi);
  void (*readlink)(fuse_req_t req, fuse_ino_t ino);
  void (*mknod)(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, dev_t rdev);
  void (*mkdir)(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode);
  void (*unlink)(fuse_req_t req, fuse_ino_t parent, const char* name);
  void (*rmdir)(fuse_req_t req, fuse_ino_t parent, const char* name);
  void (*symlink)(fuse_req_t req, const char* link, fuse_ino_t parent, const char* name);
  void (*rename)(fuse_req_t req, fuse_ino_t parent, const char* name, fuse_ino_t newparent, const char* newname);
  void (*link)(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char* newname);
  void (*open)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi);
  void (*read)(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info* fi);
  void (*write)(fuse_req_t req, fuse_ino_t ino, const char* buf, size_t size, off_t off, struct fuse_file_info* fi);
  void (*flush)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi);
  void (*release)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi);
  void (*fsync)(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info* fi);
  void (*opendir)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi);
  void (*readdir)(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info* fi);
  void (*releasedir)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi);
  void (*fsyncdir)(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info* fi);
  void (*statfs)(fuse_req_t req);
  void (*setxattr)(fuse_req_t req, fuse_ino_t ino, const char* name, const char* value, size_t size, int flags);
  void (*getxattr)(fuse_req_t req, fuse_ino_t ino, const char* name, size_t size);
  void (*listxattr)(fuse_req_t req, fuse_ino_t ino, size_t size);
  void (*removexattr)(fuse_req_t req, fuse_ino_t ino, const char* name);
  void (*access)(fuse_req_t req, fuse_ino_t ino, int mask);
  void (*create)(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, struct fuse_file_info* fi);
};

struct fuse_session* fuse_lowlevel_new_compat25(struct fuse_args* args, const struct fuse_lowlevel_ops_compat25* op,
                                                size_t op_size, void* userdata);
size_t fuse_dirent_size(size_t namelen);
char* fuse_add_dirent(char* buf, const char* name, const struct stat* stbuf, off_t off);

/* The same with struct fuse_file_info_compat. */
struct fuse_lowlevel_ops_compat {
  void (*init)(void* userdata);
  void (*destroy)(void* userdata);
  void (*lookup)(fuse_req_t req, fuse_ino_t parent, const char* name);
  void (*forget)(fuse_req_t req, fuse_ino_t ino, unsigned long nlookup);
  void (*getattr)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info_compat* fi);
  void (*setattr)(fuse_req_t req, fuse_ino_t ino, struct stat* attr, int to_set, struct fuse_file_info_compat* fi);
  void (*readlink)(fuse_req_t req, fuse_ino_t ino);
  void (*mknod)(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, dev_t rdev);
  void (*mkdir)(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode);
  void (*unlink)(fuse_req_t req, fuse_ino_t parent, const char* name);
  void (*rmdir)(fuse_req_t req, fuse_ino_t parent, const char* name);
  void (*symlink)(fuse_req_t req, const char* link, fuse_ino_t parent, const char* name);
  void (*rename)(fuse_req_t req, fuse_ino_t parent, const char* name, fuse_ino_t newparent, const char* newname);
  void (*link)(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char* newname);
  void (*open)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info_compat* fi);
  void (*read)(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info_compat* fi);
  void (*write)(fuse_req_t req, fuse_ino_t ino, const char* buf, size_t size, off_t off,
                struct fuse_file_info_compat* fi);
  void (*flush)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info_compat* fi);
  void (*release)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info_compat* fi);
  void (*fsync)(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info_compat* fi);
  void (*opendir)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info_compat* fi);
  void (*readdir)(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info_compat* fi);
  void (*releasedir)(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info_compat* fi);
  void (*fsyncdir)(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info_compat* fi);
  void (*statfs)(fuse_req_t req);
  void (*setxattr)(fuse_req_t req, fuse_ino_t ino, const char* name, const char* value, size_t size, int flags);
  void (*getxattr)(fuse_req_t req, fuse_ino_t ino, const char* name, size_t size);
  void (*listxattr)(fuse_req_t req, fuse_ino_t ino, size_t size);
  void (*removexattr)(fuse_req_t req, fuse_ino_t ino, const char* name);
  void (*access)(fuse_req_t req, fuse_ino_t ino, int mask);
  void (*create)(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, struct fuse_file_info_compat* fi);
};

struct fuse_session* fuse_lowlevel_new_compat(const char* opts, const struct fuse_lowlevel_ops_compat* op,
                                              size_t op_size, void* userdata);
int fuse_reply_statfs_compat(fuse_req_t req, const struct statfs* stbuf);
int fuse_reply_open_compat(fuse_req_t req, const struct fuse_file_info_compat* fi);

struct fuse_chan_ops_compat24 {
  int (*receive)(struct fuse_chan* ch, char* buf, size_t size);
  int (*send)(struct fuse_chan* ch, const struct iovec iov[], size_t count);
  void (*destroy)(struct fuse_chan* ch);
};
struct fuse_chan* fuse_chan_new_compat24(struct fuse_chan_ops_compat24* op, int fd, size_t bufsize, void* data);
int fuse_chan_receive(struct fuse_chan* ch, char* buf, size_t size);
struct fuse_chan* fuse_kern_chan_new(int fd);

#define fuse_chan_ops fuse_chan_ops_compat24
#define fuse_chan_new fuse_chan_new_compat24
#if FUSE_USE_VERSION == 25
#define fuse_lowlevel_ops fuse_lowlevel_ops_compat25
#define fuse_lowlevel_new fuse_lowlevel_new_compat25
#elif FUSE_USE_VERSION == 24
#define fuse_lowlevel_ops fuse_lowlevel_ops_compat
#define fuse_lowlevel_new fuse_lowlevel_new_compat
#define fuse_file_info fuse_file_info_compat
#define fuse_reply_statfs fuse_reply_statfs_compat
#define fuse_reply_open fuse_reply_open_compat
#elif !defined(FUSELAGE_FUSE2_H)
#error "the low level needs FUSE_USE_VERSION 24 or above"
#endif
#endif
/* }}} */

#ifdef __cplusplus
}
#endif

#endif

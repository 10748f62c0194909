/* The high level: file systems that think in paths.
 *
 * Part of the C interface of FUSE 2.9. C90, C++98 and later. A program defines FUSE_USE_VERSION as the interface that
 * it was written for: 21, 22, 25, or 26 to 29. */
#ifndef FUSELAGE_FUSE2_H
#define FUSELAGE_FUSE2_H

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 21
#endif

#include <fcntl.h>
#include <fuse_common.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <utime.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fuse;
struct fuse_cmd;

/* Takes a name of a directory. off 0: the library keeps the whole listing; else where a later readdir() shall go on
 * behind this name. Of `stbuf`, which may be NULL, st_mode and st_ino count. 1: no room, stop; 0: go on. */
typedef int (*fuse_fill_dir_t)(void* buf, const char* name, const struct stat* stbuf, off_t off);

/* For getdir(), which readdir() has replaced. */
typedef struct fuse_dirhandle* fuse_dirh_t;
typedef int (*fuse_dirfil_t)(fuse_dirh_t h, const char* name, int type, ino_t ino);

/* The operations. Each returns 0 or more, or a negative errno. One that is NULL is answered ENOSYS, but open, release,
 * opendir, releasedir and statfs succeed. Paths begin with '/', and are of any length. */
struct fuse_operations {
  /* Attributes. st_dev is ignored, and st_ino unless `use_ino` is on. */
  int (*getattr)(const char*, struct stat*);
  /* The target of a link, with a NUL, cut where the buffer ends. */
  int (*readlink)(const char*, char*, size_t);
  int (*getdir)(const char*, fuse_dirh_t, fuse_dirfil_t);
  /* Everything but directories and links; regular files only where create() is NULL. */
  int (*mknod)(const char*, mode_t, dev_t);
  /* The mode may come without S_IFDIR. */
  int (*mkdir)(const char*, mode_t);
  int (*unlink)(const char*);
  int (*rmdir)(const char*);
  /* (target, new link) */
  int (*symlink)(const char*, const char*);
  int (*rename)(const char*, const char*);
  int (*link)(const char*, const char*);
  int (*chmod)(const char*, mode_t);
  /* An id of -1 stays as it is. */
  int (*chown)(const char*, uid_t, gid_t);
  int (*truncate)(const char*, off_t);
  /* Only where utimens() is NULL. */
  int (*utime)(const char*, struct utimbuf*);
  /* Without O_CREAT and O_EXCL; O_TRUNC with `atomic_o_trunc` only, else truncate() is called too. */
  int (*open)(const char*, struct fuse_file_info*);
  /* Exactly as many bytes as asked for, except at the end of the file; with `direct_io` any number. */
  int (*read)(const char*, char*, size_t, off_t, struct fuse_file_info*);
  int (*write)(const char*, const char*, size_t, off_t, struct fuse_file_info*);
  int (*statfs)(const char*, struct statvfs*);
  /* For each close(2): its error is the one of close(2). Not a request to write to the disk. */
  int (*flush)(const char*, struct fuse_file_info*);
  /* Once for each open or create; the value is ignored. */
  int (*release)(const char*, struct fuse_file_info*);
  int (*fsync)(const char*, int, struct fuse_file_info*);
  int (*setxattr)(const char*, const char*, const char*, size_t, int);
  int (*getxattr)(const char*, const char*, char*, size_t);
  int (*listxattr)(const char*, char*, size_t);
  int (*removexattr)(const char*, const char*);
  int (*opendir)(const char*, struct fuse_file_info*);
  int (*readdir)(const char*, void*, fuse_fill_dir_t, off_t, struct fuse_file_info*);
  int (*releasedir)(const char*, struct fuse_file_info*);
  int (*fsyncdir)(const char*, int, struct fuse_file_info*);
  /* First and last. What init() returns is fuse_context.private_data, and the argument of destroy(). */
  void* (*init)(struct fuse_conn_info* conn);
  void (*destroy)(void*);
  /* access(2); not with `default_permissions`. */
  int (*access)(const char*, int);
  /* Creates and opens. */
  int (*create)(const char*, mode_t, struct fuse_file_info*);
  /* For open files, in place of truncate() and getattr(). */
  int (*ftruncate)(const char*, off_t, struct fuse_file_info*);
  int (*fgetattr)(const char*, struct stat*, struct fuse_file_info*);
  /* F_GETLK, F_SETLK and F_SETLKW for fuse_file_info.lock_owner; l_whence is SEEK_SET. */
  int (*lock)(const char*, struct fuse_file_info*, int cmd, struct flock*);
  int (*utimens)(const char*, const struct timespec tv[2]);
  int (*bmap)(const char*, size_t blocksize, uint64_t* idx);

  /* What the program says of itself: of the path of read, write, flush, release, fsync, readdir, releasedir, fsyncdir,
   * ftruncate, fgetattr, lock, ioctl and poll: it may be NULL for files without a name; it is not needed at all. And
   * that utimens() knows UTIME_NOW and UTIME_OMIT. */
  unsigned int flag_nullpath_ok : 1;
  unsigned int flag_nopath : 1;
  unsigned int flag_utime_omit_ok : 1;
  unsigned int flag_reserved : 29;

  /* `data`: _IOC_SIZE(cmd) bytes, in and out as the command says; NULL for _IOC_NONE. */
  int (*ioctl)(const char*, int cmd, void* arg, struct fuse_file_info*, unsigned int flags, void* data);
  /* If `ph` is not NULL: fuse_notify_poll() it once when something becomes ready, and fuse_pollhandle_destroy() it. */
  int (*poll)(const char*, struct fuse_file_info*, struct fuse_pollhandle* ph, unsigned* reventsp);
  /* write() and read() with data in memory or in files. What read_buf() stores in *bufp is freed with free(3), and so
   * is the memory of its buffers. */
  int (*write_buf)(const char*, struct fuse_bufvec* buf, off_t off, struct fuse_file_info*);
  int (*read_buf)(const char*, struct fuse_bufvec** bufp, size_t size, off_t off, struct fuse_file_info*);
  /* LOCK_SH, LOCK_EX or LOCK_UN, perhaps with LOCK_NB, for fuse_file_info.lock_owner. */
  int (*flock)(const char*, struct fuse_file_info*, int op);
  int (*fallocate)(const char*, int, off_t, off_t, struct fuse_file_info*);
};

/* Who asks, for the thread of an operation while it runs. */
struct fuse_context {
  struct fuse* fuse;
  uid_t uid;
  gid_t gid;
  pid_t pid;
  void* private_data;
  mode_t umask;
};

/* A whole program: options, mount, background, signals, loop. Its exit code. */
#define fuse_main(argc, argv, op, user_data) fuse_main_real(argc, argv, op, sizeof(*(op)), user_data)
int fuse_main_real(int argc, char* argv[], const struct fuse_operations* op, size_t op_size, void* user_data);

/* A file system on a channel; all of `args` must be options that are known here. NULL after a message. */
struct fuse* fuse_new(struct fuse_chan* ch, struct fuse_args* args, const struct fuse_operations* op, size_t op_size,
                      void* user_data);
void fuse_destroy(struct fuse* f);

/* Serve until unmounted or until fuse_exit(): on this thread, or on as many as it takes. 0, or -1. */
int fuse_loop(struct fuse* f);
int fuse_loop_mt(struct fuse* f);
void fuse_exit(struct fuse* f);
int fuse_exited(struct fuse* f);
struct fuse_session* fuse_get_session(struct fuse* f);

struct fuse_context* fuse_get_context(void);
/* The caller's supplementary groups: how many there are, of which the first `size` are in `list`; or -errno. */
int fuse_getgroups(int size, gid_t list[]);
/* 1 if the caller of this thread's operation was interrupted. */
int fuse_interrupted(void);

/* Does nothing any more. */
int fuse_invalidate(struct fuse* f, const char* path);
int fuse_is_lib_option(const char* opt);
/* Forgets nodes that `remember` keeps, when their time has come. */
int fuse_start_cleanup_thread(struct fuse* fuse);
void fuse_stop_cleanup_thread(struct fuse* fuse);
int fuse_clean_cache(struct fuse* fuse);
int fuse_notify_poll(struct fuse_pollhandle* ph);

/* {{{ stacking: a file system as others call it */
struct fuse_fs;
int fuse_fs_getattr(struct fuse_fs* fs, const char* path, struct stat* buf);
int fuse_fs_fgetattr(struct fuse_fs* fs, const char* path, struct stat* buf, struct fuse_file_info* fi);
int fuse_fs_rename(struct fuse_fs* fs, const char* oldpath, const char* newpath);
int fuse_fs_unlink(struct fuse_fs* fs, const char* path);
int fuse_fs_rmdir(struct fuse_fs* fs, const char* path);
int fuse_fs_symlink(struct fuse_fs* fs, const char* linkname, const char* path);
int fuse_fs_link(struct fuse_fs* fs, const char* oldpath, const char* newpath);
int fuse_fs_release(struct fuse_fs* fs, const char* path, struct fuse_file_info* fi);
int fuse_fs_open(struct fuse_fs* fs, const char* path, struct fuse_file_info* fi);
int fuse_fs_read(struct fuse_fs* fs, const char* path, char* buf, size_t size, off_t off, struct fuse_file_info* fi);
int fuse_fs_read_buf(struct fuse_fs* fs, const char* path, struct fuse_bufvec** bufp, size_t size, off_t off,
                     struct fuse_file_info* fi);
int fuse_fs_write(struct fuse_fs* fs, const char* path, const char* buf, size_t size, off_t off,
                  struct fuse_file_info* fi);
int fuse_fs_write_buf(struct fuse_fs* fs, const char* path, struct fuse_bufvec* buf, off_t off,
                      struct fuse_file_info* fi);
int fuse_fs_fsync(struct fuse_fs* fs, const char* path, int datasync, struct fuse_file_info* fi);
int fuse_fs_flush(struct fuse_fs* fs, const char* path, struct fuse_file_info* fi);
int fuse_fs_statfs(struct fuse_fs* fs, const char* path, struct statvfs* buf);
int fuse_fs_opendir(struct fuse_fs* fs, const char* path, struct fuse_file_info* fi);
int fuse_fs_readdir(struct fuse_fs* fs, const char* path, void* buf, fuse_fill_dir_t filler, off_t off,
                    struct fuse_file_info* fi);
int fuse_fs_fsyncdir(struct fuse_fs* fs, const char* path, int datasync, struct fuse_file_info* fi);
int fuse_fs_releasedir(struct fuse_fs* fs, const char* path, struct fuse_file_info* fi);
int fuse_fs_create(struct fuse_fs* fs, const char* path, mode_t mode, struct fuse_file_info* fi);
int fuse_fs_lock(struct fuse_fs* fs, const char* path, struct fuse_file_info* fi, int cmd, struct flock* lock);
int fuse_fs_flock(struct fuse_fs* fs, const char* path, struct fuse_file_info* fi, int op);
int fuse_fs_chmod(struct fuse_fs* fs, const char* path, mode_t mode);
int fuse_fs_chown(struct fuse_fs* fs, const char* path, uid_t uid, gid_t gid);
int fuse_fs_truncate(struct fuse_fs* fs, const char* path, off_t size);
int fuse_fs_ftruncate(struct fuse_fs* fs, const char* path, off_t size, struct fuse_file_info* fi);
int fuse_fs_utimens(struct fuse_fs* fs, const char* path, const struct timespec tv[2]);
int fuse_fs_access(struct fuse_fs* fs, const char* path, int mask);
int fuse_fs_readlink(struct fuse_fs* fs, const char* path, char* buf, size_t len);
int fuse_fs_mknod(struct fuse_fs* fs, const char* path, mode_t mode, dev_t rdev);
int fuse_fs_mkdir(struct fuse_fs* fs, const char* path, mode_t mode);
int fuse_fs_setxattr(struct fuse_fs* fs, const char* path, const char* name, const char* value, size_t size, int flags);
int fuse_fs_getxattr(struct fuse_fs* fs, const char* path, const char* name, char* value, size_t size);
int fuse_fs_listxattr(struct fuse_fs* fs, const char* path, char* list, size_t size);
int fuse_fs_removexattr(struct fuse_fs* fs, const char* path, const char* name);
int fuse_fs_bmap(struct fuse_fs* fs, const char* path, size_t blocksize, uint64_t* idx);
int fuse_fs_ioctl(struct fuse_fs* fs, const char* path, int cmd, void* arg, struct fuse_file_info* fi,
                  unsigned int flags, void* data);
int fuse_fs_poll(struct fuse_fs* fs, const char* path, struct fuse_file_info* fi, struct fuse_pollhandle* ph,
                 unsigned* reventsp);
int fuse_fs_fallocate(struct fuse_fs* fs, const char* path, int mode, off_t offset, off_t length,
                      struct fuse_file_info* fi);
void fuse_fs_init(struct fuse_fs* fs, struct fuse_conn_info* conn);
void fuse_fs_destroy(struct fuse_fs* fs);

struct fuse_fs* fuse_fs_new(const struct fuse_operations* op, size_t op_size, void* user_data);

/* A kind of layer for -o modules=NAME. The factory takes its options out of `args`, and gives a file system on top of
 * fs[0]; called with an empty `fs` it only tells about its options. The rest is the library's. */
struct fusemod_so;
struct fuse_module {
  const char* name;
  struct fuse_fs* (*factory)(struct fuse_args* args, struct fuse_fs* fs[]);
  struct fuse_module* next;
  struct fusemod_so* so;
  int ctr;
};
void fuse_register_module(struct fuse_module* mod);
/* Makes a library libfusemod_NAME.so out of a file with a factory. */
#define FUSE_REGISTER_MODULE(name_, factory_) \
  struct fuse_module fuse_fusemod_##name_##_module = {#name_, factory_, NULL, NULL, 0};
/* }}} */

/* The parts of fuse_main, one by one. */
struct fuse* fuse_setup(int argc, char* argv[], const struct fuse_operations* op, size_t op_size, char** mountpoint,
                        int* multithreaded, void* user_data);
void fuse_teardown(struct fuse* fuse, char* mountpoint);
struct fuse_cmd* fuse_read_cmd(struct fuse* f);
void fuse_process_cmd(struct fuse* f, struct fuse_cmd* cmd);
typedef void (*fuse_processor_t)(struct fuse*, struct fuse_cmd*, void*);
int fuse_loop_mt_proc(struct fuse* f, fuse_processor_t proc, void* data);
void fuse_set_getcontext_func(struct fuse_context* (*func)(void));

/* {{{ programs written for older interfaces */
#if FUSE_USE_VERSION < 26
#include <sys/statfs.h>

struct fuse_operations_compat25 {
  int (*getattr)(const char*, struct stat*);
  int (*readlink)(const char*, char*, size_t);
  int (*getdir)(const char*, fuse_dirh_t, fuse_dirfil_t);
  int (*mknod)(const char*, mode_t, dev_t);
  int (*mkdir)(const char*, mode_t);
  int (*unlink)(const char*);
  int (*rmdir)(const char*);
  int (*symlink)(const char*, const char*);
  int (*rename)(const char*, const char*);
  int (*link)(const char*, const char*);
  int (*chmod)(const char*, mode_t);
  int (*chown)(const char*, uid_t, gid_t);
  int (*truncate)(const char*, off_t);
  int (*utime)(const char*, struct utimbuf*);
  int (*open)(const char*, struct fuse_file_info*);
  int (*read)(const char*, char*, size_t, off_t, struct fuse_file_info*);
  int (*write)(const char*, const char*, size_t, off_t, struct fuse_file_info*);
  int (*statfs)(const char*, struct statvfs*);
  int (*flush)(const char*, struct fuse_file_info*);
  int (*release)(const char*, struct fuse_file_info*);
  int (*fsync)(const char*, int, struct fuse_file_info*);
  int (*setxattr)(const char*, const char*, const char*, size_t, int);
  int (*getxattr)(const char*, const char*, char*, size_t);
  int (*listxattr)(const char*, char*, size_t);
  int (*removexattr)(const char*, const char*);
  int (*opendir)(const char*, struct fuse_file_info*);
  int (*readdir)(const char*, void*, fuse_fill_dir_t, off_t, struct fuse_file_info*);
  int (*releasedir)(const char*, struct fuse_file_info*);
  int (*fsyncdir)(const char*, int, struct fuse_file_info*);
  void* (*init)(void);
  void (*destroy)(void*);
  int (*access)(const char*, int);
  int (*create)(const char*, mode_t, struct fuse_file_info*);
  int (*ftruncate)(const char*, off_t, struct fuse_file_info*);
  int (*fgetattr)(const char*, struct stat*, struct fuse_file_info*);
};

/* The same up to destroy, with struct fuse_file_info_compat, and struct statfs. */
struct fuse_operations_compat22 {
  int (*getattr)(const char*, struct stat*);
  int (*readlink)(const char*, char*, size_t);
  int (*getdir)(const char*, fuse_dirh_t, fuse_dirfil_t);
  int (*mknod)(const char*, mode_t, dev_t);
  int (*mkdir)(const char*, mode_t);
  int (*unlink)(const char*);
  int (*rmdir)(const char*);
  int (*symlink)(const char*, const char*);
  int (*rename)(const char*, const char*);
  int (*link)(const char*, const char*);
  int (*chmod)(const char*, mode_t);
  int (*chown)(const char*, uid_t, gid_t);
  int (*truncate)(const char*, off_t);
  int (*utime)(const char*, struct utimbuf*);
  int (*open)(const char*, struct fuse_file_info_compat*);
  int (*read)(const char*, char*, size_t, off_t, struct fuse_file_info_compat*);
  int (*write)(const char*, const char*, size_t, off_t, struct fuse_file_info_compat*);
  int (*statfs)(const char*, struct statfs*);
  int (*flush)(const char*, struct fuse_file_info_compat*);
  int (*release)(const char*, struct fuse_file_info_compat*);
  int (*fsync)(const char*, int, struct fuse_file_info_compat*);
  int (*setxattr)(const char*, const char*, const char*, size_t, int);
  int (*getxattr)(const char*, const char*, char*, size_t);
  int (*listxattr)(const char*, char*, size_t);
  int (*removexattr)(const char*, const char*);
  int (*opendir)(const char*, struct fuse_file_info_compat*);
  int (*readdir)(const char*, void*, fuse_fill_dir_t, off_t, struct fuse_file_info_compat*);
  int (*releasedir)(const char*, struct fuse_file_info_compat*);
  int (*fsyncdir)(const char*, int, struct fuse_file_info_compat*);
  void* (*init)(void);
  void (*destroy)(void*);
};

/* Before there was fuse_file_info. */
typedef int (*fuse_dirfil_t_compat)(fuse_dirh_t h, const char* name, int type);
struct fuse_operations_compat2 {
  int (*getattr)(const char*, struct stat*);
  int (*readlink)(const char*, char*, size_t);
  int (*getdir)(const char*, fuse_dirh_t, fuse_dirfil_t_compat);
  int (*mknod)(const char*, mode_t, dev_t);
  int (*mkdir)(const char*, mode_t);
  int (*unlink)(const char*);
  int (*rmdir)(const char*);
  int (*symlink)(const char*, const char*);
  int (*rename)(const char*, const char*);
  int (*link)(const char*, const char*);
  int (*chmod)(const char*, mode_t);
  int (*chown)(const char*, uid_t, gid_t);
  int (*truncate)(const char*, off_t);
  int (*utime)(const char*, struct utimbuf*);
  int (*open)(const char*, int);
  int (*read)(const char*, char*, size_t, off_t);
  int (*write)(const char*, const char*, size_t, off_t);
  int (*statfs)(const char*, struct statfs*);
  int (*flush)(const char*);
  int (*release)(const char*, int);
  int (*fsync)(const char*, int);
  int (*setxattr)(const char*, const char*, const char*, size_t, int);
  int (*getxattr)(const char*, const char*, char*, size_t);
  int (*listxattr)(const char*, char*, size_t);
  int (*removexattr)(const char*, const char*);
};

struct fuse* fuse_new_compat25(int fd, struct fuse_args* args, const struct fuse_operations_compat25* op,
                               size_t op_size);
int fuse_main_real_compat25(int argc, char* argv[], const struct fuse_operations_compat25* op, size_t op_size);
struct fuse* fuse_setup_compat25(int argc, char* argv[], const struct fuse_operations_compat25* op, size_t op_size,
                                 char** mountpoint, int* multithreaded, int* fd);
void fuse_teardown_compat22(struct fuse* fuse, int fd, char* mountpoint);

struct fuse* fuse_new_compat22(int fd, const char* opts, const struct fuse_operations_compat22* op, size_t op_size);
struct fuse* fuse_setup_compat22(int argc, char* argv[], const struct fuse_operations_compat22* op, size_t op_size,
                                 char** mountpoint, int* multithreaded, int* fd);
int fuse_main_real_compat22(int argc, char* argv[], const struct fuse_operations_compat22* op, size_t op_size);

int fuse_main_compat2(int argc, char* argv[], const struct fuse_operations_compat2* op);
struct fuse* fuse_new_compat2(int fd, const char* opts, const struct fuse_operations_compat2* op);
struct fuse* fuse_setup_compat2(int argc, char* argv[], const struct fuse_operations_compat2* op, char** mountpoint,
                                int* multithreaded, int* fd);

#undef fuse_main
#if FUSE_USE_VERSION == 25
#define fuse_main(argc, argv, op) fuse_main_real_compat25(argc, argv, op, sizeof(*(op)))
#define fuse_new fuse_new_compat25
#define fuse_setup fuse_setup_compat25
#define fuse_teardown fuse_teardown_compat22
#define fuse_operations fuse_operations_compat25
#elif FUSE_USE_VERSION == 22
#define fuse_main(argc, argv, op) fuse_main_real_compat22(argc, argv, op, sizeof(*(op)))
#define fuse_new fuse_new_compat22
#define fuse_setup fuse_setup_compat22
#define fuse_teardown fuse_teardown_compat22
#define fuse_operations fuse_operations_compat22
#define fuse_file_info fuse_file_info_compat
#elif FUSE_USE_VERSION == 21
#define fuse_dirfil_t fuse_dirfil_t_compat
#define fuse_operations fuse_operations_compat2
#define fuse_main fuse_main_compat2
#define fuse_new fuse_new_compat2
#define __fuse_setup fuse_setup_compat2
#define __fuse_teardown fuse_teardown_compat22
#define __fuse_exited fuse_exited
#define __fuse_read_cmd fuse_read_cmd
#define __fuse_process_cmd fuse_process_cmd
#define __fuse_loop_mt fuse_loop_mt_proc
#define __fuse_set_getcontext_func fuse_set_getcontext_func
#else
#error "the high level needs FUSE_USE_VERSION 21, 22, or 25 and above"
#endif
#endif
/* }}} */

#ifdef __cplusplus
}
#endif

#endif

/* A layer in a library of its own, for -o modules=shout: shows small letters as capitals, and looks for small ones. */
#define FUSE_USE_VERSION 29
#include <ctype.h>
#include <errno.h>
#include <fuse.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct shout {
  struct fuse_fs* next;
  int enabled;
};

static struct fuse_fs* next(void) { return ((struct shout*)fuse_get_context()->private_data)->next; }

static void convert(const char* from, char* to, int (*letter)(int)) {
  do {
    *to++ = (char)letter((unsigned char)*from);
  } while (*from++ != '\0');
}
static const char* down(const char* path, char* below) {
  if (path == NULL) return NULL;
  convert(path, below, tolower);
  return below;
}

#define FORWARD(operation, parameters, ...)                             \
  static int s_##operation parameters {                                 \
    char below[PATH_MAX];                                               \
    return fuse_fs_##operation(next(), down(path, below), __VA_ARGS__); \
  }
#define FORWARD_PATH(operation)                            \
  static int s_##operation(const char* path) {             \
    char below[PATH_MAX];                                  \
    return fuse_fs_##operation(next(), down(path, below)); \
  }
#define FORWARD_BOTH(operation)                                                     \
  static int s_##operation(const char* from, const char* to) {                      \
    char below_from[PATH_MAX], below_to[PATH_MAX];                                  \
    return fuse_fs_##operation(next(), down(from, below_from), down(to, below_to)); \
  }

typedef struct fuse_file_info info;

FORWARD(getattr, (const char* path, struct stat* status), status)
FORWARD(fgetattr, (const char* path, struct stat* status, info* fi), status, fi)
FORWARD(access, (const char* path, int mask), mask)
FORWARD(readlink, (const char* path, char* buffer, size_t size), buffer, size)
FORWARD(opendir, (const char* path, info* fi), fi)
FORWARD(releasedir, (const char* path, info* fi), fi)
FORWARD(fsyncdir, (const char* path, int data_only, info* fi), data_only, fi)
FORWARD(mknod, (const char* path, mode_t mode, dev_t device), mode, device)
FORWARD(mkdir, (const char* path, mode_t mode), mode)
FORWARD_PATH(unlink)
FORWARD_PATH(rmdir)
FORWARD_BOTH(rename)
FORWARD_BOTH(link)
FORWARD(chmod, (const char* path, mode_t mode), mode)
FORWARD(chown, (const char* path, uid_t uid, gid_t gid), uid, gid)
FORWARD(truncate, (const char* path, off_t size), size)
FORWARD(ftruncate, (const char* path, off_t size, info* fi), size, fi)
FORWARD(utimens, (const char* path, const struct timespec times[2]), times)
FORWARD(create, (const char* path, mode_t mode, info* fi), mode, fi)
FORWARD(open, (const char* path, info* fi), fi)
FORWARD(read_buf, (const char* path, struct fuse_bufvec** buffers, size_t size, off_t offset, info* fi), buffers, size,
        offset, fi)
FORWARD(write_buf, (const char* path, struct fuse_bufvec* buffers, off_t offset, info* fi), buffers, offset, fi)
FORWARD(statfs, (const char* path, struct statvfs* status), status)
FORWARD(flush, (const char* path, info* fi), fi)
FORWARD(release, (const char* path, info* fi), fi)
FORWARD(fsync, (const char* path, int data_only, info* fi), data_only, fi)
FORWARD(setxattr, (const char* path, const char* name, const char* value, size_t size, int flags), name, value, size,
        flags)
FORWARD(getxattr, (const char* path, const char* name, char* value, size_t size), name, value, size)
FORWARD(listxattr, (const char* path, char* list, size_t size), list, size)
FORWARD(removexattr, (const char* path, const char* name), name)
FORWARD(lock, (const char* path, info* fi, int command, struct flock* lock), fi, command, lock)
FORWARD(flock, (const char* path, info* fi, int operation), fi, operation)
FORWARD(bmap, (const char* path, size_t size, uint64_t* index), size, index)
FORWARD(ioctl, (const char* path, int command, void* argument, info* fi, unsigned flags, void* data), command, argument,
        fi, flags, data)
FORWARD(poll, (const char* path, info* fi, struct fuse_pollhandle* handle, unsigned* events), fi, handle, events)
FORWARD(fallocate, (const char* path, int mode, off_t offset, off_t length, info* fi), mode, offset, length, fi)

static int s_symlink(const char* target, const char* path) {
  char below[PATH_MAX];
  return fuse_fs_symlink(next(), target, down(path, below));
}

struct listing {
  void* buffer;
  fuse_fill_dir_t filler;
};
static int fill_up(void* data, const char* name, const struct stat* status, off_t offset) {
  const struct listing* listing = data;
  char above[NAME_MAX + 1];
  convert(name, above, toupper);
  return listing->filler(listing->buffer, above, status, offset);
}
static int s_readdir(const char* path, void* buffer, fuse_fill_dir_t filler, off_t offset, info* fi) {
  struct listing listing;
  char below[PATH_MAX];
  listing.buffer = buffer, listing.filler = filler;
  return fuse_fs_readdir(next(), down(path, below), &listing, fill_up, offset, fi);
}

static void* s_init(struct fuse_conn_info* connection) {
  struct shout* shout = fuse_get_context()->private_data;
  fuse_fs_init(shout->next, connection);
  return shout;
}
static void s_destroy(void* data) {
  fuse_fs_destroy(((struct shout*)data)->next);
  free(data);
}

static struct fuse_fs* make(struct fuse_args* args, struct fuse_fs* fs[]) {
  static const struct fuse_opt rows[] = {{"shout", offsetof(struct shout, enabled), 1}, FUSE_OPT_END};
  struct fuse_operations all;
  struct shout* shout = calloc(1, sizeof *shout);
  if (shout == NULL || fuse_opt_parse(args, shout, rows, NULL) == -1 || !shout->enabled) {
    free(shout);
    return NULL;
  }
  shout->next = fs[0];
  memset(&all, 0, sizeof all);
  all.getattr = s_getattr, all.fgetattr = s_fgetattr, all.access = s_access, all.readlink = s_readlink;
  all.opendir = s_opendir, all.readdir = s_readdir, all.releasedir = s_releasedir, all.fsyncdir = s_fsyncdir;
  all.mknod = s_mknod, all.mkdir = s_mkdir, all.unlink = s_unlink, all.rmdir = s_rmdir, all.symlink = s_symlink;
  all.rename = s_rename, all.link = s_link, all.chmod = s_chmod, all.chown = s_chown, all.truncate = s_truncate;
  all.ftruncate = s_ftruncate, all.utimens = s_utimens, all.create = s_create, all.open = s_open;
  all.read_buf = s_read_buf, all.write_buf = s_write_buf, all.statfs = s_statfs, all.flush = s_flush;
  all.release = s_release, all.fsync = s_fsync, all.setxattr = s_setxattr, all.getxattr = s_getxattr;
  all.listxattr = s_listxattr, all.removexattr = s_removexattr, all.lock = s_lock, all.flock = s_flock;
  all.bmap = s_bmap, all.ioctl = s_ioctl, all.poll = s_poll, all.fallocate = s_fallocate;
  all.init = s_init, all.destroy = s_destroy;
  return fuse_fs_new(&all, sizeof all, shout);
}

FUSE_REGISTER_MODULE(shout, make)

/* Handlers that do what they must not. What most of them return is the number that the name ends with: "file-5" is a
 * file whose operations answer 5, "new-5" is the same for those that make a name. What a directory lists, and how much
 * a file, a link or an attribute has, is said by its name too. */
#define FUSE_USE_VERSION 29
#include <errno.h>
#include <fuse.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int begins(const char* path, const char* with) { return strncmp(path, with, strlen(with)) == 0; }

static int number(const char* name) {
  const char* dash = strchr(name, '-');
  return dash != NULL ? atoi(dash + 1) : 0;
}

static int status_of(const char* path, struct stat* status) {
  if (begins(path, "/stat-")) return number(path);
  if (begins(path, "/new-")) return -ENOENT;
  memset(status, 0, sizeof *status);
  status->st_nlink = 1;
  status->st_mode = S_IFREG | 0644;
  status->st_size = 1 << 20;
  if (strcmp(path, "/") == 0 || begins(path, "/dir")) status->st_mode = S_IFDIR | 0755;
  if (begins(path, "/link")) status->st_mode = S_IFLNK | 0777;
  return 0;
}

static int u_fgetattr(const char* path, struct stat* status, struct fuse_file_info* fi) {
  (void)fi;
  return begins(path, "/fstat-") ? number(path) : status_of(path, status);
}
static int u_readlink(const char* path, char* buffer, size_t size) {
  if (strcmp(path, "/link-full") != 0) return number(path);
  memset(buffer, 'x', size); /* and no NUL */
  return 0;
}
static int u_mknod(const char* path, mode_t mode, dev_t device) { return (void)mode, (void)device, number(path); }
static int u_mkdir(const char* path, mode_t mode) { return (void)mode, number(path); }
static int u_unlink(const char* path) { return number(path); }
static int u_symlink(const char* target, const char* path) { return (void)target, number(path); }
static int u_rename(const char* from, const char* to) { return (void)from, number(to); }
static int u_chmod(const char* path, mode_t mode) { return (void)mode, number(path); }
static int u_chown(const char* path, uid_t uid, gid_t gid) { return (void)uid, (void)gid, number(path); }
static int u_truncate(const char* path, off_t size) { return (void)size, begins(path, "/fstat-") ? 0 : number(path); }
static int u_utimens(const char* path, const struct timespec times[2]) { return (void)times, number(path); }
static int u_open(const char* path, struct fuse_file_info* fi) {
  fi->direct_io = 1; /* reads and writes come as they are asked for */
  return begins(path, "/open-") ? number(path) : 0;
}
static int u_create(const char* path, mode_t mode, struct fuse_file_info* fi) {
  return (void)mode, (void)fi, number(path);
}
static int u_read(const char* path, char* buffer, size_t size, off_t offset, struct fuse_file_info* fi) {
  (void)buffer, (void)size, (void)offset, (void)fi;
  return number(path);
}
static int u_write(const char* path, const char* buffer, size_t size, off_t offset, struct fuse_file_info* fi) {
  (void)buffer, (void)size, (void)offset, (void)fi;
  return number(path);
}
static int u_statfs(const char* path, struct statvfs* status) { return (void)status, number(path); }
static int u_close(const char* path, struct fuse_file_info* fi) { return (void)fi, number(path); }
static int u_fsync(const char* path, int data_only, struct fuse_file_info* fi) {
  return (void)data_only, (void)fi, number(path);
}
static int u_setxattr(const char* path, const char* name, const char* value, size_t size, int flags) {
  return (void)path, (void)value, (void)size, (void)flags, number(name);
}
static int u_getxattr(const char* path, const char* name, char* value, size_t size) {
  int length = number(name);
  (void)path;
  if (length > 0) memset(value, 'v', (size_t)length < size ? (size_t)length : size);
  return length;
}
static int u_listxattr(const char* path, char* list, size_t size) {
  int length = number(path);
  if (length > 0) memset(list, 'n', (size_t)length < size ? (size_t)length : size); /* no NUL at the end */
  return length;
}
static int u_removexattr(const char* path, const char* name) { return (void)path, number(name); }
static int u_opendir(const char* path, struct fuse_file_info* fi) {
  return (void)fi, begins(path, "/dir_open-") ? number(path) : 0;
}
static int u_readdir(const char* path, void* buffer, fuse_fill_dir_t filler, off_t offset, struct fuse_file_info* fi) {
  char name[2000] = "";
  (void)fi;
  if (strcmp(path, "/dir:long") == 0) memset(name, 'x', 256);
  if (strcmp(path, "/dir:longer") == 0) memset(name, 'x', 1999);
  if (strcmp(path, "/dir:longest") == 0) memset(name, 'x', 255);
  if (strcmp(path, "/dir:slash") == 0) strcpy(name, "a/b");
  if (strcmp(path, "/dir:mixed") == 0) strcpy(name, "with"), filler(buffer, "without", NULL, 0);
  if (strcmp(path, "/dir:deaf") == 0) { /* to the word that there is no room */
    for (; offset < 3000; ++offset) {
      sprintf(name, "name%04d", (int)offset);
      filler(buffer, name, NULL, offset + 1);
    }
    return 0;
  }
  if (strcmp(path, "/dir:dots") == 0) {
    filler(buffer, ".", NULL, 0), filler(buffer, "..", NULL, 0), filler(buffer, ".", NULL, 0);
    strcpy(name, "...");
  }
  if (begins(path, "/dir-")) strcpy(name, "name");
  filler(buffer, name, NULL, strcmp(path, "/dir:mixed") == 0 ? 1 : 0);
  return number(path);
}
static int u_lock(const char* path, struct fuse_file_info* fi, int command, struct flock* lock) {
  return (void)fi, (void)command, (void)lock, number(path);
}
static int u_flock(const char* path, struct fuse_file_info* fi, int operation) {
  return (void)fi, (void)operation, number(path);
}
static int u_ioctl(const char* path, int command, void* argument, struct fuse_file_info* fi, unsigned flags,
                   void* data) {
  return (void)command, (void)argument, (void)fi, (void)flags, (void)data, number(path);
}
static int u_poll(const char* path, struct fuse_file_info* fi, struct fuse_pollhandle* handle, unsigned* events) {
  (void)fi, (void)events;
  if (handle != NULL) fuse_pollhandle_destroy(handle);
  return number(path);
}
static int u_access(const char* path, int mask) { return (void)mask, number(path); }
static int u_fallocate(const char* path, int mode, off_t offset, off_t length, struct fuse_file_info* fi) {
  return (void)mode, (void)offset, (void)length, (void)fi, number(path);
}

int main(int argc, char* argv[]) {
  /* Larger than the library's own, as of a program that was compiled for what is still to come. */
  struct {
    struct fuse_operations known;
    void (*newer[8])(void);
  } all;
  const char* table = getenv("UNRULY_TABLE") != NULL ? getenv("UNRULY_TABLE") : "";
  memset(&all, 0, sizeof all);
  if (strcmp(table, "none") == 0) return fuse_main_real(argc, argv, NULL, sizeof all.known, NULL);
  if (strcmp(table, "nothing") == 0) return fuse_main_real(argc, argv, &all.known, 0, NULL);
  all.known.getattr = status_of, all.known.fgetattr = u_fgetattr, all.known.readlink = u_readlink;
  all.known.mknod = u_mknod, all.known.mkdir = u_mkdir, all.known.unlink = all.known.rmdir = u_unlink;
  all.known.symlink = u_symlink, all.known.rename = all.known.link = u_rename, all.known.chmod = u_chmod;
  all.known.chown = u_chown, all.known.truncate = u_truncate, all.known.utimens = u_utimens, all.known.open = u_open;
  all.known.create = u_create, all.known.read = u_read, all.known.write = u_write, all.known.statfs = u_statfs;
  all.known.flush = all.known.release = all.known.releasedir = u_close, all.known.fsync = u_fsync;
  all.known.fsyncdir = u_fsync, all.known.setxattr = u_setxattr, all.known.getxattr = u_getxattr;
  all.known.listxattr = u_listxattr, all.known.removexattr = u_removexattr, all.known.opendir = u_opendir;
  all.known.readdir = u_readdir, all.known.lock = u_lock, all.known.flock = u_flock, all.known.ioctl = u_ioctl;
  all.known.poll = u_poll, all.known.access = u_access, all.known.fallocate = u_fallocate;
  return fuse_main_real(argc, argv, &all.known, strcmp(table, "newer") == 0 ? sizeof all : sizeof all.known, NULL);
}

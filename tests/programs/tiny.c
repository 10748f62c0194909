/* One file, for every FUSE_USE_VERSION of the high level, in C90 and in C++. */
#include <errno.h>
#include <fuse.h>
#include <string.h>

static const char text[] = "Hello, world!\n";

static int tiny_getattr(const char* path, struct stat* status) {
  memset(status, 0, sizeof *status);
  status->st_nlink = 1;
  if (strcmp(path, "/") == 0) {
    status->st_mode = S_IFDIR | 0755;
  } else if (strcmp(path, "/hello") == 0) {
    status->st_mode = S_IFREG | 0644;
    status->st_size = (off_t)strlen(text);
  } else {
    return -ENOENT;
  }
  return 0;
}

static int slice(char* buffer, size_t size, off_t offset) {
  size_t length = strlen(text);
  if ((size_t)offset >= length) return 0;
  if (size > length - (size_t)offset) size = length - (size_t)offset;
  memcpy(buffer, text + offset, size);
  return (int)size;
}

#if FUSE_USE_VERSION <= 22
static int tiny_getdir(const char* path, fuse_dirh_t handle, fuse_dirfil_t filler) {
  (void)path;
#if FUSE_USE_VERSION == 21
  return filler(handle, "hello", 8);
#else
  return filler(handle, "hello", 8, 2);
#endif
}
#else
static int tiny_readdir(const char* path, void* buffer, fuse_fill_dir_t filler, off_t offset,
                        struct fuse_file_info* info) {
  (void)path, (void)offset, (void)info;
  filler(buffer, ".", NULL, 0);
  filler(buffer, "..", NULL, 0);
  filler(buffer, "hello", NULL, 0);
  return 0;
}
#endif

#if FUSE_USE_VERSION == 21
static int tiny_open(const char* path, int flags) {
  (void)path;
  return (flags & O_ACCMODE) == O_RDONLY ? 0 : -EACCES;
}
static int tiny_read(const char* path, char* buffer, size_t size, off_t offset) {
  (void)path;
  return slice(buffer, size, offset);
}
#else
/* The handle must come back as it was given. */
static int tiny_open(const char* path, struct fuse_file_info* info) {
  (void)path;
  info->fh = 4711;
  return (info->flags & O_ACCMODE) == O_RDONLY ? 0 : -EACCES;
}
static int tiny_read(const char* path, char* buffer, size_t size, off_t offset, struct fuse_file_info* info) {
  (void)path;
  return info->fh == 4711 ? slice(buffer, size, offset) : -EBADF;
}
#endif

#if FUSE_USE_VERSION < 25
static int tiny_statfs(const char* path, struct statfs* status) {
  (void)path;
  status->f_bsize = 1024;
  status->f_blocks = 77;
  status->f_namelen = 255;
  return 0;
}
#else
static int tiny_statfs(const char* path, struct statvfs* status) {
  (void)path;
  status->f_bsize = status->f_frsize = 1024;
  status->f_blocks = 77;
  status->f_namemax = 255;
  return 0;
}
#endif

int main(int argc, char* argv[]) {
  static struct fuse_operations operations;
  operations.getattr = tiny_getattr;
#if FUSE_USE_VERSION <= 22
  operations.getdir = tiny_getdir;
#else
  operations.readdir = tiny_readdir;
#endif
  operations.open = tiny_open;
  operations.read = tiny_read;
  operations.statfs = tiny_statfs;
#if FUSE_USE_VERSION >= 26
  return fuse_main(argc, argv, &operations, NULL);
#else
  return fuse_main(argc, argv, &operations);
#endif
}

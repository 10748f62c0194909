/* One file, for every FUSE_USE_VERSION of the low level. */
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdlib.h>
#include <string.h>

static const char text[] = "Hello, world!\n";

static void fill_status(fuse_ino_t ino, struct stat* status) {
  memset(status, 0, sizeof *status);
  status->st_ino = ino;
  status->st_nlink = 1;
  status->st_mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
  status->st_size = ino == FUSE_ROOT_ID ? 0 : (off_t)strlen(text);
}

static void tiny_lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
  struct fuse_entry_param entry;
  memset(&entry, 0, sizeof entry);
  entry.ino = 2;
  fill_status(2, &entry.attr);
  if (parent == FUSE_ROOT_ID && strcmp(name, "hello") == 0) {
    fuse_reply_entry(req, &entry);
  } else {
    fuse_reply_err(req, ENOENT);
  }
}

static void tiny_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* info) {
  struct stat status;
  (void)info;
  fill_status(ino, &status);
  fuse_reply_attr(req, &status, 1);
}

static void tiny_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* info) {
  (void)ino;
  info->fh = 4711;
  if ((info->flags & O_ACCMODE) == O_RDONLY) {
    fuse_reply_open(req, info);
  } else {
    fuse_reply_err(req, EACCES);
  }
}

static void tiny_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info* info) {
  size_t length = strlen(text);
  (void)ino, (void)size;
  if (info->fh != 4711) {
    fuse_reply_err(req, EBADF);
  } else {
    fuse_reply_buf(req, text + offset, (size_t)offset < length ? length - (size_t)offset : 0);
  }
}

static void tiny_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info* info) {
  char buffer[100];
  size_t used = 0;
  struct stat status;
  (void)ino, (void)size, (void)info;
  fill_status(2, &status);
#if FUSE_USE_VERSION >= 26
  if (offset == 0) used = fuse_add_direntry(req, buffer, sizeof buffer, "hello", &status, 1);
#else
  if (offset == 0) used = (size_t)(fuse_add_dirent(buffer, "hello", &status, 1) - buffer);
#endif
  fuse_reply_buf(req, buffer, used);
}

#if FUSE_USE_VERSION == 24
static void tiny_statfs(fuse_req_t req) {
  struct statfs status;
  memset(&status, 0, sizeof status);
  status.f_bsize = 1024;
  status.f_blocks = 77;
  fuse_reply_statfs(req, &status);
}
#else
#if FUSE_USE_VERSION == 25
static void tiny_statfs(fuse_req_t req) {
#else
static void tiny_statfs(fuse_req_t req, fuse_ino_t ino) {
#endif
  struct statvfs status;
  memset(&status, 0, sizeof status);
  status.f_bsize = status.f_frsize = 1024;
  status.f_blocks = 77;
  fuse_reply_statfs(req, &status);
#if FUSE_USE_VERSION > 25
  (void)ino;
#endif
}
#endif

int main(int argc, char* argv[]) {
  struct fuse_args args; /* FUSE_ARGS_INIT(argc, argv) is no C90 */
  struct fuse_lowlevel_ops all;
  struct fuse_session* session = NULL;
  char* mountpoint;
  int foreground, result = 1;
#if FUSE_USE_VERSION >= 26
  struct fuse_chan* channel;
#else
  int fd;
#endif
  args.argc = argc, args.argv = argv, args.allocated = 0;
  memset(&all, 0, sizeof all);
  all.lookup = tiny_lookup, all.getattr = tiny_getattr, all.open = tiny_open, all.read = tiny_read;
  all.readdir = tiny_readdir, all.statfs = tiny_statfs;
  if (fuse_parse_cmdline(&args, &mountpoint, NULL, &foreground) == -1) return 1;
#if FUSE_USE_VERSION >= 26
  channel = fuse_mount(mountpoint, &args);
  if (channel != NULL) session = fuse_lowlevel_new(&args, &all, sizeof all, NULL);
  if (session != NULL) {
    fuse_session_add_chan(session, channel);
    result = fuse_session_loop(session);
    fuse_session_remove_chan(channel);
  }
  if (channel != NULL) fuse_unmount(mountpoint, channel);
#else
#if FUSE_USE_VERSION == 25
  fd = fuse_mount(mountpoint, &args);
  if (fd != -1) session = fuse_lowlevel_new(&args, &all, sizeof all, NULL);
#else
  fd = fuse_mount(mountpoint, "fsname=tiny");
  if (fd != -1) session = fuse_lowlevel_new("max_write=8192", &all, sizeof all, NULL);
#endif
  if (session != NULL) {
    fuse_session_add_chan(session, fuse_kern_chan_new(fd));
    result = fuse_session_loop(session);
  }
  fuse_unmount(mountpoint);
#endif
  if (session != NULL) fuse_session_destroy(session);
  free(mountpoint);
  fuse_opt_free_args(&args);
  return result == 0 ? 0 : 1;
}

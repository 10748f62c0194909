/* Shows the directory $MIRROR_ROOT, and appends a line to the file $MIRROR_LOG for each operation. What it implements,
 * and how, is said by words in $MIRROR. All of fuse_operations. */
#define FUSE_USE_VERSION 29
#include <dirent.h>
#include <errno.h>
#include <fuse.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PRIVATE ((void*)0x1234)

static const char* root;
static int log_fd = -1;

static int has(const char* word) {
  const char* words = getenv("MIRROR");
  const char* at = words;
  size_t length = strlen(word);
  while (at != NULL && (at = strstr(at, word)) != NULL) {
    if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) return 1;
    at += length;
  }
  return 0;
}

static void note(const char* format, ...) {
  char line[8192];
  int length;
  va_list arguments;
  va_start(arguments, format);
  length = vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  if (length > (int)sizeof line - 2) length = (int)sizeof line - 2;
  line[length++] = '\n';
  if (write(log_fd, line, (size_t)length) != length) abort();
  if (fuse_get_context()->private_data != PRIVATE && strncmp(line, "init", 4) != 0) abort();
}

static const char* shown(const char* path) { return path != NULL ? path : "(null)"; }

/* Valid until the thread asks again three times. What does not fit is too long for the system, too. */
static const char* real(const char* path) {
  static __thread char buffers[3][2 * PATH_MAX];
  static __thread int next;
  char* buffer = buffers[next++ % 3];
  snprintf(buffer, sizeof buffers[0], "%s%s", root, path);
  return buffer;
}

static int result(int value) { return value < 0 ? -errno : value; }

static int m_getattr(const char* path, struct stat* status) {
  note("getattr %s", path);
  if (strncmp(path, "/errno-", 7) == 0) return -atoi(path + 7);
  if (strcmp(path, "/positive") == 0) return EACCES;
  return result(lstat(real(path), status));
}
static int m_fgetattr(const char* path, struct stat* status, struct fuse_file_info* fi) {
  note("fgetattr %s", shown(path));
  return result(fstat((int)fi->fh, status));
}
static int m_readlink(const char* path, char* buffer, size_t size) {
  ssize_t length = readlink(real(path), buffer, size - 1);
  note("readlink %s", path);
  if (length < 0) return -errno;
  buffer[length] = '\0';
  return 0;
}
static int m_mknod(const char* path, mode_t mode, dev_t device) {
  note("mknod %s %o", path, mode);
  return result(mknod(real(path), mode, device));
}
static int m_mkdir(const char* path, mode_t mode) {
  note("mkdir %s isdir=%d", path, S_ISDIR(mode) ? 1 : 0);
  return result(mkdir(real(path), mode));
}
static int m_unlink(const char* path) {
  note("unlink %s", path);
  if (strcmp(path, "/positive-unlink") == 0) return EACCES;
  return result(unlink(real(path)));
}
static int m_rmdir(const char* path) {
  note("rmdir %s", path);
  return result(rmdir(real(path)));
}
static int m_symlink(const char* target, const char* path) {
  note("symlink %s %s", target, path);
  return result(symlink(target, real(path)));
}
static int m_rename(const char* from, const char* to) {
  note("rename %s %s", from, to);
  return result(rename(real(from), real(to)));
}
static int m_link(const char* from, const char* to) {
  note("link %s %s", from, to);
  return result(link(real(from), real(to)));
}
static int m_chmod(const char* path, mode_t mode) {
  note("chmod %s %o", path, mode & 07777);
  return result(chmod(real(path), mode));
}
static int m_chown(const char* path, uid_t uid, gid_t gid) {
  note("chown %s %d %d", path, (int)uid, (int)gid);
  return result(lchown(real(path), uid, gid));
}
static int m_truncate(const char* path, off_t size) {
  note("truncate %s %ld", path, (long)size);
  return result(truncate(real(path), size));
}
static int m_ftruncate(const char* path, off_t size, struct fuse_file_info* fi) {
  note("ftruncate %s %ld", shown(path), (long)size);
  return result(ftruncate((int)fi->fh, size));
}
static int m_utime(const char* path, struct utimbuf* times) {
  note("utime %s %ld %ld", path, (long)times->actime, (long)times->modtime);
  return result(utime(real(path), times));
}
static int m_utimens(const char* path, const struct timespec times[2]) {
  note("utimens %s %ld %ld", path, times[0].tv_nsec, times[1].tv_nsec);
  return result(utimensat(AT_FDCWD, real(path), times, AT_SYMLINK_NOFOLLOW));
}
static int m_open(const char* path, struct fuse_file_info* fi) {
  int fd = open(real(path), fi->flags);
  note("open %s %x", path, fi->flags);
  if (fd < 0) return -errno;
  fi->fh = (uint64_t)fd;
  if (has("direct")) fi->direct_io = 1;
  return 0;
}
static int m_create(const char* path, mode_t mode, struct fuse_file_info* fi) {
  int fd = open(real(path), fi->flags | O_CREAT, mode);
  note("create %s", path);
  if (fd < 0) return -errno;
  fi->fh = (uint64_t)fd;
  return 0;
}
/* Who waits for the next write, with the word "waits". */
static struct fuse_pollhandle* waiting;
static int m_read(const char* path, char* buffer, size_t size, off_t offset, struct fuse_file_info* fi) {
  note("read %s %lu", shown(path), (unsigned long)size);
  if (has("stuck")) {
    struct timespec long_time = {60, 0};
    if (has("twice")) nanosleep(&long_time, NULL); /* the first signal comes to nothing */
    int interrupted = nanosleep(&long_time, NULL) != 0 && errno == EINTR && fuse_interrupted();
    note("interrupted=%d", interrupted);
    return interrupted ? -EINTR : 0;
  }
  if (has("overrun")) return (int)size + 1;
  if (has("short") && size > 1000) size = 1000;
  return result((int)pread((int)fi->fh, buffer, size, offset));
}
static int m_read_buf(const char* path, struct fuse_bufvec** bufp, size_t size, off_t offset,
                      struct fuse_file_info* fi) {
  struct fuse_bufvec* vector = malloc(sizeof *vector);
  note("read_buf %s", shown(path));
  if (vector == NULL) return -ENOMEM;
  *vector = FUSE_BUFVEC_INIT(size);
  vector->buf[0].flags = (enum fuse_buf_flags)(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK | FUSE_BUF_FD_RETRY);
  vector->buf[0].fd = (int)fi->fh;
  vector->buf[0].pos = offset;
  *bufp = vector;
  return 0;
}
static int m_write(const char* path, const char* buffer, size_t size, off_t offset, struct fuse_file_info* fi) {
  int written;
  note("write %s %lu", shown(path), (unsigned long)size);
  if (has("overrun")) return (int)size + 1;
  if (has("direct") && size > 10) size = 10;
  written = result((int)pwrite((int)fi->fh, buffer, size, offset));
  if (waiting != NULL) {
    fuse_notify_poll(waiting);
    fuse_pollhandle_destroy(waiting);
    waiting = NULL;
  }
  return written;
}
static int m_write_buf(const char* path, struct fuse_bufvec* source, off_t offset, struct fuse_file_info* fi) {
  struct fuse_bufvec target = FUSE_BUFVEC_INIT(fuse_buf_size(source));
  note("write_buf %s", shown(path));
  target.buf[0].flags = (enum fuse_buf_flags)(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK);
  target.buf[0].fd = (int)fi->fh;
  target.buf[0].pos = offset;
  return (int)fuse_buf_copy(&target, source, (enum fuse_buf_copy_flags)0);
}
static int m_statfs(const char* path, struct statvfs* status) {
  note("statfs %s", path);
  return result(statvfs(root, status));
}
static int m_flush(const char* path, struct fuse_file_info* fi) {
  (void)fi;
  note("flush %s", shown(path));
  return has("quota") ? -EDQUOT : 0;
}
static int m_release(const char* path, struct fuse_file_info* fi) {
  note("release %s flock=%d owner=%lx", shown(path), fi->flock_release, (unsigned long)fi->lock_owner);
  close((int)fi->fh);
  return -EIO;
}
static int m_fsync(const char* path, int data_only, struct fuse_file_info* fi) {
  (void)fi;
  note("fsync %s %d", shown(path), data_only != 0);
  return 0;
}
static int m_setxattr(const char* path, const char* name, const char* value, size_t size, int flags) {
  note("setxattr %s %s %d", path, name, flags);
  return result(lsetxattr(real(path), name, value, size, flags));
}
static int m_getxattr(const char* path, const char* name, char* value, size_t size) {
  return result((int)lgetxattr(real(path), name, value, size));
}
static int m_listxattr(const char* path, char* list, size_t size) {
  return result((int)llistxattr(real(path), list, size));
}
static int m_removexattr(const char* path, const char* name) {
  note("removexattr %s %s", path, name);
  return result(lremovexattr(real(path), name));
}
static int m_opendir(const char* path, struct fuse_file_info* fi) {
  DIR* stream = opendir(real(path));
  note("opendir %s", path);
  if (stream == NULL) return -errno;
  fi->fh = (uint64_t)(unsigned long)stream;
  return 0;
}
static int m_readdir(const char* path, void* buffer, fuse_fill_dir_t filler, off_t offset, struct fuse_file_info* fi) {
  DIR* stream = (DIR*)(unsigned long)fi->fh;
  struct dirent* entry;
  note("readdir %s %ld", shown(path), (long)offset);
  seekdir(stream, offset);
  while ((entry = readdir(stream)) != NULL) {
    struct stat status;
    memset(&status, 0, sizeof status);
    status.st_ino = entry->d_ino;
    status.st_mode = (mode_t)entry->d_type << 12;
    if (filler(buffer, entry->d_name, &status, has("pieces") ? telldir(stream) : 0) != 0) break;
  }
  return 0;
}
static int m_releasedir(const char* path, struct fuse_file_info* fi) {
  note("releasedir %s", shown(path));
  closedir((DIR*)(unsigned long)fi->fh);
  return 0;
}
static int m_fsyncdir(const char* path, int data_only, struct fuse_file_info* fi) {
  (void)fi, (void)data_only;
  note("fsyncdir %s", shown(path));
  return 0;
}
static void* m_init(struct fuse_conn_info* conn) {
  note("init %u.%u", conn->proto_major, conn->proto_minor);
  return PRIVATE;
}
static void m_destroy(void* data) { note("destroy %p", data); }
static int m_access(const char* path, int mask) {
  note("access %s %d uid=%u", path, mask, (unsigned)fuse_get_context()->uid);
  return 0;
}
static int m_lock(const char* path, struct fuse_file_info* fi, int command, struct flock* lock) {
  (void)fi;
  note("lock %s %d type=%d start=%ld whence=%d pid=%d", shown(path), command, lock->l_type, (long)lock->l_start,
       lock->l_whence, lock->l_pid != 0);
  if (command == F_GETLK) lock->l_type = F_UNLCK;
  return 0;
}
static int m_flock(const char* path, struct fuse_file_info* fi, int operation) {
  note("flock %s %x owner=%lx", shown(path), operation, (unsigned long)fi->lock_owner);
  return 0;
}
static int m_ioctl(const char* path, int command, void* argument, struct fuse_file_info* fi, unsigned flags,
                   void* data) {
  (void)fi, (void)argument;
  note("ioctl %s dir=%d data=%d compat=%d %x", shown(path), (flags & FUSE_IOCTL_DIR) != 0, data != NULL,
       (flags & FUSE_IOCTL_COMPAT) != 0, (unsigned)command);
  if ((unsigned)command == (unsigned)_IOWR('E', 1, int)) {
    *(int*)data += 1;
    return 7;
  }
  if ((unsigned)command == (unsigned)_IO('E', 2)) return data == NULL ? 0 : -EINVAL;
  return -ENOTTY;
}
static int m_poll(const char* path, struct fuse_file_info* fi, struct fuse_pollhandle* handle, unsigned* events) {
  static int calls;
  (void)fi;
  note("poll %s", shown(path));
  if (has("waits")) {
    struct stat status;
    if (fstat((int)fi->fh, &status) != 0) return -errno;
    *events = status.st_size > 0 ? POLLIN : 0;
    if (handle != NULL) {
      if (waiting != NULL) fuse_pollhandle_destroy(waiting);
      waiting = handle;
    }
    return 0;
  }
  if (calls++ == 0 && handle != NULL) {
    *events = 0;
  } else {
    *events = POLLIN;
  }
  if (handle != NULL) {
    fuse_notify_poll(handle);
    fuse_pollhandle_destroy(handle);
  }
  return 0;
}
static int m_bmap(const char* path, size_t block_size, uint64_t* index) {
  (void)block_size, (void)index;
  note("bmap %s", path);
  return 0;
}
static int m_fallocate(const char* path, int mode, off_t offset, off_t length, struct fuse_file_info* fi) {
  note("fallocate %s %d %ld %ld", shown(path), mode, (long)offset, (long)length);
  return result(fallocate((int)fi->fh, mode, offset, length));
}

static void fill(struct fuse_operations* all) {
  all->getattr = m_getattr, all->readlink = m_readlink, all->mknod = m_mknod, all->mkdir = m_mkdir;
  all->unlink = m_unlink, all->rmdir = m_rmdir, all->symlink = m_symlink, all->rename = m_rename, all->link = m_link;
  all->chmod = m_chmod, all->chown = m_chown, all->truncate = m_truncate, all->utime = m_utime, all->open = m_open;
  all->read = m_read, all->write = m_write, all->statfs = m_statfs, all->flush = m_flush, all->release = m_release;
  all->fsync = m_fsync, all->setxattr = m_setxattr, all->getxattr = m_getxattr, all->listxattr = m_listxattr;
  all->removexattr = m_removexattr, all->opendir = m_opendir, all->readdir = m_readdir;
  all->releasedir = m_releasedir, all->fsyncdir = m_fsyncdir, all->init = m_init, all->destroy = m_destroy;
  all->access = m_access, all->ioctl = m_ioctl, all->poll = m_poll, all->fallocate = m_fallocate;
  all->bmap = m_bmap;
  if (!has("no_create")) all->create = m_create;
  if (!has("no_f")) all->ftruncate = m_ftruncate, all->fgetattr = m_fgetattr;
  if (!has("no_utimens")) all->utimens = m_utimens;
  if (has("locks")) all->lock = m_lock, all->flock = m_flock;
  if (has("buffers")) all->read_buf = m_read_buf, all->write_buf = m_write_buf;
  all->flag_nullpath_ok = has("nullpath_ok") != 0;
  all->flag_nopath = has("nopath") != 0;
  all->flag_utime_omit_ok = has("omit_ok") != 0;
}

int main(int argc, char* argv[]) {
  struct fuse_operations all;
  memset(&all, 0, sizeof all);
  root = getenv("MIRROR_ROOT");
  log_fd = open(getenv("MIRROR_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (root == NULL || log_fd < 0) return 99;
  umask(0);
  fill(&all);
  if (has("only_getattr")) {
    memset(&all, 0, sizeof all);
    all.getattr = m_getattr;
    all.init = m_init;
  }
  /* A table of an older and shorter interface ends before ioctl. */
  return fuse_main_real(argc, argv, &all, has("short_table") ? offsetof(struct fuse_operations, ioctl) : sizeof all,
                        NULL);
}

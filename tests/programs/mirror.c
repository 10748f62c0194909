/* Shows the directory $MIRROR_ROOT, and appends a line to the file $MIRROR_LOG for each operation. What it implements,
 * and how, is said by words in $MIRROR. All of fuse_operations. */
#define FUSE_USE_VERSION 29
#include <dirent.h>
#include <errno.h>
#include <fuse.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
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
  char line[16384];
  int length;
  const struct fuse_context* context = fuse_get_context();
  va_list arguments;
  va_start(arguments, format);
  length = vsnprintf(line, sizeof line - 100, format, arguments);
  va_end(arguments);
  if (length > (int)sizeof line - 101) length = (int)sizeof line - 101;
  if (has("who")) {
    length += sprintf(line + length, " uid=%u gid=%u pid=%d umask=%o", context->uid, context->gid, context->pid,
                      context->umask);
  }
  line[length++] = '\n';
  if (write(log_fd, line, (size_t)length) != length) abort();
  if (context->private_data != PRIVATE && strncmp(line, "init", 4) != 0) abort();
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

/* Handles are larger than what any of the library's own could be. */
#define MARK 0xfeed000000000000u
static int file_of(const struct fuse_file_info* fi) { return (int)(fi->fh & ~MARK); }
static DIR* stream_of(const struct fuse_file_info* fi) { return (DIR*)(unsigned long)(fi->fh & ~MARK); }
static unsigned long handle(const struct fuse_file_info* fi) { return (unsigned long)fi->fh; }

/* A file of which every number is another. */
static int all_fields(struct stat* status, mode_t mode) {
  status->st_dev = 99, status->st_ino = 4242, status->st_mode = mode, status->st_nlink = 7;
  status->st_uid = 70001, status->st_gid = 70002, status->st_rdev = makedev(300, 70003);
  status->st_size = 5000000001, status->st_blksize = 12345, status->st_blocks = 77777;
  status->st_atim.tv_sec = -5, status->st_mtim.tv_sec = 1000000001, status->st_ctim.tv_sec = 5000000002;
  status->st_atim.tv_nsec = 123456781, status->st_mtim.tv_nsec = 2, status->st_ctim.tv_nsec = 999999993;
  return 0;
}

static int m_getattr(const char* path, struct stat* status) {
  note("getattr %s", path);
  if (strncmp(path, "/errno-", 7) == 0) return -atoi(path + 7);
  if (strcmp(path, "/positive") == 0) return EACCES;
  if (strcmp(path, "/every-field") == 0) return all_fields(status, S_IFREG | 06751);
  if (strcmp(path, "/every-field-of-a-device") == 0) return all_fields(status, S_IFBLK | 01751);
  if (has("deep")) path = "/";
  return result(lstat(real(path), status));
}
static int m_fgetattr(const char* path, struct stat* status, struct fuse_file_info* fi) {
  note("fgetattr %s fh=%lx", shown(path), handle(fi));
  return result(fstat(file_of(fi), status));
}
static int m_readlink(const char* path, char* buffer, size_t size) {
  ssize_t length = readlink(real(path), buffer, size - 1);
  note("readlink %s", path);
  if (has("endless_links")) return memset(buffer, 'x', size), 0; /* without an end */
  if (length < 0) return -errno;
  buffer[length] = '\0';
  return 0;
}
static int m_mknod(const char* path, mode_t mode, dev_t device) {
  note("mknod %s %o", path, mode);
  return result(mknod(real(path), mode, device));
}
static int m_mkdir(const char* path, mode_t mode) {
  note("mkdir %s isdir=%d mode=%o", path, S_ISDIR(mode) ? 1 : 0, mode & 07777);
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
  note("ftruncate %s %ld fh=%lx", shown(path), (long)size, handle(fi));
  return result(ftruncate(file_of(fi), size));
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
  int fd = strcmp(path, "/forbidden") != 0 ? open(real(path), fi->flags) : (errno = EACCES, -1);
  int error = errno;
  fi->fh = MARK | (unsigned)fd;
  note("open %s %x fh=%lx", path, fi->flags, handle(fi));
  if (fd < 0) return -error;
  if (has("direct")) fi->direct_io = 1;
  return 0;
}
static int m_create(const char* path, mode_t mode, struct fuse_file_info* fi) {
  int fd = open(real(path), fi->flags | O_CREAT, mode);
  int error = errno;
  fi->fh = MARK | (unsigned)fd;
  note("create %s fh=%lx", path, handle(fi));
  if (fd < 0) return -error;
  return 0;
}
/* Who waits for the next write, with the word "waits". */
static struct fuse_pollhandle* waiting;
static pthread_mutex_t waiting_mutex = PTHREAD_MUTEX_INITIALIZER;
static void wait_with(struct fuse_pollhandle* wake, int tell) {
  struct fuse_pollhandle* earlier;
  pthread_mutex_lock(&waiting_mutex);
  earlier = waiting;
  waiting = wake;
  pthread_mutex_unlock(&waiting_mutex);
  if (earlier == NULL) return;
  if (tell) fuse_notify_poll(earlier);
  fuse_pollhandle_destroy(earlier);
}
static int m_read(const char* path, char* buffer, size_t size, off_t offset, struct fuse_file_info* fi) {
  note("read %s %lu fh=%lx", shown(path), (unsigned long)size, handle(fi));
  if (has("stuck")) {
    struct timespec long_time = {60, 0};
    if (has("twice")) nanosleep(&long_time, NULL); /* the first signal comes to nothing */
    int interrupted = nanosleep(&long_time, NULL) != 0 && errno == EINTR && fuse_interrupted();
    note("interrupted=%d", interrupted);
    return interrupted ? -EINTR : 0;
  }
  if (has("overrun")) return (int)size + 1;
  if (has("short") && size > 1000) size = 1000;
  return result((int)pread(file_of(fi), buffer, size, offset));
}
/* A buffer that is a file; with the word "mixed", the first half lies in memory of ours. */
static int m_read_buf(const char* path, struct fuse_bufvec** bufp, size_t size, off_t offset,
                      struct fuse_file_info* fi) {
  struct fuse_bufvec* vector = calloc(1, sizeof *vector + sizeof vector->buf[0]);
  struct fuse_buf* file;
  size_t half = has("mixed") ? size / 2 : 0;
  note("read_buf %s fh=%lx", shown(path), handle(fi));
  if (vector == NULL) return -ENOMEM;
  *bufp = vector;
  if (half != 0) {
    ssize_t got;
    vector->buf[0].mem = malloc(half);
    if (vector->buf[0].mem == NULL) return -ENOMEM;
    got = pread(file_of(fi), vector->buf[0].mem, half, offset);
    if (got < 0) return -errno;
    vector->buf[vector->count++].size = (size_t)got;
  }
  file = &vector->buf[vector->count++];
  file->size = size - half;
  file->flags = (enum fuse_buf_flags)(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK | FUSE_BUF_FD_RETRY);
  file->fd = file_of(fi);
  file->pos = offset + (off_t)half;
  return 0;
}
static int m_write(const char* path, const char* buffer, size_t size, off_t offset, struct fuse_file_info* fi) {
  int written;
  note("write %s %lu fh=%lx", shown(path), (unsigned long)size, handle(fi));
  if (has("overrun")) return (int)size + 1;
  if (has("short") && size > 10) size = 10;
  written = result((int)pwrite(file_of(fi), buffer, size, offset));
  wait_with(NULL, 1);
  return written;
}
/* To the file; with the word "mixed", by memory of ours. */
static int m_write_buf(const char* path, struct fuse_bufvec* source, off_t offset, struct fuse_file_info* fi) {
  struct fuse_bufvec target = FUSE_BUFVEC_INIT(fuse_buf_size(source));
  ssize_t size;
  note("write_buf %s fh=%lx", shown(path), handle(fi));
  if (has("mixed")) {
    target.buf[0].mem = malloc(target.buf[0].size);
    size = fuse_buf_copy(&target, source, (enum fuse_buf_copy_flags)0);
    if (size >= 0) size = result((int)pwrite(file_of(fi), target.buf[0].mem, (size_t)size, offset));
    free(target.buf[0].mem);
    return (int)size;
  }
  target.buf[0].flags = (enum fuse_buf_flags)(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK);
  target.buf[0].fd = file_of(fi);
  target.buf[0].pos = offset;
  return (int)fuse_buf_copy(&target, source, (enum fuse_buf_copy_flags)0);
}
static int m_statfs(const char* path, struct statvfs* status) {
  note("statfs %s", path);
  if (has("own_statfs")) {
    status->f_bsize = 8192, status->f_frsize = 512, status->f_blocks = 5000000001, status->f_bfree = 4000000002;
    status->f_bavail = 3000000003, status->f_files = 6000000004, status->f_ffree = 2000000005;
    status->f_favail = 6, status->f_fsid = 7, status->f_flag = ST_NODEV | ST_SYNCHRONOUS, status->f_namemax = 199;
    return 0;
  }
  return result(statvfs(root, status));
}
static int m_flush(const char* path, struct fuse_file_info* fi) {
  note("flush %s fh=%lx", shown(path), handle(fi));
  return has("quota") ? -EDQUOT : 0;
}
static int m_release(const char* path, struct fuse_file_info* fi) {
  note("release %s flock=%d access=%d fh=%lx owner=%lx", shown(path), fi->flock_release, fi->flags & O_ACCMODE,
       handle(fi), (unsigned long)fi->lock_owner);
  close(file_of(fi));
  return -EIO;
}
static int m_fsync(const char* path, int data_only, struct fuse_file_info* fi) {
  note("fsync %s %d fh=%lx", shown(path), data_only != 0, handle(fi));
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
  DIR* stream = strcmp(path, "/forbidden") != 0 ? opendir(real(path)) : (errno = EACCES, NULL);
  int error = errno;
  fi->fh = MARK | (unsigned long)stream;
  note("opendir %s fh=%lx", path, handle(fi));
  if (stream == NULL) return -error;
  return 0;
}
static int m_readdir(const char* path, void* buffer, fuse_fill_dir_t filler, off_t offset, struct fuse_file_info* fi) {
  DIR* stream = stream_of(fi);
  struct dirent* entry;
  note("readdir %s %ld fh=%lx", shown(path), (long)offset, handle(fi));
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
  note("releasedir %s fh=%lx", shown(path), handle(fi));
  closedir(stream_of(fi));
  return 0;
}
static int m_fsyncdir(const char* path, int data_only, struct fuse_file_info* fi) {
  note("fsyncdir %s %d fh=%lx", shown(path), data_only != 0, handle(fi));
  return 0;
}
static void* m_init(struct fuse_conn_info* conn) {
  note("init %u.%u", conn->proto_major, conn->proto_minor);
  if (has("edits")) {
    conn->max_readahead = 32768, conn->max_write = 16384;
    conn->max_background = 7, conn->congestion_threshold = 5;
    conn->want |= FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_DONT_MASK;
    conn->want &= ~(unsigned)FUSE_CAP_POSIX_LOCKS;
  }
  return PRIVATE;
}
static void m_destroy(void* data) { note("destroy %p", data); }
static int m_access(const char* path, int mask) {
  note("access %s %d uid=%u", path, mask, (unsigned)fuse_get_context()->uid);
  return 0;
}
static int m_lock(const char* path, struct fuse_file_info* fi, int command, struct flock* lock) {
  note("lock %s %d type=%d start=%ld len=%ld whence=%d pid=%d fh=%lx owner=%lx", shown(path), command, lock->l_type,
       (long)lock->l_start, (long)lock->l_len, lock->l_whence, lock->l_pid, handle(fi), (unsigned long)fi->lock_owner);
  if (command == F_GETLK) lock->l_type = F_UNLCK;
  return 0;
}
static int m_flock(const char* path, struct fuse_file_info* fi, int operation) {
  note("flock %s %x fh=%lx owner=%lx", shown(path), operation, handle(fi), (unsigned long)fi->lock_owner);
  return 0;
}
static int m_ioctl(const char* path, int command, void* argument, struct fuse_file_info* fi, unsigned flags,
                   void* data) {
  (void)argument;
  note("ioctl %s dir=%d data=%d compat=%d %x fh=%lx", shown(path), (flags & FUSE_IOCTL_DIR) != 0, data != NULL,
       (flags & FUSE_IOCTL_COMPAT) != 0, (unsigned)command, handle(fi));
  if ((unsigned)command == (unsigned)_IOWR('E', 1, int)) {
    *(int*)data += 1;
    return 7;
  }
  if ((unsigned)command == (unsigned)_IO('E', 2)) return data == NULL ? 0 : -EINVAL;
  if ((unsigned)command == (unsigned)_IOW('E', 4, long)) return (int)*(long*)data;
  if ((unsigned)command == (unsigned)_IOR('E', 5, long)) return *(long*)data = 4242, 0;
  return -ENOTTY;
}
static int m_poll(const char* path, struct fuse_file_info* fi, struct fuse_pollhandle* wake, unsigned* events) {
  static int calls;
  note("poll %s fh=%lx", shown(path), handle(fi));
  if (has("waits")) {
    struct stat status;
    if (fstat(file_of(fi), &status) != 0) return -errno;
    *events = status.st_size > 0 ? POLLIN : 0;
    if (wake != NULL) wait_with(wake, 0);
    return 0;
  }
  if (calls++ == 0 && wake != NULL) {
    *events = 0;
  } else {
    *events = POLLIN;
  }
  if (wake != NULL) {
    fuse_notify_poll(wake);
    fuse_pollhandle_destroy(wake);
  }
  return 0;
}
static int m_bmap(const char* path, size_t block_size, uint64_t* index) {
  note("bmap %s %lu %lu", path, (unsigned long)block_size, (unsigned long)*index);
  *index += 1000;
  return 0;
}
static int m_fallocate(const char* path, int mode, off_t offset, off_t length, struct fuse_file_info* fi) {
  note("fallocate %s %d %ld %ld fh=%lx", shown(path), mode, (long)offset, (long)length, handle(fi));
  return result(fallocate(file_of(fi), mode, offset, length));
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
  if (has("reserved")) all->flag_reserved = 0x1fffffff;
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

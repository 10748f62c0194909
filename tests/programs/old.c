/* Programs that were linked long ago: "old WAY MOUNTPOINT [-o OPTIONS]" binds the symbols and uses the tables of an old
 * interface, and shows one file. A WAY is a function and the version it was linked with; without a version it is the
 * default, or, with BEFORE_VERSIONS, what a program gets that was linked before there were any. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/types.h>

typedef void (*function)(void);

static function find(const char* name, const char* version) {
  static void* library;
  function found;
  if (library == NULL) library = dlopen(LIBRARY, RTLD_NOW | RTLD_GLOBAL);
  *(void**)&found = version != NULL ? dlvsym(library, name, version) : dlsym(library, name);
  if (found == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(99);
  }
  return found;
}
/* Calls `name` of `version` (NULL: the default) as a function of this type. */
#define CALL(name, version, result, parameters) ((result(*) parameters)find(name, version))

static const char text[] = "Hello, world!\n";
enum { HANDLE = 4711 };

static void fill_status(int is_root, struct stat* status) {
  memset(status, 0, sizeof *status);
  status->st_nlink = 1;
  status->st_mode = is_root ? S_IFDIR | 0755 : S_IFREG | 0644;
  status->st_size = is_root ? 0 : (off_t)strlen(text);
}
static int slice(char* buffer, size_t size, off_t offset) {
  size_t length = strlen(text);
  if ((size_t)offset >= length) return 0;
  if (size > length - (size_t)offset) size = length - (size_t)offset;
  memcpy(buffer, text + offset, size);
  return (int)size;
}
static int may_open(int flags) { return (flags & O_ACCMODE) == O_RDONLY ? 0 : -EACCES; }

/* {{{ what the structures were */
struct info22 {
  int flags;
  unsigned long fh;
  int writepage;
  unsigned direct_io : 1, keep_cache : 1;
};
struct info25 {
  int flags;
  unsigned long fh_old;
  int writepage;
  unsigned bits;
  uint64_t fh;
};
struct statfs11 {
  long block_size, blocks, blocks_free, files, files_free, namelen;
};
struct args {
  int argc;
  char** argv;
  int allocated;
};
/* }}} */

static int getattr(const char* path, struct stat* status) {
  if (strcmp(path, "/") != 0 && strcmp(path, "/hello") != 0) return -ENOENT;
  fill_status(path[1] == '\0', status);
  return 0;
}
static int getdir11(const char* path, void* handle, int (*filler)(void*, const char*, int)) {
  return (void)path, filler(handle, "hello", 8);
}
static int getdir22(const char* path, void* handle, int (*filler)(void*, const char*, int, ino_t)) {
  return (void)path, filler(handle, "hello", 8, 2);
}
static int readdir25(const char* path, void* buffer, int (*filler)(void*, const char*, const struct stat*, off_t),
                     off_t offset, struct info25* info) {
  return (void)path, (void)offset, (void)info, filler(buffer, "hello", NULL, 0);
}
static int open11(const char* path, int flags) { return (void)path, may_open(flags); }
static int open22(const char* path, struct info22* info) {
  return (void)path, info->fh = HANDLE, may_open(info->flags);
}
static int open25(const char* path, struct info25* info) {
  return (void)path, info->fh = HANDLE, may_open(info->flags);
}
static int read11(const char* path, char* buffer, size_t size, off_t offset) {
  return (void)path, slice(buffer, size, offset);
}
static int read22(const char* path, char* buffer, size_t size, off_t offset, struct info22* info) {
  return (void)path, info->fh == HANDLE ? slice(buffer, size, offset) : -EBADF;
}
static int read25(const char* path, char* buffer, size_t size, off_t offset, struct info25* info) {
  return (void)path, info->fh == HANDLE ? slice(buffer, size, offset) : -EBADF;
}
static int statfs11(struct statfs11* status) { return status->block_size = 1024, status->blocks = 77, 0; }
static int statfs22(const char* path, struct statfs* status) {
  return (void)path, status->f_bsize = 1024, status->f_blocks = 77, 0;
}
static int statfs25(const char* path, struct statvfs* status) {
  return (void)path, status->f_bsize = status->f_frsize = 1024, status->f_blocks = 77, 0;
}
static int flush11(const char* path) { return strcmp(path, "/hello") == 0 ? 0 : -EIO; }
static int release11(const char* path, int flags) {
  if (strcmp(path, "/hello") != 0 || may_open(flags) != 0) abort();
  return 0;
}
static void* init(void) { return (void*)text; }
static void destroy(void* data) {
  if (data != (void*)text) abort();
}

/* The tables, by the places of their members. The first interface had no flush between statfs and release. */
enum { GETATTR = 0, GETDIR = 2, OPEN = 14, READ = 15, STATFS = 17, FLUSH = 18, RELEASE = 19, READDIR = 26 };
enum { INIT = 29, DESTROY = 30, SIZE11 = 20, SIZE21 = 25, SIZE22 = 31, SIZE25 = 35 };

static const function* table(int version) {
  static function slots[SIZE25];
  slots[GETATTR] = (function)getattr;
  slots[GETDIR] = version <= 21 ? (function)getdir11 : (function)getdir22;
  slots[OPEN] = version <= 21 ? (function)open11 : version == 22 ? (function)open22 : (function)open25;
  slots[READ] = version <= 21 ? (function)read11 : version == 22 ? (function)read22 : (function)read25;
  slots[STATFS] = version == 11 ? (function)statfs11 : version <= 22 ? (function)statfs22 : (function)statfs25;
  if (version == 11) slots[RELEASE - 1] = (function)release11;
  if (version == 21) slots[FLUSH] = (function)flush11, slots[RELEASE] = (function)release11;
  if (version == 25) slots[GETDIR] = NULL, slots[READDIR] = (function)readdir25;
  if (version >= 22) slots[INIT] = (function)init, slots[DESTROY] = (function)destroy;
  return slots;
}
static size_t size_of(int version) { return (version == 22 ? SIZE22 : SIZE25) * sizeof(function); }

/* {{{ the low level */
struct entry {
  unsigned long ino, generation;
  struct stat attr;
  double attr_timeout, entry_timeout;
};
static int low_version;

static void low_lookup(void* req, unsigned long parent, const char* name) {
  struct entry entry;
  memset(&entry, 0, sizeof entry);
  entry.ino = 2;
  fill_status(0, &entry.attr);
  if (parent == 1 && strcmp(name, "hello") == 0) {
    CALL("fuse_reply_entry", NULL, int, (void*, const struct entry*))(req, &entry);
  } else {
    CALL("fuse_reply_err", NULL, int, (void*, int))(req, ENOENT);
  }
}
static void low_getattr(void* req, unsigned long ino, void* info) {
  struct stat status;
  (void)info;
  fill_status(ino == 1, &status);
  CALL("fuse_reply_attr", NULL, int, (void*, const struct stat*, double))(req, &status, 1);
}
static void low_open(void* req, unsigned long ino, void* info) {
  struct info22* old = info;
  struct info25* newer = info;
  (void)ino;
  if (may_open(old->flags) != 0) {
    CALL("fuse_reply_err", NULL, int, (void*, int))(req, EACCES);
  } else if (low_version == 24) {
    old->fh = HANDLE;
    CALL("fuse_reply_open", "FUSE_2.4", int, (void*, const struct info22*))(req, old);
  } else {
    newer->fh = HANDLE;
    CALL("fuse_reply_open", "FUSE_2.5", int, (void*, const struct info25*))(req, newer);
  }
}
static void low_read(void* req, unsigned long ino, size_t size, off_t offset, void* info) {
  char buffer[100];
  struct info22* old = info;
  struct info25* newer = info;
  uint64_t fh = low_version == 24 ? old->fh : newer->fh;
  (void)ino;
  if (fh == HANDLE) {
    CALL("fuse_reply_buf", NULL, int, (void*, const char*, size_t))
    (req, buffer, (size_t)slice(buffer, size > sizeof buffer ? sizeof buffer : size, offset));
  } else {
    CALL("fuse_reply_err", NULL, int, (void*, int))(req, EBADF);
  }
}
static void low_readdir(void* req, unsigned long ino, size_t size, off_t offset, void* info) {
  char buffer[100];
  struct stat status;
  char* end = buffer;
  (void)ino, (void)size, (void)info;
  fill_status(0, &status);
  status.st_ino = 2;
  if (offset == 0) {
    end = CALL("fuse_add_dirent", NULL, char*, (char*, const char*, const struct stat*, off_t))(buffer, "hello",
                                                                                                &status, 1);
    if ((size_t)(end - buffer) != CALL("fuse_dirent_size", NULL, size_t, (size_t))(5)) abort();
  }
  CALL("fuse_reply_buf", NULL, int, (void*, const char*, size_t))(req, buffer, (size_t)(end - buffer));
}
static void low_statfs(void* req) {
  if (low_version == 24) {
    struct statfs status;
    memset(&status, 0, sizeof status);
    statfs22("", &status);
    CALL("fuse_reply_statfs", "FUSE_2.4", int, (void*, const struct statfs*))(req, &status);
  } else {
    struct statvfs status;
    memset(&status, 0, sizeof status);
    statfs25("", &status);
    CALL("fuse_reply_statfs", "FUSE_2.5", int, (void*, const struct statvfs*))(req, &status);
  }
}

static void* kernel;
struct channel24 {
  int (*receive)(void*, char*, size_t);
  int (*send)(void*, const void*, size_t);
  void (*destroy)(void*);
};
static int carry_in(void* channel, char* buffer, size_t size) {
  (void)channel;
  return CALL("fuse_chan_receive", NULL, int, (void*, char*, size_t))(kernel, buffer, size);
}
static int carry_out(void* channel, const void* parts, size_t count) {
  (void)channel;
  return CALL("fuse_chan_send", NULL, int, (void*, const void*, size_t))(kernel, parts, count);
}

static int serve_low(int fd, const char* opts, struct args* args, int by_hand) {
  enum { LOOKUP = 2, LOW_GETATTR = 4, LOW_OPEN = 14, LOW_READ = 15, LOW_READDIR = 21, LOW_STATFS = 24, LOW_SIZE = 31 };
  function slots[LOW_SIZE];
  struct channel24 carry = {carry_in, carry_out, NULL};
  void* session;
  int result;
  memset(slots, 0, sizeof slots);
  slots[LOOKUP] = (function)low_lookup, slots[LOW_GETATTR] = (function)low_getattr;
  slots[LOW_OPEN] = (function)low_open, slots[LOW_READ] = (function)low_read;
  slots[LOW_READDIR] = (function)low_readdir, slots[LOW_STATFS] = (function)low_statfs;
  if (low_version == 24) {
    session = CALL("fuse_lowlevel_new", "FUSE_2.4", void*, (const char*, const void*, size_t, void*))(
        opts, slots, sizeof slots, NULL);
  } else {
    session = CALL("fuse_lowlevel_new", "FUSE_2.5", void*, (void*, const void*, size_t, void*))(args, slots,
                                                                                                sizeof slots, NULL);
  }
  if (session == NULL) return 1;
  kernel = CALL("fuse_kern_chan_new", NULL, void*, (int))(fd);
  if (by_hand) {
    void* channel = CALL("fuse_chan_new", "FUSE_2.4", void*, (const struct channel24*, int, size_t, void*))(
        &carry, -1, CALL("fuse_chan_bufsize", NULL, size_t, (void*))(kernel), NULL);
    CALL("fuse_session_add_chan", NULL, void, (void*, void*))(session, channel);
  } else {
    CALL("fuse_session_add_chan", NULL, void, (void*, void*))(session, kernel);
  }
  result = CALL("fuse_session_loop", NULL, int, (void*))(session);
  CALL("fuse_session_destroy", NULL, void, (void*))(session);
  return result;
}
/* }}} */

#ifdef BEFORE_VERSIONS
void* __fuse_setup(int argc, char* argv[], const function* table, char** mountpoint, int* multithreaded, int* fd);
void __fuse_teardown(void* fuse, int fd, char* mountpoint);
#endif

int main(int argc, char* argv[]) {
  const char* way = argv[1];
  char* words[] = {argv[0], "-f", argc > 2 ? argv[2] : NULL, argc > 4 ? argv[3] : NULL, argc > 4 ? argv[4] : NULL,
                   NULL};
  int count = argc > 4 ? 5 : 3;
  const char* opts = argc > 4 ? argv[4] : NULL;
  char* list[] = {argv[0], "-o", argc > 4 ? argv[4] : "rw", NULL};
  struct args args = {3, list, 0};
  const char* at = strchr(way, '@');
  const char* version = at != NULL ? at + 1 : NULL;
  int is_25 = strstr(way, "2.5") != NULL || strstr(way, "compat25") != NULL;
  void* fuse = NULL;
  char* mountpoint = argv[2];
  int multithreaded, fd = -1;

  if (strncmp(way, "fuse_main_compat1", 17) == 0) {
    const function* operations = strstr(way, ":no_table") != NULL ? NULL : table(11);
    CALL("fuse_main_compat1", NULL, void, (int, char**, const function*))(count, words, operations);
    return 0;
  }
  if (strcmp(way, "fuse_main_compat2") == 0) {
    return CALL(way, NULL, int, (int, char**, const function*))(count, words, table(21));
  }
  if (strncmp(way, "fuse_main_real", 14) == 0) {
    char name[64];
    snprintf(name, sizeof name, "%.*s", at != NULL ? (int)(at - way) : (int)strlen(way), way);
    int table_of = is_25 ? 25 : 22;
    return CALL(name, version, int, (int, char**, const function*, size_t))(count, words, table(table_of),
                                                                            size_of(table_of));
  }

#ifdef BEFORE_VERSIONS
  if (strcmp(way, "__fuse_setup") == 0) {
    fuse = __fuse_setup(count, words, table(21), &mountpoint, &multithreaded, &fd);
    if (fuse == NULL || CALL("fuse_loop", NULL, int, (void*))(fuse) != 0) return 1;
    __fuse_teardown(fuse, fd, mountpoint);
    return 0;
  }
#endif
  if (strcmp(way, "fuse_setup_compat2") == 0) {
    fuse = CALL(way, NULL, void*, (int, char**, const function*, char**, int*, int*))(count, words, table(21),
                                                                                      &mountpoint, &multithreaded, &fd);
  } else if (strncmp(way, "fuse_setup@", 11) == 0) {
    int table_of = is_25 ? 25 : 22;
    fuse = CALL("fuse_setup", version, void*, (int, char**, const function*, size_t, char**, int*, int*))(
        count, words, table(table_of), size_of(table_of), &mountpoint, &multithreaded, &fd);
  }
  if (fuse != NULL) {
    int result = CALL("fuse_loop", NULL, int, (void*))(fuse);
    if (fcntl(fd, F_GETFD) == -1) return 98;
    CALL("fuse_teardown", "FUSE_2.2", void, (void*, int, char*))(fuse, fd, mountpoint);
    return result;
  }

  /* fuse_mount, fuse_new and what goes with them. */
  if (strcmp(way, "fuse_new_compat1") == 0) {
    fd = CALL("fuse_mount_compat1", NULL, int, (const char*, const char**))(mountpoint, NULL);
    fuse = CALL(way, NULL, void*, (int, int, const function*))(fd, 0, table(11));
  } else if (is_25) {
    fd = CALL("fuse_mount", "FUSE_2.5", int, (const char*, struct args*))(mountpoint, &args);
  } else {
    fd = CALL("fuse_mount", "FUSE_2.2", int, (const char*, const char*))(mountpoint, opts);
  }
  if (fd < 0) return 1;
  if (strcmp(way, "fuse_new_compat2") == 0) {
    fuse = CALL(way, NULL, void*, (int, const char*, const function*))(fd, NULL, table(21));
  } else if (strcmp(way, "fuse_new@FUSE_2.2") == 0) {
    fuse = CALL("fuse_new", version, void*, (int, const char*, const function*, size_t))(fd, "kernel_cache", table(22),
                                                                                         size_of(22));
  } else if (strcmp(way, "fuse_new@FUSE_2.5") == 0) {
    fuse = CALL("fuse_new", version, void*, (int, struct args*, const function*, size_t))(fd, &args, table(25),
                                                                                          size_of(25));
  } else if (strncmp(way, "fuse_lowlevel_new", 17) == 0) {
    int result;
    low_version = is_25 ? 25 : 24;
    result = serve_low(fd, "max_write=8192", &args, strstr(way, ":by_hand") != NULL);
    CALL("fuse_opt_free_args", NULL, void, (struct args*))(&args);
    CALL("fuse_unmount", "FUSE_2.2", void, (const char*))(mountpoint);
    return result;
  }
  if (fuse == NULL) return 1;
  CALL("fuse_opt_free_args", NULL, void, (struct args*))(&args);
  if (CALL("fuse_loop", NULL, int, (void*))(fuse) != 0) return 2;
  CALL("fuse_destroy", NULL, void, (void*))(fuse);
  CALL("fuse_unmount", "FUSE_2.2", void, (const char*))(mountpoint);
  return 0;
}

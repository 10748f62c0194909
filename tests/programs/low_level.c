/* The low level: one file whose reads are answered by another thread, and whose names come from fuse_add_direntry. With
 * "by_hand" in $LOW_LEVEL the program carries the messages itself, through a channel of its own. */
#define FUSE_USE_VERSION 29
#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char text[] = "Hello, world!\n";
static struct fuse_chan* kernel;
static char interrupted[32];

static void status_of(fuse_ino_t ino, struct stat* status) {
  memset(status, 0, sizeof *status);
  status->st_ino = ino;
  status->st_nlink = 1;
  status->st_mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
  if (ino == 2) status->st_size = (off_t)strlen(text);
  if (ino == 4) status->st_size = (off_t)strlen(interrupted);
}

static void low_lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
  static const char* const names[] = {"hello", "slow", "interrupted"};
  struct fuse_entry_param entry;
  unsigned i;
  memset(&entry, 0, sizeof entry);
  for (i = 0; parent == FUSE_ROOT_ID && i < 3; ++i) {
    if (strcmp(name, names[i]) != 0) continue;
    entry.ino = i + 2;
    entry.generation = 1;
    status_of(entry.ino, &entry.attr);
    fuse_reply_entry(req, &entry);
    return;
  }
  fuse_reply_err(req, ENOENT);
}

static void low_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi) {
  struct stat status;
  (void)fi;
  status_of(ino, &status);
  fuse_reply_attr(req, &status, 0);
}

static void low_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info* fi) {
  char buffer[256];
  struct stat status;
  size_t used = 0;
  (void)ino, (void)fi;
  if (off == 0) {
    status_of(2, &status);
    used += fuse_add_direntry(req, buffer, sizeof buffer, "hello", &status, 1);
    status_of(3, &status);
    used += fuse_add_direntry(req, buffer + used, sizeof buffer - used, "slow", &status, 2);
  }
  fuse_reply_buf(req, buffer, used <= size ? used : 0);
}

static void low_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info* fi) {
  fi->fh = ino;
  fi->direct_io = 1;
  fuse_reply_open(req, fi);
}

static void* answer_later(void* data) {
  fuse_req_t req = data;
  struct iovec parts[2];
  usleep(20000);
  parts[0].iov_base = (void*)text;
  parts[0].iov_len = 7;
  parts[1].iov_base = (void*)(text + 7);
  parts[1].iov_len = strlen(text) - 7;
  fuse_reply_iov(req, parts, 2);
  return NULL;
}

static void give_up(fuse_req_t req, void* data) {
  (void)data;
  strcpy(interrupted, fuse_req_interrupted(req) ? "yes\n" : "no\n");
  fuse_reply_err(req, EINTR);
}

static void low_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info* fi) {
  pthread_t thread;
  if (fi->fh != ino) {
    fuse_reply_err(req, EBADF);
  } else if (off > 0) {
    fuse_reply_buf(req, NULL, 0);
  } else if (ino == 2) {
    pthread_create(&thread, NULL, answer_later, req);
    pthread_detach(thread);
  } else if (ino == 3) {
    fuse_req_interrupt_func(req, give_up, NULL);
  } else {
    struct fuse_bufvec vector = FUSE_BUFVEC_INIT(strlen(interrupted));
    vector.buf[0].mem = interrupted;
    fuse_reply_data(req, &vector, (enum fuse_buf_copy_flags)0);
  }
  (void)size;
}

static void low_getxattr(fuse_req_t req, fuse_ino_t ino, const char* name, size_t size) {
  (void)ino;
  if (strcmp(name, "user.id") != 0) {
    fuse_reply_err(req, ENODATA);
  } else if (size == 0) {
    fuse_reply_xattr(req, 4);
  } else {
    fuse_reply_buf(req, "4711", 4);
  }
}

static void low_init(void* data, struct fuse_conn_info* conn) {
  (void)conn;
  if (strcmp(data, "data") != 0) abort();
}

static int carry_in(struct fuse_chan** chp, char* buffer, size_t size) {
  struct fuse_chan* from = kernel;
  (void)chp;
  return fuse_chan_recv(&from, buffer, size);
}
static int carry_out(struct fuse_chan* ch, const struct iovec iov[], size_t count) {
  (void)ch;
  return fuse_chan_send(kernel, iov, count);
}

int main(int argc, char* argv[]) {
  struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
  struct fuse_lowlevel_ops all;
  struct fuse_session* session;
  struct fuse_chan* channel;
  struct fuse_chan_ops carry = {carry_in, carry_out, NULL};
  const char* how = getenv("LOW_LEVEL") != NULL ? getenv("LOW_LEVEL") : "";
  char* mountpoint = NULL;
  int multithreaded, foreground, failed = 1;
  memset(&all, 0, sizeof all);
  all.init = low_init, all.lookup = low_lookup, all.getattr = low_getattr, all.readdir = low_readdir;
  all.open = low_open, all.read = low_read, all.getxattr = low_getxattr;
  if (fuse_parse_cmdline(&args, &mountpoint, &multithreaded, &foreground) == -1) return 2;
  if ((kernel = fuse_mount(mountpoint, &args)) == NULL) return 3;
  session = fuse_lowlevel_new(&args, &all, sizeof all, (void*)"data");
  if (session == NULL) {
    fuse_unmount(mountpoint, kernel);
    return 4;
  }
  channel = kernel;
  if (strcmp(how, "by_hand") == 0) channel = fuse_chan_new(&carry, -1, fuse_chan_bufsize(kernel), NULL);
  fuse_session_add_chan(session, channel);
  if (fuse_daemonize(foreground) != -1 && fuse_set_signal_handlers(session) != -1) {
    failed = multithreaded ? fuse_session_loop_mt(session) : fuse_session_loop(session);
    fuse_remove_signal_handlers(session);
  }
  fuse_session_remove_chan(channel);
  fuse_session_destroy(session);
  if (channel != kernel) fuse_chan_destroy(channel);
  fuse_unmount(mountpoint, kernel);
  free(mountpoint);
  fuse_opt_free_args(&args);
  return failed ? 1 : 0;
}

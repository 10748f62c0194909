/* A character device that answers every read with nothing: DEVNAME=fuselage-test, unless an argument is "--long". */
#define FUSE_USE_VERSION 29
#include <cuse_lowlevel.h>
#include <stdio.h>
#include <string.h>

static void read_nothing(fuse_req_t req, size_t size, off_t off, struct fuse_file_info* fi) {
  (void)size;
  (void)off;
  (void)fi;
  fuse_reply_buf(req, NULL, 0);
}

int main(int argc, char* argv[]) {
  static char name[6000] = "DEVNAME=fuselage-test";
  const char* lines[] = {name};
  struct cuse_lowlevel_ops ops;
  struct cuse_info info;
  memset(&ops, 0, sizeof ops);
  memset(&info, 0, sizeof info);
  ops.read = read_nothing;
  info.dev_info_argc = 1;
  info.dev_info_argv = lines;
  if (argc > 1 && strcmp(argv[argc - 1], "--long") == 0) {
    --argc;
    memset(name + 8, 'x', sizeof name - 9);
  }
  return cuse_lowlevel_main(argc, argv, &info, &ops, NULL);
}

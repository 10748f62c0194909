/* Where the bit-fields lie that programs were compiled with, which no constant expression can tell. Run once for each
 * FUSE_USE_VERSION; the exit code is the number of the line that is wrong. */
#include <fuse.h>
#include <string.h>

#define BIT(type, member, word, bit)                            \
  do {                                                          \
    type value;                                                 \
    unsigned found;                                             \
    memset(&value, 0, sizeof value);                            \
    value.member = 1;                                           \
    memcpy(&found, (const char*)&value + (word), sizeof found); \
    if (found != 1u << (bit)) return __LINE__;                  \
  } while (0)

int main(void) {
  BIT(struct fuse_file_info, direct_io, 20, 0);
  BIT(struct fuse_file_info, keep_cache, 20, 1);
#if FUSE_USE_VERSION > 22
  BIT(struct fuse_file_info, flush, 20, 2);
  BIT(struct fuse_file_info, nonseekable, 20, 3);
  BIT(struct fuse_file_info, flock_release, 20, 4);
#endif
#if FUSE_USE_VERSION >= 26
  BIT(struct fuse_operations, flag_nullpath_ok, 304, 0);
  BIT(struct fuse_operations, flag_nopath, 304, 1);
  BIT(struct fuse_operations, flag_utime_omit_ok, 304, 2);
#endif
  return 0;
}

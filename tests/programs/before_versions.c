/* What a library had to have so that programs could be linked with it, before there were versions of symbols. The
 * programs that are linked with it run with another. */
#include <stdlib.h>

void* __fuse_setup(void);
void __fuse_teardown(void);

void* __fuse_setup(void) { abort(); }
void __fuse_teardown(void) { abort(); }

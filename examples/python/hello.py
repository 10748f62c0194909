"""Hello, world! with llfuse: one file in one directory. Usage: hello.py MOUNTPOINT"""

import errno
import stat
import sys

import llfuse

TEXT = b"Hello, world!\n"


class Hello(llfuse.Operations):
    def getattr(self, inode, ctx):
        attr = llfuse.EntryAttributes()
        attr.st_ino, attr.st_size = inode, len(TEXT)
        attr.st_mode = stat.S_IFDIR | 0o755 if inode == llfuse.ROOT_INODE else stat.S_IFREG | 0o444
        return attr

    def lookup(self, parent_inode, name, ctx):
        if name != b"hello":
            raise llfuse.FUSEError(errno.ENOENT)
        return self.getattr(llfuse.ROOT_INODE + 1, ctx)

    def readdir(self, fh, off):
        return [(b"hello", self.getattr(llfuse.ROOT_INODE + 1, None), 1)][off:]

    def read(self, fh, off, size):
        return TEXT[off : off + size]


llfuse.init(Hello(), sys.argv[1])
llfuse.main()
llfuse.close()

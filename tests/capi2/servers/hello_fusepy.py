"""A file system with one file, on Debian's module fusepy."""

import errno
import stat
import sys

import fusepy


class Hello(fusepy.Operations):
    def getattr(self, path, fh=None):
        if path == "/":
            return dict(st_mode=stat.S_IFDIR | 0o755, st_nlink=2)
        if path == "/hello":
            return dict(st_mode=stat.S_IFREG | 0o444, st_nlink=1, st_size=6)
        raise fusepy.FuseOSError(errno.ENOENT)

    def readdir(self, path, fh):
        return [".", "..", "hello"]

    def read(self, path, size, offset, fh):
        return b"hello\n"[offset : offset + size]


fusepy.FUSE(Hello(), sys.argv[1], foreground=True)

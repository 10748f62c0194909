"""A file system with one file, on Debian's module llfuse."""

import errno
import stat
import sys

import llfuse


class Hello(llfuse.Operations):
    content = b"hello\n"

    def getattr(self, inode, ctx=None):
        entry = llfuse.EntryAttributes()
        entry.st_ino = inode
        entry.st_mode = stat.S_IFDIR | 0o755 if inode == llfuse.ROOT_INODE else stat.S_IFREG | 0o644
        entry.st_size = len(self.content)
        return entry

    def lookup(self, parent, name, ctx=None):
        if name != b"hello":
            raise llfuse.FUSEError(errno.ENOENT)
        return self.getattr(2)

    def opendir(self, inode, ctx):
        return inode

    def readdir(self, inode, offset):
        if offset == 0:
            yield b"hello", self.getattr(2), 1

    def open(self, inode, flags, ctx):
        return inode

    def read(self, inode, offset, size):
        return self.content[offset : offset + size]

    def setattr(self, inode, attr, fields, fh, ctx):
        if fields.update_size:
            self.content = self.content[: attr.st_size].ljust(attr.st_size, b"\0")
        return self.getattr(inode)

    def write(self, inode, offset, data):
        self.content = self.content[:offset].ljust(offset, b"\0") + data + self.content[offset + len(data) :]
        return len(data)

    def setxattr(self, inode, name, value, ctx):
        # The module's own thread tells the kernel: what is read next is `value`.
        self.content = value
        llfuse.invalidate_inode(inode)


llfuse.init(Hello(), sys.argv[1], set(llfuse.default_options))
llfuse.main()
llfuse.close()

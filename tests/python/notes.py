"""A file system for tests: one file, "note", inode 2; it counts what it is asked."""

import collections
import errno
import stat
import threading

import llfuse

NOTE = 2


class Notes(llfuse.Operations):
    def __init__(self, text=b"first text", timeout=300):
        self.text = text
        self.timeout = timeout
        self.mtime = 0
        self.absent = False
        self.count = collections.Counter()
        self.threads = set()
        self.in_getattr = self.in_read = lambda: None

    def seen(self, what):
        self.count[what] += 1
        self.threads.add(threading.get_ident())

    def attributes(self, inode):
        attr = llfuse.EntryAttributes()
        attr.st_ino = inode
        attr.st_mode = stat.S_IFREG | 0o644 if inode == NOTE else stat.S_IFDIR | 0o755
        attr.st_size = len(self.text) if inode == NOTE else 0
        attr.st_mtime_ns = self.mtime
        attr.entry_timeout = attr.attr_timeout = self.timeout
        return attr

    def init(self):
        self.seen("init")

    def destroy(self):
        self.count["destroy"] += 1

    def lookup(self, parent_inode, name, ctx):
        self.seen("lookup")
        if parent_inode != llfuse.ROOT_INODE or name != b"note" or self.absent:
            raise llfuse.FUSEError(errno.ENOENT)
        return self.attributes(NOTE)

    def getattr(self, inode, ctx):
        self.seen("getattr")
        self.in_getattr()
        return self.attributes(inode)

    def access(self, inode, mode, ctx):
        self.seen("access")
        return True

    def open(self, inode, flags, ctx):
        self.seen("open")
        return inode

    def read(self, fh, off, size):
        self.seen("read")
        self.in_read()
        return self.text[off : off + size]

    def opendir(self, inode, ctx):
        self.seen("opendir")
        return inode

    def readdir(self, fh, off):
        self.seen("readdir")
        if off == 0:
            yield b"note", self.attributes(NOTE), 1

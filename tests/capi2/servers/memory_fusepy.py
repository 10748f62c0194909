"""A file system in memory, on Debian's module fusepy: memory_fusepy.py MOUNTPOINT"""

import errno
import stat
import sys
import time

import fusepy


class Node:
    def __init__(self, mode, content=b""):
        self.status = dict(st_mode=mode, st_nlink=1, st_atime=time.time(), st_mtime=time.time())
        self.content = content
        self.attributes = {}


class Memory(fusepy.Operations):
    def __init__(self):
        self.nodes = {"/": Node(stat.S_IFDIR | 0o755)}  # by path

    def at(self, path):
        try:
            return self.nodes[path]
        except KeyError:
            raise fusepy.FuseOSError(errno.ENOENT) from None

    def below(self, path):
        prefix = path.rstrip("/") + "/"
        return [other for other in list(self.nodes) if other.startswith(prefix) and other != "/"]

    def getattr(self, path, fh=None):
        node = self.at(path)
        return dict(node.status, st_size=len(node.content))

    def readdir(self, path, fh):
        return [".", "..", *{other[len(path) :].lstrip("/").split("/")[0] for other in self.below(path)}]

    def mkdir(self, path, mode):
        self.nodes[path] = Node(stat.S_IFDIR | mode)

    def create(self, path, mode, fi=None):
        self.nodes[path] = Node(mode, bytearray())
        return 0

    def symlink(self, path, target):
        self.nodes[path] = Node(stat.S_IFLNK | 0o777, target.encode())

    def readlink(self, path):
        return self.at(path).content.decode()

    def link(self, path, target):
        self.nodes[path] = self.at(target)
        self.nodes[path].status["st_nlink"] += 1

    def unlink(self, path):
        self.nodes.pop(path).status["st_nlink"] -= 1

    def rmdir(self, path):
        if self.below(path):
            raise fusepy.FuseOSError(errno.ENOTEMPTY)
        del self.nodes[path]

    def rename(self, old, new):
        for path in [old, *self.below(old)]:
            self.nodes[new + path[len(old) :]] = self.nodes.pop(path)

    def chmod(self, path, mode):
        self.at(path).status["st_mode"] = mode

    def utimens(self, path, times=None):
        status = self.at(path).status
        status["st_atime"], status["st_mtime"] = times or (time.time(), time.time())

    def read(self, path, size, offset, fh):
        return bytes(self.at(path).content[offset : offset + size])

    def write(self, path, data, offset, fh):
        node = self.at(path)
        node.content.extend(bytes(max(0, offset - len(node.content))))
        node.content[offset : offset + len(data)] = data
        return len(data)

    def truncate(self, path, length, fh=None):
        node = self.at(path)
        node.content = node.content[:length].ljust(length, b"\0")

    def setxattr(self, path, name, value, options, position=0):
        self.at(path).attributes[name] = value

    def getxattr(self, path, name, position=0):
        try:
            return self.at(path).attributes[name]
        except KeyError:
            raise fusepy.FuseOSError(errno.ENODATA) from None

    def listxattr(self, path):
        return list(self.at(path).attributes)

    def removexattr(self, path, name):
        del self.at(path).attributes[name]


fusepy.FUSE(Memory(), sys.argv[1], foreground=True)

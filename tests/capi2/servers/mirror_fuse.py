"""Shows a directory at another place, on Debian's module fuse (python3-fuse): mirror_fuse.py MOUNTPOINT -o root=DIRECTORY"""

import os
import stat

import fuse

fuse.fuse_python_api = (0, 2)


class File:
    def __init__(self, path, flags, *mode):
        self.fd = os.open("." + path, flags & ~os.O_APPEND, *mode)

    def read(self, size, offset):
        return os.pread(self.fd, size, offset)

    def write(self, data, offset):
        return os.pwrite(self.fd, data, offset)

    def fsync(self, datasync):
        os.fsync(self.fd)

    def ftruncate(self, length):
        os.ftruncate(self.fd, length)

    def fgetattr(self):
        return os.fstat(self.fd)

    def release(self, flags):
        os.close(self.fd)


class Mirror(fuse.Fuse):
    file_class = File

    def fsinit(self):
        os.chdir(self.root)

    def getattr(self, path):
        return os.lstat("." + path)

    def readdir(self, path, offset):
        for entry in os.scandir("." + path):
            yield fuse.Direntry(entry.name, type=stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode))

    def readlink(self, path):
        return os.readlink("." + path)

    def mkdir(self, path, mode):
        os.mkdir("." + path, mode)

    def unlink(self, path):
        os.unlink("." + path)

    def rmdir(self, path):
        os.rmdir("." + path)

    def symlink(self, target, path):
        os.symlink(target, "." + path)

    def link(self, path, new):
        os.link("." + path, "." + new)

    def rename(self, path, new):
        os.rename("." + path, "." + new)

    def chmod(self, path, mode):
        os.chmod("." + path, mode)

    def utime(self, path, times):
        os.utime("." + path, times)

    def truncate(self, path, length):
        os.truncate("." + path, length)


server = Mirror()
server.parser.add_option(mountopt="root")
server.parse(values=server, errex=1)
server.main()

"""Shows a directory at another place. Usage: passthrough.py SOURCE MOUNTPOINT"""

import contextlib
import os
import sys

import llfuse


@contextlib.contextmanager
def errors():
    """What the system says is what the caller hears."""
    try:
        yield
    except OSError as error:
        raise llfuse.FUSEError(error.errno) from None


class Passthrough(llfuse.Operations):
    """Knows each inode by an open descriptor (O_PATH), which survives renaming and removal."""

    def __init__(self, source):
        root = os.open(source, os.O_PATH | os.O_DIRECTORY)
        self.descriptors = {llfuse.ROOT_INODE: root}
        self.counts = {llfuse.ROOT_INODE: 1}
        self.by_identity = {self.identity(root): llfuse.ROOT_INODE}
        self.last = llfuse.ROOT_INODE

    @staticmethod
    def identity(descriptor):
        status = os.stat(descriptor)
        return status.st_dev, status.st_ino

    def at(self, inode):
        return f"/proc/self/fd/{self.descriptors[inode]}"

    def attributes(self, inode, status):
        attr = llfuse.EntryAttributes()
        for name in ("st_mode", "st_nlink", "st_uid", "st_gid", "st_rdev", "st_size", "st_blksize", "st_blocks"):
            setattr(attr, name, getattr(status, name))
        attr.st_atime_ns, attr.st_mtime_ns, attr.st_ctime_ns = status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns
        attr.st_ino = inode
        attr.entry_timeout = attr.attr_timeout = 0
        return attr

    def getattr(self, inode, ctx=None):
        with errors():
            return self.attributes(inode, os.stat(self.descriptors[inode]))

    def lookup(self, parent_inode, name, ctx=None):
        with errors():
            descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=self.descriptors[parent_inode])
        identity = self.identity(descriptor)
        inode = self.by_identity.get(identity)
        if inode is None:
            inode = self.last = self.last + 1
            self.by_identity[identity] = inode
            self.descriptors[inode] = descriptor
        else:
            os.close(descriptor)
        self.counts[inode] = self.counts.get(inode, 0) + 1
        return self.getattr(inode)

    def forget(self, inode_list):
        for inode, count in inode_list:
            self.counts[inode] -= count
            if self.counts[inode] == 0:
                descriptor = self.descriptors.pop(inode)
                del self.counts[inode], self.by_identity[self.identity(descriptor)]
                os.close(descriptor)

    def setattr(self, inode, attr, fields, fh, ctx):
        path = self.at(inode)
        with errors():
            if fields.update_size:
                os.truncate(path if fh is None else fh, attr.st_size)
            if fields.update_mode:
                os.chmod(path, attr.st_mode & 0o7777)
            if fields.update_uid or fields.update_gid:
                owner = attr.st_uid if fields.update_uid else -1
                group = attr.st_gid if fields.update_gid else -1
                os.chown(path, owner, group)
            if fields.update_atime or fields.update_mtime:
                now = os.stat(path)
                atime = attr.st_atime_ns if fields.update_atime else now.st_atime_ns
                mtime = attr.st_mtime_ns if fields.update_mtime else now.st_mtime_ns
                os.utime(path, ns=(atime, mtime))
        return self.getattr(inode)

    def readlink(self, inode, ctx):
        with errors():
            return os.readlink(b"", dir_fd=self.descriptors[inode])

    def made(self, function, parent, name, *arguments, **keywords):
        with errors():
            function(*arguments, dir_fd=self.descriptors[parent], **keywords)
        return self.lookup(parent, name)

    def mknod(self, parent_inode, name, mode, rdev, ctx):
        return self.made(os.mknod, parent_inode, name, name, mode, rdev)

    def mkdir(self, parent_inode, name, mode, ctx):
        return self.made(os.mkdir, parent_inode, name, name, mode & 0o7777)

    def symlink(self, parent_inode, name, target, ctx):
        return self.made(os.symlink, parent_inode, name, target, name)

    def link(self, inode, new_parent_inode, new_name, ctx):
        with errors():
            os.link(self.at(inode), new_name, dst_dir_fd=self.descriptors[new_parent_inode])
        return self.lookup(new_parent_inode, new_name)

    def unlink(self, parent_inode, name, ctx):
        with errors():
            os.unlink(name, dir_fd=self.descriptors[parent_inode])

    def rmdir(self, parent_inode, name, ctx):
        with errors():
            os.rmdir(name, dir_fd=self.descriptors[parent_inode])

    def rename(self, parent_inode_old, name_old, parent_inode_new, name_new, ctx):
        old, new = self.descriptors[parent_inode_old], self.descriptors[parent_inode_new]
        with errors():
            os.rename(name_old, name_new, src_dir_fd=old, dst_dir_fd=new)

    def open(self, inode, flags, ctx):
        with errors():
            return os.open(self.at(inode), flags & ~(os.O_CREAT | os.O_NOFOLLOW))

    def create(self, parent_inode, name, mode, flags, ctx):
        with errors():
            fh = os.open(name, flags | os.O_CREAT, mode & 0o7777, dir_fd=self.descriptors[parent_inode])
        return fh, self.lookup(parent_inode, name)

    def read(self, fh, off, size):
        with errors(), llfuse.lock_released:
            return os.pread(fh, size, off)

    def write(self, fh, off, buf):
        with errors(), llfuse.lock_released:
            return os.pwrite(fh, buf, off)

    def release(self, fh):
        os.close(fh)

    def fsync(self, fh, datasync):
        with errors(), llfuse.lock_released:
            (os.fdatasync if datasync else os.fsync)(fh)

    def opendir(self, inode, ctx):
        return inode

    def readdir(self, fh, off):
        with errors():
            with os.scandir(self.at(fh)) as found:
                entries = sorted((os.fsencode(entry.name), entry.inode()) for entry in found)
        for position, (name, number) in enumerate(entries[off:], start=off + 1):
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(name, dir_fd=self.descriptors[fh], follow_symlinks=False)
                yield name, self.attributes(number, status), position

    def statfs(self, ctx):
        data = llfuse.StatvfsData()
        with errors():
            status = os.statvfs(self.descriptors[llfuse.ROOT_INODE])
        for name in ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_favail", "f_namemax"):
            setattr(data, name, getattr(status, name))
        return data

    def getxattr(self, inode, name, ctx):
        with errors():
            return os.getxattr(self.at(inode), name)

    def setxattr(self, inode, name, value, ctx):
        with errors():
            os.setxattr(self.at(inode), name, value)

    def listxattr(self, inode, ctx):
        with errors():
            return [os.fsencode(name) for name in os.listxattr(self.at(inode))]

    def removexattr(self, inode, name, ctx):
        with errors():
            os.removexattr(self.at(inode), name)


if __name__ == "__main__":
    llfuse.init(Passthrough(sys.argv[1]), sys.argv[2], {*llfuse.default_options, "fsname=passthrough", "suid", "dev"})
    try:
        llfuse.main()
    finally:
        llfuse.close()

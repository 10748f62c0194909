"""The base class of file systems."""

import errno
import os
import sys
import threading
import traceback

from ._core import FUSEError


def _missing(*_):
    raise FUSEError(errno.ENOSYS)


class Operations:
    """The handlers of a file system; derive and override what it has.

    What is not overridden raises FUSEError(ENOSYS), of which the kernel makes the best: it does without access, flush,
    fsync, extended attributes and the like. Names, targets and values are bytes. A handler answers with an error by
    raising FUSEError; any other exception is answered with EIO and ends `main`, which raises it.

    lookup, mknod, mkdir, symlink, link, create, and the entries of readdirplus, count one lookup of the inode that they
    return each, which forget gives back.
    """

    def init(self):
        """Called by `main` before anything else."""

    def destroy(self):
        """Called by `close`, if `init` was."""

    def lookup(self, parent_inode, name, ctx):
        """Return the EntryAttributes of `name` in a directory; also asked for "." and "..".

        An st_ino of 0 says that there is no such name, and may be remembered for entry_timeout.
        """
        _missing()

    def forget(self, inode_list):
        """The kernel gives lookups back: a list of (inode, count)."""

    def getattr(self, inode, ctx):
        """Return the EntryAttributes of an inode."""
        _missing()

    def setattr(self, inode, attr, fields, fh, ctx):
        """Change those attributes that `fields` (SetattrFields) names to those of `attr`, and return the new ones.

        `fh` is the handle of the open file by which the inode was named, or None.
        """
        _missing()

    def readlink(self, inode, ctx):
        """Return the target of a symbolic link."""
        _missing()

    def mknod(self, parent_inode, name, mode, rdev, ctx):
        """Make a node (a regular file, too, if there is no `create`) and return its EntryAttributes."""
        _missing()

    def mkdir(self, parent_inode, name, mode, ctx):
        """Make a directory and return its EntryAttributes."""
        _missing()

    def unlink(self, parent_inode, name, ctx):
        """Remove a name that is not a directory; its inode lives on until it is forgotten and closed."""
        _missing()

    def rmdir(self, parent_inode, name, ctx):
        """Remove an empty directory."""
        _missing()

    def symlink(self, parent_inode, name, target, ctx):
        """Make a symbolic link and return its EntryAttributes."""
        _missing()

    def rename(self, parent_inode_old, name_old, parent_inode_new, name_new, ctx):
        """Rename, replacing what the new name leads to."""
        _missing()

    def rename2(self, parent_inode_old, name_old, parent_inode_new, name_new, flags, ctx):
        """Rename with flags of renameat2(2), never 0. Without this method they are refused with EINVAL."""
        raise FUSEError(errno.EINVAL)

    def link(self, inode, new_parent_inode, new_name, ctx):
        """Give an inode another name and return its EntryAttributes."""
        _missing()

    def open(self, inode, flags, ctx):
        """Open a file and return an int, its handle. The kernel keeps what it has cached: see invalidate_inode."""
        _missing()

    def read(self, fh, off, size):
        """Return `size` bytes (any object with the buffer protocol); fewer at the end of the file."""
        _missing()

    def write(self, fh, off, buf):
        """Write, and return the number of bytes written."""
        _missing()

    def flush(self, fh):
        """Called at each close(2); its error is that of close."""
        _missing()

    def release(self, fh):
        """The last descriptor of the open file is gone."""
        _missing()

    def fsync(self, fh, datasync):
        """Make the data, and unless `datasync` the attributes, safe."""
        _missing()

    def opendir(self, inode, ctx):
        """Open a directory and return an int, its handle."""
        _missing()

    def readdir(self, fh, off):
        """Return an iterator of (name, EntryAttributes, next).

        `next` is the `off` of the call that shall go on after this entry, and never 0. Not all of it need be taken.
        """
        _missing()

    def readdirplus(self, fh, off):
        """The same where the kernel wants the whole entries: each that it takes counts one lookup.

        Without this method the kernel looks the names up that it needs.
        """
        return self.readdir(fh, off)

    def releasedir(self, fh):
        """The open directory is gone."""
        _missing()

    def fsyncdir(self, fh, datasync):
        """Make the entries of a directory safe."""
        _missing()

    def statfs(self, ctx):
        """Return StatvfsData."""
        _missing()

    def stacktrace(self):
        """Log what all threads do. Called, without the lock, when the xattr fuse_stacktrace of the root is set."""
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        lines = ["Stack of all threads:"]
        for ident, frame in sys._current_frames().items():
            lines.append(f"Thread {names.get(ident, ident)}:\n" + "".join(traceback.format_stack(frame)))
        from ._session import log

        log.error("\n".join(lines))

    def setxattr(self, inode, name, value, ctx):
        """Set an extended attribute. Whether it must or must not exist was found out with getxattr."""
        _missing()

    def getxattr(self, inode, name, ctx):
        """Return the value of an extended attribute, or raise FUSEError(ENOATTR)."""
        _missing()

    def listxattr(self, inode, ctx):
        """Return an iterable of names."""
        _missing()

    def removexattr(self, inode, name, ctx):
        """Remove an extended attribute, or raise FUSEError(ENOATTR)."""
        _missing()

    def access(self, inode, mode, ctx):
        """Return whether the access is allowed. Not asked with the option default_permissions."""
        _missing()

    def create(self, parent_inode, name, mode, flags, ctx):
        """Make and open a regular file, and return (fh, EntryAttributes)."""
        _missing()

    # What follows is not asked unless it is overridden.

    def poll(self, fh, events, wake, ctx):
        """Return the events of poll(2) that are ready; if `wake` is not 0, Session.notify_poll(wake) tells of more."""
        _missing()

    def ioctl(self, fh, command, argument, data, size, ctx):
        """Return (result, output of at most `size` bytes) of an ioctl(2) whose input is `data`."""
        raise FUSEError(errno.ENOTTY)

    def getlk(self, fh, lock, ctx):
        """Return the lock that is in the way of `lock`, or one of type F_UNLCK: dicts, see setlk."""
        _missing()

    def setlk(self, fh, lock, wait, ctx):
        """Take or give up a lock: a dict of type, start, end (inclusive), pid, flock, owner.

        If it cannot be had: wait if told so, else raise FUSEError(EAGAIN). Closing a file gives up the locks of its
        owner, which are then asked for with F_UNLCK.
        """
        _missing()

    def fallocate(self, fh, mode, offset, length):
        """See fallocate(2)."""
        _missing()

    def lseek(self, fh, offset, whence):
        """Return where data (SEEK_DATA) or a hole (SEEK_HOLE) begins."""
        _missing()

    def copy_file_range(self, fh, offset, target_fh, target_offset, length, flags):
        """Copy between two open files, and return the number of bytes copied."""
        _missing()


NAMES = tuple(name for name in vars(Operations) if not name.startswith("_"))
OWN = {name: vars(Operations)[name] for name in NAMES if name != "stacktrace"}

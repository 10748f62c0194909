"""File systems in Python, inode by inode: the interface of python-llfuse.

    operations = MyOperations()                  # a subclass of Operations
    llfuse.init(operations, '/mnt/data', {'fsname=data'} | llfuse.default_options)
    try:
        llfuse.main()
    finally:
        llfuse.close()

Handlers run with the global lock held. One that waits for something releases it meanwhile (`with lock_released:`).
A handler may also be an `async def`; it runs without the lock, on an event loop in a thread of this module. It is
cancelled when the caller is interrupted or the session stops, and the answer is EINTR then, unless it goes on.

Several file systems in one process are several objects of the class Session, which has the functions of this module
as methods, and more.
"""

import errno
from pickle import PicklingError
from queue import Queue

from . import _core
from ._core import (
    EntryAttributes,
    FUSEError,
    Lock,
    NoLockManager,
    RequestContext,
    SetattrFields,
    StatvfsData,
    lock,
    lock_released,
)
from ._files import get_sup_groups, getxattr, listdir, setxattr
from ._operations import Operations
from ._session import Session, default_options, log

__version__ = "1.5.1"
fuse_version = (2, 9)

ROOT_INODE = 1
ENOATTR = errno.ENODATA
_NANOS_PER_SEC = 1_000_000_000

fse = "utf-8"
str_t = str

__all__ = [
    "ENOATTR",
    "EntryAttributes",
    "FUSEError",
    "Lock",
    "NoLockManager",
    "Operations",
    "ROOT_INODE",
    "RequestContext",
    "Session",
    "SetattrFields",
    "StatvfsData",
    "close",
    "default_options",
    "fuse_version",
    "get_ino_t_bits",
    "get_off_t_bits",
    "get_sup_groups",
    "getxattr",
    "init",
    "invalidate_entry",
    "invalidate_inode",
    "listdir",
    "lock",
    "lock_released",
    "main",
    "notify_store",
    "setxattr",
    "stop",
]

_session = None


def _required(name):
    if _session is None:
        raise RuntimeError(f"Need to call init() before {name}()")
    return _session


def init(ops, mountpoint, options=default_options):
    """Mount the file system `ops` on `mountpoint`: an instance of Operations, or of any class with such methods.

    `options` is a set of strings, each of which is an option of `-o`; an unknown one is a RuntimeError. Nothing is
    asked of `ops` before `main`.
    """
    global _session
    if _session is not None:
        raise RuntimeError("init() was called before: call close() first")
    _session = Session(ops, mountpoint, options)


def main(workers=None, handle_signals=True, on_error="raise"):
    """Serve until the file system is unmounted (and return None) or a signal arrives (and return its number).

    See Session.main.
    """
    return _required("main").main(workers, handle_signals, on_error)


def stop():
    """Make `main` return. It may be called from any thread."""
    _required("stop").stop()


def close(unmount=True):
    """Clean up, calling `destroy` of the file system, and ensure that it is unmounted, unless told not to."""
    global _session
    session = _required("close")
    try:
        session.close(unmount)
    finally:
        if session._is_closed():
            _session = None


def invalidate_inode(inode, attr_only=False):
    """Make the kernel forget attributes and, unless `attr_only`, data of `inode`. Returns at once."""
    _check_inode(inode)
    if _session is not None:
        _session.invalidate_inode(inode, attr_only)


def invalidate_entry(inode_p, name):
    """Make the kernel forget the entry `name` of the directory `inode_p`. Returns at once."""
    _check_inode(inode_p)
    if not isinstance(name, bytes):
        raise TypeError(f"name must be bytes, not {type(name).__name__}")
    if _session is not None:
        _session.invalidate_entry(inode_p, name)


def notify_store(inode, offset, data):
    """Put `data` into the page cache of `inode`; a file that ends before is extended.

    Waits for the kernel: not to be called by a handler for the same inode. If it raises an exception, a part may have
    been stored.
    """
    _required("notify_store").notify_store(inode, offset, data)


def get_ino_t_bits():
    """Return the number of bits of inode numbers. Larger ones are an OverflowError."""
    return 64


def get_off_t_bits():
    """Return the number of bits of file offsets, with the sign. Larger ones are an OverflowError."""
    return 64


def _check_inode(inode):
    if not 0 <= inode < 1 << 64:
        raise OverflowError("an inode number has 64 bits")

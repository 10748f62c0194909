"""Mounts and their main loops."""

import atexit
import contextlib
import inspect
import logging
import os
import signal
import threading
import time

from . import _core
from ._operations import NAMES, OWN

log = logging.getLogger("llfuse")

default_options = frozenset(["big_writes", "default_permissions", "no_splice_read", "splice_write", "splice_move"])
DEFAULT_WORKERS = 30

_running = set()


class Session(_core.Session):
    """One mounted file system; any number of them may be in a process, each served by a thread of its own.

    Creating it mounts: the arguments are those of `init`.
    """

    def __init__(self, ops, mountpoint, options=default_options):
        if not isinstance(mountpoint, str):
            raise TypeError("*mountpoint_* argument must be of type str")
        self.ops = ops
        self._loop = None
        super().__init__(
            self._handlers(), _log_exception, mountpoint.encode("utf-8", "surrogateescape"), _encoded(options)
        )

    def main(self, workers=None, handle_signals=True, on_error="raise"):
        """Serve until the file system is unmounted, `stop` is called (both return None), or a signal arrives.

        That is SIGTERM, SIGINT or SIGHUP, unless `handle_signals` is False; its number is returned. Python's own
        handlers of other signals run meanwhile, if this is the main thread; what they raise ends the loop. `workers` is
        how many handlers of the file system may run at once; with 1, all run in the calling thread. An exception of
        one, other than FUSEError, ends the loop and is raised, or with `on_error="continue"` is only logged.
        """
        if workers is None:
            workers = DEFAULT_WORKERS
        elif workers < 1:
            raise ValueError("*workers* must be at least 1")
        if on_error not in ("raise", "continue"):
            raise ValueError('*on_error* must be "raise" or "continue"')
        is_first = self not in _running
        _running.add(self)
        try:
            with _noticing_signals(self._wakeup_fd()) as wakeup_before:
                return super().main(
                    self._handlers(), workers, bool(handle_signals), on_error == "continue", wakeup_before
                )
        finally:
            if is_first:  # another call was refused
                _running.discard(self)

    def close(self, unmount=True):
        """See the function `close`. Afterwards the session is of no use."""
        try:
            super().close(unmount)
        finally:
            if self._loop is not None and self._is_closed():
                self._loop.end()

    def invalidate_inode(self, inode, attr_only=False):
        """See the function `invalidate_inode`."""
        super().invalidate_inode(inode, attr_only)

    def _handlers(self):
        """name -> (function, whether it runs with the global lock) of what `ops` has."""
        handlers = {}
        for name in NAMES:
            method = getattr(self.ops, name, None)
            if method is None or getattr(method, "__func__", None) is OWN.get(name, self):
                continue
            if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
                from ._async import Loop

                if self._loop is None:
                    self._loop = Loop()
                handlers[name] = (self._loop.handler(method), False)
            else:
                handlers[name] = (method, name != "stacktrace")
        return handlers


def _encoded(options):
    encoded = []
    for option in options:
        if not isinstance(option, str):
            raise TypeError(f"options must be of type str, not {type(option).__name__}")
        encoded.append(option.encode("us-ascii"))
    return encoded


@contextlib.contextmanager
def _noticing_signals(descriptor):
    """Meanwhile the interpreter writes there when a signal comes, if this is its main thread. As: where it did before."""
    if threading.current_thread() is not threading.main_thread():
        yield -1
        return
    before = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    try:
        yield before
    finally:
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)


def _log_exception(name, exception):
    log.error("Exception in handler %s", name, exc_info=exception)


def _thread_hook(number=None):
    """Called by threads of the library when they enter the interpreter for the first time, and when they end."""
    thread = threading.current_thread()
    if number is not None:
        thread.name = f"fuse-worker-{number}"
        return
    # The thread is known to `threading` since it was named, and would be for ever.
    try:
        with threading._active_limbo_lock:
            threading._active.pop(thread.ident, None)
    except AttributeError:
        pass


@atexit.register
def _stop_all():
    """No thread may be in a handler when the interpreter goes."""
    for session in list(_running):
        session.stop()
    end = time.monotonic() + 10
    while _running and time.monotonic() < end:
        time.sleep(0.01)


os.register_at_fork(after_in_child=_running.clear)  # whoever serves is not there
_core.set_thread_hook(_thread_hook)

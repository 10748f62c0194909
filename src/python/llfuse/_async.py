"""Handlers that are coroutines."""

import asyncio
import errno
import functools
import inspect
import threading

from ._core import FUSEError, Waiter

# As many entries as one answer of readdir can hold.
MOST_ENTRIES = 4096


class Loop:
    """An event loop in a thread, which begins with the first handler."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = None
        self._mutex = threading.Lock()

    def handler(self, function):
        """A function that runs the coroutine function on the loop and waits for it."""
        if inspect.isasyncgenfunction(function):
            function = _collecting(function)

        @functools.wraps(function)
        def run(*arguments):
            if self._thread is None:
                self._begin()
            return _Call(self._loop, function, arguments).result()

        return run

    def _begin(self):
        with self._mutex:
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop.run_forever, name="fuse-loop", daemon=True)
                self._thread.start()

    def end(self):
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._thread = None
        self._loop.close()


class _Call:
    """One call of a coroutine function. A worker waits for it, and cancels it when the caller is interrupted."""

    def __init__(self, loop, function, arguments):
        self._loop = loop
        self._coroutine = _outcome(function, arguments)
        self._over = Waiter()
        loop.call_soon_threadsafe(self._begin)

    def _begin(self):
        self._task = self._loop.create_task(self._coroutine)
        self._task.add_done_callback(lambda _: self._over.set())

    def _cancel(self):
        self._task.cancel()

    def result(self):
        interrupted = not self._over.wait(True)
        if interrupted:
            self._loop.call_soon_threadsafe(self._cancel)
            self._over.wait(False)
        if self._task.cancelled():
            raise FUSEError(errno.EINTR) if interrupted else asyncio.CancelledError
        result, exception = self._task.result()
        if exception is None:
            return result
        try:
            raise exception
        finally:
            del self, exception  # which its traceback would keep


async def _outcome(function, arguments):
    """The result of a coroutine function or its exception: SystemExit, left alone, would end the loop."""
    try:
        return await function(*arguments), None
    except asyncio.CancelledError:
        raise
    except BaseException as exception:
        return None, exception


def _collecting(function):
    async def collect(*arguments):
        entries = []
        generator = function(*arguments)
        try:
            async for entry in generator:
                entries.append(entry)
                if len(entries) == MOST_ENTRIES:
                    break
        finally:
            await generator.aclose()
        return entries

    return collect

"""Handlers that are coroutines."""

import asyncio
import functools
import inspect
import threading

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
            call = _outcome(function, arguments)
            result, exception = asyncio.run_coroutine_threadsafe(call, self._loop).result()
            if exception is not None:
                raise exception
            return result

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


async def _outcome(function, arguments):
    """The result of a coroutine function or its exception: SystemExit, left alone, would end the loop."""
    try:
        return await function(*arguments), None
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

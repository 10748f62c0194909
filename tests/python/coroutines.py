"""Handlers that are coroutines."""

import asyncio
import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading

import llfuse

from harness import MountCase, Thread, error_of, eventually, main
from mistakes import OPERATIONS, Boom, Every, answer_to, asked, boom
from notes import NOTE, Notes


class AsyncEvery(Every):
    """Each handler is a coroutine."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.called = set()
        self.names = set()


class AsyncPlus(AsyncEvery):
    """Has the handler that takes the place of readdir, too."""


def _coroutine(name, kind, plain):
    async def handler(self, *arguments):
        await asyncio.sleep(0)
        self.called.add(name)
        self.names.add(threading.current_thread().name)
        return plain(self, *arguments)

    setattr(kind, name, handler)


for _name in (*OPERATIONS, "init", "destroy"):
    _coroutine(_name, AsyncEvery, getattr(Every, _name))
_coroutine("readdirplus", AsyncPlus, Every.readdir)


class Coroutines(MountCase):
    class Ops(llfuse.Operations):
        def __init__(self):
            self.notes = Notes(b"x" * 100, timeout=0)
            self.running = self.most = 0
            self.threads = set()

        async def lookup(self, parent_inode, name, ctx):
            await asyncio.sleep(0)
            return self.notes.lookup(parent_inode, name, ctx)

        async def getattr(self, inode, ctx):
            return self.notes.attributes(inode)

        def open(self, inode, flags, ctx):
            return inode

        async def read(self, fh, off, size):
            self.threads.add(threading.current_thread().name)
            self.running += 1
            self.most = max(self.most, self.running)
            if off == 0:
                while self.most < 3:
                    await asyncio.sleep(0.001)
            self.running -= 1
            return self.notes.text[off : off + size]

        async def readdir(self, fh, off):
            for i in range(off, 3):
                await asyncio.sleep(0)
                yield b"%d" % i, self.notes.attributes(NOTE), i + 1

    def test_coroutines_run_beside_each_other_on_one_loop(self):
        ops = self.Ops()
        with self.serving(ops):
            note = self.mountpoint / "note"
            self.assertEqual(error_of(os.stat, self.mountpoint / "other"), errno.ENOENT)
            descriptors = [os.open(note, os.O_RDONLY | os.O_DIRECT) for _ in range(3)]
            threads = [Thread(os.pread, descriptor, 4096, 0) for descriptor in descriptors]
            for thread, descriptor in zip(threads, descriptors):
                self.assertEqual(thread.result(), b"x" * 100)
                os.close(descriptor)
            self.assertEqual(os.listdir(self.mountpoint), ["0", "1", "2"])
        self.assertEqual((ops.most, ops.threads), (3, {"fuse-loop"}))

    def test_an_exception_ends_main(self):
        class Broken(self.Ops):
            async def read(self, fh, off, size):
                raise ZeroDivisionError

        def read():
            os.read(os.open(self.mountpoint / "note", os.O_RDONLY | os.O_DIRECT), 1)  # asks once

        self.assertEqual(self.ends_main(Broken(), ZeroDivisionError, read), errno.EIO)

    def test_every_handler_may_be_one(self):
        ops = AsyncEvery()
        with self.serving(ops):
            for name, call in asked(self.mountpoint).items():
                with self.subTest(name):
                    self.assertEqual(error_of(call), errno.ENOENT if name == "lookup" else 0)
                    self.assertTrue(eventually(lambda: name in ops.called))
        self.assertEqual(ops.called, {*OPERATIONS, "init", "destroy"})
        self.assertEqual(ops.names, {"fuse-loop"})
        ops = AsyncPlus()
        with self.serving(ops):
            self.assertEqual(os.listdir(self.mountpoint), ["note"])
        self.assertIn("readdirplus", ops.called)

    def test_exceptions_in_every_handler(self):
        def refuse():
            raise llfuse.FUSEError(errno.EXDEV)

        with self.serving(AsyncEvery(), on_error="continue") as session:
            for name, call in asked(self.mountpoint).items():
                with self.subTest(name):
                    session.ops.bad, session.ops.badly = name, boom
                    self.logs(name, Boom, call, answer_to(name))
                    if name not in ("poll", "copy_file_range"):  # of which the kernel makes something else
                        session.ops.badly = refuse
                        self.assertEqual(error_of(call), errno.EXDEV if answer_to(name) else 0)

    def test_an_exception_between_two_entries(self):
        class Ops(self.Ops):
            async def readdir(self, fh, off):
                yield b"first", self.notes.attributes(NOTE), 1
                raise Boom

        with self.serving(Ops(), on_error="continue"):
            self.logs("readdir", Boom, lambda: os.listdir(self.mountpoint))

    def test_a_wrong_answer(self):
        with self.serving(AsyncEvery("getattr", lambda: 5), on_error="continue"):
            self.logs("getattr", TypeError, lambda: os.stat(self.mountpoint))

    def test_leaving_the_interpreter_is_an_exception_too(self):
        self.leaves(AsyncEvery("getattr", lambda: sys.exit(3)))


class Interrupts(MountCase):
    class Ops(AsyncEvery):
        """`waits` never answers, unless it is cancelled and has something to `say`."""

        def __init__(self, waits, say=None):
            super().__init__()
            self.say = say
            self.inside, self.cancelled = threading.Event(), threading.Event()
            setattr(self, waits, self.wait)

        async def wait(self, *arguments):
            if arguments[1:] and isinstance(arguments[1], dict) and arguments[1]["type"] == fcntl.F_UNLCK:
                return None
            self.inside.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                if self.say is None:
                    raise
                return self.say

    def client(self, name, when_signalled="1 / 0"):
        """A process that makes the call and says how that ended."""
        script = """
import pathlib, signal, sys
sys.path.insert(0, sys.argv[2])
from harness import error_of
from mistakes import asked
signal.signal(signal.SIGUSR1, lambda *_: eval(sys.argv[4]))
try:
    asked(pathlib.Path(sys.argv[1]))[sys.argv[3]]()
    print("no error")
except ZeroDivisionError:
    print("interrupted")
except OSError as error:
    print(error)
"""
        command = [sys.executable, "-B", "-c", script, self.mountpoint, os.path.dirname(__file__), name, when_signalled]
        client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addCleanup(client.stdout.close)
        return client

    def test_who_waits_is_cancelled_when_the_caller_is_interrupted(self):
        # Not with `read`: the kernel waits for pages and for O_DIRECT without listening to signals.
        for name in ("open", "getattr", "setlk", "readdir", "write"):
            ops = self.Ops(name)
            with self.subTest(name), self.serving(ops) as session:
                client = self.client(name)
                self.assertTrue(ops.inside.wait(60))
                self.assertFalse(ops.cancelled.is_set())
                client.send_signal(signal.SIGUSR1)
                self.assertEqual(client.communicate(timeout=60)[0], "interrupted\n")
                self.assertTrue(ops.cancelled.is_set())
                self.assertGreaterEqual(session.statistics()["interrupts"], 1)

    def test_it_may_go_on(self):
        ops = self.Ops("write", say=1)
        with self.serving(ops) as session:
            client = self.client("write", when_signalled="None")
            self.assertTrue(ops.inside.wait(60))
            client.send_signal(signal.SIGUSR1)
            self.assertEqual(client.communicate(timeout=60)[0], "no error\n")
            self.assertTrue(ops.cancelled.is_set())
            self.assertEqual(session.statistics()["operations"]["WRITE"]["count"], 1)  # EINTR would be asked again

    def test_the_end_of_the_session_cancels_too(self):
        ops = self.Ops("getattr")
        session = llfuse.Session(ops, str(self.mountpoint))
        thread = Thread(session.main, handle_signals=False)
        client = self.client("getattr")
        self.assertTrue(ops.inside.wait(60))
        session.stop()
        self.assertIsNone(thread.result())
        self.assertTrue(ops.cancelled.is_set())
        session.close()
        client.communicate(timeout=60)

    def test_a_handler_that_cancels_itself_is_an_exception(self):
        async def cancel(*_):
            raise asyncio.CancelledError

        ops = AsyncEvery()
        ops.getattr = cancel
        with self.serving(ops, on_error="continue"):
            self.logs("getattr", asyncio.CancelledError, lambda: os.stat(self.mountpoint))


if __name__ == "__main__":
    main()

"""Handlers that are coroutines."""

import asyncio
import errno
import os
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


if __name__ == "__main__":
    main()

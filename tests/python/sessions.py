"""Several sessions in a process, handlers that are coroutines, threads, contention, and forks."""

import asyncio
import errno
import os
import subprocess
import sys
import threading
import time

import llfuse

from harness import MountCase, Thread, error_of, eventually, main, mounts, run_script, unmount
from notes import NOTE, Notes


class Sessions(MountCase):
    def test_several_mounts_in_one_process(self):
        other = self.directory / "other"
        other.mkdir()
        with self.serving(Notes(b"one")), self.serving(Notes(b"another"), mountpoint=other):
            self.assertEqual((self.mountpoint / "note").read_bytes(), b"one")
            self.assertEqual((other / "note").read_bytes(), b"another")
            (self.mountpoint / "note").read_bytes()

    def test_main_may_be_called_again(self):
        session = llfuse.Session(Notes(timeout=0), str(self.mountpoint))
        for _ in range(3):
            thread = Thread(session.main, handle_signals=False)
            os.stat(self.mountpoint)
            session.stop()
            self.assertIsNone(thread.result())
        session.close()
        self.assertEqual((session.ops.count["init"], session.ops.count["destroy"]), (1, 1))

    def test_threads_have_names_and_leave_nothing_behind(self):
        names = set()
        meeting = threading.Barrier(4)

        def look():
            names.add(threading.current_thread().name)
            with llfuse.lock_released:
                meeting.wait(60)

        ops = Notes(timeout=0)
        before = threading.active_count()
        with self.serving(ops):
            os.stat(self.mountpoint)
            ops.in_getattr = look
            threads = [Thread(os.stat, self.mountpoint) for _ in range(4)]
            for thread in threads:
                thread.result()
            ops.in_getattr = lambda: None
        self.assertEqual(len(names), 4)
        self.assertGreaterEqual(sum(name.startswith("fuse-worker-") for name in names), 3)
        self.assertTrue(eventually(lambda: threading.active_count() == before))

    def test_handlers_exclude_each_other_and_other_holders(self):
        inside = [0]
        most = [0]

        def work():
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.0005)
            inside[0] -= 1

        ops = Notes(timeout=0)
        with self.serving(ops):
            os.stat(self.mountpoint)
            ops.in_getattr = work

            def ask():
                for _ in range(30):
                    os.stat(self.mountpoint)

            def hold():
                for _ in range(30):
                    with llfuse.lock:
                        work()

            threads = [Thread(ask) for _ in range(4)] + [Thread(hold) for _ in range(2)]
            for thread in threads:
                thread.result()
            self.assertEqual(most[0], 1)

    def test_a_handler_that_yields_lets_another_one_run(self):
        order = []
        entered = threading.Event()

        def first():
            ops.in_getattr = second
            entered.set()
            while "second" not in order:
                llfuse.lock.yield_()
                time.sleep(0.001)
            order.append("first")

        def second():
            order.append("second")

        ops = Notes(timeout=0)
        with self.serving(ops):
            os.stat(self.mountpoint)
            ops.in_getattr = first
            one = Thread(os.stat, self.mountpoint)
            self.assertTrue(entered.wait(60))
            os.stat(self.mountpoint)
            one.result()
        self.assertEqual(order[:2], ["second", "first"])

    def test_daemonizing_between_init_and_main(self):
        script = """
import sys, os
sys.path.insert(0, sys.argv[2])
import llfuse
from notes import Notes
llfuse.init(Notes(timeout=0), sys.argv[1], {'fsname=background'})
if os.fork():
    sys.exit(0)  # the parent ends in the usual way and unmounts nothing
os.setsid()
null = os.open(os.devnull, os.O_RDWR)
for number in range(3):
    os.dup2(null, number)
llfuse.main(workers=1)
llfuse.close()
os._exit(0)
"""
        run_script(script, self.mountpoint, os.path.dirname(os.path.abspath(__file__)))
        self.assertEqual((self.mountpoint / "note").read_bytes(), b"first text")
        self.assertIn("background", mounts()[str(self.mountpoint)])
        unmount(self.mountpoint)

    def test_children_of_handlers(self):
        def run():
            with llfuse.lock_released:
                subprocess.run(["true"], check=True)

        ops = Notes(timeout=0)
        with self.serving(ops):
            os.stat(self.mountpoint)
            ops.in_getattr = run
            for _ in range(5):
                os.stat(self.mountpoint)


class Async(MountCase):
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


if __name__ == "__main__":
    main()

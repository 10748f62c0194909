"""Calls of handlers leave no memory behind."""

import errno
import faulthandler
import gc
import logging
import os
import sys

import llfuse

from coroutines import AsyncEvery
from harness import MountCase, Thread, error_of, eventually, main
from mistakes import Every, asked, boom
from notes import NOTE, Notes

CALLS = 1_000_000


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


class Leaks(MountCase):
    def setUp(self):
        super().setUp()
        faulthandler.cancel_dump_traceback_later()  # it takes its time

    def test_a_million_calls(self):
        ops = Notes(b"x" * 5000, timeout=0)
        with self.serving(ops) as session:
            note, absent, top = self.mountpoint / "note", self.mountpoint / "absent", self.mountpoint

            def some(count):
                descriptor = os.open(note, os.O_RDONLY | os.O_DIRECT)
                for _ in range(count // 10):
                    for _ in range(2):
                        os.stat(note)
                        error_of(os.stat, absent)
                    os.pread(descriptor, 4096, 0)
                    error_of(os.getxattr, note, "user.x")
                    os.listdir(top)
                os.close(descriptor)

            some(CALLS // 20)
            gc.collect()
            before, objects = resident(), len(gc.get_objects())
            some(CALLS)
            gc.collect()
            calls = sum(each["count"] for each in session.statistics()["operations"].values())
            self.assertGreater(calls, CALLS)
            # A leak of one small object for each call would be 16 MB and more.
            self.assertLess(resident() - before, 4 << 20)
            self.assertLess(len(gc.get_objects()) - objects, 1000)

    def keeps_no_objects(self, what, call, times=200):
        def blocks():
            gc.collect()
            return sys.getallocatedblocks()

        def leaves_some():
            before = blocks()
            for _ in range(times):
                call()
            return not eventually(lambda: blocks() - before < times // 2, limit=10)

        for _ in range(20):
            call()
        with self.subTest(what):
            # A worker that begins meanwhile has objects of its own, but not each time.
            self.assertFalse(all(leaves_some() for _ in range(4)), "objects are left")

    def test_each_operation_and_each_way_to_answer(self):
        def refuse():
            raise llfuse.FUSEError(errno.EXDEV)

        logging.getLogger("llfuse").setLevel(logging.CRITICAL + 1)
        for kind in (Every, AsyncEvery):
            ops = kind()
            with self.serving(ops, on_error="continue"):
                for name, call in asked(self.mountpoint).items():
                    for badly in (None, refuse, boom, object):
                        ops.bad, ops.badly = badly and name, badly
                        answer = badly.__name__ if badly else "well"
                        self.keeps_no_objects((kind.__name__, name, answer), lambda: error_of(call))

    def test_each_notification(self):
        with self.serving(Notes()) as session, open(self.mountpoint / "note", "rb") as opened:
            opened.read()
            for call in (
                lambda: session.invalidate_inode(NOTE),
                lambda: session.invalidate_entry(llfuse.ROOT_INODE, b"note"),
                lambda: session.expire_entry(llfuse.ROOT_INODE, b"note"),
                lambda: session.notify_delete(llfuse.ROOT_INODE, NOTE, b"other"),
                lambda: session.notify_poll(5),
                lambda: session.notify_store(NOTE, 0, b"stored"),
                lambda: error_of(session.notify_store, 4711, 0, b"stored"),
                lambda: session.notify_retrieve(NOTE, 0, 10, lambda *_: None),
                lambda: error_of(session.prune, [4711]),
                lambda: error_of(session.increment_epoch),
                session.statistics,
            ):
                self.keeps_no_objects(call.__code__.co_names if hasattr(call, "__code__") else "statistics", call)

    def test_sessions(self):
        def session():
            one = llfuse.Session(Notes(timeout=0), str(self.mountpoint))
            thread = Thread(one.main, 1, handle_signals=False)
            os.stat(self.mountpoint)
            one.stop()
            thread.result()
            one.close()

        self.keeps_no_objects("session", session)


if __name__ == "__main__":
    main()

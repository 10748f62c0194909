"""What a file system tells the kernel unasked: what a client saw before it, and what it sees afterwards."""

import errno
import os
import struct
import sys
import threading

import llfuse

from harness import MountCase, Thread, error_of, eventually, libc, main
from notes import NOTE, Notes

IN_DELETE_SELF = 0x400


class Counting(Notes):
    """Believed for ever unless told otherwise; knows how many lookups the kernel has given back."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.forgotten = 0

    def forget(self, inode_list):
        self.forgotten += sum(count for inode, count in inode_list if inode == NOTE)


class Notifications(MountCase):
    def setUp(self):
        super().setUp()
        self.ops = Counting()
        self.note = self.mountpoint / "note"

    def lookups(self):
        """How often another stat asks for the name."""
        before = self.ops.count["lookup"]
        os.stat(self.note)
        return self.ops.count["lookup"] - before

    def tell(self, call, *arguments):
        """Sends what older kernels do not know."""
        number = error_of(call, *arguments)
        if number == errno.EOPNOTSUPP:
            self.skipTest("the kernel is older than this notification")
        self.assertEqual(number, 0)

    def test_expire_entry(self):
        with self.serving(self.ops) as session:
            os.stat(self.note)
            self.assertEqual(self.lookups(), 0)
            session.expire_entry(llfuse.ROOT_INODE, b"note")
            self.assertTrue(eventually(lambda: self.lookups() == 1))
            self.assertEqual(self.lookups(), 0)

    def test_increment_epoch(self):
        with self.serving(self.ops) as session:
            os.stat(self.note)
            self.assertEqual(self.lookups(), 0)
            self.tell(session.increment_epoch)
            self.assertTrue(eventually(lambda: self.lookups() == 1))
            self.assertEqual(self.lookups(), 0)

    def test_notify_delete_is_seen_by_watchers(self):
        with self.serving(self.ops) as session:
            os.stat(self.note)
            watcher = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            self.addCleanup(os.close, watcher)
            self.assertGreaterEqual(libc.inotify_add_watch(watcher, os.fsencode(self.note), IN_DELETE_SELF), 0)
            session.notify_delete(llfuse.ROOT_INODE, 4711, b"note")  # it leads elsewhere: nothing happens
            session.notify_delete(llfuse.ROOT_INODE, NOTE, b"other")
            session.expire_entry(llfuse.ROOT_INODE, b"note")  # they arrive in order
            self.assertTrue(eventually(lambda: self.lookups() == 1))
            self.assertEqual(error_of(os.read, watcher, 4096), errno.EAGAIN)
            session.notify_delete(llfuse.ROOT_INODE, NOTE, b"note")
            self.assertTrue(eventually(lambda: error_of(os.read, watcher, 0) != errno.EAGAIN))
            self.assertEqual(struct.unpack_from("iI", os.read(watcher, 4096))[1], IN_DELETE_SELF)
            self.assertEqual(self.lookups(), 1)

    def test_prune(self):
        with self.serving(self.ops) as session:
            for inodes in ([], [4711], (NOTE,)):
                os.stat(self.note)
                self.assertEqual(self.ops.forgotten, 0)
                self.tell(session.prune, inodes)
            self.assertTrue(eventually(lambda: self.ops.forgotten == 1))
            self.assertEqual(self.lookups(), 1)
            self.assertRaises(TypeError, session.prune, 5)
            self.assertRaises(OverflowError, session.prune, [1 << 64])

    def test_resend(self):
        released = threading.Event()

        def wait():
            if self.ops.count["read"] == 1:
                with llfuse.lock_released:
                    released.wait(60)

        self.ops.in_read = wait
        # The kernel does not look among the requests of io_uring's rings (fuse_resend).
        with self.serving(self.ops, ["has_resend", "transport=device"]) as session:
            client = Thread(self.note.read_bytes)
            self.assertTrue(eventually(lambda: self.ops.count["read"] == 1))
            self.assertTrue(client.is_alive())
            self.tell(session.resend)
            self.assertEqual(client.result(), b"first text")
            self.assertEqual(self.ops.count["read"], 2)
            released.set()

    def test_notify_store_takes_any_buffer_of_any_length(self):
        self.ops.text = bytes(3 << 20)
        with self.serving(self.ops) as session, open(self.note, "rb", buffering=0) as opened:
            self.assertEqual(os.pread(opened.fileno(), 3 << 20, 0), self.ops.text)
            reads = self.ops.count["read"]
            for kind in (bytes, bytearray, memoryview):
                much = os.urandom(3 << 20)
                session.notify_store(NOTE, 0, kind(much))
                self.assertEqual(os.pread(opened.fileno(), 3 << 20, 0), much)
            session.notify_store(NOTE, 0, b"")
            session.notify_store(NOTE, 5000, b"in between")
            expected = much[:5000] + b"in between" + much[5010:]
            self.assertEqual(os.pread(opened.fileno(), 3 << 20, 0), expected)
            self.assertEqual(self.ops.count["read"], reads)
            for wrong in ("text", None, memoryview(much)[::2]):
                self.assertRaises((TypeError, BufferError), session.notify_store, NOTE, 0, wrong)

    def retrieved(self, session, offset, size):
        done = threading.Event()
        got = []

        def take(*arguments):
            got.append(arguments)
            done.set()

        session.notify_retrieve(NOTE, offset, size, take)
        self.assertTrue(done.wait(60))
        return got[0]

    def test_notify_retrieve(self):
        with self.serving(self.ops) as session, open(self.note, "rb") as opened:
            self.assertEqual(self.retrieved(session, 0, 100), (0, b""))
            opened.read()
            self.assertEqual(self.retrieved(session, 0, 100), (0, b"first text"))
            self.assertEqual(self.retrieved(session, 6, 3), (6, b"tex"))
            session.notify_store(NOTE, 0, b"stored text")
            self.assertEqual(self.retrieved(session, 0, 6), (0, b"stored"))

    def test_what_the_receiver_of_data_raises_is_told(self):
        told = []
        hook, sys.unraisablehook = sys.unraisablehook, lambda caught: told.append(caught.exc_type)
        try:
            with self.serving(self.ops) as session:
                self.note.read_bytes()
                session.notify_retrieve(NOTE, 0, 100, lambda offset, data: 1 / 0)
                self.assertTrue(eventually(lambda: told))
                self.assertEqual(self.note.read_bytes(), b"first text")
        finally:
            sys.unraisablehook = hook
        self.assertEqual(told, [ZeroDivisionError])

    def test_before_main_there_is_nobody_to_tell(self):
        session = llfuse.Session(self.ops, str(self.mountpoint))
        session.invalidate_inode(NOTE)
        session.invalidate_entry(llfuse.ROOT_INODE, b"note")
        for call in (
            lambda: session.notify_store(NOTE, 0, b"x"),
            lambda: session.notify_retrieve(NOTE, 0, 1, print),
            lambda: session.prune([NOTE]),
            session.resend,
            session.increment_epoch,
        ):
            self.assertEqual(error_of(call), errno.ENOTCONN)
        session.close()


if __name__ == "__main__":
    main()

"""Every sentence of the document on llfuse's functions, as one test or more."""

import errno
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import unittest

import llfuse

from harness import MountCase, Thread, dispositions, error_of, eventually, main, mounts, unmount
from notes import NOTE, Notes

# A program that mounts Notes, says so, serves, and says how it ended.
SERVER = """
import sys, os, threading, signal, time
sys.path.insert(0, sys.argv[2])
import llfuse
from harness import dispositions, eventually
from notes import Notes
ops = Notes(timeout=0)
# Without those of io_uring, which rest until the end: the kernel takes back what an ending thread has submitted.
def threads(but=('fuse-ring', 'fuse-caretaker')):
    count = 0
    for task in os.listdir('/proc/self/task'):
        try:
            count += not open(f'/proc/self/task/{task}/comm').read().startswith(but)
        except OSError:
            pass  # just ended
    return count
called = []
signal.signal(signal.SIGUSR1, lambda number, frame: called.append(number))
signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it
signal.signal(signal.SIGHUP, signal.SIG_IGN)
before = dispositions()
llfuse.init(ops, sys.argv[1], {'fsname=test'})
tasks = threads()
print('mounted', flush=True)
result = llfuse.main(**eval(sys.argv[3]))
print('returned', result, flush=True)
assert dispositions() == before
assert called == []  # that was main's business
os.kill(os.getpid(), signal.SIGUSR1)
assert called == [signal.SIGUSR1]
assert eventually(lambda: threads() == tasks)  # one that was waited for may still be seen for a moment
if len(sys.argv) > 4: exec(sys.argv[4])
llfuse.close()
assert eventually(lambda: threads(()) <= tasks)
print('closed', flush=True)
"""


class Server:
    """SERVER in a process of its own."""

    def __init__(self, case, main="dict()", after=None):
        here = str(pathlib.Path(__file__).parent)
        command = [sys.executable, "-c", SERVER, str(case.mountpoint), here, main] + ([after] if after else [])
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.expect("mounted")

    def expect(self, line):
        got = self.process.stdout.readline().rstrip("\n")
        if got != line:
            self.process.kill()
            raise AssertionError(f"{got!r} instead of {line!r}: {self.process.stdout.read()}")

    def end(self):
        self.expect("closed")
        assert self.process.wait(60) == 0
        self.process.stdout.close()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Promises(MountCase):
    def setUp(self):
        super().setUp()
        self.ops = Notes()
        self.thread = None
        self.is_open = False

    def tearDown(self):
        if self.thread is not None:
            llfuse.stop()
            self.ended()
        if self.is_open:
            llfuse.close()
        super().tearDown()

    def init(self, options=llfuse.default_options):
        llfuse.init(self.ops, str(self.mountpoint), options)
        self.is_open = True

    def start(self, **keywords):
        self.init(keywords.pop("options", llfuse.default_options))
        self.thread = Thread(llfuse.main, handle_signals=False, **keywords)
        os.stat(self.mountpoint)

    def ended(self):
        thread, self.thread = self.thread, None
        return thread.result()

    def close(self, unmount=True):
        self.is_open = False
        llfuse.close(unmount)

    @property
    def note(self):
        return self.mountpoint / "note"

    def is_mounted(self):
        return str(self.mountpoint) in mounts()

    # init

    def test_L1_init_mounts(self):
        self.init({"fsname=of_the_test"})
        self.assertIn(" - fuse of_the_test ", mounts()[str(self.mountpoint)])

    def test_L2_ops_may_be_any_class_with_these_methods(self):
        class Duck:
            lookup, getattr, open, read = Notes.lookup, Notes.getattr, Notes.open, Notes.read
            seen, attributes = Notes.seen, Notes.attributes
            __init__ = Notes.__init__

        self.ops = Duck(b"from a duck")
        self.start()
        self.assertEqual(self.note.read_bytes(), b"from a duck")

    def test_L3_options_are_a_set_to_start_from(self):
        options = set(llfuse.default_options)
        options.add("ro")
        self.start(options=options)
        self.assertEqual(error_of(os.mkdir, self.mountpoint / "new"), errno.EROFS)
        self.assertEqual(self.ops.count["access"], 0)
        llfuse.stop()
        self.ended()
        self.close()
        options.discard("default_permissions")
        self.start(options=options)
        self.assertTrue(os.access(self.note, os.R_OK))
        self.assertGreater(self.ops.count["access"], 0)

    def test_L4_an_unknown_option_is_an_error(self):
        with self.assertRaisesRegex(RuntimeError, "bogus"):
            llfuse.init(self.ops, str(self.mountpoint), {"bogus"})
        self.assertFalse(self.is_mounted())

    # main

    def test_L5_main_serves_several_requests_at_once(self):
        meeting = threading.Barrier(2)
        self.ops.text = b"x" * (1 << 20)

        def wait():
            with llfuse.lock_released:
                meeting.wait(60)

        self.start()
        self.ops.in_read = wait
        descriptors = [os.open(self.note, os.O_RDONLY | os.O_DIRECT) for _ in range(2)]
        other = Thread(os.pread, descriptors[1], 4096, 1 << 19)
        os.pread(descriptors[0], 4096, 0)
        other.result()
        for descriptor in descriptors:
            os.close(descriptor)
        self.assertFalse(meeting.broken)

    def test_L6_the_default_is_more_than_one_thread(self):
        self.ops.timeout = 0
        counts = []
        before = len(os.listdir("/proc/self/task"))
        self.start()
        self.ops.in_getattr = lambda: counts.append(len(os.listdir("/proc/self/task")))
        os.stat(self.mountpoint)
        self.assertGreaterEqual(counts[0], before + 2)

    def test_L7_with_one_worker_everything_happens_on_the_calling_thread(self):
        self.init()
        idents = []

        def call():
            idents.append(threading.get_ident())
            return llfuse.main(workers=1, handle_signals=False)

        self.thread = Thread(call)
        self.note.read_bytes()
        os.listdir(self.mountpoint)
        unmount(self.mountpoint)
        self.assertIsNone(self.ended())
        self.assertEqual(self.ops.threads, set(idents))

    def test_L8_L9_L11_L13_L16_signals_end_main_which_returns_their_number(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            for workers in ("1", "None"):
                with self.subTest(number=number, workers=workers):
                    server = Server(self, f"dict(workers={workers})")
                    os.stat(self.mountpoint)
                    during = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1}, {signal.SIGPIPE}
                    self.assertEqual(dispositions(server.process.pid), during)
                    server.process.send_signal(number)
                    server.expect(f"returned {int(number)}")
                    server.end()

    def test_L10_L12_SIGPIPE_and_SIGUSR1_do_not_end_it(self):
        server = Server(self)
        os.stat(self.mountpoint)
        server.process.send_signal(signal.SIGPIPE)
        server.process.send_signal(signal.SIGUSR1)
        self.assertEqual(self.note.read_bytes(), b"first text")
        server.process.terminate()
        server.expect("returned 15")
        server.end()

    def test_L14_without_signals_it_is_stop_that_ends_main(self):
        self.start()
        llfuse.stop()
        self.assertIsNone(self.ended())
        llfuse.stop()
        self.assertIsNone(llfuse.main(handle_signals=False), "a stop before main is not lost")

    def test_L15_main_returns_None_when_unmounted(self):
        self.start()
        unmount(self.mountpoint)
        self.assertIsNone(self.ended())

    # close

    def test_L17_close_unmounts(self):
        self.start()
        llfuse.stop()
        self.ended()
        self.assertTrue(self.is_mounted())
        self.close()
        self.assertFalse(self.is_mounted())
        self.assertEqual(self.ops.count["destroy"], 1)

    def waits_until_close(self):
        client = subprocess.Popen(["stat", self.note], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        waiting = pathlib.Path(f"/proc/{client.pid}/wchan")
        self.assertTrue(eventually(lambda: "request_wait" in waiting.read_text() or client.poll() is not None))
        self.assertIsNone(client.poll())
        self.assertTrue(self.is_mounted())
        time.sleep(0.2)
        self.assertIsNone(client.poll())
        self.close()
        self.assertNotEqual(client.wait(60), 0)
        self.assertFalse(self.is_mounted())

    def test_L18_after_the_end_of_main_an_access_waits_until_close(self):
        self.ops.timeout = 0
        self.start()
        llfuse.stop()
        self.ended()
        self.waits_until_close()

    def test_L18_also_when_an_exception_has_ended_it(self):
        def fail():
            raise ZeroDivisionError

        self.ops.timeout = 0
        self.start()
        self.ops.in_getattr = fail
        self.assertEqual(error_of(os.stat, self.mountpoint), errno.EIO)
        self.assertRaises(ZeroDivisionError, self.ended)
        self.waits_until_close()

    def test_L19_after_the_process_an_access_is_an_error(self):
        server = Server(self)
        server.kill()
        self.assertTrue(eventually(lambda: error_of(os.stat, self.note) == errno.ENOTCONN))
        unmount(self.mountpoint)

    def test_L19_also_when_it_ends_without_close(self):
        server = Server(self, after="sys.exit(0)")
        os.stat(self.mountpoint)
        server.process.terminate()
        server.expect("returned 15")
        self.assertEqual(server.process.wait(60), 0)
        server.process.stdout.close()
        self.assertTrue(eventually(lambda: error_of(os.stat, self.note) == errno.ENOTCONN))
        unmount(self.mountpoint)

    def test_L20_close_without_unmounting_leaves_it_in_the_table(self):
        self.start()
        llfuse.stop()
        self.ended()
        self.close(unmount=False)
        self.assertEqual(self.ops.count["destroy"], 1)
        self.assertTrue(self.is_mounted())
        self.assertTrue(eventually(lambda: error_of(os.stat, self.note) == errno.ENOTCONN))
        unmount(self.mountpoint)

    def test_L21_close_does_not_unmount_what_was_cut_off(self):
        self.start()
        device = os.minor(os.stat(self.mountpoint).st_dev)
        control = self.directory / "control"
        control.mkdir()
        subprocess.run(["mount", "-t", "fusectl", "none", control], check=True)
        (control / str(device) / "abort").write_text("1")
        unmount(control)
        self.assertIsNone(self.ended())
        self.close(unmount=True)
        self.assertTrue(self.is_mounted())
        unmount(self.mountpoint)

    # Notifications

    def change(self, text):
        """The file changes behind the kernel's back, which goes on to believe what it has."""
        self.assertEqual(self.note.read_bytes(), self.ops.text)
        before = self.status()
        self.ops.text, self.ops.mtime = text, 5
        self.assertEqual(self.status(), before)
        self.assertNotEqual(self.note.read_bytes(), text)

    def status(self):
        status = os.stat(self.note)
        return status.st_size, status.st_mtime_ns

    def test_L22_invalidate_inode_forgets_attributes_and_data(self):
        for text in (b"other text", b"one that is longer"):
            self.start()
            self.change(text)
            llfuse.invalidate_inode(NOTE)
            self.assertTrue(eventually(lambda: self.status() == (len(text), 5)))
            self.assertTrue(eventually(lambda: self.note.read_bytes() == text))
            llfuse.stop()
            self.ended()
            self.close()
            self.ops = Notes()

    def test_L23_attr_only_keeps_the_data(self):
        self.start()
        self.change(b"other text")
        before = self.ops.count["read"]
        llfuse.invalidate_inode(NOTE, attr_only=True)
        self.assertTrue(eventually(lambda: self.status() == (10, 5)))
        self.assertEqual(self.note.read_bytes(), b"first text")
        self.assertEqual(self.ops.count["read"], before)

    def test_L24_invalidations_may_be_sent_by_the_handler_that_is_asked(self):
        def invalidate():
            llfuse.invalidate_inode(NOTE)
            llfuse.invalidate_inode(NOTE, True)
            llfuse.invalidate_entry(llfuse.ROOT_INODE, b"note")

        self.ops.in_getattr = self.ops.in_read = invalidate
        self.start()
        self.assertEqual(self.note.read_bytes(), b"first text")

    def test_L25_invalidate_entry_forgets_a_name(self):
        self.start()
        os.stat(self.note)
        before = self.ops.count["lookup"]
        os.stat(self.note)
        self.assertEqual(self.ops.count["lookup"], before)
        self.ops.absent = True
        os.stat(self.note)
        llfuse.invalidate_entry(llfuse.ROOT_INODE, b"note")
        self.assertTrue(eventually(lambda: error_of(os.stat, self.note) == errno.ENOENT))

    def test_L26_L27_notify_store_fills_the_cache_and_extends_the_file(self):
        self.ops.text = b""
        self.start()
        descriptor = os.open(self.note, os.O_RDONLY)
        self.ops.text = bytes(4096)  # the kernel will ask for the size again
        self.assertEqual(os.fstat(descriptor).st_size, 0)
        llfuse.notify_store(NOTE, 0, bytearray(b"s" * 4096))
        self.assertEqual(os.fstat(descriptor).st_size, 4096)
        self.assertEqual(os.pread(descriptor, 4096, 0), b"s" * 4096)
        self.assertEqual(self.ops.count["read"], 0)
        os.close(descriptor)

    def test_L28_notify_store_raises_when_it_fails(self):
        self.start()
        with self.assertRaises(OSError) as caught:
            llfuse.notify_store(4711, 0, b"x")
        self.assertEqual(caught.exception.errno, errno.ENOENT)

    def test_L29_L30_inode_numbers_have_64_bits(self):
        self.assertEqual(llfuse.get_ino_t_bits(), 64)
        attr = llfuse.EntryAttributes()
        attr.st_ino = (1 << 64) - 1
        for number in (1 << 64, -1):
            with self.assertRaises(OverflowError):
                attr.st_ino = number
            with self.assertRaises(OverflowError):
                llfuse.invalidate_inode(number)

    def test_L31_L32_offsets_have_64_bits_with_the_sign(self):
        self.assertEqual(llfuse.get_off_t_bits(), 64)
        self.start()
        with self.assertRaises(OverflowError):
            llfuse.notify_store(NOTE, 1 << 63, b"")
        attr = llfuse.EntryAttributes()
        with self.assertRaises(OverflowError):
            attr.st_size = 1 << 63


if __name__ == "__main__":
    main()

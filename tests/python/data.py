"""The data classes, the lock, and what wrong arguments are answered with; nothing is mounted."""

import copy
import errno
import logging
import os
import pickle
import subprocess
import sys
import threading
import time
import unittest

import llfuse

from harness import Thread, eventually, run_script

UNSIGNED = "st_ino generation st_mode st_nlink st_uid st_gid st_rdev st_blksize st_blocks".split()
TIMES = "st_atime_ns st_mtime_ns st_ctime_ns".split()


class Data(unittest.TestCase):
    def test_defaults(self):
        attr = llfuse.EntryAttributes()
        self.assertEqual((attr.entry_timeout, attr.attr_timeout), (300.0, 300.0))
        self.assertEqual((attr.st_mode, attr.st_nlink, attr.st_blksize), (0o100000, 1, 4096))
        self.assertEqual((attr.st_ino, attr.st_size, attr.st_birthtime_ns), (0, 0, 0))

    def test_members_take_what_fits(self):
        attr = llfuse.EntryAttributes()
        for name in UNSIGNED:
            with self.subTest(name):
                setattr(attr, name, 7)
                self.assertEqual(getattr(attr, name), 7)
                setattr(attr, name, 8.9)
                self.assertEqual(getattr(attr, name), 8)
                self.assertRaises(OverflowError, setattr, attr, name, -1)
                self.assertRaises(OverflowError, setattr, attr, name, 1 << 64)
                for wrong in ("x", None, b"1"):
                    self.assertRaises(TypeError, setattr, attr, name, wrong)
                self.assertRaises((AttributeError, TypeError, NotImplementedError), delattr, attr, name)
        attr.st_size = -1
        self.assertEqual(attr.st_size, -1)
        self.assertRaises(AttributeError, setattr, attr, "no_such", 1)

    def test_times(self):
        attr = llfuse.EntryAttributes()
        for name in TIMES:
            for value in (0, 1, -1, 1_700_000_000_123_456_789, -5_000_000_001, 1 << 64, -(1 << 64)):
                setattr(attr, name, value)
                self.assertEqual(getattr(attr, name), value)
            setattr(attr, name, 1.5e9)
            self.assertEqual(getattr(attr, name), 1_500_000_000)
            self.assertRaises(TypeError, setattr, attr, name, "x")
        attr.st_birthtime_ns = 5
        self.assertEqual(attr.st_birthtime_ns, 0)

    def test_copying_and_pickling(self):
        attr = llfuse.EntryAttributes()
        attr.st_ino, attr.st_mtime_ns, attr.entry_timeout = 1 << 63, -7, 0.5
        space = llfuse.StatvfsData()
        space.f_files = 12
        for twin in (copy.copy(attr), copy.deepcopy(attr), *(pickle.loads(pickle.dumps(attr, p)) for p in (2, 3, 4, 5))):
            self.assertEqual((twin.st_ino, twin.st_mtime_ns, twin.entry_timeout), (1 << 63, -7, 0.5))
        self.assertEqual(pickle.loads(pickle.dumps(space)).f_files, 12)
        for read_only in (llfuse.RequestContext(), llfuse.SetattrFields()):
            self.assertRaises(pickle.PicklingError, pickle.dumps, read_only)
            self.assertRaises(pickle.PicklingError, copy.copy, read_only)

    def test_read_only(self):
        for record, names in (
            (llfuse.RequestContext(), "uid gid pid umask"),
            (llfuse.SetattrFields(), "update_atime update_mtime update_mode update_uid update_gid update_size"),
        ):
            for name in names.split():
                self.assertEqual(getattr(record, name), 0)
                self.assertRaises(AttributeError, setattr, record, name, 1)

    def test_FUSEError(self):
        error = llfuse.FUSEError(errno.ENOENT)
        self.assertEqual((error.errno, error.errno_, error.args), (2, 2, (2,)))
        self.assertEqual(str(error), os.strerror(2))
        self.assertIsInstance(error, Exception)
        for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            self.assertEqual((type(twin), twin.errno), (llfuse.FUSEError, 2))
        for wrong in ((), (1, 2), ("x",), (None,)):
            self.assertRaises(TypeError, llfuse.FUSEError, *wrong)
        self.assertRaises(OverflowError, llfuse.FUSEError, 1 << 40)
        self.assertRaises(AttributeError, setattr, error, "errno", 3)

        class Derived(llfuse.FUSEError):
            pass

        self.assertEqual(Derived(5).errno, 5)

    def test_derived_classes(self):
        class Named(llfuse.EntryAttributes):
            def __init__(self, name):
                self.name = name

            def __new__(cls, name):
                return super().__new__(cls)

        self.assertEqual((Named("x").name, Named("x").st_nlink), ("x", 1))

    def test_the_whole_of_the_names_is_there(self):
        names = """init main close invalidate_inode invalidate_entry notify_store get_ino_t_bits get_off_t_bits setxattr
        getxattr listdir get_sup_groups Operations EntryAttributes RequestContext SetattrFields StatvfsData FUSEError Lock
        NoLockManager lock lock_released default_options ROOT_INODE ENOATTR __version__ stop fuse_version Session
        _NANOS_PER_SEC PicklingError Queue log fse str_t"""
        self.assertEqual([name for name in names.split() if not hasattr(llfuse, name)], [])
        self.assertEqual((llfuse.ROOT_INODE, llfuse.ENOATTR), (1, errno.ENODATA))
        self.assertIs(llfuse.log, logging.getLogger("llfuse"))
        self.assertIsInstance(llfuse.default_options, frozenset)

    def test_functions_for_files(self):
        self.assertEqual(sorted(llfuse.listdir("/proc/self/ns")), sorted(os.listdir("/proc/self/ns")))
        self.assertEqual(llfuse.get_sup_groups(os.getpid()), set(os.getgroups()))
        self.assertRaises(FileNotFoundError, llfuse.getxattr, "/no/such", "user.x")
        self.assertRaises(FileNotFoundError, llfuse.listdir, "/no/such")
        self.assertRaises(TypeError, llfuse.getxattr, b"/tmp", "user.x")
        self.assertRaises(TypeError, llfuse.setxattr, "/tmp", "user.x", "y")
        self.assertRaises(ValueError, llfuse.setxattr, "/tmp", "user.x", b"y", "other")
        self.assertRaises(TypeError, llfuse.listdir, b"/")

    def test_wrong_arguments(self):
        ops = llfuse.Operations()
        self.assertRaises(TypeError, llfuse.init, ops, b"/tmp", set())
        self.assertRaises(TypeError, llfuse.init, ops, "/tmp", {1})
        self.assertRaises(TypeError, llfuse.init, ops, "/tmp", None)
        self.assertRaises(UnicodeEncodeError, llfuse.init, ops, "/tmp", {"\xfc"})
        self.assertRaises(ValueError, llfuse.init, ops, "/tmp\0", set())
        self.assertRaisesRegex(RuntimeError, "fuse_mount failed", llfuse.init, ops, "/no/such", set())
        for call in (llfuse.main, llfuse.stop, llfuse.close):
            self.assertRaises(RuntimeError, call)
        self.assertRaises(RuntimeError, llfuse.notify_store, 1, 0, b"")
        self.assertRaises(TypeError, llfuse.invalidate_entry, 1, "x")
        self.assertRaises(OverflowError, llfuse.invalidate_inode, -1)
        self.assertRaises(TypeError, llfuse.invalidate_inode, "x")
        llfuse.invalidate_inode(1)  # nothing is mounted, nothing is cached
        self.assertRaises(TypeError, llfuse._core.Session)
        self.assertRaises(TypeError, llfuse.EntryAttributes, 1)


class Lock(unittest.TestCase):
    def test_one_holder(self):
        self.assertRaises(RuntimeError, llfuse.lock.release)
        self.assertTrue(llfuse.lock.acquire())
        self.assertRaisesRegex(RuntimeError, "more than once", llfuse.lock.acquire)
        self.assertRaises(RuntimeError, Thread(llfuse.lock.release).result)
        self.assertFalse(Thread(llfuse.lock.acquire, timeout=0).result())
        llfuse.lock.release()
        self.assertRaises(RuntimeError, llfuse.lock.yield_)

    def test_a_timeout_may_be_a_part_of_a_second(self):
        with llfuse.lock:
            begin = time.monotonic()
            self.assertFalse(Thread(llfuse.lock.acquire, 0.05).result())
            self.assertGreaterEqual(time.monotonic() - begin, 0.05)
            self.assertRaises(TypeError, llfuse.lock.acquire, "x")

    def test_lock_released(self):
        self.assertRaises(RuntimeError, llfuse.lock_released.__enter__)
        with llfuse.lock:
            with llfuse.lock_released:
                self.assertTrue(Thread(lambda: (llfuse.lock.acquire(timeout=60), llfuse.lock.release())).result()[0])
            self.assertRaises(RuntimeError, llfuse.lock.acquire)

    def test_classes_have_one_object_each(self):
        for kind in (llfuse.Lock, llfuse.NoLockManager):
            self.assertRaises(TypeError, kind)

    def test_it_excludes(self):
        counter = [0]

        def work():
            for _ in range(300):
                with llfuse.lock:
                    value = counter[0]
                    time.sleep(0)
                    counter[0] = value + 1

        threads = [Thread(work) for _ in range(6)]
        for thread in threads:
            thread.result()
        self.assertEqual(counter[0], 1800)

    def test_yield_hands_it_over_for_certain(self):
        order = []

        def other(name):
            with llfuse.lock:
                order.append(name)

        with llfuse.lock:
            llfuse.lock.yield_()  # nobody waits
            threads = [Thread(other, name) for name in "ab"]
            self.assertTrue(eventually(lambda: self._yield_until(order)))
            order.append("self")
        for thread in threads:
            thread.result()
        self.assertEqual(sorted(order[:2]), ["a", "b"])

    @staticmethod
    def _yield_until(order):
        llfuse.lock.yield_(count=5)
        return len(order) == 2

    def test_two_that_yield_take_turns(self):
        turns = []
        end = time.monotonic() + 60

        def work(name):
            with llfuse.lock:
                while "ab" * 20 not in "".join(turns[-60:]) and time.monotonic() < end:
                    turns.append(name)
                    llfuse.lock.yield_()

        threads = [Thread(work, name) for name in "ab"]
        for thread in threads:
            thread.result(limit=120)
        self.assertIn("ab" * 20, "".join(turns[-60:]))

    def test_a_child_gets_it_free_of_what_other_threads_held(self):
        script = """
import llfuse, os, threading
taken, done = threading.Event(), threading.Event()
def hold():
    with llfuse.lock:
        taken.set()
        done.wait()
thread = threading.Thread(target=hold)
thread.start()
taken.wait()
pid = os.fork()
if pid == 0:
    os._exit(0 if llfuse.lock.acquire(timeout=20) else 1)
done.set()
thread.join()
assert os.waitpid(pid, 0)[1] == 0
"""
        run_script(script)


if __name__ == "__main__":
    unittest.main(verbosity=2)

"""What handlers are told of the caller and of changes, and what of their attributes a client sees, field by field."""

import ctypes
import errno
import inspect
import os
import stat
import subprocess
import sys
import threading
import time

import llfuse

from harness import AT_FDCWD, MountCase, Thread, error_of, eventually, libc, main
from mistakes import OPERATIONS, Every
from notes import NOTE, Notes

HERE = os.path.dirname(os.path.abspath(__file__))
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2

# Asks for every operation, as whoever it is started as.
CLIENT = """
import pathlib, sys
sys.path.insert(0, sys.argv[2])
from harness import error_of
from mistakes import asked
for name, call in asked(pathlib.Path(sys.argv[1])).items():
    print(name, error_of(call))
"""


class Witness(Every):
    """Keeps who asked."""

    def __init__(self):
        super().__init__()
        self.callers = {}
        self.modes = {}


def _witness(name):
    has_mode = name in ("create", "mknod", "mkdir")

    def handler(self, *arguments):
        ctx = arguments[-1]
        if ctx.pid != os.getpid():
            self.callers[name] = (ctx.uid, ctx.gid, ctx.pid, ctx.umask)
        if has_mode:
            self.modes[name] = arguments[2]
        return getattr(super(Witness, self), name)(*arguments)

    setattr(Witness, name, handler)


ASKING = [name for name in OPERATIONS if "ctx" in inspect.signature(getattr(llfuse.Operations, name)).parameters]
for _name in ASKING:
    _witness(_name)


class Callers(MountCase):
    def test_every_handler_with_a_context_is_told_who_asks(self):
        os.chmod(self.directory, 0o755)
        ops = Witness()
        with self.serving(ops, ["allow_other"]):
            os.stat(self.mountpoint)
            command = [sys.executable, "-B", "-c", CLIENT, self.mountpoint, HERE]
            pipe = subprocess.PIPE
            with subprocess.Popen(command, stdout=pipe, user=12, group=34, extra_groups=[], umask=0o027) as client:
                text = client.communicate()[0].decode()
        self.assertEqual(client.returncode, 0)
        failed = [line for line in text.splitlines() if not line.endswith(" 0")]
        self.assertEqual(failed, [f"lookup {errno.ENOENT}"])
        makers = {"create": stat.S_IFREG | 0o750, "mknod": stat.S_IFIFO | 0o640, "mkdir": stat.S_IFDIR | 0o750}
        expected = {name: (12, 34, client.pid, 0o027 if name in makers else 0) for name in ASKING}
        self.assertEqual(ops.callers, expected)
        self.assertEqual(ops.modes, makers)

    def test_a_thread_is_told_by_its_own_number(self):
        seen = []

        class Ops(Notes):
            def getattr(self, inode, ctx):
                seen.append(ctx.pid)
                return super().getattr(inode, ctx)

        def look():
            os.stat(self.mountpoint)
            return threading.get_native_id()

        with self.serving(Ops(timeout=0)):
            os.stat(self.mountpoint)
            del seen[:]
            number = Thread(look).result()
        self.assertEqual(seen, [number])

    def test_a_context_that_is_kept_does_not_change(self):
        kept = []

        class Ops(Notes):
            def lookup(self, parent_inode, name, ctx):
                kept.append((ctx, ctx.pid))
                return super().lookup(parent_inode, name, ctx)

        with self.serving(Ops(timeout=0)):
            for _ in range(3):
                subprocess.run(["stat", self.mountpoint / "note"], stdout=subprocess.DEVNULL, check=True)
        self.assertEqual(len({ctx.pid for ctx, _ in kept}), 3)
        self.assertEqual([ctx.pid for ctx, _ in kept], [pid for _, pid in kept])


class Shown(llfuse.Operations):
    """Shows `attr` under every name, and counts what it is asked."""

    def __init__(self, **fields):
        self.attr = llfuse.EntryAttributes()
        self.attr.st_ino = NOTE
        for name, value in fields.items():
            setattr(self.attr, name, value)
        self.lookups = self.getattrs = 0
        self.inodes = []
        self.forgotten = {}

    def lookup(self, parent_inode, name, ctx):
        self.lookups += 1
        return self.attr

    def getattr(self, inode, ctx):
        self.inodes.append(inode)
        if inode == llfuse.ROOT_INODE:
            attr = llfuse.EntryAttributes()
            attr.st_ino, attr.st_mode = inode, stat.S_IFDIR | 0o755
            return attr
        self.getattrs += 1
        return self.attr

    def open(self, inode, flags, ctx):
        self.inodes.append(inode)
        return 1

    def read(self, fh, off, size):
        return b"x" * size if off == 0 else b""

    def readdir(self, fh, off):
        if off == 0:
            yield b"name", self.attr, 1

    def forget(self, inode_list):
        for inode, count in inode_list:
            self.forgotten[inode] = self.forgotten.get(inode, 0) + count


class Attributes(MountCase):
    @property
    def name(self):
        return self.mountpoint / "name"

    def shown(self, **fields):
        with self.serving(Shown(**fields)):
            return os.stat(self.name)

    def test_each_field_is_what_stat_shows(self):
        for name, values in {
            "st_ino": (2, 1 << 32, 1 << 63, (1 << 64) - 1),
            "st_mode": (stat.S_IFREG | 0o7777, stat.S_IFIFO, stat.S_IFSOCK | 0o1, stat.S_IFBLK | 0o600),
            "st_nlink": (0, 1, (1 << 32) - 1),
            "st_uid": (0, 12, (1 << 32) - 2),
            "st_gid": (0, 34, (1 << 32) - 2),
            "st_size": (0, 1, (1 << 63) - 1),
            "st_blocks": (0, 1, 1 << 40),
            "st_atime_ns": (0, 1, 1_700_000_000_123_456_789, 1 << 62, -1, -1_500_000_000),
            "st_mtime_ns": (0, 999_999_999, 5_000_000_000_000_000_001, -(1 << 62)),
            "st_ctime_ns": (0, 1_000_000_000, 1_700_000_000_987_654_321, -1),
        }.items():
            for value in values:
                with self.subTest(name, value=value):
                    self.assertEqual(getattr(self.shown(**{name: value}), name), value)

    def test_device_numbers(self):
        for device in (os.makedev(3, 4), os.makedev(0xFFF, 0xFF), os.makedev(1, 0xFFFFF)):
            with self.subTest(device=device):
                self.assertEqual(self.shown(st_mode=stat.S_IFCHR | 0o600, st_rdev=device).st_rdev, device)

    def test_the_block_size_is_a_power_of_two(self):
        for value, shown in ((512, 512), (4096, 4096), (12345, 8192), (1 << 20, 1 << 20)):
            with self.subTest(value):
                self.assertEqual(self.shown(st_blksize=value).st_blksize, shown)

    def test_the_generation_is_part_of_file_handles(self):
        class FileHandle(ctypes.Structure):
            _fields_ = [("size", ctypes.c_uint), ("type", ctypes.c_int), ("numbers", ctypes.c_uint32 * 32)]

        for inode, generation in ((2, 0), (2, 7), ((3 << 32) + 5, (1 << 32) - 1)):
            with self.subTest(inode, generation=generation), self.serving(Shown(st_ino=inode, generation=generation)):
                handle, mount = FileHandle(128), ctypes.c_int()
                name, target = os.fsencode(self.name), ctypes.byref(handle)
                self.assertEqual(libc.name_to_handle_at(AT_FDCWD, name, target, ctypes.byref(mount), 0), 0)
                self.assertEqual(list(handle.numbers[:3]), [inode >> 32, inode & 0xFFFFFFFF, generation])

    def asked_by_another_stat(self, **timeouts):
        ops = Shown(**timeouts)
        with self.serving(ops):
            os.stat(self.name)
            before = ops.lookups, ops.getattrs
            os.stat(self.name)
            return ops.lookups - before[0], ops.getattrs - before[1]

    def test_names_and_attributes_hold_as_long_as_was_said(self):
        for entry, attr, asked in (
            (300, 300, (0, 0)),
            (0, 300, (1, 0)),  # the entry has attributes, too
            (300, 0, (0, 1)),
            (0, 0, (1, 1)),
            (float("inf"), float("inf"), (0, 0)),
            (-5, 300, (1, 0)),
            (float("nan"), 300, (1, 0)),
            (1e300, 1e300, (0, 0)),
        ):
            with self.subTest(entry=entry, attr=attr):
                self.assertEqual(self.asked_by_another_stat(entry_timeout=entry, attr_timeout=attr), asked)

    def test_and_no_longer(self):
        ops = Shown(entry_timeout=0.05, attr_timeout=300)
        with self.serving(ops):
            os.stat(self.name)
            self.assertTrue(eventually(lambda: os.stat(self.name) and ops.lookups > 1))
        ops = Shown(entry_timeout=300, attr_timeout=0.05)
        with self.serving(ops):
            os.stat(self.name)
            self.assertTrue(eventually(lambda: os.stat(self.name) and ops.getattrs > 0))
            self.assertEqual(ops.lookups, 1)

    def test_a_name_that_leads_nowhere_is_remembered(self):
        for timeout, lookups in ((300, 1), (0, 3)):
            ops = Shown(st_ino=0, entry_timeout=timeout)
            with self.subTest(timeout), self.serving(ops):
                for _ in range(3):
                    self.assertEqual(error_of(os.stat, self.name), errno.ENOENT)
                self.assertEqual(ops.lookups, lookups)

    def test_inode_numbers_of_64_bits(self):
        for inode in ((1 << 63) + 5, (1 << 64) - 1):
            ops = Shown(st_ino=inode, st_size=5, entry_timeout=0, attr_timeout=0)
            with self.subTest(inode), self.serving(ops) as session:
                with os.scandir(self.mountpoint) as entries:
                    self.assertEqual([entry.inode() for entry in entries], [inode])
                with open(self.name, "rb") as opened:
                    self.assertEqual(os.fstat(opened.fileno()).st_ino, inode)
                    self.assertEqual(opened.read(), b"xxxxx")
                    self.assertEqual(set(ops.inodes) - {llfuse.ROOT_INODE}, {inode})
                    session.notify_store(inode, 0, b"store")
                    self.assertEqual(os.pread(opened.fileno(), 5, 0), b"store")
                session.invalidate_inode(inode)
                session.invalidate_entry(llfuse.ROOT_INODE, b"name")
                self.assertTrue(eventually(lambda: ops.forgotten == {inode: ops.lookups}))


class Changing(Notes):
    """Keeps which attributes shall change, and the times."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def setattr(self, inode, attr, fields, fh, ctx):
        names = "atime mtime mode uid gid size".split()
        updated = [name for name in names if getattr(fields, f"update_{name}")]
        self.calls.append((updated, attr.st_atime_ns, attr.st_mtime_ns))
        return self.attributes(inode)


class Changes(MountCase):
    def utimensat(self, ops, atime, mtime):
        """What setattr was told, each time as "now" or in nanoseconds."""

        class Times(ctypes.Structure):
            _fields_ = [(name, ctypes.c_long) for name in ("s", "ns", "mtime_s", "mtime_ns")]

        del ops.calls[:]
        path = os.fsencode(self.mountpoint / "note")
        before = time.time_ns() - 10**9  # the kernel's clock is a coarse one
        self.assertEqual(libc.utimensat(AT_FDCWD, path, ctypes.byref(Times(*atime, *mtime)), 0), 0)
        after = time.time_ns() + 10**9
        return [
            (updated, *("now" if before < number < after else number for number in numbers))
            for updated, *numbers in ops.calls
        ]

    def test_now_is_a_time_and_what_is_omitted_is_not_changed(self):
        now, omit, time_ = (0, UTIME_NOW), (0, UTIME_OMIT), (3, 4)
        expected = {
            (now, now): [(["atime", "mtime"], "now", "now")],
            (now, omit): [(["atime"], "now", 0)],
            (omit, now): [(["mtime"], 0, "now")],
            (now, time_): [(["atime", "mtime"], "now", 3_000_000_004)],
            (time_, now): [(["atime", "mtime"], 3_000_000_004, "now")],
            (time_, omit): [(["atime"], 3_000_000_004, 0)],
            (omit, time_): [(["mtime"], 0, 3_000_000_004)],
            (omit, omit): [],
        }
        ops = Changing()
        with self.serving(ops):
            self.assertEqual({times: self.utimensat(ops, *times) for times in expected}, expected)

    def test_one_of_user_and_group(self):
        ops = Changing()
        with self.serving(ops):
            for arguments, updated in (((5, -1), ["uid"]), ((-1, 6), ["gid"]), ((5, 6), ["uid", "gid"])):
                del ops.calls[:]
                os.chown(self.mountpoint / "note", *arguments)
                self.assertEqual([names for names, *_ in ops.calls], [updated])


if __name__ == "__main__":
    main()

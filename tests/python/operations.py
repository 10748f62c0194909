"""Every operation and notification, asked through system calls."""

import errno
import fcntl
import itertools
import os
import select
import stat
import struct
import subprocess
import sys
import threading

import llfuse

from harness import RENAME_EXCHANGE, RENAME_NOREPLACE, MountCase, Thread, error_of, eventually, main, renameat2
from notes import NOTE, Notes

ROOT, FILE, DIRECTORY, LINK = 1, 2, 3, 4
IOCTL = 0xC0047401  # _IOWR('t', 1, 4 bytes)


class Recorder(llfuse.Operations):
    """Keeps what it was asked, and answers with something that shows up at the client."""

    def __init__(self):
        self.calls = []
        self.waiting = {}
        self.wakes = []

    def attr(self, inode, mode):
        attr = llfuse.EntryAttributes()
        attr.st_ino, attr.st_mode, attr.st_size, attr.st_mtime_ns = inode, mode, 5, -1
        attr.generation = 1
        attr.entry_timeout = attr.attr_timeout = 0
        return attr

    def lookup(self, parent_inode, name, ctx):
        if name.startswith(b"new"):
            raise llfuse.FUSEError(errno.ENOENT)
        if name.startswith(b"dir"):
            return self.attr(DIRECTORY, stat.S_IFDIR | 0o755)
        if name == b"link":
            return self.attr(LINK, stat.S_IFLNK | 0o777)
        if name == b"absent":
            return self.attr(0, stat.S_IFREG)
        return self.attr(FILE, stat.S_IFREG | 0o644)

    def forget(self, inode_list):
        self.calls.append(("forget", inode_list))

    def getattr(self, inode, ctx):
        return self.attr(inode, stat.S_IFREG | 0o644 if inode == FILE else stat.S_IFDIR | 0o755)

    def setattr(self, inode, attr, fields, fh, ctx):
        changed = {name: getattr(attr, name) for field, name in (
            ("mode", "st_mode"), ("uid", "st_uid"), ("gid", "st_gid"), ("size", "st_size"),
            ("atime", "st_atime_ns"), ("mtime", "st_mtime_ns"),
        ) if getattr(fields, "update_" + field)}  # fmt: skip
        self.calls.append(("setattr", inode, changed, fh))
        return self.getattr(inode, ctx)

    def readlink(self, inode, ctx):
        return b"where/it/leads"

    def access(self, inode, mode, ctx):
        return mode != os.W_OK

    def statfs(self, ctx):
        data = llfuse.StatvfsData()
        data.f_bsize = data.f_frsize = 512
        data.f_blocks, data.f_bfree, data.f_bavail, data.f_files, data.f_ffree = 100, 70, 60, 9, 8
        data.f_namemax = 77
        return data

    def open(self, inode, flags, ctx):
        self.calls.append(("open", inode, flags & os.O_ACCMODE, ctx.uid))
        return 40

    def opendir(self, inode, ctx):
        return 50 + inode

    def read(self, fh, off, size):
        self.calls.append(("read", fh, off))
        return memoryview(bytearray(b"rrrrr"))

    def readdir(self, fh, off):
        for i in range(off, 2000):
            yield b"a_rather_long_name_%d" % i, self.attr(i + 10, stat.S_IFREG), i + 1

    def create(self, parent_inode, name, mode, flags, ctx):
        self.calls.append(("create", parent_inode, name, mode, ctx.umask))
        return 41, self.attr(8, mode)

    def getxattr(self, inode, name, ctx):
        if name != b"user.there":
            raise llfuse.FUSEError(llfuse.ENOATTR)
        return b"value"

    def listxattr(self, inode, ctx):
        return (name for name in (b"user.there", b"user.too"))

    def write(self, fh, off, buf):
        self.calls.append(("write", fh, off, buf))
        return len(buf)

    def rename2(self, *arguments):
        self.calls.append(("rename2", *arguments[:-1]))

    def poll(self, fh, events, wake, ctx):
        if wake:
            self.wakes.append(wake)
        return select.POLLIN if self.waiting.get("ready") else 0

    def ioctl(self, fh, command, argument, data, size, ctx):
        if command != IOCTL:
            raise llfuse.FUSEError(errno.ENOTTY)
        return 7, data[::-1]

    def getlk(self, fh, lock, ctx):
        return {"type": fcntl.F_WRLCK, "start": 3, "end": 9, "pid": 1234}

    def setlk(self, fh, lock, wait, ctx):
        self.calls.append(("setlk", lock["type"], lock["start"], lock["end"], lock["flock"], wait))
        if lock["start"] == 99:
            raise llfuse.FUSEError(errno.EAGAIN)

    def lseek(self, fh, offset, whence):
        return offset + 1000 + whence

    def copy_file_range(self, fh, offset, target_fh, target_offset, length, flags):
        self.calls.append(("copy_file_range", offset, target_offset, length))
        return 3


def _record(name, has_ctx, answer=None):
    def handler(self, *arguments):
        self.calls.append((name, *(arguments[:-1] if has_ctx else arguments)))
        return answer(self) if answer else None

    setattr(Recorder, name, handler)


for _name in ("unlink", "rmdir", "rename", "setxattr", "removexattr"):
    _record(_name, True)
for _name in ("flush", "release", "fsync", "releasedir", "fsyncdir", "fallocate"):
    _record(_name, False)
_record("mknod", True, lambda self: self.attr(5, stat.S_IFCHR | 0o600))
_record("mkdir", True, lambda self: self.attr(6, stat.S_IFDIR | 0o700))
_record("symlink", True, lambda self: self.attr(7, stat.S_IFLNK | 0o777))
_record("link", True, lambda self: self.attr(FILE, stat.S_IFREG | 0o644))


class Operations(MountCase):
    def setUp(self):
        super().setUp()
        self.ops = Recorder()
        serving = self.serving(self.ops, ["dev"])
        self.session = serving.__enter__()
        self._serving = serving
        os.umask(0o022)
        os.stat(self.mountpoint)  # it serves: a setxattr from before INIT would have the arguments of older kernels

    def tearDown(self):
        self._serving.__exit__(None, None, None)
        super().tearDown()

    def path(self, name):
        return self.mountpoint / name

    def said(self, *call):
        self.assertTrue(eventually(lambda: call in self.ops.calls), f"no {call} in {self.ops.calls}")

    def test_names(self):
        os.stat(self.path("file"))
        self.assertEqual(error_of(os.stat, self.path("absent")), errno.ENOENT)
        os.mknod(self.path("new1"), stat.S_IFCHR | 0o666, os.makedev(3, 4))
        self.said("mknod", ROOT, b"new1", stat.S_IFCHR | 0o644, os.makedev(3, 4))
        os.mkdir(self.path("new2"), 0o777)
        self.said("mkdir", ROOT, b"new2", stat.S_IFDIR | 0o755)
        os.symlink("some/target", self.path("new3"))
        self.said("symlink", ROOT, b"new3", b"some/target")
        os.link(self.path("file"), self.path("new4"))
        self.said("link", FILE, ROOT, b"new4")
        os.rename(self.path("file"), self.path("dir/new5"))
        self.said("rename", ROOT, b"file", DIRECTORY, b"new5")
        os.unlink(self.path("file"))
        self.said("unlink", ROOT, b"file")
        os.rmdir(self.path("dir"))
        self.said("rmdir", ROOT, b"dir")
        self.assertEqual(os.readlink(self.path("link")), "where/it/leads")

    def test_rename_with_flags(self):
        for flags in (RENAME_NOREPLACE, RENAME_EXCHANGE):
            with self.subTest(flags):
                new = self.path("new1" if flags == RENAME_NOREPLACE else "dir")
                renameat2(self.path("file"), new, flags)
                self.said("rename2", ROOT, b"file", ROOT, os.fsencode(new.name), flags)
        self.assertNotIn("rename", [call[0] for call in self.ops.calls])
        # What the kernel itself knows to be wrong is not asked.
        self.assertEqual(error_of(renameat2, self.path("file"), self.path("link"), RENAME_NOREPLACE), errno.EEXIST)
        self.assertEqual(error_of(renameat2, self.path("file"), self.path("new1"), RENAME_EXCHANGE), errno.ENOENT)

    def test_attributes(self):
        file = self.path("file")
        status = os.stat(file)
        self.assertEqual((status.st_ino, status.st_size, status.st_mtime_ns), (FILE, 5, -1))
        os.chmod(file, 0o600)
        self.said("setattr", FILE, {"st_mode": stat.S_IFREG | 0o600}, None)
        os.chown(file, 12, 34)
        self.said("setattr", FILE, {"st_uid": 12, "st_gid": 34}, None)
        os.truncate(file, 99)
        self.said("setattr", FILE, {"st_size": 99}, None)
        with open(file, "r+b") as opened:
            opened.truncate(98)
        self.said("setattr", FILE, {"st_size": 98}, 40)
        os.utime(file, ns=(1_000_000_002, 3_000_000_004))
        self.said("setattr", FILE, {"st_atime_ns": 1_000_000_002, "st_mtime_ns": 3_000_000_004}, None)
        self.assertFalse(os.access(file, os.W_OK))
        self.assertTrue(os.access(file, os.R_OK))
        space = os.statvfs(self.path(""))
        self.assertEqual((space.f_frsize, space.f_blocks, space.f_bfree, space.f_bavail), (512, 100, 70, 60))
        self.assertEqual((space.f_files, space.f_ffree, space.f_namemax), (9, 8, 77))

    def test_open_files(self):
        descriptor = os.open(self.path("file"), os.O_RDWR)
        self.said("open", FILE, os.O_RDWR, 0)
        self.assertEqual(os.pread(descriptor, 100, 0), b"rrrrr")
        self.assertEqual(os.pwrite(descriptor, b"hello", 7), 5)
        self.said("write", 40, 7, b"hello")
        os.fsync(descriptor)
        self.said("fsync", 40, False)
        os.fdatasync(descriptor)
        self.said("fsync", 40, True)
        os.posix_fallocate(descriptor, 3, 4)
        self.said("fallocate", 40, 0, 3, 4)
        self.assertEqual(os.lseek(descriptor, 1, os.SEEK_HOLE), 1001 + os.SEEK_HOLE)
        other = os.open(self.path("file"), os.O_RDWR)
        self.assertEqual(os.copy_file_range(descriptor, other, 5, 0, 20), 3)
        self.said("copy_file_range", 0, 20, 5)
        os.close(other)
        os.close(descriptor)
        self.said("flush", 40)
        self.said("release", 40)
        os.close(os.open(self.path("new"), os.O_CREAT | os.O_WRONLY, 0o666))
        self.said("create", ROOT, b"new", stat.S_IFREG | 0o644, 0o022)
        self.said("release", 41)

    def test_directories(self):
        descriptor = os.open(self.path(""), os.O_RDONLY | os.O_DIRECTORY)
        for offset in (0, 1500, 3, 1999, 2000, 0):
            os.lseek(descriptor, offset, os.SEEK_SET)
            self.assertEqual(os.listdir(descriptor), [f"a_rather_long_name_{i}" for i in range(offset, 2000)])
        os.fsync(descriptor)
        self.said("fsyncdir", 51, False)
        os.close(descriptor)
        self.said("releasedir", 51)

    def test_extended_attributes(self):
        file = self.path("file")
        os.setxattr(file, "user.a", b"1")
        self.said("setxattr", FILE, b"user.a", b"1")
        os.setxattr(file, "user.b", b"2", os.XATTR_CREATE)
        self.said("setxattr", FILE, b"user.b", b"2")
        self.assertEqual(error_of(os.setxattr, file, "user.there", b"2", os.XATTR_CREATE), errno.EEXIST)
        os.setxattr(file, "user.there", b"3", os.XATTR_REPLACE)
        self.said("setxattr", FILE, b"user.there", b"3")
        self.assertEqual(error_of(os.setxattr, file, "user.c", b"2", os.XATTR_REPLACE), errno.ENODATA)
        self.assertEqual(os.getxattr(file, "user.there"), b"value")
        self.assertEqual(sorted(os.listxattr(file)), ["user.there", "user.too"])
        os.removexattr(file, "user.there")
        self.said("removexattr", FILE, b"user.there")
        self.assertEqual(llfuse.getxattr(str(file), "user.there"), b"value")
        llfuse.setxattr(str(file), "user.d", b"4")
        self.said("setxattr", FILE, b"user.d", b"4")

    def test_the_stack_is_logged_on_demand(self):
        with self.assertLogs("llfuse", "ERROR") as logged:
            os.setxattr(self.path(""), "fuse_stacktrace", b"x")
        self.assertIn("setxattr", logged.output[0])

    def test_locks(self):
        descriptor = os.open(self.path("file"), os.O_RDWR)
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5)
        self.said("setlk", fcntl.F_WRLCK, 5, 14, False, False)
        self.assertEqual(error_of(fcntl.lockf, descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 99), errno.EAGAIN)
        asked = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, start, length, pid = struct.unpack("hhqqi4x", fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
        self.assertEqual((kind, start, length), (fcntl.F_WRLCK, 3, 7))
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self.assertTrue(eventually(lambda: any(call[0] == "setlk" and call[4] for call in self.ops.calls)))
        os.close(descriptor)

    def test_ioctl(self):
        descriptor = os.open(self.path("file"), os.O_RDWR)
        data = bytearray(b"abcd")
        self.assertEqual(fcntl.ioctl(descriptor, IOCTL, data), 7)
        self.assertEqual(data, b"dcba")
        self.assertEqual(error_of(fcntl.ioctl, descriptor, IOCTL + 1, bytearray(4)), errno.ENOTTY)
        os.close(descriptor)

    def test_poll(self):
        descriptor = os.open(self.path("file"), os.O_RDWR)
        waiter = select.poll()
        waiter.register(descriptor, select.POLLIN)
        self.assertEqual(waiter.poll(0), [])
        client = Thread(waiter.poll, 60000)
        self.assertTrue(eventually(lambda: self.ops.wakes))
        self.ops.waiting["ready"] = True

        def woken():
            self.session.notify_poll(self.ops.wakes[-1])
            return not client.is_alive()

        self.assertTrue(eventually(woken))
        self.assertEqual(client.result(), [(descriptor, select.POLLIN)])
        os.close(descriptor)


class More(MountCase):
    def test_what_is_not_overridden_is_ENOSYS_or_done_without(self):
        with self.serving(Notes()):
            note = self.mountpoint / "note"
            self.assertEqual(error_of(os.mkdir, self.mountpoint / "new"), errno.ENOSYS)
            self.assertEqual(error_of(os.unlink, note), errno.ENOSYS)
            self.assertEqual(error_of(os.setxattr, note, "user.a", b"1"), errno.EOPNOTSUPP)
            descriptor = os.open(note, os.O_RDONLY)
            os.fsync(descriptor)
            fcntl.lockf(descriptor, fcntl.LOCK_SH)
            os.close(descriptor)

    def test_forget_gives_every_lookup_back(self):
        balance = {}

        class Counting(Notes):
            def lookup(self, parent_inode, name, ctx):
                attr = super().lookup(parent_inode, name, ctx)
                balance[attr.st_ino] = balance.get(attr.st_ino, 0) + 1
                return attr

            def forget(self, inode_list):
                for inode, count in inode_list:
                    balance[inode] -= count

        ops = Counting(timeout=0)
        with self.serving(ops) as session:
            for _ in range(10):
                os.stat(self.mountpoint / "note")
            self.assertEqual(balance[NOTE], 10)
            session.invalidate_entry(1, b"note")
            self.assertTrue(eventually(lambda: balance[NOTE] == 0))

    def test_readdirplus_brings_the_entries_along(self):
        class Plus(Notes):
            def readdirplus(self, fh, off):
                self.seen("readdirplus")
                return self.readdir(fh, off)

        ops = Plus()
        with self.serving(ops):
            self.assertEqual(os.listdir(self.mountpoint), ["note"])
            os.stat(self.mountpoint / "note")
            self.assertEqual((ops.count["readdirplus"] > 0, ops.count["lookup"]), (True, 0))

    def test_the_iterator_is_not_taken_further_than_there_is_room(self):
        class Many(Notes):
            def readdir(self, fh, off):
                for i in range(off, 100000):
                    self.count["yielded"] += 1
                    yield b"%d" % i, self.attributes(NOTE), i + 1

        ops = Many()
        with self.serving(ops):
            with os.scandir(self.mountpoint) as entries:
                next(entries)
            self.assertLess(ops.count["yielded"], 50000)

    def test_a_listing_goes_on_where_it_was_whatever_is_removed_meanwhile(self):
        class Shrinking(Notes):
            numbers = list(range(2000))

            def readdir(self, fh, off):
                for i in [i for i in self.numbers if i >= off]:
                    yield b"a_rather_long_name_%d" % i, self.attributes(NOTE), i + 1

        ops = Shrinking()
        with self.serving(ops), os.scandir(self.mountpoint) as entries:
            names = [next(entries).name]
            for gone in (0, 1999):  # one that was listed and one that was not
                ops.numbers.remove(gone)
            names += [entry.name for entry in entries]
        self.assertEqual(names, [f"a_rather_long_name_{i}" for i in range(1999)])

    def test_renaming_with_flags_is_refused_without_rename2(self):
        class Renaming(Notes):
            def lookup(self, parent_inode, name, ctx):
                attr = super().lookup(parent_inode, b"note" if name == b"other" else name, ctx)
                attr.st_ino += name == b"other"
                return attr

            def rename(self, *arguments):
                self.seen("rename")

        ops = Renaming()
        with self.serving(ops):
            note, other, new = (self.mountpoint / name for name in ("note", "other", "new"))
            self.assertEqual(error_of(renameat2, note, new, RENAME_NOREPLACE), errno.EINVAL)
            self.assertEqual(error_of(renameat2, note, other, RENAME_EXCHANGE), errno.EINVAL)
            self.assertEqual(ops.count["rename"], 0)
            os.rename(note, new)
            self.assertEqual(ops.count["rename"], 1)


class Locks(MountCase):
    class Ops(Notes):
        """A lock for which one waits until another gives it up."""

        def __init__(self):
            super().__init__(timeout=0)
            self.changed = threading.Condition()
            self.owner = None
            self.waiting = []
            self.unlocks = []

        def setlk(self, fh, lock, wait, ctx):
            with llfuse.lock_released, self.changed:
                if lock["type"] == fcntl.F_UNLCK:
                    self.unlocks.append((lock["start"], lock["end"], lock["flock"]))
                    if self.owner == lock["owner"]:
                        self.owner = None
                        self.changed.notify_all()
                    return
                if self.owner is not None and not wait:
                    raise llfuse.FUSEError(errno.EAGAIN)
                self.waiting.append(ctx.pid)
                got = self.changed.wait_for(lambda: self.owner is None, 60)
                self.waiting.remove(ctx.pid)
                if not got:
                    raise llfuse.FUSEError(errno.EDEADLK)
                self.owner = lock["owner"]

    def client(self, operation):
        """A process that takes the lock and says so, and ends when it is told to, perhaps with a last word."""
        script = """
import fcntl, sys
with open(sys.argv[1], 'r+b') as note:
    try:
        fcntl.%s
        print('has it', flush=True)
    except OSError as error:
        print(error.errno, flush=True)
    eval(sys.stdin.read() or 'None')
"""
        command = [sys.executable, "-c", script % operation, self.mountpoint / "note"]
        client = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(client.stdout.close)
        return client

    def test_who_waits_is_woken_when_the_lock_is_given_up(self):
        # In words, by closing the file, and by dying.
        for function, give_up in itertools.product(("lockf", "flock"), ("fcntl.%s(note, fcntl.LOCK_UN)", "", None)):
            ops = self.Ops()
            with self.subTest(function, give_up=give_up), self.serving(ops):
                first = self.client(f"{function}(note, fcntl.LOCK_EX)")
                self.assertEqual(first.stdout.readline(), "has it\n")
                trying = self.client(f"{function}(note, fcntl.LOCK_EX | fcntl.LOCK_NB)")
                self.assertEqual(trying.communicate()[0], f"{errno.EAGAIN}\n")
                second = self.client(f"{function}(note, fcntl.LOCK_EX)")
                self.assertTrue(eventually(lambda: ops.waiting == [second.pid]))
                os.stat(self.mountpoint / "note")  # who waits is in nobody's way
                self.assertEqual(ops.waiting, [second.pid])
                if give_up is None:
                    first.kill()
                first.communicate(give_up and give_up % function)
                self.assertEqual(second.stdout.readline(), "has it\n")
                second.communicate()
                self.assertIn((0, (1 << 63) - 1, function == "flock"), ops.unlocks)


class Statistics(MountCase):
    def test_each_field(self):
        inside = threading.Event()
        over = threading.Event()

        class Ops(Notes):
            def write(self, fh, off, buf):
                return len(buf)

            def statfs(self, ctx):
                inside.set()
                with llfuse.lock_released:
                    over.wait(60)
                return llfuse.StatvfsData()

        with self.serving(Ops(), ["no_readdirplus"]) as session:
            note = self.mountpoint / "note"
            self.assertEqual(error_of(os.stat, self.mountpoint / "other"), errno.ENOENT)
            descriptor = os.open(note, os.O_RDWR | os.O_DIRECT)
            self.assertEqual(os.pread(descriptor, 4096, 0), b"first text")
            self.assertEqual(os.pwrite(descriptor, b"x" * 300, 0), 300)
            os.close(descriptor)
            session.invalidate_inode(NOTE)
            self.assertTrue(eventually(lambda: session.statistics()["notifications"] == 1))
            client = subprocess.Popen(["stat", "-f", self.mountpoint], stdout=subprocess.DEVNULL)
            self.assertTrue(inside.wait(60))
            client.terminate()
            self.assertTrue(eventually(lambda: session.statistics()["interrupts"] == 1))
            over.set()
            client.wait(60)

            statistics = session.statistics()
            operations = statistics.pop("operations")
            self.assertEqual(
                {name: {type(value) for value in numbers.values()} for name, numbers in operations.items()},
                dict.fromkeys(operations, {int, float}),
            )
            counted = {name: tuple(numbers.values())[:4] for name, numbers in operations.items()}
            self.assertEqual(list(operations["READ"]), ["count", "errors", "bytes_in", "bytes_out", "seconds"])
            self.assertEqual(counted["READ"], (1, 0, 0, 10))
            self.assertEqual(counted["WRITE"], (1, 0, 300, 8))  # how much was written
            self.assertEqual(counted["STATFS"][:2], (1, 0))
            count, errors, names, _ = counted["LOOKUP"]
            self.assertEqual((count, errors), (2, 1))
            self.assertGreaterEqual(names, len(b"othernote"))
            self.assertGreater(operations["STATFS"]["seconds"], operations["READ"]["seconds"])
            self.assertGreater(operations["READ"]["seconds"], 0)
            self.assertGreaterEqual(statistics.pop("threads"), 1)
            self.assertIn(statistics.pop("transport"), ("device", "io_uring"))
            self.assertEqual(statistics, {"notifications": 1, "interrupts": 1, "malformed": 0})

    def test_the_transport_is_the_one_that_was_asked_for(self):
        script = """
import os, sys
sys.path.insert(0, sys.argv[2])
import llfuse
from harness import Thread
from notes import Notes
session = llfuse.Session(Notes(), sys.argv[1], sys.argv[3:])
thread = Thread(session.main, handle_signals=False)
os.stat(sys.argv[1])
names = {open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task")}
print(session.statistics()["transport"], any(name.startswith("fuse-ring") for name in names))
session.stop()
thread.result()
session.close()
"""
        here = os.path.dirname(os.path.abspath(__file__))
        for environment, options, expected in (
            ("", [], "io_uring True\n"),
            ("device", [], "device False\n"),
            ("", ["transport=device"], "device False\n"),
        ):
            if expected.startswith("io_uring") and not has_ring():
                continue
            with self.subTest(environment=environment, options=options):
                variables = {"FUSELAGE_TRANSPORT": environment} if environment else {}
                rest = {name: value for name, value in os.environ.items() if name != "FUSELAGE_TRANSPORT"}
                command = [sys.executable, "-B", "-c", script, self.mountpoint, here, *options]
                said = subprocess.run(command, env={**rest, **variables}, capture_output=True, text=True, timeout=120)
                self.assertEqual((said.stdout, said.stderr), (expected, ""))


def has_ring():
    """Whether the kernel has FUSE over io_uring, and it is switched on."""
    try:
        with open("/sys/module/fuse/parameters/enable_uring") as enabled:
            with open("/proc/sys/kernel/io_uring_disabled") as disabled:
                return enabled.read(1) == "Y" and disabled.read(1) == "0"
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    main()

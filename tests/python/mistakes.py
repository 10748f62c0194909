"""What handlers may do wrong: the caller gets EIO, `main` raises or goes on, and nothing crashes."""

import contextlib
import errno
import fcntl
import gc
import logging
import os
import pathlib
import select
import stat
import struct
import sys
import threading

import llfuse

from harness import RENAME_NOREPLACE, MountCase, Thread, error_of, eventually, main, mounts, renameat2
from harness import run_script, unmount
from notes import NOTE, Notes


IOCTL = 0xC0047401  # _IOWR('t', 1, 4 bytes)


class Boom(Exception):
    pass


def poll(descriptor):
    waiter = select.poll()
    waiter.register(descriptor, select.POLLIN)
    if waiter.poll(0)[0][1] & select.POLLERR:
        raise OSError(errno.EIO, "that is how poll(2) tells of errors")


def asked(path):
    """Every operation that a client can cause, as (name of the handler, call)."""
    note = path / "note"

    def opened(function, flags=os.O_RDWR):
        def call():
            descriptor = os.open(path if flags & os.O_DIRECTORY else note, flags)
            try:
                function(descriptor)
            except OSError:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
                raise
            os.close(descriptor)

        return call

    return {
        "getattr": lambda: os.stat(path),
        "lookup": lambda: os.stat(path / "other"),
        "setattr": lambda: os.chmod(note, 0o600),
        "readlink": lambda: os.readlink(path / "link"),
        "mknod": lambda: os.mknod(path / "new", stat.S_IFIFO | 0o666),
        "mkdir": lambda: os.mkdir(path / "new"),
        "unlink": lambda: os.unlink(note),
        "rmdir": lambda: os.rmdir(path / "dir"),
        "symlink": lambda: os.symlink("x", path / "new"),
        "rename": lambda: os.rename(note, path / "new"),
        "link": lambda: os.link(note, path / "new"),
        "open": opened(lambda descriptor: None),
        "read": opened(lambda descriptor: os.pread(descriptor, 10, 0), os.O_RDWR | os.O_DIRECT),  # asks once
        "write": opened(lambda descriptor: os.pwrite(descriptor, b"x", 0)),
        "flush": opened(lambda descriptor: None),
        "fsync": opened(os.fsync),
        "opendir": lambda: os.listdir(path),
        "readdir": lambda: os.listdir(path),
        "statfs": lambda: os.statvfs(path),
        "setxattr": lambda: os.setxattr(note, "user.x", b"1"),
        "getxattr": lambda: os.getxattr(note, "user.x"),
        "listxattr": lambda: os.listxattr(note),
        "removexattr": lambda: os.removexattr(note, "user.x"),
        "access": lambda: os.chdir(path / "dir") or os.chdir("/"),
        "create": lambda: os.close(os.open(path / "new", os.O_CREAT | os.O_WRONLY)),
        "fsyncdir": opened(os.fsync, os.O_DIRECTORY),
        "stacktrace": lambda: os.setxattr(path, "fuse_stacktrace", b"x"),
        "rename2": lambda: renameat2(note, path / "new", RENAME_NOREPLACE),
        "poll": opened(poll),
        "ioctl": opened(lambda descriptor: fcntl.ioctl(descriptor, IOCTL, bytearray(4))),
        "getlk": opened(lambda descriptor: fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack("hhqqi4x", *[0] * 5))),
        "setlk": opened(lambda descriptor: fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)),
        "fallocate": opened(lambda descriptor: os.posix_fallocate(descriptor, 0, 1)),
        "lseek": opened(lambda descriptor: os.lseek(descriptor, 0, os.SEEK_DATA)),
        "copy_file_range": opened(lambda descriptor: os.copy_file_range(descriptor, descriptor, 1, 0, 5)),
        # Nobody waits for what these say.
        "release": opened(lambda descriptor: None),
        "releasedir": lambda: os.listdir(path),
        "forget": lambda: os.rmdir(path / "dir"),
    }


def answer_to(name):
    """What a client's call fails with when the handler raises an exception."""
    return 0 if name in ("release", "releasedir", "forget") else errno.EIO


class Every(Notes):
    """Has every operation; the one named `bad` does what `badly` says."""

    def __init__(self, bad=None, badly=None):
        super().__init__(timeout=0)
        self.bad, self.badly = bad, badly

    def lookup(self, parent_inode, name, ctx):
        if name in (b"link", b"dir"):
            attr = self.attributes(NOTE)
            attr.st_ino = 3 if name == b"link" else 4
            attr.st_mode = stat.S_IFLNK | 0o777 if name == b"link" else stat.S_IFDIR | 0o755
            return attr
        return super().lookup(parent_inode, name, ctx)


def _answer(name, kind=Every):
    own = getattr(kind, name, None)

    def handler(self, *arguments):
        if name == self.bad and not (name == "lookup" and arguments[1] != b"other"):
            return self.badly()
        if own is not None and own is not getattr(llfuse.Operations, name, None):
            return own(self, *arguments)
        if name in ("mknod", "mkdir", "symlink"):
            attr = self.attributes(NOTE)
            attr.st_ino = 9
            attr.st_mode = {"mknod": stat.S_IFIFO, "mkdir": stat.S_IFDIR, "symlink": stat.S_IFLNK}[name] | 0o600
            return attr
        if name == "access":
            return True
        if name in ("setattr", "link"):
            return self.attributes(NOTE)
        return {
            "create": lambda: (1, self.attributes(NOTE)),
            "statfs": llfuse.StatvfsData,
            "readlink": lambda: b"x",
            "getxattr": lambda: b"x",
            "listxattr": lambda: [b"user.x"],
            "write": lambda: len(arguments[2]),
            "poll": lambda: select.POLLIN,
            "ioctl": lambda: (0, arguments[3]),
            "getlk": lambda: {"type": fcntl.F_UNLCK},
            "lseek": lambda: 0,
            "copy_file_range": lambda: 1,
        }.get(name, lambda: None)()

    setattr(kind, name, handler)


OPERATIONS = tuple(asked(pathlib.Path("/")))
for _name in OPERATIONS:
    _answer(_name)


def boom():
    raise Boom("of the handler")


class Plus(Every):
    """Has the handler that takes the place of readdir, too."""


_answer("readdirplus", Plus)


def attributes():
    return Notes().attributes(NOTE)


# What a handler must not return -> how main says so.
NO_ATTRIBUTES = {None: TypeError, (1, 2): TypeError, llfuse.StatvfsData(): TypeError}
NO_NUMBER = {None: TypeError, "x": TypeError, 1.5: TypeError, -1: OverflowError, 1 << 64: OverflowError}
NO_BYTES = {None: TypeError, "text": TypeError, 5: TypeError}
NO_PAIR = {None: TypeError, 5: TypeError, (1,): ValueError, (1, 2, 3): ValueError}
NO_ENTRIES = {
    None: TypeError,
    5: TypeError,
    (5,): TypeError,
    ((b"x", attributes()),): ValueError,
    (("x", attributes(), 1),): TypeError,
    ((b"x", None, 1),): TypeError,
    ((b"x", attributes(), "1"),): TypeError,
    ((b"x", attributes(), -1),): OverflowError,
}
WRONG = {
    **dict.fromkeys(("getattr", "lookup", "setattr", "mknod", "mkdir", "symlink", "link"), NO_ATTRIBUTES),
    **dict.fromkeys(("open", "opendir", "write", "lseek", "copy_file_range", "poll"), NO_NUMBER),
    **dict.fromkeys(("read", "getxattr"), NO_BYTES),
    **dict.fromkeys(("readdir", "readdirplus"), NO_ENTRIES),
    "readlink": {**NO_BYTES, memoryview(b"x"): TypeError},
    "listxattr": {None: TypeError, 5: TypeError, ("x",): TypeError, (None,): TypeError},
    "statfs": {None: TypeError, attributes(): TypeError},
    "create": {**NO_PAIR, ("x", attributes()): TypeError, (1, None): TypeError, (-1, attributes()): OverflowError},
    "ioctl": {**NO_PAIR, ("x", b""): TypeError, (0, "text"): TypeError},
    "getlk": {None: TypeError, (1, 2): TypeError},
}


class Mistakes(MountCase):
    def test_an_exception_in_any_handler_ends_main_which_raises_it(self):
        for name in (*OPERATIONS, "readdirplus"):
            with self.subTest(name):
                call = asked(self.mountpoint)["readdir" if name == "readdirplus" else name]
                ops = Plus(name, boom) if name == "readdirplus" else Every(name, boom)
                self.assertEqual(self.ends_main(ops, Boom, call), answer_to(name))

    def test_or_is_logged_and_it_goes_on(self):
        with self.serving(Every(), on_error="continue") as session:
            calls = asked(self.mountpoint)
            for name in OPERATIONS:
                with self.subTest(name):
                    session.ops.bad, session.ops.badly = name, boom
                    self.logs(name, Boom, calls[name], answer_to(name))
            session.ops.bad = None
            for name in OPERATIONS:
                with self.subTest(name):
                    self.assertEqual(error_of(calls[name]), errno.ENOENT if name == "lookup" else 0)
        with self.serving(Plus("readdirplus", boom), on_error="continue") as session:
            self.logs("readdirplus", Boom, asked(self.mountpoint)["readdir"])

    def test_main_raises_the_first_of_several_exceptions(self):
        both_in, one_is_out = threading.Barrier(2), threading.Event()
        turns = iter([(lambda: None, "first"), (one_is_out.wait, "second")])

        def fail():
            wait, name = next(turns)
            with llfuse.lock_released:
                both_in.wait(60)
                wait()
            raise Boom(name)

        def stat(path):
            error = error_of(os.stat, path)
            one_is_out.set()
            return error

        ops = Every("getattr", fail)
        session = llfuse.Session(ops, str(self.mountpoint))
        thread = Thread(session.main, handle_signals=False)
        with self.assertLogs("llfuse", "ERROR") as logged:
            clients = [Thread(stat, self.mountpoint) for _ in range(2)]
            self.assertEqual([client.result() for client in clients], [errno.EIO] * 2)
            self.assertRaisesRegex(Boom, "first", thread.result)
        self.assertIn("second", logged.output[0])
        session.close()

    def test_leaving_the_interpreter_is_an_exception_too(self):
        self.leaves(Every("getattr", lambda: sys.exit(3)))

    def test_wrong_answers_are_told_of_by_name(self):
        for name, answers in WRONG.items():
            ops = Plus() if name == "readdirplus" else Every()
            with self.serving(ops, on_error="continue") as session:
                call = asked(self.mountpoint)["readdir" if name == "readdirplus" else name]
                for answer, exception in answers.items():
                    with self.subTest(name, answer=answer):
                        ops.bad, ops.badly = name, lambda: answer
                        self.logs(name, exception, call)

    def test_what_the_others_return_does_not_matter(self):
        with self.serving(Every(), on_error="continue") as session:
            calls = asked(self.mountpoint)
            for name in sorted({*OPERATIONS} - {*WRONG, "access"}):
                for answer in (5, "text", object(), llfuse.Operations()):
                    with self.subTest(name, answer=answer):
                        session.ops.bad, session.ops.badly = name, lambda: answer
                        self.assertEqual(error_of(calls[name]), 0)
            for answer, number in ((1, 0), ("yes", 0), (None, errno.EACCES), ("", errno.EACCES)):
                session.ops.bad, session.ops.badly = "access", lambda: answer
                self.assertEqual(error_of(calls["access"]), number)

    def test_a_wrong_kind_is_what_main_raises(self):
        for name in ("getattr", "read", "create", "readdir"):
            with self.subTest(name):
                call = asked(self.mountpoint)[name]
                self.assertEqual(self.ends_main(Every(name, lambda: None), TypeError, call), errno.EIO)

    def test_too_many_bytes_are_refused(self):
        with self.serving(Every("read", lambda: b"x" * (2 << 20))):
            self.assertEqual(error_of(asked(self.mountpoint)["read"]), errno.EIO)

    def test_errnos_that_are_none(self):
        for number in (0, -5, 100000):

            def fail():
                raise llfuse.FUSEError(number)

            with self.serving(Every("getattr", fail)):
                self.assertEqual(error_of(os.stat, self.mountpoint), errno.EIO)

    def test_names_that_no_directory_can_hold(self):
        for name in (b"", b"a/b", b"x" * 300, "text"):
            attr = Notes().attributes(NOTE)
            with self.serving(Every("readdir", lambda: [(name, attr, 1)]), on_error="continue") as session:
                logging.getLogger("llfuse").setLevel(logging.CRITICAL)
                self.assertEqual(error_of(os.listdir, self.mountpoint), errno.EIO)
                logging.getLogger("llfuse").setLevel(logging.NOTSET)

    def test_init_and_destroy(self):
        class Broken(Notes):
            def init(self):
                raise Boom("init")

        session = llfuse.Session(Broken(), str(self.mountpoint))
        self.assertRaises(Boom, session.main, handle_signals=False)
        self.assertRaises(RuntimeError, session.main, handle_signals=False)
        session.close()

        class Late(Notes):
            def destroy(self):
                raise Boom("destroy")

        session = llfuse.Session(Late(), str(self.mountpoint))
        thread = Thread(session.main, handle_signals=False)
        os.stat(self.mountpoint)
        session.stop()
        thread.result()
        self.assertRaises(Boom, session.close)
        self.assertNotIn(str(self.mountpoint), mounts())

    def test_arguments_of_main(self):
        session = llfuse.Session(Notes(), str(self.mountpoint))
        self.assertRaises(ValueError, session.main, 0)
        self.assertRaises(TypeError, session.main, "x")
        self.assertRaises(ValueError, session.main, on_error="ignore")
        session.close()
        for call in (session.main, session.stop, session.close, session.statistics):
            self.assertRaises(RuntimeError, call)

    def test_a_session_that_is_dropped_ends(self):
        session = llfuse.Session(Notes(), str(self.mountpoint))
        session.ops.session = session
        del session
        gc.collect()
        self.assertEqual(error_of(os.stat, self.mountpoint), errno.ENOTCONN)
        unmount(self.mountpoint)

    def test_it_cannot_be_closed_while_it_runs(self):
        with self.serving(Notes()) as session:
            os.stat(self.mountpoint)
            self.assertRaisesRegex(RuntimeError, "stop", session.close)
            self.assertRaisesRegex(RuntimeError, "running", session.main)
            self.assertRaisesRegex(RuntimeError, "running", session.main)  # the first refusal has changed nothing

    def test_the_function_close_loses_nothing_when_it_refuses(self):
        llfuse.init(Notes(), str(self.mountpoint))
        thread = threading.Thread(target=llfuse.main, kwargs={"handle_signals": False})
        thread.start()
        try:
            os.stat(self.mountpoint)
            self.assertRaisesRegex(RuntimeError, "stop", llfuse.close)
        finally:
            llfuse.stop()
            thread.join()
            llfuse.close()

    def test_calling_handlers_with_the_lock_is_refused(self):
        session = llfuse.Session(Notes(), str(self.mountpoint))
        with llfuse.lock:
            self.assertRaisesRegex(RuntimeError, "lock", session.main, 1)
            self.assertRaisesRegex(RuntimeError, "lock", session.close)
        session.close()

    def test_the_interpreter_may_end_while_a_daemon_thread_serves(self):
        script = """
import sys, threading, os
sys.path.insert(0, sys.argv[2])
import llfuse
from notes import Notes
llfuse.init(Notes(timeout=0), sys.argv[1])
threading.Thread(target=llfuse.main, kwargs={'handle_signals': False}, daemon=True).start()
os.stat(sys.argv[1])
print('ends')
"""
        self.assertEqual(run_script(script, self.mountpoint, os.path.dirname(__file__)), "ends\n")
        unmount(self.mountpoint)


if __name__ == "__main__":
    main()

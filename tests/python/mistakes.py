"""What handlers may do wrong: the caller gets EIO, `main` raises or goes on, and nothing crashes."""

import contextlib
import errno
import gc
import os
import stat
import subprocess
import sys
import threading

import llfuse

from harness import MountCase, Thread, error_of, eventually, main, mounts, run_script
from notes import NOTE, Notes


class Boom(Exception):
    pass


def asked(path):
    """Every operation that a client can cause, as (name of the handler, call)."""
    note = path / "note"

    def opened(function, flags=os.O_RDWR):
        def call():
            descriptor = os.open(note, flags)
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
        "mknod": lambda: os.mknod(path / "new", stat.S_IFIFO),
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
    }


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


def _answer(name):
    own = getattr(Every, name, None)

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
        }.get(name, lambda: None)()

    setattr(Every, name, handler)


OPERATIONS = tuple(asked(__import__("pathlib").Path("/")))
for _name in OPERATIONS:
    _answer(_name)


def boom():
    raise Boom("of the handler")


class Mistakes(MountCase):
    def test_an_exception_in_any_handler_ends_main_which_raises_it(self):
        for name in OPERATIONS:
            with self.subTest(name):
                call = asked(self.mountpoint)[name]
                self.assertEqual(self.ends_main(Every(name, boom), Boom, call), errno.EIO)

    def test_or_is_logged_and_it_goes_on(self):
        with self.serving(Every(), on_error="continue") as session:
            for name in OPERATIONS:
                with self.subTest(name), self.assertLogs("llfuse", "ERROR") as logged:
                    session.ops.bad, session.ops.badly = name, boom
                    self.assertEqual(error_of(asked(self.mountpoint)[name]), errno.EIO)
                self.assertIn(name, logged.output[0])
                self.assertIn("Boom: of the handler", logged.output[0])
            session.ops.bad = None
            for name in OPERATIONS:
                if name not in ("lookup",):
                    self.assertEqual(error_of(asked(self.mountpoint)[name]), 0, name)

    def test_answers_of_the_wrong_kind_are_errors(self):
        answers = [None, 5, "text", object(), [1], -1, 1 << 70, (1, 2), b"bytes", [(b"x", 1, 2)], llfuse.Operations()]
        nothing_is_right = {"setattr", "unlink", "rmdir", "rename", "flush", "fsync", "setxattr", "removexattr"}
        with self.serving(Every(), on_error="continue") as session:
            import logging

            logging.getLogger("llfuse").setLevel(logging.CRITICAL)
            for name in OPERATIONS:
                for answer in answers:
                    session.ops.bad, session.ops.badly = name, lambda: answer
                    error_of(asked(self.mountpoint)[name])  # whatever it is: no crash
            logging.getLogger("llfuse").setLevel(logging.NOTSET)
            session.ops.bad = None
            os.stat(self.mountpoint)

    def test_a_wrong_kind_is_a_TypeError(self):
        for name, answer in (("getattr", None), ("read", "text"), ("open", "x"), ("readlink", "x"), ("statfs", 1)):
            with self.subTest(name):
                call = asked(self.mountpoint)[name]
                self.assertEqual(self.ends_main(Every(name, lambda: answer), TypeError, call), errno.EIO)

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
                import logging

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
        from harness import unmount

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
        from harness import unmount

        unmount(self.mountpoint)


if __name__ == "__main__":
    main()

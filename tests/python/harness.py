"""Tests of the Python module on real mounts: a private mount namespace, a fresh directory for each test, a limit in time."""

import contextlib
import ctypes
import errno
import faulthandler
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

CLONE_NEWNS = 0x20000
MS_REC_PRIVATE = 0x4000 | 0x40000
MNT_DETACH = 2
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
AT_FDCWD = -100
SKIPPED = 77
EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples" / "python"

# AddressSanitizer looks for leaks of this process, not of those that it starts: they may end with all that they have
# and with threads under way, which LeakSanitizer does not survive.
os.environ["ASAN_OPTIONS"] = "detect_leaks=0"

libc = ctypes.CDLL(None, use_errno=True)


def skip_all(why):
    print(f"Skipped: {why}")
    sys.exit(SKIPPED)


def obstacle():
    """Why nothing can be mounted here; nothing if the process is in a mount namespace of its own now.

    Elsewhere a stranger's new namespace would pin our mounts, and nobody would see them unmounted.
    """
    if os.geteuid() != 0:
        return "mounting needs root"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError:
        return "there is no usable /dev/fuse"
    if libc.unshare(CLONE_NEWNS) != 0:
        return "no permission to create a mount namespace"
    if libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None) != 0:
        return "cannot make the mounts private"
    return None


def enter_namespace():
    if why := obstacle():
        skip_all(why)


def unmount(path):
    if libc.umount2(os.fsencode(path), MNT_DETACH) != 0:
        raise OSError(ctypes.get_errno(), "umount2", str(path))


def renameat2(old, new, flags):
    if libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def mounts():
    with open("/proc/self/mountinfo") as table:
        return {line.split()[4]: line for line in table if " - fuse" in line}


def dispositions(process="self"):
    """Which of the signals that `main` may handle a process catches, and which it ignores.

    The kernel's word: Python knows only what itself has set.
    """
    numbers = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE}
    with open(f"/proc/{process}/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return tuple({each for each in numbers if int(lines[mask], 16) >> each - 1 & 1} for mask in ("SigCgt", "SigIgn"))


def eventually(condition, limit=60):
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def error_of(function, *arguments):
    """The errno with which a call fails, or 0."""
    try:
        function(*arguments)
    except OSError as error:
        return error.errno
    return 0


class MountCase(unittest.TestCase):
    """A test with a directory; what it leaves mounted fails it."""

    def setUp(self):
        self.directory = pathlib.Path(os.path.realpath(tempfile.mkdtemp(prefix="fuselage-test-")))
        self.mountpoint = self.directory / "mnt"
        self.mountpoint.mkdir()
        # A deadlock shall not hang the run: the process ends, and its mounts with it.
        faulthandler.dump_traceback_later(180, exit=True)

    def tearDown(self):
        faulthandler.cancel_dump_traceback_later()
        left = [path for path in mounts() if path.startswith(f"{self.directory}/")]
        for path in left:
            unmount(path)
        self.assertEqual(left, [], "left mounted")
        shutil.rmtree(self.directory)

    @contextlib.contextmanager
    def serving(self, ops, options=(), mountpoint=None, raises=None, **main):
        """A session that a thread serves; unmounted and closed in the end. `raises`: what `main` shall raise."""
        import llfuse

        path = mountpoint or self.mountpoint
        session = llfuse.Session(ops, str(path), {"fsname=test", *options})
        session.thread = thread = Thread(session.main, handle_signals=False, **main)
        try:
            yield session
        finally:
            if str(path) in mounts():
                unmount(path)
            try:
                result = thread.result()
                self.assertIsNone(result)
                self.assertIsNone(raises)
            except Exception as error:
                if raises is None or not isinstance(error, raises):
                    raise
            finally:
                session.close()

    def program(self, *command, **keywords):
        """A program in the background, once it has mounted."""
        out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        program = subprocess.Popen([*map(str, command)], **out, **keywords)
        self.addCleanup(program.stdout.close)
        mounted = eventually(lambda: str(self.mountpoint) in mounts() or program.poll() is not None)
        if not mounted or program.poll() is not None:
            program.kill()
            self.fail(program.stdout.read())
        return program

    def end(self, program):
        program.send_signal(signal.SIGTERM)
        self.assertEqual((program.wait(60), program.stdout.read()), (0, ""))
        self.assertNotIn(str(self.mountpoint), mounts())

    def says_hello(self, python, **keywords):
        """The example, run by some Python."""
        program = self.program(python, "-B", EXAMPLES / "hello.py", self.mountpoint, **keywords)
        self.assertEqual(os.listdir(self.mountpoint), ["hello"])
        self.assertEqual((self.mountpoint / "hello").read_text(), "Hello, world!\n")
        self.assertEqual(error_of(os.stat, self.mountpoint / "other"), errno.ENOENT)
        self.end(program)

    def logs(self, handler, exception, call, number=errno.EIO):
        """The call fails, and a line tells of the exception of the handler."""
        with self.assertLogs("llfuse", "ERROR") as logged:
            self.assertEqual(error_of(call), number)
            self.assertTrue(eventually(lambda: logged.output))
        self.assertIn(f"handler {handler}", logged.output[0])
        self.assertIs(logged.records[0].exc_info[0], exception)

    def leaves(self, ops):
        """`getattr` calls sys.exit()."""
        import llfuse

        session = llfuse.Session(ops, str(self.mountpoint))
        thread = Thread(session.main, handle_signals=False)
        asked = subprocess.run(["stat", self.mountpoint], capture_output=True, text=True, timeout=60)
        self.assertIn(os.strerror(errno.EIO), asked.stderr)
        self.assertRaises(SystemExit, thread.result)
        session.close()

    def ends_main(self, ops, exception, call):
        """What a client's call fails with whose handler raises an exception that ends `main`."""
        with self.serving(ops, raises=exception) as session:
            # On its way out it may wait for an answer (of FLUSH), which comes with the end of the mount.
            client = Thread(error_of, call)
            self.assertTrue(eventually(lambda: not session.thread.is_alive()))
        return client.result()


class Thread:
    """A function in a thread, and what it returns or raises."""

    def __init__(self, function, *arguments, **keywords):
        def run():
            try:
                self._result = function(*arguments, **keywords)
            except BaseException as error:
                self._error = error

        self._result = self._error = None
        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def is_alive(self):
        return self._thread.is_alive()

    def result(self, limit=60):
        self._thread.join(limit)
        if self._thread.is_alive():
            raise AssertionError("the thread does not end")
        if self._error is not None:
            raise self._error
        return self._result


def run_script(text, *arguments, env=None, limit=120, check=True):
    """A program in Python of its own, with this directory in its path; returns what it wrote."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", text, *map(str, arguments)],
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"exit code {done.returncode}\n{done.stdout}")
    return done.stdout


def main():
    enter_namespace()
    unittest.main(module="__main__", verbosity=2)

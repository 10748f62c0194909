"""What becomes of signals and threads while `main` serves in the main thread, and between two calls of it."""

import pathlib
import signal
import subprocess
import sys
import unittest

from harness import MountCase, main

# Mounts Notes and runs argv[3], which ends it as it likes and prints what is expected.
PROGRAM = """
import sys, os, threading, signal, time
sys.path.insert(0, sys.argv[2])
import llfuse
from harness import error_of, eventually, unmount
from notes import Notes
mountpoint = sys.argv[1]
ops = Notes(timeout=0)
def begin(**options):
    global session
    session = llfuse.Session(ops, mountpoint, {'fsname=test', *options.pop('options', ())})
def main(**keywords):
    return session.main(handle_signals=False, **keywords)
def client(function):
    # Calls it in another process, for what waits for an answer holds the signals of its own thread.
    pid = os.fork()
    if pid == 0:
        error_of(os.stat, mountpoint)
        function()
        os._exit(0)
    return pid
def threads():
    return {int(name) for name in os.listdir('/proc/self/task')}
exec(sys.argv[3])
"""


class Signals(MountCase):
    def run_program(self, text):
        here = str(pathlib.Path(__file__).parent)
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", PROGRAM, str(self.mountpoint), here, text],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout.split()

    def test_L14_a_handler_in_Python_runs_while_main_waits(self):
        for workers in (1, 30):
            with self.subTest(workers=workers):
                written = self.run_program(f"""
signal.signal(signal.SIGTERM, lambda *_: (print('handled'), session.stop()))
begin()
client(lambda: os.kill(os.getppid(), signal.SIGTERM))
print(main(workers={workers}))
session.close()
""")
                self.assertEqual(written, ["handled", "None"])

    def test_L14_also_where_the_main_thread_has_no_request_to_wait_for(self):
        # Its place was taken while its handler was slow, so it waits for work, not for the kernel.
        written = self.run_program("""
signal.signal(signal.SIGALRM, lambda *_: (print('handled'), session.stop()))
begin(options={'transport=device'})
main_thread, slow = threading.get_ident(), threading.Event()
def in_getattr():
    if threading.get_ident() == main_thread and not slow.is_set():
        slow.set()
        with llfuse.lock_released:
            time.sleep(0.5)
ops.in_getattr = in_getattr
def is_parked():
    return 'futex' in open(f'/proc/self/task/{os.getpid()}/wchan').read()
def alarm():
    # Until the main thread has been slow, and others have taken its place.
    while not slow.is_set(): os.stat(mountpoint)
    assert eventually(is_parked)
    os.kill(os.getpid(), signal.SIGALRM)
threading.Thread(target=alarm).start()
print(main())
session.close()
""")
        self.assertEqual(written, ["handled", "None"])

    def test_who_has_a_descriptor_for_signals_keeps_it(self):
        written = self.run_program("""
reader, writer = os.pipe2(os.O_NONBLOCK)
signal.set_wakeup_fd(writer)
signal.signal(signal.SIGTERM, lambda *_: session.stop())
begin()
client(lambda: os.kill(os.getppid(), signal.SIGTERM))
main()
print(*os.read(reader, 10), signal.set_wakeup_fd(-1) == writer)
session.close()
""")
        self.assertEqual(written, ["15", "True"])

    def test_L14_what_a_handler_of_signals_raises_main_raises(self):
        written = self.run_program("""
begin()
client(lambda: os.kill(os.getppid(), signal.SIGINT))
try:
    main(on_error='continue')
except KeyboardInterrupt as error:
    print('interrupted')
session.close()
""")
        self.assertEqual(written, ["interrupted"])

    def test_also_when_it_comes_while_a_handler_of_the_file_system_runs(self):
        written = self.run_program("""
begin()
def in_getattr():
    signal.raise_signal(signal.SIGINT)
    for _ in range(1000): pass
ops.in_getattr = in_getattr
client(lambda: None)
try:
    main(workers=1, on_error='continue')
except KeyboardInterrupt as error:
    print('interrupted')
session.close()
""")
        self.assertEqual(written, ["interrupted"])

    def test_L8_after_an_unmount_no_thread_is_left(self):
        written = self.run_program("""
begin()
before = threads()
client(lambda: unmount(mountpoint))
print(main())
# One that was waited for may still be seen for a moment.
assert eventually(lambda: threads() == before), threads() - before
session.close()
""")
        self.assertEqual(written, ["None"])

    def test_L7_a_later_main_may_have_another_number_of_workers(self):
        written = self.run_program("""
begin(options={'transport=device'})
def serve(workers):
    ops.threads.clear()
    pid = client(lambda: os.kill(os.getppid(), signal.SIGTERM))
    main(workers=workers)
    os.waitpid(pid, 0)
    return ops.threads
signal.signal(signal.SIGTERM, lambda *_: session.stop())
meeting = threading.Barrier(2)
serve(30)
print(serve(1) == {threading.get_ident()})
def meet():
    with llfuse.lock_released: meeting.wait(30)
ops.in_getattr = meet
other = client(lambda: None)
serve(2)
print(meeting.broken)
session.close()
""")
        self.assertEqual(written, ["True", "False"])


if __name__ == "__main__":
    main()

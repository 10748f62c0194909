"""Several sessions in a process, threads, contention, signals, and forks."""

import itertools
import os
import signal
import subprocess
import threading
import time

import llfuse

from harness import MountCase, Thread, eventually, libc, main, mounts, run_script, unmount
from notes import Notes


PR_SET_CHILD_SUBREAPER = 36


def children():
    with open(f"/proc/self/task/{os.getpid()}/children") as numbers:
        return [int(number) for number in numbers.read().split()]


class Sessions(MountCase):
    def test_several_mounts_in_one_process(self):
        other = self.directory / "other"
        other.mkdir()
        with self.serving(Notes(b"one")), self.serving(Notes(b"another"), mountpoint=other):
            self.assertEqual((self.mountpoint / "note").read_bytes(), b"one")
            self.assertEqual((other / "note").read_bytes(), b"another")
            (self.mountpoint / "note").read_bytes()

    def test_main_may_be_called_again(self):
        session = llfuse.Session(Notes(timeout=0), str(self.mountpoint))
        for _ in range(3):
            thread = Thread(session.main, handle_signals=False)
            os.stat(self.mountpoint)
            session.stop()
            self.assertIsNone(thread.result())
        session.close()
        self.assertEqual((session.ops.count["init"], session.ops.count["destroy"]), (1, 1))

    def test_threads_have_names_and_leave_nothing_behind(self):
        names = set()
        meeting = threading.Barrier(4)

        def look():
            names.add(threading.current_thread().name)
            with llfuse.lock_released:
                meeting.wait(60)

        ops = Notes(timeout=0)
        before = threading.active_count()
        with self.serving(ops):
            os.stat(self.mountpoint)
            ops.in_getattr = look
            threads = [Thread(os.stat, self.mountpoint) for _ in range(4)]
            for thread in threads:
                thread.result()
            ops.in_getattr = lambda: None
        self.assertEqual(len(names), 4)
        self.assertGreaterEqual(sum(name.startswith("fuse-worker-") for name in names), 3)
        self.assertTrue(eventually(lambda: threading.active_count() == before))

    def test_handlers_exclude_each_other_and_other_holders(self):
        inside = [0]
        most = [0]

        def work():
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.0005)
            inside[0] -= 1

        ops = Notes(timeout=0)
        with self.serving(ops):
            os.stat(self.mountpoint)
            ops.in_getattr = work

            def ask():
                for _ in range(30):
                    os.stat(self.mountpoint)

            def hold():
                for _ in range(30):
                    with llfuse.lock:
                        work()

            threads = [Thread(ask) for _ in range(4)] + [Thread(hold) for _ in range(2)]
            for thread in threads:
                thread.result()
            self.assertEqual(most[0], 1)

    def test_a_handler_that_yields_lets_another_one_run(self):
        order = []
        entered = threading.Event()

        def first():
            ops.in_getattr = second
            entered.set()
            while "second" not in order:
                llfuse.lock.yield_()
                time.sleep(0.001)
            order.append("first")

        def second():
            order.append("second")

        ops = Notes(timeout=0)
        with self.serving(ops):
            os.stat(self.mountpoint)
            ops.in_getattr = first
            one = Thread(os.stat, self.mountpoint)
            self.assertTrue(entered.wait(60))
            os.stat(self.mountpoint)
            one.result()
        self.assertEqual(order[:2], ["second", "first"])

    def test_going_into_the_background(self):
        """Forks after the import or after `init`; the parent ends in the usual way and unmounts nothing."""
        script = """
import os, sys
sys.path.insert(0, sys.argv[2])
import llfuse
from notes import Notes

def background():
    if os.fork():
        sys.exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)

fork_before_init, workers, reason = eval(sys.argv[3])
if fork_before_init:
    background()
llfuse.init(Notes(timeout=0), sys.argv[1], {'fsname=background'})
if not fork_before_init:
    background()
result = llfuse.main(workers)
llfuse.close()
sys.exit(0 if result == reason else 3)
"""
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        here = os.path.dirname(os.path.abspath(__file__))
        for arguments in itertools.product((True, False), (None, 1), (None, int(signal.SIGTERM))):
            with self.subTest(arguments):
                run_script(script, self.mountpoint, here, arguments)
                self.assertTrue(eventually(lambda: str(self.mountpoint) in mounts()))
                self.assertIn("background", mounts()[str(self.mountpoint)])
                threads = [Thread((self.mountpoint / "note").read_bytes) for _ in range(5)]
                self.assertEqual({thread.result() for thread in threads}, {b"first text"})
                (server,) = children()
                if arguments[-1] is None:
                    unmount(self.mountpoint)
                else:
                    os.kill(server, arguments[-1])
                self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(server, 0)[1]), 0)
                self.assertNotIn(str(self.mountpoint), mounts())

    def test_a_child_of_a_program_that_serves_may_end_in_the_usual_way(self):
        script = """
import os, sys, threading, time
sys.path.insert(0, sys.argv[2])
import llfuse
from harness import Thread
from notes import Notes
llfuse.init(Notes(timeout=0), sys.argv[1])
server = Thread(llfuse.main, handle_signals=False)
os.stat(sys.argv[1])
if (child := os.fork()) == 0:
    sys.exit(7)
begin = time.monotonic()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert time.monotonic() - begin < 8, 'it waited for threads that it does not have'
os.stat(sys.argv[1])
llfuse.stop()
server.result()
llfuse.close()
"""
        run_script(script, self.mountpoint, os.path.dirname(os.path.abspath(__file__)))

    def test_a_signal_ends_every_main_that_handles_signals(self):
        script = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import llfuse
from harness import Thread, dispositions, unmount
from notes import Notes
before = dispositions()
places = sys.argv[2:]
sessions = [llfuse.Session(Notes(timeout=0), place) for place in places]
mains = [Thread(session.main, handle_signals=i < 3) for i, session in enumerate(sessions)]
for place in places:
    os.stat(place)
during = dispositions()
assert signal.SIGTERM in during[0] - before[0]
sessions[0].stop()
assert mains[0].result() is None
assert dispositions() == during, 'others still handle them'
os.kill(os.getpid(), signal.SIGTERM)
assert [main.result() for main in mains[1:3]] == [15, 15]
assert dispositions() == before
os.stat(places[3])
unmount(places[3])
assert mains[3].result() is None
for session in sessions:
    session.close()
"""
        places = [self.directory / name for name in "abcd"]
        for place in places:
            place.mkdir()
        run_script(script, os.path.dirname(os.path.abspath(__file__)), *places)

    def test_children_of_handlers(self):
        def run():
            with llfuse.lock_released:
                subprocess.run(["true"], check=True)

        ops = Notes(timeout=0)
        with self.serving(ops):
            os.stat(self.mountpoint)
            ops.in_getattr = run
            for _ in range(5):
                os.stat(self.mountpoint)


if __name__ == "__main__":
    main()

"""A million calls of handlers leave no memory behind."""

import gc
import os
import subprocess
import sys

import llfuse

from harness import MountCase, error_of, main
from notes import NOTE, Notes

CALLS = 1_000_000


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


class Leaks(MountCase):
    def setUp(self):
        super().setUp()
        import faulthandler

        faulthandler.cancel_dump_traceback_later()  # it takes its time

    def test_a_million_calls(self):
        ops = Notes(b"x" * 5000, timeout=0)
        with self.serving(ops) as session:
            note, absent, top = self.mountpoint / "note", self.mountpoint / "absent", self.mountpoint

            def some(count):
                descriptor = os.open(note, os.O_RDONLY | os.O_DIRECT)
                for _ in range(count // 10):
                    for _ in range(2):
                        os.stat(note)
                        error_of(os.stat, absent)
                    os.pread(descriptor, 4096, 0)
                    error_of(os.getxattr, note, "user.x")
                    os.listdir(top)
                os.close(descriptor)

            some(CALLS // 20)
            gc.collect()
            before, objects = resident(), len(gc.get_objects())
            some(CALLS)
            gc.collect()
            calls = sum(each["count"] for each in session.statistics()["operations"].values())
            self.assertGreater(calls, CALLS)
            # A leak of one small object for each call would be 16 MB and more.
            self.assertLess(resident() - before, 4 << 20)
            self.assertLess(len(gc.get_objects()) - objects, 1000)


if __name__ == "__main__":
    main()

"""The bench of Python modules works; its numbers prove nothing here."""

import pathlib
import subprocess
import sys
import unittest

import llfuse

from harness import enter_namespace

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench" / "python_modules.py"


class Bench(unittest.TestCase):
    def test_it_measures_every_call_with_both_numbers_of_workers(self):
        module = f"fuselage={pathlib.Path(llfuse.__file__).parents[1]}"
        command = [sys.executable, "-B", BENCH, "--module", module, "--calls", "50", "--rounds", "1"]
        floor = pathlib.Path(llfuse.__file__).parents[2] / "bench-raw-device"
        if floor.exists():
            command += ["--floor", floor]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
        self.assertEqual(len(rows), 1 + 5 * 2 + (4 if floor.exists() else 0), done.stdout)


if __name__ == "__main__":
    enter_namespace()
    unittest.main(verbosity=2)

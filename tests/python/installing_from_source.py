"""The module as `pip install` makes it from the sources, where nothing was built before."""

import faulthandler
import os
import pathlib
import subprocess
import sys
import unittest

from harness import MountCase, obstacle

ROOT = pathlib.Path(__file__).resolve().parents[2]
USE = """
import llfuse
class Operations(llfuse.Operations):
    pass
print(llfuse.__file__, Operations().getattr.__doc__)
"""


class InstallingFromSource(MountCase):
    def test_pip(self):
        environment = {**os.environ, "PYTHONPATH": "", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INDEX": "1"}

        def run(*command):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            return done.stdout

        faulthandler.cancel_dump_traceback_later()  # it takes its time
        folder = self.directory
        python = f"{folder}/venv/bin/python"
        run(sys.executable, "-m", "venv", f"{folder}/venv")
        run(python, "-m", "pip", "install", ROOT)
        self.assertTrue(run(python, "-c", USE).startswith(f"{folder}/venv/lib/"))
        if OBSTACLE is None:
            self.says_hello(python, env=environment)


if __name__ == "__main__":
    OBSTACLE = obstacle()
    unittest.main(verbosity=2)

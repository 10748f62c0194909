"""The module as `pip install` and as `cmake --install` put it, without the build tree in the path.

Usage: installing.py BUILD_DIRECTORY CMAKE
"""

import faulthandler
import os
import pathlib
import subprocess
import sys
import unittest

from harness import MountCase, obstacle, skip_all

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD, CMAKE = sys.argv[1:3]
CHECK = "import llfuse, sys; llfuse.EntryAttributes(); print(llfuse.__file__)"


def run(*command, path=""):
    environment = {**os.environ, "PYTHONPATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INDEX": "1"}
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, timeout=500)
    if done.returncode != 0:
        raise AssertionError(f"{command} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


class Installing(MountCase):
    def setUp(self):
        super().setUp()
        faulthandler.cancel_dump_traceback_later()  # it takes its time

    def is_used(self, python, path=""):
        """What was installed is what a program gets, and it mounts."""
        self.assertTrue(run(python, "-c", CHECK, path=path).startswith(f"{self.directory}/"))
        if OBSTACLE is None:
            self.says_hello(python, env={**os.environ, "PYTHONPATH": path})

    def test_pip(self):
        place = self.directory / "venv"
        python = place / "bin/python"
        run(sys.executable, "-m", "venv", place)
        setting = f"build-dir={BUILD}"
        run(python, "-m", "pip", "install", "--no-build-isolation", "--config-settings", setting, ROOT)
        self.is_used(python)
        self.assertIn("llfuse/py.typed", run(python, "-m", "pip", "show", "-f", "fuselage-llfuse"))
        run(python, "-m", "pip", "uninstall", "-y", "fuselage-llfuse")
        self.assertEqual(list((place / "lib").rglob("llfuse")), [])

    def test_a_source_distribution_has_what_is_needed(self):
        sys.path.insert(0, str(ROOT / "src/python/wheel"))
        import cmake_wheel
        import tarfile

        name = cmake_wheel.build_sdist(str(self.directory))
        with tarfile.open(self.directory / name) as archive:
            names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
        for name in ("CMakeLists.txt", "pyproject.toml", "PKG-INFO", "src/python/module.cpp", "include/fuselage/llfuse.hpp"):
            self.assertIn(name, names)

    def test_cmake(self):
        run(CMAKE, "--install", BUILD, "--prefix", self.directory, "--component", "python")
        place = next(self.directory.rglob("llfuse"))
        self.is_used(sys.executable, path=str(place.parent))


if __name__ == "__main__":
    try:
        run(sys.executable, "-c", "import venv, ensurepip, pip")
    except AssertionError:
        skip_all("venv or pip is not installed")
    OBSTACLE = obstacle()
    unittest.main(argv=sys.argv[:1], verbosity=2)

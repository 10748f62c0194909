"""The module as `pip install` and as `cmake --install` put it, without the build tree in the path.

Usage: installing.py BUILD_DIRECTORY CMAKE
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from harness import skip_all

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD, CMAKE = sys.argv[1:3]
CHECK = "import llfuse, sys; llfuse.EntryAttributes(); print(llfuse.__file__)"


def run(*command, path=""):
    environment = {**os.environ, "PYTHONPATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INDEX": "1"}
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, timeout=500)
    if done.returncode != 0:
        raise AssertionError(f"{command} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


class Installing(unittest.TestCase):
    def test_pip(self):
        with tempfile.TemporaryDirectory() as folder:
            python = f"{folder}/venv/bin/python"
            run(sys.executable, "-m", "venv", f"{folder}/venv")
            setting = f"build-dir={BUILD}"
            run(python, "-m", "pip", "install", "--no-build-isolation", "--config-settings", setting, ROOT)
            self.assertTrue(run(python, "-c", CHECK).startswith(f"{folder}/venv/lib/"))
            listed = run(python, "-m", "pip", "show", "-f", "fuselage-llfuse")
            self.assertIn("llfuse/py.typed", listed)
            run(python, "-m", "pip", "uninstall", "-y", "fuselage-llfuse")
            self.assertEqual(list(pathlib.Path(folder, "venv/lib").rglob("llfuse")), [])

    def test_a_source_distribution_has_what_is_needed(self):
        sys.path.insert(0, str(ROOT / "src/python/wheel"))
        import cmake_wheel
        import tarfile

        with tempfile.TemporaryDirectory() as folder:
            name = cmake_wheel.build_sdist(folder)
            with tarfile.open(f"{folder}/{name}") as archive:
                names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
        for name in ("CMakeLists.txt", "pyproject.toml", "PKG-INFO", "src/python/module.cpp", "include/fuselage/llfuse.hpp"):
            self.assertIn(name, names)

    def test_cmake(self):
        with tempfile.TemporaryDirectory() as folder:
            run(CMAKE, "--install", BUILD, "--prefix", folder, "--component", "python")
            place = next(pathlib.Path(folder).rglob("llfuse"))
            self.assertTrue(run(sys.executable, "-c", CHECK, path=str(place.parent)).startswith(folder))


if __name__ == "__main__":
    try:
        run(sys.executable, "-c", "import venv, ensurepip, pip")
    except AssertionError:
        skip_all("venv or pip is not installed")
    unittest.main(argv=sys.argv[:1], verbosity=2)

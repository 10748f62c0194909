"""The annotations: mypy is content with them and with programs that use them, and they name what is there."""

import ast
import inspect
import pathlib
import subprocess
import sys
import tempfile
import unittest

import llfuse

from harness import skip_all

STUB = pathlib.Path(llfuse.__file__).with_name("__init__.pyi")
GOOD = """
import errno
import llfuse

class Files(llfuse.Operations):
    def getattr(self, inode: int, ctx: llfuse.RequestContext) -> llfuse.EntryAttributes:
        attr = llfuse.EntryAttributes()
        attr.st_ino = inode
        attr.st_uid = ctx.uid
        return attr

    async def read(self, fh: int, off: int, size: int) -> bytes:
        raise llfuse.FUSEError(errno.EIO)

llfuse.init(Files(), "/mnt", set(llfuse.default_options) | {"ro"})
result: int | None = llfuse.main(workers=1)
with llfuse.lock:
    llfuse.lock.yield_(2)
llfuse.close()
"""
BAD = """
import llfuse
llfuse.init(llfuse.Operations(), b"/mnt")
llfuse.EntryAttributes().st_ino = "x"
llfuse.main(on_error="ignore")
llfuse.invalidate_entry(1, "name")
class Files(llfuse.Operations):
    def read(self, fh: int) -> bytes: return b""
"""


def mypy(program):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "program.py"
        path.write_text(program)
        command = ["mypy", "--strict", "--no-error-summary", "--cache-dir", f"{folder}/cache", path]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


class Annotations(unittest.TestCase):
    def test_programs_that_are_right(self):
        done = mypy(GOOD)
        self.assertEqual((done.stdout, done.returncode), ("", 0))

    def test_programs_that_are_wrong(self):
        done = mypy(BAD)
        wrong = {line.split(":")[1] for line in done.stdout.splitlines() if "error" in line}
        self.assertEqual(wrong, {"3", "4", "5", "6", "8"}, done.stdout)

    def test_everything_has_one(self):
        stub = ast.parse(STUB.read_text())
        names = {node.name for node in stub.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        names |= {node.target.id for node in stub.body if isinstance(node, ast.AnnAssign)}
        self.assertEqual(set(llfuse.__all__) - names, set())
        self.assertEqual({name for name in names if not hasattr(llfuse, name)}, set())
        for node in stub.body:
            if isinstance(node, ast.ClassDef):
                members = {getattr(item, "name", None) or item.target.id for item in node.body if not isinstance(item, ast.Expr)}
                thing = getattr(llfuse, node.name)
                missing = {name for name in members if not hasattr(thing, name)} - {"ops"}
                self.assertEqual(missing, set(), node.name)

    def test_handlers_have_the_same_arguments(self):
        stub = ast.parse(STUB.read_text())
        operations = next(node for node in stub.body if getattr(node, "name", "") == "Operations")
        for function in operations.body:
            own = list(inspect.signature(getattr(llfuse.Operations, function.name)).parameters)
            self.assertEqual([argument.arg for argument in function.args.args], own, function.name)
        documented = [name for name in vars(llfuse.Operations) if not name.startswith("_")]
        self.assertEqual({function.name for function in operations.body}, set(documented))
        for name in documented:
            self.assertTrue(getattr(llfuse.Operations, name).__doc__, name)


if __name__ == "__main__":
    try:
        subprocess.run(["mypy", "--version"], capture_output=True)
    except OSError:
        skip_all("mypy is not installed")
    unittest.main(verbosity=2)

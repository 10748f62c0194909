"""Borg, as Debian has it, mounts an archive and a repository with this module, and every file is as it was."""

import hashlib
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import unittest

import llfuse

from harness import MountCase, enter_namespace, eventually, mounts, skip_all, unmount


def described(top):
    """Everything about each file below `top` that a backup keeps."""
    result = {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = pathlib.Path(folder, name)
            status = os.lstat(path)
            content = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            attributes = {}
            if not stat.S_ISLNK(status.st_mode):
                attributes = {n: os.getxattr(path, n) for n in os.listxattr(path) if n.startswith("user.")}
            result[str(path.relative_to(top))] = (
                stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid,
                status.st_mtime_ns, status.st_nlink if stat.S_ISREG(status.st_mode) else 0, content, attributes,
            )  # fmt: skip
    return result


class Borg(MountCase):
    def borg(self, *arguments):
        environment = {
            **os.environ,
            "BORG_FUSE_IMPL": "llfuse",
            "BORG_BASE_DIR": str(self.directory / "borg"),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }
        done = subprocess.run(
            ["/usr/bin/borg", *map(str, arguments)],
            cwd=self.directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)

    def fill(self):
        source = self.directory / "source"
        (source / "folder" / "inner").mkdir(parents=True)
        for i in range(60):
            (source / "folder" / f"file {i}").write_bytes(os.urandom(1000 + 37 * i))
        (source / "large").write_bytes(os.urandom(3 << 20))
        (source / "empty").touch()
        os.link(source / "large", source / "folder" / "twin")
        os.symlink("folder/file 1", source / "link")
        os.mkfifo(source / "fifo")
        os.chmod(source / "large", 0o4750)
        os.chown(source / "empty", 1234, 5678)
        os.utime(source / "empty", ns=(1_000_000_001, 1_234_567_891_234_567_891))
        try:
            os.setxattr(source / "empty", "user.colour", b"blue\0")
        except OSError:
            pass  # no extended attributes here
        return source

    def test_an_archive_and_a_repository(self):
        source = self.fill()
        self.borg("init", "-e", "none", "repository")
        self.borg("create", "repository::one", "source")
        before = described(source)
        for what, where in (("repository::one", "source"), ("repository", "one/source")):
            with self.subTest(what):
                self.borg("mount", what, self.mountpoint)
                self.assertTrue(eventually(lambda: str(self.mountpoint) in mounts()))
                self.assertIn("borgfs", mounts()[str(self.mountpoint)])
                self.check_who_serves()
                self.assertEqual(described(self.mountpoint / where), before)
                self.borg("umount", self.mountpoint)
                self.assertTrue(eventually(lambda: str(self.mountpoint) not in mounts()))
                # After the mount is gone borg still gives back its locks in the repository.
                self.assertTrue(eventually(lambda: not self.servers()))

    def servers(self):
        """The processes with the mount point in their command lines: the path of each, in /proc."""
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if str(self.mountpoint).encode() in (process / "cmdline").read_bytes().split(b"\0"):
                    found.append(process)
            except OSError:
                pass
        return found

    def check_who_serves(self):
        """One of them has our extension in its memory."""
        module = llfuse._core.__file__
        self.assertTrue(any(module in (process / "maps").read_text() for process in self.servers()))


if __name__ == "__main__":
    if not os.access("/usr/bin/borg", os.X_OK):
        skip_all("borgbackup is not installed")
    enter_namespace()
    unittest.main(verbosity=2)

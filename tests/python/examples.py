"""The file systems in examples/python, as programs that are mounted and used."""

import errno
import filecmp
import os
import stat
import subprocess
import sys
import tarfile

from harness import EXAMPLES, MountCase, error_of, main


class Examples(MountCase):
    def start(self, name, *arguments):
        return self.program(sys.executable, "-B", EXAMPLES / name, *arguments)

    def test_hello(self):
        self.says_hello(sys.executable)

    def use(self, top):
        """What one does with a file system; leaves a tree."""
        (top / "folder").mkdir()
        (top / "folder" / "text").write_text("one\n" * 1000)
        (top / "data").write_bytes(os.urandom(300_000))
        os.truncate(top / "data", 200_000)
        with open(top / "data", "r+b") as data:
            data.seek(250_000)
            data.write(b"end")
        self.assertEqual((top / "data").read_bytes()[199_990:].strip(b"\0")[-3:], b"end")
        os.symlink("folder/text", top / "link")
        self.assertEqual((top / "link").read_text()[:4], "one\n")
        os.link(top / "folder/text", top / "second")
        self.assertEqual(os.stat(top / "second").st_nlink, 2)
        os.rename(top / "second", top / "third")
        self.assertEqual(error_of(os.rmdir, top / "folder"), errno.ENOTEMPTY)
        self.assertEqual(error_of(os.mkdir, top / "folder"), errno.EEXIST)
        os.chmod(top / "data", 0o640)
        os.chown(top / "data", 12, 34)
        os.utime(top / "data", ns=(1_500_000_000_000_000_001, 1_600_000_000_000_000_002))
        status = os.stat(top / "data")
        self.assertEqual((stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid), (0o640, 12, 34))
        self.assertEqual(status.st_mtime_ns, 1_600_000_000_000_000_002)
        with open(top / "gone", "w+b") as gone:
            gone.write(b"still here")
            os.unlink(top / "gone")
            gone.seek(0)
            self.assertEqual(gone.read(), b"still here")
        for i in range(300):
            (top / "folder" / f"file {i}").touch()
        self.assertEqual(len(os.listdir(top / "folder")), 301)
        for i in range(300):
            os.unlink(top / "folder" / f"file {i}")
        self.assertEqual(sorted(os.listdir(top)), ["data", "folder", "link", "third"])
        self.assertGreater(os.statvfs(top).f_bavail, 0)

    def test_database(self):
        database = self.directory / "files.db"
        program = self.start("database.py", self.mountpoint, database)
        self.use(self.mountpoint)
        content = (self.mountpoint / "data").read_bytes()
        self.end(program)
        program = self.start("database.py", self.mountpoint, database)
        self.assertEqual((self.mountpoint / "data").read_bytes(), content)
        self.assertEqual(os.readlink(self.mountpoint / "link"), "folder/text")
        self.end(program)

    def test_passthrough(self):
        source = self.directory / "source"
        source.mkdir()
        program = self.start("passthrough.py", source, self.mountpoint)
        self.use(self.mountpoint)
        compared = filecmp.dircmp(source, self.mountpoint)
        self.assertEqual((compared.left_only, compared.right_only, compared.diff_files), ([], [], []))
        self.assertEqual(error_of(os.rename, self.mountpoint / "nothing", self.mountpoint / "x"), errno.ENOENT)
        try:
            os.setxattr(source / "third", "user.x", b"1")
        except OSError:
            pass  # the file system below has none
        else:
            self.assertEqual(os.getxattr(self.mountpoint / "third", "user.x"), b"1")
        archive = self.directory / "all.tar"
        subprocess.run(["tar", "-cf", archive, "-C", self.mountpoint, "."], check=True)
        with tarfile.open(archive) as tar:
            self.assertIn("./folder/text", tar.getnames())
        self.end(program)


if __name__ == "__main__":
    main()

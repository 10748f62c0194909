"""A file system in an SQLite database, in memory or in a file. Usage: database.py MOUNTPOINT [DATABASE]"""

import errno
import os
import sqlite3
import stat
import sys
import time

import llfuse

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS inodes (id INTEGER PRIMARY KEY AUTOINCREMENT, mode INT, uid INT, gid INT, rdev INT DEFAULT 0,
  atime INT, mtime INT, ctime INT, target BLOB, data BLOB DEFAULT x'');
CREATE TABLE IF NOT EXISTS names (id INTEGER PRIMARY KEY AUTOINCREMENT, parent INT, name BLOB, inode INT,
  UNIQUE (parent, name));
CREATE INDEX IF NOT EXISTS names_of_inodes ON names (inode);
"""


class Database(llfuse.Operations):
    def __init__(self, path=":memory:"):
        self.db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.db.executescript(SCHEMA)
        self.lookups = {}
        self.open_count = {}
        if self.row("SELECT 1 FROM inodes WHERE id = 1") is None:
            self.new_inode(stat.S_IFDIR | 0o755, os.getuid(), os.getgid())

    def row(self, query, *values):
        return self.db.execute(query, values).fetchone()

    def run(self, query, *values):
        return self.db.execute(query, values)

    def new_inode(self, mode, uid, gid, rdev=0, target=None):
        now = time.time_ns()
        return self.run(
            "INSERT INTO inodes (mode, uid, gid, rdev, atime, mtime, ctime, target) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            mode, uid, gid, rdev, now, now, now, target,
        ).lastrowid  # fmt: skip

    def find(self, parent, name):
        found = self.row("SELECT inode FROM names WHERE parent = ? AND name = ?", parent, name)
        if found is None:
            raise llfuse.FUSEError(errno.ENOENT)
        return found[0]

    def counted(self, attr):
        self.lookups[attr.st_ino] = self.lookups.get(attr.st_ino, 0) + 1
        return attr

    def touch(self, inode):
        self.run("UPDATE inodes SET mtime = ?1, ctime = ?1 WHERE id = ?2", time.time_ns(), inode)

    def getattr(self, inode, ctx=None):
        found = self.row(
            "SELECT mode, uid, gid, rdev, atime, mtime, ctime, length(coalesce(target, data)), "
            "(SELECT count(*) FROM names WHERE inode = inodes.id) FROM inodes WHERE id = ?",
            inode,
        )
        if found is None:
            raise llfuse.FUSEError(errno.ESTALE)
        attr = llfuse.EntryAttributes()
        attr.st_ino = inode
        attr.st_mode, attr.st_uid, attr.st_gid, attr.st_rdev = found[:4]
        attr.st_atime_ns, attr.st_mtime_ns, attr.st_ctime_ns, attr.st_size, attr.st_nlink = found[4:]
        attr.st_blocks = (attr.st_size + 511) // 512
        attr.entry_timeout = attr.attr_timeout = 1
        return attr

    def lookup(self, parent_inode, name, ctx):
        if name == b".":
            return self.counted(self.getattr(parent_inode))
        if name == b"..":
            above = self.row("SELECT parent FROM names WHERE inode = ?", parent_inode)
            return self.counted(self.getattr(above[0] if above else parent_inode))
        return self.counted(self.getattr(self.find(parent_inode, name)))

    def forget(self, inode_list):
        for inode, count in inode_list:
            self.lookups[inode] -= count
            if self.lookups[inode] == 0:
                del self.lookups[inode]
                self.drop_if_unused(inode)

    def drop_if_unused(self, inode):
        if inode in self.lookups or inode in self.open_count:
            return
        if inode != 1 and self.row("SELECT 1 FROM names WHERE inode = ?", inode) is None:
            self.run("DELETE FROM inodes WHERE id = ?", inode)

    def setattr(self, inode, attr, fields, fh, ctx):
        for field, column, value in (
            (fields.update_mode, "mode", attr.st_mode),
            (fields.update_uid, "uid", attr.st_uid),
            (fields.update_gid, "gid", attr.st_gid),
            (fields.update_atime, "atime", attr.st_atime_ns),
            (fields.update_mtime, "mtime", attr.st_mtime_ns),
        ):
            if field:
                self.run(f"UPDATE inodes SET {column} = ? WHERE id = ?", value, inode)
        if fields.update_size:
            data = self.row("SELECT data FROM inodes WHERE id = ?", inode)[0]
            self.run("UPDATE inodes SET data = ? WHERE id = ?", data[: attr.st_size].ljust(attr.st_size, b"\0"), inode)
            self.touch(inode)
        self.run("UPDATE inodes SET ctime = ? WHERE id = ?", time.time_ns(), inode)
        return self.getattr(inode)

    def add(self, parent, name, inode):
        try:
            self.run("INSERT INTO names (parent, name, inode) VALUES (?, ?, ?)", parent, name, inode)
        except sqlite3.IntegrityError:
            raise llfuse.FUSEError(errno.EEXIST) from None
        self.touch(parent)
        return self.counted(self.getattr(inode))

    def mknod(self, parent_inode, name, mode, rdev, ctx):
        return self.add(parent_inode, name, self.new_inode(mode, ctx.uid, ctx.gid, rdev))

    def mkdir(self, parent_inode, name, mode, ctx):
        return self.add(parent_inode, name, self.new_inode(mode, ctx.uid, ctx.gid))

    def symlink(self, parent_inode, name, target, ctx):
        return self.add(parent_inode, name, self.new_inode(stat.S_IFLNK | 0o777, ctx.uid, ctx.gid, target=target))

    def link(self, inode, new_parent_inode, new_name, ctx):
        return self.add(new_parent_inode, new_name, inode)

    def readlink(self, inode, ctx):
        return self.row("SELECT target FROM inodes WHERE id = ?", inode)[0]

    def remove(self, parent, name, inode):
        self.run("DELETE FROM names WHERE parent = ? AND name = ?", parent, name)
        self.touch(parent)
        self.drop_if_unused(inode)

    def unlink(self, parent_inode, name, ctx):
        self.remove(parent_inode, name, self.find(parent_inode, name))

    def rmdir(self, parent_inode, name, ctx):
        inode = self.find(parent_inode, name)
        if self.row("SELECT 1 FROM names WHERE parent = ?", inode) is not None:
            raise llfuse.FUSEError(errno.ENOTEMPTY)
        self.remove(parent_inode, name, inode)

    def rename(self, parent_inode_old, name_old, parent_inode_new, name_new, ctx):
        inode = self.find(parent_inode_old, name_old)
        replaced = self.row("SELECT inode FROM names WHERE parent = ? AND name = ?", parent_inode_new, name_new)
        if replaced is not None and replaced[0] == inode:
            return
        if replaced is not None:
            if self.row("SELECT 1 FROM names WHERE parent = ?", replaced[0]) is not None:
                raise llfuse.FUSEError(errno.ENOTEMPTY)
            self.remove(parent_inode_new, name_new, replaced[0])
        self.run(
            "UPDATE names SET parent = ?, name = ? WHERE parent = ? AND name = ?",
            parent_inode_new, name_new, parent_inode_old, name_old,
        )  # fmt: skip
        self.touch(parent_inode_old)
        self.touch(parent_inode_new)

    def open(self, inode, flags, ctx):
        self.open_count[inode] = self.open_count.get(inode, 0) + 1
        return inode

    def create(self, parent_inode, name, mode, flags, ctx):
        attr = self.mknod(parent_inode, name, mode, 0, ctx)
        return self.open(attr.st_ino, flags, ctx), attr

    def release(self, fh):
        self.open_count[fh] -= 1
        if self.open_count[fh] == 0:
            del self.open_count[fh]
            self.drop_if_unused(fh)

    def read(self, fh, off, size):
        return self.row("SELECT substr(data, ?, ?) FROM inodes WHERE id = ?", off + 1, size, fh)[0]

    def write(self, fh, off, buf):
        data = self.row("SELECT data FROM inodes WHERE id = ?", fh)[0].ljust(off, b"\0")
        self.run("UPDATE inodes SET data = ? WHERE id = ?", data[:off] + buf + data[off + len(buf) :], fh)
        self.touch(fh)
        return len(buf)

    def opendir(self, inode, ctx):
        return inode

    def readdir(self, fh, off):
        query = "SELECT id, name, inode FROM names WHERE parent = ? AND id > ? ORDER BY id"
        for number, name, inode in self.run(query, fh, off).fetchall():
            yield name, self.getattr(inode), number

    def statfs(self, ctx):
        data = llfuse.StatvfsData()
        data.f_bsize = data.f_frsize = 4096
        data.f_blocks = data.f_bfree = data.f_bavail = 1 << 20
        data.f_files = data.f_ffree = data.f_favail = 1 << 20
        return data


if __name__ == "__main__":
    llfuse.init(Database(*sys.argv[2:3]), sys.argv[1], {*llfuse.default_options, "fsname=database"})
    try:
        llfuse.main()
    finally:
        llfuse.close()

"""The same scripts on this module and on Debian's python3-llfuse: what handlers are asked and clients see is the same."""

import os
import pathlib
import subprocess
import sys
import unittest

from harness import MountCase, enter_namespace, run_script, skip_all

HERE = str(pathlib.Path(__file__).resolve().parent)
THEIRS = {"PYTHONPATH": ""}

START = """
import errno, os, stat, sys, threading
sys.path.insert(0, sys.argv[2])
import llfuse
from harness import unmount
from operations import Recorder

def print(*words):
    os.write(1, (' '.join(map(str, words)) + '\\n').encode())  # in one piece, whatever another thread says

def show(what, call):
    try:
        print(what, call())
    except OSError as error:
        print(what, errno.errorcode.get(error.errno))

def serve(ops, client, **main):
    llfuse.init(ops, sys.argv[1], {'fsname=test', 'dev'})
    def run():
        try:
            client(sys.argv[1] + '/')
        finally:
            unmount(sys.argv[1])
    thread = threading.Thread(target=run)
    thread.start()
    print('main', llfuse.main(**main))
    thread.join()
    llfuse.close()
"""

OPERATIONS = """
def client(path):
    os.umask(0o027)
    file = path + 'file'
    show('stat', lambda: [getattr(os.stat(file), n) for n in
         'st_ino st_mode st_nlink st_uid st_gid st_size st_blksize st_blocks st_atime_ns st_mtime_ns st_ctime_ns'.split()])
    show('absent', lambda: os.stat(path + 'absent'))
    show('new', lambda: os.stat(path + 'new'))
    show('mknod', lambda: os.mknod(path + 'new1', stat.S_IFCHR | 0o666, os.makedev(3, 4)))
    show('mkdir', lambda: os.mkdir(path + 'new2'))
    show('symlink', lambda: os.symlink('target', path + 'new3'))
    show('link', lambda: os.link(file, path + 'new4'))
    show('rename', lambda: os.rename(file, path + 'dir/new5'))
    show('unlink', lambda: os.unlink(file))
    show('rmdir', lambda: os.rmdir(path + 'dir'))
    show('readlink', lambda: os.readlink(path + 'link'))
    show('chmod', lambda: os.chmod(file, 0o4711))
    show('chown', lambda: os.chown(file, 5, -1))
    show('truncate', lambda: os.truncate(file, 1 << 40))
    show('utime', lambda: os.utime(file, ns=(5, 7_000_000_006)))
    for mode in (os.F_OK, os.R_OK, os.W_OK, os.X_OK):
        show('access', lambda: os.access(file, mode))
    show('statvfs', lambda: [getattr(os.statvfs(path), n) for n in
         'f_bsize f_frsize f_blocks f_bfree f_bavail f_files f_ffree f_namemax'.split()])
    descriptor = os.open(file, os.O_RDWR)
    show('read', lambda: os.pread(descriptor, 100, 0))
    show('write', lambda: os.pwrite(descriptor, b'hello', 3))
    show('fsync', lambda: os.fsync(descriptor))
    show('fdatasync', lambda: os.fdatasync(descriptor))
    show('ftruncate', lambda: os.ftruncate(descriptor, 77))
    show('close', lambda: os.close(descriptor))
    show('create', lambda: os.close(os.open(path + 'new', os.O_CREAT | os.O_WRONLY, 0o666)))
    show('listdir', lambda: os.listdir(path))
    show('setxattr', lambda: os.setxattr(file, 'user.a', b'x'))
    show('getxattr', lambda: os.getxattr(file, 'user.there'))
    show('no getxattr', lambda: os.getxattr(file, 'user.none'))
    show('listxattr', lambda: os.listxattr(file))
    show('removexattr', lambda: os.removexattr(file, 'user.there'))

ops = Recorder()
# What llfuse 1 has; how often attributes are asked for is up to kernel and library.
for name in 'poll ioctl getlk setlk fallocate lseek copy_file_range rename2'.split():
    delattr(Recorder, name)
serve(ops, client, workers=1)
for call in sorted({repr(call) for call in ops.calls if call[0] != 'forget'}):
    print(call)
"""

DEFAULTS = """
class Ops(llfuse.Operations):
    def getattr(self, inode, ctx):
        attr = llfuse.EntryAttributes()
        attr.st_ino, attr.st_mode = inode, stat.S_IFDIR | 0o755 if inode == 1 else stat.S_IFREG | 0o644
        return attr
    def lookup(self, parent_inode, name, ctx):
        if name == b'note':
            return self.getattr(2, ctx)
        raise llfuse.FUSEError(errno.ENOENT)

def client(path):
    note = path + 'note'
    for what, call in {
        'mkdir': lambda: os.mkdir(path + 'x'), 'mknod': lambda: os.mknod(path + 'x'), 'unlink': lambda: os.unlink(note),
        'rmdir': lambda: os.rmdir(note), 'symlink': lambda: os.symlink('a', path + 'x'),
        'link': lambda: os.link(note, path + 'x'), 'rename': lambda: os.rename(note, path + 'x'),
        'chmod': lambda: os.chmod(note, 0), 'readlink': lambda: os.readlink(note), 'statvfs': lambda: os.statvfs(path),
        'getxattr': lambda: os.getxattr(note, 'user.x'), 'setxattr': lambda: os.setxattr(note, 'user.x', b''),
        'listxattr': lambda: os.listxattr(note), 'removexattr': lambda: os.removexattr(note, 'user.x'),
        'access': lambda: os.access(note, os.R_OK), 'listdir': lambda: os.listdir(path),
        'read': lambda: open(note, 'rb').read(),
        'create': lambda: os.open(path + 'x', os.O_CREAT | os.O_WRONLY),
    }.items():
        show(what, call)

serve(Ops(), client)
"""

FAILURE = """
class Ops(Recorder):
    def readlink(self, inode, ctx):
        raise ZeroDivisionError('of the handler')

def client(path):
    show('readlink', lambda: os.readlink(path + 'link'))

try:
    serve(Ops(), client)
except ZeroDivisionError as error:
    print('raised', error)
llfuse.close()
"""

STACKTRACE = """
class Ops(Recorder):
    def stacktrace(self):
        print('stacktrace')
        llfuse.lock.acquire()  # it is free
        llfuse.lock.release()

serve(Ops(), lambda path: show('setxattr', lambda: os.stat(path) and os.setxattr(path, 'fuse_stacktrace', b'x')))
"""

ARGUMENTS = r"""
import copy, pickle
expressions = '''
llfuse.FUSEError(2).errno
str(llfuse.FUSEError(13))
llfuse.FUSEError(2).args
llfuse.FUSEError()
llfuse.FUSEError(1, 2)
llfuse.FUSEError('x')
llfuse.FUSEError(1 << 40)
pickle.loads(pickle.dumps(llfuse.FUSEError(5))).errno
llfuse.EntryAttributes().__getstate__()
{n: getattr(llfuse.StatvfsData(), n) for n in dir(llfuse.StatvfsData) if n.startswith('f_')}
copy.copy(llfuse.EntryAttributes()).entry_timeout
pickle.dumps(llfuse.RequestContext())
pickle.dumps(llfuse.SetattrFields())
llfuse.Lock()
llfuse.NoLockManager()
setattr(llfuse.RequestContext(), 'uid', 1)
setattr(llfuse.SetattrFields(), 'update_uid', 1)
setattr(llfuse.EntryAttributes(), 'no_such', 1)
llfuse.lock.acquire()
llfuse.lock.acquire()
llfuse.lock.yield_(3)
llfuse.lock.release()
llfuse.lock.release()
llfuse.lock.yield_()
llfuse.lock_released.__enter__()
llfuse.init(llfuse.Operations(), b'/tmp', set())
llfuse.init(llfuse.Operations(), '/no/such', set())
llfuse.init(llfuse.Operations(), '/tmp', {'no_such_option'})
llfuse.init(llfuse.Operations(), '/tmp', {'\xfc'})
llfuse.init(llfuse.Operations(), '/tmp', None)
llfuse.main()
llfuse.invalidate_inode(1 << 64)
llfuse.invalidate_inode(-1)
llfuse.invalidate_inode(1)
llfuse.invalidate_entry(1, 'x')
llfuse.setxattr('/tmp', 'user.x', 'y')
llfuse.setxattr('/tmp', 'user.x', b'y', 'foo')
llfuse.setxattr(b'/tmp', 'user.x', b'y')
llfuse.getxattr('/no/such', 'user.x')
llfuse.getxattr('/tmp', b'user.x')
llfuse.listdir('/no/such')
llfuse.listdir(b'/')
sorted(llfuse.listdir('/proc/self/ns'))
llfuse.get_sup_groups(-1)
llfuse.get_sup_groups('x')
llfuse.get_sup_groups(os.getpid())
llfuse.get_ino_t_bits(), llfuse.get_off_t_bits(), llfuse.ROOT_INODE, llfuse.ENOATTR
sorted(n for n in dir(llfuse.EntryAttributes) if not n.startswith('_'))
'''.strip().splitlines()
# Without those that the protocol has fewer bits for than they take.
for name in 'st_ino generation st_mode st_uid st_gid st_size st_atime_ns entry_timeout'.split():
    for value in (0, 7, -1, 1.5, 1 << 63, 1 << 64, 'x', None):
        def attempt():
            attr = llfuse.EntryAttributes()
            setattr(attr, name, value)
            return getattr(attr, name)
        try:
            print(name, value, attempt())
        except Exception as error:
            print(name, value, type(error).__name__)
for expression in expressions:
    try:
        print(expression, '->', eval(expression))
    except Exception as error:
        print(expression, '->', type(error).__name__, getattr(error, 'errno', ''), getattr(error, 'filename', ''))
"""


def has_theirs():
    command = [sys.executable, "-c", "import llfuse, sys; sys.exit(not llfuse.__file__.endswith('.so'))"]
    done = subprocess.run(command, env={**os.environ, **THEIRS}, capture_output=True)
    return done.returncode == 0


class Oracle(MountCase):
    maxDiff = None

    def same(self, script, order=list):
        # What they say on stderr, libfuse's own words among it, is not compared.
        quiet = "import os; os.dup2(os.open(os.devnull, os.O_WRONLY), 2)\n"
        theirs, ours = (
            run_script(quiet + START + script, self.mountpoint, HERE, env=env, check=False) for env in (THEIRS, {})
        )
        self.assertGreater(len(theirs.splitlines()), 1)
        self.assertEqual(order(theirs.splitlines()), order(ours.splitlines()))

    def test_operations(self):
        self.same(OPERATIONS)

    def test_what_is_missing(self):
        self.same(DEFAULTS)

    def test_an_exception(self):
        self.same(FAILURE, order=sorted)  # two threads say something

    def test_stacktrace(self):
        self.same(STACKTRACE)

    def test_arguments(self):
        self.same(ARGUMENTS)


if __name__ == "__main__":
    enter_namespace()
    if not has_theirs():
        skip_all("python3-llfuse is not installed")
    unittest.main(verbosity=2)

"""Does on a mount what programs do on file systems: exercise.py DIRECTORY [-WHAT...], all but each WHAT.

It checks what it has done, and leaves the directory as it was.
"""

import errno
import fcntl
import hashlib
import mmap
import multiprocessing
import os
import random
import shutil
import sys
import time

mib = 1 << 20


def pattern(size, seed=0):
    return random.Random(seed).randbytes(size)


def put(path, data):
    with open(path, "wb") as file:
        file.write(data)


def get(path):
    with open(path, "rb") as file:
        return file.read()


def same(path, data):
    digests = [hashlib.sha256(content).hexdigest() for content in (get(path), data)]
    assert digests[0] == digests[1], f"{path} has other content than was written"


def refused(number, call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno == number, f"{call.__name__}: {error}"
    else:
        raise AssertionError(f"{call.__name__} did not fail with {errno.errorcode[number]}")


def files():
    """Writing anywhere, at the end, and cutting; a name that is not there."""
    data = bytearray(pattern(300_000))
    put("file", data)
    same("file", data)
    with open("file", "r+b") as file:
        file.seek(123_456)
        file.write(b"in the middle")
        data[123_456:123_469] = b"in the middle"
    with open("file", "ab") as file:
        file.write(b"at the end")
        os.fsync(file.fileno())
    data += b"at the end"
    same("file", data)
    os.truncate("file", 1000)
    same("file", data[:1000])
    os.truncate("file", 5000)
    same("file", data[:1000] + bytes(4000))
    assert os.stat("file").st_size == 5000
    with open("file", "wb"):
        pass
    assert os.stat("file").st_size == 0
    refused(errno.EEXIST, os.open, "file", os.O_CREAT | os.O_EXCL)
    os.unlink("file")
    refused(errno.ENOENT, os.stat, "file")


def modes():
    """What chmod and utime say is what stat says."""
    put("file", b"")
    os.chmod("file", 0o640)
    os.utime("file", (1_000_000_000, 1_100_000_000))
    status = os.stat("file")
    assert (status.st_mode & 0o777, status.st_mtime) == (0o640, 1_100_000_000), status
    os.unlink("file")


def renames():
    """Within a directory, to another, over a file, and of a directory with what is in it."""
    os.mkdir("from")
    os.mkdir("to")
    put("from/one", b"one")
    put("from/two", b"two")
    os.rename("from/one", "from/other")
    os.rename("from/other", "to/one")
    os.rename("from/two", "to/one")
    assert get("to/one") == b"two"
    refused(errno.ENOENT, os.stat, "from/two")
    os.rename("to", "moved")
    assert get("moved/one") == b"two"
    refused(errno.ENOTEMPTY, os.rmdir, "moved")
    os.unlink("moved/one")
    os.rmdir("moved")
    os.rmdir("from")


def many():
    """A directory of 1,000 entries, listed whole, and emptied."""
    names = {f"{number:04}-of-a-thousand" for number in range(1000)}
    os.mkdir("many")
    for name in names:
        os.close(os.open(f"many/{name}", os.O_CREAT | os.O_WRONLY, 0o644))
    listed = os.listdir("many")
    assert len(listed) == 1000 and set(listed) == names, f"{len(listed)} entries, not 1000"
    for name in listed:
        os.unlink(f"many/{name}")
    assert os.listdir("many") == []
    os.rmdir("many")


def symlinks():
    put("file", b"linked")
    os.symlink("file", "link")
    assert os.readlink("link") == "file" and get("link") == b"linked"
    os.unlink("link")
    os.unlink("file")


def links():
    put("file", b"linked")
    os.link("file", "other")
    assert get("other") == b"linked" and os.stat("other").st_nlink == 2
    os.unlink("file")
    assert get("other") == b"linked"
    os.unlink("other")


def xattrs():
    put("file", b"")
    value = pattern(200)
    os.setxattr("file", "user.one", value)
    os.setxattr("file", "user.two", b"2")
    assert os.getxattr("file", "user.one") == value
    assert {"user.one", "user.two"} <= set(os.listxattr("file"))
    os.removexattr("file", "user.one")
    refused(errno.ENODATA, os.getxattr, "file", "user.one")
    os.unlink("file")


def maps():
    """What is written through a mapping is in the file, and the other way round."""
    put("file", bytes(100_000))
    with open("file", "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[50_000:50_006] = b"mapped"
        memory.flush()
        file.seek(50_000)
        assert file.read(6) == b"mapped"
        file.seek(70_000)
        file.write(b"written")
        file.flush()
        assert memory[70_000:70_007] == b"written"
    assert get("file")[50_000:50_006] == b"mapped"
    os.unlink("file")


def in_child(work, *arguments):
    child = multiprocessing.Process(target=work, args=arguments)
    child.start()
    child.join()
    assert child.exitcode == 0, f"{work.__name__} in a process of its own: {child.exitcode}"


def cannot_lock(take):
    with open("file", "r+b") as file:
        refused(errno.EAGAIN, take, file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def locks():
    """Both kinds keep another process out until they are given back."""
    put("file", b"locked")
    for take in (fcntl.lockf, fcntl.flock):
        with open("file", "r+b") as file:
            take(file, fcntl.LOCK_EX)
            in_child(cannot_lock, take)
            take(file, fcntl.LOCK_UN)
            in_child(can_lock, take)
    os.unlink("file")


def can_lock(take):
    with open("file", "r+b") as file:
        take(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def unlinked():
    """An open file lives on without a name."""
    with open("file", "w+b") as file:
        file.write(b"before ")
        file.flush()
        os.unlink("file")
        refused(errno.ENOENT, os.stat, "file")
        file.write(b"after")
        file.flush()
        file.seek(0)
        assert file.read() == b"before after"
        assert os.fstat(file.fileno()).st_size == 12


def big():
    """20 MB there, copied, and back."""
    data = pattern(20 * mib)
    put("big", data)
    shutil.copyfile("big", "copy")
    same("copy", data)
    os.unlink("big")
    os.unlink("copy")


def use(number):
    """One user among others: a directory of its own, and a look at all."""
    name = f"user-{number}"
    os.mkdir(name)
    for step in range(40):
        data = pattern(10_000 + step, seed=step * 10 + number)
        put(f"{name}/new", data)
        os.rename(f"{name}/new", f"{name}/{step}")
        same(f"{name}/{step}", data)
        assert name in os.listdir(".")
        if step >= 5:
            os.unlink(f"{name}/{step - 5}")
    shutil.rmtree(name)


def users():
    """Two at once."""
    children = [multiprocessing.Process(target=use, args=(number,)) for number in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0], "two users at once"


everything = (files, modes, renames, many, symlinks, links, xattrs, maps, locks, unlinked, big, users)


def main(directory, *words):
    names = {what.__name__ for what in everything}
    left_out = {word.removeprefix("-") for word in words}
    assert left_out <= names, f"not in the list: {left_out - names}"
    os.chdir(directory)
    os.mkdir("exercise")
    os.chdir("exercise")
    for what in everything:
        if what.__name__ in left_out:
            continue
        began = time.monotonic()
        print(f"{what.__name__}: ", end="", flush=True)
        what()
        print(f"{time.monotonic() - began:.2f} s", flush=True)
    # A file that was open when it was unlinked goes with its RELEASE, which nobody waits for.
    for _ in range(600):
        if not os.listdir("."):
            break
        time.sleep(0.1)
    os.chdir("..")
    os.rmdir("exercise")


main(*sys.argv[1:])

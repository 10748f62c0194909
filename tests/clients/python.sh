# Python's own file operations.
# shellcheck shell=bash disable=SC2154
need python3
TMPDIR=$mnt python3 - "$scratch" <<'END'
import fcntl, mmap, os, pathlib, shutil, stat, sys, tempfile, threading, zipfile

with tempfile.TemporaryFile() as file:
    file.write(b"text" * 10000)
    file.seek(3)
    assert file.read(5) == b"ttext"[:5]
with tempfile.NamedTemporaryFile(delete=False) as file:
    name = file.name
    assert name.startswith(os.environ["TMPDIR"])
os.unlink(name)
with tempfile.TemporaryDirectory() as place:
    place = pathlib.Path(place)
    shutil.copytree("/usr/include/linux", place / "linux", symlinks=True)
    count = sum(len(files) for _, _, files in os.walk("/usr/include/linux"))
    assert sum(len(files) for _, _, files, _ in os.fwalk(place / "linux")) == count
    archive = shutil.make_archive(str(place / "archive"), "zip", place / "linux")
    assert zipfile.ZipFile(archive).testzip() is None
    shutil.unpack_archive(archive, place / "unpacked")
    assert (place / "unpacked/fs.h").read_bytes() == (place / "linux/fs.h").read_bytes()
    shutil.move(place / "unpacked", place / "moved")
    shutil.copy2(place / "moved/fs.h", place / "copy")
    assert (place / "copy").stat().st_mtime_ns == (place / "moved/fs.h").stat().st_mtime_ns

    path = place / "mapped"
    path.write_bytes(b"\0" * 100000)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        mapping[50000:50005] = b"hello"
        mapping.flush()
    assert path.read_bytes()[50000:50005] == b"hello"
    os.truncate(path, 50003)
    assert path.read_bytes().endswith(b"\0hel")

    os.setxattr(path, "user.name", b"value", os.XATTR_CREATE)
    assert os.listxattr(path) == ["user.name"] and os.getxattr(path, "user.name") == b"value"
    os.utime(path, ns=(123456789012345678, 987654321098765432))
    assert path.stat().st_mtime_ns == 987654321098765432
    os.mkfifo(place / "fifo")
    assert stat.S_ISFIFO((place / "fifo").stat().st_mode)
    (place / "name-\udcff\n").touch()
    assert "name-\udcff\n" in os.listdir(place)

    def append(text):
        for _ in range(200):
            with open(place / "log", "a") as log:
                fcntl.lockf(log, fcntl.LOCK_EX)
                log.write(text * 20 + "\n")
    threads = [threading.Thread(target=append, args=(text,)) for text in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (place / "log").read_text().split("\n")[:-1]
    assert len(lines) == 800 and all(line == line[0] * 20 for line in lines)
assert os.listdir(os.environ["TMPDIR"]) == []
END

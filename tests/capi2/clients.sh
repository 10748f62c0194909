#!/usr/bin/env bash
# clients.sh NAME TOOL: runs a packaged FUSE 2 program, as it is, by `TOOL run`, which proves that it has our library, in
# a private mount namespace. Exit codes: 0 it passed, 77 it cannot run here, else it failed.
set -euo pipefail

skip() {
  echo "Skipped: $*"
  exit 77
}
fail() {
  echo "$name: $*" >&2
  exit 1
}
need() {
  local program
  for program; do command -v "$program" >/dev/null || skip "$program is not installed"; done
}

name=$1
tool=$2
((EUID == 0)) || skip "mounting needs root"
[[ -c /dev/fuse ]] || skip "there is no /dev/fuse"
if [[ -z ${FUSELAGE_PRIVATE_MOUNTS:-} ]]; then
  unshare --mount --propagation private true 2>/dev/null || skip "no permission to create a mount namespace"
  FUSELAGE_PRIVATE_MOUNTS=1 exec unshare --mount --propagation private "$0" "$@"
fi

scratch=$(mktemp -d "${TMPDIR:-/tmp}/fuselage-clients-XXXXXX")
mnt=$scratch/mnt
data=$scratch/data
pid=
mkdir "$mnt" "$data"
finish() {
  local status=$?
  trap - EXIT
  cd /
  if mountpoint -q "$mnt"; then umount -l "$mnt"; fi
  if [[ -n $pid ]]; then kill "$pid" 2>/dev/null || true; fi
  if ((status != 0 && status != 77)); then cat "$scratch/log" >&2 2>/dev/null || true; fi
  rm -rf "$scratch"
  exit "$status"
}
trap finish EXIT

# serve PROGRAM ARGUMENT...: in the foreground of a job of ours; returns when it has mounted.
serve() {
  "$tool" run --stats -- "$@" >"$scratch/log" 2>&1 &
  pid=$!
  for _ in {1..600}; do
    if mountpoint -q "$mnt"; then return; fi
    kill -0 "$pid" 2>/dev/null || fail "it did not start"
    sleep 0.1
  done
  fail "it did not mount"
}

# Unmounts; the program must end well, and the library must have counted what it did.
ended() {
  umount "$mnt" || umount -l "$mnt"
  wait "$pid" || fail "it ended with $?"
  pid=
  grep -q LOOKUP "$scratch/log" || fail "there are no statistics"
}

# Reads and writes as on any file system.
exercise() {
  head -c 300000 /dev/urandom >"$scratch/random"
  cp "$scratch/random" "$mnt/file"
  cmp "$scratch/random" "$mnt/file"
  mkdir "$mnt/dir"
  mv "$mnt/file" "$mnt/dir/moved"
  cmp "$scratch/random" "$mnt/dir/moved"
  echo more >>"$mnt/dir/moved"
  [[ $(stat -c %s "$mnt/dir/moved") == 300005 ]]
  ln -s dir/moved "$mnt/link"
  [[ $(readlink "$mnt/link") == dir/moved ]]
  chmod 600 "$mnt/dir/moved"
  [[ $(stat -c %a "$mnt/dir/moved") == 600 ]]
  [[ $(ls "$mnt") == "$(printf 'dir\nlink')" ]]
  rm "$mnt/link" "$mnt/dir/moved"
  rmdir "$mnt/dir"
  [[ -z $(ls -A "$mnt") ]]
}

case $name in
  bindfs)
    need bindfs
    serve bindfs -f "$data" "$mnt"
    exercise
    echo text >"$mnt/file"
    [[ $(<"$data/file") == text ]]
    ;;
  unionfs)
    need unionfs
    mkdir "$scratch/lower"
    echo lower >"$scratch/lower/file"
    serve unionfs -f -o cow "$data=RW:$scratch/lower=RO" "$mnt"
    [[ $(<"$mnt/file") == lower ]]
    echo upper >"$mnt/file"
    [[ $(<"$scratch/lower/file") == lower && $(<"$data/file") == upper ]]
    ;;
  fuseiso)
    need fuseiso genisoimage
    head -c 200000 /dev/urandom >"$data/file"
    genisoimage -quiet -R -o "$scratch/image.iso" "$data"
    serve fuseiso "$scratch/image.iso" "$mnt" -f
    cmp "$data/file" "$mnt/file"
    [[ $(ls "$mnt") == file ]]
    ;;
  afuse)
    need afuse
    mkdir "$data/inner"
    echo text >"$data/inner/file"
    serve afuse -f -o "mount_template=mount --bind $data/%r %m" -o "unmount_template=umount %m" "$mnt"
    [[ $(<"$mnt/inner/file") == text ]]
    ;;
  archivemount)
    need archivemount tar
    head -c 100000 /dev/urandom >"$data/file"
    tar -C "$data" -cf "$scratch/archive.tar" file
    serve archivemount -f -o readonly "$scratch/archive.tar" "$mnt"
    cmp "$data/file" "$mnt/file"
    ;;
  fuse-zip)
    need fuse-zip python3
    serve fuse-zip -f "$scratch/archive.zip" "$mnt"
    head -c 100000 /dev/urandom >"$data/file"
    cp "$data/file" "$mnt/file"
    cmp "$data/file" "$mnt/file"
    ended
    python3 -c "import sys, zipfile; assert zipfile.ZipFile(sys.argv[1]).read('file') == open(sys.argv[2], 'rb').read()" \
      "$scratch/archive.zip" "$data/file"
    exit
    ;;
  fusepy)
    need /usr/bin/python3  # the one that Debian's modules are for
    /usr/bin/python3 -c 'import fusepy' 2>/dev/null || skip "python3-fusepy is not installed"
    cat >"$scratch/server.py" <<'END'
import errno, stat, sys
import fusepy as fuse

class Hello(fuse.Operations):
    def getattr(self, path, fh=None):
        if path == "/":
            return dict(st_mode=stat.S_IFDIR | 0o755, st_nlink=2)
        if path == "/hello":
            return dict(st_mode=stat.S_IFREG | 0o444, st_nlink=1, st_size=6)
        raise fuse.FuseOSError(errno.ENOENT)

    def readdir(self, path, fh):
        return [".", "..", "hello"]

    def read(self, path, size, offset, fh):
        return b"hello\n"[offset:offset + size]

fuse.FUSE(Hello(), sys.argv[1], foreground=True)
END
    serve /usr/bin/python3 "$scratch/server.py" "$mnt"
    [[ $(<"$mnt/hello") == hello ]]
    [[ $(ls "$mnt") == hello ]]
    ;;
  *) fail "there is no such test" ;;
esac
ended

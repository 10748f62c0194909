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

here=$(cd "${BASH_SOURCE%/*}" && pwd)
name=$1
tool=$2
((EUID == 0)) || skip "mounting needs root"
[[ -c /dev/fuse ]] || skip "there is no /dev/fuse"
if [[ -z ${FUSELAGE_PRIVATE_MOUNTS:-} ]]; then
  unshare --mount --propagation private true 2>/dev/null || skip "no permission to create a mount namespace"
  FUSELAGE_PRIVATE_MOUNTS=1 exec unshare --mount --propagation private "$0" "$@"
fi

scratch=$(mktemp -d "${TMPDIR:-/tmp}/fuselage-clients-XXXXXX")
# In memory, where that has extended attributes (since Linux 6.6): on a busy disk a thousand files take a minute.
mount -t tmpfs none "$scratch"
setfattr -n user.test -v yes "$scratch" 2>/dev/null || umount "$scratch"
mnt=$scratch/mnt
data=$scratch/data
pid=
helpers=()  # processes that end with us
loop=
as=()  # runs the program and its user as somebody else
user=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
mkdir "$mnt" "$data"
# Root may not look at what an ordinary user has mounted.
mounted() { grep -qF " $mnt " /proc/self/mountinfo; }
finish() {
  local status=$?
  trap - EXIT
  cd /
  if mounted; then umount -l "$mnt"; fi
  kill ${pid:+"$pid"} "${helpers[@]}" 2>/dev/null || true
  if ((status != 0 && status != 77)); then cat "$scratch/log" >&2 2>/dev/null || true; fi
  if [[ -n $loop ]]; then losetup --detach "$loop"; fi
  if mountpoint -q "$scratch"; then umount -l "$scratch"; fi
  rm -rf "$scratch"
  exit "$status"
}
trap finish EXIT
trap 'echo "$name: line $LINENO does not hold" >&2' ERR

# refused COMMAND...: it must fail.
refused() {
  if "$@" >/dev/null 2>&1; then fail "that should be refused: $*"; fi
}

# start PROGRAM ARGUMENT...: in the foreground of a job of ours.
start() {
  "${as[@]}" "$tool" run --stats -- "$@" >"$scratch/log" 2>&1 &
  pid=$!
}

# once COMMAND...: waits until it succeeds, while the program runs.
once() {
  for _ in {1..600}; do
    if "$@" >/dev/null 2>&1; then return; fi
    kill -0 "$pid" 2>/dev/null || fail "it has ended: waiting for $*"
    sleep 0.1
  done
  fail "waited in vain for $*"
}

serve() {
  start "$@"
  once mounted
}

# By the name of the test: programs that ask for one thread, and those with a loop of their own. All others must be
# served over io_uring where the kernel has it.
declare -A threads=(
  [bindfs]=one [bindfs-permissions]=one [afuse]=one [archivemount]=one [fuse-zip]=one [wim]=one [exfat]=one [httpfs2]=one
  [casync]=one [perl]=one [llfuse]=own [zfs]=own
)
uring=$(cat /sys/module/fuse/parameters/enable_uring 2>/dev/null || true)

# transport: how the program of a test must have been served.
transport() {
  if [[ ${threads[$name]-} == own ]]; then
    echo "by hand"
  elif [[ ${FUSELAGE_TRANSPORT-} == device ]]; then
    echo "device (no io_uring: the device was asked for)"
  elif [[ ${threads[$name]-} == one ]]; then
    echo "device (no io_uring: with one thread "
  elif [[ $uring == Y ]]; then
    echo "io_uring,"
  fi
}

# ended [CODE]: the program must end, with that code, nothing be mounted, and the library have counted what it did.
ended() {
  local code=0
  wait "$pid" || code=$?
  pid=
  ((code == ${1:-0})) || fail "it ended with $code"
  if mounted; then fail "it is still mounted"; fi
  grep -q LOOKUP "$scratch/log" || fail "there are no statistics"
  grep -qF "transport $(transport)" "$scratch/log" || fail "it was not served over $(transport)"
}

leave() {
  umount "$mnt" || umount -l "$mnt"
  ended
}

# perish PROGRAM ARGUMENT...: killed, it must take its mount along.
perish() {
  serve "$@"
  kill -9 "$(pgrep -P "$pid")"
  local code=0
  wait "$pid" || code=$?
  ((code == 137)) || fail "it ended with $code, not by the signal"
  pid=
  for _ in {1..600}; do
    mounted || return 0
    sleep 0.1
  done
  fail "it is still mounted"
}

# stock: fills the data directory with what a program that only reads shall show.
stock() {
  mkdir "$data/many"
  touch "$data/many"/{0001..1000}
  head -c 3000000 /dev/urandom >"$data/file"
  ln -s many/0001 "$data/link"
}

# show: two users at once find that all the same, and a mapping of it too.
show() {
  diff -r --no-dereference "$data" "$mnt" &
  local other=$!
  diff -r --no-dereference "$data" "$mnt" || fail "it shows something else"
  wait "$other" || fail "it shows something else to one of two"
  python3 -c 'import mmap, sys
one, two = (open(name, "rb") for name in sys.argv[1:])
assert mmap.mmap(one.fileno(), 0, prot=mmap.PROT_READ)[:] == two.read()' "$mnt/file" "$data/file"
}

# What a program's file system has not, of what exercise.py does: no fault of the library, for it says so itself.
declare -A lacks=(
  [archivemount]="renames symlinks links xattrs users"  # the last is in it, but takes a minute
  [fuse-zip]="links xattrs"
  [exfat]="modes symlinks links xattrs"
  [unionfs]=xattrs
  [posixovl]="modes xattrs"
  [afuse]=xattrs
  [loggedfs]=xattrs
  [avfs]=xattrs
  [securefs]=xattrs
  [bindfs-threads]=locks
  [fuse-python]=xattrs
)

# exercise [DIRECTORY [WHAT...]]: reads and writes as on any file system, all but WHAT.
exercise() {
  local without
  read -ra without <<<"${lacks[$name]-} ${*:2}"
  "${as[@]}" /usr/bin/python3 "$here/exercise.py" "${1:-$mnt}" "${without[@]/#/-}" >"$scratch/exercise" 2>&1 || {
    cat "$scratch/exercise" >&2
    fail "it does not do what file systems do"
  }
  [[ -z ${FUSELAGE_TEST_TIMES:-} ]] || cat "$scratch/exercise"
}

# mirror PROGRAM ARGUMENT...: it shows the data directory, to read and to write.
mirror() {
  stock
  serve "$@"
  show
  exercise
}

case $name in
  bindfs)
    need bindfs
    mirror bindfs -f "$data" "$mnt"
    leave
    for option in -s -d; do
      serve bindfs -f "$option" "$data" "$mnt"
      exercise "$mnt" many big
      leave
    done
    mkdir "$data/inner"
    serve bindfs -f -o modules=subdir:iconv,subdir=/inner,from_code=ISO-8859-1,to_code=UTF-8 "$data" "$mnt"
    exercise
    echo text >"$mnt/"$'\xc3\xa4'
    [[ $(<"$data/inner/"$'\xe4') == text ]]
    kill "$pid"  # the tool tells the program
    ended
    exit
    ;;
  bindfs-threads)
    need bindfs flock
    mirror bindfs -f -o multithreaded,enable-lock-forwarding "$data" "$mnt"
    refused flock "$mnt/file" flock --nonblock "$data/file" true
    ;;
  bindfs-permissions)
    need bindfs setpriv setfattr
    chmod 755 "$scratch"
    chmod 777 "$data"
    echo text >"$data/file"
    mkdir "$data/directory"
    serve bindfs -f --perms=0600:u+D --force-user=nobody --force-group=daemon "$data" "$mnt"
    [[ $(stat -c "%a %U %G" "$mnt/file" "$mnt/directory") == "600 nobody daemon"$'\n'"700 nobody daemon" ]]
    [[ $("${user[@]}" cat "$mnt/file") == text ]]
    refused setpriv --reuid=daemon --clear-groups cat "$mnt/file"
    leave
    serve bindfs -f --mirror-only=nobody "$data" "$mnt"
    [[ $("${user[@]}" stat -c %U "$mnt/file") == nobody && $(stat -c %U "$mnt/file") == root ]]
    refused setpriv --reuid=daemon --clear-groups cat "$mnt/file"
    leave
    serve bindfs -f --map=root/daemon:@root/@daemon "$data" "$mnt"
    "${user[@]}" touch "$mnt/by-user"
    [[ $(stat -c "%U %G" "$mnt/file" "$data/by-user") == "daemon daemon"$'\n'"nobody nogroup" ]]
    leave
    serve bindfs -f --create-for-user=nobody --create-for-group=daemon --create-with-perms=0640 "$data" "$mnt"
    touch "$mnt/for-user"
    [[ $(stat -c "%a %U %G" "$data/for-user") == "640 nobody daemon" ]]
    leave
    serve bindfs -f --chmod-ignore --chown-ignore --chgrp-deny --xattr-none --delete-deny --rename-deny "$data" "$mnt"
    chmod 600 "$mnt/file"
    chown nobody "$mnt/file"
    [[ $(stat -c "%a %U" "$data/file") == "644 root" ]]
    refused chgrp daemon "$mnt/file"
    refused setfattr -n user.one -v two "$mnt/file"
    refused rm "$mnt/file"
    refused mv "$mnt/file" "$mnt/moved"
    leave
    serve bindfs -f --chmod-filter=g+w --chown-deny --xattr-ro "$data" "$mnt"
    chmod 600 "$mnt/file"
    [[ $(stat -c %a "$data/file") == 620 ]]
    refused chown nobody "$mnt/file"
    refused setfattr -n user.one -v two "$mnt/file"
    leave
    ln "$data/file" "$data/other"
    ln -s file "$data/link"
    serve bindfs -f -r --hide-hard-links --resolve-symlinks "$data" "$mnt"
    [[ $(stat -c "%F %h" "$mnt/link") == "regular file 1" ]]
    refused touch "$mnt/new"
    ;;
  bindfs-user)
    need bindfs setpriv fusermount
    # In this namespace everybody may open it, as where udev has made it.
    mknod -m 666 "$scratch/fuse" c 10 229
    mount --bind "$scratch/fuse" /dev/fuse
    chmod 755 "$scratch"
    chown nobody "$mnt" "$data"
    as=("${user[@]}")
    "${as[@]}" test -x "$tool" -a -r "$here" || skip "the tree is not for everybody to read"
    serve bindfs -f --no-allow-other -o multithreaded "$data" "$mnt"
    exercise
    refused ls "$mnt"  # root is another user
    "${as[@]}" fusermount -u "$mnt"
    ended
    perish bindfs -f --no-allow-other -o multithreaded,auto_unmount "$data" "$mnt"
    exit
    ;;
  bindfs-killed)
    need bindfs fusermount
    perish bindfs -f -o auto_unmount "$data" "$mnt"
    exit
    ;;
  unionfs)
    need unionfs
    mkdir "$scratch/lower"
    echo lower >"$scratch/lower/file"
    serve unionfs -f -o cow "$data=RW:$scratch/lower=RO" "$mnt"
    [[ $(<"$mnt/file") == lower ]]
    exercise
    echo upper >"$mnt/file"
    [[ $(<"$scratch/lower/file") == lower && $(<"$data/file") == upper ]]
    ;;
  fuseiso)
    need fuseiso genisoimage
    stock
    genisoimage -quiet -R -o "$scratch/image.iso" "$data"
    serve fuseiso "$scratch/image.iso" "$mnt" -f
    show
    ;;
  afuse)
    need afuse
    serve afuse -f -o "mount_template=mount -t tmpfs none %m" -o "unmount_template=umount %m" "$mnt"
    exercise "$mnt/inner"
    ;;
  archivemount)
    need archivemount tar
    stock
    tar -C "$data" -cf "$scratch/archive.tar" .
    serve archivemount -f -o nobackup "$scratch/archive.tar" "$mnt"
    show
    exercise
    echo new >"$mnt/new"
    leave
    [[ $(tar -xOf "$scratch/archive.tar" --wildcards "*new") == new ]] || fail "it has not written the archive"
    exit
    ;;
  fuse-zip)
    need fuse-zip python3
    serve fuse-zip -f "$scratch/archive.zip" "$mnt"
    exercise
    head -c 100000 /dev/urandom >"$data/file"
    cp "$data/file" "$mnt/file"
    leave
    python3 -c "import sys, zipfile; assert zipfile.ZipFile(sys.argv[1]).read('file') == open(sys.argv[2], 'rb').read()" \
      "$scratch/archive.zip" "$data/file"
    exit
    ;;
  fusepy)
    need /usr/bin/python3  # the one that Debian's modules are for
    /usr/bin/python3 -c 'import fusepy' 2>/dev/null || skip "python3-fusepy is not installed"
    serve /usr/bin/python3 "$here/servers/memory_fusepy.py" "$mnt"
    exercise
    ;;
  fuse-python)
    need /usr/bin/python3
    /usr/bin/python3 -c 'import fuse' 2>/dev/null || skip "python3-fuse is not installed"
    mirror /usr/bin/python3 "$here/servers/mirror_fuse.py" "$mnt" -f -o "root=$data"
    ;;
  mhddfs)
    need mhddfs
    mkdir "$scratch/other"
    echo text >"$scratch/other/file"
    serve mhddfs "$data,$scratch/other" "$mnt" -f
    [[ $(<"$mnt/file") == text ]]
    exercise
    ;;
  convmvfs)
    need convmvfs
    mirror convmvfs "$mnt" -f -o "srcdir=$data,icharset=iso-8859-1,ocharset=utf-8"
    echo text >"$mnt/"$'\xc3\xa4'
    [[ $(<"$data/"$'\xe4') == text ]]
    ;;
  posixovl)
    need mount.posixovl
    mirror mount.posixovl -S "$data" "$mnt" -- -f
    ;;
  wim)
    need wimcapture
    stock
    wimcapture "$data" "$scratch/archive.wim" --unix-data >/dev/null
    serve wimmountrw "$scratch/archive.wim" "$mnt" --unix-data --debug
    show
    exercise
    cp "$data/file" "$mnt/new"
    wimunmount --commit "$mnt" >/dev/null
    ended
    mkdir "$scratch/applied"
    wimapply "$scratch/archive.wim" "$scratch/applied" >/dev/null
    cmp "$data/file" "$scratch/applied/new"
    exit
    ;;
  loggedfs)
    need loggedfs
    serve loggedfs -f -l "$scratch/loggedfs" "$mnt"
    exercise
    grep -q "rename $mnt/exercise/from/one" "$scratch/loggedfs" || fail "it has not logged"
    ;;
  disorderfs)
    need disorderfs
    mirror disorderfs -f --reverse-dirents=yes --sort-dirents=yes "$data" "$mnt"
    mkdir "$mnt/sorted"
    touch "$mnt/sorted"/{b,a,c}
    [[ $(find "$mnt/sorted" -mindepth 1 -printf '%f') == cba ]] || fail "the entries are not in reverse"
    ;;
  encfs)
    need encfs
    serve encfs -f --standard --extpass "echo secret" "$data" "$mnt"
    exercise
    echo readable >"$mnt/file"
    if grep -rq readable "$data"; then fail "it does not encrypt"; fi
    ;;
  fuse2fs)
    need fuse2fs mkfs.ext4
    head -c 300000 /dev/urandom >"$data/file"
    truncate -s 100M "$scratch/image"
    mkfs.ext4 -q -d "$data" "$scratch/image"
    serve fuse2fs "$scratch/image" "$mnt" -f
    cmp "$data/file" "$mnt/file"
    exercise
    leave
    e2fsck -fn "$scratch/image" >"$scratch/log" || fail "it has broken the image"
    exit
    ;;
  exfat)
    need mount.exfat-fuse mkfs.exfat
    truncate -s 100M "$scratch/image"
    mkfs.exfat "$scratch/image" >/dev/null
    loop=$(losetup --find --show "$scratch/image" 2>/dev/null) || skip "there is no loop device"
    serve mount.exfat-fuse -d "$loop" "$mnt"
    [[ $(stat -f -c %T "$mnt") == fuseblk ]]
    exercise
    ;;
  httpfs2)
    need httpfs2
    head -c 20000000 /dev/urandom >"$data/file"
    coproc python3 "$here/servers/ranges.py" "$data/file"
    helpers+=("$COPROC_PID")
    read -r port <&"${COPROC[0]}"
    serve httpfs2 -f "http://127.0.0.1:$port/file" "$mnt"
    [[ $(tail -c 1000 "$mnt/file" | sha256sum) == $(tail -c 1000 "$data/file" | sha256sum) ]]
    [[ -z $(tail -c +20000001 "$mnt/file") ]]
    show
    ;;
  casync)
    need casync setfattr
    stock
    setfattr -n user.one -v two "$data/file"
    casync make --store="$scratch/store" "$scratch/index.caidx" "$data" >/dev/null
    serve casync mount --store="$scratch/store" "$scratch/index.caidx" "$mnt"
    show
    [[ $(getfattr --absolute-names --only-values -n user.one "$mnt/file") == two ]]
    ;;
  s3backer)
    need s3backer mkfs.ext4 e2fsck
    serve s3backer --test -f --size=20M --blockSize=64k --blockCacheWriteDelay=0 "$data" "$mnt"
    head -c 3000000 /dev/urandom >"$scratch/random"
    dd if="$scratch/random" of="$mnt/file" conv=notrunc,fsync status=none
    cmp -n 3000000 "$scratch/random" "$mnt/file"
    [[ $(stat -c %s "$mnt/file") == 20971520 && -s $mnt/stats ]]
    mkfs.ext4 -q "$mnt/file"
    if loop=$(losetup --find --show "$mnt/file" 2>/dev/null); then
      mkdir "$scratch/inner"
      mount "$loop" "$scratch/inner"
      exercise "$scratch/inner" big
      umount "$scratch/inner"
      losetup --detach "$loop"
      loop=
    fi
    e2fsck -fn "$mnt/file" >"$scratch/e2fsck" 2>&1 || fail "the file system in it has suffered"
    ;;
  avfs)
    need avfsd tar
    head -c 100000 /dev/urandom >"$data/file"
    tar -C "$data" -czf "$scratch/archive.tar.gz" file
    serve avfsd -f "$mnt"
    cmp "$data/file" "$mnt$scratch/archive.tar.gz#/file"
    exercise "$mnt$data"
    ;;
  securefs)
    need securefs
    securefs create --rounds 1 --pass secret "$data" >/dev/null
    serve securefs mount --pass secret "$data" "$mnt"
    exercise
    ;;
  perl | perl-threads)
    need perl
    perl -MFuse -e1 2>/dev/null || skip "libfuse-perl is not installed"
    mirror perl "$here/servers/mirror.pl" "$data" "$mnt" "${name#perl}"
    ;;
  llfuse)
    need /usr/bin/python3 setfattr
    /usr/bin/python3 -c 'import llfuse' 2>/dev/null || skip "python3-llfuse is not installed"
    mirror /usr/bin/python3 "$here/../../examples/python/passthrough.py" "$data" "$mnt"
    leave
    serve /usr/bin/python3 "$here/servers/hello_llfuse.py" "$mnt"
    [[ $(<"$mnt/hello") == hello && $(ls "$mnt") == hello ]]
    setfattr -n user.content -v changed "$mnt/hello"
    once grep -q changed "$mnt/hello"
    ;;
  zfs)
    need zfs-fuse zpool
    # It has one socket and one list of pools for the whole machine: a machine of its own, then.
    mount -t tmpfs none /run
    mount -t tmpfs none /etc/zfs
    mkdir /run/lock
    truncate -s 100M "$scratch/image"
    start zfs-fuse --no-daemon --enable-xattr
    once zpool list
    zpool create -m "$mnt" fuselage "$scratch/image"
    once mounted
    exercise
    zpool export fuselage
    kill "$pid"
    ended 1  # as it always does at a signal
    exit
    ;;
  *) fail "there is no such test" ;;
esac
leave

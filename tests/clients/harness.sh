#!/usr/bin/env bash
# harness.sh SCRIPT SERVER [ARGUMENT...]: runs SCRIPT in an empty directory that `SERVER ARGUMENT... -f DIRECTORY` serves,
# in a private mount namespace. Exit codes: 0 it passed, 77 it cannot run here, else it failed. Leaves no mount, process or file behind.
#
# SCRIPT is read by this shell, with -e; it finds
#   $mnt            the mounted directory, where it begins
#   $scratch        a directory elsewhere, for what it compares with
#   need PROGRAM... skips the test if one is missing
#   fail MESSAGE    fails it
set -euo pipefail

skip() {
  echo "Skipped: $*"
  exit 77
}
fail() {
  echo "$(basename "$script"): $*" >&2
  exit 1
}
need() {
  local program
  for program; do command -v "$program" >/dev/null || skip "$program is not installed"; done
}

((EUID == 0)) || skip "mounting needs root"
[[ -c /dev/fuse ]] || skip "there is no /dev/fuse"
if [[ -z ${FUSELAGE_PRIVATE_MOUNTS:-} ]]; then
  unshare --mount --propagation private true 2>/dev/null || skip "no permission to create a mount namespace"
  FUSELAGE_PRIVATE_MOUNTS=1 exec unshare --mount --propagation private "$0" "$@"
fi

script=$1
shift
server=("$@")
root=$(mktemp -d "${TMPDIR:-/tmp}/fuselage-clients-XXXXXX")
mnt=$root/mnt
scratch=$root/scratch
mkdir "$mnt" "$scratch"

# The server outlives this shell in no case: it is told, then killed.
finish() {
  local status=$?
  trap - EXIT
  cd /
  for _ in {1..50}; do
    umount "$mnt" 2>/dev/null && break
    mountpoint -q "$mnt" || break
    sleep 0.1
  done
  if mountpoint -q "$mnt"; then
    echo "still in use: $mnt" >&2
    umount -l "$mnt"
    status=1
  fi
  for _ in {1..100}; do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  if kill -0 "$pid" 2>/dev/null; then
    echo "the server did not end with its mount" >&2
    kill -KILL "$pid"
    status=1
  fi
  wait "$pid" || {
    echo "the server failed: $?" >&2
    status=1
  }
  # What the server has to say on stderr is a fault of it or of ours.
  if [[ -s $root/log ]]; then
    cat "$root/log" >&2
    status=1
  fi
  rm -rf "$root"
  exit $status
}

"${server[@]}" -f "$mnt" 2>"$root/log" &
pid=$!
trap finish EXIT
for _ in {1..100}; do
  mountpoint -q "$mnt" && break
  kill -0 "$pid" 2>/dev/null || fail "the server did not start: $(cat "$root/log")"
  sleep 0.1
done
cd "$mnt"
# shellcheck source=/dev/null
source "$script"

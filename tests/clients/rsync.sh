# A tree is mirrored with everything that rsync knows about files.
# shellcheck shell=bash disable=SC2154
need rsync
source=$scratch/source
mkdir "$source"
cp -a /usr/include/linux "$source/"
(
  cd "$source" || exit
  ln linux/fs.h hard
  ln -s linux/fs.h soft
  mkfifo fifo
  truncate -s 20M sparse
  mkdir -m 2750 group
  chown -R 12:34 group
  touch -d '2001-02-03 04:05:06.789' linux/fs.h
  setfattr -n user.colour -v green linux/fs.h 2>/dev/null || true
)
# mirror ARGUMENT...: makes $mnt/mirror equal to the source, and proves it.
mirror() {
  rsync -aHAX --delete --numeric-ids "$@" "$source/" mirror/
  local differences
  differences=$(rsync -aHAX --delete --numeric-ids --checksum --dry-run --itemize-changes "$source/" mirror/)
  [[ -z $differences ]] || fail "the mirror differs: $differences"
  diff -r --no-dereference --exclude=fifo "$source" mirror
}
mirror --sparse
(($(stat -c %h mirror/hard) == 2)) || fail "a hard link became a copy"
(($(stat -c %b mirror/sparse) < 1000)) || fail "the sparse file is not sparse"

rm -r "$source/linux/netfilter" "$source/soft"
echo more >>"$source/linux/fs.h"
mv "$source/group" "$source/gruppe"
chmod 600 "$source/linux/kernel.h"
mirror
mirror --inplace --no-whole-file
# And back.
rsync -aHAX --numeric-ids mirror/ "$scratch/back/"
diff -r --no-dereference --exclude=fifo "$source" "$scratch/back"

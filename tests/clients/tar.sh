# Trees go in and out of archives without loss.
# shellcheck shell=bash disable=SC2154
need tar
tar -C /usr/include -cf - . | tar -xf -
tar -C /usr/include -cf "$scratch/include.tar" .
tar --compare -f "$scratch/include.tar" || fail "what was unpacked differs"
diff -r --no-dereference . /usr/include

# One that has everything.
mkdir "$scratch/all"
(
  cd "$scratch/all" || exit
  echo text >file
  ln file hard
  ln -s file soft
  ln -s nowhere broken
  mkfifo fifo
  mkdir -m 1777 sticky
  mkdir -m 0700 closed
  truncate -s 50M sparse
  echo end >>sparse
  chmod 4755 file
  chown 12:34 soft closed -h
  touch -d '1999-12-31 23:59:59.123456789' file
  : >"$(printf 'strange\n\377 name')"
)
tar -C "$scratch/all" --sparse --xattrs --numeric-owner -cf all.tar .
mkdir all
tar -C all --xattrs --numeric-owner -xpf all.tar
tar -C all --xattrs --numeric-owner --compare -f all.tar || fail "the tree with everything differs"
[[ $(stat -c %i all/file) == $(stat -c %i all/hard) ]] || fail "a hard link became a copy"
[[ $(stat -c %y all/file) == $(stat -c %y "$scratch/all/file") ]] || fail "the time differs"
(($(stat -c %b all/sparse) < 1000)) || fail "the sparse file is not sparse"
rm -rf all

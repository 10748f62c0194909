# The tools of every day.
# shellcheck shell=bash disable=SC2154
cp -a /usr/include/linux tree
diff -r --no-dereference tree /usr/include/linux
[[ $(find tree | wc -l) == $(find /usr/include/linux | wc -l) ]] || fail "find sees another tree"
cp -al tree linked
[[ $(stat -c %h tree/fs.h) == 2 ]] || fail "cp -l made no link"
mv linked moved
rm -rf moved
[[ $(stat -c %h tree/fs.h) == 1 ]] || fail "a link is left"

find tree -type f -exec chmod 600 {} +
find tree -type d -exec chmod 700 {} +
[[ -z $(find tree -perm /077) ]] || fail "chmod left something"
chown -R 12:34 tree
[[ -z $(find tree ! -uid 12 -o ! -gid 34) ]] || fail "chown left something"
find tree -type f -exec touch -d '2000-01-01 00:00:00' {} +
[[ -z $(find tree -type f -newermt 2000-01-02) ]] || fail "touch left something"

dd if=/dev/urandom of="$scratch/random" bs=1M count=8 status=none
for options in bs=512 bs=1M 'bs=1M oflag=direct' 'bs=4k oflag=append conv=notrunc' 'bs=64k conv=fsync'; do
  rm -f copy
  # shellcheck disable=SC2086
  dd if="$scratch/random" of=copy $options status=none
  cmp copy "$scratch/random"
done
dd if=copy bs=1M iflag=direct status=none | cmp - "$scratch/random"
dd if="$scratch/random" of=copy bs=1k count=1 seek=3 conv=notrunc status=none
cmp -n 3072 copy "$scratch/random"
cmp -n 1024 -i 3072:0 copy "$scratch/random"

for i in {1..300}; do echo "$i" >>lines; done
[[ $(wc -l <lines) == 300 ]] || fail "appending lost lines"
sort -rn lines -o lines
[[ $(head -n 1 lines) == 300 ]] || fail "sort in place failed"
sed -i 1d lines
[[ $(wc -l <lines) == 299 ]] || fail "sed -i failed"
mkdir -p a/b/c/{d,e}/f
[[ $(find a -type d | wc -l) == 7 ]] || fail "mkdir -p failed"
for i in {1..200}; do : >"a/file$i"; done
set -- a/file*
(($# == 200)) || fail "the shell sees $# files"
rm a/file*
rmdir -p a/b/c/d/f 2>/dev/null || true
[[ -d a/b/c/e/f ]] || fail "rmdir removed too much"
mkfifo pipe
echo through >pipe &
[[ $(cat pipe) == through ]] || fail "the pipe is not one"
wait $!
exec 9>>lines
flock -n 9 || fail "flock gives no lock"
if flock -n lines true; then fail "flock does not lock"; fi
exec 9>&-
flock -n lines true || fail "flock does not unlock"
df . >/dev/null
[[ $(du -s --apparent-size -b copy | cut -f 1) == 8388608 ]] || fail "du counts wrong"

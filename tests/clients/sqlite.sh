# A database in WAL mode, with shared memory in the mount, takes two writers and a reader at once.
# shellcheck shell=bash disable=SC2154
need sqlite3
sql() { sqlite3 -batch -cmd '.timeout 60000' test.db "$@"; }
[[ $(sql 'PRAGMA journal_mode=WAL;') == wal ]] || fail "no WAL mode"
sql 'CREATE TABLE item (id INTEGER PRIMARY KEY, writer TEXT, n INTEGER, filler BLOB);'
writer() {
  for n in {1..150}; do
    echo "BEGIN IMMEDIATE; INSERT INTO item (writer, n, filler) VALUES ('$1', $n, randomblob(2000)); COMMIT;"
  done | sql
}
writer one &
first=$!
writer two &
second=$!
for _ in {1..10}; do
  sql 'SELECT count(*), sum(length(filler)) FROM item;' >/dev/null
done
wait $first || fail "the first writer failed"
wait $second || fail "the second writer failed"
[[ $(sql 'SELECT count(*) FROM item;') == 300 ]] || fail "rows are missing"
[[ $(sql 'SELECT count(DISTINCT writer || n) FROM item;') == 300 ]] || fail "rows are not what was written"
sql 'DELETE FROM item WHERE n % 3 = 0; VACUUM;'
[[ $(sql 'PRAGMA integrity_check;') == ok ]] || fail "the database is damaged"
[[ $(sql 'PRAGMA wal_checkpoint(TRUNCATE);') == '0|0|0' ]] || fail "no checkpoint"
cp test.db "$scratch/copy.db"
[[ $(sqlite3 "$scratch/copy.db" 'SELECT count(*) FROM item;') == 200 ]] || fail "the copy is not whole"
[[ $(sql 'PRAGMA journal_mode=DELETE;') == delete ]] || fail "WAL mode does not end"
sql "INSERT INTO item (writer, n) VALUES ('three', 1);"
[[ $(sql 'PRAGMA integrity_check;') == ok ]] || fail "the database is damaged in the end"

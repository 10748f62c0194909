# What fio writes in every way it reads back and verifies.
# shellcheck shell=bash disable=SC2154
need fio
# job NAME ARGUMENT...
job() {
  fio --name="$1" --directory="$mnt" --size=16m --bs=4k --rw=randwrite --verify=crc32c --verify_fatal=1 \
    --do_verify=1 --output="$scratch/$1.log" "${@:2}" || {
    cat "$scratch/$1.log" >&2
    fail "$1"
  }
  rm -f "$mnt"/*
}
job sync --ioengine=sync --numjobs=2
job direct --ioengine=psync --direct=1
job libaio --ioengine=libaio --direct=1 --iodepth=32
job mmap --ioengine=mmap
job mixed --ioengine=psync --rw=randrw --bsrange=512-128k --fsync=64
job large --ioengine=sync --rw=write --bs=1m --size=64m
job vectors --ioengine=pvsync2 --bs=16k

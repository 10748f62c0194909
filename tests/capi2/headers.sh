#!/bin/bash
# The C headers as programs of all ages include them: every interface, in C90 and newer, in C++98 and newer; and the
# layouts that binaries rely on. Usage: headers.sh CC CXX SOURCE_DIR
set -euo pipefail
cc=$1
cxx=$2
source=$3
flags=(-Wall -Wextra -pedantic -Werror -fsyntax-only -D_FILE_OFFSET_BITS=64 -D_GNU_SOURCE
  -I"$source/include/fuselage/fuse2")

for version in 21 22 25 26 27 28 29; do
  for standard in c90 gnu90 c99 gnu17; do
    "$cc" -std=$standard -Wno-long-long "${flags[@]}" -DFUSE_USE_VERSION=$version "$source/tests/programs/tiny.c"
  done
  for standard in c++98 c++20; do
    "$cxx" -x c++ -std=$standard -Wno-long-long "${flags[@]}" -DFUSE_USE_VERSION=$version \
      "$source/tests/programs/tiny.c"
  done
done
for version in 24 25 26 29; do
  "$cc" -std=c90 -Wno-long-long "${flags[@]}" -DFUSE_USE_VERSION=$version "$source/tests/programs/tiny_low.c"
  "$cxx" -x c++ -std=c++98 -Wno-long-long "${flags[@]}" -DFUSE_USE_VERSION=$version "$source/tests/programs/tiny_low.c"
done
for header in fuse_lowlevel.h cuse_lowlevel.h; do
  for version in 24 25 26 29; do
    echo "#include <$header>" | "$cc" -x c -std=c90 -Wno-long-long "${flags[@]}" -DFUSE_USE_VERSION=$version -
    echo "#include <$header>" | "$cxx" -x c++ -std=c++98 -Wno-long-long "${flags[@]}" -DFUSE_USE_VERSION=$version -
  done
done
for version in 21 22 24 25 29; do
  "$cc" -std=gnu11 "${flags[@]}" -DFUSE_USE_VERSION=$version "$source/tests/capi2/layouts.c"
done
if [ "$(uname -m)" = x86_64 ]; then
  bits=$(mktemp)
  trap 'rm -f "$bits"' EXIT
  for version in 22 25 29; do
    "$cc" -std=gnu11 "${flags[@]/-fsyntax-only/-O}" -DFUSE_USE_VERSION=$version "$source/tests/capi2/bits.c" -o "$bits"
    "$bits" || { echo "bits.c, line $?, with FUSE_USE_VERSION=$version"; exit 1; }
  done
fi

# What cannot work says so.
refused() {
  if echo "#include <$1>" | "$cc" -x c -I"$source/include/fuselage/fuse2" -fsyntax-only "${@:2}" - 2>/dev/null; then
    echo "accepted: <$1> with ${*:2}"
    exit 1
  fi
}
refused fuse.h -DFUSE_USE_VERSION=29                               # no 64-bit offsets
refused fuse.h -D_FILE_OFFSET_BITS=64 -DFUSE_USE_VERSION=24        # the low level's only
refused fuse.h -D_FILE_OFFSET_BITS=64 -DFUSE_USE_VERSION=23        # there are no programs of it
refused fuse_lowlevel.h -D_FILE_OFFSET_BITS=64 -DFUSE_USE_VERSION=22
refused fuse_common.h -D_FILE_OFFSET_BITS=64

#!/usr/bin/env bash
# An installed tree, moved elsewhere, serves programs through CMake and through pkg-config, shared and static.
# Usage: install.sh BUILD_DIRECTORY CMAKE COMPILER
set -euo pipefail
build=$1 cmake=$2 compiler=$3
consumer=$(cd "$(dirname "$0")" && pwd)/consumer

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$cmake" --install "$build" --prefix "$scratch/installed" >"$scratch/install.log"
prefix=$scratch/moved
mv "$scratch/installed" "$prefix"

echo "== find_package(fuselage)"
"$cmake" -G Ninja -S "$consumer" -B "$scratch/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$compiler" \
  >"$scratch/configure.log"
"$cmake" --build "$scratch/build"
"$scratch/build/with_shared"
"$scratch/build/with_static"

echo "== pkg-config"
libraries=$(dirname "$(find "$prefix" -name libfuselage.so)")
if command -v pkg-config >/dev/null; then
  export PKG_CONFIG_PATH=$libraries/pkgconfig
  read -ra flags < <(pkg-config --cflags --libs fuselage)
  "$compiler" -std=c++20 "$consumer/consumer.cpp" -o "$scratch/with_pkg_config" "${flags[@]}"
  LD_LIBRARY_PATH=$libraries "$scratch/with_pkg_config"
  read -ra flags < <(pkg-config --cflags --libs fuselage-fuse2)
  for header in fuse.h fuse/fuse.h; do
    printf '#define FUSE_USE_VERSION 26\n#include <%s>\nint main(void) { return fuse_version() != 29; }\n' "$header" \
      >"$scratch/program.c"
    "$compiler" -x c "$scratch/program.c" -o "$scratch/program" "${flags[@]}"
    "$scratch/program"
  done
else
  echo "pkg-config is not installed: not checked"
fi

echo "== only what the installed headers declare is exported"
internal='(base|wire|transport|session|mounting|inode|path|app)'
if nm -DC --defined-only "$libraries/libfuselage.so" | grep -E "^[0-9a-f]+ [A-Z] fuselage::$internal::"; then
  echo "these are internal, but exported"
  exit 1
fi

if [[ -e $prefix/bin/fuselage ]]; then
  echo "== the mount helper is the tool"
  [[ $prefix/sbin/mount.fuselage -ef $prefix/bin/fuselage ]]
fi

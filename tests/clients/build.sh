# A small C project is built in the mount by make and by cmake, again after a change, and not again without one.
# shellcheck shell=bash disable=SC2154
need gcc make cmake
for i in {1..20}; do
  printf '#include "all.h"\nint part%d(int x) { return x + %d; }\n' "$i" "$i" >"part$i.c"
  echo "int part$i(int x);" >>all.h
done
{
  printf '#include <stdio.h>\n#include "all.h"\nint main(void) {\n  int x = 0;\n'
  for i in {1..20}; do echo "  x = part$i(x);"; done
  printf '  printf("%%d\\n", x);\n  return 0;\n}\n'
} >main.c
cat >Makefile <<'END'
objects := $(patsubst %.c,%.o,$(wildcard *.c))
program: $(objects)
	gcc -o $@ $^
%.o: %.c all.h
	gcc -Wall -Werror -c -o $@ $<
END
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.20)
project(small C)
file(GLOB sources *.c)
add_executable(small ${sources})
END

make -sj4
[[ $(./program) == 210 ]] || fail "the program is wrong"
make -q || fail "make would build again"
touch all.h
if make -q; then fail "make did not see the change"; fi
make -sj4
strip program
[[ $(./program) == 210 ]] || fail "the stripped program is wrong"

cmake -S . -B out >/dev/null
cmake --build out --parallel 4 >/dev/null
[[ $(out/small) == 210 ]] || fail "cmake's program is wrong"
sed -i 's/x + 20/x + 21/' part20.c
cmake --build out --parallel 4 >"$scratch/log"
grep -q part20 "$scratch/log" || fail "cmake did not see the change"
[[ $(out/small) == 211 ]] || fail "cmake's second program is wrong"
cmake --build out --target clean
[[ ! -e out/small ]] || fail "clean left the program"

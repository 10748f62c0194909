"""Compares what a library exports with the list of what programs rely on: exports.py EXPORTS IMPORTS LIBRARY

EXPORTS lists all of it, IMPORTS what packaged programs ask for."""

import re
import shutil
import subprocess
import sys

if not shutil.which("readelf"):
    print("Skipped: readelf is not installed")
    sys.exit(77)

exports, imports, library = sys.argv[1:]


def listed(path):
    with open(path, encoding="utf-8") as file:
        return [line.strip() for line in file if not line.startswith("#")]


def readelf(*options):
    command = ["readelf", "-W", *options, library]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


found = set()
for line in readelf("--dyn-syms").splitlines():
    match = re.match(r"\s*\d+: [0-9a-f]+ +\d+ (\w+) +(GLOBAL|WEAK) +DEFAULT +(\d+|ABS) (\w+)(@@?\S+)?", line)
    if match and not match.group(4).startswith("FUSE_"):
        found.add(match.group(4) + ("@data" if match.group(1) == "OBJECT" else match.group(5) or ""))

wanted = listed(exports)
problems = [f"not exported: {symbol}" for symbol in wanted if symbol not in found]
problems += [f"exported too: {symbol}" for symbol in sorted(found.difference(wanted))]
problems += [f"programs want: {symbol}" for symbol in listed(imports) if symbol not in found and
             symbol.replace("@", "@@") not in found]
if "[libfuse.so.2]" not in readelf("-d"):
    problems.append("its SONAME is not libfuse.so.2")
nodes = list(dict.fromkeys(symbol.split("@")[-1] for symbol in wanted if "@" in symbol))
versions = readelf("-V")
for before, node in zip(nodes, nodes[1:]):
    if not re.search(rf"Name: {re.escape(node)}\n\s*\S+: Parent 1: {re.escape(before)}\n", versions):
        problems.append(f"{node} does not inherit from {before}")
print("\n".join(problems))
sys.exit(bool(problems))

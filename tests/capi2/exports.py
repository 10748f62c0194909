"""Compares what a library exports with the list of what it shall export: exports.py LIST LIBRARY"""

import re
import shutil
import subprocess
import sys

if not shutil.which("readelf"):
    print("Skipped: readelf is not installed")
    sys.exit(77)

wanted = set()
nodes = []
for line in open(sys.argv[1], encoding="utf-8"):
    if line.startswith("#"):
        continue
    node, name, *old = line.split()
    if node != "Base" and node not in nodes:
        nodes.append(node)
    wanted.add((name, "" if node == "Base" else ("@" if old else "@@") + node))

found = set()
text = subprocess.run(["readelf", "-W", "--dyn-syms", sys.argv[2]], check=True, capture_output=True, text=True).stdout
for line in text.splitlines():
    match = re.match(r"\s*\d+: [0-9a-f]+ +\d+ (\w+) +(GLOBAL|WEAK) +DEFAULT +(\d+|ABS) (\w+)(@@?\S+)?", line)
    if match and match.group(1) != "OBJECT" and match.group(4) not in nodes and not match.group(4).startswith("FUSE_"):
        found.add((match.group(4), match.group(5) or ""))
    elif match and match.group(1) == "OBJECT" and not match.group(4).startswith("FUSE_"):
        found.add((match.group(4), "data"))

dynamic = subprocess.run(["readelf", "-d", sys.argv[2]], check=True, capture_output=True, text=True).stdout
problems = [f"not exported: {name}{version}" for name, version in sorted(wanted - found)]
problems += [f"exported too: {name}{version}" for name, version in sorted(found - wanted)]
if "[libfuse.so.2]" not in dynamic:
    problems.append("its SONAME is not libfuse.so.2")
versions = subprocess.run(["readelf", "-W", "-V", sys.argv[2]], check=True, capture_output=True, text=True).stdout
for before, node in zip(nodes, nodes[1:]):
    if not re.search(rf"Name: {re.escape(node)}\n\s*\S+: Parent 1: {re.escape(before)}\n", versions):
        problems.append(f"{node} does not inherit from {before}")
print("\n".join(problems))
sys.exit(bool(problems))

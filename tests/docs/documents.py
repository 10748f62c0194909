"""The documents say what the source says.

Usage: documents.py RULE

Each rule prints what is wrong and exits with 1.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def documents():
    yield from (ROOT / name for name in ("README.md", "CONTRIBUTING.md"))
    for folder in ("docs", "filesystems"):
        yield from sorted((ROOT / folder).rglob("*.md"))


def code_blocks(path, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def readme_shows_hello():
    """The code in the README is examples/hello.cpp, which is compiled and mounted by tests."""
    if code_blocks(ROOT / "README.md", "cpp") != [(ROOT / "examples/hello.cpp").read_text(encoding="utf-8")]:
        yield "README.md: its only C++ block must be examples/hello.cpp, word by word"


def diffs_are_in_the_source():
    """Every line that a diff in the documents adds is in the file it names."""
    for path in documents():
        for block in code_blocks(path, "diff"):
            for name, lines in re.findall(r"^\+\+\+ b/(\S+)\n((?:\+(?!\+\+ ).*\n)+)", block, re.MULTILINE):
                added = "".join(line[1:] + "\n" for line in lines.splitlines())
                if added not in (ROOT / name).read_text(encoding="utf-8"):
                    yield f"{path.relative_to(ROOT)}: what it says about {name} is not there"


def links_lead_somewhere():
    """Every relative link names a file of the tree."""
    for path in documents():
        prose = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
            if not (path.parent / target).exists():
                yield f"{path.relative_to(ROOT)}: {target} does not exist"


RULES = {rule.__name__: rule for rule in (readme_shows_hello, diffs_are_in_the_source, links_lead_somewhere)}

if __name__ == "__main__":
    broken = list(RULES[sys.argv[1]]())
    for line in broken:
        print(line)
    sys.exit(1 if broken else 0)

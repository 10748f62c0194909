"""Rules about the source tree that no compiler checks.

Usage: tree.py RULE [--generated DIR] [--compiler PROGRAM]

Each rule prints every place that breaks it and exits with 1; 77 means that it could not be checked.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# module: the modules whose headers it may include, besides its own. `path` includes all that `inode` may, and so on.
PICTURE = {
    "base": "",
    "wire": "base",
    "transport": "base wire",
    "session": "base wire transport",
    "inode": "base wire transport session mount",
    "path": "base wire transport session inode mount",
    "mount": "base",
    "app": "base mount session inode path",
    "filesystems": "base inode path mount",
    "testing": "base wire transport session inode path mount",
    "cli": "base mount session inode path app filesystems",
    "capi": "base mount session inode path",
    "llfuse": "base mount session inode path",
    "python": "base mount session inode path llfuse",
    "examples": "base mount session inode path app llfuse",
}

# These see of other modules what is installed, not what is in src.
PUBLIC_ONLY = {"filesystems", "cli", "capi", "llfuse", "python", "examples"}
# ... apart from the tools that belong to nobody, the mount table, and each other.
PUBLIC_ONLY_EXCEPT = {"base", "filesystems", "mount"}

SOURCE_SUFFIXES = {".cpp", ".hpp", ".h", ".def"}
INCLUDE = re.compile(r'\s*#\s*include\s*(?:<(fuselage/[^>]+)>|"([^"]+)")')
MODULE_LINE = re.compile(r"// Module: (\w+)\.")

LONGEST_FILE = 700  # lines

# What a published file must not say, and why.
UNWANTED = {
    r"(?<![\w.$}/*])/(home|root|work|Users)/\w": "a path of one machine",
    r"/tmp/build-": "a path of one machine",
    r"\b(TODO|FIXME|HACK)\b": "unfinished work",
    r"(?i)\bnot (yet )?implemented yet\b": "unfinished work",
    r"(?i)\b(to be|will be) (implemented|added|written|done) later\b": "unfinished work",
    r"(?i)\bissues? #?[0-9]": "a note about how we work",
    r"(?i)\bAI[- ](tool|agent|assistant)": "a note about how we work",
}


def files_of(*folders):
    """The files of these folders (or files) of the tree, without what building leaves there."""
    for folder in folders:
        top = ROOT / folder
        if top.is_file():
            yield top
        for path in sorted(top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def lines_of(path):
    return enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)


def shown(path):
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


class Headers:
    """The installed headers: those of the tree and those that the build generates."""

    def __init__(self, generated):
        self.roots = [ROOT / "include"] + ([pathlib.Path(generated)] if generated else [])

    def all(self):
        for root in self.roots:
            for path in sorted(root.glob("fuselage/**/*.hpp")):
                yield path, str(path.relative_to(root))

    def module(self, name):
        """The module of <name> (by the header's first line), or None."""
        for root in self.roots:
            if (root / name).is_file():
                match = MODULE_LINE.match((root / name).read_text(encoding="utf-8"))
                return match.group(1) if match else None
        return None


def module_of(path, headers):
    parts = path.relative_to(ROOT).parts
    if parts[0] == "include":
        if path.suffix == ".h":
            return "capi"  # the C interfaces
        return headers.module(str(path.relative_to(ROOT / "include")))
    return parts[1] if parts[0] == "src" else parts[0]


def included_module(path, public, private, headers):
    """(module that an include line names, what is wrong with the line itself)"""
    if public:
        module = headers.module(public)
        return module, None if module else f"no header <{public}> with a first line '// Module: NAME.'"
    if path.is_relative_to(ROOT / "include"):
        return None, "an installed header may include installed headers only, as <fuselage/...>"
    if path.is_relative_to(ROOT / "filesystems") and (path.parent / private).is_file():
        return "filesystems", None  # a file system is a folder of its own
    module = private.split("/")[0]
    root = ROOT if module == "filesystems" else ROOT / "src"
    if module not in PICTURE or not (root / private).is_file():
        return None, 'no such header; write a path from src ("module/file.hpp"), "filesystems/..." or <fuselage/...>'
    return module, None


def include_picture(options):
    """Every include line points to the left in the picture of the modules."""
    headers = Headers(options.generated)
    for path in files_of("src", "include", "filesystems", "examples"):
        if path.suffix not in SOURCE_SUFFIXES:
            continue
        module = module_of(path, headers)
        if module not in PICTURE:
            yield f"{shown(path)}:1: module '{module}' is not in the picture (or '// Module: NAME.' is missing)"
            continue
        for number, line in lines_of(path):
            match = INCLUDE.match(line)
            if not match:
                continue
            public, private = match.groups()
            target, wrong = included_module(path, public, private, headers)
            if not wrong and target != module:
                if target not in PICTURE[module].split():
                    wrong = f"'{module}' may not include '{target}'"
                elif private and module in PUBLIC_ONLY and target not in PUBLIC_ONLY_EXCEPT:
                    wrong = f"'{module}' may include only the installed headers of '{target}'"
            if wrong:
                yield f"{shown(path)}:{number}: {line.strip()}: {wrong}"


def headers_have_no_macros(options):
    """No installed header defines a macro."""
    for path, _ in Headers(options.generated).all():
        for number, line in lines_of(path):
            if re.match(r"\s*#\s*define\b", line):
                yield f"{shown(path)}:{number}: {line.strip()}"


def headers_compile_alone(options):
    """Every installed header, with nothing before it and twice, compiles without a warning."""
    compiler = shutil.which(options.compiler)
    if not compiler:
        print(f"Skipped: {options.compiler} is not installed")
        sys.exit(77)
    headers = Headers(options.generated)
    command = [compiler, "-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-x", "c++", "-"]
    command += [f"-I{root}" for root in headers.roots]

    def compile_one(name):
        text = f"#include <{name}>\n" * 2
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
        return f"<{name}> does not compile alone:\n{done.stderr}" if done.returncode else None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from filter(None, pool.map(compile_one, [name for _, name in headers.all()]))


def files_are_short(_):
    """No file is so long that it hides a second subject."""
    for path in files_of("src", "include", "filesystems", "examples", "bench", "tools", "tests", "cmake", "dev", ".ci"):
        length = sum(1 for _ in lines_of(path))
        if length > LONGEST_FILE:
            yield f"{shown(path)}: {length} lines, more than {LONGEST_FILE}: split it"


def text_is_publishable(_):
    """Nothing names one machine, unfinished work, or how the work is organised."""
    folders = "src include filesystems examples bench tools tests cmake docs .ci dev".split()
    top = [path.name for path in ROOT.iterdir() if path.is_file() and path.suffix in {".md", ".txt", ".json"}]
    for path in files_of(*folders, *sorted(top)):
        if path == pathlib.Path(__file__).resolve():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for pattern, why in UNWANTED.items():
            for match in re.finditer(pattern, text):
                number = text.count("\n", 0, match.start()) + 1
                yield f"{shown(path)}:{number}: {match.group().strip()}: {why}"


RULES = {
    rule.__name__: rule
    for rule in (
        include_picture,
        headers_have_no_macros,
        headers_compile_alone,
        files_are_short,
        text_is_publishable,
    )
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rule", choices=RULES)
    parser.add_argument("--generated", help="the folder of the generated headers")
    parser.add_argument("--compiler", default="g++")
    options = parser.parse_args()
    broken = list(RULES[options.rule](options))
    for place in broken:
        print(place)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()

"""Writes what fuzzing begins with: seeds.py CORPUS-DIRECTORY DICTIONARY-FILE

Each golden request becomes a program for fuzz_session (its head tells the format), and all of them in one; the
dictionary has a record's beginning for each operation of the table, and the names that the file systems know.
"""

import pathlib
import re
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = 40
MESSAGE, ADVANCE, RUN = 0, 3, 4  # of `Step`


def rows():
    """Opcode: place in the table."""
    table = (ROOT / "src/wire/operations.def").read_text(encoding="utf-8")
    numbers = re.findall(r"^OPERATION\((\w+),\s*(\d+)", table, re.MULTILINE)
    return {int(number): (place, name) for place, (name, number) in enumerate(numbers)}


def golden_bytes(path):
    hexadecimal = []
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.split("#")[0].strip()
        if re.fullmatch(r"([0-9a-fA-F]{2}\s*)+", line):
            hexadecimal += line.split()
    return bytes(int(one, 16) for one in hexadecimal)


def record(message, places):
    opcode = struct.unpack_from("<I", message, 4)[0]
    body = message[HEADER:]
    repair = 4  # lengths, since the kernel's own were right
    return bytes([MESSAGE, places[opcode][0], repair, 0]) + struct.pack("<H", len(body)) + body


def main(corpus, dictionary):
    places = rows()
    corpus.mkdir(parents=True, exist_ok=True)
    newest_kernel = bytes([45 - 12, 0])
    everything = b""
    for path in sorted((ROOT / "tests/wire/golden").glob("request_*.hex")):
        step = record(golden_bytes(path), places)
        (corpus / path.stem).write_bytes(newest_kernel + step)
        everything += step + bytes([RUN, ADVANCE, 100])
    (corpus / "everything").write_bytes(newest_kernel + everything)
    lines = [f'{name}="\\x00\\x{place:02x}\\x07"' for place, name in places.values()]
    lines += [f'"{text}\\x00"' for text in ("a", "dir", "user.x", "system.posix_acl_access", "security.capability")]
    dictionary.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))

#!/usr/bin/env python3
"""Measures this Python module and Debian's python3-llfuse with the same handlers, in turns.

Usage: python_modules.py [--module NAME=PATH]... [--floor PROGRAM] [--calls N] [--rounds N] [--append FILE]

For each module and number of workers: calls per second of one free client (median), and CPU time of the server for each
call when client and server are on one CPU (least), which does not depend on what else the machine does. Beside them the
floor, a server of C++ without any library (bench-raw-ring), from which Python could only be slower. Needs root.
"""

import argparse
import errno
import os
import pathlib
import stat
import statistics
import subprocess
import sys
import tempfile
import time

ENTRIES = 1000
FLOOR = "no library"


def serve(mountpoint, workers):
    import llfuse

    class Operations(llfuse.Operations):
        def attributes(self, inode):
            attr = llfuse.EntryAttributes()
            attr.st_ino = inode
            attr.st_mode = stat.S_IFDIR | 0o755 if inode == 1 else stat.S_IFREG | 0o644
            attr.st_size = 1 << 20
            attr.attr_timeout = 0
            return attr

        def lookup(self, parent_inode, name, ctx):
            if name != b"file":
                raise llfuse.FUSEError(errno.ENOENT)
            return self.attributes(2)

        def getattr(self, inode, ctx):
            return self.attributes(inode)

        def open(self, inode, flags, ctx):
            return inode

        def opendir(self, inode, ctx):
            return inode

        def readdir(self, fh, off):
            for i in range(off, ENTRIES):
                yield names[i], entry, i + 1

        def read(self, fh, off, size):
            return content[:size]

        def write(self, fh, off, buf):
            return len(buf)

    content = bytes(4096)
    operations = Operations()
    entry = operations.attributes(2)
    names = [b"entry %d" % i for i in range(ENTRIES)]
    llfuse.init(operations, mountpoint, {"fsname=bench"})
    llfuse.main(workers=workers)
    llfuse.close()


class Server:
    def __init__(self, subject, pinned):
        name, path, workers = subject
        self.mountpoint = tempfile.mkdtemp(prefix="fuselage-bench-")
        if name == FLOOR:
            self.process = subprocess.Popen([path, self.mountpoint])
        else:
            command = [sys.executable, __file__, "--serve", self.mountpoint, "--workers", str(workers)]
            self.process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})
        if pinned:
            os.sched_setaffinity(self.process.pid, {min(os.sched_getaffinity(0))})
        while not os.path.ismount(self.mountpoint):
            if self.process.poll() is not None:
                sys.exit("the server did not come up")
            time.sleep(0.01)

    def cpu_seconds(self):
        threads = pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9

    def end(self):
        subprocess.run(["umount", self.mountpoint], check=True)
        self.process.wait()
        os.rmdir(self.mountpoint)


def calls(mountpoint, descriptor, is_floor):
    file, absent = f"{mountpoint}/file", f"{mountpoint}/absent"

    def negative():
        try:
            os.stat(absent)
        except FileNotFoundError:
            pass

    # The floor lets its attributes be kept, but one name not: asking for it is one request, too.
    if is_floor:
        file = f"{mountpoint}/fleeting"
    every = {
        "getattr": (1, lambda: os.stat(file)),
        "negative lookup": (1, negative),
        "read 4 KiB": (1, lambda: os.pread(descriptor, 4096, 0)),
        "write 4 KiB": (1, lambda: os.pwrite(descriptor, bytes(4096), 0)),
        f"list {ENTRIES:,} names": (50, lambda: os.listdir(mountpoint)),
    }
    return {name: call for name, call in every.items() if not is_floor or not name.startswith("list")}


def measure(subject, pinned, count):
    """name -> (seconds, CPU seconds of the server) for each call."""
    mask = os.sched_getaffinity(0)
    server = Server(subject, pinned)
    try:
        if pinned:
            os.sched_setaffinity(0, {min(mask)})
        descriptor = os.open(f"{server.mountpoint}/file", os.O_RDWR | os.O_DIRECT)
        result = {}
        for name, (divisor, call) in calls(server.mountpoint, descriptor, subject[0] == FLOOR).items():
            times = max(1, count // divisor)
            call()
            cpu, begin = server.cpu_seconds(), time.perf_counter()
            for _ in range(times):
                call()
            result[name] = ((time.perf_counter() - begin) / times, (server.cpu_seconds() - cpu) / times)
        os.close(descriptor)
        return result
    finally:
        os.sched_setaffinity(0, mask)
        server.end()


def table(rows):
    """Lines of a Markdown table; numbers stand to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))]
        lines.append("| " + " | ".join(cells) + " |")
    lines.insert(1, "|" + "|".join("-" * (width + 1) + ("-" if i == 0 else ":") for i, width in enumerate(widths)) + "|")
    return lines


def numbers(subjects, free, pinned):
    rows = [["", "workers", "module", "calls/s, free", "CPU us, pinned"]]
    for name in dict.fromkeys(name for name, _ in free):
        for subject in subjects:
            if (name, subject) not in free:
                continue
            rate = 1 / statistics.median(seconds for seconds, _ in free[name, subject])
            cpu = min(cpu for _, cpu in pinned[name, subject]) * 1e6
            workers = "" if subject[0] == FLOOR else str(subject[2] or "default")
            rows.append([name, workers, subject[0], f"{rate:,.0f}", f"{cpu:.1f}"])
    return rows


def goals(subjects, free, pinned):
    """What this module wants to be, beside the first one, with the default number of workers."""
    peer, ours = [subject for subject in subjects if subject[2] is None and subject[0] != FLOOR][:2]
    floor = next((subject for subject in subjects if subject[0] == FLOOR), None)
    rows = [["goal", "measured", "floor", ""]]
    for name, limit in (("getattr", 4), ("read 4 KiB", 3)):
        time = {s: statistics.median(seconds for seconds, _ in free[name, s]) for s in (peer, ours, floor) if s}
        best = time[peer] / time[floor] if floor else None
        verdict = "met" if time[peer] / time[ours] >= limit else "not met"
        if verdict == "not met" and best and best < limit:
            verdict += ", nor by the floor"
        text = f"{name}, free: at least {limit} x {peer[0]}'s rate"
        rows.append([text, f"{time[peer] / time[ours]:.2f}", f"{best:.2f}" if best else "", verdict])
    for name in dict.fromkeys(name for name, _ in pinned):
        pairs = zip(pinned[name, ours], pinned[name, peer])
        quotient = statistics.median(cpu / peer_cpu for (_, cpu), (_, peer_cpu) in pairs)
        text = f"{name}, pinned: CPU of the server at most 0.8 x {peer[0]}'s"
        rows.append([text, f"{quotient:.2f}", "", "met" if quotient <= 0.8 else "not met"])
    return rows


def main():
    here = pathlib.Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--module", action="append", metavar="NAME=PATH", help="what to measure; PATH for PYTHONPATH")
    parser.add_argument("--floor", metavar="PROGRAM", help="a server without a library, to be measured beside them")
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--append", metavar="FILE", help="add what is printed to this report")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--workers", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, None if options.workers == "None" else int(options.workers))
    modules = options.module or ["python3-llfuse=", f"fuselage={here}/build/release/python"]
    subjects = [(*module.split("=", 1), workers) for workers in (None, 1) for module in modules]
    if options.floor:
        subjects.append((FLOOR, options.floor, None))
    free, pinned = {}, {}
    for _ in range(options.rounds):
        for subject in subjects:
            for mode, is_pinned in ((free, False), (pinned, True)):
                for name, values in measure(subject, is_pinned, options.calls).items():
                    mode.setdefault((name, subject), []).append(values)
    lines = ["", "## Python modules", ""]
    lines += [
        "The same handlers with this module and with another, in turns: the median rate of one free client, and the least",
        f"CPU time of the server with its client on one CPU ({options.rounds} rounds).",
    ]
    if options.floor:
        lines.append("The floor, \"no library\", is a server of C++ that does nothing but answer.")
    lines.append("")
    lines += table(numbers(subjects, free, pinned))
    if len(modules) > 1:
        lines += ["", *table(goals(subjects, free, pinned))]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if options.append:
        with open(options.append, "a", encoding="utf-8") as report:
            report.write(text)


if __name__ == "__main__":
    main()

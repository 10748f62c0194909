"""Runs the bench with very few operations and looks at what it writes.

Usage: smoke.py FUSELAGE-BENCH
"""

import json
import pathlib
import subprocess
import sys
import tempfile

SUBJECTS = ["raw-device", "fuselage-device", "fuselage-path-device", "libfuse3-low-mt", "tmpfs"]
ALWAYS = {"raw-device", "fuselage-device", "fuselage-path-device", "tmpfs"}
WARM = ["getattr", "lookup", "read-4k", "write-4k", "aio-read-4k", "buffered-read-1m", "open", "create"]
COLD = ["ls-cold"]
MODES = {"pinned", "free", "two"}


def check(result):
    measured = {(one["subject"], one["metric"], one["mode"]): one for one in result["results"]}
    skipped = set(result.get("skipped", {}))
    assert not skipped & ALWAYS, result["skipped"]
    for subject in set(SUBJECTS) - skipped:
        for metric in WARM:
            for mode in MODES:
                one = measured[subject, metric, mode]
                assert len(one["samples"]) == 1, one
                assert one["samples"][0]["ops"] >= 1, one
                assert one["cpu_us_per_op"]["min"] > 0 and one["ops_per_s"]["best"] > 0, one
        # On one CPU with its client, the server must have left it in between, so that its time was counted.
        server_cpu = measured[subject, "getattr", "pinned"]["samples"][0]["server_cpu_s"]
        assert (server_cpu > 0) == (subject != "tmpfs"), (subject, server_cpu)
        for metric in COLD:
            assert ((subject, metric, "pinned") in measured) == (subject != "tmpfs"), (subject, metric)
    verdicts = {goal["goal"]: goal["verdict"] for goal in result["goals"]}
    assert verdicts["getattr, device, pinned: CPU at most 1.05 x the floor"] != "not measured", verdicts


def main():
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        outputs = [f"--{kind}={place / kind}" for kind in ("json", "html", "report")]
        command = [sys.argv[1], "--rounds=1", "--ops=50", "--subjects=" + ",".join(SUBJECTS)]
        done = subprocess.run([*command, "--metrics=" + ",".join(WARM + COLD), *outputs], check=False)
        if done.returncode:
            sys.exit(done.returncode)
        check(json.loads((place / "json").read_text(encoding="utf-8")))
        assert (place / "html").read_text(encoding="utf-8").count("<svg") == len(MODES) * len(WARM) + len(COLD)
        assert "| getattr" in (place / "report").read_text(encoding="utf-8")


if __name__ == "__main__":
    main()

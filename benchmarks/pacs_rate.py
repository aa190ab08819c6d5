"""How quickly objects reach a PACS, and in how much memory, beside DCMTK's storescu in the same run.

    python benchmarks/pacs_rate.py [--count 1000] [--size 512]

Starts a fresh Orthanc with its DICOMweb plug-in for each run. The time of `medsynth send` is that
of the whole command: start of Python, copying into the outbox, sending, verification. Exit code 1
when it is slower than storescu, when memory grows with the number of objects, or when what arrived
is not what was sent.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from pacs_objects import files_of, make_out, pixels_of  # noqa: E402
from pacs_servers import Orthanc, command, environment, medsynth, orthanc  # noqa: E402

GROWTH_MIB = 16


def timed(arguments: list[str], env: dict[str, str] | None = None) -> tuple[float, float]:
    """Wall seconds and peak resident MiB of a command that must succeed."""
    began = time.monotonic()
    process = subprocess.Popen(
        arguments, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"{arguments} ended with {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def storescu(out: Path, server: Orthanc, *, parallel: int) -> float:
    """Seconds for every file, spread over so many storescu at once."""
    files = [str(path) for path in files_of(out)]
    peer = ["storescu", "-aec", "ORTHANC", "127.0.0.1", str(server.dicom_port)]
    began = time.monotonic()
    running = [subprocess.Popen([*peer, *files[start::parallel]]) for start in range(parallel)]
    if any(process.wait() for process in running):
        raise RuntimeError("storescu failed")
    return time.monotonic() - began


def send(out: Path, server: Orthanc, way: str, home: Path) -> tuple[float, float]:
    """Seconds and peak MiB of `medsynth send`."""
    where = (
        ["--host", "127.0.0.1", "--port", server.dicom_port, "--aet", "ORTHANC"]
        if way == "C-STORE"
        else ["--url", server.url]
    )
    if medsynth(home, "pacs", "add", "orthanc", *where).returncode:
        raise RuntimeError("the destination was not added")
    return timed(command("send", out, "--to", "orthanc"), environment(home))


def main() -> int:
    """Run all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="objects (default 1000)")
    parser.add_argument("--size", type=int, default=512, help="rows and columns (default 512)")
    args = parser.parse_args()
    wrong = []
    with tempfile.TemporaryDirectory(prefix="pacs-rate-") as name:
        folder = Path(name)
        many = make_out(folder / "many", args.count, size=args.size, seg=False)
        few = make_out(folder / "few", max(1, args.count // 10), size=args.size, seg=False)
        expected = pixels_of(files_of(many))
        megabytes = sum(path.stat().st_size for path in files_of(many)) / 1e6
        print(f"{args.count} CT slices of {args.size} x {args.size}, {megabytes:.0f} MB")
        seconds: dict[str, float] = {}
        for parallel in (1, 4):
            with orthanc(folder / f"storescu{parallel}") as server:
                seconds[f"storescu x {parallel}"] = storescu(many, server, parallel=parallel)
        for way in ("C-STORE", "STOW-RS"):
            with orthanc(folder / f"few-{way}") as server:
                _, small = send(few, server, way, folder / f"home-few-{way}")
            with orthanc(folder / f"many-{way}") as server:
                seconds[way], peak = send(many, server, way, folder / f"home-many-{way}")
                if server.pixels() != expected:
                    wrong.append(f"{way}: what arrived is not what was sent")
            print(f"{way}: peak memory {small:.0f} MiB for a tenth, {peak:.0f} MiB for all")
            if peak - small > GROWTH_MIB:
                wrong.append(f"{way}: memory grows by {peak - small:.0f} MiB")
            if seconds[way] > seconds["storescu x 1"]:
                wrong.append(f"{way} is slower than storescu")
    for name, took in seconds.items():
        ratio = seconds["storescu x 1"] / took
        print(f"{name:14} {took:7.1f} s {args.count / took:7.1f} objects/s {ratio:6.2f} x storescu")
    for line in wrong:
        print(f"WRONG: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

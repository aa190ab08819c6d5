"""Ten thousand flips of DICOM header bytes and 400 broken files of all formats, to the readers.

    python benchmarks/broken_files.py --flips 10000 --files 400 --seed 1

A child process reads; it is ended where a file takes longer than --seconds. Counted are files that
are read, that are refused by an error for the user, that raise anything else, that hang, that end the
child, and that take more than --gigabytes (the peak of resident memory above what the child had).
"""

from __future__ import annotations

import argparse
import collections
import json
import multiprocessing
import sys
import tempfile
import time
import traceback
import warnings
from multiprocessing.connection import Connection
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "helpers"), str(TESTS.parent)]

from broken_files import broken_files, flips, read  # noqa: E402


def _resident(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1e6
    return 0.0


def child(pipe: Connection) -> None:
    """Reads the files whose paths come through the pipe; answers (outcome, words, gigabytes)."""
    warnings.simplefilter("ignore")
    while True:
        path = Path(pipe.recv())
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak
        before = _resident("VmRSS")
        try:
            read(path)
            outcome, words = "read", ""
        except (ValueError, OSError, ImportError) as error:
            outcome, words = "refused", str(error)
        except BaseException:
            outcome, words = "untyped", traceback.format_exc()
        pipe.send((outcome, words, _resident("VmHWM") - before))


class Reader:
    """A child process that is replaced where it hangs or ends."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.process = seconds, None

    def read(self, path: Path) -> tuple[str, str, float]:
        """The outcome of one path, what was said, and the gigabytes it took."""
        if self.process is None:
            self.pipe, theirs = multiprocessing.Pipe()
            self.process = multiprocessing.Process(target=child, args=(theirs,), daemon=True)
            self.process.start()
            theirs.close()
        try:
            self.pipe.send(str(path))
            if self.pipe.poll(self.seconds):
                return self.pipe.recv()
            outcome = "hangs"
        except (EOFError, OSError):
            outcome = "ends the process"
        self.close()
        return outcome, "", 0.0

    def close(self) -> None:
        """End the child."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None


def main() -> int:
    """Count, print JSON; the exit code is 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--keep", type=Path, help="folder for what went wrong")
    args = parser.parse_args()
    reader, wrong = Reader(args.seconds), 0
    for name, make, count in (("flips", flips, args.flips), ("files", broken_files, args.files)):
        counts: collections.Counter[str] = collections.Counter()
        slowest = largest = 0.0
        with tempfile.TemporaryDirectory() as folder:
            for number, (path, kind) in enumerate(make(Path(folder), count, args.seed)):
                start = time.monotonic()
                outcome, words, gigabytes = reader.read(path)
                slowest, largest = max(slowest, time.monotonic() - start), max(largest, gigabytes)
                counts[outcome] += 1
                found = [] if outcome in ("read", "refused") else [outcome]
                if gigabytes > args.gigabytes:
                    found.append("memory")
                if "\n" in words.strip() and outcome == "refused":
                    found.append("several lines")
                if number % 500 == 499:
                    print(f"{name} {number + 1}/{count}: {dict(counts)}", file=sys.stderr)
                for problem in found:
                    counts[problem] += problem != outcome
                    wrong += 1
                    print(f"{name} {number} ({kind}): {problem}\n{words[-1500:]}", file=sys.stderr)
                    if args.keep and path.is_file():
                        args.keep.mkdir(parents=True, exist_ok=True)
                        (args.keep / f"{name}-{number}-{path.name}").write_bytes(path.read_bytes())
        figures = {"counts": dict(counts), "slowest_s": round(slowest, 2)}
        print(json.dumps({name: figures | {"largest_gigabytes": round(largest, 3)}}), flush=True)
    reader.close()
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())

"""The same images on a Ray cluster: this side hands the rows over and hears what became of them.

The folder of the set must be the same on every node.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from medsynth.errors import MissingExtra
from medsynth.factory.outcomes import ImageOutcome
from medsynth.factory.rows import PlanRow

COMMAND = (sys.executable, "-m", "medsynth.factory.ray_driver")
STOP_SECONDS = 20.0
GOES_ON = "what is finished stays, the same command goes on"


def run(rows: Sequence[PlanRow], folder: Path, *, address: str) -> Iterator[ImageOutcome]:
    """Every image of `rows`, in the order in which units of one anatomy are finished.

    Raises:
        MissingExtra: Ray is not installed.
        OSError: there is no Ray at `address`, or it went away.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingExtra(
            "--ray needs Ray: pip install 'medsynth-slicer[scale]'; or use --workers"
        )
    with tempfile.TemporaryFile() as log:
        driver = subprocess.Popen(
            [*COMMAND, str(folder), address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
        )
        try:
            yield from _heard(driver, rows, log, address)
        finally:
            _end(driver)


def _heard(
    driver: subprocess.Popen[str], rows: Sequence[PlanRow], log: IO[bytes], address: str
) -> Iterator[ImageOutcome]:
    assert driver.stdin is not None
    assert driver.stdout is not None
    with contextlib.suppress(BrokenPipeError):  # it has died: why is said below
        driver.stdin.writelines(row.to_json() + "\n" for row in rows)
        driver.stdin.write("\n")
        driver.stdin.flush()
    for line in driver.stdout:
        record = json.loads(line)
        if "refused" in record:
            raise OSError(f"{record['refused']}; {GOES_ON}")
        yield ImageOutcome(**record)
    if driver.wait() != 0:
        log.seek(0)
        lines = log.read().decode(errors="replace").strip().splitlines()
        last = lines[-1][:200] if lines else f"exit code {driver.returncode}"
        raise OSError(f"Ray at {address} went away ({last}); {GOES_ON}")


def _end(driver: subprocess.Popen[str]) -> None:
    """Stop what still runs; the end of its input ends it too."""
    if driver.poll() is None:
        driver.terminate()
        try:
            driver.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            driver.kill()

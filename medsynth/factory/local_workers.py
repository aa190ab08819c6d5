"""Worker processes on this computer: a worker that dies is replaced, and its image made by another."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from medsynth.factory.outcomes import FAILED, ImageOutcome
from medsynth.factory.queue_of_rows import RowQueue
from medsynth.factory.rows import PlanRow

# An image at which so many workers died is given up; one that fits is seldom killed twice by chance.
MOST_DEATHS = 4
# Workers that die before they are ready, one after the other.
MOST_FALSE_STARTS = 3
STOP_SECONDS = 20.0
COMMAND = (sys.executable, "-m", "medsynth.factory.worker")


class _Worker:
    """One process; a thread of ours reads what it says into the common queue."""

    def __init__(self, folder: Path, *, threads: int, heard: queue.Queue[tuple[_Worker, Any]]):
        self.log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the worker)
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
        self.process = subprocess.Popen(
            [*COMMAND, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            encoding="utf-8",
            env=environment,
        )
        self.row: PlanRow | None = None
        self.anatomy: str | None = None
        self.ready = False
        threading.Thread(target=self._listen, args=(heard,), daemon=True).start()

    def _listen(self, heard: queue.Queue[tuple[_Worker, Any]]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                heard.put((self, json.loads(line)))
            except ValueError:  # killed while it wrote
                break
        self.process.wait()
        heard.put((self, None))

    def give(self, row: PlanRow) -> None:
        """Ask for an image; a worker that has just died is noticed by its thread."""
        self.row, self.anatomy = row, row.anatomy["id"]
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(row.to_json() + "\n")
            self.process.stdin.flush()

    def last_words(self) -> str:
        """The end of what it wrote to standard error."""
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"ended with {self.process.returncode}"

    def close(self) -> None:
        """No more work: it ends by itself."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            with contextlib.suppress(OSError):
                self.process.stdin.close()


def run(
    rows: Sequence[PlanRow], folder: Path, *, workers: int, threads: int
) -> Iterator[ImageOutcome]:
    """Every image of `rows`, in the order in which they are finished.

    Raises:
        OSError: workers cannot start.
    """
    heard: queue.Queue[tuple[_Worker, Any]] = queue.Queue()
    waiting, deaths, false_starts = RowQueue(rows), Counter[str](), 0
    alive = [_Worker(folder, threads=threads, heard=heard) for _ in range(min(workers, len(rows)))]
    try:
        while alive:
            worker, answer = heard.get()
            if worker not in alive:
                continue
            if answer is not None:
                worker.ready, false_starts = True, 0
                if "id" in answer:
                    worker.row = None
                    yield ImageOutcome(**answer)
                _next(worker, waiting, alive)
                continue
            alive.remove(worker)
            if not worker.ready:
                false_starts += 1
                if false_starts >= MOST_FALSE_STARTS:
                    raise OSError(f"local workers cannot start: {worker.last_words()}")
            if (row := worker.row) is not None:
                deaths[row.id] += 1
                if deaths[row.id] >= MOST_DEATHS:
                    yield _given_up(row, worker)
                else:
                    waiting.put_back(row)
            if len(waiting):
                alive.append(_Worker(folder, threads=threads, heard=heard))
    finally:
        _end(alive)


def _next(worker: _Worker, waiting: RowQueue, alive: Sequence[_Worker]) -> None:
    busy = [other.anatomy for other in alive if other is not worker and other.anatomy]
    row = waiting.next(worker.anatomy, busy)
    if row is None:
        worker.close()
    else:
        worker.give(row)


def _given_up(row: PlanRow, worker: _Worker) -> ImageOutcome:
    code = worker.process.returncode
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    advice = "; perhaps memory ran out" if code == -signal.SIGKILL else ""
    error = f"{MOST_DEATHS} workers died at it ({how}{advice})"
    return ImageOutcome(row.id, FAILED, error, MOST_DEATHS)


def _end(workers: Sequence[_Worker]) -> None:
    """Stop what still runs: it removes what is half written, and is killed if it does not end."""
    for worker in workers:
        worker.close()
        if worker.process.poll() is None:
            worker.process.terminate()
    for worker in workers:
        try:
            worker.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            worker.process.kill()

"""The loss by noise level: where a network is still bad."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from medsynth.diffusion.schedule import Schedule
from medsynth.training.checkpoint import read_table, write_table

BINS = 20
FILE = "losses_by_level.csv"
HEADER = ("step", "log_snr", "loss", "samples")


class LevelLog:
    """Mean loss in `BINS` even ranges of log-SNR, a row for each range between two checkpoints.

    `rows` holds (step, log-SNR at the range's middle, mean loss, number of samples).
    """

    def __init__(self, schedule: Schedule):
        self.table = schedule.log_snr_table
        edges = torch.linspace(float(self.table[-1]), float(self.table[0]), BINS + 1)
        self.edges, self.centers = edges.double(), ((edges[1:] + edges[:-1]) / 2).tolist()
        self.rows: list[tuple[float, ...]] = []
        self._clear()

    def _clear(self) -> None:
        self.sums, self.counts = torch.zeros(BINS, dtype=torch.float64), torch.zeros(BINS)

    def add(self, t: Tensor, losses: Tensor) -> None:
        """Losses (B,) at timesteps (B,)."""
        index = torch.bucketize(self.table[t], self.edges[1:-1])
        self.sums.index_add_(0, index, losses.double())
        self.counts.index_add_(0, index, torch.ones(len(t)))

    def pending(self, step: int) -> list[tuple[float, ...]]:
        """Rows of what came since the last checkpoint."""
        rows = zip(self.centers, self.sums.tolist(), self.counts.tolist(), strict=True)
        return [(step, at, total / count, count) for at, total, count in rows if count]

    def write(self, run: Path, *, step: int) -> None:
        """Put the rows into the run's folder."""
        self.rows += self.pending(step)
        self._clear()
        write_table(run / FILE, HEADER, self.rows)

    def read(self, run: Path, *, until: int) -> None:
        """Take up the rows of a run's folder."""
        self.rows = read_table(run / FILE, until=until)

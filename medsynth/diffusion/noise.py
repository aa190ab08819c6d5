"""Noise that belongs to a sample: one generator each, so that neither batches nor devices matter.

Generators live on the CPU whatever the device: the same seed gives the same noise everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

# What a generator's numbers are for; two purposes never share a stream.
START, LOOP, AGAIN = 0, 1, 2

Draw = Callable[[Sequence[int]], Tensor]


def no_noise(shape: Sequence[int]) -> Tensor:
    """The `Draw` of a loop that needs no noise on the way.

    Raises:
        ValueError: always; what asks for noise here was given no generators.
    """
    raise ValueError(f"noise {tuple(shape)} is drawn on the way: pass generators, one per sample")


def generator(seed: int, index: int, *, stream: int = LOOP) -> torch.Generator:
    """The generator of sample (or absolute slice) `index` under `seed`.

    Raises:
        ValueError: seed or index is negative.
    """
    if seed < 0 or index < 0:
        raise ValueError(f"seed and index must be at least 0, got {seed} and {index}")
    state = np.random.SeedSequence((seed, stream, index)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state))


def generators(seed: int, indices: Sequence[int]) -> list[torch.Generator]:
    """The generators for the noise that the loop draws, one per sample.

    They are independent of each other: slices of a volume stay coherent with deterministic samplers
    and conditions on x0 only.
    """
    return [generator(seed, index) for index in indices]


class PerSampleNoise:
    """Draws N(0, 1) for a batch, each sample from its own generator."""

    def __init__(self, generators: Sequence[torch.Generator], *, like: Tensor):
        if len(generators) != len(like):
            raise ValueError(
                f"one generator per sample is needed, got {len(generators)} for a batch of "
                f"{len(like)}"
            )
        self.generators, self.dtype, self.device = list(generators), like.dtype, like.device

    def __call__(self, shape: Sequence[int]) -> Tensor:
        """(B, *shape)."""
        drawn = [torch.randn(tuple(shape), generator=g, dtype=self.dtype) for g in self.generators]
        return torch.stack(drawn).to(self.device)


class CorrelatedNoise:
    """The loop's noise for one slice after the other, correlated along z as the starting noise is.

    `noise.at(k)` draws for slice k: its n-th draw is rho times the n-th draw of the slice before,
    and fresh noise. The process begins at the first slice that is asked for. Slices of a batch take
    their draws in turn, which gives each the same noise.
    """

    def __init__(self, seed: int, *, step_mm: float, length_mm: float = 5.0, like: Tensor):
        self.seed, self.like = seed, like
        self.step_mm, self.length_mm = step_mm, length_mm
        self._drawn: list[Tensor] = []
        self._slice: int | None = None

    def at(self, k: int) -> Draw:
        """The noise of slice k, N(0, 1) of (1, *shape) at every call."""
        rho = 0.0
        if self._slice is not None:
            rho = correlation(abs(k - self._slice) * self.step_mm, length_mm=self.length_mm)
        drawn: list[Tensor] = []
        before, self._drawn, self._slice = self._drawn, drawn, k
        fresh = PerSampleNoise([generator(self.seed, k)], like=self.like)

        def draw(shape: Sequence[int]) -> Tensor:
            value = fresh(shape)
            index = len(drawn)
            if index < len(before) and before[index].shape == value.shape:
                value = rho * before[index] + math.sqrt(1 - rho * rho) * value
            drawn.append(value)
            return value

        return draw

    def of_batch(self, slices: Sequence[int]) -> Draw:
        """The noise of several slices, in rising order: N(0, 1) of (B, *shape) at every call."""
        draws = [self.at(k) for k in slices]
        return lambda shape: torch.cat([draw(shape) for draw in draws])


def slice_noise(
    seed: int,
    positions_mm: Sequence[float],
    *,
    size: tuple[int, int],
    length_mm: float = 5.0,
    start: int = 0,
    stop: int | None = None,
    batch_size: int = 1,
) -> Iterator[tuple[range, Tensor]]:
    """x_T for slices `start` to `stop` of a volume, correlated along z, in batches.

    An AR(1) process: noise_k = rho noise_(k-1) + sqrt(1 - rho^2) fresh_k with rho = exp(-distance /
    length_mm), so that each slice is N(0, I) and two slices correlate by their distance in mm
    (0: independent; inf: the same noise everywhere). The process begins at slice 0 whatever `start`
    is: what a slice gets depends on the seed, its index and the positions alone. One batch is held
    at a time.

    Args:
        seed: at least 0.
        positions_mm: position of every slice of the volume along its normal, monotone.
        size: (H, W).
        length_mm: correlation length, at least 0.
        start: first slice wanted.
        stop: one beyond the last slice wanted; None: all.
        batch_size: slices per batch.

    Yields:
        The slices' indices, and their noise (B, 1, H, W) float32.

    Raises:
        ValueError: positions not monotone, length negative, or no such slices.
    """
    positions = np.asarray(positions_mm, dtype=np.float64)
    stop = len(positions) if stop is None else stop
    _check_slices(positions, length_mm, start, stop, batch_size)
    state = torch.zeros(1, *size)
    batch: list[Tensor] = []
    for k in range(stop):
        distance = abs(positions[k] - positions[k - 1])
        rho = correlation(distance, length_mm=length_mm) if k else 0.0
        fresh = torch.randn(1, *size, generator=generator(seed, k, stream=START))
        state = rho * state + math.sqrt(1 - rho * rho) * fresh
        if k < start:
            continue
        batch.append(state)
        if len(batch) == batch_size or k == stop - 1:
            yield range(k + 1 - len(batch), k + 1), torch.stack(batch)
            batch = []


def correlation(distance_mm: float, *, length_mm: float) -> float:
    """exp(-distance / length); 0 for a length of 0."""
    return math.exp(-distance_mm / length_mm) if length_mm > 0 else 0.0


def _check_slices(
    positions: np.ndarray, length_mm: float, start: int, stop: int, batch_size: int
) -> None:
    difference = np.diff(positions)
    if positions.ndim != 1 or not (np.all(difference > 0) or np.all(difference < 0)):
        raise ValueError("positions_mm must rise or fall strictly; sort the slices first")
    if not length_mm >= 0:
        raise ValueError(f"length_mm must be at least 0, got {length_mm}")
    if not 0 <= start < stop <= len(positions):
        raise ValueError(
            f"slices must satisfy 0 <= start < stop <= {len(positions)}, got {start} and {stop}"
        )
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")

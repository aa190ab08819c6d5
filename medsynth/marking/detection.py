"""Looking for the mark: at its frequencies, turned, scaled and mirrored in every way that is allowed for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from scipy.special import gammaincc, gammaincinv

from medsynth.marking.bands import BANDS, WaveBand
from medsynth.marking.keys import MarkKey
from medsynth.marking.pattern import frequencies_of
from medsynth.marking.spectrum import power_of, ranks, residual, rings, segments, transformed_size

ALPHA = 1e-6  # false alarms per examined image
SCALES = (0.66, 1.5)
TURN_DEG = 6.0
WAYS = 2  # the unchanged grid, and all geometries
ENOUGH = 1e-12  # then nothing better is looked for
# How alike slices are is said by all but so many of a ring's frequencies (the mark's are far fewer than the rest),
# where it has enough of them.
MOST, LEAST = 0.98, 200


@dataclass(frozen=True)
class Geometry:
    """How an image came out of the marked one: mirrored, a quarter turn, turned, scaled, in this order."""

    scale: float = 1.0
    turn_deg: float = 0.0
    mirrored: bool = False
    quarter: bool = False


@dataclass(frozen=True)
class MarkDetection:
    """`p_value`: how probable so much power at the frequencies is without a mark, all tries counted."""

    p_value: float
    band: WaveBand
    geometry: Geometry

    @property
    def marked(self) -> bool:
        return self.p_value < ALPHA


def turned(frequencies: np.ndarray, geometries: np.ndarray) -> np.ndarray:
    """(G, K, 2): frequencies (K, 2) of (y, x) after `geometries` (G, 4): scale, turn, mirrored, quarter."""
    y, x = frequencies[:, 0], frequencies[:, 1]
    scale, turn, mirrored, quarter = geometries.T[:, :, None]
    x = np.where(mirrored > 0, -x, x)
    y = np.broadcast_to(y, x.shape)
    y, x = np.where(quarter > 0, -x, y), np.where(quarter > 0, y, x)
    c, s = np.cos(turn) / scale, np.sin(turn) / scale
    return np.stack([c * y + s * x, c * x - s * y], axis=-1)


@lru_cache(maxsize=8)
def candidates(side: int) -> tuple[np.ndarray, np.ndarray]:
    """The geometries tried: first those that keep the grid, then all; for pieces of `side` pixels.

    From one to the next, the highest frequency moves by 0.6 of the width of a wave's peak, 1 / side.
    """
    step = min(2.0 / side, 0.03)
    scales = np.exp(np.arange(np.log(SCALES[0]), np.log(SCALES[1]) + step, step))
    limit = np.radians(TURN_DEG)
    turns = np.linspace(-limit, limit, 2 * int(np.ceil(limit / step)) + 1)
    exact = np.array([[1, 0, m, q] for m in (0, 1) for q in (0, 1)], float)
    every = np.stack(np.meshgrid(scales, turns, [0, 1], [0, 1], indexing="ij"), -1).reshape(-1, 4)
    return exact, every


def looked_up(scores: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """The scores at frequencies (..., 2) of (y, x), of either sign."""
    return scores.reshape(-1)[_places(frequencies, scores.shape)]


def _places(frequencies: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Where frequencies (..., 2) are in flattened scores of `shape`."""
    side, columns = shape
    at = np.rint(frequencies * side).astype(np.int32)
    negative = at[..., 1] < 0
    y = np.where(negative, -at[..., 0], at[..., 0]) % side
    return y * columns + np.minimum(np.abs(at[..., 1]), columns - 1)


@lru_cache(maxsize=8)  # a few MB each: all slices of a volume need the same
def _places_tried(
    key: MarkKey, band: WaveBand, side: int, shape: tuple[int, ...]
) -> tuple[np.ndarray, ...]:
    """Of every wave (rows) in every geometry (columns), for each group of `candidates`."""
    frequencies = frequencies_of(key, band)
    return tuple(
        np.ascontiguousarray(_places(turned(frequencies, group), shape).T)
        for group in candidates(side)
    )


def tail(
    total: np.ndarray | float,
    waves: int,
    tries: int,
    *,
    slices: int = 1,
    independent: np.ndarray | float = 1.0,
) -> np.ndarray:
    """Probability that one of `tries` sums over `waves` reaches `total` without a mark (Bonferroni).

    A score is exponential with mean 1. A sum over `slices` that are as good as `independent` ones is
    gamma distributed with that shape and the mean `slices`: with all of them independent the plain sum,
    with none more than one the same score so many times.
    """
    return np.minimum(gammaincc(waves * independent, total * independent / slices) * tries, 1.0)


def independent_slices(scores: np.ndarray, slices: int) -> float:
    """How many independent slices the summed `scores` of `slices` are worth, 1 to `slices`.

    Slices that overlap, are interpolated or repeat one another have high scores at the same frequencies. In
    each ring the upper tail of the sums over its mean gives the shape of the gamma distribution; the ring that is worth least
    counts.
    """
    if slices == 1:
        return 1.0
    shapes = np.geomspace(1, slices, 64)
    expected = gammaincinv(shapes, MOST) / shapes  # falls
    flat = scores.reshape(-1)
    found = [
        float(np.quantile(flat[members], MOST)) / slices
        for members in rings(scores.shape)
        if len(members) >= LEAST
    ]
    # An image too small to say takes its slices for one.
    return float(np.interp(-max(found), -expected, shapes)) if found else 1.0


def scores_of(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Ranks of the spectrum of one slice, and the side of the pieces it was taken from."""
    fine = residual(values)
    pieces = segments(fine.shape)
    side = max(pieces[0][0].stop - pieces[0][0].start, pieces[0][1].stop - pieces[0][1].start)
    grid = transformed_size((side, side))
    power = np.sum([power_of(fine[piece], grid) for piece in pieces], axis=0)
    return ranks(power), side


def detect(scores: np.ndarray, side: int, key: MarkKey, *, slices: int = 1) -> MarkDetection:
    """The best band and geometry for the summed scores of `slices`."""
    best = (2.0, BANDS[0], np.array([1.0, 0, 0, 0]))
    flat = scores.reshape(-1)
    independent = independent_slices(scores, slices)
    for (number, group), band in product(enumerate(candidates(side)), BANDS):
        places = _places_tried(key, band, side, scores.shape)[number]
        totals = flat[places].sum(axis=0)
        at = int(np.argmax(totals))
        tries = WAYS * len(BANDS) * len(group)
        p = float(tail(totals[at], len(places), tries, slices=slices, independent=independent))
        if p < best[0]:
            best = (p, band, group[at])
        if best[0] < ENOUGH:
            break
    p_value, band, (scale, turn, mirrored, quarter) = best
    geometry = Geometry(float(scale), float(np.degrees(turn)), bool(mirrored), bool(quarter))
    return MarkDetection(min(p_value, 1.0), band, geometry)

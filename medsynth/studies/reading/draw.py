"""DrawnSlice by a seed and recorded, never picked: which slices are shown, and each reader's own order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from medsynth.studies.reading.candidates import Candidate
from medsynth.studies.reading.design import Showing

# The first and last slices of a volume show little; drawn from is what lies between.
CENTRAL = (0.15, 0.85)
# Repeats come at least this far after the first showing, where the order is long enough.
REPEAT_GAP = 10


@dataclass(frozen=True)
class DrawnSlice:
    """One slice that was drawn."""

    candidate: Candidate
    k: int


def draw_slices(
    candidates: Sequence[Candidate], count: int, rng: np.random.Generator, *, what: str
) -> list[DrawnSlice]:
    """`count` different slices: patients in turn, and of each patient spread over its slices.

    Raises:
        ValueError: there are not so many.
    """
    people: dict[str, list[DrawnSlice]] = {}
    for candidate in candidates:
        people.setdefault(candidate.person, []).extend(_central(candidate))
    there = sum(len(slices) for slices in people.values())
    if there < count:
        raise ValueError(
            f"{what}: {count} images are needed, {there} can be drawn; give more images or ask for "
            "fewer items"
        )
    names = sorted(people)
    order = [names[k] for k in rng.permutation(len(names))]
    share = dict.fromkeys(order, 0)
    left = count
    while left:
        for name in order:
            if left and share[name] < len(people[name]):
                share[name] += 1
                left -= 1
    drawn: list[DrawnSlice] = []
    for name in order:
        slices = people[name]
        edges = np.linspace(0, len(slices), share[name] + 1)
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            first = int(np.ceil(low))
            drawn.append(slices[int(rng.integers(first, max(first + 1, int(np.ceil(high)))))])
    return [drawn[k] for k in rng.permutation(len(drawn))]


def _central(candidate: Candidate) -> list[DrawnSlice]:
    if candidate.slices < 4:
        chosen = range(candidate.slices)
    else:
        low, high = (round(share * candidate.slices) for share in CENTRAL)
        chosen = range(low, max(high, low + 1))
    return [DrawnSlice(candidate, candidate.first + k) for k in chosen]


def fingerprint(candidates: Sequence[Candidate]) -> str:
    """The SHA-256 of the list of all that could have been drawn."""
    listed = json.dumps([asdict(c) for c in candidates], sort_keys=True)
    return hashlib.sha256(listed.encode()).hexdigest()


def order_for(
    counted: Sequence[str],
    warmup: Sequence[str],
    *,
    repeats: int,
    blocks: Sequence[Sequence[str]] | None,
    rng: np.random.Generator,
) -> tuple[Showing, ...]:
    """One reader's order: warm-up first, then all items at random, some of them twice.

    `blocks`: items that are read together (of one window), the blocks at random too.
    """
    groups = [list(counted)] if blocks is None else [list(block) for block in blocks]
    order = [
        groups[b][k] for b in rng.permutation(len(groups)) for k in rng.permutation(len(groups[b]))
    ]
    shown = [(item, False) for item in order]
    # The second showing of an item of the first half lies at random in the second half.
    half = order[: max(len(order) // 2, repeats)]
    for item in (half[k] for k in rng.permutation(len(half))[:repeats]):
        first = shown.index((item, False))
        earliest = min(len(shown), first + REPEAT_GAP)
        shown.insert(int(rng.integers(earliest, len(shown) + 1)), (item, True))
    warm = [Showing(warmup[k], warmup=True) for k in rng.permutation(len(warmup))]
    flips = rng.integers(2, size=len(warm) + len(shown)).astype(bool)
    rest = [Showing(item, repeat) for item, repeat in shown]
    return tuple(
        Showing(s.item, s.repeat, s.warmup, bool(flip))
        for s, flip in zip([*warm, *rest], flips, strict=True)
    )


def deal_arms(count: int, arms: Sequence[str], rng: np.random.Generator) -> list[str]:
    """An arm for each reader: equal numbers, at random."""
    dealt = [arms[k % len(arms)] for k in range(count)]
    return [dealt[k] for k in rng.permutation(count)]

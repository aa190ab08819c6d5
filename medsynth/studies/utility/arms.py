"""The training sets of a study: real images alone, with synthetic ones, and with each control.

A control answers one question. Duplicated real images: is it only that there are more images in an epoch?
Classical augmentation: would turning and shifting do as well? Pasted lesions: does the network add
anything to its own references and lesions? Equal steps: was the real-only network only trained for less long?
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from medsynth.studies.utility.sources import LabeledImages
from medsynth.studies.utility.study import UtilityStudy

REAL = "real"
TITLES = {
    "real": "real only",
    "fewer": "fewer real only",
    "duplicated": "duplicated real",
    "augmented": "augmented real",
    "equal_steps": "real only, as many steps",
}


@dataclass(frozen=True)
class TrainingArm:
    """A row of the table: `real` real images and `extra` others of `kind`, trained for `steps` steps.

    `kind`: synthetic, pasted (both from the images `source`) or one of `TITLES`. `size` is how many
    images the mode adds, puts in place of real ones, or trains on alone.
    """

    mode: str
    kind: str
    source: str
    size: int
    real: int
    extra: int
    steps: int

    @property
    def title(self) -> str:
        """The row without its size."""
        return TITLES.get(self.kind, self.source)

    @property
    def name(self) -> str:
        """The row, unlike any other."""
        sign = {"add": "+", "replace": "in place of ", "only": "alone, "}[self.mode]
        return self.title if not self.size else f"{self.title}, {sign}{self.size}"

    @property
    def is_control(self) -> bool:
        """Whether it is there to be compared with."""
        return self.kind not in ("real", "synthetic")


def list_arms(study: UtilityStudy, pools: Mapping[str, LabeledImages]) -> list[TrainingArm]:
    """Every row of the table; `pools` by name: `REAL` (training images) and all sources.

    Raises:
        ValueError: a source has too few images of one class for a size.
    """
    count = len(real_part(study, pools[REAL]))
    arms = [_arm(study, "add", "real", "", 0, count, 0)]
    for mode in study.modes:
        for size in study.sizes:
            arms += _of_size(study, mode, size, count)
    for arm in arms:
        _check_enough(arm, study, pools)
    return arms


def _arm(
    study: UtilityStudy, mode: str, kind: str, source: str, size: int, real: int, extra: int
) -> TrainingArm:
    total = real + (size if kind == "equal_steps" else extra)
    steps = study.steps or (study.epochs or 1) * math.ceil(total / study.batch)
    return TrainingArm(mode, kind, source, size, real, extra, steps)


def _of_size(study: UtilityStudy, mode: str, size: int, count: int) -> Iterator[TrainingArm]:
    """The arms of one mode and size: synthetic ones and what they are compared with."""
    if mode == "replace" and size >= count:
        raise ValueError(
            f"sizes: {size} cannot take the place of real images, of which there are {count}; "
            "write a smaller size, or leave replace out of modes"
        )
    real = {"add": count, "replace": count - size, "only": 0}[mode]
    for source in study.synthetic:
        yield _arm(study, mode, "synthetic", source.name, size, real, size)
    for source in study.controls.pasted:
        yield _arm(study, mode, "pasted", source.name, size, real, size)
    if mode == "only":
        if size < count:
            yield _arm(study, mode, "fewer", "", size, size, 0)
        return
    if mode == "replace":
        yield _arm(study, mode, "fewer", "", size, real, 0)
    if study.controls.duplicated:
        yield _arm(study, mode, "duplicated", "", size, real, size)
    if study.controls.augmented:
        yield _arm(study, mode, "augmented", "", size, real, size)
    if study.controls.equal_steps and study.steps is None and mode == "add":
        yield _arm(study, mode, "equal_steps", "", size, real, 0)


def share_of(study: UtilityStudy, real: LabeledImages) -> float:
    """Share of positive images in every training set."""
    return study.positives if study.positives is not None else float(real.positive.mean())


def real_part(study: UtilityStudy, real: LabeledImages) -> np.ndarray:
    """Indices of the real training images: all, or as many as have the share that is asked for."""
    if study.positives is None:
        return np.arange(len(real.facts))
    rng = np.random.default_rng([study.seed, 1])
    places = [np.flatnonzero(real.positive == kind) for kind in (True, False)]
    share = study.positives
    total = min(len(places[0]) / share, len(places[1]) / (1 - share))
    counts = round(total * share), round(total * (1 - share))
    chosen = [rng.permutation(p)[:n] for p, n in zip(places, counts, strict=True)]
    return np.sort(np.concatenate(chosen))


def _split_count(count: int, share: float) -> tuple[int, int]:
    positive = round(count * share)
    return positive, count - positive


def _check_enough(
    arm: TrainingArm, study: UtilityStudy, pools: Mapping[str, LabeledImages]
) -> None:
    if not arm.source:
        return
    pool = pools[arm.source]
    there = int(pool.positive.sum()), int((~pool.positive).sum())
    for name, needed, found in zip(
        ("positive", "negative"),
        _split_count(arm.extra, share_of(study, pools[REAL])),
        there,
        strict=True,
    ):
        if found < needed:
            raise ValueError(
                f"sizes: {arm.size} images of {arm.source} need {needed} {name} ones, it has {found}; "
                "write a smaller size, another share of positives, or make more images"
            )


@dataclass(frozen=True, eq=False)
class DrawnImages:
    """What one network is trained on: places in pools, and which are turned and shifted each time."""

    pools: tuple[str, ...]
    places: np.ndarray
    augmented: np.ndarray


def draw(
    arm: TrainingArm, seed: int, study: UtilityStudy, pools: Mapping[str, LabeledImages]
) -> DrawnImages:
    """The images of an arm for one seed; a larger size holds what a smaller one has."""
    real = pools[REAL]
    base, share = real_part(study, real), share_of(study, real)
    if arm.real < len(base):
        rng = np.random.default_rng([study.seed, seed, 2])
        base = np.sort(base[_pick(real.positive[base], arm.real, share, rng)])
    if not arm.extra:
        extra, origin = np.zeros(0, int), REAL
    elif arm.source:
        rng = np.random.default_rng([study.seed, seed, 3])
        extra, origin = _pick(pools[arm.source].positive, arm.extra, share, rng), arm.source
    else:
        rng = np.random.default_rng([study.seed, seed, 4])
        extra, origin = base[_again(real.positive[base], arm.extra, share, rng)], REAL
    augmented = np.zeros(len(base) + len(extra), bool)
    augmented[len(base) :] = arm.kind == "augmented"
    return DrawnImages(
        (REAL,) * len(base) + (origin,) * len(extra),
        np.concatenate([base, extra]).astype(int),
        augmented | study.augmentation,
    )


def _pick(positive: np.ndarray, count: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """`count` places with that share of positives, none twice."""
    parts = [
        rng.permutation(np.flatnonzero(positive == kind))[:needed]
        for kind, needed in zip((True, False), _split_count(count, share), strict=True)
    ]
    return np.concatenate(parts)


def _again(positive: np.ndarray, count: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """`count` places with that share of positives, everyone as often as anyone else, give or take one."""
    parts = []
    for kind, needed in zip((True, False), _split_count(count, share), strict=True):
        places = rng.permutation(np.flatnonzero(positive == kind))
        parts.append(np.resize(places, needed) if len(places) else places)
    return np.concatenate(parts)

"""Does a network copy its training images? The nearest one of every sample, and whether that is too near.

What is too near is measured on real images. No image of one patient may be called a copy of another
patient's (false alarms); the neighboring slice of the same patient, and a training image that was
flipped, shifted, turned, or pasted in part into another, must be (detection).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from medsynth.domains import Preset
from medsynth.evaluation.memorization.similarity import MEASURES, ReferenceIndex
from medsynth.events import Listener, Stage, ignore
from medsynth.records.audit import Match

# Real images compared to find the thresholds, and copies made to test them.
QUERIES, COPIES = 60, 8
# A folder with fewer slices may hold some of a chest here and there.
STACK = 5
# How far above the nearest images of different patients a copy begins, in standard deviations: few
# patients are there to measure with, and a new one may lie beyond all of them.
MARGIN = 2.0
# Part of what a calibration is stored under: raise it when a measure or a rule changes.
METHOD = 1


@dataclass(frozen=True, eq=False)
class RealImages:
    """`images` (M, H, W) in physical units; one patient and one series per image, in slice order."""

    images: np.ndarray
    patients: tuple[str, ...]
    series: tuple[str, ...]

    def name(self, index: int) -> str:
        """Series, and the number of the slice in it where it has several."""
        series = self.series[index]
        first = self.series.index(series)
        alone = self.series.count(series) == 1
        return series if alone else f"{series} slice {index - first + 1}"

    def neighbors(self, index: int) -> np.ndarray:
        """(M,) bool: the slices beside this one; none where the series is no stack of slices."""
        beside = np.zeros(len(self.series), dtype=bool)
        if self.series.count(self.series[index]) < STACK:
            return beside
        for other in (index - 1, index + 1):
            if 0 <= other < len(self.series):
                beside[other] = self.series[other] == self.series[index]
        return beside


@dataclass(frozen=True)
class Calibration:
    """`thresholds` per measure; `controls`: the rates of false alarm and detection they come with.

    `floor` is, per measure, the similarity of real images to the nearest one of another patient.
    """

    thresholds: dict[str, float]
    controls: dict[str, Any]
    floor: dict[str, list[float]]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def threshold(similarity: Sequence[float]) -> float:
    """Where a copy begins, given how near images of different patients come to each other.

    `MARGIN` standard deviations above the largest, on Fisher's z scale (atanh), on which correlations
    spread evenly.
    """
    z = np.arctanh(np.clip(similarity, -0.9999, 0.9999))
    return float(np.tanh(z.max() + MARGIN * z.std()))


def calibrate(
    reference_index: ReferenceIndex,
    training: RealImages,
    held_out: RealImages | None = None,
    *,
    queries: int = QUERIES,
    copies: int = COPIES,
    seed: int = 0,
    listener: Listener = ignore,
) -> Calibration:
    """Thresholds from `queries` real images, tested on `copies` of each kind.

    Raises:
        ValueError: all images are of one patient, so that nothing tells what is no copy.
    """
    everyone = sorted({*training.patients, *(held_out.patients if held_out else ())})
    if len(set(training.patients)) < 2 or len(everyone) < 3:
        raise ValueError(
            f"an audit needs images of at least three patients, two of them trained on; got "
            f"{len(everyone)}: {', '.join(everyone)}"
        )
    rng = np.random.default_rng(seed)
    parts = [training] if held_out is None else [training, held_out]
    asked = [(part, index) for part in parts for index in _spread(part, queries // len(parts), rng)]
    null: list[tuple[str, dict[str, float]]] = []
    beside: list[dict[str, float]] = []
    made = _copies(training, held_out or training, copies, rng)
    with Stage("comparing real images", total=len(asked) + len(made), listener=listener) as stage:
        for part, index in asked:
            nearest = reference_index.compare(part.images[index])
            owner = part.patients[index]
            others = np.array([patient != owner for patient in training.patients])
            null.append((owner, _scores(nearest.best(others))))
            if part is training and (neighbors := training.neighbors(index)).any():
                beside.append(_scores(nearest.best(neighbors)))
            stage.advance(message=owner)
        detected: dict[str, list[dict[str, float]]] = {"neighboring slice": beside}
        for kind, index, image in made:
            alone = reference_index.only(index).compare(image)
            detected.setdefault(kind, []).append(_scores(alone.best(np.ones(1, dtype=bool))))
            stage.advance(message=kind)
    thresholds = _thresholds([scores for _, scores in null])
    controls = {
        "real_images": len(null),
        "patients": len({owner for owner, _ in null}),
        "false_alarms": _left_out_alarms(null),
        "detection": {
            kind: {"tried": len(all_), "found": sum(_is_copy(s, thresholds) for s in all_)}
            for kind, all_ in detected.items()
            if all_
        },
    }
    floor = {name: [round(scores[name], 4) for _, scores in null] for name in MEASURES}
    return Calibration(thresholds, controls, floor)


def _thresholds(all_scores: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: threshold([scores[name] for scores in all_scores]) for name in MEASURES}


def _scores(best: dict[str, tuple[int, float]]) -> dict[str, float]:
    return {name: score for name, (_, score) in best.items()}


def _is_copy(scores: dict[str, float], thresholds: dict[str, float]) -> bool:
    return any(scores[name] > thresholds[name] for name in MEASURES)


def _left_out_alarms(null: Sequence[tuple[str, dict[str, float]]]) -> dict[str, Any]:
    """How often a patient's images are called copies under the thresholds of the other patients."""
    alarms = 0
    for owner in {owner for owner, _ in null}:
        others = _thresholds([scores for name, scores in null if name != owner])
        alarms += sum(_is_copy(scores, others) for name, scores in null if name == owner)
    return {"tried": len(null), "found": alarms, "how": "thresholds from the other patients"}


def _spread(part: RealImages, count: int, rng: np.random.Generator) -> list[int]:
    """`count` images, as many of each patient as there are."""
    order = rng.permutation(len(part.patients)).tolist()
    taken: dict[str, int] = {}
    ranked = []
    for index in order:
        rank = taken[part.patients[index]] = taken.get(part.patients[index], 0) + 1
        ranked.append((rank, index))
    return sorted(index for _, index in sorted(ranked)[:count])


def _copies(
    training: RealImages, hosts: RealImages, count: int, rng: np.random.Generator
) -> list[tuple[str, int, np.ndarray]]:
    """(kind, index of the original, copy): what a network that memorized might give."""
    made = []
    for index in _spread(training, count, rng):
        image = training.images[index].astype(np.float32)
        strangers = [i for i, p in enumerate(hosts.patients) if p != training.patients[index]]
        host = hosts.images[strangers[rng.integers(len(strangers))]].astype(np.float32)
        made += [
            ("flipped, shifted, brighter, noisier", index, _moved(image, rng)),
            ("turned by 3 degrees, 3 % larger", index, _turned(image)),
            (
                "two fifths of each side pasted into another patient's image",
                index,
                _pasted(image, host, rng),
            ),
        ]
    return made


def _moved(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    spread = image.std()
    reach = [n // 16 for n in image.shape]
    shift = [int(rng.integers(-r, r + 1)) for r in reach]
    noise = rng.normal(0, 0.05 * spread, image.shape)
    moved = np.roll(image[:, ::-1], shift, (0, 1))
    return (moved + 0.05 * (moved - image.mean()) + noise).astype(np.float32)


def _turned(image: np.ndarray) -> np.ndarray:
    angle, scale = np.deg2rad(3.0), 1 / 1.03
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (np.array(image.shape) - 1) / 2
    offset = middle - turn @ middle
    return ndimage.affine_transform(image, turn, offset=offset, order=1, mode="nearest")


def _pasted(image: np.ndarray, host: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A window of `image`, shifted by some pixels, in `host`; over what is not empty."""
    side = [2 * n // 5 for n in image.shape]
    start = [
        int(rng.integers(n // 5, n - s - n // 5 + 1))
        for n, s in zip(image.shape, side, strict=True)
    ]
    shift = [n // 50 for n in image.shape]
    pasted = host.copy()
    to = tuple(slice(a, a + s) for a, s in zip(start, side, strict=True))
    source = tuple(slice(a - d, a - d + s) for a, s, d in zip(start, side, shift, strict=True))
    pasted[to] = image[source]
    return pasted


def nearest_images(
    images: np.ndarray,
    reference_index: ReferenceIndex,
    training: RealImages,
    calibration: Calibration,
    *,
    first: int = 0,
    listener: Listener = ignore,
) -> list[tuple[Match, ...]]:
    """For every image (N, H, W), in physical units, its nearest training image by each measure.

    `first` is the slice number of the first image.
    """
    found = []
    with Stage("comparing with training images", total=len(images), listener=listener) as stage:
        for number, image in enumerate(images):
            best = reference_index.compare(image).best(np.ones(len(reference_index), dtype=bool))
            found.append(
                tuple(
                    Match(
                        first + number,
                        training.name(index),
                        name,
                        round(score, 4),
                        round(calibration.thresholds[name], 4),
                    )
                    for name, (index, score) in best.items()
                )
            )
            stage.advance()
    return found


def worst(matches: Sequence[tuple[Match, ...]]) -> tuple[Match, ...]:
    """Per measure the nearest match of all images."""
    return tuple(max(same, key=lambda m: m.similarity) for same in zip(*matches, strict=True))


def pair_picture(
    image: np.ndarray, match: Match, training: RealImages, *, preset: Preset
) -> np.ndarray:
    """A sample (H, W) and its nearest training image side by side in the first window, uint8."""
    names = [training.name(i) for i in range(len(training.images))]
    pair = np.hstack([image, training.images[names.index(match.training_image)]])
    return preset.windows[0].to_8_bit(pair)

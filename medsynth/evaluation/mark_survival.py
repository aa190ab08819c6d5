"""What the mark in the pixels survives: everything that is usually done to an image, one row each."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from PIL import Image
from scipy import ndimage

from medsynth.domains import Preset
from medsynth.domains.base import Window
from medsynth.evaluation.lesion_fidelity.figure import wilson
from medsynth.events import Listener, Stage, ignore
from medsynth.images import read_image
from medsynth.images.files import READABLE, suffix_of
from medsynth.marking.detection import ALPHA, detect, scores_of
from medsynth.marking.keys import PRODUCT
from medsynth.marking.pixels import marked

Change = Callable[[np.ndarray], np.ndarray]
NOISE_SHARE = 0.5  # of the standard deviation of what varies from pixel to pixel


@dataclass(frozen=True)
class Survival:
    """How many of `images` marked slices are found after `change`, and of the unmarked ones.

    `interval`: 95 % of the rate (Wilson). `worst`: the largest p-value of a marked slice,
    `nearest` the smallest of an unmarked one; None where there were no unmarked ones.
    """

    change: str
    images: int
    found: int
    false_alarms: int | None
    worst: float
    nearest: float | None

    @property
    def interval(self) -> tuple[float, float]:
        """Of the detection rate."""
        return wilson(self.found, self.images)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"interval": self.interval}


def middle_slices(
    folder: Path, preset: Preset, *, most: int
) -> tuple[list[Path], Iterator[np.ndarray]]:
    """At most `most` images below a folder, evenly spaced by name, and the middle slice of each.

    Raises:
        FileNotFoundError: there is no image.
    """
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and suffix_of(path) in (*READABLE, ".dcm") and not _is_no_image(path)
    ]
    if not found:
        raise FileNotFoundError(
            f"{folder} holds no image; give a folder of images without the mark"
        )
    chosen = [found[i] for i in np.linspace(0, len(found) - 1, min(most, len(found))).astype(int)]
    return chosen, (_middle_slice(path) for path in chosen)


def _is_no_image(path: Path) -> bool:
    words = ("pathology_", "label_", "preview", "audit")  # also pictures of result and reference
    return path.name.startswith(words) or "lesion" in path.name or path.parent.name == "seg"


def _middle_slice(path: Path) -> np.ndarray:
    read = read_image(path)
    volume = sitk.GetArrayViewFromImage(read.image)
    return np.array(volume[len(volume) // 2], np.float32)


def table_of(rows: Sequence[Survival]) -> str:
    """As Markdown."""
    lines = [
        f"{rows[0].images} images; marked means p < {ALPHA:g}",
        "",
        "| change | found | 95 % interval | false alarms | worst p | smallest p without a mark |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = (f"{end:.1%}" for end in row.interval)
        without = "-" if row.nearest is None else f"{row.nearest:.1g}"
        alarms = "-" if row.false_alarms is None else str(row.false_alarms)
        lines.append(
            f"| {row.change} | {row.found / row.images:.1%} | {low} to {high} | {alarms} | "
            f"{row.worst:.1g} | {without} |"
        )
    return "\n".join(lines)


def measure(
    slices: Iterable[np.ndarray],
    preset: Preset,
    *,
    total: int,
    carry_mark: bool = False,
    listener: Listener = ignore,
) -> list[Survival]:
    """Each of `slices` (H, W) in the preset's units after every change.

    Unmarked ones as they are and marked; those that `carry_mark` as they are.
    """
    changes = changes_of(preset)
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in changes}
    with Stage("marks", total=total, listener=listener) as stage:
        for plane in slices:
            pair = [np.rint(plane).astype(np.float32)]
            if not carry_mark:
                limits = preset.mark_limits
                pair.insert(0, marked(pair[0], 1.0, key=PRODUCT, limits=limits))
            for name, change in changes.items():
                found[name].append(tuple(_p(change(each)) for each in pair))
            stage.advance()
    return [_row(name, np.array(values)) for name, values in found.items() if values]


def _p(values: np.ndarray) -> float:
    return detect(*scores_of(values), PRODUCT).p_value


def _row(name: str, p: np.ndarray) -> Survival:
    """Of p-values (images, 1 or 2): marked, unmarked."""
    hits = (p < ALPHA).sum(axis=0)
    alarms, nearest = (int(hits[1]), float(p[:, 1].min())) if p.shape[1] > 1 else (None, None)
    return Survival(name, len(p), int(hits[0]), alarms, float(p[:, 0].max()), nearest)


def changes_of(preset: Preset) -> dict[str, Change]:
    """By name; pictures of every window of the preset, and JPEG of them."""
    changes: dict[str, Change] = {
        "stored as whole numbers": np.rint,
        "cropped to a quarter": _middle,
        "shifted": lambda v: np.roll(v, (17, -31), (0, 1)),
        "flipped": lambda v: v[:, ::-1],
        "turned by 2 degrees": lambda v: _turned(v, 2),
        "turned by 5 degrees": lambda v: _turned(v, 5),
        "scaled by 0.7": lambda v: _scaled(v, 0.7),
        "scaled by 1.4": lambda v: _scaled(v, 1.4),
        "scaled by 0.7 and back": lambda v: _scaled(_scaled(v, 0.7), 1 / 0.7),
        "noise of half its own": _noisy,
        "blurred by 0.7 pixels": lambda v: ndimage.gaussian_filter(v, 0.7),
    }
    for window in preset.windows:
        changes[f"8 bits, {window.name}"] = _picture(window)
        for quality in (90, 75, 50):
            changes[f"JPEG {quality}, {window.name}"] = _jpeg(window, quality)
    first = preset.windows[0]
    changes[f"screenshot at 1.25, {first.name}"] = lambda v: _scaled(_picture(first)(v), 1.25)
    return changes


def _picture(window: Window) -> Change:
    return lambda values: window.to_8_bit(values).astype(np.float32)


def _jpeg(window: Window, quality: int) -> Change:
    def change(values: np.ndarray) -> np.ndarray:
        data = io.BytesIO()
        Image.fromarray(window.to_8_bit(values)).save(data, "JPEG", quality=quality)
        return np.asarray(Image.open(data), np.float32)

    return change


def _middle(values: np.ndarray) -> np.ndarray:
    h, w = values.shape
    return values[h // 4 : h // 4 + h // 2, w // 4 : w // 4 + w // 2]


def _scaled(values: np.ndarray, factor: float) -> np.ndarray:
    picture = Image.fromarray(np.asarray(values, np.float32))
    size = (round(picture.width * factor), round(picture.height * factor))
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))


def _turned(values: np.ndarray, degrees: float) -> np.ndarray:
    picture = Image.fromarray(np.asarray(values, np.float32))
    lowest = float(values.min())
    return np.asarray(picture.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=lowest))


def _noisy(values: np.ndarray) -> np.ndarray:
    fine = values - ndimage.uniform_filter(values, 5)
    deviation = NOISE_SHARE * 1.48 * float(np.median(np.abs(fine[np.abs(fine) > 0.5])))
    return values + np.random.default_rng(0).normal(0, deviation, values.shape)

"""Blinded readings: slices that a reader calls real or synthetic, and a key that is opened afterwards.

Krishna et al. let radiologists do so (46 % right). Every slice is shown once, real *or* synthetic by
the toss of a coin and in a window drawn at random, so that neither pairs nor counts help the reader.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from medsynth.domains import Preset
from medsynth.evaluation.held_out import Pairs
from medsynth.evaluation.lesion_fidelity.figure import wilson

KEY = "key.csv"
ANSWERS = "answers.csv"
COLUMNS = ("number", "truth", "window", "patient", "slice")
TRUTHS = ("real", "synthetic")
CAPTION = 18  # pixels above each image


@dataclass(frozen=True)
class Item:
    """One image of a reading: pair `index`, seen through window number `window`."""

    index: int
    synthetic: bool
    window: int


def draw_items(count: int, *, windows: int, seed: int) -> list[Item]:
    """Each of `count` pairs once, in random order, by independent tosses of a coin."""
    rng = np.random.default_rng(seed)
    return [
        Item(int(k), bool(rng.integers(2)), int(rng.integers(windows)))
        for k in rng.permutation(count)
    ]


def write_reading(
    pairs: Pairs, folder: Path, *, preset: Preset, seed: int, per_sheet: int = 6
) -> None:
    """Sheets of `per_sheet` numbered images, an answer sheet to fill in, and the key.

    Raises:
        FileExistsError: the folder holds a reading already; its answers are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / KEY).exists():
        raise FileExistsError(f"{folder} holds a reading already; choose another folder")
    items = draw_items(len(pairs.real), windows=len(preset.windows), seed=seed)
    for begin in range(0, len(items), per_sheet):
        part = items[begin : begin + per_sheet]
        cells = [_cell(pairs, item, preset, begin + k + 1) for k, item in enumerate(part)]
        _tiled(cells).save(folder / f"sheet-{begin // per_sheet + 1:02}.png", optimize=True)
    with (folder / ANSWERS).open("w", newline="") as file:
        csv.writer(file).writerows(
            [("number", "answer"), *((n + 1, "") for n in range(len(items)))]
        )
    with (folder / KEY).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, item in enumerate(items, start=1):
            window, owner = preset.windows[item.window].name, pairs.owners[item.index]
            writer.writerow((number, TRUTHS[item.synthetic], window, owner, item.index))


def score(folder: Path, *, answers: Path | None = None) -> dict:
    """How often the reader was right: `right` of `read`, `share` with its 95 % `interval` (Wilson).

    Also per window, and how often synthetic images were found (`sensitivity`) and real ones believed
    (`specificity`). Images without an answer are left out.

    Raises:
        ValueError: no answer at all, or one that is neither real nor synthetic.
    """
    truth = {row["number"]: row for row in _rows(folder / KEY)}
    given = {}
    for row in _rows(answers or folder / ANSWERS):
        word = row["answer"].strip().lower()
        matches = [name for name in TRUTHS if word and name.startswith(word)]
        if word and not matches or row["number"] not in truth:
            raise ValueError(
                f"image {row['number']}: the answer must be real or synthetic (or r, s) to a number "
                f"of the key, got {row['answer']!r}"
            )
        if matches:
            given[row["number"]] = matches[0]
    if not given:
        raise ValueError(f"no answers; fill in {answers or folder / ANSWERS}")
    read = [(truth[n]["truth"], answer, truth[n]["window"]) for n, answer in given.items()]
    windows = dict.fromkeys(window for *_, window in read)
    return {
        **_share([t == a for t, a, _ in read]),
        "sensitivity": _mean([a == t for t, a, _ in read if t == "synthetic"]),
        "specificity": _mean([a == t for t, a, _ in read if t == "real"]),
        "windows": {w: _share([t == a for t, a, of in read if of == w]) for w in windows},
    }


def _share(right: Sequence[bool]) -> dict:
    low, high = wilson(sum(right), len(right))
    return {
        **{"right": sum(right), "read": len(right)},
        **{"share": sum(right) / len(right), "interval": [low, high]},
    }


def _mean(right: Sequence[bool]) -> float | None:
    return sum(right) / len(right) if right else None


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _cell(pairs: Pairs, item: Item, preset: Preset, number: int) -> np.ndarray:
    """The image under its number and window. Rounded as a file has it: digits give nothing away."""
    plane = (pairs.synthetic if item.synthetic else pairs.real)[item.index]
    window = preset.windows[item.window]
    gray = window.to_8_bit(np.rint(plane))
    caption = Image.new("L", (gray.shape[1], CAPTION), 0)
    ImageDraw.Draw(caption).text((4, 3), f"{number}  {window.name}", fill=255)
    return np.vstack([np.asarray(caption), gray])


def _tiled(cells: list[np.ndarray], *, columns: int = 3) -> Image.Image:
    blank = np.zeros_like(cells[0])
    cells = cells + [blank] * (-len(cells) % columns)
    rows = [np.hstack(cells[k : k + columns]) for k in range(0, len(cells), columns)]
    return Image.fromarray(np.vstack(rows))

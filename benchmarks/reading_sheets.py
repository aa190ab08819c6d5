"""A blinded reading on paper: sheets of slices, each real or synthetic, and a key for afterwards.

    python benchmarks/reading_sheets.py figures/pairs.npz -o reading --count 18 --seed 7
    python benchmarks/reading_sheets.py --score reading

`medsynth evaluate` writes the pairs. Every slice is shown once, as the real one or as the one that was
made from it, by the toss of a coin, in a window that is drawn too. Write real or synthetic for each
number into reading/answers.csv, from the sheets alone, before anybody opens reading/key.csv. How many are
real is not known beforehand. Who has seen one reading has seen its images; another seed makes another.
`medsynth study` does the same in a browser, for several readers, with a report.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image, ImageDraw

from medsynth import domains
from medsynth.domains import Preset
from medsynth.marking import png_chunks
from medsynth.storage.files import new_file

PER_SHEET = 2
SCALE = 1.75
Z_95 = 1.959964


def write_reading(pairs: Path, out: Path, *, preset: Preset, count: int, seed: int) -> None:
    """Sheets, an empty answers.csv and key.csv in the new folder `out`.

    Raises:
        ValueError: fewer slices than are to be shown.
        OSError: `out` is there already.
    """
    with np.load(pairs) as file:
        shown = {"real": file["real"], "synthetic": file["synthetic"]}
        patients = file["patients"].tolist()
    slices = len(shown["real"])
    if not 1 <= count <= slices:
        raise ValueError(f"--count must be from 1 to {slices}, the slices of {pairs}, got {count}")
    out.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(slices)[:count].tolist()
    kinds = [("real", "synthetic")[k] for k in rng.integers(2, size=count)]
    windows = [preset.windows[k] for k in rng.integers(len(preset.windows), size=count)]
    cells = [
        _cell(window.to_8_bit(shown[kind][index]), f"{number + 1}: {window.name}")
        for number, (index, kind, window) in enumerate(zip(chosen, kinds, windows, strict=True))
    ]
    for number, first in enumerate(range(0, count, PER_SHEET)):
        sheet = Image.fromarray(np.hstack(cells[first : first + PER_SHEET]))
        with new_file(out / f"sheet-{number + 1:02}.png") as file:
            sheet.save(file, format="PNG", pnginfo=png_chunks())
    _table(
        out / "answers.csv", ("number", "answer", "why"), [(n + 1, "", "") for n in range(count)]
    )
    key = [
        (n + 1, kind, window.name, patients[index], index)
        for n, (index, kind, window) in enumerate(zip(chosen, kinds, windows, strict=True))
    ]
    _table(out / "key.csv", ("number", "kind", "window", "patient", "slice"), key)


def score(folder: Path) -> dict[str, object]:
    """How many of the answers in `folder` are right, with Wilson's 95 % interval, and by kind and window.

    Raises:
        ValueError: an answer is missing or is no word of the key.
    """
    key = {row["number"]: row for row in _rows(folder / "key.csv")}
    given = {row["number"]: row["answer"].strip() for row in _rows(folder / "answers.csv")}
    for number in key:
        if given.get(number) not in ("real", "synthetic"):
            raise ValueError(
                f"{folder / 'answers.csv'}: number {number} needs real or synthetic, got {given.get(number)!r}"
            )
    right = {number: given[number] == row["kind"] for number, row in key.items()}
    low, high = _wilson(sum(right.values()), len(right))
    found: dict[str, object] = {
        "right": sum(right.values()),
        "of": len(right),
        "interval": [round(low, 3), round(high, 3)],
        "wrong": [number for number, is_right in right.items() if not is_right],
    }
    for column in ("kind", "window"):
        for word in sorted({row[column] for row in key.values()}):
            among = [right[n] for n, row in key.items() if row[column] == word]
            found[word] = f"{sum(among)} of {len(among)}"
    return found


def _cell(gray: np.ndarray, title: str) -> np.ndarray:
    image = Image.fromarray(gray)
    image = image.resize([round(SCALE * side) for side in image.size], Image.Resampling.BICUBIC)
    ImageDraw.Draw(image).text((8, 6), title, fill=255)
    return np.asarray(image)


def _wilson(right: int, count: int) -> tuple[float, float]:
    share, more = right / count, Z_95**2 / count
    middle = (share + more / 2) / (1 + more)
    half = Z_95 * np.sqrt(share * (1 - share) / count + more / (4 * count)) / (1 + more)
    return float(middle - half), float(middle + half)


def _table(path: Path, header: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    with new_file(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main(argv: list[str] | None = None) -> int:
    """Write a reading, or score one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", nargs="?", type=Path, help="pairs.npz of medsynth evaluate")
    parser.add_argument("-o", "--out", type=Path, help="new folder for sheets and key")
    parser.add_argument("--preset", default="lung_ct")
    parser.add_argument("--count", type=int, default=18)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--score", type=Path, metavar="FOLDER", help="score a reading")
    args = parser.parse_args(argv)
    if bool(args.score) == bool(args.pairs and args.out):
        parser.error("give PAIRS and --out to write a reading, or --score to score one")
    try:
        if args.score:
            print(json.dumps(score(args.score), indent=2))
        else:
            preset = domains.get(args.preset)
            write_reading(args.pairs, args.out, preset=preset, count=args.count, seed=args.seed)
    except (ValueError, OSError) as error:
        print(f"reading_sheets: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

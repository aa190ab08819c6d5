"""False alarms of the mark in the pixels: real images with the product's and other keys, beside the theory.

    python benchmarks/mark_tail.py FOLDER... --keys 8 --picture tail.png

Without a mark the sum of the scores at a key's frequencies follows a gamma distribution, whatever the image.
Says how many sums lie in its tails, and the smallest p-value of a whole search with the product's key.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import SimpleITK as sitk
from scipy.special import gammaincc

from medsynth.images import read_image
from medsynth.images.files import READABLE, suffix_of
from medsynth.marking.bands import BANDS
from medsynth.marking.detection import ALPHA, detect, looked_up, scores_of
from medsynth.marking.keys import PRODUCT, MarkKey
from medsynth.marking.pattern import WAVES, frequencies_of
from medsynth.marking.spectrum import SMALLEST


def planes(folders: list[Path]) -> Iterator[tuple[Path, np.ndarray]]:
    """Every readable image below the folders that is no mask: its middle slice."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if not path.is_file() or suffix_of(path) not in (*READABLE, ".dcm"):
                continue
            if "lesion" in path.name or path.parent.name == "seg":
                continue
            try:
                volume = sitk.GetArrayFromImage(read_image(path).image)
            except (ValueError, ImportError):  # broken on purpose, or of a kind that is no image
                continue
            if min(volume.shape[1:]) >= SMALLEST:
                yield path, volume[len(volume) // 2]


def draw(totals: np.ndarray, path: Path) -> None:
    """Measured and expected share of sums above a value."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    ordered = np.sort(totals)[::-1]
    share = np.arange(1, len(ordered) + 1) / len(ordered)
    x = np.linspace(8, max(60, ordered[0] + 5), 300)
    figure, axes = plt.subplots(figsize=(6, 3.6), dpi=120)
    axes.semilogy(x, gammaincc(WAVES, x), color="#888", label="theory: gamma distribution")
    axes.semilogy(ordered, share, ".", ms=3, color="#1f6fb4", label="real images, unmarked")
    axes.axhline(ALPHA, color="#b00020", lw=0.8, ls="--", label="marked (before counting tries)")
    axes.set(
        xlabel=f"sum of -log(1 - rank) over {WAVES} waves",
        ylabel="share of sums above",
        ylim=(1e-9, 1.5),
    )
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Print the tails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", metavar="FOLDER", nargs="+", type=Path)
    parser.add_argument("--keys", type=int, default=8, help="other keys (default: 8)")
    parser.add_argument("--picture", metavar="PNG", type=Path)
    args = parser.parse_args()
    keys = [PRODUCT, *(MarkKey("other", b"tail %027d" % n) for n in range(args.keys))]
    totals, found = [], []
    for path, plane in planes(args.folders):
        scores, side = scores_of(np.rint(plane))
        waves = [frequencies_of(key, band) for key in keys[1:] for band in BANDS]
        totals.append([looked_up(scores, one).sum() for one in waves])
        p = detect(scores, side, PRODUCT).p_value
        found.append((p, path))
        if p < ALPHA:
            print(f"FALSE ALARM: {path}, p = {p:.2g}", flush=True)
    sums = np.array(totals).ravel()
    p = gammaincc(WAVES, sums)
    print(f"{len(found)} images; {sum(p < ALPHA for p, _ in found)} false alarms; smallest p:")
    for smallest, path in sorted(found)[:3]:
        print(f"  {smallest:.2g}  {path}")
    print(
        f"{len(sums)} sums with {args.keys} other keys in {len(BANDS)} bands, the largest of them p = {p.min():.2g}"
    )
    for level in (0.1, 0.01, 1e-3, 1e-4):
        print(f"  below {level:g}: {(p < level).sum()}, expected {level * len(sums):.0f}")
    if args.picture:
        draw(sums, args.picture)


if __name__ == "__main__":
    main()

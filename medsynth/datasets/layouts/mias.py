"""mini-MIAS: Info.txt and mdb001.pgm ... mdb322.pgm, 1024 x 1024 pixels of 0.2 mm, all MLO.

Mammograms come in pairs of one woman: odd numbers are right breasts, even ones left.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from medsynth.datasets.entries import DataEntry, Outline
from medsynth.datasets.layouts.csv_files import expect
from medsynth.datasets.settings import Data

PIXEL_MM = 0.2
SIZE = 1024
TISSUE = {"F": "fatty", "G": "fatty-glandular", "D": "dense-glandular"}
FINDINGS = ("CALC", "CIRC", "SPIC", "MISC", "ARCH", "ASYM", "NORM")
# mdb001 G CIRC B 535 425 197; the coordinates and the severity may be missing.
LINE = re.compile(
    rf"(?P<name>mdb(?P<number>\d{{3}})\w*)\s+(?P<tissue>[FGD])\s+(?P<finding>{'|'.join(FINDINGS)})"
    r"(?:\s+(?P<severity>[BM]))?(?:\s+(?P<x>\d+)\s+(?P<y>\d+)\s+(?P<radius>\d+))?"
)


def read_mias(root: Path, data: Data) -> list[DataEntry]:
    """One entry per mammogram with all its lesions; some have no place, being spread over the breast."""
    info = expect(root, "Info.txt", layout="mias", more="mdb001.pgm, mdb002.pgm, ...")
    mammograms: dict[str, list[re.Match[str]]] = {}
    for line in info.read_text(errors="replace").splitlines():
        match = LINE.match(line.strip())
        if match and (root / f"{match['name']}.pgm").is_file():
            mammograms.setdefault(match["name"], []).append(match)
    if not mammograms:
        raise ValueError(
            f"layout 'mias' expects lines as `mdb001 G CIRC B 535 425 197` in {info} and mdb001.pgm "
            "beside it; no line has its mammogram"
        )
    return [_entry(root / f"{name}.pgm", lines) for name, lines in sorted(mammograms.items())]


def _entry(path: Path, lines: list[re.Match[str]]) -> DataEntry:
    number = int(lines[0]["number"])
    labels = ["/".join(filter(None, (line["finding"], line["severity"]))) for line in lines]
    return DataEntry(
        path=path,
        patient=f"MIAS-p{(number + 1) // 2:03d}",
        name=path.name,
        labels=tuple(dict.fromkeys(labels)),
        outlines=tuple(
            _disc(line, finding=f"{path.stem}/{i}") for i, line in enumerate(lines) if line["x"]
        ),
        view="MLO",
        laterality="R" if number % 2 else "L",
        pixel_mm=PIXEL_MM,
        size=(SIZE, SIZE),
        details={"tissue": TISSUE[lines[0]["tissue"]]},
    )


def _disc(line: re.Match[str], *, finding: str) -> Outline:
    """The circle as a polygon of 64 corners; y is counted from the mammogram's bottom."""
    x, y, radius = (int(line[name]) for name in ("x", "y", "radius"))
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    points = np.stack([x + radius * np.cos(angle), SIZE - 1 - y + radius * np.sin(angle)], axis=1)
    return Outline(points=points, label=line["finding"], finding=finding)

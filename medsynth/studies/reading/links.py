"""The readers' personal links, which only the person who runs the study has."""

from __future__ import annotations

import csv
from pathlib import Path

from medsynth.studies.reading.design import LINKS


def links_with(folder: Path, base: str) -> dict[str, str]:
    """Each reader's link under the address `base`."""
    with (folder / LINKS).open(newline="", encoding="utf-8") as file:
        return {row["reader"]: base.rstrip("/") + row["link"] for row in csv.DictReader(file)}

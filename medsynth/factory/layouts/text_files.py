"""Tables and JSON of a layout, whole or not at all, and never more than a line in memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medsynth.storage.files import new_file


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """A table with a line of names; what a row does not have is empty."""
    with (
        new_file(path, overwrite=True) as partial,
        open(partial, "w", encoding="utf-8", newline="") as file,
    ):
        table = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def write_json(path: Path, value: Any) -> None:
    """Readable JSON."""
    with new_file(path, overwrite=True) as partial:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")

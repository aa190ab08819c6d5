"""The rows of a set, one an image: what was drawn for it. plan.jsonl is what code reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medsynth.storage.files import new_file

FILE, PARQUET = "plan.jsonl", "plan.parquet"


@dataclass(frozen=True)
class PlanRow:
    """One image of a set.

    Attributes:
        anatomy: id, patient, image or phantom, factor, slice (from 0; None: all, or not drawn yet),
            license, source.
        lesions: kind, source, diameter_mm, center_mm (None until the image is made), factor.
        request: the request of the image; None until it is made.
    """

    id: str
    seed: int
    split: str
    anatomy: dict[str, Any]
    lesions: tuple[dict[str, Any], ...] = ()
    request: dict[str, Any] | None = None

    @property
    def patient(self) -> str:
        """Who, or which drawn person, the anatomy is of."""
        return str(self.anatomy["patient"])

    @property
    def patients(self) -> list[str]:
        """Whose images it is made from."""
        return [self.anatomy["patient"], *(e["patient"] for e in self.lesions if e.get("patient"))]

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> PlanRow:
        """As `to_json` wrote it."""
        record = json.loads(line)
        return cls(**{**record, "lesions": tuple(record["lesions"])})


def read_rows(folder: Path) -> list[PlanRow]:
    """The rows of a set.

    Raises:
        ValueError: plan.jsonl is damaged.
    """
    path = folder / FILE
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            rows.append(PlanRow.from_json(line))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}, line {number} cannot be read ({error}); remove the file and give the same "
                "command again: it is made from plan.yaml and items"
            ) from None
    return rows


def write_rows(rows: Iterable[PlanRow], folder: Path) -> None:
    """plan.jsonl, and plan.parquet where pyarrow is installed; both appear complete."""
    rows = list(rows)
    with new_file(folder / FILE, overwrite=True) as partial:
        partial.write_text("".join(row.to_json() + "\n" for row in rows), encoding="utf-8")
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        return
    table = pyarrow.Table.from_pylist([_flat(row) for row in rows])
    with new_file(folder / PARQUET, overwrite=True) as partial:
        parquet.write_table(table, partial)


def _flat(row: PlanRow) -> dict[str, Any]:
    """A row whose columns have one type: what differs from row to row is JSON text."""
    anatomy = row.anatomy
    return {
        "id": row.id,
        "seed": row.seed,
        "split": row.split,
        "anatomy": anatomy["id"],
        "patient": anatomy["patient"],
        "image": anatomy["image"],
        "phantom": json.dumps(anatomy["phantom"]) if anatomy["phantom"] else None,
        "factor": anatomy["factor"],
        "slice": anatomy["slice"],
        "license": anatomy["license"],
        "source": anatomy["source"],
        "lesions": json.dumps(list(row.lesions)),
        "request": json.dumps(row.request) if row.request is not None else None,
    }

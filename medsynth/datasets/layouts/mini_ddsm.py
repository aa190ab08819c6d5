"""mini-DDSM: DataWMask.xlsx (or saved as .csv) beside Benign, Cancer and Normal folders of pictures."""

from __future__ import annotations

import re
from pathlib import Path

from medsynth.datasets.entries import DataEntry
from medsynth.datasets.layouts.csv_files import held, named_rows, rows_of, side
from medsynth.datasets.layouts.spreadsheet import read_xlsx
from medsynth.datasets.settings import Data

NEEDED = ("fullPath", "fileName", "View", "Side", "Status")
MASKS = ("Tumour_Contour", "Tumour_Contour2", "Tumour_Contour3")
# C_0029_1.LEFT_CC.jpg: the volume and number of a DDSM case, one woman.
CASE = re.compile(r"([A-D]_\d+)_")


def read_mini_ddsm(root: Path, data: Data) -> list[DataEntry]:
    """One entry per row; paths have backslashes, and `-` where there is no mask."""
    table, rows = _rows(root)
    entries, lost = [], []
    for row in rows:
        path = _below(root, row["fullPath"])
        if path is None:
            lost.append(row["fullPath"])
            continue
        case = CASE.match(row["fileName"] or path.name)
        if not case:
            raise ValueError(
                f"{table}: {row['fileName']!r} does not begin with a case, as C_0029_1"
            )
        named = [row.get(name, "") for name in MASKS]
        named = [mask for mask in named if mask.strip("- ")]
        masks = [mask for name in named if (mask := _below(root, name)) is not None]
        if len(masks) < len(named):
            raise ValueError(f"{table} names masks of {row['fileName']} that are not there")
        entries.append(
            DataEntry(
                path=path,
                patient=case.group(1),
                name=path.relative_to(root).as_posix(),
                labels=(row["Status"].casefold(),),
                masks=tuple(masks),
                view=row["View"].upper(),
                laterality=side(row["Side"]),
                details={
                    name.casefold(): row[name] for name in ("Age", "Density") if row.get(name)
                },
            )
        )
    if lost:
        raise ValueError(
            f"{table} names {len(lost)} images that are not there, such as {lost[0]}; keep the rows "
            "of the images that you have"
        )
    return entries


def _rows(root: Path) -> tuple[Path, list[dict[str, str]]]:
    for name in ("DataWMask.xlsx", "DataWMask.csv"):
        for path in sorted(root.glob(name)) or sorted(root.glob(f"*/{name}")):
            if path.suffix == ".csv":
                return path, rows_of(path, needed=NEEDED)
            return path, named_rows(read_xlsx(path), needed=NEEDED, path=path)
    raise ValueError(
        f"layout 'mini_ddsm' expects DataWMask.xlsx or DataWMask.csv beside Benign/, Cancer/ and "
        f"Normal/ in {root}, which holds {held(root)}"
    )


def _below(root: Path, written: str) -> Path | None:
    r"""The file of Benign\0029\C_0029_1.LEFT_CC.jpg, in `root` or one folder below."""
    path = written.strip().replace("\\", "/").lstrip("/")
    tries = (root / path, *sorted(root.glob(f"*/{path}")))
    return next((p for p in tries if p.is_file()), None)

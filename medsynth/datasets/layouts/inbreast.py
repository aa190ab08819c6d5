"""INbreast: AllDICOMs, AllXML (OsiriX outlines as property lists) and INbreast.csv with ';'.

The patient is the second word of a DICOM file's name, 20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm; the
table's own column says `removed`.
"""

from __future__ import annotations

import plistlib
import re
from pathlib import Path
from xml.parsers.expat import ExpatError

import numpy as np

from medsynth.datasets.entries import DataEntry, Outline
from medsynth.datasets.layouts.csv_files import expect, named_rows, rows_of
from medsynth.datasets.layouts.spreadsheet import read_xlsx
from medsynth.datasets.settings import Data

NAME = re.compile(r"(?P<number>\d+)_(?P<patient>[^_]+)_MG_(?P<side>[LR])_(?P<view>[A-Z]+)_.*\.dcm")
NEEDED = ("File Name", "ACR", "Bi-Rads")


def read_inbreast(root: Path, data: Data) -> list[DataEntry]:
    """Every mammogram of AllDICOMs; findings are the names of its outlines (Mass, Calcification, ...)."""
    folder = expect(root, "AllDICOMs", layout="inbreast", more="AllXML and INbreast.csv")
    table = _table(root)
    entries = []
    for path in sorted(folder.glob("*.dcm")):
        match = NAME.fullmatch(path.name)
        if not match:
            raise ValueError(
                f"{path} is not named like an INbreast mammogram, NUMBER_PATIENT_MG_R_CC_ANON.dcm"
            )
        xml = root / "AllXML" / f"{match['number']}.xml"
        outlines = read_outlines(xml) if xml.is_file() else ()
        row = table.get(match["number"], {})
        entries.append(
            DataEntry(
                path=path,
                patient=match["patient"],
                name=path.relative_to(root).as_posix(),
                labels=tuple(dict.fromkeys(o.label for o in outlines)),
                outlines=outlines,
                view={"ML": "MLO"}.get(match["view"], match["view"]),  # the files say ML for MLO
                laterality=match["side"],
                details={"density": row.get("ACR", ""), "BIRADS": row.get("Bi-Rads", "")},
            )
        )
    if not entries:
        raise ValueError(f"layout 'inbreast' expects *.dcm in {folder}, which holds none")
    return entries


def read_outlines(path: Path) -> tuple[Outline, ...]:
    """The outlines of one XML file, in pixels; a calcification may be a single point.

    Raises:
        ValueError: not a property list of OsiriX.
    """
    try:
        with open(path, "rb") as file:
            images = plistlib.load(file)["Images"]
        return tuple(
            Outline(
                points=np.array([_point(word) for word in roi["Point_px"]], float),
                label=roi.get("Name", "").strip() or "finding",
                finding=f"{path.stem}/{number}",
            )
            for image in images
            for number, roi in enumerate(image["ROIs"])
            if roi.get("Point_px")
        )
    except (plistlib.InvalidFileException, ExpatError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is not an OsiriX property list with Images, ROIs and Point_px ({error!r})"
        ) from error


def _point(text: str) -> tuple[float, float]:
    """(x, y) of "(1234.5, 678.9)"."""
    x, y = text.strip().strip("()").split(",")
    return float(x), float(y)


def _table(root: Path) -> dict[str, dict[str, str]]:
    """Rows of INbreast.csv, or INbreast.xlsx, by file number; empty where there is neither."""
    if (root / "INbreast.csv").is_file():
        rows = rows_of(root / "INbreast.csv", needed=NEEDED, delimiter=";")
    elif (root / "INbreast.xlsx").is_file():
        path = root / "INbreast.xlsx"
        rows = named_rows(read_xlsx(path), needed=NEEDED, path=path)
    elif (root / "INbreast.xls").is_file():
        raise ValueError(
            f"{root / 'INbreast.xls'} cannot be read; save it as INbreast.csv with ';'"
        )
    else:
        return {}
    return {row["File Name"].partition(".")[0]: row for row in rows}

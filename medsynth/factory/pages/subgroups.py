"""Whom the images are of, as far as headers of references say it, and what nobody says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medsynth.factory.rows import PlanRow
from medsynth.factory.store import DataSet

MISSING = "not stated"
DRAWN = "drawn person"
GROUPS = ("age", "sex", "density", "view", "side", "vendor")
MOST_FILES = 10_000


def subgroups(dataset: DataSet) -> dict[str, dict[str, int]]:
    """Images in each subgroup; a reference that cannot be read any more counts as not stated."""
    known: dict[str, dict[str, str]] = {}
    counts: dict[str, Counter[str]] = {group: Counter() for group in GROUPS}
    for item in dataset.items():
        key = str(item.row.anatomy.get("id"))
        if key not in known:
            known[key] = _said(item.row)
        for group in GROUPS:
            counts[group][known[key].get(group) or MISSING] += 1
    return {group: dict(sorted(count.items())) for group, count in counts.items()}


def _said(row: PlanRow) -> dict[str, str]:
    asked: Mapping[str, Any] = (row.request or {}).get("anatomy") or {}
    phantom = row.anatomy.get("phantom") or {}
    found = {"view": str(asked.get("view") or ""), "side": str(asked.get("laterality") or "")}
    image = row.anatomy.get("image")
    if image is None:
        found |= dict.fromkeys(("age", "sex", "vendor"), DRAWN)
        found["density"] = str(phantom.get("density") or "")
        found["view"] = found["view"] or str(phantom.get("view") or "")
        return found
    header = _header(Path(str(image)))
    return {**found, **{key: value for key, value in header.items() if value}}


def _header(path: Path) -> dict[str, str]:
    """What the first DICOM file of a reference says; nothing where it is not DICOM, or is gone."""
    import pydicom

    from medsynth.dicom import said_by
    from medsynth.images.dicom.files import is_dicom

    try:
        files = [path] if path.is_file() else _some_files(path)
        file = next((file for file in files if is_dicom(file)), None)
        if file is None:
            return {}
        header = pydicom.dcmread(file, stop_before_pixels=True, force=True)
    except (OSError, ValueError, AttributeError, pydicom.errors.InvalidDicomError):
        return {}
    where = said_by(header)
    return {
        "age": _decade(str(header.get("PatientAge") or "")),
        "sex": {"F": "female", "M": "male", "O": "other"}.get(str(header.get("PatientSex")), ""),
        "vendor": str(header.get("Manufacturer") or "").strip()[:40],
        "view": where["view"],
        "side": where["laterality"],
    }


def _some_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            found.append(path)
        if len(found) >= 20:
            break
    return found


def _decade(age: str) -> str:
    """`047Y` as `40 to 49`; DICOM's ages in months, weeks and days are of infants."""
    digits, unit = age[:-1], age[-1:]
    if not digits.isdigit():
        return ""
    if unit != "Y":
        return "under 10" if unit in "MWD" else ""
    low = int(digits) // 10 * 10
    return "under 10" if low == 0 else f"{low} to {low + 9}"

"""Readers of how collections lie on disk: one file and one function per layout."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from medsynth.datasets.entries import DataEntry
from medsynth.datasets.layouts.cbis_ddsm import read_cbis_ddsm
from medsynth.datasets.layouts.chestxray14 import read_chestxray14
from medsynth.datasets.layouts.dicom_trees import read_nlst
from medsynth.datasets.layouts.inbreast import read_inbreast
from medsynth.datasets.layouts.lidc import read_lidc
from medsynth.datasets.layouts.mias import read_mias
from medsynth.datasets.layouts.mini_ddsm import read_mini_ddsm
from medsynth.datasets.layouts.nifti import read_nifti_tree
from medsynth.datasets.layouts.patients import read_patients
from medsynth.datasets.layouts.rsna_mammography import read_rsna_mammography
from medsynth.datasets.layouts.table import read_table
from medsynth.datasets.settings import Data

LAYOUTS: dict[str, Callable[[Path, Data], list[DataEntry]]] = {
    "patients": read_patients,
    "table": read_table,
    "nifti": read_nifti_tree,
    "lidc": read_lidc,
    "nlst": read_nlst,
    "rsna_mammography": read_rsna_mammography,
    "cbis_ddsm": read_cbis_ddsm,
    "inbreast": read_inbreast,
    "mini_ddsm": read_mini_ddsm,
    "chestxray14": read_chestxray14,
    "mias": read_mias,
}


def read_entries(data: Data) -> list[DataEntry]:
    """Every image below `data.root` that `data.exclude` does not leave out.

    Raises:
        ValueError: no root, an unknown layout, or a folder that is not laid out like that.
    """
    if data.root is None:
        raise ValueError("data.root is not set: name the folder of images (--data FOLDER)")
    if data.layout not in LAYOUTS:
        near = difflib.get_close_matches(data.layout, LAYOUTS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"unknown data.layout {data.layout!r}, expected one of {', '.join(LAYOUTS)}{hint}"
        )
    root = Path(data.root)
    if not root.is_dir():
        raise ValueError(f"data.root {root} is not a folder")
    entries = LAYOUTS[data.layout](root, data)
    left = [e for e in entries if not e.name.startswith(data.exclude)]
    if not left:
        raise ValueError(f"data.exclude leaves out all {len(entries)} image series below {root}")
    return left

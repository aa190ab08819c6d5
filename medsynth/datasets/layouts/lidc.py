"""LIDC-IDRI: CT series of LIDC-IDRI-0001 ... 1012, and the contours of four readers in XML.

The XML files lie in the series' folder, or in one of their own (LIDC-XML-only/tcia-lidc-xml/157/
158.xml); either way they name the series they belong to.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np

from medsynth.datasets.entries import DataEntry, Outline
from medsynth.datasets.layouts.csv_files import held
from medsynth.datasets.layouts.dicom_trees import ct_series, patient_folders
from medsynth.datasets.settings import Data

PATIENT = re.compile(r"LIDC-IDRI-\d{4}")


def read_lidc(root: Path, data: Data) -> list[DataEntry]:
    """The CT series with the outlines of nodules of 3 mm and more, reader by reader."""
    patients = patient_folders(root, PATIENT)
    series = [(p, folder, header) for p in patients for folder, header in ct_series(p)]
    if not series:
        raise ValueError(
            f"layout 'lidc' expects LIDC-IDRI-0001/STUDY/SERIES/*.dcm in {root} or in LIDC-IDRI below "
            f"it; it holds {held(root)}"
        )
    outlines: dict[str, list[Outline]] = {}
    for path in sorted(root.rglob("*.xml")):
        uid, found = read_contours(path)
        outlines.setdefault(uid, []).extend(found)
    return [
        DataEntry(
            path=folder,
            patient=patient.name,
            name=folder.relative_to(root).as_posix(),
            labels=("nodule",) if outlines.get(str(header.SeriesInstanceUID)) else (),
            outlines=tuple(outlines.get(str(header.SeriesInstanceUID), ())),
        )
        for patient, folder, header in series
    ]


def read_contours(path: Path) -> tuple[str, list[Outline]]:
    """The UID of the series and its outlines; a radiograph's file, another kind, has none.

    The readers drew around the nodule: the outline's own pixels are the first ones outside it, and
    of a hole (inclusion FALSE) the first ones inside the nodule. Nodules below 3 mm are one point and
    non-nodules a locus; neither has an outline.

    Raises:
        ValueError: not XML.
    """
    try:
        message = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is not XML ({error}); it may be damaged") from error
    for element in message.iter():  # without the namespace http://www.nih.gov
        element.tag = element.tag.rpartition("}")[2]
    uid = message.findtext("ResponseHeader/SeriesInstanceUid", "").strip()
    outlines = [
        outline
        for number, session in enumerate(message.iter("readingSession"), start=1)
        for nodule in session.iter("unblindedReadNodule")
        for outline in _of_nodule(nodule, reader=f"reader {number}")
    ]
    return uid, outlines


def _of_nodule(nodule: ElementTree.Element, *, reader: str) -> list[Outline]:
    finding = nodule.findtext("noduleID", "").strip()
    outlines = []
    for roi in nodule.iter("roi"):
        points = [
            (int(edge.findtext("xCoord", "0")), int(edge.findtext("yCoord", "0")))
            for edge in roi.iter("edgeMap")
        ]
        if len(points) > 2:
            outlines.append(
                Outline(
                    points=np.array(points, float),
                    label="nodule",
                    inside=roi.findtext("inclusion", "TRUE").strip().upper() == "TRUE",
                    slice_uid=roi.findtext("imageSOP_UID", "").strip(),
                    finding=finding,
                    reader=reader,
                    open_edge=True,
                )
            )
    return outlines

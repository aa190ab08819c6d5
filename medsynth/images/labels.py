"""Labels that an image already has, each by itself: from a label map, a mask, `.seg.nrrd` or DICOM SEG."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.sequence import Sequence as CodeSequence

from medsynth.images.damage import naming
from medsynth.images.dicom.files import DicomFile, check_there, find_dicom, is_dicom
from medsynth.images.dicom.segmentation import read_segments
from medsynth.images.files import JPEG, load, suffix_of
from medsynth.images.masks import check_labels, read_mask
from medsynth.images.memory import SOURCE, from_memory
from medsynth.images.read import read_image

MOST_LABELS = 255

# Value, scheme and meaning of a code (PS3.3 table 8.8-1).
Triplet = tuple[str, str, str]


@dataclass(frozen=True, eq=False)
class Label:
    """The voxels of one label, uint8 0/1 on the grid of its file.

    `value` is the number in the file; `name` and the codes are empty where it has none.
    """

    value: int
    mask: sitk.Image
    name: str = ""
    category: Triplet | None = None
    type: Triplet | None = None


def read_labels(path: str | Path | sitk.Image | np.ndarray) -> list[Label]:
    """The labels of a file, in the order of their values; those that mark nothing are left out.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: Damaged, several segmentations in the folder, not whole numbers, no label at all,
            or so many that it must be an image.
    """
    if isinstance(path, (str, Path)):
        path = Path(path)
        check_there(path)
    with naming(
        path if isinstance(path, Path) else Path(SOURCE), otherwise="has labels that cannot be read"
    ):
        labels = [label for label in _labels(path) if sitk.GetArrayViewFromImage(label.mask).any()]
    if not labels:
        path = path if isinstance(path, Path) else SOURCE
        raise ValueError(f"{path} has no label: every voxel is 0")
    return labels


def _labels(path: Path | sitk.Image | np.ndarray) -> Iterator[Label]:
    if not isinstance(path, Path):
        yield from _of_map(from_memory(path).image, SOURCE)
        return
    if path.is_dir() or is_dicom(path):
        found = [each for each in find_dicom(path, []) if each.is_segmentation]
        if len(found) > 1:
            names = ", ".join(each.path.name for each in found[:8])
            raise ValueError(
                f"{path} holds {len(found)} DICOM segmentations ({names}); name one file"
            )
        if found:
            yield from _of_dicom(found[0])
            return
    if path.name.lower().endswith(".seg.nrrd"):
        yield from _of_slicer(load(path), path)
    elif suffix_of(path) in JPEG:
        yield Label(1, read_mask(path))
    else:
        yield from _of_map(read_image(path).image, path)


def _of_map(image: sitk.Image, path: Path | str) -> Iterator[Label]:
    check_labels(sitk.GetArrayViewFromImage(image), path)
    for value in _values(image, path):
        yield Label(value, image == value)


def _values(image: sitk.Image, path: Path | str) -> list[int]:
    values = [int(v) for v in np.unique(sitk.GetArrayViewFromImage(image)) if v]
    if len(values) > MOST_LABELS:
        raise ValueError(
            f"{path} has {len(values)} different values, expected at most {MOST_LABELS} labels; is "
            "it an image?"
        )
    return values


def _of_dicom(file: DicomFile) -> Iterator[Label]:
    described = {int(item.SegmentNumber): item for item in file.header.get("SegmentSequence", [])}
    for number, mask in read_segments(file.path):
        item = described.get(number)
        if item is None:
            yield Label(number, mask)
            continue
        yield Label(
            number,
            mask,
            str(item.get("SegmentLabel") or ""),
            _triplet(item.get("SegmentedPropertyCategoryCodeSequence")),
            _triplet(item.get("SegmentedPropertyTypeCodeSequence")),
        )


def _triplet(sequence: CodeSequence | None) -> Triplet | None:
    if not sequence:
        return None
    item = sequence[0]
    value, scheme, meaning = (
        str(item.get(k) or "") for k in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
    )
    return (value, scheme, meaning or value) if value and scheme else None


def _of_slicer(image: sitk.Image, path: Path) -> Iterator[Label]:
    """Slicer keeps each segment's layer, value, name and terminology in keys of its own."""
    if image.GetDimension() != 3:
        raise ValueError(f"{path} has {image.GetDimension()} dimensions; save it again from Slicer")
    keys = set(image.GetMetaDataKeys())
    names = sorted(
        (key.removesuffix("_LabelValue") for key in keys if key.endswith("_LabelValue")),
        key=lambda stem: int("".join(c for c in stem if c.isdigit()) or 0),
    )
    layers = sitk.GetArrayViewFromImage(image)
    if image.GetNumberOfComponentsPerPixel() == 1:
        layers = layers[..., None]

    def said(stem: str, key: str) -> str:
        return image.GetMetaData(f"{stem}_{key}") if f"{stem}_{key}" in keys else ""

    if not names:
        for layer in range(layers.shape[-1]):
            for value in np.unique(layers[..., layer])[1:]:
                yield Label(int(value), _mask(layers[..., layer] == value, image))
        return
    for number, stem in enumerate(names, start=1):
        layer, value = int(said(stem, "Layer") or 0), int(said(stem, "LabelValue"))
        category, kind = _terminology(said(stem, "TerminologyEntry"))
        mask = _mask(layers[..., layer] == value, image)
        yield Label(number, mask, said(stem, "Name"), category, kind)


def _terminology(entry: str) -> tuple[Triplet | None, Triplet | None]:
    """`context~scheme^value^meaning~scheme^value^meaning~...`: the category and the type."""
    _, category, kind, *_ = [*entry.split("~"), "", "", ""]
    return _code(category), _code(kind)


def _code(written: str) -> Triplet | None:
    scheme, _, rest = written.partition("^")
    value, _, meaning = rest.partition("^")
    return (value, scheme, meaning or value) if scheme and value else None


def _mask(marked: np.ndarray, grid: sitk.Image) -> sitk.Image:
    mask = sitk.GetImageFromArray(marked.astype(np.uint8))
    mask.CopyInformation(grid)
    return mask

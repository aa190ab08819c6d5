"""What a projection image's pixels do not tell: its view, the side it shows, how large a pixel is.

It is kept on the volume itself, so that another projection image never inherits it and it is saved with the scene.
A synthesis takes a projection image as a file without a DICOM header; the request says view and side instead.
"""

from __future__ import annotations

from pathlib import Path

from medsynth.scene import nodes, region
from medsynth.scene.given import slicer, vtk
from medsynth.scene.vocabulary import LATERALITIES, PIXEL_MM, VIEWS

KEYS = ("view", "laterality")
# What the user said, and what the projection image itself says (a phantom, a result): attributes of the volume.
SAID = {"view": "MedSynth.View", "laterality": "MedSynth.Side"}
OWN = {"view": "MedSynth.OwnView", "laterality": "MedSynth.OwnSide"}
PIXEL_SIZE = "MedSynth.PixelSize"
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
DICOM_UIDS = "DICOM.instanceUIDs"
# ViewPosition; ImageLaterality, and Laterality where the series says it.
DICOM_TAGS = {"view": ("0018,5101",), "laterality": ("0020,0062", "0020,0060")}


def words(key: str, preset) -> tuple[str, ...]:
    """What can be said of the preset's projection images; radiographs of the chest show no side."""
    if key == "view":
        return VIEWS.get(preset.modality, ())
    return LATERALITIES if preset.modality == "MG" else ()


def is_projection(reference, preset) -> bool:
    """Whether this volume is one projection image, and the preset takes projection images."""
    image = None if reference is None else reference.GetImageData()
    return preset.is_projection and image is not None and image.GetDimensions()[2] == 1


def own(reference, preset) -> dict[str, str]:
    """The view and side that the projection image says itself."""
    found = {key: reference.GetAttribute(OWN[key]) or _from_dicom(reference, key) for key in KEYS}
    return {key: word for key, word in found.items() if word in words(key, preset)}


def said(reference, preset) -> dict[str, str]:
    """The view and side that the projection image or the user says."""
    user = {key: reference.GetAttribute(SAID[key]) for key in KEYS}
    known = {key: word for key, word in user.items() if word in words(key, preset)}
    return known | own(reference, preset)


def say(reference, key: str, word: str) -> None:
    """Keep what the user says; an empty word takes it back."""
    reference.SetAttribute(SAID[key], word or None)


def set_own(node, values: dict[str, str]) -> None:
    """Keep what a drawn or synthetic projection image is known to show."""
    for key, word in values.items():
        node.SetAttribute(OWN[key], word)


def _from_dicom(reference, key: str) -> str:
    uid = (reference.GetAttribute(DICOM_UIDS) or "").split(" ")[0]
    database = getattr(slicer, "dicomDatabase", None)
    if not uid or database is None or not database.isOpen:
        return ""
    values = (str(database.instanceValue(uid, tag) or "").strip() for tag in DICOM_TAGS[key])
    return next(filter(None, values), "")


def pixel_size(reference) -> float:
    """Of the projection image's pixels in mm; 0 while nobody says it."""
    if reference.GetAttribute(PIXEL_SIZE):
        return float(reference.GetAttribute(PIXEL_SIZE))
    storage = reference.GetStorageNode()
    suffix = Path((storage.GetFileName() if storage is not None else None) or "").suffix.lower()
    # Pictures are given 1 x 1 mm, or what they would measure on paper.
    unsaid = reference.GetSpacing()[:2] == (1.0, 1.0) or suffix in PICTURES
    return 0.0 if unsaid else reference.GetSpacing()[0]


def has_own_pixel_size(reference) -> bool:
    """Whether its size is beyond doubt: of a DICOM projection image, a phantom or a result."""
    sure = any(reference.GetAttribute(name) for name in (DICOM_UIDS, *OWN.values()))
    return sure and not reference.GetAttribute(PIXEL_SIZE) and pixel_size(reference) > 0


def set_pixel_size(reference, mm: float, marks) -> None:
    """Give a projection image the size of its pixels; 0 takes it back.

    Args:
        marks: the points, boxes, curves and segmentations on it; they stay on the same pixels.

    Raises:
        ValueError: a size that no projection image has.
    """
    import numpy as np

    low, high = PIXEL_MM
    if mm and not low <= mm <= high:
        raise ValueError(f"Pixel size: expected {low:g} to {high:g} mm, got {mm:g} mm.")
    parent = region.transform_matrix(reference.GetParentTransformNode(), None)
    # A mark may be under a transform of its own, and may belong to several pathologies.
    frames = {m: region.transform_matrix(m.GetParentTransformNode(), None) for m in set(marks)}
    before = parent @ nodes.ijk_to_ras(reference)
    reference.SetAttribute(PIXEL_SIZE, f"{mm:g}" if mm else None)
    reference.SetSpacing(mm or 1.0, mm or 1.0, reference.GetSpacing()[2])
    moved = parent @ nodes.ijk_to_ras(reference) @ np.linalg.inv(before)
    for mark, to_world in frames.items():
        transform = vtk.vtkTransform()
        transform.SetMatrix((np.linalg.inv(to_world) @ moved @ to_world).ravel())
        mark.ApplyTransform(transform)


def anatomy_keys(reference, preset) -> dict[str, str]:
    """What a request says of the projection image; nothing where the preset takes no projection images.

    Raises:
        ValueError: something is not said that the preset needs; the message says what.
    """
    if not preset.is_projection:
        return {}
    if not is_projection(reference, preset):
        raise ValueError(
            f"{reference.GetName()} is a volume of several slices, {preset.title} takes one projection image. "
            "Choose a radiograph or mammogram as reference, or another kind of image."
        )
    known = said(reference, preset)
    needed = (
        {"view": "choose its view", "laterality": "choose its side"}
        if preset.modality == "MG"
        else {}
    )
    missing = [phrase for key, phrase in needed.items() if key not in known]
    if not pixel_size(reference):
        missing.append("enter its pixel size")
    if missing:
        listed = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
        raise ValueError(
            f"{reference.GetName()}: {listed} under 1. Anatomy first. Pictures such as PNG or JPEG do "
            "not contain this."
        )
    return known

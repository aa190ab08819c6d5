"""Mistakes that are cheap to find: said at the control, before anything is installed or started.

What is wrong is a ValueError; what is odd, but may be meant, is a sentence.
"""

from __future__ import annotations

from medsynth.scene import anatomy as drawn_anatomy
from medsynth.scene import findings, marks, nodes, projection, region
from medsynth.scene.given import slicer
from medsynth.scene.vocabulary import FROM_VOLUME, PRESETS
from medsynth.storage import saved_lesions
from medsynth.storage.saved_lesions import SavedLesion

AERATED_HU = -400.0  # of lung, as in medsynth.lesions.body
REACH_MM = 5.0  # around the middle of a region


def why_not(parameters, pathologies) -> str:
    """Why these settings cannot run, or an empty text when they can."""
    try:
        anatomy(parameters)
        for number, pathology in enumerate(pathologies, start=1):
            place(pathology.where, parameters.reference, number)
            source(pathology, number)
        findings.describe(parameters.reference, [p.where for p in pathologies])
    except ValueError as mistake:
        return str(mistake)
    return ""


def anatomy(parameters) -> dict[str, str]:
    """What the request says of the projection image, where the anatomy is one.

    Raises:
        ValueError: no reference, or something about it is not said.
    """
    preset = PRESETS[parameters.preset]
    if parameters.reference is None:
        drawn = ", or press Sample phantom" if preset.phantoms else ""
        raise ValueError(f"Choose an anatomy reference first{drawn}.")
    if drawn_anatomy.is_edited(parameters.reference):
        raise ValueError(
            f"The curves of {parameters.reference.GetName()} were edited: press Redraw all under "
            "Anatomy of the phantom first."
        )
    return projection.anatomy_keys(parameters.reference, preset)


def place(where, reference, number: int) -> None:
    """Whether the place of a pathology is marked, inside the image.

    Raises:
        ValueError: it is not; the message says what to do.
    """
    if where is None:
        raise ValueError(f"Pathology {number}: mark its place first (click, box, curve or paint).")
    if marks.is_empty(where):
        raise ValueError(f"Pathology {number}: {where.GetName()} is empty. {_todo(where)}")
    closed = where.IsA("vtkMRMLMarkupsClosedCurveNode")
    if closed and where.GetNumberOfDefinedControlPoints() < 3:
        raise ValueError(f"Pathology {number}: a closed curve needs at least three points.")
    if not where.IsA("vtkMRMLMarkupsFiducialNode"):
        return  # a region may reach beyond the image; how much of it is inside, the run finds out
    for index in _indices(_centers(where), reference):
        size = reference.GetImageData().GetDimensions()
        if not all(-0.5 <= i <= n - 0.5 for i, n in zip(index, size, strict=True)):
            raise ValueError(
                f"Pathology {number}: {where.GetName()} lies outside {reference.GetName()}. Move it "
                "into the image, or press Click again."
            )


def _todo(where) -> str:
    if where.IsA("vtkMRMLSegmentationNode"):
        return "Paint its place in the views."
    return "Click into a slice view."


def source(pathology, number: int) -> None:
    """Whether a lesion that is taken from another volume is chosen, and a saved one is there.

    Raises:
        ValueError: it is not.
    """
    if saved_of(pathology) is not None or pathology.kind != FROM_VOLUME:
        return
    if pathology.sourceVolume is None or pathology.sourceMask is None:
        raise ValueError(
            f"Pathology {number}: choose the volume its lesion is taken from and the segmentation "
            "that marks the lesion there."
        )


def saved_of(pathology) -> SavedLesion | None:
    """The saved lesion that it is to be: the page holds it, a parameter node its name.

    Raises:
        ValueError: none is saved under that name any more, or it is damaged.
    """
    found = getattr(pathology, "saved", None)
    return saved_lesions.find(found) if isinstance(found, str) and found else (found or None)


def odd(where, reference, preset, diameter: float) -> str:
    """What is odd about a marked place: outside the body, or not in the lung."""
    if not _comparable(reference, preset):
        return ""
    image = slicer.util.arrayFromVolume(reference)
    spacing = reference.GetSpacing()
    reach = diameter / 2 if where.IsA("vtkMRMLMarkupsFiducialNode") else REACH_MM
    for index in _indices(_centers(where), reference):
        i, j, k = (int(round(v)) for v in index)
        if not all(0 <= v < n for v, n in zip((k, j, i), image.shape, strict=True)):
            continue
        body = body_of_slice(image[k], preset.body_threshold)
        if not body[j, i]:
            return "This place is outside the body: the synthesis will refuse it. Move it inwards."
        if preset.units == "HU" and not _aerated(image, body, (i, j, k), spacing, reach):
            return "This place is not in the lung. Lesions of this kind belong there: move it."
    return ""


def _comparable(reference, preset) -> bool:
    """Whether the preset's thresholds mean something in this image's values."""
    if not preset.in_display_units:
        return True
    low, high = reference.GetImageData().GetScalarRange()
    return low >= 0 and high <= 255


def body_of_slice(values, threshold: float):
    """The body in one slice (rows, columns): what is dense and largest, with its holes filled.

    Coarser than the library's own (which leaves table and blankets out): it must not cry wolf.
    """
    import numpy as np
    from scipy import ndimage

    label, count = ndimage.label(np.asarray(values > threshold))
    if count == 0:
        return np.zeros(values.shape, bool)
    return ndimage.binary_fill_holes(label == 1 + np.argmax(np.bincount(label.ravel())[1:]))


def _aerated(image, body, center, spacing, reach: float) -> bool:
    """Whether any voxel within `reach` mm of the center is air-like, and not the air around the body."""
    slices = []
    for at, mm, size in zip(center[::-1], spacing[::-1], image.shape, strict=True):
        half = int(reach / mm) + 1
        slices.append(slice(max(0, at - half), min(size, at + half + 1)))
    return bool(((image[tuple(slices)] < AERATED_HU) & body[tuple(slices[1:])]).any())


def _centers(where):
    """World positions (N, 3) of what is marked."""
    import numpy as np

    if where.IsA("vtkMRMLMarkupsFiducialNode"):
        return slicer.util.arrayFromMarkupsControlPoints(where, world=True)
    if where.IsA("vtkMRMLMarkupsROINode"):
        return np.array([where.GetCenterWorld()])
    if where.IsA("vtkMRMLMarkupsClosedCurveNode"):
        return slicer.util.arrayFromMarkupsCurvePoints(where, world=True).mean(0, keepdims=True)
    segmentation = where.GetSegmentation()
    ids = [segmentation.GetNthSegmentID(i) for i in range(segmentation.GetNumberOfSegments())]
    centers = [where.GetSegmentCenterRAS(segment_id) for segment_id in ids]
    return np.array([center for center in centers if center is not None]).reshape(-1, 3)


def _indices(world, reference):
    """World positions as (i, j, k) of the reference."""
    import numpy as np

    local = region.transformed(world, None, reference.GetParentTransformNode())
    to_ijk = np.linalg.inv(nodes.ijk_to_ras(reference))
    return np.asarray(local) @ to_ijk[:3, :3].T + to_ijk[:3, 3]

"""Findings that the reference already has: a segmentation or label map of them, kept on the reference.

Another reference never inherits them. Without their masks a result would show lesions that no mask holds,
which is a label error in training data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medsynth.scene import nodes, region
from medsynth.scene.given import slicer, vtk

NODE = "MedSynth.ExistingFindings"  # a node reference from the volume to what marks its findings
NONE = "MedSynth.NoFindings"  # an attribute of a volume that has none
CLASSES = ("vtkMRMLSegmentationNode", "vtkMRMLLabelMapVolumeNode")
UNTOUCHED = "85756007"  # SNOMED CT: Tissue, which Slicer gives to every segment and says nothing
MOST_SEGMENTS = 255  # a label map of bytes holds no more
CHECKED_POINTS = 50_000
_measured: tuple = (None, None)


def of(reference):
    """What marks the findings of this volume, or None."""
    return None if reference is None else reference.GetNodeReference(NODE)


def choose(reference, node) -> None:
    """Keep what marks the findings of this volume; None takes it back."""
    reference.SetNodeReferenceID(NODE, node.GetID() if node is not None else None)
    if node is not None:
        say_none(reference, False)


def has_none(reference) -> bool:
    """Whether somebody said that this volume has no findings."""
    return reference is not None and reference.GetAttribute(NONE) is not None


def say_none(reference, none: bool) -> None:
    """Keep that this volume has no findings."""
    reference.SetAttribute(NONE, "1" if none else None)


def state(reference) -> tuple:
    """Changes whenever what a request says of the findings would change."""
    node = of(reference)
    if node is None:
        return (has_none(reference),)
    parent = node.GetParentTransformNode()
    key = [node.GetID(), node.GetMTime(), parent and parent.GetMTime()]
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        return (*key, node.GetImageData() and node.GetImageData().GetMTime())
    for _, segment in _segments(node):
        labelmap = segment.GetRepresentation("Binary labelmap")
        key += [segment.GetMTime(), labelmap and labelmap.GetMTime()]
    return tuple(key)


def describe(reference, marks) -> str:
    """`2 findings: nodule, mass.`, and how much of one lies outside; empty where nothing is chosen.

    Args:
        marks: what marks the pathologies' places, which are no existing findings.

    Raises:
        ValueError: what is chosen cannot be the findings of this volume.
    """
    global _measured
    node = of(reference)
    if node is None:
        return ""
    if node in marks:
        raise ValueError(
            f"Existing findings: {node.GetName()} marks where a pathology goes. Choose the "
            "segmentation of what the reference already shows."
        )
    geometry = nodes.ijk_to_ras(reference).tobytes(), reference.GetTransformNodeID()
    key = (reference.GetID(), reference.GetImageData().GetDimensions(), geometry, state(reference))
    if key != _measured[0]:
        _measured = (key, _describe(node, reference))
    said = _measured[1]
    if isinstance(said, ValueError):
        raise said
    return said


def _describe(node, reference) -> str | ValueError:
    try:
        found = masks(node, reference)
    except ValueError as mistake:
        return mistake
    names = [name for name, _, _, _ in found]
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    text = f"{len(names)} finding{'s' * (len(names) != 1)}: {listed}."
    for name, _, _, outside in found:
        if outside > 0.005:
            text += f" {100 * outside:.0f} % of {name} lies outside the image and is left out."
    return text


def request_keys(reference, folder: Path) -> dict:
    """`labels` of the request's anatomy, its label maps written into `folder`; empty: nothing is said.

    Raises:
        ValueError: what is chosen marks nothing in this volume.
    """
    if of(reference) is None:
        return {"labels": []} if has_none(reference) else {}
    maps: list[Any] = []
    said: list[dict[str, Any]] = []
    for name, code, mask, _ in masks(of(reference), reference):
        # Findings may overlap; those that do not share a file.
        index = next((i for i, m in enumerate(maps) if not m[mask].any()), len(maps))
        if index == len(maps):
            maps.append(mask.astype("uint8") * 0)
            said.append({"file": "", "names": {}, "codes": {}})
        value = len(said[index]["names"]) + 1
        maps[index][mask] = value
        said[index]["names"][value] = name
        if code is not None:
            said[index]["codes"][value] = code
    for number, (labels, entry) in enumerate(zip(maps, said, strict=True), start=1):
        file = region.write_mask(labels, reference, folder / f"findings_{number:02d}.nrrd")
        entry["file"] = file.name
    return {"labels": said}


def masks(node, reference) -> list[tuple]:
    """(name, code or None, mask, share outside) of each segment that marks something.

    `code` is [value, scheme, meaning]; the mask is bool (k, j, i) on the reference's grid.

    Raises:
        ValueError: nothing is marked, a segment marks nothing inside the image, or they are too many.
    """
    if node.IsA("vtkMRMLSegmentationNode"):
        return _masks(node, reference)
    made = nodes.new_node("vtkMRMLSegmentationNode", node.GetName())
    slicer.mrmlScene.AddNode(made)
    try:
        made.SetAndObserveTransformNodeID(node.GetTransformNodeID())
        slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(node, made)
        return _masks(made, reference)
    finally:
        nodes.remove(made)


def _masks(node, reference) -> list[tuple]:
    whose = f"Existing findings: {node.GetName()}"
    found: list[tuple] = []
    node.CreateBinaryLabelmapRepresentation()  # of one that holds surfaces; else it does nothing
    for segment_id, segment in _segments(node):
        own = _own_voxels(node, segment_id)
        if len(own) == 0:
            continue  # added and never painted
        name = segment.GetName().strip()[:64] or f"finding {len(found) + 1}"
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, reference) > 0
        if not mask.any():
            raise ValueError(
                f"{whose}: {name} marks no voxel of {reference.GetName()}. Choose the findings of "
                "this image, or remove that segment."
            )
        found.append((name, _code(segment), mask, _outside(own, node, reference)))
    if not found:
        raise ValueError(f"{whose} is empty. Mark the findings, or choose None.")
    if len(found) > MOST_SEGMENTS:
        raise ValueError(
            f"{whose} has {len(found)} segments; at most {MOST_SEGMENTS} are possible."
        )
    return found


def _segments(node) -> list[tuple]:
    segmentation = node.GetSegmentation()
    ids = [segmentation.GetNthSegmentID(i) for i in range(segmentation.GetNumberOfSegments())]
    return [(segment_id, segmentation.GetSegment(segment_id)) for segment_id in ids]


def _code(segment):
    """[value, scheme, meaning] of a segment's type; None where nobody chose one."""
    entry = vtk.reference("")
    segment.GetTag(segment.GetTerminologyEntryTagName(), entry)
    # context ~ category ~ type ~ ..., and each is scheme ^ value ^ meaning.
    parts = [*str(entry).split("~"), "", "", ""]
    scheme, value, meaning = [*parts[2].split("^"), "", "", ""][:3]
    if not scheme or not value or value == UNTOUCHED or max(len(scheme), len(value)) > 16:
        return None
    return [value, scheme, (meaning or value)[:64]]


def _own_voxels(node, segment_id: str):
    """Centers (N, 3) of a segment's voxels in the segmentation's RAS; of very many, every n-th."""
    import numpy as np

    labelmap = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(segment_id, labelmap)
    scalars = labelmap.GetPointData().GetScalars()
    marked = (
        np.flatnonzero(vtk.util.numpy_support.vtk_to_numpy(scalars))
        if scalars is not None
        else np.empty(0, int)
    )
    marked = marked[:: max(1, len(marked) // CHECKED_POINTS)]
    size = labelmap.GetDimensions()
    ijk = np.stack(np.unravel_index(marked, size, order="F"), -1) + labelmap.GetExtent()[::2]
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    to_ras = slicer.util.arrayFromVTKMatrix(matrix)
    return ijk @ to_ras[:3, :3].T + to_ras[:3, 3]


def _outside(points, node, reference) -> float:
    """The share of these points of a segmentation that lie outside the reference."""
    import numpy as np

    local = region.transformed(
        points, node.GetParentTransformNode(), reference.GetParentTransformNode()
    )
    to_ijk = np.linalg.inv(nodes.ijk_to_ras(reference))
    index = local @ to_ijk[:3, :3].T + to_ijk[:3, 3]
    last = np.array(reference.GetImageData().GetDimensions()) - 0.5
    return float(1 - np.all((index >= -0.5) & (index <= last), axis=1).mean())

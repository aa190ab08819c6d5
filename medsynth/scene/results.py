"""Results in the scene: all of one OUT folder under its SYNTHETIC item, or nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

from medsynth.scene import nodes, terminology
from medsynth.scene.given import slicer, vtk
from medsynth.scene.vocabulary import PRESETS

MARKED = "SYNTHETIC"  # how the name of every result begins
LESIONS = "MedSynth.Lesions"  # from a result to the segmentation of its lesions
FINDINGS = "MedSynth.Findings"  # ... and to that of what its reference already had
# Bright on lung and on soft tissue; the colors that Slicer draws by chance may vanish on either.
OUTLINES = ((1.0, 0.8, 0.0), (0.0, 0.85, 1.0), (1.0, 0.4, 0.8), (0.45, 1.0, 0.35))
EXISTING_COLOR = (0.75, 0.65, 1.0)  # one for all that was there before


def add_result(folder: Path, reference, preset):
    """Load one OUT folder; all of it, or nothing.

    A reference that the preset's network cannot take as it is was brought onto the network's grid,
    in gray values of its own; then the result is shown on that grid and in that window.

    Returns:
        The synthetic volume and the segmentation of its lesions (None without lesions).
    """
    record = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    title = f"{MARKED} {reference.GetName()} seed {record['seed']}"

    def show(volume) -> None:
        preprocessed = record.get("reference")
        if preprocessed:
            nodes.keep_place(volume, reference, preprocessed["from_size"])
        else:
            nodes.take_geometry(volume, reference)
        volume.GetDisplayNode().CopyContent(reference.GetDisplayNode())
        if preset.in_display_units:
            nodes.set_window(preset.windows[0].center, preset.windows[0].width, [volume])

    return _loaded(folder, title, record, show)


def bring_back(folder: Path):
    """Load an OUT folder as it lies on disk, in its own geometry.

    Returns:
        The synthetic volume and the segmentation of its lesions (None without lesions).

    Raises:
        ValueError: it is no result.
    """
    try:
        record = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        preset = PRESETS[preset_of(folder)]
        title = f"{MARKED} {preset.name} seed {record['seed']}"
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            f"{folder} is not the folder of one result (such as .../seed_7, with a result.json)."
        ) from None

    def show(volume) -> None:
        nodes.set_window(preset.windows[0].center, preset.windows[0].width, [volume])

    return _loaded(folder, title, record, show)


def _loaded(folder: Path, title: str, record: dict, show):
    """Image and segmentations under one item, the image as `show` shows it; all of it, or nothing."""
    new = nodes.new_synthetic("vtkMRMLScalarVolumeNode", title, folder)
    volume = nodes.read_volume(folder / "image.nrrd", new)
    try:
        show(volume)
        segmentation, existing = add_segmentations(folder, volume, record)
    except Exception:
        nodes.remove(volume)
        raise
    nodes.put_under_item(title, [volume, segmentation, existing])
    return volume, segmentation


def preset_of(folder: Path) -> str:
    """The request's preset; Slicer's Python has no YAML reader, and this line needs none."""
    text = (folder / "request.yaml").read_text(encoding="utf-8")
    found = re.search(r"^ *\"?preset\"?: *\"?(\w+)", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"{folder / 'request.yaml'} names no preset")
    return found[1]


def add_segmentations(folder: Path, volume, record: dict):
    """The segmentations of a result's lesions and of what its reference already had, known to the result.

    Returns:
        Both; None for one that has nothing in it.
    """
    kinds = {entry["mask"]: entry.get("drawn", {}) for entry in record.get("lesions") or ()}
    modality = PRESETS[preset_of(folder)].modality
    lesions = [
        (
            path,
            f"Pathology {number} (synthetic)",
            OUTLINES[(number - 1) % len(OUTLINES)],
            terminology.code_of((kinds.get(path.name) or {}).get("kind", ""), modality),
        )
        for number, path in enumerate(sorted(folder.glob("pathology_*.nrrd")), start=1)
    ]
    existing = [
        (
            folder / label["mask"],
            f"{label['name']} (existing)",
            EXISTING_COLOR,
            tuple(label.get("code") or terminology.LESION),
        )
        for label in record.get("labels", [])
        if label["mask"]
    ]
    added = _add_segmentation(LESIONS, "lesions", lesions, folder, volume)
    try:
        return added, _add_segmentation(FINDINGS, "existing findings", existing, folder, volume)
    except Exception:
        if added is not None:
            nodes.remove(added)
        raise


def _add_segmentation(role: str, word: str, masks: list[tuple], folder: Path, volume):
    if not masks:
        return None
    node = nodes.new_synthetic("vtkMRMLSegmentationNode", f"{volume.GetName()} {word}", folder)
    slicer.mrmlScene.AddNode(node)
    try:
        _fill(node, masks, volume)
    except Exception:
        nodes.remove(node)
        raise
    volume.SetNodeReferenceID(role, node.GetID())
    return node


def _fill(node, masks: list[tuple], volume) -> None:
    """One segment per (file, name, color, code), on the volume's grid and under its transform."""
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetSliceIntersectionThickness(2)
    node.GetDisplayNode().SetVisibility2DFill(False)  # the lesion itself is what one wants to see
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    logic = slicer.modules.segmentations.logic()
    for path, segment_name, color, code in masks:
        labelmap = nodes.read_volume(
            path, nodes.new_node("vtkMRMLLabelMapVolumeNode", segment_name)
        )
        try:
            nodes.take_geometry(labelmap, volume)
            ids = vtk.vtkStringArray()
            segment_id = node.GetSegmentation().AddEmptySegment("", segment_name, color)
            terminology.tag(node.GetSegmentation().GetSegment(segment_id), code)
            ids.InsertNextValue(segment_id)
            if not logic.ImportLabelmapToSegmentationNode(labelmap, node, ids):
                raise RuntimeError(f"{path} holds no lesion.")
        finally:
            nodes.remove(labelmap)


def lesions_of(result):
    """The segmentation of a result's lesions, or None."""
    return None if result is None else result.GetNodeReference(LESIONS)


def segmentations_of(result) -> list:
    """The segmentations of a result: its lesions, and what its reference already had."""
    roles = () if result is None else (LESIONS, FINDINGS)
    return [node for role in roles if (node := result.GetNodeReference(role)) is not None]


def all_of_scene() -> list:
    """The results in the scene, in the order in which they came."""
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return [volume for volume in volumes if volume.GetAttribute(nodes.SYNTHETIC)]


def seed_of(volume) -> int | None:
    """The seed of a result, from its record; None where its files are gone."""
    file = Path(volume.GetAttribute(nodes.FOLDER) or "") / "result.json"
    try:
        return int(json.loads(file.read_text(encoding="utf-8"))["seed"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def set_name(volume, name: str) -> None:
    """Give a result, its segmentations and its item another name, which still says SYNTHETIC."""
    before = volume.GetName()
    name = " ".join(name.split())
    name = name if name.startswith(MARKED) else f"{MARKED} {name}".strip()
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(volume))
    if item and hierarchy.GetItemName(item) == before:
        hierarchy.SetItemName(item, name)
    for node in (volume, *segmentations_of(volume)):
        node.SetName(node.GetName().replace(before, name, 1))


def take_out(volume) -> None:
    """Take a result out of the scene, with its segmentations and its item; its files stay."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(volume))
    for node in (*segmentations_of(volume), volume):
        nodes.remove(node)
    if item and item != hierarchy.GetSceneItemID() and not hierarchy.GetNumberOfItemChildren(item):
        hierarchy.RemoveItem(item)


def show_only_segmentations_of(result) -> None:
    """Of the segmentations of all results show this result's only; None shows none."""
    own = segmentations_of(result)
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if node.GetAttribute(nodes.SYNTHETIC) and node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility(node in own)


def show_in_3d(result, shown: bool) -> None:
    """Show the surfaces of a result's segments in the 3-D views; they are made once."""
    for node in segmentations_of(result):
        if shown:
            node.CreateClosedSurfaceRepresentation()
        node.GetDisplayNode().SetVisibility3D(shown)


def first_lesion(segmentation):
    """World position of the first segment's center, or None without one."""
    if segmentation is None or segmentation.GetSegmentation().GetNumberOfSegments() == 0:
        return None
    return segmentation.GetSegmentCenterRAS(segmentation.GetSegmentation().GetNthSegmentID(0))

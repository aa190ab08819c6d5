"""The points, boxes, curves and segments that mark where pathologies go, and how they look.

A lesion must be visible under its mark: no label, no fill, a small cross instead of a ball.
"""

from __future__ import annotations

from medsynth.scene import nodes
from medsynth.scene.given import slicer

MADE = "MedSynth.Mark"  # the module made it for one pathology, and removes it with that pathology


def add(class_name: str, number: int, word: str):
    """A new, still empty mark of pathology `number`."""
    node = nodes.new_node(class_name, name(number, word), {MADE: word})
    slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    if not node.IsA("vtkMRMLSegmentationNode"):  # who paints wants to see what is painted
        style(node)
    return node


def name(number: int, word: str) -> str:
    """Of the mark of a pathology."""
    return f"Pathology {number} {word}"


def style(node) -> None:
    """Let the image be seen under it."""
    display = node.GetDisplayNode()
    if node.IsA("vtkMRMLSegmentationNode"):
        display.SetVisibility2DFill(False)
        display.SetSliceIntersectionThickness(2)
        return
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    display.SetFillVisibility(False)
    display.SetGlyphTypeFromString("Cross2D")


def set_visible(node, shown: bool) -> None:
    """Show or hide a mark in all views; a segmentation that is shown again is only outlined."""
    display = node.GetDisplayNode()
    if display is None:
        return
    if shown:
        style(node)
    display.SetVisibility(shown)


def is_empty(node) -> bool:
    """Whether nothing is placed or painted yet."""
    if not node.IsA("vtkMRMLSegmentationNode"):
        return node.GetNumberOfDefinedControlPoints() == 0
    segmentation = node.GetSegmentation()
    segments = [segmentation.GetNthSegment(i) for i in range(segmentation.GetNumberOfSegments())]
    return all(_is_empty_segment(segment) for segment in segments)


def _is_empty_segment(segment) -> bool:
    labelmap = segment.GetRepresentation("Binary labelmap")
    return labelmap is None or labelmap.IsEmpty()


def changes(node) -> list[tuple]:
    """(object, event) for all that can change where or how a mark is."""
    shown = [(node, node.DisplayModifiedEvent)]
    if node.IsA("vtkMRMLSegmentationNode"):
        segmentation = node.GetSegmentation()
        # Which one comes last, once the voxels are there, differs between painting and importing.
        events = [segmentation.SourceRepresentationModified, segmentation.SegmentModified]
        events += [segmentation.ContainedRepresentationNamesModified, segmentation.SegmentAdded]
        return [*shown, *((segmentation, event) for event in events)]
    events = [node.PointModifiedEvent, node.PointPositionDefinedEvent, node.PointRemovedEvent]
    return [*shown, *((node, event) for event in events)]


def is_made(node) -> bool:
    """Whether the module made it; the user's own stay in the scene."""
    return node is not None and node.GetAttribute(MADE) is not None


def renumber(node, number: int) -> None:
    """Name a mark that the module made after its pathology's number."""
    if not is_made(node):
        return
    old, new = node.GetName(), name(number, node.GetAttribute(MADE))
    node.SetName(new)
    if node.IsA("vtkMRMLSegmentationNode"):
        if node.GetSegmentation().GetNumberOfSegments():
            node.GetSegmentation().GetNthSegment(0).SetName(f"Pathology {number}")
        return
    for i in range(node.GetNumberOfControlPoints()):
        label = node.GetNthControlPointLabel(i)
        node.SetNthControlPointLabel(i, label.replace(old, new, 1))


def copy_of(node):
    """A copy of a mark outside the scene, for `bring_back`."""
    copy = nodes.new_node(node.GetClassName(), node.GetName())
    copy.CopyContent(node, True)
    for name in node.GetAttributeNames() or ():
        copy.SetAttribute(name, node.GetAttribute(name))
    copy.SetNodeReferenceID("transform", node.GetTransformNodeID())
    return copy


def bring_back(copy):
    """Put the mark of a copy into the scene again."""
    slicer.mrmlScene.AddNode(copy)
    copy.CreateDefaultDisplayNodes()
    if not copy.IsA("vtkMRMLSegmentationNode"):
        style(copy)
    return copy


def remove(node, still_used) -> None:
    """Remove a mark that the module made and no other pathology uses."""
    if is_made(node) and node not in still_used and slicer.mrmlScene.IsNodePresent(node):
        slicer.mrmlScene.RemoveNode(node)

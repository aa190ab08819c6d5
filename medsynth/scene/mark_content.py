"""What a mark holds at one moment: kept to be compared, and to be brought back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from medsynth.scene.given import slicer


@dataclass(frozen=True)
class MarkContent:
    """A mark and a copy of its content; two are equal if nothing that matters differs."""

    node: Any
    key: tuple
    copy: Any = field(compare=False, repr=False)

    @classmethod
    def of(cls, node, before: MarkContent | None = None) -> MarkContent:
        """Of a mark as it is now; `before` is used again where nothing changed, so that no voxel is copied."""
        key = _key(node)
        if before is not None and before.node is node and before.key == key:
            return before
        copy = node.CreateNodeInstance()
        copy.CopyContent(node, True)
        return cls(node, key, copy)

    def restore(self) -> None:
        """Give the mark this content again, if it has another one."""
        if slicer.mrmlScene.IsNodePresent(self.node) and _key(self.node) != self.key:
            self.node.CopyContent(self.copy, True)


def _key(node) -> tuple:
    if node.IsA("vtkMRMLSegmentationNode"):
        return _labelmaps(node)
    points = [
        tuple(round(v, 6) for v in node.GetNthControlPointPosition(i))
        for i in range(node.GetNumberOfDefinedControlPoints())
    ]
    if node.IsA("vtkMRMLMarkupsROINode"):
        matrix = slicer.util.arrayFromVTKMatrix(node.GetObjectToNodeMatrix())
        points += [node.GetSize(), tuple(matrix.ravel())]
    return tuple(points)


def _labelmaps(node) -> tuple:
    """Not the voxels: every change of theirs has a time, and a copy that is brought back a new one."""
    segmentation = node.GetSegmentation()
    found = []
    for i in range(segmentation.GetNumberOfSegments()):
        labelmap = segmentation.GetNthSegment(i).GetRepresentation("Binary labelmap")
        found.append(0 if labelmap is None else labelmap.GetMTime())
    return tuple(found)

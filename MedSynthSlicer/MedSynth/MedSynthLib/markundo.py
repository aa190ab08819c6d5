"""The steps of Undo that concern marks: one that was placed, moved, or removed with its pathology."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from medsynth.scene import marks

FIELDS = ("kind", "saved", "diameter", "sourceVolume", "sourceMask", "factor", "stop")


def _isPresent(node) -> bool:
    return node is not None and bool(slicer.mrmlScene.IsNodePresent(node))


class PlacedMark:
    """Takes a placed mark away again, and brings back the one that it replaced."""

    def __init__(self, parameters, before, used):
        self.parameters, self.used, self.before = parameters, used, before
        self.copy = marks.copy_of(before) if marks.is_made(before) else None

    def __call__(self) -> None:
        if not _isPresent(self.parameters.parameterNode):
            return
        placed, before = self.parameters.where, self.before
        if self.copy is not None and not _isPresent(before):
            before = marks.bring_back(self.copy)
        self.parameters.where = before if _isPresent(before) else None
        marks.remove(placed, self.used())


class MovedMark:
    """Follows a mark, and adds a step to Undo whenever the mouse has moved it."""

    def __init__(self, undo):
        self.undo, self.node, self.tags, self.points = undo, None, [], None

    def watch(self, node) -> None:
        """Follow this mark; None follows none."""
        for tag in self.tags:
            self.node.RemoveObserver(tag)
        self.node, self.tags = node, []
        if node is not None and node.IsA("vtkMRMLMarkupsNode"):
            self.tags = [
                node.AddObserver(node.PointStartInteractionEvent, self._start),
                node.AddObserver(node.PointEndInteractionEvent, self._end),
            ]

    def _start(self, caller=None, event=None) -> None:
        self.points = marks.copy_of(self.node)

    def _end(self, caller=None, event=None) -> None:
        node, before, self.points = self.node, self.points, None
        if before is None or _same(node, before):
            return

        def back():
            if _isPresent(node):
                node.CopyContent(before, True)

        self.undo.add(_("moving a mark"), back)


def _same(node, other) -> bool:
    count = node.GetNumberOfControlPoints()
    if count != other.GetNumberOfControlPoints():
        return False
    points = [[n.GetNthControlPointPosition(i) for i in range(count)] for n in (node, other)]
    return points[0] == points[1]


class RemovedPathology:
    """What a pathology was, to make it again."""

    def __init__(self, parameters):
        self.values = {name: getattr(parameters, name) for name in FIELDS}
        self.where = parameters.where
        self.copy = marks.copy_of(self.where) if marks.is_made(self.where) else None

    def fill(self, parameters) -> None:
        """Give another pathology these values, and the mark."""
        for name, value in self.values.items():
            gone = name.startswith("source") and not _isPresent(value)
            setattr(parameters, name, None if gone else value)
        if _isPresent(self.where):
            parameters.where = self.where
        elif self.copy is not None:
            parameters.where = marks.bring_back(self.copy)

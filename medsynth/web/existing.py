"""Findings that the reference already shows: painted and named on the page, carried into every result's masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medsynth.scene import findings, marks, nodes
from medsynth.scene.given import slicer
from medsynth.scene.results import EXISTING_COLOR

if TYPE_CHECKING:
    from medsynth.web.desk import Desk

BRUSH_MM = 8.0
LONGEST_NAME = 64


class ExistingPart:
    """What a visitor paints as already there.

    Args:
        desk: the session's.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk, self.state = desk, desk.state
        self.count = 0
        self.state.update({"findings": [], "finding_busy": False})

    @property
    def node(self) -> Any:
        """The segmentation of the reference's findings, or None."""
        return findings.of(self.desk.settings.reference)

    def paint(self) -> None:
        """One more finding, by the brush."""
        reference = self.desk.anatomy.reference
        if self.desk.runs.job is not None:
            return
        self.desk.shelf.back()
        self.desk.lesions.done()
        node = self.node
        if node is None:
            node = nodes.new_node("vtkMRMLSegmentationNode", "Existing findings")
            slicer.mrmlScene.AddNode(node)
            node.CreateDefaultDisplayNodes()
            node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
            findings.choose(reference, node)
        self.count += 1
        name = f"finding {self.count}"
        segment = node.GetSegmentation().AddEmptySegment("", name, EXISTING_COLOR)
        node.GetDisplayNode().SetVisibility2DFill(True)
        self.desk.viewer.paint(node, reference, BRUSH_MM, segment)

    def done(self) -> None:
        """Painting is over; the image is seen under the outlines."""
        self.desk.viewer.stop()
        if self.node is not None:
            marks.style(self.node)

    def set_name(self, segment: str, name: str) -> None:
        """What a finding is called in the result.

        Raises:
            ValueError: no name, or one that is too long.
        """
        plain = " ".join(str(name).split())
        if not plain or len(plain) > LONGEST_NAME or not plain.isprintable():
            raise ValueError(f"a finding's name is 1 to {LONGEST_NAME} characters long")
        self._segment(segment).SetName(plain)

    def remove(self, segment: str) -> None:
        """Take a finding away; with the last one it is open again whether there are any."""
        self._segment(segment)
        self.desk.viewer.stop()
        self.node.GetSegmentation().RemoveSegment(segment)
        if self.node.GetSegmentation().GetNumberOfSegments() == 0:
            self.forget()

    def forget(self) -> None:
        """Take all away, before their image goes."""
        node, reference = self.node, self.desk.settings.reference
        if node is not None:
            findings.choose(reference, None)
            nodes.remove(node)

    def _segment(self, segment: str) -> Any:
        node = self.node
        found = None if node is None else node.GetSegmentation().GetSegment(segment)
        if found is None:
            raise ValueError("There is no such finding.")
        return found

    def refresh(self) -> None:
        """What the page shows of them."""
        node = self.node
        segmentation = None if node is None else node.GetSegmentation()
        shown = []
        if segmentation is not None:
            for number in range(segmentation.GetNumberOfSegments()):
                one = segmentation.GetNthSegmentID(number)
                shown.append({"id": one, "name": segmentation.GetSegment(one).GetName()})
        self.state.findings = shown
        self.state.finding_busy = node is not None and self.desk.viewer.painted is node

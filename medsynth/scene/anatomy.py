"""A phantom's organs as curves in the slice views: dragged, added and removed, and back to control points.

A drawn volume keeps its control points, those of `medsynth phantom --save-control-points`, with it in the
scene. A B-spline does not pass through its control points, so what is dragged are the points that it passes
through, as many of them.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsynth.scene import nodes
from medsynth.scene.given import slicer

POINTS = "MedSynth.ControlPoints"  # from a drawn volume to the text of its control points
EDITED = "MedSynth.AnatomyEdited"  # an attribute of a volume whose picture is older than its curves
CLOSED, OPEN, POINT = "closed", "open", "point"
CLASSES = {
    CLOSED: "vtkMRMLMarkupsClosedCurveNode",
    OPEN: "vtkMRMLMarkupsCurveNode",
    POINT: "vtkMRMLMarkupsFiducialNode",
}
BREAST_PARTS = {
    "outline": ("Skin", OPEN),
    "gland": ("Glandular disc", CLOSED),
    "pectoral": ("Pectoral muscle", OPEN),
    "nipple_mm": ("Nipple", POINT),
}
PIXEL_MM = 0.25  # of a drawn mammogram, as in medsynth.phantoms.breast
COLOR = (0.2, 0.9, 0.4)
NEW_POINTS = 12  # of a curve that is added
ENDS = 0.55  # how large a new piece is at its upper and lower end, of its middle


def _splines() -> Any:
    """medsynth.phantoms.splines by its file: the package also reads YAML, which Slicer cannot."""
    file = Path(__file__).resolve().parents[1] / "phantoms" / "splines.py"
    specification = importlib.util.spec_from_file_location("medsynth.scene._splines", file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def keep(volume, content: dict[str, Any]) -> None:
    """Keep a drawn volume's control points with it."""
    node = volume.GetNodeReference(POINTS)
    if node is None:
        node = nodes.new_node("vtkMRMLTextNode", f"{volume.GetName()} control points")
        node.SetHideFromEditors(True)
        slicer.mrmlScene.AddNode(node)
        volume.SetNodeReferenceID(POINTS, node.GetID())
    node.SetText(json.dumps(content))


def content_of(volume) -> dict[str, Any] | None:
    """The control points of a drawn volume; None: it is none."""
    node = None if volume is None else volume.GetNodeReference(POINTS)
    if node is None:
        return None
    try:
        content = json.loads(node.GetText() or "")
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def is_breast(content: dict[str, Any]) -> bool:
    """Whether the control points are a mammogram's."""
    return "outline" in content


def organs(content: dict[str, Any]) -> dict[str, str]:
    """Name and title of everything that has curves to drag; vessels, airways and ribs are tubes and have none."""
    if is_breast(content):
        return {key: t for key, (t, _) in BREAST_PARTS.items() if content.get(key) is not None}
    found = [name for name, organ in content["organs"].items() if any(_closed(organ))]
    return {name: name.replace("_", " ").replace(".", ": ").capitalize() for name in found}


def _closed(organ: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (piece for piece in organ["pieces"] if piece["kind"] == "closed_curves")


def is_edited(volume) -> bool:
    """Whether curves were changed since the whole volume was drawn."""
    return volume is not None and volume.GetAttribute(EDITED) is not None


def set_edited(volume, edited: bool) -> None:
    """Keep whether curves were changed since the whole volume was drawn."""
    volume.SetAttribute(EDITED, "1" if edited else None)


@dataclass(frozen=True)
class _Curve:
    """One curve in the scene, and where its control points are."""

    node: Any
    shape: str
    z_mm: float
    holder: Any  # the list or mapping that holds the control points ...
    key: Any  # ... and their place in it

    def points_through(self) -> Any:
        """(P, 2) mm that the curve passes through, from its control points."""
        import numpy as np

        control = np.asarray(self.holder[self.key], dtype=float)
        if self.shape == POINT:
            return control[None]
        count = len(control)
        if self.shape == CLOSED:
            return _splines().closed_basis(count, count) @ control
        return _open_weights(count) @ control

    def take(self, points: Any) -> None:
        """Control points so that the curve passes through `points` (P, 2) mm."""
        import numpy as np

        if self.shape == POINT:
            control = points[0]
        elif self.shape == CLOSED:
            control = _splines().closed_control_through(points)
        else:
            control = _splines().open_control_through(points)
        self.holder[self.key] = np.round(control, 3).tolist()


def _open_weights(count: int) -> Any:
    """What turns control points into the points that `open_control_through` starts from."""
    import numpy as np

    return np.linalg.inv(_splines().open_control_through(np.eye(count)))


class AnatomyCurves:
    """The curves of one organ of one drawn volume, as markups that are never saved.

    Args:
        on_drag: called when the mouse has moved a curve, with the z of it in mm.
    """

    def __init__(self, on_drag: Any):
        self.on_drag = on_drag
        self.volume: Any = None
        self.content: dict[str, Any] = {}
        self.organ = ""
        self.curves: list[_Curve] = []
        self.tags: list[tuple] = []

    def show(self, volume: Any, content: dict[str, Any], organ: str) -> None:
        """Show this organ's curves instead of those before."""
        self.hide()
        self.volume, self.content, self.organ = volume, content, organ
        for shape, z_mm, holder, key in self._entries():
            self.curves.append(self._add(shape, z_mm, holder, key))

    def hide(self) -> None:
        """Take the curves away."""
        for node, tag in self.tags:
            node.RemoveObserver(tag)
        for curve in self.curves:
            if slicer.mrmlScene.IsNodePresent(curve.node):
                nodes.remove(curve.node)
        self.curves, self.tags = [], []

    @property
    def levels_mm(self) -> list[float]:
        """z of the curves, from the feet to the head, each once."""
        return sorted({round(curve.z_mm, 3) for curve in self.curves})

    def _entries(self) -> Iterator[tuple]:
        if self.organ not in organs(self.content):
            return
        if is_breast(self.content):
            yield BREAST_PARTS[self.organ][1], 0.0, self.content, self.organ
            return
        for piece in _closed(self.content["organs"][self.organ]):
            for index, z_mm in enumerate(piece["levels_mm"]):
                yield CLOSED, z_mm, piece["points_mm"], index

    def _add(self, shape: str, z_mm: float, holder: Any, key: Any) -> _Curve:
        node = nodes.new_node(CLASSES[shape], f"{organs(self.content)[self.organ]} {z_mm:.0f}")
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        curve = _Curve(node, shape, z_mm, holder, key)
        slicer.mrmlScene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        for switch in (
            *(display.SetPointLabelsVisibility, display.SetPropertiesLabelVisibility),
            *(display.SetFillVisibility, display.SetVisibility3D),
        ):
            switch(False)
        display.SetColor(*COLOR)
        display.SetSelectedColor(*COLOR)
        display.SetGlyphScale(1.6)
        node.SetAndObserveTransformNodeID(self.volume.GetTransformNodeID())
        for point in self.to_ras(curve.points_through(), z_mm):
            node.AddControlPoint(*point)
        drag = node.AddObserver(node.PointEndInteractionEvent, lambda *_: self._dragged(curve))
        self.tags.append((node, drag))
        return curve

    def _dragged(self, curve: _Curve) -> None:
        curve.take(self._points_of(curve))
        keep(self.volume, self.content)
        set_edited(self.volume, True)
        self.on_drag(curve.z_mm)

    def _points_of(self, curve: _Curve) -> Any:
        """(P, 2) mm on the curve as it is in the scene, as many as it has control points."""
        import numpy as np

        wanted = 1 if curve.shape == POINT else len(curve.holder[curve.key])
        if curve.node.GetNumberOfControlPoints() == wanted:
            ras = slicer.util.arrayFromMarkupsControlPoints(curve.node)
        else:  # somebody added or deleted points
            ras = _spread(slicer.util.arrayFromMarkupsCurvePoints(curve.node), wanted, curve.shape)
        return self.to_mm(np.asarray(ras))

    def to_ras(self, points: Any, z_mm: float) -> Any:
        """Control points' (N, 2) mm at a level, in the volume's own RAS (N, 3)."""
        import numpy as np

        x, y = np.asarray(points, float).T
        if is_breast(self.content):
            x, y = self._flipped(x) - PIXEL_MM / 2, y - PIXEL_MM / 2
        return np.stack([-x, -y, np.full(len(x), z_mm)], axis=1)

    def to_mm(self, ras: Any) -> Any:
        """(N, 3) of the volume's own RAS as (N, 2) of the control points."""
        import numpy as np

        x, y = -ras[:, 0], -ras[:, 1]
        if is_breast(self.content):
            x, y = self._flipped(x + PIXEL_MM / 2), y + PIXEL_MM / 2
        return np.stack([x, y], axis=1)

    def _flipped(self, x: Any) -> Any:
        """A right breast is drawn as the mirror image of a left one."""
        if self.content.get("laterality") != "R":
            return x
        return self.volume.GetImageData().GetDimensions()[0] * PIXEL_MM - x

    def add_piece(self, node: Any, height_mm: float) -> None:
        """Make another piece of the organ out of a closed curve in an axial slice.

        Args:
            node: the closed curve that was drawn.
            height_mm: how far it reaches through the slices; it becomes smaller towards both ends.

        Raises:
            ValueError: too few points, or a breast, whose curves are always the same.
        """
        import numpy as np

        if is_breast(self.content):
            raise ValueError("A breast has one curve of each kind: drag the one that is there.")
        if node.GetNumberOfDefinedControlPoints() < 3:
            raise ValueError("A closed curve needs at least three points.")
        points = slicer.util.arrayFromMarkupsCurvePoints(node, world=True)
        from medsynth.scene.region import transformed

        ras = transformed(points, None, self.volume.GetParentTransformNode())
        ring = self.to_mm(_spread(ras, NEW_POINTS, CLOSED))
        control = np.asarray(_splines().closed_control_through(ring))
        middle, z = control.mean(axis=0), float(ras[:, 2].mean())
        levels = [z - height_mm / 2, z, z + height_mm / 2]
        shares = (ENDS, 1.0, ENDS)
        curves = [np.round(middle + (control - middle) * share, 3).tolist() for share in shares]
        piece = {"kind": "closed_curves", "levels_mm": levels, "points_mm": curves}
        self.content["organs"][self.organ]["pieces"].append(piece)
        self._changed()

    def remove_level(self, z_mm: float) -> None:
        """Remove the organ's curves at a level; a piece that has only two goes with its second."""
        if is_breast(self.content):
            self.remove_organ()
            return
        organ = self.content["organs"][self.organ]
        for piece in list(_closed(organ)):
            at = [i for i, z in enumerate(piece["levels_mm"]) if abs(z - z_mm) < 1e-2]
            for index in at:
                del piece["levels_mm"][index], piece["points_mm"][index]
            if len(piece["levels_mm"]) < 2:
                organ["pieces"].remove(piece)
        if not organ["pieces"]:
            del self.content["organs"][self.organ]
        self._changed()

    def remove_organ(self) -> None:
        """Remove the organ.

        Raises:
            ValueError: nothing could be drawn without it.
        """
        if is_breast(self.content):
            if self.organ != "pectoral":
                raise ValueError("No breast can be drawn without it; drag it instead.")
            self.content["pectoral"] = None
        else:
            del self.content["organs"][self.organ]
        self._changed()

    def _changed(self) -> None:
        keep(self.volume, self.content)
        set_edited(self.volume, True)
        self.show(self.volume, self.content, self.organ)


def _spread(points: Any, count: int, shape: str) -> Any:
    """`count` points at equal distances along a polyline (N, 3), closed or open."""
    import numpy as np

    points = np.asarray(points, float)
    if shape == CLOSED:
        points = np.vstack([points, points[:1]])
    along = np.concatenate([[0], np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()])
    wanted = np.linspace(0, along[-1], count, endpoint=shape != CLOSED)
    return np.stack([np.interp(wanted, along, axis) for axis in points.T], axis=1)

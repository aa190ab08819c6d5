"""What a person does: real mouse clicks and choices on visible, enabled widgets."""

from __future__ import annotations

import slicer
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton

from harness.pythonqt import wrap
from harness.segmenteditor import qMRMLSegmentEditorWidget


def _reachable(widget):
    q = widget.q
    QApplication.processEvents()
    assert q.isVisible(), f"{q.objectName()} is not visible"
    assert q.isEnabled(), f"{q.objectName()} is disabled"
    return q


def click(button) -> None:
    """Press a button, box or section header with the mouse."""
    q = _reachable(button)
    # A section's header, and a check box's square, are at its upper left.
    position = q.rect().topLeft() + q.rect().topLeft().__class__(10, 10)
    QTest.mouseClick(q, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, position)
    QApplication.processEvents()


def run(panel) -> None:
    """Press Run, and wait until it has ended."""
    click(panel.ui.runButton)
    panel.wait(lambda: panel.widget.runPart.synthesis is None, what="the end of the run")


def runToResult(panel):
    """Press Run, wait, and take what was made."""
    run(panel)
    result = panel.widget._parameters.result
    assert result is not None, panel.ui.statusLabel.text
    return result


def card(panel, number=1):
    """The card of a pathology, counted from 1 as the panel counts."""
    return panel.widget.cards.cards[number - 1]


def choose(comboBox, text: str) -> None:
    """Pick an entry of a plain combo box."""
    q = _reachable(comboBox)
    row = q.findText(text)
    assert row >= 0, f"{q.objectName()} has no entry {text!r}"
    q.setCurrentIndex(row)
    q.activated.emit(row)
    QApplication.processEvents()


def pick(nodeComboBox, node) -> None:
    """Pick a node in a node selector; it must be offered there."""
    q = _reachable(nodeComboBox)
    wanted = node.GetID() if node is not None else ""
    assert wanted in q._ids, f"{q.objectName()} does not offer {node and node.GetName()}"
    q._combo.setCurrentIndex(q._ids.index(wanted))
    q._combo.activated.emit(q._ids.index(wanted))
    QApplication.processEvents()


def offered(nodeComboBox) -> list[str]:
    """The names a node selector offers."""
    q = nodeComboBox.q
    q._refresh()
    return [q._combo.itemText(i) for i in range(q._combo.count())]


def entries(comboBox) -> list[str]:
    """The entries of a plain combo box."""
    return [comboBox.q.itemText(row) for row in range(comboBox.q.count())]


def slide(widget, value: float) -> None:
    """Move a slider, or turn a spin box, to a value."""
    _reachable(widget).setProperty("value", value)
    QApplication.processEvents()


def view(name="Red"):
    """A slice view, which takes the mouse."""
    return slicer.app.layoutManager().sliceWidget(name)


def scrollTo(ras, name="Red"):
    """Scroll a view to the slice of a world position, and move the picture until it is in the frame."""
    node = view(name).mrmlSliceNode()
    node.JumpSliceByOffsetting(*ras)
    x, y = view(name).xy(ras, strict=False)
    if not (0 <= x < view(name).size[0] and 0 <= y < view(name).size[1]):
        node.JumpSliceByCentering(*ras)
    return view(name)


def scrollAllTo(ras) -> None:
    """Show the slices of a world position in every view; the pictures stay where they are."""
    for name in slicer.app.layoutManager().sliceViewNames():
        view(name).mrmlSliceNode().JumpSliceByOffsetting(*ras)


def press(ras, name="Red", button="Left") -> None:
    """Click with the mouse at a world position of a view's slice."""
    at = view(name).xy(ras)
    for event in ("MouseMove", f"{button}ButtonPress", f"{button}ButtonRelease"):
        view(name).send(f"{event}Event", at)
    QApplication.processEvents()


def drag(path, name="Red") -> None:
    """Draw along world positions with the left button held down."""
    pixels = [view(name).xy(ras) for ras in path]
    view(name).send("MouseMoveEvent", pixels[0])
    view(name).send("LeftButtonPressEvent", pixels[0])
    for at in pixels[1:]:
        view(name).send("MouseMoveEvent", at)
    view(name).send("LeftButtonReleaseEvent", pixels[-1])
    QApplication.processEvents()


def isPlacing() -> bool:
    """Whether a click into a view places a point."""
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    return interaction.GetCurrentInteractionMode() == interaction.Place


def placePoint(ras, name="Red") -> None:
    """Click into a slice view at this world position, in Slicer's placement mode."""
    assert isPlacing(), "not in placement mode"
    scrollTo(ras, name)
    press(ras, name)


def drawBox(corner, opposite) -> None:
    """Two clicks into the Red view."""
    placePoint(corner)
    press(opposite)
    assert not isPlacing(), "the box is not complete after two clicks"


def drawCurve(points) -> None:
    """Click around a place in the Red view; the right button ends it."""
    placePoint(points[0])
    for ras in points[1:]:
        press(ras)
    press(points[-1], button="Right")
    assert not isPlacing(), "the right button did not end the curve"


def loadPicture(path):
    """A PNG or JPEG of gray values as Slicer loads it: pixels of 1 mm, rows to the left, columns down.

    slicer-core itself reads no pictures.
    """
    import numpy as np
    from PIL import Image

    pixels = np.asarray(Image.open(path))
    toRAS = np.diag([-1.0, -1.0, 1.0, 1.0])
    node = slicer.util.addVolumeFromArray(np.ascontiguousarray(pixels[None]), toRAS, path.stem)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def paintBall(center, radius: float, reference) -> None:
    """Paint a ball with the brush, as the module opened it: one press of the mouse."""
    paintStroke([center], radius, reference)


def paintStroke(path, radius: float, reference) -> None:
    """Drag the brush along world positions of one slice of the Red view."""
    editor = qMRMLSegmentEditorWidget.observing
    assert editor is not None, "no effect takes the mouse"
    assert editor.isVisible()
    assert editor.activeEffect().name == "Paint"
    assert editor.sourceVolumeNode() is reference
    segmentation = editor.segmentationNode().GetSegmentation()
    assert editor.currentSegmentID() == segmentation.GetNthSegmentID(0)
    slicer.app.brush.radius = radius
    scrollTo(path[0])
    drag(path)
    click(wrap(editor.window().findChild(QPushButton, "paintDoneButton")))
    assert qMRMLSegmentEditorWidget.observing is None


def ijkToWorld(volume):
    """4 x 4 from voxel indices (i, j, k) to world RAS; linear transforms only."""
    import vtk

    toRAS, toWorld = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(toRAS)
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(
        volume.GetParentTransformNode(), None, toWorld
    )
    return slicer.util.arrayFromVTKMatrix(toWorld) @ slicer.util.arrayFromVTKMatrix(toRAS)


def voxelsInWorld(volume):
    """World RAS of every voxel center: (k, j, i, 3)."""
    import numpy as np

    matrix = ijkToWorld(volume)
    k, j, i = np.indices(slicer.util.arrayFromVolume(volume).shape)
    return np.stack([i, j, k], -1) @ matrix[:3, :3].T + matrix[:3, 3]


def centerInWorld(mask, volume):
    """World RAS of the center of a mask (k, j, i)."""
    import numpy as np

    k, j, i = np.argwhere(mask).mean(axis=0)
    return (ijkToWorld(volume) @ [i, j, k, 1])[:3]


def addFindings(reference, masks, name="Known"):
    """A segmentation with one segment per (name, mask) on the reference's grid, under its transform."""
    import numpy as np

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(reference.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    for title, mask in masks.items():
        segmentID = node.GetSegmentation().AddEmptySegment("", title)
        slicer.util.updateSegmentBinaryLabelmapFromArray(
            mask.astype(np.uint8), node, segmentID, reference
        )
    return node

"""The phantom's organs as curves in the slice views, drawn by the real `medsynth phantom` on a small grid."""

import json
import subprocess

import numpy as np
import pytest
import slicer
from harness.desktop import ROOT
from harness.user import choose, click, drag, drawCurve, slide
from PySide6.QtWidgets import QApplication

GRID = ("--slices", "12", "--spacing", "2.8", "2.8", "6", "--size", "128", "128")


@pytest.fixture
def drawn(desktop, medsynthPython, monkeypatch):
    """`drawn("Lung CT")`: the panel with its phantom drawn and the section open."""
    panel = desktop
    panel.ui = panel.widget.ui
    panel.ui.pythonPathLineEdit.currentPath = medsynthPython
    panel.widget.runPart.estimator.ask = lambda parameters: panel.widget.runPart._say("", False)
    from MedSynthLib import sampledata

    monkeypatch.setattr(sampledata, "THORAX_GRID", GRID)

    def start(preset, **boxes):
        choose(panel.ui.presetComboBox, preset)
        panel.showPanel()
        for name, word in boxes.items():
            choose(getattr(panel.ui, name), word)
        click(panel.ui.phantomButton)
        panel.wait(lambda: panel.widget.phantom.process is None, 600, "the phantom")
        click(panel.ui.anatomyEditButton)
        panel.showPanel()
        panel.part = panel.widget.anatomyPart
        panel.volume = panel.widget._parameters.reference
        assert panel.volume is not None, panel.ui.statusLabel.text
        return panel

    return start


def edit(panel, organ):
    choose(panel.part.ui.organComboBox, organ)
    click(panel.part.ui.editButton)
    panel.showPanel()
    return panel.part.curves


def waitForPicture(panel):
    panel.wait(lambda: panel.part.process is None, 600, "the picture")


def voxels(panel):
    return slicer.util.arrayFromVolume(panel.volume).copy()


def atLevel(panel):
    z = panel.part.curves.levels_mm[panel.part.level]
    return next(c for c in panel.part.curves.curves if abs(c.z_mm - z) < 1e-2)


def content(panel):
    from medsynth.scene import anatomy

    return anatomy.content_of(panel.volume)


def byCommand(python, points, folder, *grid):
    """What `medsynth phantom --control-points` draws of a file."""
    out = folder / "command.nrrd"
    command = [python, "-m", "medsynth", "phantom", "--control-points", str(points), "-o", str(out)]
    subprocess.run([*command, *grid], check=True, cwd=ROOT, capture_output=True)
    storage, node = slicer.vtkMRMLNRRDStorageNode(), slicer.vtkMRMLScalarVolumeNode()
    storage.SetFileName(str(out))
    assert storage.ReadData(node)
    return slicer.util.arrayFromVolume(node).copy()


def test_organs_of_a_thorax_are_dragged_added_removed_and_drawn(
    drawn, medsynthPython, monkeypatch, tmp_path
):
    panel = drawn("Lung CT")
    click(panel.part.ui.redrawButton)  # control points are kept to a micrometer
    waitForPicture(panel)
    plain, before = voxels(panel), content(panel)
    curves = edit(panel, "Lung right")
    # The curve in the view is the spline that the phantom is drawn from.
    curve = atLevel(panel)
    shown = -slicer.util.arrayFromMarkupsCurvePoints(curve.node)[:, :2]
    control = np.array(curve.holder[curve.key])
    from medsynth.scene.anatomy import _splines

    spline = _splines().closed_basis(len(control), 2000) @ control
    apart = np.linalg.norm(shown[:, None] - spline[None], axis=-1).min(axis=1)
    assert apart.max() < 0.5
    panel.screenshot("anatomy_lung", views=("Red",))

    # Drag a point of the lung's side wall 25 mm outwards.
    points = slicer.util.arrayFromMarkupsControlPoints(curve.node)
    start = points[np.argmax(points[:, 0])]  # the patient's right is at +x in RAS
    drag([start, start + (12, 0, 0), start + (25, 0, 0)])
    waitForPicture(panel)
    moved = voxels(panel)
    changed = [k for k in range(len(plain)) if not np.array_equal(plain[k], moved[k])]
    assert changed == [panel.part._slice(curve.z_mm)]
    k = changed[0]
    i = round((panel.volume.GetOrigin()[0] - (start[0] + 10)) / panel.volume.GetSpacing()[0])
    j = round((panel.volume.GetOrigin()[1] - start[1]) / panel.volume.GetSpacing()[1])
    assert plain[k, j, i] > -200 > moved[k, j, i]  # wall became lung
    assert not panel.ui.runButton.enabled
    assert "press Redraw all" in panel.ui.estimateLabel.text
    click(panel.part.ui.redrawButton)
    waitForPicture(panel)
    whole = voxels(panel)
    np.testing.assert_array_equal(whole[k], moved[k])
    assert sum(not np.array_equal(a, b) for a, b in zip(plain, whole, strict=True)) > 1
    assert panel.ui.runButton.enabled
    panel.screenshot("anatomy_dragged", views=("Red",))

    # Saved control points are the command's: the same voxels, bit by bit.
    saved = tmp_path / "thorax.json"
    import qt

    monkeypatch.setattr(
        qt.QFileDialog, "getSaveFileName", staticmethod(lambda *a: (str(saved), ""))
    )
    click(panel.part.ui.savePointsButton)
    np.testing.assert_array_equal(byCommand(medsynthPython, saved, tmp_path, *GRID), whole)

    # A piece of heart in the left lung, and the liver away.
    panel.showPanel()
    choose(panel.part.ui.organComboBox, "Heart")
    pieces = len(content(panel)["organs"]["heart"]["pieces"])
    z = curves.levels_mm[panel.part.level]
    ring = [
        (-85, y, z) if not x else (-85 + x, y, z) for x, y in ((0, -20), (15, 0), (0, 20), (-15, 0))
    ]
    slide(panel.part.ui.heightSpinBox, 30)
    click(panel.part.ui.addCurveButton)
    assert "Click around" in panel.part.ui.anatomyLabel.text
    drawCurve([np.array(p, float) for p in ring])
    QApplication.processEvents()
    waitForPicture(panel)
    assert len(content(panel)["organs"]["heart"]["pieces"]) == pieces + 1
    k = panel.part._slice(z)
    i = round((panel.volume.GetOrigin()[0] + 85) / panel.volume.GetSpacing()[0])
    j = round(panel.volume.GetOrigin()[1] / panel.volume.GetSpacing()[1])
    assert whole[k, j, i] < -500 < -100 < voxels(panel)[k, j, i]
    choose(panel.part.ui.organComboBox, "Liver")
    panel.showPanel()
    click(panel.part.ui.removeOrganButton)
    waitForPicture(panel)
    assert "liver" not in content(panel)["organs"]
    # Undo, back to the drawn person.
    for _ in range(3):
        click(panel.ui.undoButton)
        waitForPicture(panel)
    assert content(panel) == before
    click(panel.part.ui.redrawButton)
    waitForPicture(panel)
    np.testing.assert_array_equal(voxels(panel), plain)
    # Nothing of it is in a file of the scene but the control points.
    panel.part.ui.editButton.checked = False
    assert slicer.util.getNodesByClass("vtkMRMLMarkupsClosedCurveNode") == []


def test_removing_curves_level_by_level_removes_the_organ(drawn):
    panel = drawn("Lung CT")
    edit(panel, "Liver")
    count = len(panel.part.curves.levels_mm)
    assert count == 5
    for left in (4, 3, 2):
        click(panel.part.ui.removeCurveButton)
        assert len(panel.part.curves.levels_mm) == left
    click(panel.part.ui.removeCurveButton)
    assert "liver" not in content(panel)["organs"]
    assert "Liver" not in [
        panel.part.ui.organComboBox.itemText(i) for i in range(panel.part.ui.organComboBox.count)
    ]
    waitForPicture(panel)


@pytest.mark.parametrize("side", ["L", "R"])
def test_a_breast_follows_its_curves(drawn, medsynthPython, tmp_path, side):
    panel = drawn("Mammography", phantomSideBox=side)
    plain = voxels(panel)
    curves = edit(panel, "Skin")
    shown = slicer.util.arrayFromMarkupsControlPoints(curves.curves[0].node)
    # On the skin: half of what lies around a point of the outline is air.
    inside = [p for p in shown if 60 < -p[1] < 150]
    for point in inside:
        column, row = -point[0] / 0.25, -point[1] / 0.25
        j, i = round(row), round(column)
        patch = plain[0, j - 12 : j + 13, max(i - 12, 0) : i + 13]
        assert 0.2 < (patch < 10).mean() < 0.8, (side, point)
    panel.screenshot(f"anatomy_breast_{side}", views=("Red",))
    choose(panel.part.ui.organComboBox, "Glandular disc")
    node = curves.curves[0].node
    points = slicer.util.arrayFromMarkupsControlPoints(node)
    center, start = points.mean(axis=0), points[np.argmax(points[:, 1])]
    drag([start, (start + center) / 2], name="Red")
    waitForPicture(panel)
    after = voxels(panel)
    assert after.shape == plain.shape
    assert not np.array_equal(after, plain)
    saved = tmp_path / "breast.json"
    saved.write_text(json.dumps(content(panel)))
    drawnAgain = byCommand(medsynthPython, saved, tmp_path, "--preset", "mammography")
    np.testing.assert_array_equal(drawnAgain, after)
    click(panel.part.ui.removeOrganButton)
    assert "No breast can be drawn without it" in panel.ui.statusLabel.text
    choose(panel.part.ui.organComboBox, "Pectoral muscle")
    click(panel.part.ui.removeOrganButton)
    waitForPicture(panel)
    assert content(panel)["pectoral"] is None
    assert panel.ui.runButton.enabled  # a mammogram is drawn whole at once


def test_only_phantoms_have_curves(panel, addReference):
    from harness.user import pick

    pick(panel.ui.referenceSelector, addReference())
    click(panel.ui.anatomyEditButton)
    panel.showPanel()
    ui = panel.widget.anatomyPart.ui
    assert not ui.editButton.enabled
    assert "Only a phantom has curves" in ui.anatomyLabel.text

"""Films: what their pixels do not tell, the phantoms of their domains, results on another grid."""

import json
from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from harness.user import (
    centerInWorld,
    choose,
    click,
    ijkToWorld,
    loadPicture,
    pick,
    placePoint,
    run,
    slide,
    voxelsInWorld,
)
from PIL import Image

from medsynth.domains import get


@pytest.fixture
def addFilm(tmp_path):
    """`addFilm("left")`: a picture of 60 x 80 pixels, loaded as a volume of 1 mm pixels."""

    def add(name="film"):
        j, i = np.indices((80, 60))
        breast = (i**2 + (j - 40) ** 2 < 38**2) * (150 + 20 * np.sin(i / 3) * np.cos(j / 4))
        Image.fromarray(breast.astype(np.uint8)).save(tmp_path / f"{name}.png")
        return loadPicture(tmp_path / f"{name}.png")

    return add


@pytest.fixture
def mammography(panel):
    choose(panel.ui.presetComboBox, "Mammography")
    panel.showPanel()
    return panel


def say(panel, view="MLO", side="L", mm=0.5):
    choose(panel.ui.viewComboBox, view)
    choose(panel.ui.sideComboBox, side)
    slide(panel.ui.pixelSizeSpinBox, mm)


def requestOf(volume):
    folder = Path(volume.GetAttribute("MedSynth.Folder"))
    return json.loads((folder / "request.yaml").read_text())


@pytest.mark.parametrize(
    ("preset", "shown"),
    [
        ("lung_ct", {"phantomRow", "phantomButton"}),
        ("mammography", {"viewComboBox", "sideComboBox", "pixelSizeSpinBox", "phantomRow"}),
        ("chest_xray", {"viewComboBox", "pixelSizeSpinBox"}),
        ("brain_mri", set()),
    ],
)
def test_what_is_asked_of_a_film_and_of_a_phantom_follows_the_preset(panel, preset, shown):
    choose(panel.ui.presetComboBox, get(preset).title)
    if preset == "mammography":
        shown |= {"phantomButton", "phantomViewBox", "phantomSideBox", "phantomDensityBox"}
    names = ("viewComboBox", "sideComboBox", "pixelSizeSpinBox", "phantomRow", "phantomButton")
    names += ("phantomViewBox", "phantomSideBox", "phantomDensityBox")
    assert {n for n in names if getattr(panel.ui, n).q.isVisible()} == shown
    combo = panel.ui.viewComboBox.q
    views = [combo.itemText(row) for row in range(1, combo.count())]
    wanted = {"mammography": ["CC", "MLO", "ML", "LM"], "chest_xray": ["PA", "AP", "LL", "RL"]}
    assert views == wanted.get(preset, [])


def test_a_picture_is_refused_until_everything_is_said(mammography, addFilm, addReference):
    panel = mammography
    pick(panel.ui.referenceSelector, addReference())
    assert not panel.ui.runButton.enabled
    assert "CT is a volume of several slices" in panel.ui.estimateLabel.text
    assert not panel.ui.viewComboBox.enabled
    film = addFilm()
    pick(panel.ui.referenceSelector, film)
    words = "film: choose its view, choose its side and enter its pixel size under 1. Anatomy"
    assert panel.ui.estimateLabel.text.startswith(words)
    assert not panel.ui.runButton.enabled
    panel.screenshot("film_refusal")
    choose(panel.ui.viewComboBox, "CC")
    choose(panel.ui.sideComboBox, "R")
    assert "film: enter its pixel size under" in panel.ui.estimateLabel.text
    slide(panel.ui.pixelSizeSpinBox, 0.004)
    assert "expected 0.01 to 10 mm, got 0.004 mm" in panel.ui.statusLabel.text
    assert panel.ui.pixelSizeSpinBox.value == 0
    assert "once the pixel size is entered" in panel.ui.factorLabel.text
    slide(panel.ui.pixelSizeSpinBox, 0.2)
    assert "about 4 mm" in panel.ui.factorLabel.text
    run(panel)
    request = requestOf(panel.widget._parameters.result)
    # The written file has its pixel size; the library refuses to be told twice.
    said = {k: v for k, v in request["anatomy"].items() if k not in ("factor", "stop")}
    assert said == {"image": "reference.nrrd", "view": "CC", "laterality": "R"}


def test_a_chest_film_may_go_without_a_view(panel, addFilm):
    choose(panel.ui.presetComboBox, "Chest X-ray")
    pick(panel.ui.referenceSelector, addFilm())
    slide(panel.ui.pixelSizeSpinBox, 0.7)
    run(panel)
    assert set(requestOf(panel.widget._parameters.result)["anatomy"]) == {"image", "factor", "stop"}
    choose(panel.ui.viewComboBox, "PA")
    run(panel)
    assert requestOf(panel.widget._parameters.result)["anatomy"]["view"] == "PA"
    # What is said of it as a chest film is no view of a breast.
    choose(panel.ui.presetComboBox, "Mammography")
    assert panel.ui.viewComboBox.currentText == "choose view"


@pytest.mark.parametrize("moved", [False, True])
def test_marks_stay_on_their_pixels_when_the_pixel_size_is_said(mammography, addFilm, moved):
    panel, film = mammography, addFilm()
    pick(panel.ui.referenceSelector, film)
    marks = addMarks(film)
    if moved:
        for node in (film, *marks):
            node.SetAndObserveTransformNodeID(addTransform(node).GetID())
    panel.widget.onAddPathology()
    for mark in marks:
        lesion = panel.widget.logic.addPathology(panel.widget._parameters)
        lesion.where = mark
    before = inPixels(film, marks)
    slide(panel.ui.pixelSizeSpinBox, 0.2)
    assert film.GetSpacing() == (0.2, 0.2, 1.0)
    np.testing.assert_allclose(inPixels(film, marks), before, atol=1e-6)
    slide(panel.ui.pixelSizeSpinBox, 0)
    assert film.GetSpacing() == (1.0, 1.0, 1.0)
    np.testing.assert_allclose(inPixels(film, marks), before, atol=1e-6)


def addMarks(film):
    """A point, a box and a curve on the film."""
    world = voxelsInWorld(film)
    point = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    point.AddControlPointWorld(*world[0, 30, 12])
    box = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    box.SetCenterWorld(*world[0, 50, 20])
    box.SetSizeWorld(10, 16, 4)
    curve = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsClosedCurveNode")
    for j, i in ((20, 10), (20, 18), (28, 18)):
        curve.AddControlPointWorld(*world[0, j, i])
    return point, box, curve


def addTransform(node):
    turn = vtk.vtkTransform()
    turn.Translate(12, -6, 3)
    turn.RotateZ(20 + 10 * len(node.GetID()))
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(turn.GetMatrix())
    return transform


def inPixels(film, marks):
    """Columns and rows of the film at which the marks' points, and the box's corners, are."""
    point, box, curve = marks
    toWorld = slicer.util.arrayFromVTKMatrix(box.GetObjectToWorldMatrix())
    half = np.array(box.GetSize()) / 2
    corners = [(toWorld @ [*(half * sign), 1])[:3] for sign in ((1, 1, 0), (-1, 1, 0), (1, -1, 0))]
    points = [slicer.util.arrayFromMarkupsControlPoints(m, world=True) for m in (point, curve)]
    points = np.vstack([*points, corners])
    ijk = np.linalg.inv(ijkToWorld(film)) @ np.column_stack([points, np.ones(len(points))]).T
    return ijk[:2].T


def test_a_painted_region_stays_on_its_pixels(mammography, addFilm):
    from MedSynthLib import selftest

    from medsynth.scene import region

    panel, film = mammography, addFilm()
    pick(panel.ui.referenceSelector, film)
    painted = np.zeros((1, 80, 60), np.uint8)
    painted[0, 30:36, 10:22] = 1
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    selftest.paint({node.GetSegmentation().AddEmptySegment("", "lesion"): painted}, film, node)
    for _ in range(2):  # two pathologies may share one segmentation; it moves once
        panel.widget.logic.addPathology(panel.widget._parameters).where = node
    slide(panel.ui.pixelSizeSpinBox, 0.2)
    np.testing.assert_array_equal(region.segmentation_mask(node, film), painted > 0)


def test_every_film_has_its_own_and_keeps_it_in_the_scene(mammography, addFilm, tmp_path):
    panel, left, right = mammography, addFilm("left"), addFilm("right")
    pick(panel.ui.referenceSelector, left)
    say(panel, "MLO", "L", 0.2)
    pick(panel.ui.referenceSelector, right)
    assert shown(panel) == ("choose view", "choose side", 0)
    say(panel, "CC", "R", 1.0)
    pick(panel.ui.referenceSelector, left)
    file = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(file)
    slicer.mrmlScene.Clear(False)
    assert slicer.mrmlScene.ReadFromMRB(file)
    assert shown(panel) == ("MLO", "L", 0.2)
    pick(panel.ui.referenceSelector, slicer.util.getNode("right"))
    # 1 mm is what a picture has that says nothing, but of this one it was said.
    assert shown(panel) == ("CC", "R", 1.0)


def shown(panel):
    ui = panel.ui
    return ui.viewComboBox.currentText, ui.sideComboBox.currentText, ui.pixelSizeSpinBox.value


def test_what_a_dicom_film_says_is_taken_and_cannot_be_changed(mammography, addFilm):
    panel, film = mammography, addFilm()
    film.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    film.SetSpacing(0.1, 0.1, 1)
    values = {("1.2.3", "0018,5101"): "MLO ", ("1.2.3", "0020,0060"): "R"}
    slicer.dicomDatabase.values.update(values)
    pick(panel.ui.referenceSelector, film)
    assert shown(panel) == ("MLO", "R", 0.1)
    boxes = panel.ui.viewComboBox, panel.ui.sideComboBox, panel.ui.pixelSizeSpinBox
    assert not any(box.enabled for box in boxes)
    run(panel)
    assert requestOf(panel.widget._parameters.result)["anatomy"]["laterality"] == "R"
    values = {("1.2.3", "0018,5101"): "XCCL", ("1.2.3", "0020,0060"): ""}
    slicer.dicomDatabase.values.update(values)
    pick(panel.ui.referenceSelector, None)
    pick(panel.ui.referenceSelector, film)
    # A view that the library does not know, and no side: the user says them.
    assert shown(panel) == ("choose view", "choose side", 0.1)
    assert panel.ui.viewComboBox.enabled
    assert panel.ui.sideComboBox.enabled


def test_what_a_picture_measures_on_paper_is_no_pixel_size(mammography, addFilm):
    panel, film = mammography, addFilm()
    film.SetSpacing(25.4 / 72, 25.4 / 72, 1)  # 72 dpi
    film.AddDefaultStorageNode()
    film.GetStorageNode().SetFileName("/films/film.JPG")
    pick(panel.ui.referenceSelector, film)
    assert shown(panel)[2] == 0
    film.GetStorageNode().SetFileName("/films/film.nrrd")  # such a file may be right, or not
    pick(panel.ui.referenceSelector, None)
    pick(panel.ui.referenceSelector, film)
    assert shown(panel)[2] == 0.353
    slide(panel.ui.pixelSizeSpinBox, 0.1)
    assert film.GetSpacing() == (0.1, 0.1, 1)


def test_a_result_lies_on_its_own_grid_where_the_film_lies(mammography, addFilm):
    panel, film = mammography, addFilm()
    film.SetAndObserveTransformNodeID(addTransform(film).GetID())
    pick(panel.ui.referenceSelector, film)
    say(panel)
    film.GetDisplayNode().AutoWindowLevelOff()
    film.GetDisplayNode().SetWindowLevel(4000, 2000)  # of 12 bits; results have 8
    click(panel.ui.addPathologyButton)
    click(panel.widget.cards.cards[0].ui.clickButton)
    place = voxelsInWorld(film)[0, 30, 20]
    placePoint(place)
    run(panel)
    result = panel.widget._parameters.result
    assert result.GetImageData().GetDimensions() == (72, 92, 1)
    display = result.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (255, 127.5)
    segmentation = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[-1]
    segment = segmentation.GetSegmentation().GetNthSegmentID(0)
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment, result) > 0
    assert np.linalg.norm(centerInWorld(mask, result) - place) < 0.3
    np.testing.assert_allclose(voxelsInWorld(result)[0, 36, 26], place, atol=1e-6)
    # A result is a film whose view and side are known.
    pick(panel.ui.referenceSelector, result)
    assert shown(panel) == ("MLO", "L", 0.5)
    assert not panel.ui.sideComboBox.enabled


@pytest.mark.parametrize("change", ["pixels", "size"])
def test_a_film_that_changed_while_its_result_was_made_is_not_its_reference(
    mammography, addFilm, change
):
    panel, film = mammography, addFilm()
    pick(panel.ui.referenceSelector, film)
    say(panel)
    click(panel.ui.runButton)
    if change == "pixels":
        assert not panel.ui.pixelSizeSpinBox.enabled
        film.SetSpacing(0.4, 0.4, 1)  # as another module may
    else:
        slicer.util.updateVolumeFromArray(film, np.zeros((1, 80, 62), np.uint8))
        film.SetOrigin(0.5, 0, 0)  # about the same middle
    panel.wait(lambda: panel.widget.runPart.synthesis is None, what="the end of the run")
    assert "another grid" in panel.ui.statusLabel.text
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == [film]


def test_the_preview_follows_the_pixel_size(mammography, addFilm):
    panel, film = mammography, addFilm()
    pick(panel.ui.referenceSelector, film)
    click(panel.ui.previewCheckBox)
    slide(panel.ui.pixelSizeSpinBox, 0.5)
    preview = panel.widget.previewPart.preview.volume
    assert preview.GetSpacing() == film.GetSpacing()


def test_the_breast_phantom_is_drawn_as_asked(mammography):
    panel = mammography
    slide(panel.ui.phantomPersonSpinBox, 14)
    choose(panel.ui.phantomViewBox, "CC")
    choose(panel.ui.phantomSideBox, "R")
    choose(panel.ui.phantomDensityBox, "fatty")
    click(panel.ui.phantomButton)
    arguments = " ".join(panel.widget.phantom.process.arguments)
    options = "--preset mammography --seed 14 --set view=CC --set laterality=R --set density=fatty"
    assert options in arguments
    assert "--slices" not in arguments
    panel.wait(lambda: panel.widget.phantom.process is None, what="the phantom")
    assert panel.widget._parameters.reference.GetName() == "Breast phantom 14 CC R"
    display = panel.widget._parameters.reference.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (255, 127.5)
    # It says itself what it shows, so it can be run at once.
    assert shown(panel)[:2] == ("CC", "R")
    assert not panel.ui.viewComboBox.enabled
    choose(panel.ui.phantomDensityBox, "any density")
    click(panel.ui.phantomButton)
    assert "density" not in " ".join(panel.widget.phantom.process.arguments)
    panel.wait(lambda: panel.widget.phantom.process is None, what="the phantom")


def test_without_a_phantom_nobody_is_told_to_draw_one(panel):
    choose(panel.ui.presetComboBox, "Brain MRI")
    assert panel.ui.estimateLabel.text == "Choose an anatomy reference first."


def test_specks_are_followed_exactly_unless_the_user_says_otherwise(mammography, addFilm):
    panel = mammography
    pick(panel.ui.referenceSelector, addFilm())
    click(panel.ui.addPathologyButton)
    panel.showPanel()
    card = panel.widget.cards.cards[0]
    factors = []
    specks = "Cluster of microcalcifications"
    for kind in (specks, "Spiculated mass", specks):
        choose(card.ui.kindComboBox, kind)
        factors.append(card.ui.pathologyFactorSlider.value)
    assert factors == [1, 4, 1]
    choose(panel.ui.presetComboBox, "Chest X-ray")
    assert (card.parameters.kind, card.parameters.factor) == ("nodule", 4)
    slide(card.ui.pathologyFactorSlider, 7)
    choose(card.ui.kindComboBox, "Opacity")
    assert card.parameters.factor == 7


def test_what_a_files_header_says_is_not_said_again(mammography, addFilm, tmp_path):
    """As for an upload of the page, which the request names itself; the library refuses what is said twice."""
    from medsynth.scene import projection, request

    pick(mammography.ui.referenceSelector, addFilm())
    parameters = mammography.widget._parameters
    projection.set_own(parameters.reference, {"view": "MLO", "laterality": ""})
    say(mammography, view="MLO", side="R")
    file = request.write(parameters, [], tmp_path, reference="upload", has_header=True)[0]
    anatomy = json.loads(file.read_text())["anatomy"]
    assert anatomy["image"] == "upload"
    assert "view" not in anatomy
    assert anatomy["laterality"] == "R"

"""The clinician's walk by clicks, with a quick stand-in for the synthesis."""

import json
from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from harness.user import (
    card,
    centerInWorld,
    choose,
    click,
    drawBox,
    drawCurve,
    ijkToWorld,
    offered,
    paintBall,
    pick,
    placePoint,
    runToResult,
    slide,
    voxelsInWorld,
)


def ijkToRAS(volume):
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def lesionMasks(volume):
    """Each segment of the result's segmentation, on the volume's grid, by segment name."""
    node = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[-1]
    segmentation = node.GetSegmentation()
    ids = [segmentation.GetNthSegmentID(i) for i in range(segmentation.GetNumberOfSegments())]
    return {
        segmentation.GetSegment(s).GetName(): slicer.util.arrayFromSegmentBinaryLabelmap(
            node, s, volume
        )
        > 0
        for s in ids
    }


def checkViews(reference, lesion):
    """Both views show the plane the slices were made in, through the lesion."""
    slices = ijkToWorld(reference)[:3, 2]
    for view in ("Red", "Yellow"):
        node = slicer.app.layoutManager().sliceWidget(view).mrmlSliceNode()
        plane = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
        assert abs(plane[:3, 2] @ slices) / np.linalg.norm(slices) > 0.999
        assert abs((lesion - plane[:3, 3]) @ plane[:3, 2]) < 1


@pytest.mark.parametrize("oblique", [False, True])
def test_from_reference_to_marked_result(panel, addReference, oblique):
    reference = addReference(oblique=oblique)
    pick(panel.ui.referenceSelector, reference)
    click(panel.ui.addPathologyButton)
    click(card(panel).ui.clickButton)
    place = voxelsInWorld(reference)[9, 24, 12]
    placePoint(place)
    choose(card(panel).ui.kindComboBox, "Spiculated nodule")
    slide(card(panel).ui.diameterSlider, 16)
    runToResult(panel)

    volume = panel.widget._parameters.result
    assert volume.GetName() == "SYNTHETIC CT seed 7"
    np.testing.assert_array_equal(ijkToRAS(volume), ijkToRAS(reference))
    assert volume.GetImageData().GetDimensions() == reference.GetImageData().GetDimensions()
    assert volume.GetTransformNodeID() == reference.GetTransformNodeID()
    masks = lesionMasks(volume)
    assert list(masks) == ["Pathology 1 (synthetic)"]
    mask = masks["Pathology 1 (synthetic)"]
    # RAS and LPS swapped, or a transform forgotten, would put the lesion centimetres away.
    assert np.linalg.norm(centerInWorld(mask, volume) - place) < 1.5
    assert (slicer.util.arrayFromVolume(volume)[mask] == 101).all()
    checkViews(reference, centerInWorld(mask, volume))
    panel.screenshot(f"walk_result_{'oblique' if oblique else 'axial'}")


def test_results_are_under_a_synthetic_item_side_by_side(panel, addReference):
    reference = addReference()
    pick(panel.ui.referenceSelector, reference)
    click(panel.ui.addPathologyButton)
    click(card(panel).ui.clickButton)
    placePoint(voxelsInWorld(reference)[9, 24, 12])
    runToResult(panel)
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    volume = panel.widget._parameters.result
    folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(volume))
    assert hierarchy.GetItemName(folder).startswith("SYNTHETIC")
    segmentation = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[-1]
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(segmentation)) == folder
    assert volume.GetAttribute("MedSynth.Synthetic") == "1"
    manager = slicer.app.layoutManager()
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView
    shown = [
        manager.sliceWidget(v).sliceLogic().GetSliceCompositeNode().GetBackgroundVolumeID()
        for v in ("Red", "Yellow")
    ]
    assert shown == [reference.GetID(), volume.GetID()]


def test_several_pathologies_with_their_own_places_sources_factors_and_stops(panel, addReference):
    reference, other = addReference(), addReference("Other CT")
    pick(panel.ui.referenceSelector, reference)
    world = voxelsInWorld(reference)

    click(panel.ui.addPathologyButton)
    click(card(panel, 1).ui.paintButton)
    paintBall(world[10, 20, 28], 6.0, reference)
    choose(card(panel, 1).ui.kindComboBox, "Ground-glass nodule")
    slide(card(panel, 1).ui.pathologyFactorSlider, 6)

    click(panel.ui.addPathologyButton)
    panel.showPanel()
    click(card(panel, 2).ui.boxButton)
    drawBox(world[8, 21, 9], world[8, 27, 15])
    box = card(panel, 2).parameters.where
    slide(card(panel, 2).ui.pathologyStopSlider, 0.25)

    click(panel.ui.addPathologyButton)
    panel.showPanel()
    click(card(panel, 3).ui.curveButton)
    corners = [world[12, j, i] for j, i in ((20, 9), (20, 14), (29, 14), (29, 9))]
    drawCurve(corners)
    choose(card(panel, 3).ui.kindComboBox, "From another volume")
    panel.showPanel()
    marked = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "marked")
    segment = marked.GetSegmentation().AddEmptySegment("", "tumour")
    lesion = np.zeros((20, 48, 40), "u1")
    lesion[4:7, 20:25, 25:31] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(lesion, marked, segment, other)
    pick(card(panel, 3).ui.sourceVolumeSelector, other)
    pick(card(panel, 3).ui.sourceMaskSelector, marked)
    panel.screenshot("walk_three_pathologies", views=("Red",))
    runToResult(panel)

    volume = panel.widget._parameters.result
    request = json.loads(
        (Path(volume.GetAttribute("MedSynth.Folder")) / "request.yaml").read_text()
    )
    first, second, third = request["pathologies"]
    assert (first["factor"], first["stop"]) == (6, 0.0)
    assert (second["factor"], second["stop"]) == (4, 0.25)
    assert first["source"] == {"procedural": {"kind": "ground_glass"}}
    assert set(third["source"]) == {"image", "mask"}
    masks = list(lesionMasks(volume).values())
    assert np.linalg.norm(centerInWorld(masks[0], volume) - world[10, 20, 28]) < 1
    assert np.linalg.norm(centerInWorld(masks[1], volume) - world[8, 24, 12]) < 1
    # The box: from voxel 9 to 15 and 21 to 27, less than a pixel of the view off.
    size, center = np.array(box.GetSize()), np.array(box.GetCenterWorld())
    np.testing.assert_allclose(sorted(size)[-2:], [9, 9], atol=0.5)
    inside = np.all(np.abs(world - center) <= size / 2, axis=-1)
    np.testing.assert_array_equal(masks[1], inside)
    # The curve: its own slice and those within half the depth (14 mm) above and below.
    assert sorted(set(np.nonzero(masks[2])[0])) == [11, 12, 13]
    assert np.linalg.norm(centerInWorld(masks[2], volume) - np.mean(corners, axis=0)) < 1.5


def test_every_point_of_a_list_is_a_lesion(panel, addReference):
    reference = addReference(oblique=True)
    pick(panel.ui.referenceSelector, reference)
    click(panel.ui.addPathologyButton)
    click(card(panel).ui.clickButton)
    world = voxelsInWorld(reference)
    places = [world[6, 24, 12], world[13, 22, 28]]
    placePoint(places[0])
    card(panel).parameters.where.AddControlPointWorld(*places[1])
    runToResult(panel)
    masks = list(lesionMasks(panel.widget._parameters.result).values())
    assert len(masks) == 2
    for mask, place in zip(masks, places, strict=True):
        assert np.linalg.norm(centerInWorld(mask, panel.widget._parameters.result) - place) < 1.5


def test_another_preset_brings_its_kinds_and_its_grid(panel, addReference):
    reference = addReference()
    pick(panel.ui.referenceSelector, reference)
    click(panel.ui.addPathologyButton)
    choose(card(panel).ui.kindComboBox, "Spiculated nodule")
    choose(panel.ui.presetComboBox, "Brain CT")
    assert card(panel).parameters.kind == "hemorrhage"
    click(panel.ui.addPathologyButton)
    assert card(panel).parameters.kind == "hemorrhage"
    # A factor counts in pixels of the network's grid, which the reference is brought onto.
    rows, columns = slicer.util.arrayFromVolume(reference).shape[1:]
    slide(panel.ui.factorSlider, 16)
    size = 16 * max(rows, columns) / 256 * max(reference.GetSpacing()[:2])
    assert f"about {size:.0f} mm" in panel.ui.factorLabel.text
    click(panel.ui.previewCheckBox)
    panel.wait(lambda: not panel.widget.previewPart.preview.queue, what="the preview")
    from medsynth.images.low_pass_preview import LowPassPreview

    factor = round(16 * max(rows, columns) / 256)
    array = slicer.util.arrayFromVolume(reference)
    expected = LowPassPreview((rows, columns), factor)(array)
    preview = slicer.util.arrayFromVolume(panel.widget.previewPart.preview.volume)
    assert np.abs(preview - expected).max() <= 1


def test_preview_follows_the_sliders_and_leaves_no_trace(panel, addReference):
    reference = addReference()
    pick(panel.ui.referenceSelector, reference)
    view = slicer.app.layoutManager().sliceWidget("Red")
    view.sliceLogic().FitSliceToBackground()
    plain = view.pixels().copy()
    click(panel.ui.previewCheckBox)
    panel.wait(lambda: not panel.widget.previewPart.preview.queue, what="the preview")
    assert offered(panel.ui.referenceSelector) == ["None", "CT"]
    shown = {}
    for factor in (4, 16):
        slide(panel.ui.factorSlider, factor)
        panel.wait(lambda: not panel.widget.previewPart.preview.queue, what="the preview")
        shown[factor] = view.pixels().astype(float)
        panel.screenshot(f"walk_preview_{factor}")
    # The texture of 5 pixels is kept by neither; the coarser filter is further from the image.
    distance = {f: np.abs(pixels - plain).mean() for f, pixels in shown.items()}
    assert 0.5 < distance[4] < distance[16]
    assert "about 24 mm" in panel.ui.factorLabel.text
    from medsynth.domains import get
    from medsynth.images.low_pass_preview import LowPassPreview

    array = slicer.util.arrayFromVolume(reference)
    expected = LowPassPreview(array.shape[1:], 16, get("lung_ct").intensity)(array)
    preview = slicer.util.arrayFromVolume(panel.widget.previewPart.preview.volume)
    assert np.abs(preview - expected).max() <= 1
    click(panel.ui.previewCheckBox)
    np.testing.assert_array_equal(view.pixels(), plain)
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == [reference]


def test_preview_shows_the_factor_of_the_pathology_that_is_moved(panel, addReference):
    pick(panel.ui.referenceSelector, addReference())
    click(panel.ui.previewCheckBox)
    click(panel.ui.addPathologyButton)
    slide(card(panel).ui.pathologyFactorSlider, 12)
    assert panel.ui.previewLabel.text == "Showing the pathology's factor 12."
    assert panel.widget.previewPart.preview.asked[1] == 12
    slide(panel.ui.factorSlider, 20)
    assert panel.ui.previewLabel.text == "Showing the anatomy's factor 20."


def test_choosing_a_preset_brings_its_defaults(panel):
    from medsynth.domains import get

    slide(panel.ui.factorSlider, 33)
    slide(panel.ui.stopSlider, 0.4)
    choose(panel.ui.presetComboBox, "Lung CT")
    preset = get("lung_ct")
    assert panel.ui.factorSlider.value == preset.anatomy_factor
    assert panel.ui.stopSlider.value == preset.anatomy_stop
    assert panel.widget._parameters.steps == preset.steps
    assert panel.widget._parameters.sampler == preset.sampler


def test_variants_are_seeds(panel, addReference):
    pick(panel.ui.referenceSelector, addReference())
    slide(panel.ui.variantsSpinBox, 3)
    runToResult(panel)
    names = [n.GetName() for n in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")]
    assert names == ["CT", *(f"SYNTHETIC CT seed {s}" for s in (7, 8, 9))]
    assert offered(panel.ui.resultSelector) == ["None", *names[1:]]


def test_progress_says_step_and_time_left(panel, addReference):
    pick(panel.ui.referenceSelector, addReference())
    seen = []
    progress = panel.widget.messages.progress
    panel.widget.runPart.messages.progress = lambda *a: (seen.append(a), progress(*a))
    runToResult(panel)
    texts = [text for text, percent in seen]
    assert "sampling 1 of 20, about 1 s left" in texts
    assert ("sampling 20 of 20", 100.0) in seen
    assert "a line for the log" in panel.ui.logText.plainText
    click(panel.ui.logButton)
    assert panel.ui.logText.visible


def test_windows_are_one_click_away(panel, addReference):
    reference = addReference()
    pick(panel.ui.referenceSelector, reference)
    runToResult(panel)
    labels = [b.text for b in panel.widget.results.windowButtons]
    assert labels == ["Lung", "Soft tissue", "Bone"]
    click(panel.widget.results.windowButtons[2])
    for node in (reference, panel.widget._parameters.result):
        display = node.GetDisplayNode()
        assert (display.GetLevel(), display.GetWindow()) == (400, 1800)


def test_sample_phantom_is_loaded_and_chosen(panel):
    click(panel.ui.phantomButton)
    panel.wait(lambda: panel.widget.phantom.process is None, what="the phantom")
    assert panel.widget._parameters.reference.GetName() == "MedSynthPhantom"
    assert slicer.util.arrayFromVolume(panel.widget._parameters.reference).min() == -1000


def test_sample_data_module_offers_the_phantom(panel):
    import SampleData

    source = SampleData.SampleDataLogic.sources[-1]
    assert Path(source["thumbnailFileName"]).is_file()
    assert source["customDownloader"](None).GetName() == "MedSynthPhantom"


def test_export_never_overwrites(panel, addReference, tmp_path):
    pick(panel.ui.referenceSelector, addReference())
    runToResult(panel)
    folder = tmp_path / "Teaching"
    folder.mkdir()
    panel.ui.exportFolderButton.directory = str(folder)
    click(panel.ui.exportButton)
    assert (folder / "SYNTHETIC_CT_seed_7" / "image" / "0001.dcm").is_file()
    assert (folder / "SYNTHETIC_CT_seed_7" / "seg" / "0001.dcm").is_file()
    panel.screenshot("walk_export", views=())
    click(panel.ui.exportButton)  # a second export never overwrites the first
    assert (folder / "SYNTHETIC_CT_seed_7_2").is_dir()


def test_settings_come_back_with_the_scene(panel, addReference, tmp_path):
    reference = addReference(oblique=True)
    pick(panel.ui.referenceSelector, reference)
    slide(panel.ui.factorSlider, 11)
    slide(panel.ui.variantsSpinBox, 2)
    click(panel.ui.addPathologyButton)
    click(card(panel).ui.clickButton)
    placePoint(voxelsInWorld(reference)[9, 24, 12])
    choose(card(panel).ui.kindComboBox, "Calcified nodule")
    slide(card(panel).ui.pathologyFactorSlider, 5)
    click(panel.ui.advancedButton)
    panel.showPanel()
    choose(panel.ui.samplerComboBox, "DDIM, deterministic")
    slide(panel.ui.seedSpinBox, 41)
    runToResult(panel)
    world = voxelsInWorld(panel.widget._parameters.result)
    file = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(file)
    slicer.mrmlScene.Clear(False)
    assert panel.widget.cards.cards == []
    assert slicer.mrmlScene.ReadFromMRB(file)
    parameters = panel.widget._parameters
    assert (parameters.factor, parameters.variants, parameters.seed) == (11, 2, 41)
    assert parameters.sampler == "ddim"
    assert parameters.reference.GetName() == "CT"
    assert panel.ui.factorSlider.value == 11
    assert panel.ui.samplerComboBox.currentText == "DDIM, deterministic"
    assert len(panel.widget.cards.cards) == 1
    assert card(panel).ui.kindComboBox.currentText == "Calcified nodule"
    assert card(panel).ui.pathologyFactorSlider.value == 5
    assert card(panel).parameters.where.GetNumberOfControlPoints() == 1
    assert parameters.result.GetName() == "SYNTHETIC CT seed 42"
    np.testing.assert_allclose(voxelsInWorld(parameters.result), world, atol=1e-4)
    # The program that runs is this computer's setting, never the scene's.
    assert str(panel.ui.pythonPathLineEdit.currentPath) not in Path(file).read_bytes().decode(
        "latin1"
    )


def test_removing_a_pathology_removes_only_it(panel, addReference):
    pick(panel.ui.referenceSelector, addReference())
    for kind in ("Solid nodule", "Part-solid nodule", "Calcified nodule"):
        click(panel.ui.addPathologyButton)
        panel.showPanel()
        choose(card(panel, len(panel.widget.cards.cards)).ui.kindComboBox, kind)
    click(card(panel, 2).ui.cardButton)
    panel.showPanel()
    click(card(panel, 2).ui.removeButton)
    kinds = [c.parameters.kind for c in panel.widget.cards.cards]
    assert kinds == ["solid", "calcified"]
    assert panel.widget.cards.cards[1].ui.cardButton.text == "Pathology 2: Calcified nodule"

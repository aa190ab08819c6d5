"""Computer: this one or a server, and `MedSynthLogic.process`, on a quick stand-in for the synthesis."""

import json
from pathlib import Path

import numpy as np
import pytest
import slicer
from harness.user import choose, click, pick, run, voxelsInWorld

ADDRESS, TOKEN = "https://gpu.hospital:8443", "a token of the hospital"


def enter(panel, address=ADDRESS, token=TOKEN):
    click(panel.ui.advancedButton)
    panel.showPanel()
    ui = panel.widget.computerPart.ui
    choose(ui.computerComboBox, "server")
    panel.showPanel()
    for line, text in ((ui.addressLineEdit, address), (ui.tokenLineEdit, token)):
        line.text = text
        line.q.editingFinished.emit()
    return ui


def calls(panel, monkeypatch):
    """The command lines and extra variables of the processes that are started from now on."""
    from MedSynthLib import library

    found, original = [], library.command

    def command(arguments):
        launch = original([a for a in arguments if not a.startswith(("--server", "http"))])
        found.append((arguments, launch["updateEnvironment"]))
        return launch

    monkeypatch.setattr(library, "command", command)
    return found


def test_the_panel_begins_with_this_computer_and_no_fields(panel, addReference):
    click(panel.ui.advancedButton)
    panel.showPanel()
    ui = panel.widget.computerPart.ui
    assert ui.computerComboBox.currentText == "this one"
    assert not ui.addressLineEdit.visible
    assert not ui.testServerButton.visible


def test_a_run_on_a_server_is_asked_once_and_said(panel, addReference, asked, monkeypatch):
    pick(panel.ui.referenceSelector, addReference())
    ui = enter(panel)
    assert panel.ui.estimateLabel.text == f"Runs on {ADDRESS}."
    assert TOKEN not in ui.tokenLineEdit.text  # whoever sits here next cannot read it
    panel.screenshot("server", views=())
    started = calls(panel, monkeypatch)
    run(panel)
    (arguments, variables) = started[0]
    assert arguments[-2:] == ["--server", ADDRESS]
    assert variables["MEDSYNTH_SERVER_TOKEN"] == TOKEN
    assert TOKEN not in " ".join(arguments)
    assert panel.widget._parameters.result.GetName() == "SYNTHETIC CT seed 7"
    (question,) = asked
    assert "pixels of CT" in question
    assert "first time" in question
    assert "NOT encrypted" not in question
    run(panel)
    assert len(asked) == 1


def test_nothing_is_sent_without_consent(panel, addReference, asked, monkeypatch):
    pick(panel.ui.referenceSelector, addReference())
    enter(panel, "http://gpu.hospital:8100")
    started = calls(panel, monkeypatch)
    asked.answer = False
    click(panel.ui.runButton)
    assert started == []
    assert panel.ui.statusLabel.text == "Not run: nothing was sent."
    assert "NOT encrypted" in asked[0]
    asked.answer = True
    run(panel)
    run(panel)
    assert ["NOT encrypted" in text for text in asked] == [True] * 3  # every time


def test_what_is_missing_of_a_server_is_said(panel, addReference, asked):
    pick(panel.ui.referenceSelector, addReference())
    ui = enter(panel, token="")
    click(panel.ui.runButton)
    assert "Enter the token" in panel.ui.statusLabel.text
    click(ui.testServerButton)
    assert "Enter the token" in ui.testServerLabel.text
    ui.addressLineEdit.text = ""
    ui.addressLineEdit.q.editingFinished.emit()
    click(panel.ui.runButton)
    assert "Enter the server's address" in panel.ui.statusLabel.text
    assert asked == []


def test_no_scene_can_choose_where_images_go(panel, addReference, asked, tmp_path):
    pick(panel.ui.referenceSelector, addReference())
    enter(panel)
    file = tmp_path / "scene.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(file))
    import zipfile

    with zipfile.ZipFile(file) as archive:
        texts = [archive.read(name) for name in archive.namelist() if name.endswith(".mrml")]
    assert texts
    assert not [t for t in texts if b"gpu.hospital" in t or TOKEN.encode() in t]


# MedSynthLogic.process


def test_process_gives_nodes_for_places_kinds_and_factors(panel, addReference):
    reference = addReference(oblique=True)
    logic = panel.module.MedSynthLogic()
    world = voxelsInWorld(reference)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    node.AddControlPointWorld(*world[13, 22, 28])
    seen = []
    made = logic.process(
        *(reference, [tuple(world[6, 24, 12]), node], ["solid", "ground_glass"], [3, 6]),
        **{"diameters": [12, 18], "factor": 9, "seed": 20, "variants": 2, "steps": 5},
        **{"background": "keep", "onProgress": lambda text, percent: seen.append(text)},
    )
    assert [volume.GetName() for volume, _ in made] == [
        f"SYNTHETIC CT seed {seed}" for seed in (20, 21)
    ]
    volume, segmentation = made[0]
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 2
    folder = Path(volume.GetAttribute("MedSynth.Folder"))
    request = json.loads((folder / "request.yaml").read_text())
    lesions = request["pathologies"]
    assert [e["source"]["procedural"]["kind"] for e in lesions] == ["solid", "ground_glass"]
    assert [(e["factor"], e["diameter_mm"]) for e in lesions] == [(3, 12), (6, 18)]
    assert (request["anatomy"]["factor"], request["steps"]) == (9, 5)
    assert request["background"] == "keep"
    assert "sampler" not in request  # the preset's own, which four calls may replace
    ids = [segmentation.GetSegmentation().GetNthSegmentID(i) for i in range(2)]
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, ids[0], volume) > 0
    center = voxelsInWorld(volume)[mask].mean(axis=0)
    assert np.linalg.norm(center - world[6, 24, 12]) < 1.5
    assert any("Variant 2 of 2" in text for text in seen)
    # Only what was asked for is in the scene: no mark of a point stays.
    assert slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode") == [node]


def test_process_takes_a_lesion_from_another_volume(panel, addReference):
    reference, other = addReference(), addReference("Other CT")
    marked = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "marked")
    segment = marked.GetSegmentation().AddEmptySegment("", "tumor")
    lesion = np.zeros((20, 48, 40), "u1")
    lesion[4:7, 20:25, 25:31] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(lesion, marked, segment, other)
    place = voxelsInWorld(reference)[9, 24, 12]
    logic = panel.module.MedSynthLogic()
    (made,) = logic.process(reference, [place], sources=(other, marked))
    request = Path(made.volume.GetAttribute("MedSynth.Folder")) / "request.yaml"
    (entry,) = json.loads(request.read_text())["pathologies"]
    assert set(entry["source"]) == {"image", "mask"}


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (([(0, 0)],), {}, "a place is a node, or a point"),
        (([(0, 0, 0)], "polyp"), {}, "kind must be one of solid"),
        (([(0, 0, 0)], ["solid", "solid"]), {}, "kinds: expected 1, one for each place, got 2"),
        ((), {"preset": "toe"}, "preset must be one of lung_ct"),
        ((), {"stepps": 3}, "unknown setting 'stepps'"),
        ((), {"variants": 0}, "variants must be at least 1"),
        (([(900, 0, 0)],), {}, "lies outside CT"),
    ],
)
def test_process_says_what_cannot_run(panel, addReference, arguments, settings, words):
    reference = addReference()
    logic = panel.module.MedSynthLogic()
    before = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(ValueError, match=words):
        logic.process(reference, *arguments, **settings)
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_process_fails_with_the_reason_of_the_synthesis(panel, addReference, fakeMedsynth):
    fakeMedsynth("memory")
    with pytest.raises(RuntimeError, match="needs 31 GB"):
        panel.module.MedSynthLogic().process(addReference())

"""One request by every way: the panel, `MedSynthLogic.process`, a server and the command give the same bits.

With the real synthesis; quick ones of the same parts, on a stand-in, are in test_panel_server.py.
"""

import os
import subprocess

import numpy as np
import pytest
import slicer
from harness.desktop import ROOT
from harness.jobserver import JobServer
from harness.user import choose, click, pick, slide
from test_panel_real import clickPathology, obliqueChest

from medsynth.scene import request

PLACE_IJK = (60, 128, 3)
STEPS, DIAMETER = 1, 12  # the fewest slices and calls: bits are bits


@pytest.fixture
def chest(real):
    """The panel, without its dry runs, with a small chest and a solid nodule; (panel, reference, world position)."""
    from MedSynthLib import selftest

    # The estimates would compete for the processor.
    real.widget.runPart.estimator.ask = lambda parameters: None
    reference = obliqueChest()
    pick(real.ui.referenceSelector, reference)
    place = selftest.pointInWorld(reference, PLACE_IJK)
    slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().JumpSliceByOffsetting(*place)
    clickPathology(real, place, "solid", DIAMETER)
    # The click is at a pixel of the view; all ways shall have one place, down to the last bit.
    real.widget.cards.cards[0].parameters.where.SetNthControlPointPositionWorld(0, *place)
    click(real.ui.advancedButton)
    real.showPanel()
    slide(real.ui.stepsSpinBox, STEPS)
    return real, reference, place


def run(panel):
    click(panel.ui.runButton)
    assert panel.widget.runPart.synthesis is not None, panel.ui.statusLabel.text
    panel.wait(lambda: panel.widget.runPart.synthesis is None, 3600, "the end of the synthesis")
    said = panel.ui.statusLabel.text + "\n" + panel.ui.logText.plainText
    assert panel.ui.statusLabel.text.startswith("Done"), said
    return panel.widget._parameters.result


def byCommand(panel, python, folder):
    """The voxels that `medsynth synthesize` gives for the panel's request."""
    folder.mkdir()
    parameters = panel.widget._parameters
    lesions = [card.parameters for card in panel.widget.cards.cards]
    (file,) = request.write(parameters, lesions, folder)
    command = [python, "-m", "medsynth", "synthesize", str(file), "-o", str(folder / "out")]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    storage, node = slicer.vtkMRMLNRRDStorageNode(), slicer.vtkMRMLScalarVolumeNode()
    storage.SetFileName(str(folder / "out" / "image.nrrd"))
    assert storage.ReadData(node)
    return slicer.util.arrayFromVolume(node)


def runs(panel):
    """The folders of results."""
    return sorted(os.listdir(os.path.join(panel.app.defaultScenePath, "MedSynth")))


def voxels(node):
    return slicer.util.arrayFromVolume(node).copy()


def chooseServer(panel, server):
    """As the user enters it."""
    ui = panel.widget.computerPart.ui
    choose(ui.computerComboBox, "server")
    panel.showPanel()
    for line, text in ((ui.addressLineEdit, server.address), (ui.tokenLineEdit, server.token)):
        line.text = text
        line.q.editingFinished.emit()
    return ui


def begin(panel, server):
    """A run on the server that takes long enough to be stopped in."""
    slide(panel.ui.stepsSpinBox, 1000)
    chooseServer(panel, server)
    click(panel.ui.runButton)
    panel.wait(lambda: "sampling" in panel.ui.statusLabel.text, 600, "the first step")


def test_panel_process_server_and_command_give_the_same_bits(
    chest, medsynthPython, asked, tmp_path
):
    panel, reference, place = chest
    before = voxels(reference)
    local = voxels(run(panel))
    assert not np.array_equal(local, before)
    np.testing.assert_array_equal(local, byCommand(panel, medsynthPython, tmp_path / "command"))

    logic = panel.module.MedSynthLogic()
    (made,) = logic.process(reference, [place], "solid", diameters=DIAMETER, steps=STEPS)
    np.testing.assert_array_equal(voxels(made.volume), local)
    assert made.segmentation.GetSegmentation().GetNumberOfSegments() == 1

    with JobServer(medsynthPython, tmp_path) as server:
        ui = chooseServer(panel, server)
        click(ui.testServerButton)
        panel.wait(lambda: panel.widget.computerPart.process is None, 600, "the test")
        assert "answers: medsynth" in ui.testServerLabel.text
        panel.screenshot("server_chosen")
        panel.widget._parameters.result = None
        remote = run(panel)
        assert not list(tmp_path.glob(".medsynth-serve-*.partial-*/*")), "files stayed there"
    np.testing.assert_array_equal(voxels(remote), local)
    assert "first time" in asked[0]
    assert len(asked) == 1
    assert remote.GetTransformNodeID() == reference.GetTransformNodeID()


def test_a_server_that_is_gone_in_the_middle_is_said_in_the_panel(
    chest, medsynthPython, asked, tmp_path
):
    panel, _, _ = chest
    with JobServer(medsynthPython, tmp_path) as server:
        begin(panel, server)
        server.process.kill()
        panel.wait(lambda: panel.widget.runPart.synthesis is None, 600, "the refusal")
    assert "gone in the middle of the run" in panel.ui.statusLabel.text
    assert "#b00020" in panel.ui.statusLabel.styleSheet
    assert panel.widget._parameters.result is None
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1
    panel.screenshot("server_gone")


def test_cancel_ends_the_run_on_the_server(chest, medsynthPython, asked, tmp_path):
    panel, _, _ = chest
    with JobServer(medsynthPython, tmp_path) as server:
        os.makedirs(os.path.join(panel.app.defaultScenePath, "MedSynth"), exist_ok=True)
        before = runs(panel)
        begin(panel, server)
        assert list(tmp_path.glob(".medsynth-serve-*.partial-*/*"))
        click(panel.ui.cancelButton)
        panel.wait(lambda: panel.widget.runPart.synthesis is None, 60, "the end")
        gone = lambda: not list(tmp_path.glob(".medsynth-serve-*.partial-*/*"))  # noqa: E731
        panel.wait(gone, 60, "the removal of the files there")
    assert "Cancelled" in panel.ui.statusLabel.text
    assert runs(panel) == before

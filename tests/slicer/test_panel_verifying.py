"""Is this synthetic? By a click, of whatever volume the slice views show."""

from pathlib import Path

import slicer
from harness.user import click, pick


def asked(panel):
    click(panel.ui.verifyButton)
    panel.wait(lambda: panel.widget.verify.process is None, what="the end of the search for marks")
    return panel.ui.verifyLabel.text


def log(panel):
    return panel.ui.logText.plainText


def test_a_volume_without_marks(panel, addReference):
    volume = addReference()
    slicer.util.setSliceViewerLayers(background=volume)
    said = asked(panel)
    assert said.startswith(volume.GetName())
    assert "does not prove that it is real" in said
    assert "header: read volume.nrrd" in log(panel)
    assert panel.ui.verifyButton.enabled


def test_a_result_is_compared_with_its_record(panel, addReference):
    pick(panel.ui.referenceSelector, addReference())
    click(panel.ui.runButton)
    panel.wait(lambda: panel.widget.runPart.synthesis is None, what="the end of the run")
    result = panel.widget._parameters.result
    slicer.util.setSliceViewerLayers(background=result)
    assert "SYNTHETIC" in asked(panel)
    panel.screenshot("verifying_result")


def test_a_file_that_was_loaded_is_read_itself(panel, addReference, tmp_path):
    from MedSynthLib import verifypart

    from medsynth.scene import nodes

    file = nodes.write_volume(addReference(), tmp_path / "from_a_friend.nrrd")
    file.write_bytes(file.read_bytes().replace(b"\n\n", b"\nSYNTHETIC:=yes\n\n", 1))
    loaded = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "loaded")
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLNRRDStorageNode")
    storage.SetFileName(str(file))
    assert storage.ReadData(loaded)
    loaded.SetAndObserveStorageNodeID(storage.GetID())
    assert verifypart.ownFile(loaded) == Path(file)
    slicer.util.setSliceViewerLayers(background=loaded)
    assert "SYNTHETIC" in asked(panel)
    assert "read from_a_friend.nrrd" in log(panel)
    array = slicer.util.arrayFromVolume(loaded)
    array[0, 0, 0] += 1
    slicer.util.arrayFromVolumeModified(loaded)
    assert verifypart.ownFile(loaded) is None


def test_no_volume_is_said(panel):
    slicer.util.setSliceViewerLayers(background=None)
    click(panel.ui.verifyButton)
    assert "Show a volume in the slice views" in panel.ui.statusLabel.text
    assert panel.ui.verifyButton.enabled


def test_a_scene_that_closes_ends_it(panel, addReference, monkeypatch):
    monkeypatch.setenv("MEDSYNTH_FAKE", "hang politely")
    slicer.util.setSliceViewerLayers(background=addReference())
    click(panel.ui.verifyButton)
    slicer.mrmlScene.Clear()
    panel.wait(lambda: panel.widget.verify.process is None, what="the end of the search for marks")
    assert panel.ui.verifyLabel.text == ""

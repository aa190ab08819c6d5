"""Results last: the folder that is chosen once, a restart, a result that comes back from disk."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import slicer
from harness.user import click, pick, placePoint, slide, voxelsInWorld


@pytest.fixture
def dialogs(monkeypatch):
    """What the folder dialog is answered, in order; the captions it had are kept in `.asked`."""
    from PySide6.QtWidgets import QFileDialog

    class Answers(list):
        asked = []

    answers = Answers()
    answers.asked = []

    def answer(parent=None, caption="", directory="", *options):
        answers.asked.append(caption)
        return str(answers.pop(0)) if answers else ""

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", answer)
    return answers


def run(panel, addReference, *, lesion=False):
    reference = addReference()
    pick(panel.ui.referenceSelector, reference)
    if lesion:
        click(panel.ui.addPathologyButton)
        card = panel.widget.cards.cards[0]
        panel.showPanel()
        click(card.ui.clickButton)
        placePoint(voxelsInWorld(reference)[9, 24, 12])
    click(panel.ui.runButton)
    panel.wait(lambda: panel.widget.runPart.synthesis is None, what="the end of the run")
    return panel.widget._parameters.result


def test_export_without_a_choice_asks_instead_of_using_the_current_folder(
    panel, addReference, dialogs, tmp_path, monkeypatch
):
    here = tmp_path / "current"
    here.mkdir()
    monkeypatch.chdir(here)
    run(panel, addReference)
    assert panel.ui.exportFolderButton.directory == "."
    click(panel.ui.exportButton)  # the dialog is cancelled
    assert panel.ui.statusLabel.text == "Not exported: no folder was chosen."
    assert len(dialogs.asked) == 1
    assert list(here.iterdir()) == []
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    dialogs.append(chosen)
    click(panel.ui.exportButton)
    assert (chosen / "SYNTHETIC_CT_seed_7" / "image" / "0001.dcm").is_file()
    click(panel.ui.exportButton)  # chosen once, not asked again
    assert len(dialogs.asked) == 2
    assert list(here.iterdir()) == []
    shutil.rmtree(chosen)
    click(panel.ui.exportButton)  # it is gone, as a stick that was pulled out
    assert len(dialogs.asked) == 3


def test_the_current_folder_can_be_chosen_on_purpose(
    panel, addReference, dialogs, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    run(panel, addReference)
    dialogs.append(tmp_path)
    click(panel.ui.exportButton)
    assert (tmp_path / "SYNTHETIC_CT_seed_7" / "image" / "0001.dcm").is_file()


def test_nobody_is_asked_for_a_folder_when_there_is_nothing_to_export(panel, dialogs):
    click(panel.ui.exportButton)
    assert panel.ui.statusLabel.text == "Choose a result first."
    assert dialogs.asked == []


def lesion(volume):
    """The mask of the one segment there is, on the volume's grid."""
    segmentation = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[-1]
    (segment,) = segmentation.GetSegmentation().GetSegmentIDs()
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment, volume) > 0


def emptyTemporaryFolder():
    """What Slicer does when it is closed and started again."""
    for entry in Path(slicer.app.temporaryPath).iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def test_a_result_survives_a_restart_with_the_scene(panel, addReference, tmp_path):
    run(panel, addReference)
    file = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(file)
    slicer.mrmlScene.Clear(False)
    emptyTemporaryFolder()
    assert slicer.mrmlScene.ReadFromMRB(file)
    panel.ui.exportFolderButton.directory = str(tmp_path)
    panel.showPanel()
    click(panel.ui.exportButton)
    assert "Exported to" in panel.ui.statusLabel.text
    assert (tmp_path / "SYNTHETIC_CT_seed_7" / "image" / "0001.dcm").is_file()


def test_a_result_comes_back_without_the_scene(panel, addReference, dialogs):
    result = run(panel, addReference, lesion=True)
    voxels, marked = slicer.util.arrayFromVolume(result).copy(), lesion(result)
    world = voxelsInWorld(result)
    folder = Path(result.GetAttribute("MedSynth.Folder"))
    assert Path(slicer.app.temporaryPath) not in folder.parents
    slicer.mrmlScene.Clear(False)
    emptyTemporaryFolder()
    dialogs.append(folder.parent)
    panel.showPanel()
    click(panel.ui.openResultButton)
    assert "is not the folder of one result" in panel.ui.statusLabel.text
    dialogs.append(folder)
    click(panel.ui.openResultButton)
    back = panel.widget._parameters.result
    assert back.GetName() == "SYNTHETIC lung_ct seed 7"
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(back), voxels)
    np.testing.assert_allclose(voxelsInWorld(back), world, atol=1e-3)
    np.testing.assert_array_equal(lesion(back), marked)
    assert marked.any()
    panel.screenshot("keeping_opened")


def test_results_go_where_the_user_wants_and_what_went_in_does_not_stay(
    panel, addReference, dialogs, tmp_path
):
    chosen = tmp_path / "kept"
    chosen.mkdir()
    dialogs.append(chosen)
    panel.ui.resultsFolderButton.q._button.click()
    slide(panel.ui.variantsSpinBox, 2)
    run(panel, addReference)
    (made,) = chosen.iterdir()
    assert sorted(p.name for p in made.iterdir()) == ["seed_7", "seed_8"]
    # The reference may be a patient's: no copy of it stays.
    assert list(Path(slicer.app.temporaryPath).glob("MedSynth-*")) == []


def test_a_run_that_is_refused_leaves_no_empty_folder(panel, addReference, fakeMedsynth, tmp_path):
    panel.ui.resultsFolderButton.directory = str(tmp_path / "kept")
    fakeMedsynth("refused")
    run(panel, addReference)
    assert "anatomy.factor" in panel.ui.statusLabel.text
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_results_folder_that_cannot_be_written_is_told_before_the_run(
    panel, addReference, tmp_path
):
    (tmp_path / "file").write_text("")
    panel.ui.resultsFolderButton.directory = str(tmp_path / "file")
    pick(panel.ui.referenceSelector, addReference())
    click(panel.ui.runButton)
    assert panel.widget.runPart.synthesis is None
    assert "cannot be written" in panel.ui.statusLabel.text
    assert list(Path(slicer.app.temporaryPath).glob("MedSynth-*")) == []


def test_a_results_folder_that_was_moved_is_found_again(panel, addReference, tmp_path):
    result = run(panel, addReference)
    folder = Path(result.GetAttribute("MedSynth.Folder"))
    os.rename(folder.parents[1], tmp_path / "moved")
    panel.ui.exportFolderButton.directory = str(tmp_path)
    click(panel.ui.exportButton)
    assert "were moved" in panel.ui.statusLabel.text
    panel.ui.resultsFolderButton.directory = str(tmp_path / "moved")
    click(panel.ui.exportButton)
    assert "Exported to" in panel.ui.statusLabel.text

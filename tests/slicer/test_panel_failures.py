"""What goes wrong: each failure says its reason in the panel and leaves the scene as it was."""

import json
import re
import sys
from pathlib import Path

import psutil
import pytest
import slicer
from harness import pythonqt
from harness.user import click, pick, placePoint, voxelsInWorld


def nodes():
    return {
        (n.GetID(), n.GetName())
        for i in range(slicer.mrmlScene.GetNumberOfNodes())
        if (n := slicer.mrmlScene.GetNthNode(i))
    }


def temporaryFolders():
    return set(Path(slicer.app.temporaryPath).glob("MedSynth-*"))


def start(panel, addReference):
    pick(panel.ui.referenceSelector, addReference())
    before = nodes(), temporaryFolders()
    click(panel.ui.runButton)
    return before


def finish(panel):
    panel.wait(lambda: panel.widget.runPart.synthesis is None, what="the end of the run")


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("missing", "has no medsynth"),
        ("broken", "has no torch"),
        ("memory", "needs 31 GB, 4 GB are free"),
        ("refused", "anatomy.factor: expected an integer >= 1, got 0"),
        ("killed", "want of memory"),
    ],
)
def test_a_failed_process_says_why(panel, addReference, fakeMedsynth, case, words):
    fakeMedsynth(case)
    before = start(panel, addReference)
    finish(panel)
    assert words in panel.ui.statusLabel.text
    assert "#b00020" in panel.ui.statusLabel.styleSheet
    assert (nodes(), temporaryFolders()) == before
    assert panel.ui.runButton.enabled
    assert not panel.ui.cancelButton.enabled
    assert words in panel.ui.logText.plainText
    if case == "memory":
        panel.screenshot("failure_memory", views=())


def treeOf(panel):
    """Process ids that the hanging stand-in reports: itself and its stubborn child."""
    panel.wait(lambda: "pids" in panel.ui.statusLabel.text, what="the start of the process")
    return [int(n) for n in re.findall(r"\d+", panel.ui.statusLabel.text)]


@pytest.mark.parametrize("case", ["hang", "hang politely"])
def test_cancel_ends_the_whole_tree_within_two_seconds(panel, addReference, fakeMedsynth, case):
    # Politely: the command itself ends at once and leaves its stubborn child behind.
    fakeMedsynth(case)
    before = start(panel, addReference)
    pids = treeOf(panel)
    assert len(pids) == 2
    assert all(psutil.pid_exists(p) for p in pids)
    click(panel.ui.cancelButton)

    def gone():
        return not any(alive(p) for p in pids)

    panel.wait(gone, seconds=2, what="the end of the process tree")
    finish(panel)
    assert panel.ui.statusLabel.text == "Cancelled. The scene is as it was."
    assert (nodes(), temporaryFolders()) == before


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_interface_answers_while_a_run_hangs(panel, addReference, fakeMedsynth):
    fakeMedsynth("hang")
    start(panel, addReference)
    treeOf(panel)
    click(panel.ui.previewCheckBox)
    assert panel.widget.previewPart.preview.volume is not None
    click(panel.ui.cancelButton)
    finish(panel)


def test_two_runs_cannot_be_started(panel, addReference, fakeMedsynth):
    fakeMedsynth("hang")
    start(panel, addReference)
    first = panel.widget.runPart.synthesis
    assert not panel.ui.runButton.enabled
    panel.widget.runPart.run()  # as a shortcut or a script would
    assert "running already" in panel.ui.statusLabel.text
    assert panel.widget.runPart.synthesis is first
    click(panel.ui.cancelButton)
    finish(panel)


def test_closing_the_scene_in_mid_run_ends_it(panel, addReference, fakeMedsynth):
    fakeMedsynth("hang")
    start(panel, addReference)
    pids = treeOf(panel)
    slicer.mrmlScene.Clear(False)
    finish(panel)
    panel.wait(lambda: not any(alive(p) for p in pids), seconds=2, what="the end of the tree")
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == []


def test_closing_the_panel_in_mid_run_ends_it(panel, addReference, fakeMedsynth):
    fakeMedsynth("hang")
    start(panel, addReference)
    pids = treeOf(panel)
    panel.widget.cleanup()
    finish(panel)
    panel.wait(lambda: not any(alive(p) for p in pids), seconds=2, what="the end of the tree")


def test_a_reference_removed_in_mid_run_does_not_crash(panel, addReference):
    pick(panel.ui.referenceSelector, reference := addReference())
    click(panel.ui.runButton)
    slicer.mrmlScene.RemoveNode(reference)
    finish(panel)
    assert "The reference was removed" in panel.ui.statusLabel.text


def test_a_result_on_another_grid_is_not_loaded(panel, addReference):
    pick(panel.ui.referenceSelector, reference := addReference())
    click(panel.ui.runButton)
    reference.SetSpacing(1.4, 1.5, 4.0)
    finish(panel)
    assert "another grid" in panel.ui.statusLabel.text
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == [reference]


def test_run_says_what_is_missing(panel, addReference):
    before = temporaryFolders()
    assert "Choose an anatomy reference first" in panel.ui.estimateLabel.text
    pick(panel.ui.referenceSelector, reference := addReference())
    click(panel.ui.addPathologyButton)
    assert panel.ui.estimateLabel.text.startswith("Pathology 1: mark its place first")
    click(panel.widget.cards.cards[0].ui.paintButton)
    assert "Paint its place in the views" in panel.ui.estimateLabel.text
    click(panel.widget.cards.cards[0].ui.clickButton)
    assert "Click into a slice view" in panel.ui.estimateLabel.text
    assert not panel.ui.runButton.enabled
    placePoint(voxelsInWorld(reference)[5, 5, 5])
    # A box may lie beside the image; only its voxels tell, when they are written.
    click(panel.widget.cards.cards[0].ui.boxButton)
    box = panel.widget.cards.cards[0].parameters.where
    box.SetCenterWorld(500, 500, 500)
    box.SetSizeWorld(9, 9, 9)
    click(panel.ui.runButton)
    assert "marks no voxel of CT" in panel.ui.statusLabel.text
    assert temporaryFolders() == before


def test_an_older_slicer_says_so(panel, monkeypatch):
    monkeypatch.setattr(slicer.util, "launchConsoleProcess", lambda args, cwd=None: None)
    click(panel.ui.phantomButton)
    assert panel.ui.statusLabel.text == "This module needs Slicer 5.12 or newer."


def test_a_python_that_is_not_there(panel, addReference):
    panel.ui.pythonPathLineEdit.currentPath = "/nowhere/python"
    pick(panel.ui.referenceSelector, addReference())
    click(panel.ui.runButton)
    assert "/nowhere/python could not be started" in panel.ui.statusLabel.text
    assert panel.ui.runButton.enabled


def test_nothing_is_installed_without_consent(panel, addReference, monkeypatch):
    packaging = sys.modules["slicer.packaging"]
    packaging.consent = False
    assert packaging.asked == []  # opening the module asked for nothing
    panel.ui.pythonPathLineEdit.currentPath = ""
    pick(panel.ui.referenceSelector, addReference())
    click(panel.ui.runButton)
    [(missing, requester)] = packaging.asked
    assert requester == "MedSynth"
    assert "monai>=1.4" in missing
    assert not [m for m in missing if m.startswith(("numpy", "SimpleITK", "pydicom", "torch"))]
    assert "Nothing was installed" in panel.ui.statusLabel.text
    assert "monai" in panel.ui.statusLabel.text


def test_torch_comes_from_the_pytorch_extension(panel, addReference):
    panel.ui.pythonPathLineEdit.currentPath = ""
    pick(panel.ui.referenceSelector, addReference())
    click(panel.ui.runButton)  # consent, but this Python has no torch and no PyTorchUtils
    assert "Install the extension 'PyTorch'" in panel.ui.statusLabel.text


def test_slicers_own_python_finds_the_library(panel, monkeypatch, tmp_path):
    from MedSynthLib import library

    panel.ui.pythonPathLineEdit.currentPath = ""
    (tmp_path / "PythonSlicer").write_text("#!/bin/sh\n")
    (tmp_path / "PythonSlicer").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    launch = library.command(["info"])
    assert launch["args"][0] == str(tmp_path / "PythonSlicer")
    assert launch["useStartupEnvironment"] is False
    folder = launch["updateEnvironment"]["PYTHONPATH"].split(":")[0]
    assert (library.Path(folder) / "medsynth" / "cli" / "app.py").is_file()


def test_export_says_why_not(panel, addReference, tmp_path):
    import shutil

    click(panel.ui.exportButton)
    assert panel.ui.statusLabel.text == "Choose a result first."
    pick(panel.ui.referenceSelector, addReference())
    click(panel.ui.runButton)
    finish(panel)
    slicer.dicomDatabase.isOpen = False
    click(panel.ui.databaseButton)
    assert "database is not open" in panel.ui.statusLabel.text
    slicer.dicomDatabase.isOpen = True
    folder = Path(panel.widget._parameters.result.GetAttribute("MedSynth.Folder"))
    audit = {"verdict": "near copy", "allowed": [{"by": "kim", "at": "now", "to": "archive"}]}
    for broken in (json.dumps(audit), "{", "[]"):
        (folder / "audit.json").write_text(broken)
        click(panel.ui.databaseButton)
        assert "medsynth audit" in panel.ui.statusLabel.text
    for fine in ({"verdict": "clear", "allowed": []}, {**audit, "allowed": [{"to": "anywhere"}]}):
        (folder / "audit.json").write_text(json.dumps(fine))
        panel.ui.exportFolderButton.directory = str(tmp_path)
        click(panel.ui.exportButton)
        assert "Exported to" in panel.ui.statusLabel.text
    shutil.rmtree(panel.widget._parameters.result.GetAttribute("MedSynth.Folder"))
    click(panel.ui.databaseButton)
    assert "are neither in" in panel.ui.statusLabel.text


def test_sending_says_why_not(panel, addReference, monkeypatch, tmp_path):
    from MedSynthLib import delivery, library

    pick(panel.ui.referenceSelector, addReference())
    click(panel.ui.runButton)
    finish(panel)
    click(panel.ui.sendButton)
    assert "Choose a destination first" in panel.ui.statusLabel.text
    # Without the library's PACS part, and no Python that may have it, the button says so.
    monkeypatch.setattr(library, "libraryFolder", lambda: tmp_path)
    assert "cannot send to a PACS yet" in delivery.canSend() or library.configuredPython()
    panel.ui.pythonPathLineEdit.currentPath = ""
    assert not panel.ui.sendButton.enabled
    assert "cannot send to a PACS yet" in panel.ui.sendLabel.text


def savedPathology(desktop, **stored):
    """A scene's parameter node with one pathology, whose values somebody else wrote."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "from elsewhere")
    for name, value in stored.items():
        node.SetParameter(name, value)
    desktop.widget._parameters.parameterNode.AddNodeReferenceID("pathology", node.GetID())
    return node


@pytest.mark.parametrize("stored", [{"kind": "a kind of a later version"}, {"factor": "much"}])
def test_an_unreadable_pathology_is_left_out_with_a_message(panel, stored):
    savedPathology(panel, **stored)
    panel.ui.addPathologyButton.click()
    panel.widget.enter()
    assert [card.kind for card in panel.widget.cards.cards] == ["solid"]
    assert "from elsewhere was left out" in panel.ui.statusLabel.text


def test_a_kind_that_a_scene_holds_under_its_old_name_is_read(panel):
    panel.widget._parameters.preset = "brain_ct"
    node = savedPathology(panel, kind="haemorrhage")
    panel.widget.enter()
    assert [card.kind for card in panel.widget.cards.cards] == ["hemorrhage"]
    assert node.GetParameter("kind") == "hemorrhage"
    assert "left out" not in panel.ui.statusLabel.text


def test_removing_a_pathology_beside_an_unreadable_one_removes_that_one(panel):
    bad = savedPathology(panel, kind="a kind of a later version")
    panel.ui.addPathologyButton.click()
    panel.widget.enter()
    card = panel.widget.cards.cards[0]
    card.ui.removeButton.click()
    node = panel.widget._parameters.parameterNode
    assert node.GetNthNodeReference("pathology", 0) is bad
    assert node.GetNumberOfNodeReferences("pathology") == 1


def test_a_pathology_that_fails_to_be_made_is_not_referenced(panel, monkeypatch):
    module = sys.modules["MedSynthLib.pathologynodes"]

    def refuse(node):
        raise TypeError("Unable to write value 'None'")

    monkeypatch.setattr(module, "PathologyParameterNode", refuse)
    panel.ui.addPathologyButton.click()
    assert isinstance(pythonqt.slotErrors.pop(), TypeError)
    node = panel.widget._parameters.parameterNode
    assert node.GetNumberOfNodeReferences("pathology") == 0
    assert not slicer.util.getNodes("MedSynth pathology*")


def test_a_pathology_is_complete_when_it_is_referenced(panel):
    """What is referenced is read by whoever looks, at once, and by every scene that is saved then."""
    node, seen = panel.widget._parameters.parameterNode, []

    def referenced(caller, event):
        added = node.GetNthNodeReference("pathology", 0)
        seen.append((added.GetAttribute("ModuleName"), added.GetParameter("factor")))

    tag = node.AddObserver(node.ReferenceAddedEvent, referenced)
    panel.ui.addPathologyButton.click()
    node.RemoveObserver(tag)
    assert seen == [("MedSynthPathology", "4.0")]

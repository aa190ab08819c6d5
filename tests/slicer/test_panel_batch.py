"""Batch: volumes x lesions x seeds become a data-set plan that the command reads and the panel runs."""

import json
import subprocess

import numpy as np
import pytest
from harness.desktop import ROOT
from harness.user import addFindings, choose, click, pick, slide
from PySide6.QtWidgets import QFileDialog


@pytest.fixture
def batch(panel, addReference, tmp_path):
    """The panel with two CTs, two kinds of lesions, the section open."""
    first, second = addReference("Mustermann"), addReference("Beispiel", oblique=True)
    panel.volumes = first, second
    pick(panel.ui.referenceSelector, first)
    for number, (kind, diameter) in enumerate((("Solid nodule", 10), ("Ground-glass nodule", 22))):
        click(panel.ui.addPathologyButton)
        panel.showPanel()
        card = panel.widget.cards.cards[number]
        choose(card.ui.kindComboBox, kind)
        slide(card.ui.diameterSlider, diameter)
    click(panel.ui.batchButton)
    panel.showPanel()
    panel.kept = tmp_path / "kept"
    panel.kept.mkdir()
    panel.ui.resultsFolderButton.directory = str(panel.kept)
    panel.part, panel.bui = panel.widget.batchPart, panel.widget.batchPart.ui
    return panel


def plans(panel):
    return sorted(panel.kept.glob("*batch*/plan.yaml"))


def finish(panel):
    panel.wait(lambda: panel.part.process is None, what="the end of the batch")


def test_the_plan_says_what_the_panel_says_and_the_command_reads_it(batch, medsynthPython):
    slide(batch.bui.eachSpinBox, 5)
    slide(batch.bui.healthySpinBox, 20)
    choose(batch.bui.writeComboBox, "nnunet")
    slide(batch.ui.factorSlider, 9)
    click(batch.bui.writePlanButton)
    assert "The plan of 10 images is written: " in batch.bui.batchLabel.text
    (file,) = plans(batch)
    images = sorted((file.parent / "references").glob("*/image.nrrd"))
    assert len(images) == 2
    assert "Mustermann" not in " ".join(map(str, file.parent.rglob("*"))) + file.read_text()
    code = (
        "import sys, json; from medsynth.factory.parse import load_plan;"
        "from medsynth.factory.plan_file import to_dict; from medsynth.factory.references import "
        "find_anatomies; p = load_plan(sys.argv[1]);"
        "print(json.dumps(to_dict(p)));"
    )
    command = [medsynthPython, "-c", code, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert (plan["preset"], plan["count"], plan["write"]) == ("lung_ct", 10, ["nnunet"])
    (source,) = plan["anatomies"]
    assert source["in_turn"]
    assert source["factor"] == 9
    assert source["images"] == [str(file.parent / "references" / "*")]
    lesions = plan["pathologies"]
    assert lesions["share"] == pytest.approx(0.8)
    assert [s["procedural"]["kind"] for s in lesions["sources"]] == ["solid", "ground_glass"]
    assert lesions["diameter_mm"] == [10, 22]
    assert "sampler" not in plan  # the preset's own, which four calls may replace
    batch.screenshot("batch", views=())


def test_a_batch_runs_is_canceled_and_goes_on(batch, monkeypatch):
    monkeypatch.setenv("MEDSYNTH_FAKE_SECONDS", "0.3")
    slide(batch.bui.eachSpinBox, 20)
    click(batch.bui.runBatchButton)
    batch.wait(lambda: "images 3 of 40" in batch.bui.batchLabel.text, what="the third image")
    assert "about 3 s left" in batch.bui.batchLabel.text
    assert batch.bui.batchProgressBar.visible
    assert not batch.bui.runBatchButton.enabled
    click(batch.bui.cancelBatchButton)
    finish(batch)
    assert "Canceled. What is finished is in" in batch.bui.batchLabel.text
    (file,) = plans(batch)
    there = len(list((file.parent / "set" / "items").iterdir()))
    assert 3 <= there < 40
    monkeypatch.setenv("MEDSYNTH_FAKE_SECONDS", "0")
    click(batch.bui.runBatchButton)
    finish(batch)
    assert batch.bui.batchLabel.text.endswith("40 images of 2 references")
    assert plans(batch) == [file]
    # What is chosen now is another batch.
    slide(batch.bui.eachSpinBox, 2)
    click(batch.bui.runBatchButton)
    finish(batch)
    assert len(plans(batch)) == 2


def test_a_folder_and_what_cannot_be_in_a_batch(batch, monkeypatch, tmp_path):
    choose(batch.bui.imagesComboBox, "a folder")
    batch.showPanel()
    assert batch.bui.eachLabel.text == "Images in all:"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *a: "")
    click(batch.bui.writePlanButton)
    assert "Choose the folder" in batch.bui.batchLabel.text
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *a: str(tmp_path))
    click(batch.bui.writePlanButton)
    (file,) = plans(batch)
    assert json.loads(file.read_text())["anatomies"][0]["images"] == f"{tmp_path}/*"
    assert not (file.parent / "references").exists()
    choose(batch.widget.cards.cards[1].ui.kindComboBox, "From another volume")
    click(batch.bui.writePlanButton)
    assert "Pathology 2: a plan draws its lesions" in batch.bui.batchLabel.text
    assert "#b00020" in batch.bui.batchLabel.styleSheet


def test_existing_findings_go_along_or_are_refused(batch):
    from medsynth.scene import findings

    mask = np.zeros((20, 48, 40), bool)
    mask[9:12, 20:26, 10:15] = True
    first, second = batch.volumes
    findings.choose(first, addFindings(first, {"old": mask}))
    findings.say_none(second, True)
    click(batch.bui.writePlanButton)
    assert "in two batches" in batch.bui.batchLabel.text
    findings.choose(second, addFindings(second, {"old": mask}))
    click(batch.bui.writePlanButton)
    (file,) = plans(batch)
    assert json.loads(file.read_text())["anatomies"][0]["labels"] == "findings.nrrd"
    for number in ("001", "002"):
        where = file.parent / "references" / number
        assert sorted(p.name for p in where.iterdir()) == ["findings.nrrd", "image.nrrd"]
    for volume in batch.volumes:
        findings.choose(volume, None)
        findings.say_none(volume, True)
    click(batch.bui.writePlanButton)
    assert json.loads(plans(batch)[-1].read_text())["anatomies"][0]["labels"] == []

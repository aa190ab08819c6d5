"""The gallery: a kind or a saved lesion is chosen from pictures, and a marked lesion is saved, for every door."""

import json

import pytest
from harness.desktop import SCREENSHOTS
from harness.user import card, choose, click, drawBox, pick, placePoint, runToResult, voxelsInWorld

from medsynth.storage import saved_lesions
from medsynth.storage.saved_lesions import SavedLesion


@pytest.fixture
def marked(panel, addReference):
    """A panel with one clicked pathology."""
    panel.reference = addReference()
    pick(panel.ui.referenceSelector, panel.reference)
    click(panel.ui.addPathologyButton)
    panel.showPanel()
    click(card(panel).ui.clickButton)
    placePoint(voxelsInWorld(panel.reference)[9, 24, 12])
    panel.showPanel()
    return panel


def keep(name, preset="lung_ct", diameter=21.0):
    with saved_lesions.adding(
        SavedLesion(name, preset, diameter, {"note": "a teaching case"})
    ) as to:
        for file in (saved_lesions.IMAGE, saved_lesions.MASK):
            (to / file).write_text("not looked at here")


def offered(gallery):
    return [gallery.list.item(row).text().split("\n")[0] for row in range(gallery.list.count)]


def take(gallery, title):
    gallery.list.setCurrentRow(offered(gallery).index(title))
    click(gallery.chooseButton)


def test_kinds_and_saved_lesions_are_chosen_and_asked_for(marked, tmp_path):
    keep("Clear cell")
    keep("Of the brain", "brain_ct")
    gallery = marked.widget.gallery
    click(card(marked).ui.galleryButton)
    assert offered(gallery)[-1] == "Mine: Clear cell"  # not that of another domain
    assert "Spiculated nodule" in offered(gallery)
    text = gallery.list.item(gallery.list.count - 1).text()
    assert "21 mm" in text
    assert "a teaching case" in text
    assert not gallery.chooseButton.enabled
    take(gallery, "Spiculated nodule")
    parameters = card(marked).parameters
    assert (parameters.kind, parameters.saved) == ("spiculated", "")

    click(card(marked).ui.galleryButton)
    take(gallery, "Mine: Clear cell")
    assert (parameters.saved, parameters.diameter) == ("Clear cell", 21)
    assert card(marked).ui.cardButton.text == "Pathology 1: Mine: Clear cell"
    assert card(marked).ui.kindComboBox.currentIndex == -1
    marked.kept = tmp_path / "kept"
    marked.kept.mkdir()
    marked.ui.resultsFolderButton.directory = str(marked.kept)
    marked.screenshot("gallery")
    runToResult(marked)
    request = next(marked.kept.rglob("*.yaml"))
    source = json.loads(request.read_text())["pathologies"][0]["source"]
    assert source == {"saved": "Clear cell"}

    choose(card(marked).ui.kindComboBox, "Solid nodule")
    assert parameters.saved == ""
    assert card(marked).ui.cardButton.text == "Pathology 1: Solid nodule"


def test_a_saved_lesion_that_is_gone_is_said_before_a_run(marked):
    keep("Clear cell")
    card(marked).parameters.saved = "Clear cell"
    assert marked.ui.runButton.enabled
    saved_lesions.remove("Clear cell")
    card(marked).parameters.diameter = 12  # whatever is changed next
    marked.showPanel()
    assert not marked.ui.runButton.enabled
    assert "no lesion is saved as 'Clear cell'" in marked.ui.estimateLabel.text


def test_a_marked_lesion_is_saved_and_the_kinds_are_drawn(marked, medsynthPython, monkeypatch):
    marked.ui.pythonPathLineEdit.currentPath = medsynthPython
    import qt

    assert not card(marked).ui.saveLesionButton.enabled  # a point marks no lesion
    click(card(marked).ui.boxButton)
    world = voxelsInWorld(marked.reference)
    drawBox(world[9, 20, 10], world[9, 26, 16])
    marked.showPanel()
    names = iter(["no/name", "Box end"])
    monkeypatch.setattr(
        qt.QInputDialog, "getText", staticmethod(lambda *a: (f" {next(names)} ", True))
    )
    gallery = marked.widget.gallery
    for _ in range(2):
        click(card(marked).ui.saveLesionButton)
        marked.wait(lambda: gallery.process is None, 120, "the end of saving")
    assert "Saved as Box end" in marked.ui.statusLabel.text
    (kept,) = saved_lesions.saved()
    assert (kept.name, kept.preset) == ("Box end", "lung_ct")
    assert kept.origin["note"] == "marked in Slicer in a volume"

    click(card(marked).ui.galleryButton)
    marked.wait(lambda: gallery.process is None, 300, "the pictures")
    assert all(each.has_picture for each in gallery.cards)
    assert not any(gallery.list.item(row).icon().isNull() for row in range(gallery.list.count))
    SCREENSHOTS.mkdir(exist_ok=True)
    assert gallery.window.q.grab().save(str(SCREENSHOTS / "gallery_window.png"))

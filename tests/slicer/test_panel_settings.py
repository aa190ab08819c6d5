"""The settings page in Slicer's own dialog: one place for each value, shown by page and panel."""

import pytest
import slicer
from harness.desktop import SCREENSHOTS
from harness.user import choose, click
from PySide6.QtCore import QSettings
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication


@pytest.fixture
def page(panel):
    """The open page; the panel's Advanced section is open beside it."""
    click(panel.ui.advancedButton)
    panel.showPanel()
    slicer.app.openSettingsDialog("MedSynth")
    from MedSynthLib import settingspage

    (found,) = settingspage._pages
    yield found
    slicer.app.settingsDialog().q.hide()


def type_(line, text):
    line.q.setFocus()
    line.q.selectAll()
    QTest.keyClicks(line.q, text)
    line.q.editingFinished.emit()  # offscreen, nothing has the focus that could go
    QApplication.processEvents()


def button(name):
    dialog = slicer.app.settingsDialog().q
    return dialog.buttons.button(getattr(dialog.Buttons, name))


def reopened():
    slicer.app.settingsDialog().q.hide()
    slicer.app.openSettingsDialog("MedSynth")


def test_slicer_has_one_page_and_every_row_says_what_it_is_for(page):
    dialog = slicer.app.settingsDialog()
    assert dialog.panel("MedSynth") is page.widget
    form = page.form.q
    rows = [form.itemAt(row, form.ItemRole.FieldRole).widget() for row in range(form.rowCount())]
    assert len(rows) > 8
    assert all(row.toolTip() for row in rows)
    SCREENSHOTS.mkdir(exist_ok=True)
    page.python.currentPath = ""
    assert dialog.q.grab().save(str(SCREENSHOTS / "settings.png"))


def test_what_the_page_sets_the_panel_shows_and_uses(page, panel, tmp_path):
    from MedSynthLib import computer, folders, library

    computerUi = panel.widget.computerPart.ui
    assert page.python.currentPath == panel.ui.pythonPathLineEdit.currentPath
    page.python.currentPath = "/opt/python with medsynth"
    page.kept.currentPath = str(tmp_path / "kept")
    page.exported.currentPath = str(tmp_path / "out")
    choose(page.computer, "server")
    type_(page.address, "https://gpu.hospital:8443/")
    page.certificate.currentPath = "/etc/hospital.pem"
    QApplication.processEvents()
    assert panel.ui.pythonPathLineEdit.currentPath == "/opt/python with medsynth"
    assert library.configuredPython() == "/opt/python with medsynth"
    assert panel.ui.resultsFolderButton.text == str(tmp_path / "kept")
    assert folders.resultsFolder() == tmp_path / "kept"
    assert panel.ui.exportFolderButton.text == str(tmp_path / "out")
    assert computerUi.computerComboBox.currentText == "server"
    assert computerUi.addressLineEdit.text == computer.address() == "https://gpu.hospital:8443"
    assert computerUi.certificateLineEdit.currentPath == "/etc/hospital.pem"


def test_what_the_panel_sets_the_page_shows(page, panel, tmp_path, monkeypatch):
    from PySide6.QtWidgets import QFileDialog

    chosen = str(tmp_path)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *arguments: chosen)
    panel.ui.resultsFolderButton.browse()
    panel.ui.pythonPathLineEdit.currentPath = "/usr/bin/python3"
    choose(panel.widget.computerPart.ui.computerComboBox, "server")
    reopened()
    assert page.kept.currentPath == chosen
    assert page.python.currentPath == "/usr/bin/python3"
    assert page.computer.currentText == "server"


def test_cancel_takes_back_what_was_set(page, panel):
    before = panel.ui.pythonPathLineEdit.currentPath
    page.python.currentPath = "/somewhere/else"
    choose(page.computer, "server")
    assert panel.widget.computerPart.ui.computerComboBox.currentText == "server"
    button("Cancel").click()
    assert panel.ui.pythonPathLineEdit.currentPath == before
    assert panel.widget.computerPart.ui.computerComboBox.currentText == "this one"


def test_opening_the_dialog_chooses_nothing(page, panel):
    """CTK writes the value of every row that was never set; that must not count as a choice."""
    from MedSynthLib import auditpart, folders

    assert QSettings().contains(folders.RESULTS_SETTING)
    assert panel.widget.results.keptFolder.path() == folders.defaultResultsFolder()
    assert panel.widget.results.exportFolder.path() == ""
    assert panel.ui.exportFolderButton.text == "Choose a folder..."
    assert not QSettings().value(auditpart.settingOf("lung_ct"))


def test_the_default_quality_is_for_new_scenes_and_other_kinds_of_image(page, panel):
    assert panel.ui.stepsSpinBox.value == 20
    choose(page.quality, "Draft")
    assert panel.ui.stepsSpinBox.value == 20  # what is open stays as it is
    button("Ok").click()
    choose(panel.ui.presetComboBox, "Mammography")
    assert panel.ui.stepsSpinBox.value == 2
    panel.ui.stepsSpinBox.value = 7
    panel.widget.initializeParameterNode()
    assert panel.ui.stepsSpinBox.value == 7  # nor does a scene that says it
    slicer.mrmlScene.Clear(False)
    assert panel.ui.stepsSpinBox.value == 2


def test_the_destination_that_is_offered_first(page, panel):
    from MedSynthLib import destinations

    from medsynth.pacs.destination import Destination

    for name in ("archive", "teaching"):
        destinations.book().add(Destination(name, host="127.0.0.1", port=104, called_aet="ARCHIVE"))
    panel.widget.send._changed()
    choose(page.destination, "teaching")
    assert panel.ui.destinationComboBox.currentText == "teaching"
    choose(panel.ui.destinationComboBox, "archive")
    reopened()
    assert page.destination.currentText == "archive"


def test_servers_that_were_agreed_to_can_be_forgotten(page, panel):
    from MedSynthLib import computer, preferences

    assert not page.agreed.enabled
    preferences.write(computer.AGREED_SETTING, "https://gpu.hospital:8443")
    click(page.agreed)
    assert preferences.read(computer.AGREED_SETTING) == ""
    assert not page.agreed.enabled

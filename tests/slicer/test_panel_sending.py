"""Destinations, sending and the audit, by clicks; nothing leaves before the user agreed."""

import json

import pytest
import slicer
from harness.user import choose, click, pick
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication


@pytest.fixture
def consent(monkeypatch):
    """The confirmation dialog: `.answer` is given, the texts it had are in `.asked`."""

    class Consent:
        answer, asked = True, []

    given = Consent()
    given.asked = []

    def confirm(text, windowTitle=None, parent=None, **kwargs):
        given.asked.append(text)
        return given.answer

    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", confirm)
    return given


@pytest.fixture
def dialog(panel):
    """The open destinations dialog."""
    click(panel.ui.destinationsButton)
    yield panel.widget.send.dialog
    panel.widget.send.close()


def fill(line, text):
    line.q.setFocus()
    line.q.clear()
    QTest.keyClicks(line.q, text)
    QApplication.processEvents()


def add(dialog, name, *, tls=False):
    fill(dialog.name, name)
    fill(dialog.host, "127.0.0.1")
    fill(dialog.aet, "ARCHIVE")
    if tls != dialog.tls.checked:
        click(dialog.tls)
    click(dialog.addButton)


def visible(dialog):
    return {key for key, (_, widget) in dialog.rows.items() if widget.q.isVisible()}


def result(panel, addReference):
    pick(panel.ui.referenceSelector, addReference())
    click(panel.ui.runButton)
    panel.wait(lambda: panel.widget.runPart.synthesis is None, what="the end of the run")
    return panel.widget._parameters.result


def sent(panel):
    click(panel.ui.sendButton)
    panel.wait(lambda: panel.widget.send.sending is None, what="the end of sending")
    return panel.ui.statusLabel.text


def test_a_destination_is_added_tested_changed_and_removed_without_a_terminal(panel, dialog):
    from medsynth.pacs import address_book

    assert visible(dialog) == {"name", "kind", "host", "port", "aet", "ours", "tls"}
    click(dialog.addButton)
    assert dialog.status.text == "Fill in the field 'Name'."
    add(dialog, "archive")
    assert "archive is kept" in dialog.status.text
    kept = address_book.find("archive")
    assert kept.address == "ARCHIVE@127.0.0.1:104"
    assert not kept.is_encrypted
    assert panel.ui.destinationComboBox.currentText == "archive"
    assert dialog.chosen() == "archive"
    QApplication.processEvents()
    dialog.window.q.grab().save(str(screenshot("destinations")))

    click(dialog.testButton)
    panel.wait(lambda: dialog.process is None, what="the answer")
    assert "answers C-ECHO" in dialog.status.text

    assert dialog.addButton.text == "Change"
    fill(dialog.aet, "OTHER")
    click(dialog.tls)
    assert "authority" in visible(dialog)
    click(dialog.addButton)
    assert address_book.find("archive").called_aet == "OTHER"
    assert address_book.find("archive").is_encrypted

    add(dialog, "broken")
    click(dialog.testButton)
    panel.wait(lambda: dialog.process is None, what="the answer")
    assert "Connection refused" in dialog.status.text
    assert dialog.status.styleSheet
    click(dialog.removeButton)
    assert sorted(address_book.load()) == ["archive"]
    assert [
        panel.ui.destinationComboBox.itemText(i) for i in range(panel.ui.destinationComboBox.count)
    ] == ["archive"]


def screenshot(name):
    from harness.desktop import SCREENSHOTS

    SCREENSHOTS.mkdir(exist_ok=True)
    return SCREENSHOTS / f"{name}.png"


def test_a_destination_is_never_replaced_unseen(panel, dialog):
    from medsynth.pacs import address_book

    add(dialog, "archive")
    add(dialog, "second")
    fill(dialog.name, "archive")
    fill(dialog.host, "elsewhere")
    click(dialog.addButton)
    assert "is there already" in dialog.status.text
    assert address_book.find("archive").host == "127.0.0.1"


def test_a_web_destination_keeps_its_password_in_the_keyring_only(panel, dialog, monkeypatch):
    import sys
    import types

    kept = {}
    keyring, errors = types.ModuleType("keyring"), types.ModuleType("keyring.errors")
    keyring.set_password = lambda service, name, secret: kept.update({(service, name): secret})
    errors.KeyringError = type("KeyringError", (Exception,), {})
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    fill(dialog.name, "web")
    choose(dialog.kind, "DICOMweb (STOW-RS)")
    assert visible(dialog) == {"name", "kind", "url", "signIn"}
    fill(dialog.url, "https://pacs.example.org/dicom-web/")
    choose(dialog.signIn, "user and password")
    assert visible(dialog) == {"name", "kind", "url", "signIn", "user", "secret", "authority"}
    fill(dialog.user, "anna")
    fill(dialog.secret, "open sesame")
    click(dialog.addButton)
    assert kept == {("medsynth", "web"): "open sesame"}
    from medsynth.storage.user_folders import configuration_folder

    text = (configuration_folder() / "destinations.json").read_text()
    assert "sesame" not in text
    (entry,) = json.loads(text)
    assert (entry["url"], entry["user"], entry["auth"]) == (
        *("https://pacs.example.org/dicom-web", "anna"),
        "basic",
    )
    dialog.window.q.grab().save(str(screenshot("destinations_web")))


def test_the_first_send_and_one_without_encryption_are_confirmed(
    panel, addReference, consent, dialog, monkeypatch
):
    add(dialog, "archive")
    add(dialog, "safe", tls=True)
    result(panel, addReference)
    choose(panel.ui.destinationComboBox, "archive")
    consent.answer = False
    assert sent(panel) == "Not sent."
    assert "127.0.0.1:104" in consent.asked[0]
    assert "first time" in consent.asked[0]
    assert "NOT encrypted" in consent.asked[0].split("\n\n")[-1]
    consent.answer = True
    assert sent(panel) == "Sent. 2 of 2 objects are verified"
    assert len(consent.asked) == 2

    choose(panel.ui.destinationComboBox, "safe")
    sent(panel)
    assert "first time" in consent.asked[2]
    assert len(consent.asked[2].split("\n\n")) == 2
    # Later ones: the outbox says that this address has had something.
    from medsynth.pacs.outbox import Outbox

    monkeypatch.setattr(Outbox, "has_sent_to", lambda self, address: True)
    sent(panel)
    assert len(consent.asked) == 3
    choose(panel.ui.destinationComboBox, "archive")
    sent(panel)
    assert len(consent.asked) == 4
    assert "first time" not in consent.asked[3]


def test_what_the_pacs_did_not_take_is_said(panel, addReference, consent, dialog):
    add(dialog, "broken")
    result(panel, addReference)
    assert "0xA700" in sent(panel)


def test_a_near_copy_is_refused_before_anybody_is_asked(panel, addReference, consent, dialog):
    from pathlib import Path

    add(dialog, "archive")
    folder = Path(result(panel, addReference).GetAttribute("MedSynth.Folder"))
    (folder / "audit.json").write_text(json.dumps({"verdict": "near copy", "allowed": []}))
    assert "too near to an image" in sent(panel)
    assert consent.asked == []


def test_audit_by_a_click(panel, addReference, monkeypatch, tmp_path):
    from PySide6.QtWidgets import QFileDialog

    answers, asked = [], []

    def dialogAnswer(parent=None, caption="", directory="", *options):
        asked.append(caption)
        return answers.pop(0)

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", dialogAnswer)
    assert not panel.ui.auditButton.enabled
    result(panel, addReference)
    assert panel.ui.auditLabel.text == "not checked"

    def audit():
        click(panel.ui.auditButton)
        panel.wait(lambda: panel.widget.audit.process is None, what="the end of the audit")
        return panel.ui.statusLabel.text

    answers.append("")
    assert "it needs the images" in audit()
    answers.append(str(tmp_path))
    assert "holds no images" in audit()
    (tmp_path / "images").mkdir()
    answers.append(str(tmp_path))
    assert "no near copy" in audit()
    assert panel.ui.auditLabel.text == "no near copy"
    panel.screenshot("sending_audited")
    (tmp_path / "near").write_text("")
    assert "cannot be sent or exported" in audit()
    assert panel.ui.auditLabel.text == "near copy"
    assert len(asked) == 3  # a folder that worked is not asked for again
    assert "lung_ct" in asked[0]
    panel.ui.exportFolderButton.directory = str(tmp_path)
    click(panel.ui.exportButton)
    assert "too near to an image" in panel.ui.statusLabel.text
    assert not list(tmp_path.glob("SYNTHETIC*"))

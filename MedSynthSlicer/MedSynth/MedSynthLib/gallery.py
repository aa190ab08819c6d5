"""The gallery: kinds of lesion and saved lesions as pictures to choose from; a marked lesion is saved here."""

from __future__ import annotations

import tempfile
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from medsynth.scene import lesion_cards, nodes, region
from medsynth.scene.vocabulary import PRESETS
from MedSynthLib import library
from MedSynthLib.process import Process

SIDE = 72  # pixels of a picture


class Gallery:
    """The window, for one pathology at a time, and the question for a saved lesion's name.

    Args:
        requirementsFile: what drawing pictures and saving need beyond Slicer's own packages.
        anatomy: gives the module's parameter node.
        messages: says what became of it.
    """

    def __init__(self, *, requirementsFile: str, anatomy, messages):
        self.requirementsFile, self.anatomy, self.messages = requirementsFile, anatomy, messages
        self.process = self.card = None
        self.cards: list[lesion_cards.LesionCard] = []
        self.window = qt.QDialog(slicer.util.mainWindow())
        self.window.windowTitle = _("Lesions")
        layout = qt.QVBoxLayout(self.window)
        self.list = qt.QListWidget()
        self.list.wordWrap = True
        self.list.iconSize = qt.QSize(SIDE, SIDE)
        self.list.connect("itemDoubleClicked(QListWidgetItem*)", lambda _item: self.choose())
        self.list.connect("itemSelectionChanged()", self._update)
        layout.addWidget(self.list)
        self.chooseButton = qt.QPushButton(_("Choose"))
        self.chooseButton.connect("clicked()", self.choose)
        layout.addWidget(self.chooseButton)

    def open(self, card) -> None:
        """Show what this card's pathology can be."""
        self.card = card
        self.refresh()
        self.window.resize(460, 560)
        self.window.show()

    def refresh(self) -> None:
        """The kinds of the domain, then the saved lesions; kinds without a picture are being drawn."""
        preset = PRESETS[self.anatomy().preset]
        try:
            saved = lesion_cards.mine(preset)
        except ValueError as error:
            saved = []
            self.messages.fail(str(error))
        self.cards = [*lesion_cards.kinds(preset), *saved]
        self.list.clear()
        for each in self.cards:
            item = qt.QListWidgetItem(_words(each))
            if each.has_picture:
                item.setIcon(qt.QIcon(str(each.picture)))
            self.list.addItem(item)
        self._update()
        missing = any(not each.saved and not each.has_picture for each in self.cards)
        if missing and self.process is None and library.isReady(self.requirementsFile):
            self._start(["lesions", "pictures", "--preset", preset.name], self._drawn)

    def _update(self) -> None:
        self.chooseButton.enabled = self.list.currentRow >= 0

    def _start(self, arguments: list[str], onFinished) -> None:
        def finished(reason):
            if self.process is not None:  # the window may be gone
                self.process = None
                onFinished(reason)

        self.process = Process(
            [*arguments, "--progress", "json"], finished, onLog=self.messages.log
        )
        self.process.start()

    def _drawn(self, reason: str | None) -> None:
        if reason is not None:
            self.messages.log(reason)  # the words are there
        elif self.window.visible:
            self._pictures()

    def _pictures(self) -> None:
        row = self.list.currentRow
        self.refresh()
        self.list.setCurrentRow(row)

    def choose(self) -> None:
        """The pathology becomes what is selected."""
        row = self.list.currentRow
        if self.card is not None and 0 <= row < len(self.cards):
            self.card.become(self.cards[row])
        self.window.hide()

    def save(self, card) -> None:
        """Cut what is marked out of the reference, and keep it under a name that is asked for."""
        wanted = qt.QInputDialog.getText(
            self.window, _("Save this lesion"), _("Name:"), qt.QLineEdit.Normal, ""
        )
        if isinstance(wanted, tuple):  # PySide6; PythonQt gives the text alone
            wanted = wanted[0]
        name = " ".join(wanted.split())
        if not name:
            return
        try:
            self._save(card, name)
        except (ValueError, RuntimeError, OSError) as error:
            self.messages.fail(str(error))

    def _save(self, card, name: str) -> None:
        if self.process is not None:
            raise ValueError(_("Something is being drawn or saved. Try again in a moment."))
        library.ensureDependencies(self.requirementsFile, torch=False)
        parameters = self.anatomy()
        reference = parameters.reference
        folder = Path(tempfile.mkdtemp(prefix="MedSynth-lesion-", dir=slicer.app.temporaryPath))
        where, diameter = card.parameters.where, card.parameters.diameter
        places = region.entries(where, reference, diameter, folder, card.number)
        image = nodes.write_volume(reference, folder / "reference.nrrd")
        arguments = ["lesions", "save", name, "--image", str(image), "--preset", parameters.preset]
        note = f"marked in Slicer in {_origin(reference)}"
        arguments += ["--mask", str(folder / places[0]["roi"]), "--note", note]

        def saved(reason):
            if reason is None:
                text = _("Saved as {name}. The gallery of every pathology has it now.")
                self.messages.say(text.format(name=name))
            else:
                self.messages.fail(reason)

        self._start(arguments, saved)

    def close(self) -> None:
        """Close it for good; what is drawn or saved is ended."""
        process, self.process = self.process, None
        if process is not None:
            process.cancel()
        self.window.close()
        self.window.deleteLater()


def _words(card: lesion_cards.LesionCard) -> str:
    title = _("Mine: {name}").format(name=card.title) if card.saved else card.title
    parts = [part for part in (card.size, card.margin, card.density) if part]
    return "\n".join(part for part in (title, ", ".join(parts), card.words) if part)


def _origin(reference) -> str:
    """What it was marked in, without a name: a volume's may be a patient's."""
    return "a synthetic volume" if reference.GetAttribute(nodes.SYNTHETIC) else "a volume"

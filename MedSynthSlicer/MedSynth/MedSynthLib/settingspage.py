"""Edit > Application Settings > MedSynth: what `preferences` keeps, on one page of Slicer's own dialog.

Slicer writes what is changed here at once, and takes it back when the dialog is canceled.
"""

from __future__ import annotations

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from medsynth.scene.vocabulary import PRESET_TITLES
from MedSynthLib import auditpart, computer, destinations, folders, library, preferences

QUALITY_TITLES = {
    "": _("as the kind of image has it"),
    "draft": _("Draft"),
    "standard": _("Standard"),
    "best": _("Best"),
}
_pages: list[SettingsPage] = []  # without a reference Python would forget it


class SettingsPage:
    """The rows; each is bound to one setting."""

    def __init__(self):
        self.widget = ctk.ctkSettingsPanel()
        self.form = qt.QFormLayout(self.widget)
        self._run()
        self._results()
        self._computer()
        self._training()
        self.widget.connect("settingChanged(QString,QVariant)", self._changed)
        preferences.follow(self._follow)

    def _run(self) -> None:
        self.python = self._path(
            library.PYTHON_SETTING,
            _("Python:"),
            _("The Python that runs MedSynth; empty: Slicer's own"),
            ctk.ctkPathLineEdit.Files,
        )
        self.quality = self._choice(
            preferences.QUALITY_SETTING,
            _("Quality:"),
            _(
                "Network calls for each slice, in new scenes and when another kind of image is chosen"
            ),
            QUALITY_TITLES,
        )

    def _results(self) -> None:
        kept = _("Where every result is written; empty: {folder}").format(
            folder=folders.defaultResultsFolder()
        )
        exported = _("The folder that gets DICOM files; empty: asked when you export")
        directories = ctk.ctkPathLineEdit.Dirs
        self.kept = self._path(folders.RESULTS_SETTING, _("Results:"), kept, directories)
        self.exported = self._path(folders.EXPORT_SETTING, _("Export to:"), exported, directories)
        self.destination = self._choice(
            destinations.SETTING,
            _("Send to:"),
            _("The PACS that is offered first; the panel's Destinations... adds one"),
            _destinationTitles(),
        )

    def _computer(self) -> None:
        where = {computer.HERE: _("this one"), computer.SERVER: _("server")}
        self.computer = self._choice(
            computer.COMPUTER_SETTING,
            _("Computer:"),
            _("Where a synthesis runs: here, or on a MedSynth server"),
            where,
        )
        self.address = qt.QLineEdit()
        self.address.placeholderText = "https://host:port"
        self._row(_("Server:"), self.address, _("Its address; the panel's Advanced tests it"))
        self._register(computer.ADDRESS_SETTING, self.address, "text", "editingFinished()")
        self.certificate = self._path(
            computer.CERTIFICATE_SETTING,
            _("Certificate:"),
            _("Of a server that signed its own; empty: those that this computer trusts"),
            ctk.ctkPathLineEdit.Files,
        )
        self.agreed = qt.QPushButton(_("Ask again before images are sent"))
        self.agreed.connect("clicked(bool)", lambda: preferences.write(computer.AGREED_SETTING, ""))
        tip = _("Forget the servers to which you agreed to send images")
        self._row("", self.agreed, tip)
        self._showAgreed()

    def _training(self) -> None:
        tip = _("The images that the network of {preset} was trained on, for Audit; empty: asked")
        for name, title in PRESET_TITLES.items():
            self._path(
                auditpart.settingOf(name),
                _("Training images, {title}:").format(title=title),
                tip.format(preset=name),
                ctk.ctkPathLineEdit.Dirs,
            )

    def _path(self, key: str, label: str, tip: str, filters):
        line = ctk.ctkPathLineEdit()
        line.filters = filters
        self._row(label, line, tip)
        self._register(key, line, "currentPath", "currentPathChanged(QString)")
        return line

    def _choice(self, key: str, label: str, tip: str, titles: dict[str, str]):
        box = ctk.ctkComboBox()
        for value, title in titles.items():
            box.addItem(title, value)
        self._row(label, box, tip)
        self._register(key, box, "currentUserDataAsString", "currentIndexChanged(int)")
        return box

    def _row(self, label: str, widget, tip: str) -> None:
        widget.toolTip = tip
        self.form.addRow(label, widget)

    def _register(self, key: str, widget, name: str, signal: str) -> None:
        self.widget.registerProperty(key, widget, name, str(qt.SIGNAL(signal)))

    def _changed(self, key: str) -> None:
        preferences.announce(key)

    def _follow(self, key: str) -> None:
        """Slicer reads the settings again when the dialog opens, but the lists are this page's."""
        if key == destinations.BOOK:
            self.listDestinations()
        elif key == computer.AGREED_SETTING:
            self._showAgreed()

    def _showAgreed(self) -> None:
        self.agreed.enabled = bool(preferences.read(computer.AGREED_SETTING))

    def listDestinations(self) -> None:
        """Offer those that there are now."""
        self.destination.blockSignals(True)  # nobody has chosen anything
        self.destination.clear()
        for value, title in _destinationTitles().items():
            self.destination.addItem(title, value)
        self.destination.currentUserDataAsString = destinations.remembered()
        self.destination.blockSignals(False)


def _destinationTitles() -> dict[str, str]:
    """The last one used stays in the list, also when the address book cannot be read."""
    try:
        names = sorted(destinations.book().load())
    except (ValueError, RuntimeError, OSError):
        names = []
    chosen = [name for name in (destinations.remembered(),) if name and name not in names]
    return {"": _("none"), **{name: name for name in (*names, *chosen)}}


def register() -> None:
    """Add the page to Slicer's settings."""
    page = SettingsPage()
    _pages.append(page)
    slicer.app.settingsDialog().addPanel("MedSynth", page.widget)

"""The dialog in which PACS are added, tested and removed: what `medsynth pacs` does, without a terminal."""

from __future__ import annotations

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from MedSynthLib import destinations, library
from MedSynthLib.process import Process

DICOM, WEB = _("DICOM (C-STORE)"), _("DICOMweb (STOW-RS)")
SIGN_IN = {"none": "no sign-in", "basic": "user and password", "bearer": "token"}
RED, PLAIN = "color: #b00020", ""


class DestinationsDialog:
    """A list of destinations, a form that adds or changes one, Test and Remove.

    Args:
        requirementsFile: what Test needs beyond Slicer's own packages.
        onChange: called with the name to choose, after the list changed.
        onLog: called with every line that a test writes.
    """

    def __init__(self, *, requirementsFile: str, onChange, onLog):
        self.requirementsFile, self.onChange, self.onLog = requirementsFile, onChange, onLog
        self.process = None
        self.known: dict = {}
        self.window = qt.QDialog(slicer.util.mainWindow())
        self.window.windowTitle = _("Destinations")
        layout = qt.QVBoxLayout(self.window)
        self._addList(layout)
        self._addForm(layout)
        self.status = qt.QLabel()
        self.status.wordWrap = True
        layout.addWidget(self.status)
        self._showFields()

    def _addList(self, layout) -> None:
        self.list = qt.QListWidget()
        self.list.toolTip = _(
            "Results are sent nowhere else. Choose one to test, change or remove it"
        )
        self.list.wordWrap = True  # a long address must be read to its end
        self.list.maximumHeight = 160
        self.list.connect("itemSelectionChanged()", self._fill)
        layout.addWidget(self.list)
        row = qt.QHBoxLayout()
        self.testButton = self._button(
            _("Test"), _("Connect, send nothing, and say what is wrong"), self.test
        )
        self.removeButton = self._button(
            _("Remove"), _("Forget the chosen destination"), self.remove
        )
        row.addWidget(self.testButton)
        row.addWidget(self.removeButton)
        row.addStretch(1)
        layout.addLayout(row)

    @staticmethod
    def _button(text: str, tip: str, slot):
        button = qt.QPushButton(text)
        button.toolTip = tip
        button.autoDefault = False
        button.connect("clicked()", slot)
        return button

    def _addForm(self, layout) -> None:
        self.name, self.host, self.aet = qt.QLineEdit(), qt.QLineEdit(), qt.QLineEdit()
        self.ours, self.url, self.user = qt.QLineEdit("MEDSYNTH"), qt.QLineEdit(), qt.QLineEdit()
        self.secret = qt.QLineEdit()
        self.secret.setEchoMode(qt.QLineEdit.Password)
        self.port = qt.QSpinBox()
        self.port.minimum, self.port.maximum, self.port.value = 1, 65535, 104
        self.kind, self.signIn = qt.QComboBox(), qt.QComboBox()
        for text in (DICOM, WEB):
            self.kind.addItem(text)
        for text in SIGN_IN.values():
            self.signIn.addItem(text)
        self.tls = qt.QCheckBox(_("encrypt (TLS); its certificate is checked"))
        self.authority = ctk.ctkPathLineEdit()
        self.rows: dict[str, tuple] = {}
        form = qt.QFormLayout()
        for key, label, widget, tip in self._rows():
            text = qt.QLabel(label)
            widget.toolTip = tip
            form.addRow(text, widget)
            self.rows[key] = text, widget
        layout.addLayout(form)
        self.addButton = self._button(
            _("Add"), _("Keep this destination on this computer; nothing is sent yet"), self.add
        )
        layout.addWidget(self.addButton)
        for box in (self.kind, self.signIn):
            box.connect("currentIndexChanged(int)", self._showFields)
        self.tls.connect("toggled(bool)", self._showFields)
        self.url.connect("textChanged(QString)", self._showFields)
        self.name.connect("textChanged(QString)", self._showFields)

    def _rows(self):
        yield "name", _("Name:"), self.name, _("How you will call it: letters, digits, underscores")
        yield "kind", _("Speaks:"), self.kind, _("Ask the PACS administrator")
        yield "host", _("Host:"), self.host, _("Name or IP address of the PACS")
        yield (
            "port",
            _("Port:"),
            self.port,
            _("Its DICOM port, often 104 or 11112; with TLS often 2762"),
        )
        yield "aet", _("Its AE title:"), self.aet, _("The AE title of the PACS")
        yield "ours", _("Our AE title:"), self.ours, _("The PACS may have to know this title")
        yield "tls", "", self.tls, _("Never falls back to plain text")
        yield "url", _("Address:"), self.url, _("Root of the service, e.g. https://host/dicom-web")
        yield "signIn", _("Sign in:"), self.signIn, _("What the service asks for")
        yield "user", _("User:"), self.user, _("The user name at the service")
        yield (
            "secret",
            _("Password, token:"),
            self.secret,
            _("Goes into this computer's keyring only"),
        )
        yield (
            "authority",
            _("Authority:"),
            self.authority,
            (
                _(
                    "PEM file of the authority that signed its certificate; empty: this computer's own"
                )
            ),
        )

    def _showFields(self) -> None:
        web = self.kind.currentText == WEB
        signIn = self._auth()
        encrypted = self.url.text.startswith("https:") if web else self.tls.checked
        shown = {"name", "kind"}
        shown |= {"url", "signIn"} if web else {"host", "port", "aet", "ours", "tls"}
        shown |= {"authority"} if encrypted else set()
        shown |= {"secret"} if web and signIn != "none" else set()
        shown |= {"user"} if web and signIn == "basic" else set()
        for key, widgets in self.rows.items():
            for widget in widgets:
                widget.visible = key in shown
        known = self.name.text.strip() and self.name.text.strip() == self.chosen()
        self.addButton.text = _("Change") if known else _("Add")
        self.testButton.enabled = self.removeButton.enabled = bool(self.chosen())

    def _auth(self) -> str:
        return list(SIGN_IN)[self.signIn.currentIndex]

    def refresh(self, choose: str = "") -> None:
        """Read the address book again."""
        self.list.clear()
        try:
            self.known = destinations.book().load()
        except (ValueError, RuntimeError, OSError) as error:
            self.known = {}
            self._say(str(error), failed=True)
        for name in sorted(self.known):
            self.list.addItem(f"{name}: {self.known[name].describe()}")
        if choose in self.known:
            self.list.setCurrentRow(sorted(self.known).index(choose))

    def chosen(self) -> str:
        """The name of the destination that is selected in the list, or an empty text."""
        row = self.list.currentRow
        return sorted(self.known)[row] if 0 <= row < len(self.known) else ""

    def _fill(self) -> None:
        destination = self.known.get(self.chosen())
        if destination is not None:
            self.kind.setCurrentIndex(1 if destination.is_dicomweb else 0)
            self.name.text, self.host.text = destination.name, destination.host
            self.port.value = destination.port or 104
            self.aet.text, self.ours.text = destination.called_aet, destination.calling_aet
            self.tls.checked = destination.tls
            self.url.text, self.user.text = destination.url, destination.user
            self.signIn.setCurrentIndex(list(SIGN_IN).index(destination.auth))
            self.authority.currentPath = destination.ca_file
            self.secret.text = ""
        self._showFields()

    def _destination(self):
        """What the form says.

        Raises:
            ValueError: a field is missing or wrong.
        """
        from dataclasses import replace

        from medsynth.pacs.destination import Destination

        web, name = self.kind.currentText == WEB, self.name.text.strip()
        wanted = {"Address": self.url} if web else {"Host": self.host, "Its AE title": self.aet}
        for label, line in {"Name": self.name, **wanted}.items():
            if not line.text.strip():
                raise ValueError(_("Fill in the field '{label}'.").format(label=label))
        encrypted = self.url.text.startswith("https:") if web else self.tls.checked
        fields = {"ca_file": self.authority.currentPath if encrypted else ""}
        if web:
            fields |= {"url": self.url.text.strip().rstrip("/"), "auth": self._auth()}
            fields |= {"user": self.user.text.strip() if self._auth() == "basic" else ""}
        else:
            fields |= {"host": self.host.text.strip(), "port": self.port.value}
            fields |= {"called_aet": self.aet.text.strip(), "calling_aet": self.ours.text.strip()}
            fields |= {"tls": self.tls.checked}
        before = self.known.get(name)
        if before is not None and before.is_dicomweb == web:
            return replace(before, **fields)  # what only the command line sets stays
        return Destination(name=name, **fields)

    def add(self) -> None:
        """Keep what the form says."""
        self._attempt(self._add)

    def _add(self) -> str:
        destination = self._destination()
        changes = destination.name == self.chosen()
        if destination.name in self.known and not changes:
            raise ValueError(
                f"{destination.name} is there already; choose it in the list to change it."
            )
        if destination.auth != "none" and (self.secret.text or not changes):
            if not self.secret.text:
                raise ValueError(_("Fill in the field 'Password, token'."))
            library.ensurePackage(self.requirementsFile, "keyring")
            destinations.keepSecret(destination.name, self.secret.text)
            self.secret.text = ""
        destinations.book().add(destination, replace=changes)
        self.refresh(destination.name)
        self.onChange(destination.name)
        return f"{destination.name} is kept. Now press Test."

    def remove(self) -> None:
        """Forget the chosen one."""

        def removed():
            name = self.chosen()
            destinations.book().remove(name)
            self.refresh()
            self._showFields()
            self.onChange("")
            return f"{name} is removed."

        self._attempt(removed)

    def test(self) -> None:
        """Connect to the chosen one in a process of its own."""
        self._attempt(self._test)

    def _test(self) -> str:
        name = self.chosen()
        library.ensureDependencies(self.requirementsFile, torch=False)
        said: list[str] = []

        def event(record):
            if record["kind"] == "result":
                said.append(record.get("message", ""))

        def finished(reason):
            if self.process is None:
                return  # the window is gone
            self.process = None
            self._showFields()
            self._say(reason or " ".join(said), failed=reason is not None)

        arguments = ["pacs", "test", name, "--progress", "json"]
        self.process = Process(arguments, finished, onEvent=event, onLog=self.onLog)
        self.process.start()
        self.testButton.enabled = False
        return _("Connecting to {name}...").format(name=name)

    def _attempt(self, action) -> None:
        try:
            self._say(action())
        except (ValueError, RuntimeError, OSError) as error:
            self._say(str(error), failed=True)

    def _say(self, text: str, *, failed: bool = False) -> None:
        self.status.styleSheet = RED if failed else PLAIN
        self.status.text = text

    def show(self) -> None:
        """Open the window."""
        self.window.resize(460, 520)
        self.window.show()

    def close(self) -> None:
        """Close it for good; a test that runs is ended."""
        if self.process is not None:
            self.process.cancel()
            self.process = None
        self.window.close()
        self.window.deleteLater()

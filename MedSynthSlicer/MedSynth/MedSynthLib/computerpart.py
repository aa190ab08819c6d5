"""The controls that choose where the synthesis runs, and test a server."""

from __future__ import annotations

from slicer.i18n import tr as _

from MedSynthLib import computer, library, preferences, section
from MedSynthLib.process import Process

RED, PLAIN = "color: #b00020", ""
SERVERS = ("addressLabel", "addressLineEdit", "tokenLabel", "tokenLineEdit", "certificateLabel")
SERVERS += ("certificateLineEdit", "testServerTextLabel", "testServerButton")
SERVERS += ("testServerLabel",)


class ComputerPart:
    """This computer, or a server with its address, token, certificate and Test.

    Args:
        container: an empty widget that gets the controls.
        requirementsFile: what talking to a server needs beyond Slicer's own packages.
        onChange: called when the synthesis would run elsewhere than before.
        onLog: called with every line that a test writes.
    """

    def __init__(self, container, *, uiFile: str, requirementsFile: str, onChange, onLog):
        self.requirementsFile, self.onChange, self.onLog = requirementsFile, onChange, onLog
        self.process = None
        self.widget, self.ui = section.fill(container, uiFile)
        for text in (_("this one"), _("server")):
            self.ui.computerComboBox.addItem(text)
        self.show()
        self.ui.computerComboBox.connect("activated(int)", self._choose)
        self.ui.addressLineEdit.connect("editingFinished()", self._keepAddress)
        self.ui.tokenLineEdit.connect("editingFinished()", self._keepToken)
        self.ui.certificateLineEdit.connect("currentPathChanged(QString)", self._keepCertificate)
        self.ui.testServerButton.connect("clicked(bool)", self.test)

    def show(self) -> None:
        """Show what is set."""
        isServer = computer.isServer()
        self.ui.computerComboBox.currentIndex = int(isServer)
        for name in SERVERS:
            getattr(self.ui, name).visible = isServer
        self.ui.addressLineEdit.text = computer.address()
        if self.ui.certificateLineEdit.currentPath.strip() != computer.certificate():
            self.ui.certificateLineEdit.currentPath = computer.certificate()
        self._showToken()

    def _showToken(self) -> None:
        # Never the token itself: whoever sits here next could read it.
        there = bool(computer.address() and computer.token(computer.address()))
        self.ui.tokenLineEdit.text = ""
        self.ui.tokenLineEdit.placeholderText = _("kept") if there else ""

    def _choose(self, row: int) -> None:
        word = computer.SERVER if row else computer.HERE
        preferences.write(computer.COMPUTER_SETTING, word)

    def _keepAddress(self) -> None:
        entered = self.ui.addressLineEdit.text.strip().rstrip("/")
        if entered != computer.address():
            preferences.write(computer.ADDRESS_SETTING, entered)
            self._say("")

    def _keepToken(self) -> None:
        entered = self.ui.tokenLineEdit.text.strip()
        if not entered or not computer.address():
            return
        kept = computer.keepToken(computer.address(), entered)
        self._showToken()
        self._say("" if kept else _("Kept until Slicer is closed: this computer has no keyring."))
        self.onChange()

    def _keepCertificate(self, path: str) -> None:
        preferences.write(computer.CERTIFICATE_SETTING, path)

    def test(self) -> None:
        """Connect, send no image, and say what is there or what is wrong."""
        self._keepAddress()
        self._keepToken()
        try:
            where = computer.server()
            library.ensureDependencies(self.requirementsFile, torch=False)
            process = Process(
                ["info", *where.arguments(), "--progress", "json"],
                self._tested,
                onEvent=self._event,
                onLog=self.onLog,
                environment=where.environment(),
            )
            process.start()
        except (ValueError, RuntimeError, OSError) as error:
            self._say(str(error), failed=True)
            return
        self.process = process
        self.ui.testServerButton.enabled = False
        self._say(_("Connecting..."))

    def _event(self, event: dict) -> None:
        if event["kind"] == "result":
            self._say(event.get("message", ""))

    def _tested(self, reason: str | None) -> None:
        self.process = None
        self.ui.testServerButton.enabled = True
        if reason is not None and reason != "cancelled":
            self._say(reason, failed=True)

    def _say(self, text: str, *, failed: bool = False) -> None:
        self.ui.testServerLabel.styleSheet = RED if failed else PLAIN
        self.ui.testServerLabel.text = text

    def cancel(self) -> None:
        """End a test, as when the scene closes."""
        if self.process is not None:
            self.process.cancel()

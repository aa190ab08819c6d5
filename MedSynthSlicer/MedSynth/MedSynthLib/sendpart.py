"""The controls for sending a result to a PACS."""

from __future__ import annotations

from slicer.i18n import tr as _

from MedSynthLib import delivery, destinations, library, preferences
from MedSynthLib.destinationsdialog import DestinationsDialog


class SendPart:
    """Destination, Destinations... and Send."""

    def __init__(self, ui, messages, *, results, requirementsFile: str):
        self.ui, self.messages, self.results = ui, messages, results
        self.requirementsFile = requirementsFile
        self.sending = self.dialog = None
        ui.sendButton.connect("clicked(bool)", self.send)
        ui.destinationsButton.connect("clicked(bool)", self.openDestinations)
        ui.destinationComboBox.connect("activated(int)", self._remember)
        self.listDestinations()
        self.updateSendButton()

    def _remember(self) -> None:
        destinations.remember(self.ui.destinationComboBox.currentText)

    def updateSendButton(self) -> None:
        """Enable sending, or let the button's tool tip and the line beside it say why not."""
        reason = delivery.canSend()
        self.ui.sendButton.enabled = not reason
        self.ui.destinationsButton.enabled = not reason
        self.ui.sendLabel.text = reason
        self.ui.sendLabel.visible = bool(reason)
        self.ui.sendButton.toolTip = reason or _("Send the chosen result to the chosen destination")

    def listDestinations(self, choose: str = "") -> None:
        """Fill the list; `choose` or the last one used is chosen."""
        box = self.ui.destinationComboBox
        wanted = choose or box.currentText or destinations.remembered()
        box.clear()
        try:
            names = sorted(destinations.book().load())
        except (ValueError, RuntimeError, OSError) as error:
            self.messages.fail(str(error))
            return
        for name in names:
            box.addItem(name)
        if wanted in names:
            box.setCurrentIndex(names.index(wanted))

    def _changed(self, choose: str = "") -> None:
        self.listDestinations(choose)
        preferences.announce(destinations.BOOK)

    def openDestinations(self) -> None:
        """Show the dialog; it stays beside the panel until it is closed."""
        if self.dialog is None:
            self.dialog = DestinationsDialog(
                requirementsFile=self.requirementsFile,
                onChange=self._changed,
                onLog=self.messages.log,
            )
        self.dialog.refresh(self.ui.destinationComboBox.currentText)
        self.dialog.show()

    def send(self) -> None:
        """Send the result; the line above tells the state of its instances."""
        try:
            self.messages.say(self._start())
        except (ValueError, RuntimeError, OSError) as error:
            self.messages.fail(str(error))

    def _start(self) -> str:
        result = self.results.parameters.result
        folder = delivery.exportable(result)
        destination = destinations.find(self.ui.destinationComboBox.currentText)
        number = sum(1 for _file in (folder / "dicom").rglob("*.dcm"))
        if not destinations.confirmed(destination, f"{result.GetName()} ({number} files)"):
            return _("Not sent.")
        destinations.remember(destination.name)
        library.ensureDependencies(self.requirementsFile, torch=False)
        self.sending = delivery.Sending(
            folder,
            destination.name,
            onProgress=self.messages.say,
            onFinished=self._sent,
            onLog=self.messages.log,
        )
        try:
            self.sending.start()
        except Exception:
            self.sending = None
            raise
        self.ui.sendButton.enabled = False
        return _("Sending...")

    def _sent(self, reason: str | None, words: str) -> None:
        self.sending = None
        self.ui.sendButton.enabled = True
        if reason is None:
            self.messages.say(_("Sent. {words}").format(words=words))
        else:
            self.messages.fail(reason)

    def close(self) -> None:
        """Close the dialog with the panel."""
        if self.dialog is not None:
            self.dialog.close()
            self.dialog = None

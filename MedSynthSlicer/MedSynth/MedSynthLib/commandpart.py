"""A button that runs one medsynth command, and what the command answered."""

from __future__ import annotations

from MedSynthLib import library
from MedSynthLib.process import Process


class CommandPart:
    """What Audit and "Is this synthetic?" share. Their own `_start`, `_event` and `_finished` say the rest."""

    def __init__(self, ui, messages, button, *, requirementsFile: str):
        self.ui, self.messages, self.button = ui, messages, button
        self.requirementsFile = requirementsFile
        self.process = None
        self.found: dict = {}
        button.connect("clicked(bool)", self.begin)

    def begin(self, *_) -> None:
        """Start it, or say why it cannot start."""
        try:
            self._start()
        except (ValueError, RuntimeError, OSError) as error:
            self._done()
            self.messages.fail(str(error))

    def _run(self, arguments: list[str], words: str) -> None:
        self.found = {}
        process = Process(
            [*arguments, "--progress", "json"],
            self._ended,
            onEvent=self._event,
            onLog=self.messages.log,
        )
        process.start()
        self.process = process
        self.button.enabled = False
        self.messages.progress(words, None)

    def _ensureDependencies(self) -> None:
        library.ensureDependencies(self.requirementsFile)

    def _ended(self, reason: str | None) -> None:
        self._done()
        if reason == "cancelled":
            self.messages.say("")
        else:
            self._finished(reason)

    def _done(self) -> None:
        """It no longer runs, or never did."""
        self.process = None
        self.messages.progressDone()
        self.button.enabled = True

    def cancel(self) -> None:
        """End it, as when the scene closes."""
        if self.process is not None:
            self.process.cancel()

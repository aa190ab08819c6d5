"""One medsynth command in its own process: progress as it comes, a plain reason when it fails.

Slicer stays responsive: nothing here waits. Cancel ends the process and everything it started.
"""

from __future__ import annotations

import json
import re
from inspect import signature

import qt
import slicer
from slicer.i18n import tr as _

from MedSynthLib import library

GRACE_MS = 1000


class Process:
    """Runs `medsynth ARGUMENTS`.

    Args:
        arguments: the command and its options.
        onEvent: called with each JSON line of `--progress json`, as a dictionary.
        onFinished: called once with None when it succeeded, else with the reason in plain words.
        onLog: called with every line that is not JSON.
        environment: variables that the process gets besides its usual ones.
    """

    def __init__(self, arguments, onFinished, *, onEvent=None, onLog=None, environment=None):
        self.arguments, self.environment = arguments, environment or {}
        self.onEvent, self.onFinished, self.onLog = onEvent, onFinished, onLog
        self.lines: list[str] = []
        self.error = ""
        self.cancelled = False
        self.popen = None
        self.members = []

    def start(self) -> None:
        """Start it.

        Raises:
            RuntimeError: the Python to run it with is not there, or Slicer is too old.
        """
        if "blocking" not in signature(slicer.util.launchConsoleProcess).parameters:
            raise RuntimeError(_("This module needs Slicer 5.12 or newer."))
        launch = library.command(self.arguments)
        launch["updateEnvironment"].update(self.environment)
        try:
            self.popen = slicer.util.launchConsoleProcess(
                **launch, blocking=False, logCallback=self._line, completedCallback=self._completed
            )
        except OSError as error:
            raise RuntimeError(
                f"{launch['args'][0]} could not be started ({error.strerror}). Check the Python set "
                "under Advanced."
            ) from None

    def _line(self, line: str) -> None:
        event = _parsed(line)
        if event is None:
            if line.strip():
                self.lines.append(line)
                self._call(self.onLog, line)
            return
        if event["kind"] == "error":
            self.error = event.get("message", "")
        self._call(self.onEvent, event)

    def _completed(self, code: int) -> None:
        if self.cancelled:
            self.onFinished("cancelled")
        else:
            self.onFinished(None if code == 0 else reason(code, self.lines, self.error))

    def _call(self, function, argument) -> None:
        if function is not None and not self.cancelled:
            function(argument)

    def cancel(self) -> None:
        """Ask the whole process tree to end; what is still there after a second is killed."""
        import psutil

        self.cancelled = True
        try:
            root = psutil.Process(self.popen.pid)
            self.members = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for member in self.members:
            _signal(member.terminate)
        qt.QTimer.singleShot(GRACE_MS, self._kill)

    def _kill(self) -> None:
        for member in self.members:
            # A process that outlived the request may have started others since.
            for process in [*_signal(lambda m=member: m.children(recursive=True), []), member]:
                _signal(process.kill)


def _signal(action, otherwise=None):
    import psutil

    try:
        return action()
    except psutil.NoSuchProcess:
        return otherwise


def _parsed(line: str) -> dict | None:
    """The event on this line, or None for a line that is not one."""
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "kind" in event else None


def reason(code: int, lines: list[str], error: str = "") -> str:
    """Why a command failed, in words for its user: its own error, or what its output tells."""
    text = "\n".join([*lines, error])
    missing = re.search(r"No module named '([\w.]+)'", text)
    if missing:
        return _(
            "The Python that runs the synthesis has no {package}. Under Advanced, choose a Python that has medsynth, or leave it empty and press Run to install what is missing."
        ).format(package=missing[1])
    if error:
        return error
    if code in (-9, 137):
        return _(
            "The operating system stopped the synthesis, most likely for want of memory. Close other "
            "programs, or synthesize fewer slices (Advanced: slices = roi)."
        )
    last = lines[-1].strip() if lines else ""
    last = re.sub(r"^(medsynth: )?(error: )?", "", last)
    return last or _("The synthesis ended with code {code} and gave no reason.").format(code=code)

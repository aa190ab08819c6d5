"""Folders that are chosen once and remembered on this computer: exports, and where results are kept."""

from __future__ import annotations

import time
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from MedSynthLib import preferences

EXPORT_SETTING = "MedSynth/ExportFolder"
RESULTS_SETTING = "MedSynth/ResultsFolder"
NOT_CHOSEN = _("Choose a folder...")


class ChosenFolder:
    """A ctkDirectoryButton with a memory.

    The button itself cannot tell that nothing was chosen: its `directory` is then ".", Slicer's current
    folder. So what counts is the setting, which only a choice writes.
    """

    def __init__(self, button, setting: str, *, default=lambda: ""):
        self.button, self.setting, self.default = button, setting, default
        self.show()
        # directoryChanged stays silent when the current folder itself is chosen.
        button.connect("directorySelected(QString)", self._keep)

    def show(self) -> None:
        """Show what is chosen."""
        if self.path():
            self.button.blockSignals(True)  # setting it counts as a choice
            self.button.directory = self.path()
            self.button.blockSignals(False)
        self.button.text = self.path() or NOT_CHOSEN

    def _keep(self, folder: str) -> None:
        preferences.write(self.setting, folder)
        self.button.text = folder

    def path(self) -> str:
        """The folder that was chosen, else the default; empty when there is neither."""
        return preferences.read(self.setting) or self.default()

    def ask(self) -> str:
        """The folder; opens the dialog when none was chosen or it is gone. Empty: the user cancelled."""
        if not self.path() or not Path(self.path()).is_dir():
            self.button.browse()
        return self.path() if self.path() and Path(self.path()).is_dir() else ""


def defaultResultsFolder() -> str:
    """Beside the scenes the user saves, never in a temporary folder."""
    return str(Path(slicer.app.defaultScenePath) / "MedSynth")


def resultsFolder() -> Path:
    """Where results are kept."""
    return Path(preferences.read(RESULTS_SETTING) or defaultResultsFolder())


def newRunFolder(preset: str) -> Path:
    """An empty folder for one run's results, named by time and preset (never by a patient).

    Raises:
        ValueError: it cannot be made there.
    """
    kept = resultsFolder()
    name = f"{time.strftime('%Y-%m-%d_%H%M%S')}_{preset}"
    try:
        kept.mkdir(parents=True, exist_ok=True)
        number, folder = 2, kept / name
        while folder.exists():
            number, folder = number + 1, kept / f"{name}_{number}"
        folder.mkdir()
    except OSError as error:
        raise ValueError(
            _(
                "Results are kept in {kept}, which cannot be written ({strerror}). Choose another folder under 4. Results."
            ).format(kept=kept, strerror=error.strerror)
        ) from None
    return folder

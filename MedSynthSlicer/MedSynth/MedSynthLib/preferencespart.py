"""Shows in the panel what was set, there or on Slicer's settings page; and the Python of the Advanced section."""

from __future__ import annotations

from MedSynthLib import destinations, library, preferences


class PreferencesPart:
    """Follows the settings of this computer until it is closed."""

    def __init__(self, ui, *, results, send, computerPart, runPart):
        self.python, self.results, self.send = ui.pythonPathLineEdit, results, send
        self.computerPart, self.runPart = computerPart, runPart
        self.python.currentPath = library.configuredPython()
        self.python.connect(
            "currentPathChanged(QString)",
            lambda path: preferences.write(library.PYTHON_SETTING, path),
        )
        preferences.follow(self.show)

    def close(self) -> None:
        """The panel goes."""
        preferences.unfollow(self.show)

    def show(self, key: str) -> None:
        """This setting was changed."""
        if self.python.currentPath.strip() != library.configuredPython():
            self.python.currentPath = library.configuredPython()
        for folder in (self.results.exportFolder, self.results.keptFolder):
            folder.show()
        if key == destinations.SETTING:
            self.send.listDestinations(destinations.remembered())
        self.send.updateSendButton()
        self.computerPart.show()
        self.runPart.update()

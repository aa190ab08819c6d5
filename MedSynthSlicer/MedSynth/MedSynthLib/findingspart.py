"""The controls that say which findings the reference already has; findings.py keeps them on the volume."""

from __future__ import annotations

from slicer.i18n import tr as _

from medsynth.scene import findings
from MedSynthLib.titledbox import Follower

RED = "color: #b00020"
UNSAID = _("Not said: lesions that the reference already has will be in no mask.")


class FindingsPart(Follower):
    """Which segmentation marks them, or that there are none.

    Args:
        marks: gives what marks the pathologies' places.
        onSaid: called when the user said something.
    """

    def __init__(self, ui, *, marks, onSaid):
        self.ui, self.marks, self.onSaid = ui, marks, onSaid
        ui.findingsSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._choose)
        ui.noFindingsCheckBox.connect("toggled(bool)", self._sayNone)

    def update(self) -> None:
        """Show what is known of the reference's findings."""
        reference = self.parameters.reference if self.parameters is not None else None
        node = findings.of(reference)
        for widget in (self.ui.findingsSelector, self.ui.noFindingsCheckBox):
            widget.blockSignals(True)
        self.ui.findingsSelector.setCurrentNode(node)
        self.ui.noFindingsCheckBox.checked = findings.has_none(reference)
        for widget in (self.ui.findingsSelector, self.ui.noFindingsCheckBox):
            widget.blockSignals(False)
        self.ui.findingsSelector.enabled = reference is not None
        self.ui.noFindingsCheckBox.enabled = reference is not None and node is None
        said, style = self._say(reference)
        self.ui.findingsLabel.text, self.ui.findingsLabel.styleSheet = said, style
        self.ui.findingsLabel.visible = bool(said)

    def _say(self, reference) -> tuple[str, str]:
        if reference is None or findings.has_none(reference):
            return "", ""
        try:
            return findings.describe(reference, self.marks()) or UNSAID, ""
        except ValueError as mistake:
            said = str(mistake).removeprefix("Existing findings: ")
            return said, RED

    def _choose(self, node) -> None:
        reference = self.parameters.reference if self.parameters is not None else None
        if reference is not None and node is not findings.of(reference):
            findings.choose(reference, node)
            self.onSaid()

    def _sayNone(self, none: bool) -> None:
        reference = self.parameters.reference if self.parameters is not None else None
        if reference is not None:
            findings.say_none(reference, none)
            self.onSaid()

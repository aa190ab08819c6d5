"""The controls that say what a film shows; medsynth.scene.projection keeps it on the volume.

They are there for presets of films only, and cannot be changed where the film says it itself.
"""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from medsynth.scene import projection
from medsynth.scene.vocabulary import PRESETS
from MedSynthLib.titledbox import Follower

OPEN = {"view": "choose view", "laterality": "choose side"}
UNKNOWN = "not known"  # a radiograph may go without


class FilmPart(Follower):
    """View, side and pixel size of the reference.

    Args:
        marks: gives what is marked on the reference, which moves along with its pixels.
        onSaid: called when the user said something of the film.
    """

    def __init__(self, ui, messages, *, marks, onSaid):
        self.ui, self.messages = ui, messages
        self.marks, self.onSaid = marks, onSaid
        self.parameters = None
        self.boxes = {"view": ui.viewComboBox, "laterality": ui.sideComboBox}
        self.offered = None
        ui.viewComboBox.connect("activated(int)", lambda row: self._say("view", row))
        ui.sideComboBox.connect("activated(int)", lambda row: self._say("laterality", row))
        ui.pixelSizeSpinBox.connect("valueChanged(double)", self._setPixelSize)

    def update(self) -> None:
        """Show what is known of the reference."""
        if self.parameters is None:
            return
        preset, reference = PRESETS[self.parameters.preset], self.parameters.reference
        self._offer(preset)
        is_film = projection.is_projection(reference, preset)
        known = projection.said(reference, preset) if is_film else {}
        own = projection.own(reference, preset) if is_film else {}
        for key, box in self.boxes.items():
            choices = projection.words(key, preset)
            box.currentIndex = choices.index(known[key]) + 1 if key in known else 0
            box.enabled = is_film and key not in own
        spin = self.ui.pixelSizeSpinBox
        spin.blockSignals(True)
        spin.value = projection.pixel_size(reference) if is_film else 0
        spin.blockSignals(False)
        spin.enabled = is_film and not projection.has_own_pixel_size(reference)

    def _offer(self, preset) -> None:
        """The rows and choices of the preset's films."""
        if preset.name == self.offered:
            return
        self.offered = preset.name
        for key, box in self.boxes.items():
            choices = projection.words(key, preset)
            box.clear()
            box.addItem(OPEN[key] if preset.modality == "MG" else UNKNOWN)
            for word in choices:
                box.addItem(word)
            box.visible = bool(choices)
        for widget in (self.ui.viewLabel, self.ui.viewRow):
            widget.visible = preset.is_projection
        for widget in (self.ui.pixelSizeLabel, self.ui.pixelSizeSpinBox):
            widget.visible = preset.is_projection
        self.ui.viewLabel.text = _("View and side:") if preset.modality == "MG" else _("View:")

    def _say(self, key: str, row: int) -> None:
        preset = PRESETS[self.parameters.preset]
        word = projection.words(key, preset)[row - 1] if row else ""
        projection.say(self.parameters.reference, key, word)
        self.onSaid()

    def _setPixelSize(self, mm: float) -> None:
        reference = self.parameters.reference
        try:
            projection.set_pixel_size(reference, mm, self.marks())
        except ValueError as error:
            self.messages.fail(str(error))
            self.update()
            return
        slicer.util.setSliceViewerLayers(background=reference, fit=True)
        self.onSaid()

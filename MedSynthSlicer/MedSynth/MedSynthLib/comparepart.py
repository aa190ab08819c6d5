"""Compare a result with its reference in one view; keep, discard, rename; four more like it."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

from medsynth.scene import comparison, results
from MedSynthLib import kept, section, shelf
from MedSynthLib.titledbox import Follower

BLINK_KEY = "K"  # Slicer's slice views use b, and keep it: it scrolls
MORE = 4
REAL_ROW = comparison.MODES.index(comparison.REAL)
KEPT = "MedSynth.Kept"  # an attribute of a result that must not be discarded


class ComparePart(Follower):
    """Acts on the right view of the side-by-side layout, where the chosen result is.

    Args:
        undo: takes back what is done here.
        runMore: starts a run of (first seed, number).
        onThreeD: called when surfaces are to be seen.
    """

    def __init__(self, container, *, uiFile, panel, messages, undo, runMore, onThreeD):
        self.messages, self.undo, self.runMore = messages, undo, runMore
        self.onThreeD = onThreeD
        self.parameters = None
        self.comparison, self.mode = comparison.RealAndSynthetic(), comparison.SYNTHETIC
        self.widget, self.ui = section.fill(container, uiFile)
        for title in (_("Synthetic"), _("Real"), _("Fade"), _("Difference")):
            self.ui.compareComboBox.addItem(title)
        self.ui.compareComboBox.connect(
            "activated(int)", lambda row: self.show(comparison.MODES[row])
        )
        self.ui.fadeSlider.connect("valueChanged(double)", lambda value: self.show(comparison.FADE))
        self.ui.linkedCheckBox.connect("toggled(bool)", self.link)
        for name, slot in (
            *(("blinkButton", self.blink), ("keepButton", self.keep)),
            *(("discardButton", self.discard), ("discardRestButton", self.discardRest)),
            *(("renameButton", self.rename), ("moreButton", self.more)),
        ):
            getattr(self.ui, name).connect("clicked()", slot)
        self.ui.surfaceButton.connect("toggled(bool)", self.showInThreeD)
        # The key acts wherever the mouse is in the window, as long as the panel is open.
        self.key = qt.QShortcut(qt.QKeySequence(BLINK_KEY), panel)
        self.key.connect("activated()", self.blink)
        self.shown = None

    def update(self) -> None:
        """Follow the chosen result; another one is shown as it is."""
        result, reference = self._pair()
        if result is not self.shown:
            self.shown = result
            self.comparison.forget()
            self._choose(comparison.SYNTHETIC)
            self.ui.surfaceButton.checked = False
        self.ui.compareComboBox.setItemText(REAL_ROW, _(comparison.title_of(reference)))
        both = result is not None and reference is not None
        for widget in (self.ui.compareComboBox, self.ui.blinkButton, self.ui.linkedCheckBox):
            widget.enabled = both
        self.ui.fadeSlider.enabled = both and self.mode == comparison.FADE
        for name in ("keepButton", "renameButton", "discardRestButton", "surfaceButton"):
            getattr(self.ui, name).enabled = result is not None
        self.ui.moreButton.enabled = result is not None
        isKept = result is not None and result.GetAttribute(KEPT) is not None
        self.ui.keepButton.checked = isKept
        self.ui.discardButton.enabled = result is not None and not isKept

    def _pair(self) -> tuple:
        if self.parameters is None:
            return None, None
        return self.parameters.result, self.parameters.reference

    def _choose(self, mode: str) -> None:
        self.mode = mode
        self.ui.compareComboBox.currentIndex = comparison.MODES.index(mode)

    def show(self, mode: str) -> None:
        """Show the synthetic image, the reference, one through the other, or their difference."""
        result, reference = self._pair()
        if result is None or reference is None:
            return
        try:
            layers = self.comparison.layers(reference, result, mode, self.ui.fadeSlider.value / 100)
        except ValueError as error:
            self.messages.fail(str(error))
            self._choose(self.mode)
            return
        self._choose(mode)
        background, foreground, opacity = layers
        composite = self._view().sliceLogic().GetSliceCompositeNode()
        # The other view keeps its own image: only place and zoom are linked.
        linked = composite.GetLinkedControl()
        composite.SetLinkedControl(False)
        composite.SetBackgroundVolumeID(background.GetID())
        composite.SetForegroundVolumeID(foreground.GetID() if foreground is not None else None)
        composite.SetForegroundOpacity(opacity)
        composite.SetLinkedControl(linked)
        self.update()

    @staticmethod
    def _view():
        return slicer.app.layoutManager().sliceWidget("Yellow")

    def blink(self) -> None:
        """From synthetic to the reference, and back."""
        isReal = self.mode == comparison.REAL
        self.show(comparison.SYNTHETIC if isReal else comparison.REAL)

    def link(self, linked: bool) -> None:
        """Scroll and zoom the views together, while the mouse moves."""
        manager = slicer.app.layoutManager()
        for name in ("Red", "Yellow"):
            composite = manager.sliceWidget(name).sliceLogic().GetSliceCompositeNode()
            composite.SetLinkedControl(linked)
            composite.SetHotLinkedControl(linked)

    def showInThreeD(self, shown: bool) -> None:
        """The lesions' surfaces in the 3-D view, which the layout then has."""
        result, reference = self._pair()
        if result is None:
            return
        results.show_in_3d(result, shown)
        if shown:
            self.onThreeD()

    def keep(self) -> None:
        """Protect the chosen result from being discarded, or give it free."""
        result = self.parameters.result
        result.SetAttribute(KEPT, None if result.GetAttribute(KEPT) else "1")
        self.update()

    def discard(self) -> None:
        """Take the chosen result out of the scene, and its files out of the way."""
        self._discard([self.parameters.result])

    def discardRest(self) -> None:
        """Discard every result of the scene that is not kept."""
        rest = [v for v in results.all_of_scene() if v.GetAttribute(KEPT) is None]
        if not rest:
            self.messages.say(_("All results are kept; nothing was discarded."))
            return
        self._discard(rest)

    def _discard(self, volumes: list) -> None:
        self.comparison.forget()
        discarded = shelf.Discarded.of(volumes)
        self.parameters.result = next(reversed(results.all_of_scene()), None)

        def back():
            self.parameters.result = discarded.back(self.parameters.reference)[-1]

        self.undo.add(_("discarding"), back)
        self.messages.say(
            _("Discarded: {number}. Undo brings them back until Slicer is closed.").format(
                number=len(volumes)
            )
        )

    def rename(self) -> None:
        """Give the chosen result another name; it still says SYNTHETIC."""
        result = self.parameters.result
        before = result.GetName()
        wanted = qt.QInputDialog.getText(
            self.widget, _("Rename a result"), _("Name:"), qt.QLineEdit.Normal, before
        )
        if isinstance(wanted, tuple):  # PySide6; PythonQt gives the text alone
            wanted = wanted[0]
        if not wanted.strip() or wanted == before:
            return
        results.set_name(result, wanted)
        self.undo.add(_("renaming"), lambda: results.set_name(result, before))

    def more(self) -> None:
        """Run the same settings with the next seeds."""
        try:
            kept.find(self.parameters.result)
        except ValueError as error:
            self.messages.fail(str(error))
            return
        seeds = [results.seed_of(volume) for volume in results.all_of_scene()]
        self.runMore(max([seed for seed in seeds if seed is not None], default=0) + 1, MORE)

    def onRun(self, made: list) -> None:
        """A run has brought these results; Undo discards them."""
        volumes = [volume for volume, _segmentation in made]

        def back():
            present = [v for v in volumes if slicer.mrmlScene.IsNodePresent(v)]
            self.comparison.forget()
            shelf.Discarded.of(present)
            self.parameters.result = next(reversed(results.all_of_scene()), None)

        self.undo.add(_("run"), back)

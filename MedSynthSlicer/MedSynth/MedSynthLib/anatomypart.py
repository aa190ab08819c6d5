"""The anatomy drawn in the viewer: a phantom's organs as curves that are dragged, added and removed.

The slice under the curve is drawn again a moment after the mouse rests, by `medsynth phantom`; the whole
volume on request. Control points are kept with the volume, and in files that the command draws too.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from medsynth.scene import anatomy, nodes
from medsynth.scene.vocabulary import PRESETS
from MedSynthLib import section
from MedSynthLib.process import Process
from MedSynthLib.titledbox import Follower

NO_PHANTOM = _(
    "Only a phantom has curves: press Sample phantom, or open control points from a file."
)
FILES = _("Control points (*.json)")


class AnatomyPart(Follower):
    """The controls of the curves.

    Args:
        placing: lets the user click a curve into a slice view.
        undo: takes an edit back.
        onDrawn: called when the reference shows something else.
    """

    def __init__(self, container, *, uiFile, messages, placing, undo, onDrawn):
        self.messages, self.placing, self.undo, self.onDrawn = messages, placing, undo, onDrawn
        self.widget, self.ui = section.fill(container, uiFile)
        self.curves = anatomy.AnatomyCurves(self._dragged)
        self.names: list[str] = []
        self.level = 0
        self.before = ""
        self.process, self.waiting, self.folder = None, None, None
        ui = self.ui
        ui.organComboBox.connect("activated(int)", self._choose)
        ui.editButton.connect("toggled(bool)", self._edit)
        for button, slot in (
            *((ui.lowerButton, lambda: self._step(-1)), (ui.higherButton, lambda: self._step(1))),
            *((ui.addCurveButton, self._add), (ui.removeCurveButton, self._removeCurve)),
            *((ui.removeOrganButton, self._removeOrgan), (ui.redrawButton, self.redraw)),
            *((ui.openPointsButton, self._open), (ui.savePointsButton, self._save)),
        ):
            button.connect("clicked()", slot)

    def setParameters(self, parameters) -> None:
        """Follow this parameter node; None ends the editing."""
        if parameters is None:
            self._stop()
        super().setParameters(parameters)

    def update(self) -> None:
        """Show which organs the reference has."""
        volume = self._volume()
        if self.curves.curves and self.curves.volume is not volume:
            self._stop()
        content = anatomy.content_of(volume)
        titles = anatomy.organs(content) if content else {}
        if list(titles) != self.names:
            chosen = self._organ()
            self.names = list(titles)
            self.ui.organComboBox.clear()
            for title in titles.values():
                self.ui.organComboBox.addItem(title)
            if chosen in self.names:
                self.ui.organComboBox.currentIndex = self.names.index(chosen)
        self._show()

    def _show(self) -> None:
        ui, editing = self.ui, bool(self.curves.curves)
        ui.organComboBox.enabled = ui.editButton.enabled = bool(self.names)
        ui.savePointsButton.enabled = bool(self.names)
        ui.redrawButton.enabled = bool(self.names) and self.process is None
        ui.editButton.blockSignals(True)
        ui.editButton.checked = editing
        ui.editButton.blockSignals(False)
        breast = editing and anatomy.is_breast(self.curves.content)
        for widget in (ui.levelLabel, ui.levelRow, ui.pieceRow, ui.pieceLabel):
            widget.visible = editing and not breast
        for widget in (ui.removeRow, ui.removeLabel):
            widget.visible = editing
        ui.removeCurveButton.visible = not breast
        levels = self.curves.levels_mm
        if editing:
            self.level = min(self.level, len(levels) - 1)
            ui.whichLabel.text = _("{number} of {count}").format(
                number=self.level + 1, count=len(levels)
            )
            ui.lowerButton.enabled, ui.higherButton.enabled = (
                self.level > 0,
                self.level < len(levels) - 1,
            )
        if not self.names:
            self._say(NO_PHANTOM)
        elif anatomy.is_edited(self._volume()):
            self._say(_("Edited. Redraw all before you run."))
        else:
            self._say("")

    def _say(self, text: str) -> None:
        self.ui.anatomyLabel.text = text
        self.ui.anatomyLabel.visible = bool(text)

    def _volume(self):
        return self.parameters.reference if self.parameters is not None else None

    def _organ(self) -> str:
        row = self.ui.organComboBox.currentIndex
        return self.names[row] if 0 <= row < len(self.names) else ""

    def _choose(self, row: int) -> None:
        if self.curves.curves:
            self._edit(True)

    def _edit(self, editing: bool) -> None:
        if not editing:
            self._stop()
            self._show()
            return
        volume = self._volume()
        self.curves.show(volume, anatomy.content_of(volume), self._organ())
        self.before = self._text()
        self._nearest()
        self._show()

    def _stop(self) -> None:
        self.placing.end()
        self.curves.hide()

    def cancel(self) -> None:
        """End what is under way, as when the scene closes."""
        self._stop()
        self.waiting = None
        if self.process is not None:
            self.process.cancel()

    # Levels

    def _nearest(self) -> None:
        """Begin with the curve that is nearest to the slice on screen."""
        levels, shown = self.curves.levels_mm, self._shown()
        if levels:
            self.level = min(range(len(levels)), key=lambda i: abs(levels[i] - shown))
            self._jump()

    def _shown(self) -> float:
        import numpy as np

        node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
        world = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, 3]
        from medsynth.scene.region import transformed

        return float(transformed(np.array([world]), None, self._transform())[0, 2])

    def _transform(self):
        return self._volume().GetParentTransformNode()

    def _step(self, by: int) -> None:
        self.level += by
        self._jump()
        self._show()

    def _jump(self) -> None:
        """Exactly to the level: a view shows the points of its own slice only."""
        import numpy as np

        from medsynth.scene.region import transformed

        node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
        shown = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, 3]
        place = transformed(np.array([shown]), None, self._transform())
        place[0, 2] = self.curves.levels_mm[self.level]
        node.JumpSliceByOffsetting(*transformed(place, self._transform(), None)[0])

    # Edits

    def _text(self) -> str:
        return json.dumps(self.curves.content)

    def _edited(self, z_mm: float | None) -> None:
        """An edit has happened: Undo brings back what was before; the picture follows."""
        before, self.before = self.before, self._text()
        volume = self._volume()

        def back():
            content = json.loads(before)
            anatomy.keep(volume, content)
            anatomy.set_edited(volume, True)
            if self.curves.curves and self.curves.volume is volume:
                self.curves.show(volume, content, self.curves.organ)
                self.before = before
            self.update()
            self._draw(z_mm)

        self.undo.add(_("editing the anatomy"), back)
        self.update()
        self._draw(z_mm)

    def _dragged(self, z_mm: float) -> None:
        self._edited(z_mm)

    def _add(self) -> None:
        node = nodes.new_node("vtkMRMLMarkupsClosedCurveNode", "MedSynth new piece")
        node.SetSaveWithScene(False)
        slicer.mrmlScene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetFillVisibility(False)
        node.GetDisplayNode().SetPropertiesLabelVisibility(False)
        self.placing.start(node, lambda placed: self._added(node, placed))
        self._say(self.placing.hint(node))

    def _added(self, node, placed: bool) -> None:
        try:
            if placed:
                z_mm = self._shown()
                self.curves.add_piece(node, self.ui.heightSpinBox.value)
                self._edited(z_mm)
        except ValueError as error:
            self.messages.fail(str(error))
        finally:
            nodes.remove(node)
            self._show()

    def _removeCurve(self) -> None:
        z_mm = self.curves.levels_mm[self.level]
        self._attempt(lambda: self.curves.remove_level(z_mm), z_mm)

    def _removeOrgan(self) -> None:
        z_mm = self.curves.levels_mm[self.level]
        self._attempt(self.curves.remove_organ, z_mm)

    def _attempt(self, action, z_mm: float) -> None:
        try:
            action()
        except ValueError as error:
            self.messages.fail(str(error))
            return
        self._edited(z_mm)

    # Pictures

    def redraw(self) -> None:
        """Draw the whole volume from the curves."""
        self._draw(None)

    def _draw(self, z_mm: float | None) -> None:
        """Draw the slice at z, or everything; what is asked for meanwhile comes next."""
        if self.process is not None:
            self.waiting = (z_mm,)
            return
        volume, breast = self._volume(), anatomy.is_breast(anatomy.content_of(self._volume()))
        k = None if breast or z_mm is None else self._slice(z_mm)
        if k == -1:
            return  # the level lies outside the volume
        folder = self.folder = Path(
            tempfile.mkdtemp(prefix="MedSynth-anatomy-", dir=slicer.app.temporaryPath)
        )
        points, image = folder / "points.json", folder / "drawn.nrrd"
        points.write_text(json.dumps(anatomy.content_of(volume)), encoding="utf-8")
        process = Process(
            ["phantom", "-o", str(image), *self._arguments(points, k), "--progress", "json"],
            lambda reason: self._drawn(reason, volume, image, k),
            onEvent=self._event if k is None else None,
            onLog=self.messages.log,
        )
        try:
            process.start()
        except RuntimeError as error:
            self.messages.fail(str(error))
            return
        self.process = process
        self._show()

    def _arguments(self, points: Path, k: int | None) -> list[str]:
        volume, preset = self._volume(), PRESETS[self.parameters.preset]
        breast = anatomy.is_breast(anatomy.content_of(volume))
        kind = "breast" if breast else "thorax"
        named = preset.name if kind in preset.phantoms else _presetOf(kind)
        arguments = ["--control-points", str(points), "--preset", named, "--kind", kind]
        if breast:
            return arguments
        columns, rows, slices = volume.GetImageData().GetDimensions()
        z0 = nodes.ijk_to_ras(volume)[2, 3]
        spacing = volume.GetSpacing()
        middle = z0 + spacing[2] * ((slices - 1) / 2 if k is None else k)
        arguments += ["--slices", str(slices if k is None else 1), "--level", f"{middle:.6f}"]
        arguments += ["--size", str(columns), str(rows)]
        return [*arguments, "--spacing", *(f"{mm:.6f}" for mm in spacing)]

    def _slice(self, z_mm: float) -> int:
        """The number of the volume's slice nearest to a level; -1: none."""
        volume = self._volume()
        slices = volume.GetImageData().GetDimensions()[2]
        k = round((z_mm - nodes.ijk_to_ras(volume)[2, 3]) / volume.GetSpacing()[2])
        return k if 0 <= k < slices else -1

    def _event(self, event: dict) -> None:
        if event["kind"] == "progress":
            done, total = event.get("done", 0), event.get("total", 0)
            percent = 100 * done / total if total else None
            self.messages.progress(_("Drawing the phantom..."), percent)

    def _drawn(self, reason: str | None, volume, image: Path, k: int | None) -> None:
        self.process = None
        self.messages.progressDone()
        try:
            if reason is None and slicer.mrmlScene.IsNodePresent(volume):
                self._take(volume, image, k)
                if k is None:
                    self.messages.say("")
                self.onDrawn()
            elif reason not in (None, "cancelled"):
                self.messages.fail(reason)
        finally:
            shutil.rmtree(image.parent, ignore_errors=True)
        waiting, self.waiting = self.waiting, None
        if waiting is not None and self.parameters is not None:
            self._draw(*waiting)
        self._show()

    def _take(self, volume, image: Path, k: int | None) -> None:
        """Put what was drawn into the volume: one slice, or everything."""
        storage, drawn = slicer.vtkMRMLNRRDStorageNode(), slicer.vtkMRMLScalarVolumeNode()
        storage.SetFileName(str(image))
        if not storage.ReadData(drawn):
            raise RuntimeError(f"{image} could not be read.")
        if k is not None:
            slicer.util.arrayFromVolume(volume)[k] = slicer.util.arrayFromVolume(drawn)[0]
            slicer.util.arrayFromVolumeModified(volume)
            return
        wider = drawn.GetImageData().GetDimensions() != volume.GetImageData().GetDimensions()
        volume.SetAndObserveImageData(drawn.GetImageData())
        anatomy.set_edited(volume, False)
        if wider and self.curves.curves:  # a right breast's curves are counted from its other edge
            self.curves.show(volume, self.curves.content, self.curves.organ)

    # Files

    def _save(self) -> None:
        path = _one(
            qt.QFileDialog.getSaveFileName(self.widget, _("Save control points"), "", FILES)
        )
        if not path:
            return
        path = path if path.endswith(".json") else f"{path}.json"
        try:
            text = json.dumps(anatomy.content_of(self._volume()), indent=1)
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            self.messages.fail(f"{path} cannot be written: {error.strerror}.")
            return
        self.messages.say(_("Saved: {path}").format(path=path))

    def _open(self) -> None:
        path = _one(
            qt.QFileDialog.getOpenFileName(self.widget, _("Open control points"), "", FILES)
        )
        if not path:
            return
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            anatomy.organs(content)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self.messages.fail(f"{path} holds no control points of a phantom.")
            return
        volume = self._volume()
        known = anatomy.content_of(volume)
        if known is None or anatomy.is_breast(known) != anatomy.is_breast(content):
            self.messages.fail(_("Press Sample phantom first: the file is drawn in its place."))
            return
        self._stop()
        anatomy.keep(volume, content)
        anatomy.set_edited(volume, True)
        self.update()
        self._draw(None)


def _one(answer) -> str:
    """PySide6 gives a file's name with its filter; PythonQt the name alone."""
    return answer[0] if isinstance(answer, (tuple, list)) else answer


def _presetOf(kind: str) -> str:
    return next(p.name for p in PRESETS.values() if kind in p.phantoms)

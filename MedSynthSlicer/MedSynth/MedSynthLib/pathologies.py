"""The pathology cards: one per pathology, each with its place, source, factor and stop.

Every card has its own parameter node in the scene, referred to by the module's node, so that the cards
come back with the scene.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import qt
import slicer
from slicer.i18n import tr as _

from medsynth.scene import checks, findings, marks
from medsynth.scene.size_outline import SizeOutline
from medsynth.scene.vocabulary import FROM_VOLUME, KIND_TITLES, PRESETS, factor_of, kinds_of
from MedSynthLib.gallery import Gallery
from MedSynthLib.markundo import MovedMark, PlacedMark, RemovedPathology
from MedSynthLib.paintpart import PaintPart
from MedSynthLib.pathologynodes import ROLE, addParameterNode, idsOf, parameterNodes
from MedSynthLib.placing import Placing
from MedSynthLib.titledbox import TitledBox
from MedSynthLib.undo import Undo

RED = "color: #b00020"
SMALLEST_MM, LARGEST_MM = 2.0, 100.0  # of the diameter
ODD_MS = 150  # what needs a look at the image waits for the hand to rest


@dataclass(frozen=True)
class Callbacks:
    """What a card says and asks: a moved factor, a changed place, placing, painting, the marks in use, undo, the gallery."""

    factor: Callable[[float], None]
    place: Callable[[], None]
    placing: Placing
    paint: PaintPart
    used: Callable[[], list]
    undo: Undo
    gallery: Gallery


def _isPresent(node) -> bool:
    return node is not None and bool(slicer.mrmlScene.IsNodePresent(node))


class Card:
    """The controls of one pathology."""

    def __init__(self, parameters, number: int, *, uiFile: str, anatomy, on: Callbacks, onRemove):
        self.parameters, self.number = parameters, number
        self.anatomy, self.on = anatomy, on
        self.size, self.watched, self.tags = SizeOutline(), None, []
        self.moved = MovedMark(on.undo)
        self.timer = qt.QTimer()
        self.timer.setSingleShot(True)
        self.timer.setInterval(ODD_MS)
        self.timer.connect("timeout()", self._sayOdd)
        self.widget = slicer.util.loadUI(uiFile)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.widget.setMRMLScene(slicer.mrmlScene)
        self.gui = parameters.connectGui(self.ui)
        self.observer = parameters.AddObserver("ModifiedEvent", self._changed)
        self.ui.clickButton.connect("clicked(bool)", self.onClick)
        self.ui.boxButton.connect("clicked(bool)", self.onBox)
        self.ui.curveButton.connect("clicked(bool)", self.onCurve)
        self.ui.paintButton.connect("clicked(bool)", self.onPaint)
        self.ui.removeButton.connect("clicked(bool)", lambda: onRemove(self))
        self.ui.galleryButton.connect("clicked(bool)", lambda: on.gallery.open(self))
        self.ui.saveLesionButton.connect("clicked(bool)", lambda: on.gallery.save(self))
        self.ui.pathologyFactorSlider.connect("valueChanged(double)", on.factor)
        self.kindBox = TitledBox(self.ui.kindComboBox, "kind", KIND_TITLES, onChosen=self.onKind)
        self.kindBox.setParameters(parameters)
        self.kind = parameters.kind
        self.update()

    def close(self) -> None:
        """Let go of the parameter node and remove the controls."""
        self.timer.stop()
        self._watch(None)
        self.ui.placeWidget.setCurrentNode(None)
        self.size.remove()
        self.parameters.RemoveObserver(self.observer)
        self.parameters.disconnectGui(self.gui)
        self.widget.setMRMLScene(None)
        self.widget.hide()
        self.widget.deleteLater()

    def _changed(self, caller=None, event=None) -> None:
        self.update()
        self.on.place()

    def update(self) -> None:
        """Show what the parameter nodes say."""
        kind, where = self.parameters.kind, self.parameters.where
        saved = self.parameters.saved
        title = _("Mine: {name}").format(name=saved) if saved else KIND_TITLES[kind]
        self.ui.cardButton.text = _("Pathology {number}: {title}").format(
            number=self.number, title=title
        )
        self.kindBox.offer(kinds_of(PRESETS[self.anatomy().preset]))
        self.kindBox.update()
        if saved:
            self.ui.kindComboBox.currentIndex = -1
        fromVolume = kind == FROM_VOLUME and not saved
        for widget in (self.ui.sourceVolumeLabel, self.ui.sourceVolumeSelector):
            widget.visible = fromVolume
        for widget in (self.ui.sourceMaskLabel, self.ui.sourceMaskSelector):
            widget.visible = fromVolume
        usesDiameter = where is None or not (
            where.IsA("vtkMRMLSegmentationNode") or where.IsA("vtkMRMLMarkupsROINode")
        )
        self.ui.diameterSlider.enabled = usesDiameter
        marksRegion = where is not None and not where.IsA("vtkMRMLMarkupsFiducialNode")
        self.ui.saveLesionButton.enabled = marksRegion and self.anatomy().reference is not None
        markup = where if where is not None and where.IsA("vtkMRMLMarkupsNode") else None
        self.ui.placeWidget.setCurrentNode(markup)
        self.ui.placeWidget.visible = markup is not None
        self._watch(where)
        self.showPlace()

    def _watch(self, node) -> None:
        """Follow what marks the place."""
        if node is self.watched:
            return
        for watched, tag in self.tags:
            watched.RemoveObserver(tag)
        self.watched = node
        self.moved.watch(node)
        changes = marks.changes(node) if node is not None else []
        self.tags = [(n, n.AddObserver(event, self._placeChanged)) for n, event in changes]

    def _placeChanged(self, caller=None, event=None) -> None:
        self.showPlace()
        self.on.place()

    def showPlace(self) -> None:
        """Draw the size of a clicked lesion, and say what to do, or what is wrong, about the place."""
        where, reference = self.parameters.where, self.anatomy().reference
        self.size.show(where, self.parameters.diameter)
        todo = where is None or marks.is_empty(where)
        said = self.on.placing.hint(where)
        if not said and reference is not None:
            try:
                checks.place(where, reference, self.number)
            except ValueError as mistake:
                said = str(mistake).removeprefix(f"Pathology {self.number}: ")
                said = said[0].upper() + said[1:]
        self._say(said, wrong=bool(said) and not todo)
        self.timer.stop()
        if not said and reference is not None:
            self.timer.start()

    def _sayOdd(self) -> None:
        where, anatomy = self.parameters.where, self.anatomy()
        if where is not None and anatomy is not None and anatomy.reference is not None:
            preset = PRESETS[anatomy.preset]
            odd = checks.odd(where, anatomy.reference, preset, self.parameters.diameter)
            self._say(odd, wrong=True)

    def _say(self, text: str, *, wrong: bool) -> None:
        self.ui.placeLabel.text = text
        self.ui.placeLabel.styleSheet = RED if wrong else ""
        self.ui.placeLabel.visible = bool(text)

    def onKind(self) -> None:
        """A kind that needs another factor brings it, and takes the place of a saved lesion."""
        self.parameters.saved = ""
        if factor_of(self.parameters.kind) != factor_of(self.kind):
            self.parameters.factor = float(factor_of(self.parameters.kind))
        self.kind = self.parameters.kind

    def become(self, chosen) -> None:
        """A kind or a saved lesion, from the gallery."""
        if chosen.saved:
            from medsynth.storage import saved_lesions

            diameter = saved_lesions.find(chosen.name).diameter_mm
            self.parameters.saved = chosen.name
            self.parameters.diameter = min(max(diameter, SMALLEST_MM), LARGEST_MM)
        else:
            self.parameters.kind = chosen.name
            self.onKind()

    def onClick(self) -> None:
        """One click into a slice view places the center."""
        self._place("vtkMRMLMarkupsFiducialNode", "center")

    def onBox(self) -> None:
        """Two clicks into the slice views draw a box."""
        self._place("vtkMRMLMarkupsROINode", "box")

    def onCurve(self) -> None:
        """Clicks around the place in one slice view draw a closed curve."""
        self._place("vtkMRMLMarkupsClosedCurveNode", "curve")

    def _place(self, className: str, word: str) -> None:
        self.on.placing.end()
        self.on.paint.stop()
        before = self.parameters.where
        node = marks.add(className, self.number, word)
        self.on.placing.start(node, lambda placed: self._placed(node, before, placed))
        self.parameters.where = node

    def _placed(self, node, before, placed: bool) -> None:
        """Keep the new mark instead of the one before, or the other way round."""
        if self.parameters.where is not node:
            marks.remove(node, self.on.used())
        elif placed:
            self.on.undo.add(_("placing a mark"), PlacedMark(self.parameters, before, self.on.used))
            marks.remove(before, self.on.used())
        else:
            self.parameters.where = before if _isPresent(before) else None
            marks.remove(node, self.on.used())
        self.showPlace()
        self.on.place()

    def onPaint(self) -> None:
        """Let the user paint, with the brush ready, a segment of this pathology."""
        self.on.placing.end()
        node = before = self.parameters.where
        if node is None or not node.IsA("vtkMRMLSegmentationNode"):
            node = marks.add("vtkMRMLSegmentationNode", self.number, "region")
            node.GetSegmentation().AddEmptySegment(
                "", _("Pathology {number}").format(number=self.number)
            )
            self.parameters.where = node
            marks.remove(before, self.on.used())
        reference = self.anatomy().reference
        if reference is not None:
            node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
        self.on.paint.start(node, reference, self.number)


class Cards:
    """All cards, in the order of the module's parameter node."""

    def __init__(
        self,
        container,
        *,
        uiFile: str,
        anatomy,
        placing,
        paint,
        undo,
        gallery,
        onFactor,
        onPlace,
        onUnreadable,
    ):
        self.container, self.uiFile = container, uiFile
        self.anatomy, self.placing = anatomy, placing
        self.on = Callbacks(onFactor, onPlace, placing, paint, self.marks, undo, gallery)
        self.onUnreadable = onUnreadable
        self.cards: list[Card] = []
        self.moduleNode = None
        self.layout = qt.QVBoxLayout()
        self.layout.setContentsMargins(0, 0, 0, 0)
        container.setLayout(self.layout)

    def setNode(self, moduleNode) -> None:
        """Show the pathologies of this parameter node; None shows none."""
        for card in self.cards:
            card.close()
        self.cards, self.moduleNode = [], moduleNode
        if moduleNode is not None:
            for parameters in parameterNodes(moduleNode, self.onUnreadable):
                self._addCard(parameters)

    def add(self, preset) -> None:
        """Add a pathology and open its card; the others close."""
        for card in self.cards:
            card.ui.cardButton.collapsed = True
        self._addCard(addParameterNode(self.moduleNode, preset))
        self.on.place()

    def marks(self) -> list:
        """What marks the places of the pathologies."""
        return [c.parameters.where for c in self.cards if c.parameters.where is not None]

    def onScreen(self) -> list:
        """What may lie on a new lesion: marks, what marks their sources, and existing findings."""
        nodes = [n for c in self.cards for n in (c.parameters.where, c.parameters.sourceMask)]
        existing = findings.of(self.anatomy().reference)
        if existing is not None and existing.IsA("vtkMRMLSegmentationNode"):
            nodes.append(existing)
        return [node for node in dict.fromkeys(nodes) if node is not None]

    def update(self) -> None:
        """Show what the module's parameter node says."""
        for card in self.cards:
            card.update()

    def keepKinds(self, preset) -> None:
        """Give pathologies of a kind that the preset does not draw its first one."""
        for card in self.cards:
            card.parameters.saved = ""  # it was cut out of an image of the other domain
            if card.parameters.kind not in kinds_of(preset):
                card.parameters.kind = preset.lesion_kinds[0]
                card.onKind()

    def _addCard(self, parameters) -> None:
        card = Card(
            parameters,
            len(self.cards) + 1,
            uiFile=self.uiFile,
            anatomy=self.anatomy,
            on=self.on,
            onRemove=self.remove,
        )
        self.layout.addWidget(card.widget)
        self.cards.append(card)

    def remove(self, card: Card) -> None:
        """Remove a pathology with the mark that was made for it; the others are numbered anew."""
        self.placing.end()
        node, mark = card.parameters.parameterNode, card.parameters.where
        row = self.cards.index(card)
        before = RemovedPathology(card.parameters)
        self.on.undo.add(_("removing a pathology"), lambda: self._bringBack(before, row))
        self.moduleNode.RemoveNthNodeReferenceID(ROLE, idsOf(self.moduleNode).index(node.GetID()))
        self.setNode(self.moduleNode)
        slicer.mrmlScene.RemoveNode(node)
        marks.remove(mark, self.marks())
        self._renumber()
        self.on.place()

    def _bringBack(self, before: RemovedPathology, row: int) -> None:
        preset = PRESETS[self.anatomy().preset]
        before.fill(addParameterNode(self.moduleNode, preset))
        ids = idsOf(self.moduleNode)
        for i, nodeID in enumerate([*ids[:row], ids[-1], *ids[row:-1]]):
            self.moduleNode.SetNthNodeReferenceID(ROLE, i, nodeID)
        self.setNode(self.moduleNode)
        self._renumber()
        self.on.place()

    def _renumber(self) -> None:
        for number, other in enumerate(self.cards, start=1):
            if other.parameters.where is not None:
                marks.renumber(other.parameters.where, number)

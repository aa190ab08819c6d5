"""The pathology cards: one per pathology, each with its place, source, factor and stop.

Every card has its own parameter node in the scene, referred to by the module's node, so that the cards
come back with the scene.
"""

from __future__ import annotations

import logging
from typing import Annotated, Union

import qt
import slicer
from slicer import (
    vtkMRMLMarkupsClosedCurveNode,
    vtkMRMLMarkupsFiducialNode,
    vtkMRMLMarkupsROINode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
)
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper

from MedSynthLib import marks
from MedSynthLib.titledbox import TitledBox
from MedSynthLib.vocabulary import FROM_VOLUME, KIND_TITLES, KINDS, PRESETS, factorOf, kindsOf

ROLE = "pathology"


@parameterNodeWrapper
class PathologyParameterNode:
    """One pathology: where, what, and how closely its reference is followed."""

    where: Union[  # noqa: UP007 - the wrapper reads typing.Union
        vtkMRMLMarkupsFiducialNode,
        vtkMRMLMarkupsROINode,
        vtkMRMLMarkupsClosedCurveNode,
        vtkMRMLSegmentationNode,
        None,  # the default, which the wrapper writes and therefore checks
    ]
    diameter: Annotated[float, WithinRange(2.0, 100.0)] = 14.0
    kind: Annotated[str, Choice(KINDS)] = KINDS[0]
    sourceVolume: vtkMRMLScalarVolumeNode
    sourceMask: vtkMRMLSegmentationNode
    factor: Annotated[float, WithinRange(1.0, 64.0)] = 4.0
    stop: Annotated[float, WithinRange(0.0, 10.0)] = 0.0


def parameterNodes(moduleNode, onUnreadable=logging.error) -> list:
    """The pathologies of the module's parameter node, in order.

    Args:
        onUnreadable: called with a message for each node that is left out because it cannot be read;
            one bad node in a scene must not close the panel.
    """
    found = []
    for node in _referenced(moduleNode):
        try:
            found.append(_read(node))
        except (TypeError, ValueError) as error:
            onUnreadable(
                f"{node.GetName()} was left out: the scene holds no pathology there that this "
                f"version can read ({error}). Add it again."
            )
    return found


def _referenced(moduleNode) -> list:
    count = moduleNode.GetNumberOfNodeReferences(ROLE)
    nodes = [moduleNode.GetNthNodeReference(ROLE, i) for i in range(count)]
    return [node for node in nodes if node is not None]


def _read(node) -> PathologyParameterNode:
    parameters = PathologyParameterNode(node)
    for name, parameter in parameters.allParameters.items():
        # The wrapper checks what is written, not what a scene file says.
        parameter.serializer.validate(parameters.getValue(name))
    return parameters


def marksOf(moduleNode) -> list:
    """What marks the places of its pathologies."""
    return [p.where for p in parameterNodes(moduleNode) if p.where is not None]


def addParameterNode(moduleNode, preset) -> PathologyParameterNode:
    """Add a pathology with the preset's first kind, factor and stop."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "MedSynth pathology")
    node.SetAttribute("ModuleName", "MedSynthPathology")
    try:
        parameters = PathologyParameterNode(node)
        parameters.kind = preset.lesion_kinds[0]
        parameters.factor = float(preset.pathology_factor)
        parameters.stop = float(preset.pathology_stop)
    except Exception:
        slicer.mrmlScene.RemoveNode(node)
        raise
    # Only now: what is referenced comes back with every scene, so it must be readable.
    moduleNode.AddNodeReferenceID(ROLE, node.GetID())
    return parameters


class Card:
    """The controls of one pathology."""

    def __init__(self, parameters, number: int, *, uiFile: str, anatomy, onRemove, onFactor):
        self.parameters, self.number = parameters, number
        self.anatomy, self.onRemove, self.onFactor = anatomy, onRemove, onFactor
        self.widget = slicer.util.loadUI(uiFile)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.widget.setMRMLScene(slicer.mrmlScene)
        self.gui = parameters.connectGui(self.ui)
        self.observer = parameters.AddObserver("ModifiedEvent", self.update)
        self.ui.clickButton.connect("clicked(bool)", self.onClick)
        self.ui.boxButton.connect("clicked(bool)", self.onBox)
        self.ui.curveButton.connect("clicked(bool)", self.onCurve)
        self.ui.paintButton.connect("clicked(bool)", self.onPaint)
        self.ui.removeButton.connect("clicked(bool)", lambda: onRemove(self))
        self.ui.pathologyFactorSlider.connect("valueChanged(double)", onFactor)
        self.kindBox = TitledBox(self.ui.kindComboBox, "kind", KIND_TITLES, onChosen=self.onKind)
        self.kindBox.setParameters(parameters)
        self.kind = parameters.kind
        self.update()

    def close(self) -> None:
        """Let go of the parameter node and remove the controls."""
        self.parameters.RemoveObserver(self.observer)
        self.parameters.disconnectGui(self.gui)
        self.widget.setMRMLScene(None)
        self.widget.hide()
        self.widget.deleteLater()

    def update(self, caller=None, event=None) -> None:
        """Show what the parameter nodes say."""
        kind, where = self.parameters.kind, self.parameters.where
        self.ui.cardButton.text = f"Pathology {self.number}: {KIND_TITLES[kind]}"
        self.kindBox.offer(kindsOf(PRESETS[self.anatomy().preset]))
        self.kindBox.update()
        fromVolume = kind == FROM_VOLUME
        for widget in (self.ui.sourceVolumeLabel, self.ui.sourceVolumeSelector):
            widget.visible = fromVolume
        for widget in (self.ui.sourceMaskLabel, self.ui.sourceMaskSelector):
            widget.visible = fromVolume
        usesDiameter = where is None or not (
            where.IsA("vtkMRMLSegmentationNode") or where.IsA("vtkMRMLMarkupsROINode")
        )
        self.ui.diameterSlider.enabled = usesDiameter

    def onKind(self) -> None:
        """A kind that needs another factor brings it."""
        if factorOf(self.parameters.kind) != factorOf(self.kind):
            self.parameters.factor = float(factorOf(self.parameters.kind))
        self.kind = self.parameters.kind

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
        node = marks.add(className, self.number, word)
        self.parameters.where = node
        selection = slicer.app.applicationLogic().GetSelectionNode()
        selection.SetReferenceActivePlaceNodeClassName(className)
        selection.SetActivePlaceNodeID(node.GetID())
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        interaction.SetPlaceModePersistence(0)
        interaction.SetCurrentInteractionMode(interaction.Place)

    def onPaint(self) -> None:
        """Open Segment Editor with the brush ready, on a segment of this pathology."""
        node = self.parameters.where
        if node is None or not node.IsA("vtkMRMLSegmentationNode"):
            node = marks.add("vtkMRMLSegmentationNode", self.number, "region")
            node.GetSegmentation().AddEmptySegment("", f"Pathology {self.number}")
            self.parameters.where = node
        reference = self.anatomy().reference
        if reference is not None:
            node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(node)
        editor.setSourceVolumeNode(reference)
        editor.setCurrentSegmentID(node.GetSegmentation().GetNthSegmentID(0))
        editor.setActiveEffectByName("Paint")


class Cards:
    """All cards, in the order of the module's parameter node."""

    def __init__(self, container, *, uiFile: str, anatomy, onFactor, onUnreadable):
        self.container, self.uiFile = container, uiFile
        self.anatomy, self.onFactor = anatomy, onFactor
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

    def onScreen(self) -> list:
        """All that the pathologies have in the views: their marks, and what marks their sources."""
        nodes = [n for c in self.cards for n in (c.parameters.where, c.parameters.sourceMask)]
        return [node for node in dict.fromkeys(nodes) if node is not None]

    def update(self) -> None:
        """Show what the module's parameter node says."""
        for card in self.cards:
            card.update()

    def keepKinds(self, preset) -> None:
        """Give pathologies of a kind that the preset does not draw its first one."""
        for card in self.cards:
            if card.parameters.kind not in kindsOf(preset):
                card.parameters.kind = preset.lesion_kinds[0]
                card.onKind()

    def _addCard(self, parameters) -> None:
        card = Card(
            parameters,
            len(self.cards) + 1,
            uiFile=self.uiFile,
            anatomy=self.anatomy,
            onRemove=self.remove,
            onFactor=self.onFactor,
        )
        self.layout.addWidget(card.widget)
        self.cards.append(card)

    def remove(self, card: Card) -> None:
        """Remove a pathology; what marked its place stays in the scene."""
        node = card.parameters.parameterNode
        count = self.moduleNode.GetNumberOfNodeReferences(ROLE)
        ids = [self.moduleNode.GetNthNodeReferenceID(ROLE, i) for i in range(count)]
        self.moduleNode.RemoveNthNodeReferenceID(ROLE, ids.index(node.GetID()))
        self.setNode(self.moduleNode)
        slicer.mrmlScene.RemoveNode(node)

"""MedSynth: guided synthesis of annotated, clearly marked synthetic images, from a panel in 3D Slicer.

The synthesis itself runs in its own process (`medsynth synthesize`); see MedSynthLib for the parts.
"""

import qt
import slicer
from MedSynthLib import library, sampledata, selftest, vocabulary
from MedSynthLib.auditpart import AuditPart
from MedSynthLib.filmpart import FilmPart
from MedSynthLib.panel import Messages, PreviewPart, ResultPart, RunPart
from MedSynthLib.parameters import MedSynthParameterNode
from MedSynthLib.pathologies import Cards, addParameterNode, marksOf, parameterNodes
from MedSynthLib.phantompart import PhantomPart
from MedSynthLib.placing import Placing
from MedSynthLib.resultviews import ResultViews
from MedSynthLib.sendpart import SendPart
from MedSynthLib.titledbox import TitledBox
from MedSynthLib.vocabulary import PRESET_TITLES, PRESETS, SAMPLER_TITLES
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class MedSynth(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("MedSynth")
        parent.categories = ["Image Synthesis"]
        parent.dependencies = ["Segmentations", "Markups", "SegmentEditor"]
        parent.contributors = ["The MedSynthSlicer contributors"]
        parent.helpText = _(
            "Choose an anatomy, mark where a lesion goes, and get a synthetic image with its "
            "annotation, as volume, segmentation and DICOM. Results are marked SYNTHETIC; they are for "
            "research and teaching, never for diagnosis."
        )
        parent.acknowledgementText = _("Apache License 2.0.")
        slicer.app.connect("startupCompleted()", sampledata.register)


class MedSynthWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: connects its parts with the parameter node and the scene."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = self._parameters = self._gui = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.uiWidget = slicer.util.loadUI(self.resourcePath("UI/MedSynth.ui"))
        self.layout.addWidget(self.uiWidget)
        self.ui = slicer.util.childWidgetVariables(self.uiWidget)
        self.uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = MedSynthLogic()
        self.messages = Messages(self.ui)
        self.previewPart = PreviewPart(self.ui, self.messages)
        self.results = ResultPart(self.ui, self.messages)
        packages, pacs = map(self.resourcePath, ("requirements.txt", "requirements-pacs.txt"))
        self.send = SendPart(self.ui, self.messages, results=self.results, requirementsFile=pacs)
        self.audit = AuditPart(self.ui, self.messages, requirementsFile=packages)
        self.views = ResultViews(self.ui, self.uiWidget, marked=lambda: self.cards.onScreen())
        self.phantom = PhantomPart(self.ui, self.messages, onLoaded=self.onPhantom)
        self.runPart = RunPart(
            *(self.ui, self.messages),
            requirementsFile=packages,
            pathologies=lambda: parameterNodes(self._parameters.parameterNode),
            onResults=self.onResults,
        )
        self.film = FilmPart(
            *(self.ui, self.messages),
            marks=lambda: marksOf(self._parameters.parameterNode),
            onSaid=self.onModified,
        )
        self.cards = Cards(
            self.ui.pathologyContainer,
            uiFile=self.resourcePath("UI/Pathology.ui"),
            anatomy=lambda: self._parameters,
            placing=Placing(self.uiWidget),
            onFactor=self.previewPart.onPathologyFactor,
            onPlace=self.onModified,
            onUnreadable=self.messages.fail,
        )
        self.parts = (
            # Only the user's own choice brings the preset's defaults, not a scene that is loaded.
            TitledBox(self.ui.presetComboBox, "preset", PRESET_TITLES, onChosen=self.onPreset),
            TitledBox(self.ui.samplerComboBox, "sampler", SAMPLER_TITLES),
            *(self.film, self.phantom, self.previewPart, self.views, self.audit, self.runPart),
        )
        self.ui.pythonPathLineEdit.currentPath = library.configuredPython()
        self._connect()
        self.initializeParameterNode()

    def _connect(self):
        mrml = slicer.mrmlScene
        self.addObserver(mrml, mrml.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(mrml, mrml.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(mrml, mrml.EndImportEvent, self.onSceneEndClose)
        self.ui.addPathologyButton.connect("clicked(bool)", self.onAddPathology)
        self.ui.factorSlider.connect("valueChanged(double)", self.previewPart.onAnatomyFactor)
        self.ui.pythonPathLineEdit.connect("currentPathChanged(QString)", self.onPython)

    def cleanup(self):
        self.onSceneStartClose()
        self.send.close()
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        # Without this the preview would stay in front of what other modules show.
        self.previewPart.setParameters(None)

    def onSceneStartClose(self, caller=None, event=None):
        self.cards.placing.end()
        for part in (self.phantom, self.runPart, self.audit):
            part.cancel()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller=None, event=None):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())
        if self._parameters.reference is None:
            first = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if first is not None:
                self._parameters.reference = first

    def setParameterNode(self, parameters):
        if self._parameters is not None:
            self._parameters.disconnectGui(self._gui)
            self.removeObserver(self._parameters.parameterNode, "ModifiedEvent", self.onModified)
        self._parameters = self.results.parameters = parameters
        if parameters is not None:
            self._gui = parameters.connectGui(self.ui)
            self.addObserver(parameters.parameterNode, "ModifiedEvent", self.onModified)
            self.results.setPreset(PRESETS[parameters.preset])
        self.cards.setNode(parameters.parameterNode if parameters is not None else None)
        for part in self.parts:
            part.setParameters(parameters)

    def onModified(self, caller=None, event=None):
        for part in (self.cards, *self.parts):
            part.update()
        self.messages.forget()

    def onPreset(self):
        preset = PRESETS[self._parameters.preset]
        vocabulary.setDefaults(self._parameters, preset)
        self.cards.keepKinds(preset)
        self.results.setPreset(preset)

    def onAddPathology(self):
        self.cards.add(PRESETS[self._parameters.preset])

    def onPython(self, path):
        qt.QSettings().setValue(library.PYTHON_SETTING, path)
        self.send.updateSendButton()

    def onPhantom(self, node):
        self._parameters.reference = node
        self.messages.say("The phantom is loaded. Next: add a pathology, or press Run.")

    def onResults(self, reference, results):
        self._parameters.preview = False
        self.views.afterRun(reference, results[-1][0])


class MedSynthLogic(ScriptedLoadableModuleLogic):
    """The module without its panel."""

    def getParameterNode(self):
        return MedSynthParameterNode(super().getParameterNode())

    def addPathology(self, parameters):
        return addParameterNode(parameters.parameterNode, PRESETS[parameters.preset])


class MedSynthTest(ScriptedLoadableModuleTest):
    """Slicer's Reload & Test."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        for check in selftest.CHECKS:
            self.setUp()
            check(MedSynthLogic().getParameterNode())

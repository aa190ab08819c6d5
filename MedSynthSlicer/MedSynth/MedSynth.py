"""MedSynth: guided synthesis of annotated, clearly marked synthetic images, from a panel in 3D Slicer.

The synthesis itself runs in its own process (`medsynth synthesize`); see MedSynthLib for the parts.
"""

import slicer
from MedSynthLib import preferences, processing, sampledata, selftest, settingspage
from MedSynthLib.assembly import assemble
from MedSynthLib.parameters import MedSynthParameterNode
from MedSynthLib.pathologynodes import addParameterNode, marksOf
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

from medsynth.scene.vocabulary import PRESETS, set_defaults


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
        slicer.app.connect("startupCompleted()", settingspage.register)


class MedSynthWidget(ScriptedLoadableModuleWidget, slicer.util.VTKObservationMixin):
    """The panel: connects its parts with the parameter node and the scene."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        slicer.util.VTKObservationMixin.__init__(self)
        self.logic = self._parameters = self._gui = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.uiWidget = slicer.util.loadUI(self.resourcePath("UI/MedSynth.ui"))
        self.layout.addWidget(self.uiWidget)
        self.ui = slicer.util.childWidgetVariables(self.uiWidget)
        self.uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = MedSynthLogic()
        assemble(self)
        self._connect()
        self.initializeParameterNode()

    def _connect(self):
        mrml = slicer.mrmlScene
        self.addObserver(mrml, mrml.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(mrml, mrml.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(mrml, mrml.EndImportEvent, self.onSceneEndClose)
        self.ui.addPathologyButton.connect("clicked(bool)", self.onAddPathology)
        self.ui.factorSlider.connect("valueChanged(double)", self.previewPart.onAnatomyFactor)

    def cleanup(self):
        self.preferencesPart.close()
        self.onSceneStartClose()
        self.send.close()
        self.gallery.close()
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        # Without this the preview would stay in front of what other modules show.
        self.previewPart.setParameters(None)
        self.paintPart.stop()

    def onSceneStartClose(self, caller=None, event=None):
        self.cards.placing.end()
        self.paintPart.forget()
        running = self.phantom, self.runPart, self.audit, self.verify, self.computerPart
        for part in (*running, self.anatomyPart, self.batchPart):
            part.cancel()
        self.undo.clear()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller=None, event=None):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())
        if self._parameters.reference is None:
            volume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            self._parameters.reference = volume

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

    def marks(self):
        return marksOf(self._parameters.parameterNode)

    def onPreset(self):
        preset = PRESETS[self._parameters.preset]
        set_defaults(self._parameters, preset)
        self._parameters.steps = preferences.steps(preset)
        self.cards.keepKinds(preset)
        self.results.setPreset(preset)

    def onAddPathology(self):
        self.cards.add(PRESETS[self._parameters.preset])

    def onPhantom(self, node):
        self._parameters.reference = node
        self.messages.say("The phantom is loaded. Next: add a pathology, or press Run.")

    def onResults(self, reference, results):
        self._parameters.preview = False
        self.views.afterRun(reference, results[-1][0])
        self.comparePart.onRun(results)


class MedSynthLogic(ScriptedLoadableModuleLogic):
    """The module without its panel."""

    def getParameterNode(self):
        node = super().getParameterNode()
        isNew = not node.GetParameter("steps")
        parameters = MedSynthParameterNode(node)
        if isNew:
            parameters.steps = preferences.steps(PRESETS[parameters.preset])
        return parameters

    def addPathology(self, parameters):
        return addParameterNode(parameters.parameterNode, PRESETS[parameters.preset])

    def process(self, reference, places=(), kinds=None, factors=None, **settings):
        """Synthesize, wait, and return the results; for Python in Slicer.

        Args:
            reference: the volume that gives the anatomy.
            places: where lesions go, one entry each: a point (right, anterior, superior) in mm of the
                world, or a node as under Where in the panel (point list, box, closed curve, segmentation).
                None: a healthy image.
            kinds: one kind for all, or one for each place; the preset's first kind if left out.
            factors: of the lesions, likewise; each kind's own if left out.
            **settings: `preset` ("lung_ct"), `factor` and `stop` of the anatomy, `diameters` in mm,
                `sources` ((volume, segmentation) of a lesion taken from there), `seed`, `variants`, `steps`,
                `extent`, `background`, `sampler`, `composition`, `filter`, `guidance`, `device`,
                `onProgress(text, percent)`.

        Returns:
            A list of (volume, segmentation), one for each variant; segmentation is None without lesions.

        Raises:
            ValueError: something that cannot run; the message says what.
            RuntimeError: the synthesis failed, or what it needs was not installed.
        """
        return processing.process(reference, places, kinds, factors, **settings)


class MedSynthTest(ScriptedLoadableModuleTest):
    """Slicer's Reload & Test."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        for check in selftest.CHECKS:
            self.setUp()
            check(MedSynthLogic().getParameterNode())

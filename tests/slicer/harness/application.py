"""The parts of the Slicer application the module talks to, around a real MRML scene and real logics."""

from __future__ import annotations

import os
import tempfile
import types
from pathlib import Path

import slicer
import vtk
from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QApplication

from harness.brush import Brush
from harness.pythonqt import wrap, wrapperClass
from harness.settings import ctkSettingsDialog
from harness.sliceview import SliceView, registerManagers

VIEWS = ("Red", "Yellow", "Green")
SQUARE, TALL = (380, 380), (380, 560)


class _Environment:
    """QProcessEnvironment as PythonQt shows it."""

    def keys(self):
        return list(os.environ)

    def value(self, name):
        return os.environ[name]


class _ThreeDWidget:
    """qMRMLThreeDWidget: the one view of the usual layouts, which is not drawn here."""

    def threeDView(self):
        return self

    def resetFocalPoint(self):
        pass


class _LayoutManager:
    """Arranges the views; as in Slicer they have their new size only after the event loop has run."""

    def __init__(self, views):
        self._views, self.layout = views, 0

    def setLayout(self, layout):
        self.layout = layout
        QTimer.singleShot(0, self._resize)

    def isSideBySide(self):
        return self.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView

    def _resize(self):
        for view in self._views.values():
            view.resize(*(TALL if self.isSideBySide() else SQUARE))

    def reset(self):
        """As Slicer starts: four views, of which three are slices, each in its plane."""
        self.layout = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
        self._resize()
        for view in self._views.values():
            view.reset()

    def sliceViewNames(self):
        return list(self._views)

    def sliceWidget(self, name):
        return self._views[name]

    def mrmlSliceLogics(self):
        collection = vtk.vtkCollection()
        for view in self._views.values():
            collection.AddItem(view.sliceLogic())
        return collection

    @property
    def threeDViewCount(self):
        return 1

    def threeDWidget(self, number):
        assert number == 0
        return _ThreeDWidget()

    def resetSliceViews(self):
        for view in self._views.values():
            view.sliceLogic().FitSliceToBackground()


class _App(QObject):
    """qSlicerApplication: what the module asks of it."""

    startupCompleted = Signal()

    def __init__(self):
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory(prefix="slicer-harness-")


class _ModuleManager(QObject):
    """qSlicerModuleManager: tells panels when their module is unloaded."""

    moduleAboutToBeUnloaded = Signal(str)


class Application:
    applicationName = "Slicer"

    def __init__(self):
        self._q = wrapperClass(_App)()
        self.temporaryPath = self._q.q.temporary.name
        self.documents = tempfile.TemporaryDirectory(prefix="slicer-documents-")
        self.defaultScenePath = self.documents.name
        self._logic = slicer.vtkSlicerApplicationLogic()
        self._moduleManager = wrapperClass(_ModuleManager)()
        self._settingsDialog = ctkSettingsDialog()
        self._views = {}
        self._layoutManager = _LayoutManager(self._views)

    def connect(self, signal, slot):
        return self._q.connect(signal, slot)

    def emitStartupCompleted(self):
        self._q.q.startupCompleted.emit()

    def forgetModules(self):
        """What a module left with the application, before it is loaded anew."""
        self._q.q.startupCompleted.disconnect()
        self._settingsDialog.forget()

    def settingsDialog(self):
        return wrap(self._settingsDialog)

    def openSettingsDialog(self, settingsPanel=""):
        # As in qSlicerApplication.cxx: what was changed elsewhere is shown.
        self._settingsDialog.reloadSettings()
        if settingsPanel:
            self._settingsDialog.setCurrentPanel(settingsPanel)
        self._settingsDialog.show()

    def applicationLogic(self):
        return self._logic

    def layoutManager(self):
        return self._layoutManager

    def startupEnvironment(self):
        return _Environment()

    def processEvents(self):
        QApplication.processEvents()

    def testingEnabled(self):
        return False  # as at the clinician's: Slicer's own files install nothing in testing mode

    def moduleManager(self):
        return self._moduleManager

    def translate(self, context, text):
        return text

    def setUpViews(self, scene):
        for name in VIEWS:
            self._views[name] = SliceView(name, scene, SQUARE)


class _ModuleSelector:
    def __init__(self):
        self.selected = None

    def selectModule(self, name):
        self.selected = name


class _DicomDatabase:
    """ctkDICOMDatabase: instances by their SOPInstanceUID, `values` by (SOPInstanceUID, tag)."""

    def __init__(self):
        self.isOpen, self.instances, self.values = True, {}, {}

    def instanceValue(self, sopInstanceUID, tag):
        return self.values.get((sopInstanceUID, tag), "")


def _importDicom(dicomDataDir, dicomDatabase=None, copyFiles=False):
    import pydicom

    for path in sorted(Path(dicomDataDir).rglob("*.dcm")):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        slicer.dicomDatabase.instances[header.SOPInstanceUID] = header.Modality, copyFiles
    return True


class _ItemMaker:
    """Stands for qSlicerSubjectHierarchyPluginLogic (Qt), which gives every data node its item.

    As the original: nothing is done one by one while a scene is opened or closed; then the items that
    came with the scene are resolved, and only nodes without an item are given one.
    """

    kinds = ("vtkMRMLVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLMarkupsNode")

    def __init__(self, scene):
        self.scene = scene

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def added(caller, event, node):
            if node.IsA("vtkMRMLSubjectHierarchyNode"):
                slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(scene)
            elif not scene.IsImporting():
                self._giveItem(node)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def removed(caller, event, node):
            if scene.IsClosing() or node.IsA("vtkMRMLSubjectHierarchyNode"):
                return
            hierarchy = scene.GetSubjectHierarchyNode()
            item = hierarchy.GetItemByDataNode(node)
            if item:
                hierarchy.RemoveItem(item, False, False)

        scene.AddObserver(scene.NodeAddedEvent, added)
        scene.AddObserver(scene.NodeAboutToBeRemovedEvent, removed)
        scene.AddObserver(scene.EndImportEvent, self._opened, 10.0)
        scene.AddObserver(scene.EndCloseEvent, self._resolve)
        scene.AddObserver(scene.EndBatchProcessEvent, self._opened, 10.0)

    def _resolve(self, caller, event):
        return slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(self.scene)

    def _opened(self, caller, event):
        self._resolve(caller, event)
        for i in range(self.scene.GetNumberOfNodes()):
            self._giveItem(self.scene.GetNthNode(i))

    def _giveItem(self, node):
        if node.GetHideFromEditors() or not any(node.IsA(kind) for kind in self.kinds):
            return
        hierarchy = self.scene.GetSubjectHierarchyNode()
        if not hierarchy.GetItemByDataNode(node):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)


def start():
    """A running application with an empty scene; returns it, with everything in the slicer module."""
    scene = slicer.mrmlScene = slicer.vtkMRMLScene()
    app = slicer.app = Application()
    app._logic.SetMRMLScene(scene)
    # Opening an MRB unpacks it into the cache folder.
    cache, inputOutput = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
    cache.SetRemoteCacheDirectory(app.temporaryPath)
    inputOutput.SetCacheManager(cache)
    scene.SetCacheManager(cache)
    scene.SetDataIOManager(inputOutput)
    logics = {
        "colors": slicer.vtkSlicerColorLogic(),
        "volumes": slicer.vtkSlicerVolumesLogic(),
        "segmentations": slicer.vtkSlicerSegmentationsModuleLogic(),
        "markups": slicer.vtkSlicerMarkupsLogic(),
        "subjecthierarchy": slicer.vtkSlicerSubjectHierarchyModuleLogic(),
        "transforms": slicer.vtkSlicerTransformLogic(),
    }
    for logic in logics.values():
        logic.SetMRMLScene(scene)
    logics["colors"].AddDefaultColorNodes()  # Volumes logic needs them for its display nodes
    slicer.modules = types.SimpleNamespace(
        **{k: types.SimpleNamespace(logic=lambda v=v: v) for k, v in logics.items()}
    )
    _ItemMaker(scene)
    selector = _ModuleSelector()
    slicer.util.moduleSelector = lambda: selector
    slicer.util.mainWindow = lambda: None
    slicer.dicomDatabase = _DicomDatabase()
    dicomLib = types.ModuleType("DICOMLib")
    dicomLib.DICOMUtils = types.SimpleNamespace(importDicom=_importDicom)
    scene.AddNewNodeByClass("vtkMRMLLayoutNode")
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    registerManagers(app._logic, logics["markups"])
    app.setUpViews(scene)
    app.brush = Brush(app.layoutManager())
    return app, dicomLib

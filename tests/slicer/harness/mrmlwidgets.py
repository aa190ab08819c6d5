"""Behaving stand-ins for the MRML widgets the module uses; those of CTK are in `widgets`."""

from __future__ import annotations

from types import MappingProxyType

from PySide6.QtCore import Property, Signal
from PySide6.QtWidgets import QComboBox, QSizePolicy, QVBoxLayout, QWidget

from harness.observers import observe
from harness.placewidget import qSlicerMarkupsPlaceWidget


class qMRMLWidget(QWidget):
    """The root of a module panel: hands the scene on to the MRML widgets inside."""

    API = frozenset({"setMRMLScene", "mrmlScene"})
    SIGNALS = MappingProxyType({"mrmlSceneChanged(vtkMRMLScene*)": "sceneChanged(object)"})
    sceneChanged = Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        self._scene = scene
        self.sceneChanged.emit(scene)


class qMRMLNodeComboBox(QWidget):
    """Picks a node of the given classes from the scene and follows the scene's changes.

    Whether a node is hidden and has the attributes that the box filters by is looked at once, when the
    node joins the scene. (Slicer looks again at some later events; a module must not depend on which.)
    """

    API = frozenset(
        ("currentNode", "setCurrentNode", "setCurrentNodeID", "setMRMLScene", "mrmlScene")
        + ("nodeCount", "addNode", "addAttribute")
    )
    SIGNALS = MappingProxyType(
        {
            "currentNodeChanged(vtkMRMLNode*)": "nodeChanged(object)",
            "currentNodeIDChanged(QString)": "nodeIDChanged(QString)",
            "nodeAddedByUser(vtkMRMLNode*)": "nodeAdded(object)",
        }
    )
    nodeChanged, nodeAdded, nodeIDChanged = Signal(object), Signal(object), Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._combo = QComboBox()
        self._combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        layout.addWidget(self._combo)
        self._types, self._ids, self._scene, self._tags, self._id = [], [], None, [], ""
        self._attributes, self._accepted = [], {}
        self._flags = dict.fromkeys(("addEnabled", "removeEnabled", "renameEnabled"), True)
        self._flags |= {"noneEnabled": False, "showHidden": False, "showChildNodeTypes": True}
        self._flags |= {"selectNodeUponCreation": True, "editEnabled": False}
        self._none = "None"
        self.setEnabled(False)
        self._combo.activated.connect(lambda row: self.setCurrentNodeID(self._ids[row]))

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene, self._tags = scene, []
        self.setEnabled(scene is not None)
        if scene is not None:
            events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent)
            events += (scene.EndImportEvent, scene.EndBatchProcessEvent)
            self._tags = [observe(scene, e, self._sceneChanged) for e in events]
        self._refresh()

    def _sceneChanged(self, caller, event):
        present = {node.GetID() for node in self._ofTypes()}
        self._accepted = {k: v for k, v in self._accepted.items() if k in present}
        self._refresh()

    def _ofTypes(self):
        if self._scene is None:
            return []
        collections = [self._scene.GetNodesByClass(name) for name in self._types]
        for collection in collections:
            collection.UnRegister(None)
        return [c.GetItemAsObject(i) for c in collections for i in range(c.GetNumberOfItems())]

    def _nodes(self):
        found = []
        for node in self._ofTypes():
            if node.GetID() not in self._accepted:
                self._accepted[node.GetID()] = self._accepts(node)
            if self._accepted[node.GetID()]:
                found.append(node)
        return found

    def _accepts(self, node):
        if node.GetHideFromEditors() and not self._flags["showHidden"]:
            return False
        if not self._flags["showChildNodeTypes"] and node.GetClassName() not in self._types:
            return False
        return all(
            node.GetAttribute(a) is not None and v in (None, node.GetAttribute(a))
            for t, a, v in self._attributes
            if node.IsA(t)
        )

    def _judgeAnew(self):
        self._accepted = {}
        self._refresh()

    def _refresh(self):
        nodes = self._nodes()
        self._combo.blockSignals(True)
        self._combo.clear()
        self._ids = []
        if self._flags["noneEnabled"] or not nodes:
            self._combo.addItem(self._none)
            self._ids.append("")
        for node in nodes:
            self._combo.addItem(node.GetName())
            self._ids.append(node.GetID())
        self._combo.blockSignals(False)
        if self._id not in self._ids:
            # Without a None item the real widget selects the first node there is.
            self._choose(self._ids[0])
        else:
            self._combo.setCurrentIndex(self._ids.index(self._id))

    def _choose(self, nodeID):
        self._combo.setCurrentIndex(self._ids.index(nodeID))
        if nodeID != self._id:
            self._id = nodeID
            self.nodeChanged.emit(self.currentNode())
            self.nodeIDChanged.emit(nodeID)

    def currentNode(self):
        return self._scene.GetNodeByID(self._id) if self._scene and self._id else None

    def setCurrentNode(self, node):
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def setCurrentNodeID(self, nodeID):
        if self._scene is None:
            return
        self._refresh()
        wanted = nodeID or ""
        if wanted in self._ids:
            self._choose(wanted)
        elif wanted == "" and self._id:
            # setCurrentNode(None) deselects also where None cannot be picked by hand.
            self._combo.insertItem(0, self._none)
            self._ids.insert(0, "")
            self._choose("")

    def addAttribute(self, nodeType, attributeName, attributeValue=None):
        self._attributes.append((nodeType, attributeName, attributeValue))
        self._judgeAnew()

    def nodeCount(self):
        return len(self._nodes())

    def addNode(self):
        node = self._scene.AddNewNodeByClass(self._types[0])
        self.setCurrentNode(node)
        self.nodeAdded.emit(node)
        return node

    def _setTypes(self, types):
        self._types = list(types)
        self._judgeAnew()

    nodeTypes = Property("QStringList", lambda s: s._types, _setTypes)
    currentNodeID = Property(str, lambda s: s._id, lambda s, v: s.setCurrentNodeID(v))
    noneDisplay = Property(str, lambda s: s._none, lambda s, v: s._setNone(v))

    def _setNone(self, text):
        self._none = text
        self._refresh()

    def _setFlag(self, name, value):
        self._flags[name] = value
        self._judgeAnew()

    addEnabled = Property(
        bool, lambda s: s._flags["addEnabled"], lambda s, v: s._setFlag("addEnabled", v)
    )
    removeEnabled = Property(
        bool, lambda s: s._flags["removeEnabled"], lambda s, v: s._setFlag("removeEnabled", v)
    )
    renameEnabled = Property(
        bool, lambda s: s._flags["renameEnabled"], lambda s, v: s._setFlag("renameEnabled", v)
    )
    noneEnabled = Property(
        bool, lambda s: s._flags["noneEnabled"], lambda s, v: s._setFlag("noneEnabled", v)
    )
    showHidden = Property(
        bool, lambda s: s._flags["showHidden"], lambda s, v: s._setFlag("showHidden", v)
    )
    showChildNodeTypes = Property(
        bool,
        lambda s: s._flags["showChildNodeTypes"],
        lambda s, v: s._setFlag("showChildNodeTypes", v),
    )
    selectNodeUponCreation = Property(
        bool,
        lambda s: s._flags["selectNodeUponCreation"],
        lambda s, v: s._setFlag("selectNodeUponCreation", v),
    )


MRML = {c.__name__: c for c in (qMRMLWidget, qMRMLNodeComboBox, qSlicerMarkupsPlaceWidget)}

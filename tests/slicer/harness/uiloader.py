"""`qt.QUiLoader` for the harness: our widgets, and no tolerance for names that Qt would swallow.

Qt's loader turns an unknown property into a dynamic one and an unknown widget into a plain QWidget,
without a word. Here both are errors; connections are made with the same check as in Python.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

from PySide6 import QtWidgets
from PySide6.QtCore import QBuffer, QByteArray, QFile, QIODevice, QObject
from PySide6.QtUiTools import QUiLoader

from harness import mrmlwidgets, widgets
from harness.pythonqt import signalSignature, wrap, wrapperClass

OURS = {**widgets.CTK, **mrmlwidgets.MRML}


class _Loader(QUiLoader):
    def createWidget(self, className, parent=None, name=""):
        if className in OURS:
            widget = OURS[className]()
            widget.setParent(parent)
        elif hasattr(QtWidgets, className):
            widget = super().createWidget(className, parent, name)
        else:
            raise LookupError(f"the .ui file uses the unknown widget class {className!r}")
        widget.setObjectName(name)
        return widget


class UiLoader(QObject):
    """What `slicer.util.loadUI` asks for."""

    def load(self, file: QFile):
        text = bytes(file.readAll().data()).decode()
        root = ET.fromstring(text)
        self._checkClasses(root)
        connections = root.find("connections")
        wanted = [
            [c.findtext(tag) for tag in ("sender", "signal", "receiver", "slot")]
            for c in (connections if connections is not None else [])
        ]
        if connections is not None:
            root.remove(connections)
        buffer = QBuffer()
        buffer.setData(QByteArray(ET.tostring(root)))
        buffer.open(QIODevice.OpenModeFlag.ReadOnly)
        widget = _Loader().load(buffer)
        self._checkProperties(root, widget)
        for sender, signal, receiver, slot in wanted:
            self._connect(widget, sender, signal, receiver, slot)
        return wrap(widget)

    @staticmethod
    def _checkClasses(root):
        for element in root.iter("widget"):
            name = element.get("class")
            if name not in OURS and not hasattr(QtWidgets, name):
                raise LookupError(f"the .ui file uses the unknown widget class {name!r}")

    @staticmethod
    def _find(top, name):
        return top if top.objectName() == name else top.findChild(QObject, name)

    def _checkProperties(self, root, top):
        for element in root.iter("widget"):
            widget = self._find(top, element.get("name"))
            for tag in element.findall("property"):
                name = tag.get("name")
                dynamic = tag.get("stdset") == "0"
                if widget.metaObject().indexOfProperty(name) < 0 and not dynamic:
                    raise AttributeError(
                        f"{element.get('class')} {element.get('name')!r} has no property {name!r}"
                    )

    def _connect(self, top, sender, signal, receiver, slot):
        source, target = self._find(top, sender), self._find(top, receiver)
        if source is None or target is None:
            raise LookupError(f"connection {sender} -> {receiver}: no such widget")
        if signalSignature(source, signal) is None:
            raise ValueError(f"{sender} has no signal {signal!r}")
        wrap(source).connect(signal, getattr(wrap(target), slot.split("(")[0]))


def register(qt):
    """Put the loader into the `qt` module."""
    qt.QUiLoader = wrapperClass(UiLoader)

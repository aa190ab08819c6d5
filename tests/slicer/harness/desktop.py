"""Starts the harness once per process, loads the module's real .py and .ui, takes screenshots."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
import types
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer.util
from PySide6 import QtCore, QtGui, QtWidgets

from harness import (
    application,
    mrmlwidgets,
    observers,
    parameternode,
    pythonqt,
    scripted,
    segmenteditor,
    settings,
    slicersources,
    uiloader,
    widgets,
)

ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "MedSynthSlicer" / "MedSynth"
SCREENSHOTS = ROOT / "tests" / "slicer" / "screenshots"


class Desktop:
    """A Slicer with the MedSynth module open."""

    def __init__(self):
        self.qapplication = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
        self.qapplication.setStyle("Fusion")
        self.qapplication.setOrganizationName("MedSynthHarness")
        self.qapplication.setApplicationName("SlicerHarness")
        self._keepSettingsApart()
        font = QtGui.QFont("DejaVu Sans")
        font.setPixelSize(12)
        self.qapplication.setFont(font)
        self._installModules()
        self.app, dicomLib = application.start()
        sys.modules["DICOMLib"] = dicomLib
        representation = types.SimpleNamespace(self=lambda: self.widget)
        slicer.modules.medsynth = types.SimpleNamespace(
            path=str(MODULE / "MedSynth.py"), widgetRepresentation=lambda: representation
        )

    def _keepSettingsApart(self):
        """Application settings in a folder of this process: not a user's, not another test run's."""
        self.settings = tempfile.TemporaryDirectory(prefix="slicer-settings-")
        ini, user = QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope
        QtCore.QSettings.setDefaultFormat(ini)
        QtCore.QSettings.setPath(ini, user, self.settings.name)

    def _installModules(self):
        qt = pythonqt.qtModule()
        uiloader.register(qt)
        ctk = types.ModuleType("ctk")
        for name, cls in {**widgets.CTK, "ctkSettingsPanel": settings.ctkSettingsPanel}.items():
            setattr(ctk, name, pythonqt.wrapperClass(cls))
        editor = {"qMRMLSegmentEditorWidget": segmenteditor.qMRMLSegmentEditorWidget}
        for name, cls in {**mrmlwidgets.MRML, **editor}.items():
            setattr(slicer, name, pythonqt.wrapperClass(cls))
        wrapper = parameternode.module()
        modules = {"qt": qt, "ctk": ctk, "slicer.parameterNodeWrapper": wrapper}
        modules["slicer.ScriptedLoadableModule"] = scripted.scriptedLoadableModule()
        modules["slicer.i18n"] = scripted.i18n()
        modules["slicer.packaging"] = slicer.packaging = scripted.packaging()
        modules["SampleData"] = scripted.sampleData()
        sys.modules.update(modules)
        slicer.parameterNodeWrapper = wrapper
        sources = slicersources.folder()
        if sources is not None:
            slicersources.install(sources)

    def load(self, folder: Path = MODULE, name: str = "MedSynth"):
        """Import the module file as Slicer does and open its panel; returns the widget class's object."""
        self.folder = folder
        self.app.layoutManager().reset()
        slicer.modules.medsynth.path = str(folder / f"{name}.py")
        sys.path.insert(0, str(folder))
        self.module = importlib.import_module(name)
        parent = types.SimpleNamespace(path=str(folder / f"{name}.py"))
        self.moduleObject = getattr(self.module, name)(parent)
        self.app.emitStartupCompleted()
        self.panel = slicer.qMRMLWidget()
        self.panel.setLayout(sys.modules["qt"].QVBoxLayout())
        self.panel.setMRMLScene(slicer.mrmlScene)
        # qSlicerScriptedLoadableModuleWidget tells whether its module is the one shown.
        self.panel.q.isEntered = True
        self.widget = getattr(self.module, f"{name}Widget")(_Entered(self.panel))
        self.widget.setup()
        self.widget.enter()
        self.showPanel()
        return self.widget

    def showPanel(self, width=460):
        """Show the whole panel at its natural height, so that every control can be reached."""
        panel = self.panel.q
        panel.setFixedWidth(width)
        panel.show()
        for _ in range(3):
            QtWidgets.QApplication.processEvents()
            panel.resize(width, max(panel.sizeHint().height(), 740))
        QtWidgets.QApplication.processEvents()

    def resetSettings(self):
        """Forget the application settings of earlier tests."""
        QtCore.QSettings().clear()
        sys.modules["slicer.packaging"].consent = True
        sys.modules["slicer.packaging"].asked.clear()

    def close(self):
        """Close the panel and the scene, forget the module, as when Slicer ends."""
        self.widget.cleanup()
        self.app.forgetModules()
        self.panel.q.hide()
        slicer.mrmlScene.Clear(False)
        observers.removeAll()
        sys.path.remove(str(self.folder))
        for name in [n for n in sys.modules if n.split(".")[0] in ("MedSynth", "MedSynthLib")]:
            del sys.modules[name]

    def wait(self, condition, seconds=60.0, what="the condition"):
        """Run the event loop until `condition()`; an AssertionError names what did not happen."""
        loop, clock = QtCore.QEventLoop(), QtCore.QElapsedTimer()
        clock.start()
        while not condition():
            if clock.elapsed() > 1000 * seconds:
                raise AssertionError(f"{what} did not happen within {seconds} s")
            loop.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 50)
            QtCore.QThread.msleep(5)

    @contextlib.contextmanager
    def _foldersOfAnybody(self):
        """Folder buttons show no path of this machine; what they are set to stays."""
        buttons = self.panel.q.findChildren(widgets.ctkDirectoryButton)
        texts = [button.property("text") for button in buttons]
        for button, text in zip(buttons, texts, strict=True):
            if Path(text).is_absolute():
                button.setProperty("text", f"/home/reader/Documents/{Path(text).name}")
        yield
        for button, text in zip(buttons, texts, strict=True):
            button.setProperty("text", text)

    def screenshot(self, name: str, views=("Red", "Yellow"), width=460, crop=None) -> Path:
        """The panel at the left, the slice views at the right, as in Slicer's window."""
        self.showPanel(width)
        with self._foldersOfAnybody():
            left = self.panel.q.grab()
        pictures = [self.app.layoutManager().sliceWidget(v).picture() for v in views]
        gap, side = 8, pictures[0].width() if pictures else 0
        across = max(len(pictures), 1) if self.app.layoutManager().isSideBySide() else 1
        rows = -(-len(pictures) // across)
        tall = sum(picture.height() + gap for picture in pictures[:: across or 1])
        total = QtGui.QImage(
            width + (gap + side) * across,
            max(left.height(), tall) if rows else left.height(),
            QtGui.QImage.Format.Format_RGB32,
        )
        total.fill(QtGui.QColor("#d8d8d8"))
        painter = QtGui.QPainter(total)
        painter.drawPixmap(0, 0, left)
        for i, picture in enumerate(pictures):
            x = width + gap + (i % across) * (side + gap)
            painter.drawImage(x, gap + (i // across) * (picture.height() + gap), picture)
        painter.end()
        SCREENSHOTS.mkdir(exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        total.save(str(path))
        return path


class _Entered:
    """The module's parent widget: a qMRMLWidget that also knows whether the module is shown."""

    isEntered = True

    def __init__(self, panel):
        self._panel = panel

    def __getattr__(self, name):
        return getattr(self._panel, name)


_desktop: Desktop | None = None


def desktop() -> Desktop:
    """The one application of this process."""
    global _desktop
    if _desktop is None:
        _desktop = Desktop()
    return _desktop

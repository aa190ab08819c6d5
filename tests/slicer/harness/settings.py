"""Slicer's settings: CTK's dialog and its panels, after ctkSettingsPanel.cpp and ctkSettingsDialog.cpp.

What Qt would only print as a warning (an unknown property, a signal that is not there) is an error here.
"""

from __future__ import annotations

from types import MappingProxyType

from PySide6.QtCore import QSettings, Signal
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QTabWidget, QVBoxLayout, QWidget

from harness.pythonqt import signalSignature, wrap


class ctkSettingsPanel(QWidget):
    """Binds properties of its widgets to settings: what changes is written at once, and can be taken back."""

    API = frozenset(
        ("registerProperty", "setSetting", "changedSettings", "settings", "setSettings")
        + ("applySettings", "resetSettings", "restoreDefaultSettings", "reloadSettings")
    )
    SIGNALS = MappingProxyType({"settingChanged(QString,QVariant)": "changed(QString,QVariant)"})
    changed = Signal(str, "QVariant")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._settings, self._properties, self._previous, self._defaults = None, {}, {}, {}

    def settings(self):
        return self._settings

    def setSettings(self, settings):
        if settings is not self._settings:
            self._settings = settings
            self.reloadSettings()

    def registerProperty(
        self, settingKey, object, objectProperty, propertySignal, settingLabel="", options=0
    ):
        if object.metaObject().indexOfProperty(objectProperty) < 0:
            raise AttributeError(f"{object} has no property {objectProperty!r}")
        if not propertySignal.startswith("2"):
            raise ValueError(f"{propertySignal!r} is no signal; pass str(qt.SIGNAL(...))")
        signature = signalSignature(object, propertySignal[1:])
        if signature is None:
            raise ValueError(f"{object} has no signal {propertySignal[1:]!r}")
        value = object.property(objectProperty)
        self._defaults[settingKey] = self._previous[settingKey] = value
        self._properties[settingKey] = object, objectProperty
        if self._settings is not None and self._settings.contains(settingKey):
            self._take(settingKey)
        wrap(object).connect(signature, lambda: self._update(settingKey))
        self._update(settingKey)

    def _take(self, key):
        value = self._settings.value(key)
        self._set(key, value)
        self._previous[key] = value

    def _value(self, key):
        object, name = self._properties[key]
        return object.property(name)

    def _set(self, key, value):
        object, name = self._properties[key]
        if object.property(name) != value:
            assert object.setProperty(name, value), f"{name} cannot be set to {value!r}"

    def _update(self, key):
        if self._settings is not None:
            self.setSetting(key, self._value(key))

    def setSetting(self, key, value):
        if self._settings is None or key not in self._properties:
            return
        before = self._settings.value(key)
        self._settings.setValue(key, value)
        self._set(key, value)
        if before != value:
            self.changed.emit(key, value)

    def reloadSettings(self):
        for key in self._properties:
            if self._settings.contains(key):
                self._take(key)
            else:
                self._update(key)

    def changedSettings(self):
        return [key for key in self._properties if self._previous[key] != self._value(key)]

    def applySettings(self):
        for key in self.changedSettings():
            self._previous[key] = self._value(key)
            self.changed.emit(key, self._previous[key])

    def resetSettings(self):
        for key in self._properties:
            self.setSetting(key, self._previous[key])

    def restoreDefaultSettings(self):
        for key in self._properties:
            self.setSetting(key, self._defaults[key])


class ctkSettingsDialog(QDialog):
    """Edit > Application Settings. Its list at the left is a row of tabs here."""

    API = frozenset(
        ("addPanel", "panel", "setCurrentPanel", "settings", "applySettings", "resetSettings")
        + ("restoreDefaultSettings", "reloadSettings")
    )
    Buttons = QDialogButtonBox.StandardButton

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = QVBoxLayout(self)
        self._tabs = QTabWidget()
        layout.addWidget(self._tabs)
        self.buttons = QDialogButtonBox(
            self.Buttons.Ok
            | self.Buttons.Cancel
            | self.Buttons.Reset
            | self.Buttons.RestoreDefaults
        )
        layout.addWidget(self.buttons)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.buttons.button(self.Buttons.Reset).clicked.connect(self.resetSettings)
        self._settings = QSettings(self)

    def settings(self):
        return self._settings

    def addPanel(self, label, panel, parentPanel=None):
        if not isinstance(panel, ctkSettingsPanel):
            raise TypeError(f"{panel} is no ctkSettingsPanel")
        panel.setWindowTitle(label)
        self._tabs.addTab(panel, label)
        panel.setSettings(self._settings)

    def _panels(self):
        return [self._tabs.widget(row) for row in range(self._tabs.count())]

    def panel(self, label):
        return next((p for p in self._panels() if p.windowTitle() == label), None)

    def setCurrentPanel(self, panel):
        self._tabs.setCurrentWidget(self.panel(panel) if isinstance(panel, str) else panel)

    def _each(self, slot):
        for panel in self._panels():
            getattr(panel, slot)()

    def applySettings(self):
        self._each("applySettings")

    def resetSettings(self):
        self._each("resetSettings")

    def restoreDefaultSettings(self):
        self._settings.clear()
        self._each("restoreDefaultSettings")

    def reloadSettings(self):
        self._each("reloadSettings")

    def accept(self):
        self.applySettings()
        super().accept()

    def reject(self):
        self.resetSettings()
        super().accept()

    def forget(self):
        """No panels, as before any module is loaded."""
        while self._tabs.count():
            panel = self._tabs.widget(0)
            self._tabs.removeTab(0)
            panel.deleteLater()

"""Behaving stand-ins for the CTK widgets the module uses.

Each has the properties, signals and slots of the real class that the module may touch, and no other:
`API` lists the methods that exist in the real class, `SIGNALS` its signals with C++ types that PySide6
does not know. What is not here does not exist for the module under test.
"""

from __future__ import annotations

from PySide6.QtCore import Property, QDir, QPoint, QRect, Qt, Signal, Slot
from PySide6.QtGui import QColor, QPainter, QPalette, QPolygon
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSlider,
    QToolButton,
    QWidget,
)

HEADER_HEIGHT = 24


class ctkCollapsibleButton(QAbstractButton):
    """A section with a header that opens and closes it."""

    API = frozenset()
    contentsCollapsed = Signal(bool)

    def __init__(self, *arguments):
        super().__init__()
        if arguments and isinstance(arguments[0], str):
            self.setText(arguments[0])
        self._collapsed = False
        self.setContentsMargins(0, HEADER_HEIGHT, 0, 0)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.clicked.connect(lambda checked: self._setCollapsed(not self._collapsed))

    def _isCollapsed(self):
        return self._collapsed

    def _setCollapsed(self, collapsed):
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self._applyVisibility()
        self.contentsCollapsed.emit(collapsed)

    collapsed = Property(bool, _isCollapsed, _setCollapsed, user=True)

    def _applyVisibility(self):
        self.setFixedHeight(HEADER_HEIGHT + 2) if self._collapsed else self._unfix()
        self.updateGeometry()

    def _unfix(self):
        self.setMinimumHeight(0)
        self.setMaximumHeight(16777215)

    def sizeHint(self):
        hint = self.layout().totalSizeHint() if self.layout() else super().minimumSizeHint()
        hint.setHeight(max(hint.height(), HEADER_HEIGHT))
        return hint

    def minimumSizeHint(self):
        return self.sizeHint()

    def paintEvent(self, event):
        painter = QPainter(self)
        header = QRect(0, 0, self.width(), HEADER_HEIGHT - 2)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.palette().color(QPalette.ColorRole.Button).darker(108))
        painter.drawRoundedRect(header, 3, 3)
        painter.setBrush(QColor(70, 70, 70))
        y = HEADER_HEIGHT // 2 - 1
        closed = [(8, y - 5), (14, y), (8, y + 5)]
        opened = [(6, y - 3), (16, y - 3), (11, y + 4)]
        painter.drawPolygon(QPolygon([QPoint(*p) for p in (closed if self._collapsed else opened)]))
        painter.setPen(QColor(20, 20, 20))
        painter.drawText(header.adjusted(22, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self.text())


class ctkSliderWidget(QWidget):
    """A slider and a spin box that show one number."""

    API = frozenset({"setRange", "reset"})
    valueChanged = Signal(float)
    valueIsChanging = Signal(float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._slider, self._box = QSlider(Qt.Orientation.Horizontal), QDoubleSpinBox()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._box)
        self._slider.setRange(0, 1000)
        self._slider.valueChanged.connect(self._slid)
        self._box.valueChanged.connect(self._typed)

    def _slid(self, position):
        low, high = self._box.minimum(), self._box.maximum()
        step = self._box.singleStep() or 1
        self._box.setValue(low + round((high - low) * position / 1000 / step) * step)

    def _typed(self, value):
        low, high = self._box.minimum(), self._box.maximum()
        self._slider.blockSignals(True)
        self._slider.setValue(int(1000 * (value - low) / (high - low)) if high > low else 0)
        self._slider.blockSignals(False)
        self.valueChanged.emit(value)

    def setRange(self, low, high):
        self._box.setRange(low, high)
        self._typed(self._box.value())

    value = Property(float, lambda s: s._box.value(), lambda s, v: s._box.setValue(v), user=True)
    minimum = Property(
        float, lambda s: s._box.minimum(), lambda s, v: s.setRange(v, s._box.maximum())
    )
    maximum = Property(
        float, lambda s: s._box.maximum(), lambda s, v: s.setRange(s._box.minimum(), v)
    )
    singleStep = Property(
        float, lambda s: s._box.singleStep(), lambda s, v: s._box.setSingleStep(v)
    )
    pageStep = Property(float, lambda s: 0.0, lambda s, v: None)
    decimals = Property(int, lambda s: s._box.decimals(), lambda s, v: s._box.setDecimals(v))
    suffix = Property(str, lambda s: s._box.suffix(), lambda s, v: s._box.setSuffix(v))
    tracking = Property(bool, lambda s: True, lambda s, v: None)


class ctkPathLineEdit(QWidget):
    """A line for a file or folder with a browse button."""

    API = frozenset({"addCurrentPathToHistory", "Dirs", "Files"})
    Dirs, Files = 0x001, 0x002
    currentPathChanged = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._line, self._button = QLineEdit(), QToolButton()
        self._button.setText("...")
        layout.addWidget(self._line, 1)
        layout.addWidget(self._button)
        self._line.textChanged.connect(self.currentPathChanged)
        self._key, self._filters = "", 0x007

    def addCurrentPathToHistory(self):
        pass

    currentPath = Property(
        str, lambda s: s._line.text(), lambda s, v: s._line.setText(v), user=True
    )
    settingKey = Property(str, lambda s: s._key, lambda s, v: setattr(s, "_key", v))
    filters = Property(int, lambda s: s._filters, lambda s, v: setattr(s, "_filters", v))


class ctkComboBox(QComboBox):
    """A combo box whose current item can be said by its data; an unknown one changes nothing."""

    API = frozenset({"setCurrentUserDataAsString"})

    def _data(self):
        found = self.itemData(self.currentIndex())
        return "" if found is None else str(found)

    def setCurrentUserDataAsString(self, data):
        rows = [row for row in range(self.count()) if str(self.itemData(row)) == data]
        if rows:
            self.setCurrentIndex(rows[0])

    currentUserDataAsString = Property(str, _data, setCurrentUserDataAsString)


class ctkDirectoryButton(QWidget):
    """A button that shows a folder and asks for another.

    As the original: `directory` is "." until something is chosen, the button then shows Slicer's current
    folder, `directorySelected` comes with every choice and `directoryChanged` only with another one.
    """

    API = frozenset({"browse"})
    directoryChanged = Signal(str)
    directorySelected = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._button = QPushButton("...")
        self._button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        layout.addWidget(self._button)
        self._directory, self._text = ".", ""
        self._button.clicked.connect(self.browse)

    @Slot(result=str)
    def browse(self):
        """Ask; nothing changes when the user cancels."""
        chosen = QFileDialog.getExistingDirectory(self, self.toolTip(), self._directory)
        if chosen:
            self._set(chosen)
        return chosen

    def _set(self, directory):
        wanted = QDir(directory).absolutePath()
        changed = wanted != QDir(self._directory).absolutePath()
        if changed:
            self._directory = wanted
        self._elide()
        self.directorySelected.emit(wanted)
        if changed:
            self.directoryChanged.emit(wanted)

    def _setText(self, text):
        self._text = text
        self._elide()

    def _elide(self):
        width = self._button.width() - 16
        shown = self._text or QDir(self._directory).absolutePath()
        metrics = self._button.fontMetrics()
        self._button.setText(metrics.elidedText(shown, Qt.TextElideMode.ElideMiddle, width))

    def resizeEvent(self, event):
        super().resizeEvent(event)
        self._elide()

    directory = Property(str, lambda s: s._directory, _set, user=True)
    text = Property(str, lambda s: s._text, _setText)


CTK = {c.__name__: c for c in (ctkCollapsibleButton, ctkSliderWidget, ctkPathLineEdit)}
CTK |= {c.__name__: c for c in (ctkDirectoryButton, ctkComboBox)}

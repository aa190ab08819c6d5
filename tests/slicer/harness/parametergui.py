"""Which widget can show which field, with the rules of Slicer 5.12's guiConnectors."""

from __future__ import annotations

from harness.parameterfields import PATHS, Choice, Field, Maximum, Minimum, WithinRange

# widget class -> (types it can stand for, property that holds the value, its change signal)
PLAIN = {
    "QCheckBox": ((bool,), "checked", "stateChanged"),
    "QPushButton": ((bool,), "checked", "toggled"),
    "QSpinBox": ((int,), "value", "valueChanged"),
    "QSlider": ((int,), "value", "valueChanged"),
    "QDoubleSpinBox": ((float, int), "value", "valueChanged"),
    "ctkSliderWidget": ((float, int), "value", "valueChanged"),
    "QLineEdit": ((str,), "text", "textChanged"),
    "ctkPathLineEdit": (PATHS, "currentPath", "currentPathChanged"),
    "ctkDirectoryButton": (PATHS, "directory", "directoryChanged"),
}
BOUNDED = ("QSlider", "ctkSliderWidget")


def connector(widget, field: Field):
    """The connector of this widget for this field; RuntimeError where Slicer has none."""
    name = widget.className()
    if name == "qMRMLNodeComboBox" and field.nodeTypes:
        return NodeConnector(widget, field)
    if name == "QComboBox" and field.kind in (int, float, str, bool):
        return ChoiceConnector(widget, field)
    if name in PLAIN and field.kind in PLAIN[name][0]:
        return PlainConnector(widget, field)
    raise RuntimeError(f"Unable to create GUI connector from {field.unalteredType} to {name}")


class Connector:
    """Keeps one widget and one field equal; the signal is an attribute of the widget."""

    def __init__(self, widget, field, signal):
        self.widget, self.field, self.signal, self.callback = widget, field, signal, None

    def changed(self):
        if self.callback is not None:
            self.callback()

    def onChanged(self, callback):
        signal = getattr(self.widget, self.signal)
        signal.disconnect(self.changed) if callback is None else signal.connect(self.changed)
        self.callback = callback


class PlainConnector(Connector):
    def __init__(self, widget, field):
        name = widget.className()
        _, self.property, signal = PLAIN[name]
        super().__init__(widget, field, signal)
        if name == "QPushButton" and not widget.checkable:
            raise RuntimeError(f"{field.name}: make the push button checkable in the .ui file")
        if self.property == "value":
            self._bound(name)

    def _bound(self, name):
        if self.field.kind is int and name in ("QDoubleSpinBox", "ctkSliderWidget"):
            self.widget.decimals = 0
        within = self.field.annotated(WithinRange)
        low, high = within or self.field.annotated(Minimum), within or self.field.annotated(Maximum)
        if name in BOUNDED and (low is None or high is None):
            raise RuntimeError(f"{self.field.name}: a slider needs a range")
        if low is not None:
            self.widget.minimum = low.minimum
        if high is not None:
            self.widget.maximum = high.maximum

    def read(self):
        return self.field.kind(getattr(self.widget, self.property))

    def write(self, value):
        setattr(self.widget, self.property, str(value) if self.field.kind in PATHS else value)


class ChoiceConnector(Connector):
    def __init__(self, widget, field):
        super().__init__(widget, field, "currentIndexChanged")
        choice = field.annotated(Choice)
        if choice is None:
            raise RuntimeError(f"{field.name}: a QComboBox needs a Choice annotation")
        self.choices = list(choice.choices)
        widget.clear()
        for one in self.choices:
            widget.addItem(str(one))

    def read(self):
        return self.choices[self.widget.currentIndex]

    def write(self, value):
        self.widget.currentIndex = self.choices.index(value)  # ValueError where it is none


class NodeConnector(Connector):
    def __init__(self, widget, field):
        super().__init__(widget, field, "currentNodeChanged")
        # A tuple, as Slicer gives it; a class that cannot be made (an abstract one) is an error.
        widget.nodeTypes = tuple(kind().GetClassName() for kind in field.nodeTypes)

    def read(self):
        return self.widget.currentNode()

    def write(self, value):
        self.widget.setCurrentNode(value)

"""A small `slicer.parameterNodeWrapper`: typed fields on a real vtkMRMLScriptedModuleNode.

As strict as Slicer's where that can catch a fault: the value's type, range and choice are checked when
it is written, a widget must suit the field's type, an unbounded slider is refused, a name that is not
a field is an error.
"""

from __future__ import annotations

import pathlib
import types
import typing

import slicer
import vtk


class WithinRange:
    def __init__(self, minimum, maximum):
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within {self.minimum}..{self.maximum}")


class Choice:
    def __init__(self, choices):
        self.choices = choices

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"{value!r} is not one of {self.choices}")


class Default:
    def __init__(self, value):
        self.value = value


def _isNode(kind) -> bool:
    return isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode)


class _Field:
    """One typed field: how it is checked, written to and read from the node."""

    def __init__(self, name, annotation, default):
        self.name, self.annotation = name, annotation
        extras = getattr(annotation, "__metadata__", ())
        base = annotation.__origin__ if extras else annotation
        union = typing.get_origin(base) in (typing.Union, types.UnionType)
        self.types = typing.get_args(base) if union else (base,)
        # typing turns None into NoneType. Slicer writes the default, and a Union of node types
        # takes None only where it names it; a single node type always does.
        self.takesNone = not union or type(None) in self.types
        self.types = tuple(t for t in self.types if t is not type(None))
        self.isNode = all(_isNode(t) for t in self.types)
        plain = (int, float, str, bool, pathlib.Path)
        if not self.isNode and (union or self.types[0] not in plain):
            raise TypeError(f"no serializer for {name}: {annotation}")
        self.validators = [e for e in extras if hasattr(e, "validate")]
        self.default = default
        if default is not None:
            self.check(default)

    def validator(self, kind):
        return next((v for v in self.validators if isinstance(v, kind)), None)

    @property
    def serializer(self):
        return self

    def validate(self, value):
        self.check(value)

    def check(self, value):
        if self.isNode:
            if value is None and not self.takesNone:
                raise TypeError(f"Unable to write value 'None' of type {type(None)} to {self.name}")
            if value is not None and not isinstance(value, self.types):
                raise TypeError(f"{self.name} takes {self.types}, got {value.GetClassName()}")
            return
        allowed = (int, float) if self.types[0] is float else self.types[0]
        if not isinstance(value, allowed):
            raise TypeError(f"{self.name} takes {self.types[0].__name__}, got {value!r}")
        for validator in self.validators:
            validator.validate(value)

    def write(self, node, value):
        self.check(value)
        if self.isNode:
            node.SetParameter(self.name, "")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        else:
            node.SetParameter(self.name, str(value))

    def read(self, node):
        if self.isNode:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        return text == "True" if self.types[0] is bool else self.types[0](text)


# widget class -> (types it can stand for, property that holds the value, its change signal)
_WIDGETS = {
    "QCheckBox": ((bool,), "checked", "stateChanged(int)"),
    "QPushButton": ((bool,), "checked", "toggled(bool)"),
    "QSpinBox": ((int,), "value", "valueChanged(int)"),
    "QSlider": ((int,), "value", "valueChanged(int)"),
    "QDoubleSpinBox": ((float,), "value", "valueChanged(double)"),
    "ctkSliderWidget": ((float,), "value", "valueChanged(double)"),
    "QLineEdit": ((str,), "text", "textChanged(QString)"),
    "ctkPathLineEdit": ((pathlib.Path,), "currentPath", "currentPathChanged(QString)"),
    "ctkDirectoryButton": ((pathlib.Path,), "directory", "directoryChanged(QString)"),
}


class _Connector:
    """Keeps one widget and one field equal, both ways."""

    def __init__(self, widget, field: _Field):
        self.widget, self.field, self.callback = widget, field, None
        name = widget.className()
        self.isNode = name == "qMRMLNodeComboBox" and field.isNode
        choice = field.validator(Choice)
        self.choices = choice.choices if name == "QComboBox" and choice else None
        if name == "QComboBox" and choice is None:
            raise RuntimeError(f"{field.name}: a QComboBox needs a Choice annotation")
        if not self.isNode and self.choices is None:
            if name not in _WIDGETS or field.types[0] not in _WIDGETS[name][0]:
                raise RuntimeError(f"{field.name}: no connector from {field.types} to {name}")
            self._setRange(name)
        self.signal = self._prepare(name)

    def _setRange(self, name):
        limits = self.field.validator(WithinRange)
        if limits is not None:
            self.widget.minimum, self.widget.maximum = limits.minimum, limits.maximum
        elif name in ("QSlider", "ctkSliderWidget"):
            raise RuntimeError(f"{self.field.name}: a slider needs a range")

    def _prepare(self, name) -> str:
        if self.isNode:
            self.widget.nodeTypes = [t.__name__ for t in self.field.types]
            return "currentNodeChanged(vtkMRMLNode*)"
        if self.choices is not None:
            self.widget.clear()
            for choice in self.choices:
                self.widget.addItem(str(choice))
            return "currentIndexChanged(int)"
        return _WIDGETS[name][2]

    def read(self):
        if self.isNode:
            return self.widget.currentNode()
        if self.choices is not None:
            return self.choices[self.widget.currentIndex]
        value = getattr(self.widget, _WIDGETS[self.widget.className()][1])
        return self.field.types[0](value)

    def write(self, value):
        if self.isNode:
            self.widget.setCurrentNode(value)
        elif self.choices is not None:
            self.widget.currentIndex = list(self.choices).index(value)
        else:
            value = str(value) if isinstance(value, pathlib.Path) else value
            setattr(self.widget, _WIDGETS[self.widget.className()][1], value)

    def changed(self):
        if self.callback is not None:
            self.callback()

    def onChanged(self, callback):
        if callback is None:
            self.widget.disconnect(self.signal, self.changed)
        else:
            self.widget.connect(self.signal, self.changed)
        self.callback = callback


def parameterNodeWrapper(cls):
    """Turn a class of annotations into a typed view of a parameter node."""
    fields = {}
    for name, annotation in typing.get_type_hints(cls, include_extras=True).items():
        inline = [e for e in getattr(annotation, "__metadata__", ()) if isinstance(e, Default)]
        field = _Field(name, annotation, None)
        default = getattr(cls, name, inline[0].value if inline else None)
        field.default = field.types[0]() if default is None and not field.isNode else default
        # Not checked here: Slicer finds a wrong default when the first wrapper is made.
        fields[name] = field
        setattr(cls, name, property(_getter(name), _setter(name)))
    cls.allParameters = fields
    for function in (__init__, connectGui, disconnectGui, getValue, setValue):
        setattr(cls, function.__name__, function)
    cls.StartModify = lambda self: self.parameterNode.StartModify()
    cls.EndModify = lambda self, previous: self.parameterNode.EndModify(previous)
    cls.Modified = lambda self: self.parameterNode.Modified()
    cls.AddObserver = lambda self, event, call, priority=0.0: self.parameterNode.AddObserver(
        event, call, priority
    )
    cls.RemoveObserver = lambda self, tag: self.parameterNode.RemoveObserver(tag)
    cls.__setattr__ = _checkedSetattr
    return cls


def _getter(name):
    return lambda self: self.allParameters[name].read(self.parameterNode)


def _setter(name):
    return lambda self, value: self.allParameters[name].write(self.parameterNode, value)


_INTERNAL = {"parameterNode", "_guis", "_nextTag", "_updating"}


def _checkedSetattr(self, name, value):
    # Slicer's wrapper would silently make a new Python attribute that is never saved.
    if name not in self.allParameters and name not in _INTERNAL:
        raise AttributeError(f"{type(self).__name__} has no field {name!r}")
    object.__setattr__(self, name, value)


def __init__(self, parameterNode, prefix=None):
    self.parameterNode = parameterNode
    self._guis, self._nextTag, self._updating = {}, 0, False
    for field in self.allParameters.values():
        if not parameterNode.HasParameter(field.name):
            field.write(parameterNode, field.default)


def getValue(self, name):
    if name not in self.allParameters:
        raise ValueError(f"cannot find a parameter named {name!r}")
    return getattr(self, name)


def setValue(self, name, value):
    self.getValue(name)
    setattr(self, name, value)


def connectGui(self, gui):
    children = [*gui.findChildren(_qwidget())] if hasattr(gui, "findChildren") else []
    children = children or list(vars(gui).values())
    connectors = {}
    for widget in children:
        name = widget.property("SlicerParameterName")
        if name:
            if name not in self.allParameters:
                raise ValueError(f"widget {widget.name!r} names no parameter: {name!r}")
            connectors[name] = _Connector(widget, self.allParameters[name])
    for name, connector in connectors.items():
        connector.write(self.getValue(name))
        connector.onChanged(lambda n=name, c=connector: _fromGui(self, n, c))
    # The observer below is never removed, as in Slicer. VTK lets Python collect a callback that only
    # its own node refers to, although the node lives on in the scene; so it is kept here.
    _kept.append(self)
    self._nextTag += 1
    self._guis[self._nextTag] = connectors
    self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, event: _toGui(self))
    return self._nextTag


_kept: list = []


def _qwidget():
    import qt

    return qt.QWidget


def _fromGui(self, name, connector):
    if not self._updating:
        with slicer.util.NodeModify(self):
            self.setValue(name, connector.read())


def _toGui(self):
    if self._updating:
        return
    self._updating = True
    try:
        for connectors in self._guis.values():
            for name, connector in connectors.items():
                connector.write(self.getValue(name))
    finally:
        self._updating = False


def disconnectGui(self, tag):
    for connector in self._guis.pop(tag, {}).values():
        connector.onChanged(None)

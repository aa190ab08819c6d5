"""A small `slicer.parameterNodeWrapper`: typed fields on a real vtkMRMLScriptedModuleNode.

At least as strict as the one of Slicer 5.12.3, read beside it: defaults are written, and so checked, when
a wrapper is made; values are cached until the node says that it was modified; names of its own cannot
be fields. Stricter: a name that is no field is an error, and so is a parameter with two widgets.
`test_panel_wrapper.py` runs the same rules on this one and on Slicer's own (slicersources.py).
"""

from __future__ import annotations

import types
import typing
import weakref

import slicer
import vtk

from harness import parametergui
from harness.parameterfields import Choice, Default, Field, Maximum, Minimum, Validator, WithinRange


def module() -> types.ModuleType:
    """`slicer.parameterNodeWrapper`."""
    made = types.ModuleType("slicer.parameterNodeWrapper")
    made.parameterNodeWrapper = parameterNodeWrapper
    for one in (Choice, Default, Maximum, Minimum, Validator, WithinRange):
        setattr(made, one.__name__, one)
    return made


class _Cached:
    """A field's value in one node, read again only when the node is modified."""

    def __init__(self, field: Field, node, name: str):
        self.field, self.node, self.name = field, node, name
        self.value, self.writing = self._read(), False
        me = weakref.ref(self)  # the node must not keep it alive
        self.tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *a: me()._modified())

    def __del__(self):
        if hasattr(self, "tag"):
            self.node.RemoveObserver(self.tag)

    def _read(self):
        inner = self.field.serializer.inner
        if not inner.isIn(self.node, self.name):
            self.field.serializer.write(self.node, self.name, self.field.default.value)
        return inner.read(self.node, self.name)

    def _modified(self):
        if not self.writing:
            self.value = self._read()

    def write(self, value):
        self.writing = True
        try:
            with slicer.util.NodeModify(self.node):
                self.field.serializer.write(self.node, self.name, value)
                self.value = self._read()
        finally:
            self.writing = False


def parameterNodeWrapper(cls=None):
    """Turn a class of annotations into a typed view of a parameter node."""
    if cls is None:
        return parameterNodeWrapper
    fields = {}
    for name, annotation in typing.get_type_hints(cls, include_extras=True).items():
        fields[name] = Field(name, annotation, cls)
        setattr(cls, name, property(_getter(name), _setter(name)))
    reserved = {"allParameters": fields, "_is_parameter_node_wrapper": True}
    reserved |= {f.__name__: f for f in _METHODS}
    for name, value in reserved.items():
        if hasattr(cls, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
        setattr(cls, name, value)
    cls.__init__, cls.__setattr__ = _init, _checkedSetattr
    return cls


def _getter(name):
    return lambda self: self._cached[name].value


def _setter(name):
    return lambda self, value: self._cached[name].write(value)


_INTERNAL = {"parameterNode", "_cached", "_guis", "_tags", "_nextTag", "_updating"}


def _checkedSetattr(self, name, value):
    # Slicer's wrapper would silently make a new Python attribute that is never saved.
    if name not in self.allParameters and name not in _INTERNAL:
        raise AttributeError(f"{type(self).__name__} has no field {name!r}")
    object.__setattr__(self, name, value)


def _init(self, parameterNode, prefix=None):
    self.parameterNode = parameterNode
    self._guis, self._tags, self._nextTag, self._updating = {}, {}, 0, False
    self._cached = {}
    for field in self.allParameters.values():
        name = f"{prefix or ''}{field.name}"
        self._cached[field.name] = _Cached(field, parameterNode, name)


def _known(self, name):
    if name not in self.allParameters:
        raise ValueError(f"Cannot find a param with the given name: {name}")


def getValue(self, name):
    _known(self, name)
    return getattr(self, name)


def setValue(self, name, value):
    _known(self, name)
    setattr(self, name, value)


def default(self, name):
    _known(self, name)
    return self.allParameters[name].default


def isCached(self, name):
    _known(self, name)
    return True


def dataType(self, name):
    _known(self, name)
    return self.allParameters[name].unalteredType


def connectParametersToGui(self, mapping):
    raise NotImplementedError("this harness connects by SlicerParameterName only: use connectGui")


def connectGui(self, gui):
    import qt

    isWidget = getattr(gui, "isWidgetType", lambda: False)()
    widgets = gui.findChildren(qt.QWidget) if isWidget else list(vars(gui).values())
    named = [(w.property("SlicerParameterName"), w) for w in widgets]
    named = [(name, widget) for name, widget in named if name]
    for name, widget in named:
        _known(self, name)
        if [n for n, _ in named].count(name) > 1:
            raise ValueError(f"parameter {name!r} has a second widget, {widget.name!r}")
    connectors = {name: parametergui.connector(w, self.allParameters[name]) for name, w in named}
    tag = self._nextTag
    self._nextTag += 1
    self._guis[tag] = connectors
    for name, connector in connectors.items():
        connector.write(self.getValue(name))
        connector.onChanged(lambda n=name, c=connector: _fromGui(self, n, c))
    self._tags[tag] = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *a: _toGui(self))
    return tag


def _fromGui(self, name, connector):
    with slicer.util.NodeModify(self):
        if not self._updating:
            self.setValue(name, connector.read())


def _toGui(self):
    if self._updating:
        return
    self._updating = True
    try:
        with slicer.util.NodeModify(self):
            for connectors in self._guis.values():
                for name, connector in connectors.items():
                    connector.write(self.getValue(name))
    finally:
        self._updating = False


def disconnectGui(self, tag):
    for connector in self._guis.pop(tag, {}).values():
        connector.onChanged(None)
    if tag in self._tags:
        self.RemoveObserver(self._tags.pop(tag))


def StartModify(self):
    return self.parameterNode.StartModify()


def EndModify(self, previous):
    return self.parameterNode.EndModify(previous)


def Modified(self):
    self.parameterNode.Modified()


def AddObserver(self, event, callback, priority=0.0):
    return self.parameterNode.AddObserver(event, callback, priority)


def RemoveObserver(self, tag):
    self.parameterNode.RemoveObserver(tag)


_METHODS = (getValue, setValue, default, isCached, dataType)
_METHODS += (connectGui, connectParametersToGui, disconnectGui)
_METHODS += (StartModify, EndModify, Modified, AddObserver, RemoveObserver)

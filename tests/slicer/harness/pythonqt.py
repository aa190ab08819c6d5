"""PythonQt's manners on top of PySide6, so that a Slicer module runs unchanged without Slicer's Qt.

What PythonQt does and PySide6 does not: properties are attributes (`button.text`, `box.checked =
True`), signals are connected by their C++ signature (`widget.connect("clicked(bool)", slot)`), a slot
may take fewer arguments than the signal gives. Stricter than PythonQt where it only prints a line: an
unknown signal, property or attribute is an error, and so is an exception inside a slot (it is kept in
`slotErrors`, which every test checks at its end).
"""

from __future__ import annotations

import inspect
import sys
import types

from PySide6 import QtCore, QtGui, QtWidgets

slotErrors: list[BaseException] = []
_classes: dict[type, type] = {}
_connections: dict[tuple, tuple] = {}


def unwrap(value):
    """The PySide6 value behind a wrapper; wrapper classes become PySide6 classes."""
    if isinstance(value, Wrapped):
        return value.q
    if isinstance(value, type) and issubclass(value, Wrapped):
        return value.pyside
    if isinstance(value, (list, tuple)):
        return type(value)(unwrap(v) for v in value)
    return value


def wrap(value):
    """A PySide6 object as PythonQt would hand it out; plain values stay as they are."""
    if isinstance(value, QtCore.QObject):
        existing = getattr(value, "_wrapper", None)
        if existing is not None:
            return existing
        return wrapperClass(type(value))._around(value)
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(wrap(v) for v in value)
    return value


def wrapperClass(pysideClass: type) -> type:
    """The wrapper class for a PySide6 class, with wrapped bases so that isinstance works."""
    if pysideClass not in _classes:
        bases = tuple(
            wrapperClass(base)
            for base in pysideClass.__bases__
            if isinstance(base, type) and issubclass(base, QtCore.QObject)
        )
        _classes[pysideClass] = _Meta(
            pysideClass.__name__, bases or (Wrapped,), {"pyside": pysideClass}
        )
    return _classes[pysideClass]


def _relayed(function):
    def call(*args, **kwargs):
        return wrap(
            function(*[unwrap(a) for a in args], **{k: unwrap(v) for k, v in kwargs.items()})
        )

    return call


class _Meta(type):
    """Class-level access: static methods and enumerations (`qt.QTimer.singleShot`, `qt.QFile.ReadOnly`)."""

    def __getattr__(cls, name):
        if name.startswith("_") or cls.__dict__.get("pyside", cls.pyside) is None:
            raise AttributeError(name)
        if cls.pyside is QtCore.QTimer and name == "singleShot":
            return _singleShot
        value = getattr(cls.pyside, name)
        plain = isinstance(value, type) or not callable(value)
        return value if plain else _relayed(value)


def _singleShot(milliseconds, slot):
    QtCore.QTimer.singleShot(int(milliseconds), lambda: _guarded(slot))


def _guarded(slot, *args):
    try:
        return slot(*args)
    except BaseException as error:  # noqa: BLE001 - kept for the test's end, as an application would log it
        slotErrors.append(error)
        sys.excepthook(type(error), error, error.__traceback__)


def _acceptedArguments(slot, given: int) -> int:
    """How many of a signal's arguments PythonQt passes on to this callable."""
    try:
        parameters = inspect.signature(slot).parameters.values()
    except (TypeError, ValueError):
        return given
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return given
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty]
    if len(required) > given:
        raise TypeError(f"{slot} needs {len(required)} arguments, the signal gives {given}")
    return min(given, len(positional))


def _fixedArity(slot, arity: int):
    """PySide6 hands no argument to a slot with *args, so the relay spells its arguments out."""
    accepted = _acceptedArguments(slot, arity)
    if arity == 0:
        return lambda: _guarded(slot)
    if arity == 1:
        return lambda a: _guarded(slot, *[wrap(a)][:accepted])
    return lambda a, b: _guarded(slot, *[wrap(a), wrap(b)][:accepted])


class BoundSignal:
    """A signal of one object: `widget.valueChanged.connect(slot)`."""

    def __init__(self, owner: Wrapped, signature: str):
        self.owner, self.signature = owner, signature

    def _native(self):
        q = self.owner.q
        alias = getattr(type(q), "SIGNALS", {}).get(self.signature)
        name, arguments = (alias or self.signature).rstrip(")").split("(")
        arity = len([a for a in arguments.split(",") if a])
        native = getattr(q, name)
        if alias is None and arguments:
            native = native[arguments] if _overloaded(q, name) else native
        return native, arity

    def connect(self, slot):
        native, arity = self._native()
        relay = _fixedArity(slot, arity)
        native.connect(relay)
        _connections[id(self.owner.q), self.signature, slot] = native, relay
        return True

    def disconnect(self, slot):
        native, relay = _connections.pop((id(self.owner.q), self.signature, slot))
        native.disconnect(relay)
        return True


def _overloaded(q, name: str) -> bool:
    meta = q.metaObject()
    found = {
        bytes(meta.method(i).methodSignature().data()).decode()
        for i in range(meta.methodCount())
        if bytes(meta.method(i).name().data()).decode() == name
    }
    return len(found) > 1


def signalSignature(q, signature: str) -> str | None:
    """The normalized signature where `q` has that signal, else None."""
    normalized = bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()
    if normalized in getattr(type(q), "SIGNALS", {}):
        return normalized
    return normalized if q.metaObject().indexOfSignal(normalized) >= 0 else None


class Wrapped(metaclass=_Meta):
    """One Qt object seen through PythonQt."""

    pyside = None

    def __init__(self, *args):
        object.__setattr__(self, "q", self.pyside(*[unwrap(a) for a in args]))
        self.q._wrapper = self

    @classmethod
    def _around(cls, q):
        self = object.__new__(cls)
        object.__setattr__(self, "q", q)
        q._wrapper = self
        return self

    def __getattr__(self, name):
        q = self.q
        if name == "name":
            return q.objectName()
        if q.metaObject().indexOfProperty(name) >= 0:
            return wrap(q.property(name))
        return self._methodOrSignal(q, name)

    def _methodOrSignal(self, q, name):
        aliases = getattr(type(q), "SIGNALS", {})
        for signature in aliases:
            if signature.split("(")[0] == name:
                return BoundSignal(self, signature)
        value = None if name.startswith("_") else getattr(q, name, None)
        relayed = {native.split("(")[0] for native in dict(aliases).values()}
        if isinstance(value, QtCore.SignalInstance) and name not in relayed:
            return BoundSignal(self, self._firstSignature(q, name))
        if value is None or self._hidden(type(q), name):
            raise AttributeError(f"{type(q).__name__} has no attribute {name!r}")
        return _relayed(value)

    @staticmethod
    def _hidden(pysideClass, name) -> bool:
        """Helpers of our own stand-ins are not part of the class they stand for."""
        for cls in pysideClass.__mro__:
            if name in cls.__dict__:
                return "API" in cls.__dict__ and name not in cls.API
        return True

    @staticmethod
    def _firstSignature(q, name) -> str:
        meta = q.metaObject()
        signatures = [
            bytes(meta.method(i).methodSignature().data()).decode()
            for i in range(meta.methodCount())
            if bytes(meta.method(i).name().data()).decode() == name
        ]
        return max(signatures, key=len)

    def __setattr__(self, name, value):
        q = self.q
        name = "objectName" if name == "name" else name
        index = q.metaObject().indexOfProperty(name)
        if index < 0:
            raise AttributeError(f"{type(q).__name__} has no property {name!r}")
        if not q.metaObject().property(index).isWritable():
            raise AttributeError(f"{type(q).__name__}.{name} is read-only")
        given = list(value) if isinstance(value, tuple) else value  # any sequence is a QStringList
        if not q.setProperty(name, unwrap(given)):
            raise TypeError(f"{type(q).__name__}.{name} cannot be set to {value!r}")

    def __bool__(self):
        return True

    def className(self):
        return type(self.q).__name__

    def connect(self, signature, slot):
        normalized = signalSignature(self.q, signature)
        if normalized is None:
            raise ValueError(f"{type(self.q).__name__} has no signal {signature!r}")
        return BoundSignal(self, normalized).connect(slot)

    def disconnect(self, signature, slot):
        return BoundSignal(self, signalSignature(self.q, signature)).disconnect(slot)


def qtModule() -> types.ModuleType:
    """The `qt` module: every class of QtCore, QtGui and QtWidgets by its name."""
    module = types.ModuleType("qt")

    def find(name):
        for library in (QtCore, QtGui, QtWidgets):
            if hasattr(library, name):
                value = getattr(library, name)
                if isinstance(value, type) and issubclass(value, QtCore.QObject):
                    value = wrapperClass(value)
                setattr(module, name, value)
                return value
        raise AttributeError(f"module 'qt' has no attribute {name!r}")

    module.__getattr__ = find
    return module

"""The typed fields of a parameter node, with the rules of Slicer 5.12's serializers and validators.

What a value is checked against, under which names it is stored, and what a missing default becomes.
Fewer types than Slicer knows; what is not here is refused.
"""

from __future__ import annotations

import pathlib
import types
import typing

import slicer

PATHS = (pathlib.Path, pathlib.PurePath)


class Validator:
    """Annotations that check a value derive from this; Slicer ignores others."""


class WithinRange(Validator):
    def __init__(self, minimum, maximum):
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within {self.minimum}..{self.maximum}")


class Minimum(Validator):
    def __init__(self, minimum):
        self.minimum = minimum

    def validate(self, value):
        if value < self.minimum:
            raise ValueError(f"{value} is less than {self.minimum}")


class Maximum(Validator):
    def __init__(self, maximum):
        self.maximum = maximum

    def validate(self, value):
        if value > self.maximum:
            raise ValueError(f"{value} is more than {self.maximum}")


class Choice(Validator):
    def __init__(self, choices):
        self.choices = choices

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"{value!r} is not one of {self.choices}")


class Default:
    def __init__(self, value=None, *, generator=None):
        self._value, self._generator = value, generator

    @property
    def value(self):
        return self._generator() if self._generator else self._value


class One:
    """One type: how its value is checked, stored and read back."""

    def __init__(self, kind):
        self.kind = kind
        self.isNode = isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode)
        self.isNone = kind is type(None)
        if not self.isNode and not self.isNone and kind not in (int, float, str, bool, *PATHS):
            raise TypeError(f"Unable to create serializer for type: {kind}")

    def default(self):
        if self.isNode or self.isNone:
            return None
        return 0 if self.kind in (int, float) else self.kind()

    def validate(self, value):
        if self.isNode and value is None:
            return
        allowed = (int, float) if self.kind is float else self.kind
        if not isinstance(value, allowed):
            raise TypeError(f"Value must be of type {self.kind}, is {type(value)} {value!r}")

    def isIn(self, node, name):
        return node.HasParameter(name)

    def write(self, node, name, value):
        text = "" if self.isNode else "True" if self.isNone else str(value)
        node.SetParameter(name, text)
        if self.isNode:
            node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node, name):
        if self.isNone:
            return None
        if self.isNode:
            return node.GetNodeReference(name)
        text = node.GetParameter(name)
        return text == "True" if self.kind is bool else self.kind(text)

    def remove(self, node, name):
        node.UnsetParameter(name)
        if self.isNode:
            node.RemoveNodeReferenceIDs(name)


class Several:
    """A Union: stored under the name and the number of the alternative that takes the value.

    None belongs to it only where the Union names it, although each node type alone takes None.
    """

    def __init__(self, kinds):
        self.ones = [One(kind) for kind in kinds]
        if any(not (one.isNode or one.isNone) for one in self.ones):
            raise TypeError(f"this harness knows Unions of node types only, got {kinds}")
        self.isNode = True

    def default(self):
        return self.ones[0].default()

    def validate(self, value):
        self._best(value)

    def _best(self, value):
        for number, one in enumerate(self.ones):
            if one.isNone and value is None:
                return number, one
            if one.isNode and value is not None and isinstance(value, one.kind):
                return number, one
        raise TypeError(f"Unable to write value '{value}' of type '{type(value)}'")

    def isIn(self, node, name):
        return any(one.isIn(node, f"{name}.{n}") for n, one in enumerate(self.ones))

    def write(self, node, name, value):
        number, best = self._best(value)
        with slicer.util.NodeModify(node):
            for n, one in enumerate(self.ones):
                one.remove(node, f"{name}.{n}")
            best.write(node, f"{name}.{number}", value)

    def read(self, node, name):
        for n, one in enumerate(self.ones):
            if one.isIn(node, f"{name}.{n}"):
                return one.read(node, f"{name}.{n}")
        raise KeyError(f"Unable to find value for name: {name}")


class Checked:
    """A serializer with the field's own validators on top."""

    def __init__(self, inner, validators):
        self.inner, self.validators = inner, validators
        self.isNode = inner.isNode

    def validate(self, value):
        self.inner.validate(value)
        for validator in self.validators:
            validator.validate(value)

    def write(self, node, name, value):
        self.validate(value)
        self.inner.write(node, name, value)


class Field:
    """One annotated name of a parameter node class."""

    def __init__(self, name, annotation, owner):
        extras = getattr(annotation, "__metadata__", ())
        self.name, self.unalteredType = name, annotation
        self.kind = annotation.__origin__ if extras else annotation
        self.nodeTypes = ()
        union = typing.get_origin(self.kind) in (typing.Union, types.UnionType)
        kinds = typing.get_args(self.kind) if union else (self.kind,)
        inner = Several(kinds) if union else One(self.kind)
        if inner.isNode:
            self.nodeTypes = tuple(kind for kind in kinds if kind is not type(None))
        self.serializer = Checked(inner, [e for e in extras if isinstance(e, Validator)])
        self.default = self._default(extras, owner)

    def _default(self, extras, owner):
        if hasattr(owner, self.name):
            return Default(getattr(owner, self.name))
        defaults = [e for e in extras if isinstance(e, Default)]
        unknown = [e for e in extras if not isinstance(e, (Default, Validator))]
        if len(defaults) > 1 or unknown:
            raise TypeError(f"{self.name}: one Default at most, and no {unknown}")
        return defaults[0] if defaults else Default(self.serializer.inner.default())

    def annotated(self, kind):
        """The field's first validator of a class, or None."""
        return next((v for v in self.serializer.validators if isinstance(v, kind)), None)

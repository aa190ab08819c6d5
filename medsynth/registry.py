"""What can be asked for by name: one file each, found in the folder of its package.

A file says what it offers in one statement at its end, such as

    SAMPLER = Method(title="Heun, deterministic, two network calls a step", make=Heun, rank=5)

A `Registry` reads that statement without running the file, so that the request's parser, `--help`, the
documentation and Slicer's lists know every name before anything heavy is loaded. The object itself is
there once `Entry.load` has imported the file.
"""

from __future__ import annotations

import ast
import difflib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

Declared = TypeVar("Declared")


@dataclass(frozen=True)
class Method:
    """What a file offers: a `title` for people, and `make`, which builds or is the thing itself.

    `name` is that of the file unless it is given. Lists show methods by `rank`, then by name.
    """

    title: str
    make: Callable[..., Any]
    name: str = ""
    rank: int = 100


@dataclass(frozen=True)
class Entry:
    """A declaration as it stands in its file; `facts` are its literal values by keyword."""

    name: str
    title: str
    module: str
    attribute: str
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def load(self) -> Any:
        """The declared object; its file is imported now."""
        return getattr(import_module(self.module), self.attribute)


class Registry(Mapping[str, Entry]):
    """The files of `package` that hold a statement `attribute = ...`, by name.

    The folder is read when the first name is asked for, and again by `discover`.
    """

    def __init__(self, package: str, attribute: str) -> None:
        self.package, self.attribute = package, attribute
        self._entries: dict[str, Entry] | None = None
        self._added: dict[str, Entry] = {}

    def add(self, entry: Entry) -> None:
        """Make known what lies outside of the package.

        Raises:
            ValueError: the name is taken.
        """
        if entry.name in self:
            raise ValueError(
                f"there is a {self.attribute.lower()} {entry.name!r} already; choose another name"
            )
        self._added[entry.name] = entry
        self.discover()

    def forget(self, name: str) -> None:
        """Take out what `add` made known."""
        del self._added[name]
        self.discover()

    def discover(self) -> dict[str, Entry]:
        """Read the folder now.

        Raises:
            ValueError: two files declare one name, or a declaration has no title.
        """
        found: dict[str, Entry] = {}
        for folder in _folders(self.package):
            for path in sorted(Path(folder).glob("*.py")):
                entry = _declared(path, self.package, self.attribute)
                if entry is None:
                    continue
                if entry.name in found:
                    raise ValueError(
                        f"two files declare {self.attribute} {entry.name!r}: {entry.module} and "
                        f"{found[entry.name].module}; rename one"
                    )
                found[entry.name] = entry
        found |= self._added
        ranked = sorted(
            found.values(), key=lambda entry: (entry.facts.get("rank", 100), entry.name)
        )
        self._entries = {entry.name: entry for entry in ranked}
        return self._entries

    @property
    def titles(self) -> dict[str, str]:
        """The title of every name."""
        return {name: entry.title for name, entry in self.items()}

    def __getitem__(self, name: str) -> Entry:
        return self._known()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def _known(self) -> dict[str, Entry]:
        return self.discover() if self._entries is None else self._entries


def _folders(package: str) -> list[str]:
    """The folders of `package`, which is not imported for that: its parents may be heavy."""
    if package in sys.modules:
        return list(sys.modules[package].__path__)
    root, *rest = package.split(".")
    return [str(Path(folder).joinpath(*rest)) for folder in import_module(root).__path__]


def _declared(path: Path, package: str, attribute: str) -> Entry | None:
    """The declaration in a file, None where it has none."""
    text = path.read_text(encoding="utf-8")
    start = re.search(rf"^{attribute} = ", text, re.MULTILINE)
    if start is None:
        return None
    statement = ast.parse(text[start.start() :]).body[0]
    call = statement.value if isinstance(statement, ast.Assign) else None
    facts = {}
    for keyword in call.keywords if isinstance(call, ast.Call) else ():
        try:
            facts[str(keyword.arg)] = ast.literal_eval(keyword.value)
        except ValueError:  # an object of the file, such as `make`
            continue
    if not isinstance(facts.get("title"), str):
        raise ValueError(f"{path}: {attribute} needs a title, such as title='Heun, deterministic'")
    name = facts.get("name") or path.stem
    return Entry(name, facts["title"], f"{package}.{path.stem}", attribute, MappingProxyType(facts))


class Imported(dict[str, Declared]):
    """The objects `attribute` of a package's files by their `name`; for files that are light to import.

    `what` is what such an object is called. In the order of their `rank`, where they have one, and name.
    """

    def __init__(self, package: str, attribute: str, *, what: str) -> None:
        super().__init__()
        self.package, self.attribute, self.what = package, attribute, what

    def discover(self) -> None:
        """Read the package's files now.

        Raises:
            ValueError: two files declare one name.
        """
        found: dict[str, Any] = {}
        for module in pkgutil.iter_modules(sys.modules[self.package].__path__):
            file = import_module(f"{self.package}.{module.name}")
            declared = getattr(file, self.attribute, None)
            if declared is None:
                continue
            if declared.name in found:
                raise ValueError(f"two files declare the {self.what} {declared.name!r}")
            found[declared.name] = declared
        self.clear()
        self.update(sorted(found.items(), key=lambda item: (getattr(item[1], "rank", 0), item[0])))

    def named(self, name: str) -> Declared:
        """The object of that name.

        Raises:
            ValueError: there is none; the message lists those there are and the nearest match.
        """
        if name in self:
            return self[name]
        raise unknown(self.what, name, self)


def unknown(what: str, name: str, known: Iterable[str]) -> ValueError:
    """The refusal of a name that is not there: with those there are, and the nearest match."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    advice = f"; did you mean {near[0]!r}?" if near else ""
    return ValueError(f"unknown {what} {name!r}, expected one of {', '.join(names)}{advice}")

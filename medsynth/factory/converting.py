"""A set, or a layout of one, written as another layout."""

from __future__ import annotations

import tempfile
from pathlib import Path

from medsynth.events import Listener, ignore
from medsynth.factory import layouts
from medsynth.factory.finish import context_for
from medsynth.factory.layouts.writing import write_layout
from medsynth.factory.restoring import is_layout, restore
from medsynth.factory.store import LAYOUTS, PLAN, open_set


def convert(
    source: Path | str, to: str, out: Path | str | None = None, *, listener: Listener = ignore
) -> Path:
    """Write `source` as the layout `to`; returns its folder.

    Args:
        source: a set, or a layout that was taken out of one.
        to: the name of a layout.
        out: the folder to make; None: layouts/NAME of the set.
        listener: gets the events of progress.

    Raises:
        ValueError: neither a set nor a layout; a layout without the values; none called `to`.
        OSError: the disk is full, or `out` cannot be written.
    """
    layout = layouts.get(to)
    source = Path(source).expanduser().absolute()
    if (source / PLAN).is_file() or not is_layout(source):
        dataset = open_set(source)
        target = Path(out) if out is not None else dataset.folder / LAYOUTS / layout.name
        write_layout(dataset, layout, target, context=context_for(dataset), listener=listener)
        return target
    if out is None:
        raise ValueError(f"{source} is a layout; say where the new one goes: -o FOLDER")
    target = Path(out).expanduser().absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, where there is room for the set itself if there is any.
    with tempfile.TemporaryDirectory(prefix=".medsynth-set-", dir=target.parent) as folder:
        dataset = restore(source, Path(folder), listener=listener)
        write_layout(dataset, layout, target, context=context_for(dataset), listener=listener)
    return target

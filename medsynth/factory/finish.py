"""What is made of the whole set once its images are there: layouts, card, pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medsynth.events import Event, Listener, ignore
from medsynth.factory import layouts
from medsynth.factory.layouts.base import LayoutContext, context_of
from medsynth.factory.layouts.writing import write_layout
from medsynth.factory.licenses import license_text, licenses_of
from medsynth.factory.pages.writing import write_pages
from medsynth.factory.store import LAYOUTS, DataSet, open_set


def finish(folder: Path | str, plan: Any = None, *, listener: Listener = ignore) -> None:
    """Write the layouts that the plan asks for, then the card and the pages; what is right stays.

    Args:
        folder: the set.
        plan: with `write`, the names of layouts; None: those of its plan.yaml.
        listener: gets the events of progress.

    Raises:
        ValueError: the folder is no set; or a layout cannot hold its images, and all else is written.
        OSError: the disk is full, or the folder cannot be written in.
    """
    dataset = open_set(folder)
    names = dataset.plan.get("write", ()) if plan is None else plan.write
    chosen = [layouts.get(str(name)) for name in names or ()]
    if not any(True for _ in dataset.items()):
        listener(Event("warning", message=f"{dataset.folder} has no finished image to lay out"))
        return
    context = context_for(dataset)
    refused = []
    for layout in chosen:
        target = dataset.folder / LAYOUTS / layout.name
        try:
            write_layout(dataset, layout, target, context=context, listener=listener)
        except ValueError as error:  # this layout cannot hold the set; the others may
            refused.append(str(error))
    write_pages(dataset, context, listener=listener)
    if refused:
        raise ValueError("; ".join(refused) + "; everything else of the set is written")


def context_for(dataset: DataSet) -> LayoutContext:
    """The classes, pseudonyms and license of the whole set."""
    return context_of(dataset, license=license_text(licenses_of(dataset)))

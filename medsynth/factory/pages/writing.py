"""Writes every page of a set; what it counts is counted once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from medsynth.events import Listener
from medsynth.factory.layouts.base import LayoutContext
from medsynth.factory.layouts.text_files import write_csv, write_json
from medsynth.factory.layouts.writing import ABOUT, Entries, write_layout
from medsynth.factory.pages.croissant import COLUMNS, TABLE, croissant, table_rows
from medsynth.factory.pages.facts import gather
from medsynth.factory.pages.fda import fda_page
from medsynth.factory.pages.page import REPORT, page
from medsynth.factory.pages.readme import readme
from medsynth.factory.pages.survey import Survey
from medsynth.factory.store import LAYOUTS, RECORD, DataSet
from medsynth.storage.files import new_file


def write_pages(dataset: DataSet, context: LayoutContext, *, listener: Listener) -> None:
    """README.md, card.json, croissant.json, fda.md, index.html and items.csv of the set."""
    folder = dataset.folder
    write_layout(dataset, Survey(), folder / REPORT, context=context, listener=listener)
    entries = Entries(folder / REPORT)
    there = layouts_of(folder)
    facts = gather(dataset, entries, context)
    # Of the last image, so that writing the pages again changes nothing.
    newest = max((item.folder / RECORD).stat().st_mtime for item in dataset.items())
    facts["date"] = date.fromtimestamp(newest).isoformat()
    write_csv(folder / TABLE, tuple(COLUMNS), table_rows(entries))
    write_json(folder / "card.json", facts | {"layouts": list(there)})
    write_json(folder / "croissant.json", croissant(facts, folder, layouts=there))
    _write(folder / "README.md", readme(facts, there))
    _write(folder / "fda.md", fda_page(facts))
    _write(folder / "index.html", page(facts, entries, dataset))


def layouts_of(folder: Path) -> tuple[str, ...]:
    """The layouts that a set has, finished."""
    found = (folder / LAYOUTS).glob(f"[!.]*/{ABOUT}")
    return tuple(sorted(path.parent.name for path in found))


def _write(path: Path, text: str) -> None:
    with new_file(path, overwrite=True) as partial:
        partial.write_text(text, encoding="utf-8")

"""The first sheet of an Excel workbook (.xlsx): ECMA-376 part 1, 18.3 (sheets), 18.4 (strings)."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def read_xlsx(path: Path) -> list[list[str]]:
    """The cells of the first sheet as text, row by row; formulas by their last value.

    Raises:
        ValueError: not such a workbook.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            strings = []
            if "xl/sharedStrings.xml" in names:
                root = ElementTree.fromstring(archive.read("xl/sharedStrings.xml"))
                strings = [_text(item) for item in root.findall(f"{MAIN}si")]
            sheets = {
                int(match[1]): match[0]
                for match in (re.fullmatch(r"xl/worksheets/sheet(\d+)\.xml", n) for n in names)
                if match
            }
            if not sheets:
                raise ValueError("it holds no sheet")
            sheet = ElementTree.fromstring(archive.read(sheets[min(sheets)]))
        return [_row(row, strings) for row in sheet.iter(f"{MAIN}row")]
    except (zipfile.BadZipFile, ElementTree.ParseError, IndexError, ValueError) as error:
        raise ValueError(
            f"{path} is not a readable Excel workbook ({error}); save the sheet as CSV"
        ) from error


def _row(row: ElementTree.Element, strings: list[str]) -> list[str]:
    """Cells by their column; those left out in the file are empty."""
    values: list[str] = []
    for cell in row.iter(f"{MAIN}c"):
        column = _column(cell.get("r", "")) if cell.get("r") else len(values)
        values += [""] * (column - len(values))
        text = cell.findtext(f"{MAIN}v", "")
        if cell.get("t") == "s":
            text = strings[int(text)]
        elif cell.get("t") == "inlineStr":
            text = _text(cell.find(f"{MAIN}is"))
        values.append(text)
    return values


def _column(reference: str) -> int:
    """0 of A1, 26 of AA7.

    Raises:
        ValueError: it does not begin with a column.
    """
    letters = re.match(r"[A-Z]+", reference)
    if letters is None:
        raise ValueError(f"a cell is called {reference!r}")
    number = 0
    for letter in letters[0]:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _text(item: ElementTree.Element | None) -> str:
    """A string in one piece or in runs; the phonetic hints of Japanese are no part of it."""
    if item is None:
        return ""
    own = item.findall(f"{MAIN}t") + item.findall(f"{MAIN}r/{MAIN}t")
    return "".join(part.text or "" for part in own)

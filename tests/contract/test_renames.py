"""Files and folders get their final names in `medsynth.storage` and nowhere else."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STORAGE = ROOT / "medsynth" / "storage"
SOURCES = [
    path
    for folder in ("medsynth", "MedSynthSlicer", "monai_bundle", "packaging")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if STORAGE not in path.parents
]


def renames(source: str) -> list[int]:
    """The lines that rename, or import what renames by its bare name."""
    return [node.lineno for node in ast.walk(ast.parse(source)) if _renames(node)]


def _renames(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        names = {alias.name for alias in node.names}
        return (node.module, bool(names & {"replace", "rename", "renames", "move"})) in (
            ("os", True),
            ("shutil", True),
        )
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
    if node.func.attr == "replace":
        # str.replace takes two, dataclasses.replace and datetime.replace take keywords.
        return owner == "os" or (len(node.args) == 1 and not node.keywords)
    return node.func.attr in ("rename", "renames") or (owner, node.func.attr) == ("shutil", "move")


@pytest.mark.parametrize(
    "line",
    [
        "import os; os.replace(a, b)",
        "os.rename(a, b)",
        "partial.replace(path)",
        "Path(a).rename(b)",
        "shutil.move(a, b)",
        "from os import replace",
    ],
)
def test_a_rename_is_seen(line):
    assert renames(line) == [1]


@pytest.mark.parametrize(
    "line", ["text.replace('a', 'b')", "dataclasses.replace(x, y=1)", "t.replace(microsecond=0)"]
)
def test_what_only_sounds_so_is_not(line):
    assert renames(line) == []


@pytest.mark.slow
def test_only_storage_renames():
    found = {str(p.relative_to(ROOT)): renames(p.read_text(encoding="utf-8")) for p in SOURCES}
    assert len(found) > 300
    assert {path: lines for path, lines in found.items() if lines} == {}

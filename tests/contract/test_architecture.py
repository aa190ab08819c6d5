"""The floors of the house: imports only go down, and some never lead to torch, slicer or qt."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "medsynth"

FLOORS = {
    5: ("cli", "__main__", "commands", "bundle"),
    4: ("pipeline", "results", "synthesis", "unguided", "training", "evaluation", "generators"),
    3: (
        *("conditions", "anatomy", "pathology", "networks", "report", "lowpass_preview"),
        *("dicom", "pacs"),
    ),
    2: ("diffusion", "images"),
    1: ("presets", "request", "events", "marking"),
    0: ("errors", "limits", "storage", "threads"),
}
FLOOR = {unit: floor for floor, units in FLOORS.items() for unit in units}
# Neighbours that the drawing lets meet: the way from a request to OUT, and the door.
MAY_MEET = {
    ("pipeline", "synthesis"),
    ("pipeline", "results"),
    ("unguided", "synthesis"),
    ("evaluation", "synthesis"),
    ("evaluation", "pipeline"),
    ("training", "synthesis"),
    ("cli", "commands"),
    ("commands", "cli"),
    ("__main__", "cli"),
    ("bundle", "cli"),
    ("request", "presets"),
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported_units(path):
    """Units of medsynth that a file imports anywhere, also late."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "medsynth" and len(parts) > 1 and parts[1] in FLOOR:
                yield parts[1], node.lineno


def imports_outside(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


def unit_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_unit_has_a_floor():
    units = {unit_of(path) for path in MODULES} - {"__init__"}
    assert units <= set(FLOOR), units - set(FLOOR)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_only_go_down(path):
    unit = unit_of(path)
    if unit == "__init__":
        assert not list(imported_units(path))
        return
    for other, line in imported_units(path):
        allowed = other == unit or FLOOR[other] < FLOOR[unit] or (unit, other) in MAY_MEET
        assert allowed, f"{path.name}:{line}: {unit} imports {other}, which is not below it"


@pytest.mark.parametrize("unit", ["dicom", "pacs", "images", "request", "presets", "events"])
def test_some_units_never_import_torch(unit):
    files = [p for p in MODULES if unit_of(p) == unit]
    assert files
    for path in files:
        assert not {"torch", "monai"} & set(imports_outside(path)), path


def test_nothing_imports_slicer_or_qt():
    for path in MODULES:
        assert not {"slicer", "qt", "ctk", "vtk"} & set(imports_outside(path)), path


def test_a_condition_never_imports_a_sampler():
    for path in (PACKAGE / "conditions").rglob("*.py"):
        assert "samplers" not in path.read_text(), path


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_files_stay_readable(path):
    assert len(path.read_text().splitlines()) <= 400

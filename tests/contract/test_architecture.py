"""The floors of the house: imports only go down, and some never lead to torch, slicer or qt."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "medsynth"

# From the ground up; a unit imports from the floors below its own and from itself, without exceptions.
FLOORS = (
    (
        "cluster",
        "errors",
        "http_server",
        "lazy",
        "limits",
        "pages",
        "parent",
        "registry",
        "threads",
        "storage",
    ),
    ("events", "marking"),
    ("domains",),
    ("request",),
    ("records",),
    ("images", "diffusion"),
    ("networks", "phantoms", "lesions", "dicom"),
    ("pacs", "datasets"),
    ("generators",),
    ("training",),
    ("pipeline",),
    ("evaluation", "studies", "verification"),
    ("factory", "scene", "serve"),
    ("web",),
    ("cli",),
    ("bundle", "__main__"),
)
FLOOR = {unit: floor for floor, units in enumerate(FLOORS) for unit in units}
MODULES = sorted(PACKAGE.rglob("*.py"))


@cache
def imports(path):
    """Every import statement of a file, also late ones."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]


def imported_units(path):
    """Units of medsynth that a file imports anywhere, also late."""
    for node in imports(path):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "medsynth" and len(parts) > 1 and parts[1] in FLOOR:
                yield parts[1], node.lineno


def imports_outside(path):
    for node in imports(path):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        else:
            yield node.module.split(".")[0]


def unit_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_unit_has_a_floor():
    units = {unit_of(path) for path in MODULES} - {"__init__"}
    assert units <= set(FLOOR), units - set(FLOOR)


def test_imports_only_go_down():
    upwards = [
        f"{path.relative_to(PACKAGE)}:{line}: {unit_of(path)} imports {other}, which is not below it"
        for path in MODULES
        for other, line in imported_units(path)
        if unit_of(path) == "__init__"
        or (other != unit_of(path) and FLOOR[other] >= FLOOR[unit_of(path)])
    ]
    assert not upwards, "\n".join(upwards)


def test_the_floors_are_drawn_for_contributors():
    drawn = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    floors = ["  ".join(sorted(set(units) - {"__main__"})) for units in reversed(FLOORS)]
    assert "```text\n" + "\n".join(floors) + "\n```" in drawn


@pytest.mark.parametrize(
    "unit",
    ["dicom", "pacs", "images", "request", "records", "domains", "marking", "events", "storage"],
)
def test_some_units_never_import_torch(unit):
    files = [p for p in MODULES if unit_of(p) == unit]
    assert files
    for path in files:
        assert not {"torch", "monai"} & set(imports_outside(path)), path


def test_nothing_imports_slicer_or_qt():
    page = PACKAGE / "web" / "viewer.py"  # the page's only file that knows them
    for path in MODULES:
        if path == page:
            continue
        assert not {"slicer", "qt", "ctk", "vtk"} & set(imports_outside(path)), path


def test_a_condition_never_imports_a_sampler():
    for path in (PACKAGE / "diffusion" / "guidance").rglob("*.py"):
        assert "samplers" not in path.read_text(), path


def test_one_place_guides_samples_and_maps_back_to_units():
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        for node in imports(path)
        if isinstance(node, ast.ImportFrom) and node.module == "medsynth.diffusion.sampling"
        if "sample" in {alias.name for alias in node.names}
    }
    # Latents are no images: they follow no reference and are decoded before they have units.
    assert users == {"generators/guided_diffusion.py", "generators/latent_sampling.py"}


def test_files_stay_readable():
    lengths = {str(p.relative_to(PACKAGE)): len(p.read_text().splitlines()) for p in MODULES}
    assert not {name: lines for name, lines in lengths.items() if lines > 400}


def test_no_two_test_files_share_a_name():
    """Of two that do, pytest reads one, and the tests of the other are never run."""
    tests = Path(__file__).resolve().parents[1]
    names = Counter(
        path.name
        for path in tests.rglob("test_*.py")
        if "slicer" not in path.relative_to(tests).parts
    )
    assert not [name for name, count in names.items() if count > 1]

"""What the wheels hold: every file that the package needs beside its code, and the license statements."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "medsynth"


def package_data():
    """The patterns in setup.py."""
    for node in ast.walk(ast.parse((ROOT / "setup.py").read_text())):
        if isinstance(node, ast.keyword) and node.arg == "package_data":
            return ast.literal_eval(node.value)["medsynth"]
    raise AssertionError("setup.py names no package_data")


def test_every_file_beside_the_code_is_packed():
    there = {p for p in PACKAGE.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}
    packed = {p: set(PACKAGE.glob(p)) for p in package_data()}
    assert all(packed.values()), "a pattern that finds nothing"
    assert there == set().union(*packed.values())
    assert {PACKAGE / "py.typed", PACKAGE / "networks" / "index.json"} <= there


def test_every_folder_of_code_is_a_package():
    for path in PACKAGE.rglob("*.py"):
        assert (path.parent / "__init__.py").is_file(), path


def test_the_networks_are_packed_with_their_license():
    folder = ROOT / "packaging" / "medsynth-models"
    project = (folder / "pyproject.toml").read_text()
    assert 'license-files = ["LICENSE", "data_license.txt"]' in project
    for suffix in {p.suffix for p in (ROOT / "monai_bundle" / "models").iterdir()} | {".txt"}:
        assert f'"*{suffix}"' in project
    assert "research use" in (folder / "README.md").read_text()

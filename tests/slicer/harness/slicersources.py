"""Runs the panel on Slicer's own Python files instead of our lookalikes, where they are at hand.

MEDSYNTH_SLICER_SOURCES names a folder `Base/Python/slicer` of Slicer's sources (tag v5.12.3). Nothing of
it is part of this repository:

    git clone --depth 1 --branch v5.12.3 https://github.com/Slicer/Slicer
    MEDSYNTH_SLICER_SOURCES=Slicer/Base/Python/slicer sh tests/slicer/run.sh
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import slicer
from PySide6.QtWidgets import QWidget

from harness.pythonqt import wrapperClass

VARIABLE = "MEDSYNTH_SLICER_SOURCES"
# Widget classes that Slicer's files compare with and our panel does not use.
UNUSED_CTK = (
    *("ctkCheckBox", "ctkCheckablePushButton", "ctkDoubleSlider", "ctkDoubleSpinBox"),
    *("ctkRangeWidget", "ctkDoubleRangeSlider", "ctkColorPickerButton"),
)
UNUSED_MRML = ("qMRMLSliderWidget", "qMRMLSpinBox", "qMRMLRangeWidget")


def folder() -> Path | None:
    """Where Slicer's Python files are; None where the harness uses its lookalikes."""
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    path = Path(named)
    if not (path / "parameterNodeWrapper" / "wrapper.py").is_file():
        raise FileNotFoundError(f"{VARIABLE}={named} is no folder Base/Python/slicer of Slicer")
    return path


def install(path: Path) -> None:
    """Put Slicer's own files in the place of the lookalikes."""
    for owner, names in ((sys.modules["ctk"], UNUSED_CTK), (slicer, UNUSED_MRML)):
        for name in names:
            setattr(owner, name, wrapperClass(type(name, (QWidget,), {})))
    exec(compile((path / "util.py").read_text(), str(path / "util.py"), "exec"), vars(slicer.util))
    for name in ("i18n", "packaging", "parameterNodeWrapper", "ScriptedLoadableModule"):
        _load(path, name)
    _neverInstall(sys.modules["slicer.packaging"])


def _load(path: Path, name: str) -> None:
    package = path / name / "__init__.py"
    file = package if package.is_file() else path / f"{name}.py"
    folders = [str(path / name)] if package.is_file() else None
    full = f"slicer.{name}"
    for loaded in [m for m in sys.modules if m == full or m.startswith(f"{full}.")]:
        del sys.modules[loaded]
    spec = importlib.util.spec_from_file_location(full, file, submodule_search_locations=folders)
    module = importlib.util.module_from_spec(spec)
    sys.modules[full] = module
    setattr(slicer, name, module)
    spec.loader.exec_module(module)


def _neverInstall(packaging) -> None:
    """Slicer's dialog is answered with the test's `consent`, and pip is never started."""
    packaging.consent, packaging.asked = True, []

    def confirm(text, title, detailedText="", **other):
        wanted = [line.removeprefix("- ") for line in detailedText.splitlines()]
        packaging.asked.append((wanted, title.removesuffix(" - Install Python Packages")))
        return packaging.consent

    slicer.util.confirmOkCancelDisplay = confirm
    packaging.pip_install = lambda *requirements, **options: None

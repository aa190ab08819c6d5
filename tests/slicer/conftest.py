"""The Slicer harness: needs slicer-core and PySide6 (tests/slicer/requirements.txt)."""

import os
import subprocess
import sys
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
if find_library("OSMesa"):
    # Slicer's views are drawn in memory; without libosmesa6 VTK looks for a screen or a GPU.
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")

if find_spec("slicer_core") is None or find_spec("PySide6") is None:
    # test_slicer_environment.py stays and says why the others are not there.
    collect_ignore_glob = ["test_panel_*.py", "test_scene_*.py"]
else:
    # slicer-core's package imports every module of every folder called `slicer` on the search path;
    # this folder would be one of them.
    searched = list(sys.path)
    sys.path[:] = [p for p in searched if Path(p).resolve() != HERE.parent]
    import slicer

    sys.path[:] = searched
    assert not [p for p in slicer.__path__ if Path(p).resolve() == HERE]


@pytest.fixture(autouse=True)
def _destinationsOfTheirOwn(tmp_path, monkeypatch):
    """No test reads or writes the destinations of whoever runs it."""
    monkeypatch.setenv("MEDSYNTH_HOME", str(tmp_path / "medsynth-home"))


@pytest.fixture
def desktop():
    """A Slicer with the module open and an empty scene; no slot may have failed by the end."""
    from harness import pythonqt
    from harness.desktop import desktop as start

    application = start()
    application.resetSettings()
    pythonqt.slotErrors.clear()
    application.load()
    yield application
    application.close()
    assert not pythonqt.slotErrors, f"exceptions in slots: {pythonqt.slotErrors}"


@pytest.fixture
def asked(monkeypatch):
    """What the user is asked before images leave; `asked.answer` is the reply."""

    class Asked(list):
        answer = True

    found = Asked()

    def confirm(text, windowTitle=None, parent=None, **more):
        found.append(text)
        return found.answer

    monkeypatch.setattr(sys.modules["slicer"].util, "confirmOkCancelDisplay", confirm)
    return found


@pytest.fixture
def fakeMedsynth(tmp_path, monkeypatch):
    """A stand-in for a Python with medsynth; call it with a case to make it fail that way."""
    monkeypatch.delenv("MEDSYNTH_FAKE", raising=False)
    script = tmp_path / "python"
    script.write_text(
        f'#!/bin/sh\nshift 2\nexec "{sys.executable}" "{HERE / "fake_medsynth.py"}" "$@"\n'
    )
    script.chmod(0o755)

    def case(name=""):
        monkeypatch.setenv("MEDSYNTH_FAKE", name)

    case.python = str(script)
    return case


@pytest.fixture
def panel(desktop, fakeMedsynth):
    """The open panel, with the fake Python set in its Advanced section."""
    desktop.widget.ui.pythonPathLineEdit.currentPath = fakeMedsynth.python
    desktop.ui = desktop.widget.ui
    return desktop


@pytest.fixture(scope="module")
def medsynthPython():
    """A Python that has medsynth and torch: MEDSYNTH_PYTHON, or the checkout's .venv."""
    root = HERE.parents[1]
    weights = root / "monai_bundle" / "models" / "lung_ct_512.safetensors"
    python = os.environ.get("MEDSYNTH_PYTHON", str(root / ".venv" / "bin" / "python"))
    needed = "medsynth", "torch", "monai", "highdicom"
    code = f"from importlib.util import find_spec; assert all(map(find_spec, {needed}))"
    check = [python, "-c", code]
    try:
        done = subprocess.run(check, capture_output=True, check=False)
    except OSError:
        done = None
    if done is None or done.returncode:
        pytest.skip(f"needs a Python with medsynth and torch, {python} is none (MEDSYNTH_PYTHON)")
    if not weights.is_file():
        pytest.skip(f"needs the shipped network {weights}")
    return python


@pytest.fixture
def real(desktop, medsynthPython):
    """The open panel, with that Python."""
    desktop.ui = desktop.widget.ui
    desktop.ui.pythonPathLineEdit.currentPath = medsynthPython
    return desktop


@pytest.fixture
def addReference():
    """`addReference(oblique=True)`: a small CT-like volume, oblique, anisotropic, under a transform."""
    return _addReference


def _addReference(name="CT", *, oblique=False):
    import numpy as np
    import slicer

    k, j, i = np.indices((20, 48, 40))
    body = ((i - 20) / 18) ** 2 + ((j - 24) / 21) ** 2 < 1
    lungs = ((np.abs(i - 20) - 8) / 6) ** 2 + ((j - 24) / 13) ** 2 < 1
    texture = 60 * np.sin(i * 1.3) * np.cos(j * 1.1) + 5 * k
    array = np.where(lungs, -850, np.where(body, 40, -1000)) + np.where(body, texture, 0)
    if oblique:
        from MedSynthLib import selftest

        node = selftest.addTurned(
            array,
            name,
            degrees=(20, -35),
            spacing=(-0.9, -1.6, 4.3),
            origin=(12.25, 41.5, -33.125),
            moved=(15, -7, 22),
            movedDegrees=25,
        )
    else:
        matrix = np.diag([-1.5, -1.5, 4.0, 1.0])
        matrix[:3, 3] = 30, 36, -40
        node = slicer.util.addVolumeFromArray(array.astype(np.int16), matrix, name)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node

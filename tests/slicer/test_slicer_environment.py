"""Says why the harness does not run where it cannot."""

import pytest


def test_slicer_core_and_qt_are_installed():
    reason = "needs slicer-core and PySide6: pip install -r tests/slicer/requirements.txt"
    pytest.importorskip("slicer_core", reason=reason)
    pytest.importorskip("PySide6", reason=reason)

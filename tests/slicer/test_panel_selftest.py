"""The tests that ship with the extension (Reload & Test, ctest), run in the harness."""

import importlib.util
import sys
import unittest

import slicer
from harness.desktop import MODULE


def run(suite):
    result = unittest.TestResult()
    suite.run(result)
    assert result.testsRun > 0
    assert result.wasSuccessful(), result.failures + result.errors


def test_reload_and_test(desktop):
    case = desktop.module.MedSynthTest()
    case.runTest()
    run(unittest.TestSuite([case]))


def test_the_panel_test_of_the_extension(desktop, monkeypatch):
    monkeypatch.setattr(sys.modules["MedSynthLib.library"], "ensureDependencies", lambda file: None)
    file = MODULE / "Testing" / "Python" / "MedSynthPanelTest.py"
    specification = importlib.util.spec_from_file_location("MedSynthPanelTest", file)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    run(unittest.defaultTestLoader.loadTestsFromModule(module))
    assert slicer.util.moduleSelector().selected == "MedSynth"

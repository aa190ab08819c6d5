"""What a run will take is told before it is pressed; what it no longer heeds is locked."""

import sys

import psutil
import pytest
import slicer
from harness.user import choose, click, pick, placePoint, slide, voxelsInWorld

JOB = ("presetComboBox", "referenceSelector", "factorSlider", "stopSlider", "addPathologyButton")
JOB += ("variantsSpinBox", "seedSpinBox", "stepsSpinBox", "samplerComboBox", "deviceComboBox")


def told(panel):
    return panel.ui.estimateLabel.text


@pytest.fixture
def ready(panel, addReference):
    reference = addReference()
    pick(panel.ui.referenceSelector, reference)
    click(panel.ui.addPathologyButton)
    panel.showPanel()
    panel.card = panel.widget.cards.cards[0]
    click(panel.card.ui.clickButton)
    placePoint(voxelsInWorld(reference)[9, 24, 12])
    panel.wait(lambda: told(panel).startswith("About"), what="the estimate")
    return panel


def test_time_memory_and_device_are_told_before_run(ready):
    words = "on the processor: 3 slices, 20 steps. 1.2 GB of memory, 30 MB on disk."
    assert told(ready) == f"About 30 s {words}"
    ready.screenshot("estimate")
    # Variants and steps are arithmetic, told at once.
    slide(ready.ui.variantsSpinBox, 4)
    assert told(ready).startswith("About 2 min on the processor: 3 slices, 20 steps, 4 variants.")
    assert "120 MB on disk" in told(ready)
    # Anything else is measured again.
    slide(ready.card.ui.pathologyFactorSlider, 7)
    assert not told(ready).startswith("About")
    ready.wait(lambda: told(ready).startswith("About"), what="the estimate")


def test_a_refusal_of_the_dry_run_is_told_before_run(ready):
    click(ready.ui.advancedButton)
    ready.showPanel()
    choose(ready.ui.guidanceComboBox, "x_t")
    ready.wait(lambda: "leave the body by 3.1 mm" in told(ready), what="the refusal")
    assert "#b00020" in ready.ui.estimateLabel.styleSheet
    assert ready.ui.runButton.enabled  # the last word is the run's
    choose(ready.ui.guidanceComboBox, "x0")
    ready.wait(lambda: told(ready).startswith("About"), what="the estimate")
    assert "#b00020" not in ready.ui.estimateLabel.styleSheet


def test_nothing_is_installed_for_an_estimate(panel, addReference):
    panel.ui.pythonPathLineEdit.currentPath = ""
    pick(panel.ui.referenceSelector, addReference())
    panel.wait(lambda: "once the packages are installed" in told(panel), what="the line")
    assert sys.modules["slicer.packaging"].asked == []


def test_controls_of_a_running_job_are_locked(ready, fakeMedsynth):
    fakeMedsynth("hang")
    click(ready.ui.runButton)
    for name in JOB:
        assert not getattr(ready.ui, name).q.isEnabled(), name
    assert not ready.card.ui.kindComboBox.q.isEnabled()
    assert not ready.ui.runButton.enabled
    for name in ("previewCheckBox", "cancelButton", "logButton"):
        assert getattr(ready.ui, name).q.isEnabled(), name
    ready.wait(lambda: "pids" in ready.ui.statusLabel.text, what="the start")
    ready.screenshot("estimate_running")
    click(ready.ui.cancelButton)
    ready.wait(lambda: ready.widget.runPart.synthesis is None, what="the end")
    for name in JOB:
        assert getattr(ready.ui, name).q.isEnabled(), name
    assert ready.card.ui.kindComboBox.q.isEnabled()
    assert ready.ui.runButton.enabled


def test_what_a_film_says_stays_locked_after_a_run(panel, addReference):
    choose(panel.ui.presetComboBox, "Mammography")
    click(panel.ui.phantomButton)
    panel.wait(lambda: panel.widget.phantom.process is None, what="the phantom")
    assert not panel.ui.pixelSizeSpinBox.enabled
    click(panel.ui.runButton)
    panel.wait(lambda: panel.widget.runPart.synthesis is None, what="the end")
    assert not panel.ui.pixelSizeSpinBox.enabled
    assert panel.ui.factorSlider.enabled


def test_an_estimate_under_way_ends_with_the_scene(ready):
    slide(ready.card.ui.pathologyFactorSlider, 9)
    ready.wait(lambda: "Estimating" in told(ready), what="the start of the dry run")
    children = psutil.Process().children(recursive=True)
    folder = ready.widget.runPart.estimator.folder
    slicer.mrmlScene.Clear(False)
    ready.wait(lambda: not any(c.is_running() for c in children), 3, what="its end")
    assert not folder.exists()

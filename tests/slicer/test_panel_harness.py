"""The harness's own strictness: faults that Qt and Slicer pass over in silence are errors here."""

import pytest
import slicer
from harness import pythonqt, slicersources


def test_a_typo_in_a_property_is_an_error(panel):
    with pytest.raises(AttributeError, match="no property 'enabeld'"):
        panel.ui.runButton.enabeld = False
    with pytest.raises(AttributeError, match="no attribute 'txt'"):
        print(panel.ui.runButton.txt)


def test_methods_of_stand_ins_that_slicer_does_not_have_are_hidden(panel):
    with pytest.raises(AttributeError):
        panel.ui.referenceSelector.setCurrentNodeByName("CT")
    with pytest.raises(AttributeError):
        panel.ui.referenceSelector._refresh()


def test_a_wrong_signal_is_an_error(panel):
    with pytest.raises(ValueError, match="no signal"):
        panel.ui.runButton.connect("click(bool)", print)
    with pytest.raises(ValueError, match="no signal"):
        panel.ui.factorSlider.connect("valueChanged(int)", print)


def test_a_slot_gets_as_many_arguments_as_it_takes(panel):
    seen = []
    panel.ui.previewCheckBox.connect("toggled(bool)", lambda: seen.append("none"))
    panel.ui.previewCheckBox.connect("toggled(bool)", lambda on: seen.append(on))
    panel.ui.previewCheckBox.connect("toggled(bool)", lambda *a: seen.append(a))
    panel.ui.previewCheckBox.checked = True
    assert seen == ["none", True, (True,)]
    with pytest.raises(TypeError, match="needs 2 arguments"):
        panel.ui.previewCheckBox.connect("toggled(bool)", lambda on, other: None)


def test_an_exception_in_a_slot_is_kept(panel):
    panel.ui.logButton.connect("clicked()", lambda: 1 / 0)
    panel.ui.logButton.click()
    assert isinstance(pythonqt.slotErrors.pop(), ZeroDivisionError)


def load(tmp_path, old, new):
    from harness.desktop import MODULE

    text = (MODULE / "Resources" / "UI" / "MedSynth.ui").read_text()
    assert old in text
    file = tmp_path / "Faulty.ui"
    file.write_text(text.replace(old, new))
    return slicer.util.loadUI(str(file))


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('class="qMRMLNodeComboBox"', 'class="qMRMLNodeCombobox"', LookupError),
        ('name="singleStep"', 'name="singelStep"', AttributeError),
        ("mrmlSceneChanged(vtkMRMLScene*)", "mrmlSceneChange(vtkMRMLScene*)", ValueError),
        ("<receiver>resultSelector", "<receiver>resultSelektor", LookupError),
        ("setMRMLScene(vtkMRMLScene*)", "setMrmlScene(vtkMRMLScene*)", AttributeError),
    ],
)
def test_faults_in_a_ui_file_are_errors(desktop, tmp_path, old, new, error):
    with pytest.raises(error):
        load(tmp_path, old, new)


def test_parameters_are_checked(panel):
    parameters = panel.widget._parameters
    for name, value in (("factor", 65.0), ("sampler", "euler"), ("seed", 1.5), ("preview", 1)):
        with pytest.raises((ValueError, TypeError)):
            setattr(parameters, name, value)
    if slicersources.folder() is None:  # Slicer itself takes any name, and never saves it
        with pytest.raises(AttributeError, match="no field 'factr'"):
            parameters.factr = 4.0
    with pytest.raises(TypeError):
        parameters.reference = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")


def test_timers_and_static_functions_are_there(desktop):
    import qt

    assert qt.QTimer.singleShot is not None
    assert qt.Qt.AlignCenter is not None
    with pytest.raises(AttributeError):
        qt.QPushButtn("typo")

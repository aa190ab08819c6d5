"""The rules of Slicer's parameter nodes, on the wrapper that is in use: our lookalike, or Slicer's own
files (MEDSYNTH_SLICER_SOURCES). What Slicer refuses must be refused here too."""

import types
from typing import Annotated, Optional, Union

import pytest
import slicer


@pytest.fixture
def rules(desktop):
    """`slicer.parameterNodeWrapper`."""
    return slicer.parameterNodeWrapper


@pytest.fixture
def node(desktop):
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


def add(className, name=""):
    return slicer.mrmlScene.AddNewNodeByClass(className, name)


def wrapped(rules, **fields):
    """A wrapped class with these annotations, and the defaults given as (annotation, default)."""
    annotations = {k: v[0] if isinstance(v, tuple) else v for k, v in fields.items()}
    defaults = {k: v[1] for k, v in fields.items() if isinstance(v, tuple)}
    return rules.parameterNodeWrapper(
        type("Fields", (), {"__annotations__": annotations, "__module__": __name__, **defaults})
    )


NODES = "vtkMRMLMarkupsROINode", "vtkMRMLSegmentationNode"


def nodeUnion(*more):
    return Union[tuple(getattr(slicer, name) for name in NODES) + more]  # noqa: UP007


def test_a_union_of_node_types_must_name_none(rules, node):
    made = wrapped(rules, where=nodeUnion())
    with pytest.raises(TypeError, match="Unable to write value 'None'"):
        made(node)


def test_a_union_with_none_takes_each_of_its_types_and_no_other(rules, node):
    parameters = wrapped(rules, where=nodeUnion(None))(node)
    assert parameters.where is None
    for name in NODES:
        parameters.where = add(name)
        assert parameters.where.GetClassName() == name
    with pytest.raises(TypeError):
        parameters.where = add("vtkMRMLScalarVolumeNode")
    parameters.where = None
    assert parameters.where is None
    # The name and the number of the alternative, as in scenes that Slicer saves.
    assert [node.HasParameter(f"where.{n}") for n in range(3)] == [False, False, True]


def test_a_single_node_type_takes_none(rules, node):
    parameters = wrapped(rules, reference=slicer.vtkMRMLScalarVolumeNode)(node)
    assert parameters.reference is None
    with pytest.raises(TypeError):
        parameters.reference = add("vtkMRMLSegmentationNode")


def test_defaults_are_written_and_checked_when_a_wrapper_is_made(rules, node):
    within = Annotated[float, rules.WithinRange(1.0, 64.0)]
    wrapped(rules, factor=(within, 4.0))(node)
    assert node.GetParameter("factor") == "4.0"
    with pytest.raises(ValueError, match="within"):
        wrapped(rules, other=(within, 65.0))(node)


def test_without_a_default_a_number_is_zero_which_a_range_may_refuse(rules, node):
    assert wrapped(rules, free=float)(node).free == 0
    with pytest.raises(ValueError, match="within"):
        wrapped(rules, bounded=Annotated[int, rules.WithinRange(1, 9)])(node)
    with pytest.raises(ValueError, match="one of"):
        wrapped(rules, word=Annotated[str, rules.Choice(("a", "b"))])(node)


def test_values_in_the_node_stay(rules, node):
    node.SetParameter("factor", "8.0")
    assert wrapped(rules, factor=(float, 4.0))(node).factor == 8


@pytest.mark.parametrize(
    ("kind", "value"),
    [(int, 1.5), (int, None), (float, "4"), (str, 4), (str, None), (bool, 1), (bool, None)],
)
def test_values_of_another_type_are_refused(rules, node, kind, value):
    parameters = wrapped(rules, field=kind)(node)
    with pytest.raises((TypeError, ValueError)):
        parameters.field = value


@pytest.mark.parametrize("kind", [complex, "a string", slicer.vtkMRMLScene])
def test_types_that_cannot_be_stored_are_refused(rules, kind):
    with pytest.raises((Exception,), match=r"serializer|not defined|invalid syntax|Forward"):
        wrapped(rules, field=kind)


RESERVED = ("getValue", "setValue", "default", "Modified", "allParameters", "isCached", "dataType")
RESERVED += ("connectGui", "connectParametersToGui", "disconnectGui", "AddObserver", "StartModify")


@pytest.mark.parametrize("name", RESERVED)
def test_names_of_the_wrapper_cannot_be_fields(rules, name):
    with pytest.raises(ValueError, match="reserved name"):
        wrapped(rules, **{name: int})


def test_what_cannot_be_read_is_refused_when_a_wrapper_is_made(rules, node):
    node.SetParameter("factor", "much")
    with pytest.raises(ValueError, match="much"):
        wrapped(rules, factor=float)(node)


def test_a_value_is_read_again_only_when_the_node_is_modified(rules, node):
    parameters = wrapped(rules, factor=(float, 4.0))(node)
    with slicer.util.NodeModify(node):
        node.SetParameter("factor", "8.0")
        assert parameters.factor == 4
    assert parameters.factor == 8


def gui(field, widget):
    """A panel of one widget, which names the field."""
    widget.setProperty("SlicerParameterName", field)
    return types.SimpleNamespace(widget=widget)


def test_a_slider_needs_both_ends_of_its_range(rules, node):
    import ctk

    slider = gui("factor", ctk.ctkSliderWidget())
    for kind in (float, Annotated[float, rules.Minimum(-1.0)]):
        with pytest.raises(RuntimeError):
            wrapped(rules, factor=kind)(node).connectGui(slider)
    both = Annotated[float, rules.Minimum(-1.0), rules.Maximum(5.0)]
    wrapped(rules, factor=both)(node).connectGui(slider)
    assert (slider.widget.minimum, slider.widget.maximum) == (-1, 5)


def test_a_combo_box_needs_a_choice_and_shows_no_other_value(rules, node):
    import qt

    box = gui("word", qt.QComboBox())
    with pytest.raises(RuntimeError):
        wrapped(rules, word=str)(node).connectGui(box)
    made = wrapped(rules, word=(Annotated[str, rules.Choice(("a", "b"))], "a"))
    node.SetParameter("word", "of a later version")
    with pytest.raises(ValueError, match="of a later version"):
        made(node).connectGui(box)


@pytest.mark.parametrize(
    ("kind", "widget"),
    [(int, "QCheckBox"), (bool, "QSpinBox"), (str, "QSpinBox"), (float, "QSpinBox")],
)
def test_a_widget_must_suit_the_type(rules, node, kind, widget):
    import qt

    with pytest.raises(RuntimeError, match="GUI connector"):
        wrapped(rules, field=kind)(node).connectGui(gui("field", getattr(qt, widget)()))


def test_a_widget_that_names_no_parameter_is_refused(rules, node):
    import qt

    with pytest.raises(ValueError, match="Cannot find a param"):
        wrapped(rules, number=int)(node).connectGui(gui("nummer", qt.QSpinBox()))


def test_a_node_box_offers_the_types_of_the_union(rules, node):
    box = slicer.qMRMLNodeComboBox()
    box.setMRMLScene(slicer.mrmlScene)
    parameters = wrapped(rules, where=nodeUnion(None))(node)
    tag = parameters.connectGui(gui("where", box))
    assert tuple(box.nodeTypes) == NODES
    region = add("vtkMRMLMarkupsROINode")
    box.setCurrentNode(region)
    assert parameters.where is region
    parameters.disconnectGui(tag)
    parameters.where = None
    assert box.currentNode() is region


def test_optional_is_a_union_with_none(rules, node):
    made = wrapped(rules, where=Optional[slicer.vtkMRMLMarkupsROINode])  # noqa: UP045
    assert made(node).where is None


def test_the_type_of_a_field_is_what_its_annotation_says(rules, node):
    within = Annotated[float, rules.WithinRange(1.0, 64.0)]
    assert wrapped(rules, factor=(within, 4.0))(node).dataType("factor") == within


@pytest.mark.parametrize(
    ("function", "keyword"), [("pip_ensure", "requestor"), ("pip_check", "requester")]
)
def test_an_option_that_slicer_does_not_have_is_refused(desktop, function, keyword):
    with pytest.raises(TypeError, match=keyword):
        getattr(slicer.packaging, function)(["pytest"], **{keyword: "MedSynth"})

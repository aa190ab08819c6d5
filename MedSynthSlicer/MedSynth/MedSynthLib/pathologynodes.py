"""The parameter node of a pathology, and which of them the module's own node refers to."""

from __future__ import annotations

import logging
from typing import Annotated, Union

import slicer
from slicer import (
    vtkMRMLMarkupsClosedCurveNode,
    vtkMRMLMarkupsFiducialNode,
    vtkMRMLMarkupsROINode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
)
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper

from medsynth.scene import nodes
from medsynth.scene.vocabulary import KINDS, current_kind

ROLE = "pathology"


@parameterNodeWrapper
class PathologyParameterNode:
    """One pathology: where, what, and how closely its reference is followed."""

    where: Union[  # noqa: UP007 - the wrapper reads typing.Union
        vtkMRMLMarkupsFiducialNode,
        vtkMRMLMarkupsROINode,
        vtkMRMLMarkupsClosedCurveNode,
        vtkMRMLSegmentationNode,
        None,  # the default, which the wrapper writes and therefore checks
    ]
    diameter: Annotated[float, WithinRange(2.0, 100.0)] = 14.0
    kind: Annotated[str, Choice(KINDS)] = KINDS[0]
    saved: str = ""  # the name of a saved lesion that is taken instead
    sourceVolume: vtkMRMLScalarVolumeNode
    sourceMask: vtkMRMLSegmentationNode
    factor: Annotated[float, WithinRange(1.0, 64.0)] = 4.0
    stop: Annotated[float, WithinRange(0.0, 10.0)] = 0.0


def parameterNodes(moduleNode, onUnreadable=logging.error) -> list:
    """The pathologies of the module's parameter node, in order.

    Args:
        onUnreadable: called with a message for each node that is left out because it cannot be read;
            one bad node in a scene must not close the panel.
    """
    found = []
    for node in _referenced(moduleNode):
        try:
            found.append(_read(node))
        except (TypeError, ValueError) as error:
            onUnreadable(
                f"{node.GetName()} was left out: the scene holds no pathology there that this "
                f"version can read ({error}). Add it again."
            )
    return found


def idsOf(moduleNode) -> list[str]:
    """IDs of the nodes that the module's node refers to, those that are gone too."""
    count = moduleNode.GetNumberOfNodeReferences(ROLE)
    return [moduleNode.GetNthNodeReferenceID(ROLE, i) for i in range(count)]


def _referenced(moduleNode) -> list:
    count = moduleNode.GetNumberOfNodeReferences(ROLE)
    nodes = [moduleNode.GetNthNodeReference(ROLE, i) for i in range(count)]
    return [node for node in nodes if node is not None]


def _read(node) -> PathologyParameterNode:
    # A scene may have been saved under an earlier name of the kind.
    kind = node.GetParameter("kind")
    if kind != current_kind(kind):
        node.SetParameter("kind", current_kind(kind))
    parameters = PathologyParameterNode(node)
    for name, parameter in parameters.allParameters.items():
        # The wrapper checks what is written, not what a scene file says.
        parameter.serializer.validate(parameters.getValue(name))
    return parameters


def marksOf(moduleNode) -> list:
    """What marks the places of its pathologies."""
    return [p.where for p in parameterNodes(moduleNode) if p.where is not None]


def addParameterNode(moduleNode, preset) -> PathologyParameterNode:
    """Add a pathology with the preset's first kind, factor and stop."""
    module = {"ModuleName": "MedSynthPathology"}
    node = nodes.new_node("vtkMRMLScriptedModuleNode", "MedSynth pathology", module)
    slicer.mrmlScene.AddNode(node)
    try:
        parameters = PathologyParameterNode(node)
        parameters.kind = preset.lesion_kinds[0]
        parameters.factor = float(preset.pathology_factor)
        parameters.stop = float(preset.pathology_stop)
    except Exception:
        slicer.mrmlScene.RemoveNode(node)
        raise
    # Only now: what is referenced comes back with every scene, so it must be readable.
    moduleNode.AddNodeReferenceID(ROLE, node.GetID())
    return parameters

"""What the panel says, typed; saved with the scene."""

from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper

from medsynth.scene import vocabulary


@parameterNodeWrapper
class MedSynthParameterNode:
    """The module's own node. Pathologies have nodes of their own; a film says itself what it shows."""

    preset: Annotated[str, Choice(vocabulary.PRESET_NAMES)] = vocabulary.FIRST.name
    reference: vtkMRMLScalarVolumeNode
    phantomPerson: Annotated[int, WithinRange(0, 999999)] = 3
    phantomView: Annotated[str, Choice(vocabulary.PHANTOM_VIEWS)] = vocabulary.PHANTOM_VIEWS[0]
    phantomSide: Annotated[str, Choice(vocabulary.PHANTOM_SIDES)] = vocabulary.PHANTOM_SIDES[0]
    phantomDensity: Annotated[str, Choice(vocabulary.DENSITIES)] = vocabulary.DENSITIES[0]
    factor: Annotated[float, WithinRange(1.0, 64.0)] = float(vocabulary.FIRST.anatomy_factor)
    stop: Annotated[float, WithinRange(0.0, 10.0)] = float(vocabulary.FIRST.anatomy_stop)
    preview: bool = False
    variants: Annotated[int, WithinRange(1, 50)] = 1
    seed: Annotated[int, WithinRange(0, 999999)] = 7
    result: vtkMRMLScalarVolumeNode
    extent: Annotated[str, Choice(vocabulary.EXTENTS)] = "roi"
    background: Annotated[str, Choice(vocabulary.BACKGROUNDS)] = "resynthesize"
    steps: Annotated[int, WithinRange(1, 1000)] = vocabulary.FIRST.steps
    sampler: Annotated[str, Choice(vocabulary.SAMPLERS)] = vocabulary.FIRST.sampler
    composition: Annotated[str, Choice(vocabulary.COMPOSITIONS)] = vocabulary.COMPOSITIONS[0]
    filter: Annotated[str, Choice(vocabulary.FILTERS)] = vocabulary.FILTERS[0]
    guidance: Annotated[str, Choice(vocabulary.GUIDANCE)] = vocabulary.GUIDANCE[0]
    device: Annotated[str, Choice(vocabulary.DEVICES)] = vocabulary.DEVICES[0]

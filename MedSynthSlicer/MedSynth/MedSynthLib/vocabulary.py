"""The words a request may use, from the library itself: presets, lesion kinds, samplers and so on.

Standard library only behind these imports, so they cost nothing when Slicer starts.
"""

import importlib
import importlib.util
import sys

from MedSynthLib import library

LIBRARY = library.libraryFolder()
PRESETS = importlib.import_module("medsynth.domains").PRESETS
_lesionTitles = importlib.import_module("medsynth.domains.lesion_kinds")


def _words(part: str):
    """A module of medsynth.request by its file: the package also reads YAML, which Slicer cannot."""
    name = f"MedSynthLib._request_{part}"
    file = LIBRARY / "medsynth" / "request" / f"{part}.py"
    specification = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses look their module up there
    specification.loader.exec_module(module)
    return module


_model = _words("model")
# Today's name of a lesion kind; scenes that were saved earlier may have another.
currentKind = _words("aliases").lesion_kind
FROM_VOLUME = "from another volume"
KINDS = [*dict.fromkeys(k for p in PRESETS.values() for k in p.lesion_kinds), FROM_VOLUME]
KIND_TITLES = {k: _lesionTitles.titled(k) for k in KINDS[:-1]} | {
    FROM_VOLUME: "From another volume"
}
PRESET_NAMES = list(PRESETS)
PRESET_TITLES = {name: preset.title for name, preset in PRESETS.items()}
FIRST = next(iter(PRESETS.values()))
EXTENTS = list(_model.EXTENTS)
BACKGROUNDS = list(_model.BACKGROUNDS)
SAMPLER_TITLES = _model.SAMPLERS.titles
SAMPLERS = list(SAMPLER_TITLES)
COMPOSITIONS = list(_model.COMPOSITIONS)
FILTERS = list(_model.FILTERS)
GUIDANCE = list(_model.GUIDANCE)
DEVICES = list(_model.DEVICES)
VIEWS = _model.VIEWS  # by the preset's modality
LATERALITIES = _model.LATERALITIES
PIXEL_MM = _model.PIXEL_MM
PHANTOM_VIEWS, PHANTOM_SIDES = (list(_model.BREAST_WORDS[k]) for k in ("view", "laterality"))
ANY_DENSITY = "any density"
DENSITIES = [ANY_DENSITY, *_model.BREAST_WORDS["density"]]


def setDefaults(parameters, preset) -> None:
    """The preset's own factor, stop and number of steps."""
    parameters.factor = float(preset.anatomy_factor)
    parameters.stop = float(preset.anatomy_stop)
    parameters.steps = preset.steps


def kindsOf(preset) -> list[str]:
    """What can be asked for in the preset's domain."""
    return [*preset.lesion_kinds, FROM_VOLUME]


def factorOf(kind) -> int:
    """The factor of a lesion kind, in the preset that draws it."""
    drawing = (p.pathology_factor for p in PRESETS.values() if kind in p.lesion_kinds)
    declared = _lesionTitles.KINDS
    own = declared[kind].factor if kind in declared else None
    return next(drawing, FIRST.pathology_factor) if own is None else own

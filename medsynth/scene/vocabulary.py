"""The words a request may use, from the library itself: presets, lesion kinds, samplers and so on.

Standard library only behind these imports, so they cost nothing when Slicer starts.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from medsynth.domains import PRESETS
from medsynth.domains import lesion_kinds as _lesion_titles


def _words(part: str) -> ModuleType:
    """A module of medsynth.request by its file: the package also reads YAML, which Slicer cannot."""
    name = f"medsynth.scene._request_{part}"
    file = Path(__file__).resolve().parents[1] / "request" / f"{part}.py"
    specification = importlib.util.spec_from_file_location(name, file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses look their module up there
    specification.loader.exec_module(module)
    return module


_model = _words("model")
# Today's name of a lesion kind; scenes that were saved earlier may have another.
current_kind = _words("aliases").lesion_kind
FROM_VOLUME = "from another volume"
KINDS = [*dict.fromkeys(k for p in PRESETS.values() for k in p.lesion_kinds), FROM_VOLUME]
KIND_TITLES = {k: _lesion_titles.titled(k) for k in KINDS[:-1]} | {
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
QUALITIES = dict(_model.QUALITIES)  # word -> network calls for each slice
DEVICES = list(_model.DEVICES)
VIEWS = _model.VIEWS  # by the preset's modality
LATERALITIES = _model.LATERALITIES
PIXEL_MM = _model.PIXEL_MM
PHANTOM_VIEWS, PHANTOM_SIDES = (list(_model.BREAST_WORDS[k]) for k in ("view", "laterality"))
ANY_DENSITY = "any density"
DENSITIES = [ANY_DENSITY, *_model.BREAST_WORDS["density"]]


def set_defaults(parameters, preset) -> None:
    """The preset's own factor, stop, number of steps and sampler."""
    parameters.factor = float(preset.anatomy_factor)
    parameters.stop = float(preset.anatomy_stop)
    parameters.steps = preset.steps
    parameters.sampler = preset.sampler


def named_sampler(parameters) -> dict[str, str]:
    """The request's `sampler`, if it is not the preset's own: unsaid, few calls may have another."""
    own = PRESETS[parameters.preset].sampler
    return {} if parameters.sampler == own else {"sampler": parameters.sampler}


def kinds_of(preset) -> list[str]:
    """What can be asked for in the preset's domain."""
    return [*preset.lesion_kinds, FROM_VOLUME]


def factor_of(kind) -> int:
    """The factor of a lesion kind, in the preset that draws it."""
    drawing = (p.pathology_factor for p in PRESETS.values() if kind in p.lesion_kinds)
    declared = _lesion_titles.KINDS
    own = declared[kind].factor if kind in declared else None
    return next(drawing, FIRST.pathology_factor) if own is None else own

"""Every kind of lesion that can be drawn, of all domains, by name.

A family of kinds (lung nodules in HU, lesions in gray values, ...) is a table of its own and a drawer
in `medsynth.lesions.procedural`.
"""

from __future__ import annotations

from medsynth.lesions.kinds.display_units import DISPLAY_KINDS
from medsynth.lesions.kinds.lung import LUNG_KINDS, Kind
from medsynth.lesions.kinds.mammography import MAMMOGRAPHY_KINDS

KINDS: dict[str, Kind] = {**LUNG_KINDS, **MAMMOGRAPHY_KINDS, **DISPLAY_KINDS}

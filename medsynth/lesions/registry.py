"""Every kind of lesion that can be drawn, of all domains, by name.

A family of kinds (lung nodules in HU, lesions in grey values, ...) is a table of its own and a drawer
in `medsynth.lesions.procedural`.
"""

from __future__ import annotations

from medsynth.lesions.kinds.display_units import GREY_KINDS
from medsynth.lesions.kinds.lung import LUNG_KINDS, Kind
from medsynth.lesions.kinds.mammography import FILM_KINDS

KINDS: dict[str, Kind] = {**LUNG_KINDS, **FILM_KINDS, **GREY_KINDS}

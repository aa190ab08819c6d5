"""Every kind of lesion that can be drawn, of all domains, by name.

A family of kinds (lung nodules in HU, lesions in grey values, ...) is a table of its own and a drawer
in `medsynth.pathology.procedural`.
"""

from __future__ import annotations

from medsynth.pathology.grey_kinds import GREY_KINDS
from medsynth.pathology.kinds import LUNG_KINDS, Kind
from medsynth.pathology.mammography import FILM_KINDS

KINDS: dict[str, Kind] = {**LUNG_KINDS, **FILM_KINDS, **GREY_KINDS}

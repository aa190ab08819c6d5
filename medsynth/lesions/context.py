"""What every kind of lesion is given to draw with; each technique adds what it knows of the place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medsynth.lesions.outline import Surface
from medsynth.lesions.sub_volume import SubVolume


@dataclass(frozen=True)
class DrawingContext:
    """Where a lesion is drawn.

    Attributes:
        sub_volume: the reference's voxels around it, with the fine grid.
        surface: its outline.
        signed_mm: distance from the outline on the fine grid, negative inside.
        generator: the lesion's own.
    """

    sub_volume: SubVolume
    surface: Surface
    signed_mm: np.ndarray
    generator: np.random.Generator

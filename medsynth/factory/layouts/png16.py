"""16-bit PNG of every slice, whose physical values come back with slope and intercept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medsynth.domains import Preset
from medsynth.factory.layouts.pictures import rescale_of, to_16_bit
from medsynth.factory.layouts.png_table import PngTable


@dataclass(frozen=True)
class Png16(PngTable):
    """images/ID.png, masks/ID.png (the number of the class), table.csv with the rescale.

    value = stored x slope + intercept, the same for the whole set; `pixels_clipped` counts what lay
    outside.
    """

    columns: tuple[str, ...] = ("slope", "intercept", "units", "pixels_clipped")

    def pixels(self, values: np.ndarray, preset: Preset) -> tuple[np.ndarray, dict[str, object]]:
        """The stored values."""
        stored, outside = to_16_bit(values, preset)
        slope, intercept = rescale_of(preset)
        said = {
            "slope": slope,
            "intercept": intercept,
            "units": preset.units,
            "pixels_clipped": outside,
        }
        return stored, said


LAYOUT = Png16(name="png16", title="16-bit PNG with slope and intercept, masks, table")

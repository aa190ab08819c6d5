"""8-bit PNG of every slice, in the domain's first window, with class masks and a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medsynth.domains import Preset
from medsynth.factory.layouts.png_table import PngTable


@dataclass(frozen=True)
class Png8(PngTable):
    """images/ID.png, masks/ID.png (the number of the class), table.csv with the window."""

    columns: tuple[str, ...] = ("window", "window_center", "window_width")

    def pixels(self, values: np.ndarray, preset: Preset) -> tuple[np.ndarray, dict[str, object]]:
        """What a screen shows."""
        window = preset.windows[0]
        said = {
            "window": window.name,
            "window_center": window.center,
            "window_width": window.width,
        }
        return window.to_8_bit(values), said


LAYOUT = Png8(name="png8", title="8-bit PNG in the domain's first window, masks, table")

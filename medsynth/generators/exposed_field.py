"""The part of a frame that a mammogram fills: past its edge it is continued while it is guided.

A mammogram is cut off at the chest wall. Laid into a larger frame, the cut is a step, and the low-pass image
of a step rings all over the breast. So the mammogram is mirrored at its edges before it is filtered, as the
cosine transform does at the frame's own, and what lies outside of it is put back to its background.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medsynth.domains import Preset

# Pixels within the edge at which the mammogram is mirrored: the last ones are half background, a dark line
# that would ring as well.
EDGE = 2
LINE = 0.02  # share of a row or column that must be exposed: a speck of dust is no breast


@dataclass(frozen=True)
class ExposedField:
    """Rows and columns of the mammogram, and the value of what lies outside."""

    rows: slice
    columns: slice
    background: float

    def continued(self, values: np.ndarray) -> np.ndarray:
        """`values` (H, W) with the mammogram mirrored at its edges instead of what lies outside."""
        kept = [slice(part.start + EDGE, part.stop - EDGE) for part in (self.rows, self.columns)]
        outside = [
            (part.start, size - part.stop) for part, size in zip(kept, values.shape, strict=True)
        ]
        return np.pad(values[tuple(kept)], outside, mode="symmetric")

    def cut_off(self, values: np.ndarray) -> np.ndarray:
        """`values` (..., H, W) with the background outside of the mammogram."""
        cut = np.full_like(values, self.background)
        inside = (..., self.rows, self.columns)
        cut[inside] = values[inside]
        return cut


def exposed_field(values: np.ndarray, preset: Preset) -> ExposedField | None:
    """Where `values` (H, W) are exposed; None: up to the frame's edges, or nowhere."""
    exposed = values > preset.body_threshold
    rows, columns = (np.flatnonzero(exposed.mean(axis=axis) >= LINE) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return None
    if min(np.ptp(rows), np.ptp(columns)) < 4 * EDGE:
        return None
    field = (
        slice(int(rows[0]), int(rows[-1]) + 1),
        slice(int(columns[0]), int(columns[-1]) + 1),
    )
    outside = np.ones(values.shape, bool)
    outside[field] = False
    if not outside.any():
        return None
    return ExposedField(*field, float(np.median(values[outside])))

"""What a report is made of: arrays in physical units, and the two records of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from medsynth.domains import Window
from medsynth.errors import GeometryError


class PlanesByIndex(Protocol):
    """Slice k as `[k]`, (j, i): an array (k, j, i), or an object that computes it on demand."""

    def __getitem__(self, k: int, /) -> np.ndarray: ...


@dataclass(frozen=True)
class ReportInput:
    """Everything that the pictures and the page show.

    `reference`, `result` and each of `masks` (bool) are (k, j, i) on one grid, images in physical
    units; `spacing_mm` is (x, y, z). `low_pass` maps a factor to the filtered reference.
    `request` and `record` are what request.yaml and result.json hold.

    Raises:
        GeometryError: the arrays do not share a shape.
    """

    title: str
    reference: np.ndarray
    result: np.ndarray
    spacing_mm: tuple[float, float, float]
    windows: tuple[Window, ...]
    units: str = "HU"
    low_pass: Mapping[int, PlanesByIndex] = field(default_factory=dict)
    masks: tuple[np.ndarray, ...] = ()
    request: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.reference.ndim != 3:
            raise GeometryError(f"expected an array (k, j, i), got shape {self.reference.shape}")
        for name, array in (("result", self.result), *(("mask", mask) for mask in self.masks)):
            if array.shape != self.reference.shape:
                raise GeometryError(
                    f"{name} has shape {array.shape}, expected the reference's {self.reference.shape}"
                )

    @property
    def lesion_area(self) -> np.ndarray:
        """Voxels of all lesions per slice, (k,)."""
        area = np.zeros(len(self.reference), dtype=int)
        for mask in self.masks:
            area += np.count_nonzero(mask, axis=(1, 2))
        return area

    @property
    def changed(self) -> np.ndarray:
        """Slices in which the result differs from the reference, bool (k,)."""
        pairs = zip(self.result, self.reference, strict=True)
        return np.array([not np.array_equal(new, old) for new, old in pairs])

    @property
    def key_slice(self) -> int:
        """The slice to show first: most lesion, else the middle of what was synthesized."""
        area = self.lesion_area
        if area.any():
            return int(area.argmax())
        candidates = np.flatnonzero(self.changed)
        candidates = candidates if len(candidates) else np.arange(len(self.reference))
        return int(candidates[len(candidates) // 2])

    @property
    def difference_limit(self) -> float:
        """Half the range of the difference pictures: 98 % of the changed voxels' |difference|.

        Rounded up to a figure that people read easily.
        """
        k = self.key_slice
        difference = np.abs(self.result[k] - self.reference[k])
        changed = difference[difference > 0]
        quantile = float(np.quantile(changed, 0.98)) if changed.size else 0.0
        steps = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
        return float(next((step for step in steps if step >= quantile), 4000))

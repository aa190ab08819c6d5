"""The mark in the pixels of a synthesis, and what result.json says of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from medsynth.diffusion.guidance.low_pass import low_pass
from medsynth.domains import Preset
from medsynth.marking.keys import MarkKey, writing_key
from medsynth.marking.pixels import marked
from medsynth.request import Request


@dataclass
class PixelMark:
    """Marks slices of one request with `key`; None: the request wants no mark."""

    request: Request
    preset: Preset
    key: MarkKey | None = None
    slices: int = 0
    squares: float = 0.0
    pixels: int = 0  # that changed
    largest: float = 0.0
    low_pass: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, request: Request, preset: Preset) -> PixelMark:
        """With the user's key, else the product's; without one where the request says why not."""
        return cls(request, preset, None if request.no_pixel_mark else writing_key())

    def apply(self, plane: np.ndarray, weight: np.ndarray) -> None:
        """Mark a slice, `plane` (j, i) in whole physical units, where `weight` (0 to 1) is above 0."""
        if self.key is None:
            return
        after = marked(plane, weight, key=self.key, limits=self.preset.mark_limits)
        self._measure(plane, after)
        plane[...] = after

    def _measure(self, plane: np.ndarray, after: np.ndarray) -> None:
        change = after - plane
        self.slices += 1
        self.squares += float((change.astype(np.float64) ** 2).sum())
        self.pixels += int((change != 0).sum())
        self.largest = max(self.largest, float(np.abs(change).max(initial=0)))
        unit = self.preset.intensity.to_unit(plane)
        added = torch.from_numpy(self.preset.intensity.to_unit(after) - unit)
        factor = min(self.request.anatomy.factor, min(plane.shape))
        low = low_pass(added, factor=factor, kind=self.request.filter)
        self.low_pass.append(float(low.square().mean().sqrt()) / max(float(unit.std()), 1e-6))

    def record(self) -> dict[str, Any]:
        """For `Result.pixel_mark`."""
        if self.key is None:
            return {"written": False, "reason": self.request.no_pixel_mark}
        band = self.preset.mark_limits.band
        return {
            "written": True,
            "key": self.key.name,
            "key_id": self.key.identifier,
            "band": [band.low, band.high],  # cycles per pixel
            "slices": self.slices,
            # Of the pixels that changed.
            "rms": round((self.squares / max(self.pixels, 1)) ** 0.5, 3),
            "largest": self.largest,
            # As GuidanceError.error: what the mark adds to the low-pass image of the anatomy.
            "low_pass_change": round(max(self.low_pass, default=0.0), 7),
        }


def digest_of(plane: np.ndarray) -> str:
    """SHA-256 of the values of a slice (j, i), rounded to whole units, whatever file holds them."""
    whole = np.ascontiguousarray(np.rint(plane).astype("<i4"))
    return hashlib.sha256(repr(whole.shape).encode() + whole.tobytes()).hexdigest()

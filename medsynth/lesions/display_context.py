"""Kinds of lesion in pictures of gray values: chest X-ray, brain MRI, brain CT.

A picture has no unit, so every kind is relative to the tissue around the lesion, and sizes are shares
of its diameter, which hold whatever a pixel measures. Measured on the images the networks learned
from, at 256 x 256:

- chest X-ray, boxes of pneumonia (38): median gray against the same place of the other lung +15, upper
  quartile +36, nine tenths +62;
- brain MRI after contrast medium, brightest lump within the skull over the tissue two to three of its
  widths away: glioma 1.6 to 2.4 (median 1.9, 55 slices), meningioma 1.5 to 2.6 (1.85, 63);
- brain CT, blood over brain: +28 to +98 gray values (median 62, quartiles 43 and 84, 43 slices).

The edema around blood is 5 to 10 HU, 16 to 32 gray values of this window, darker than brain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from medsynth.lesions.context import DrawingContext
from medsynth.lesions.insert import noise_field

WHITE = 255.0
BRIGHTEST = 250.0  # the most a lesion is drawn at: detail has to remain
MOST_HEADROOM = 0.9  # share of what is left up to white that a shadow may take
# Diameter to which the random variation within a lesion (a few mm fine) is scaled.
NOISE_MM = 14.0
EDGE = 0.06  # of the diameter: width of an edge that is sharp


@dataclass(frozen=True)
class DisplayContext(DrawingContext):
    """Where a lesion is drawn into a picture of gray values.

    Attributes:
        before: (k, j, i) gray values of the sub-volume.
        tissue: gray value of what is around the lesion; on a projection image, of what it lies upon.
        inside: (k, j, i) boolean, where the lesion may act.
    """

    before: np.ndarray
    tissue: float
    inside: np.ndarray

    @property
    def beyond(self) -> np.ndarray:
        """Distance from the outline in diameters of the lesion, on the fine grid."""
        return self.signed_mm / np.float32(self.surface.diameter_mm)

    def noise_field(self, *, coarseness: float = 1.0) -> np.ndarray:
        """Smooth random field of unit variance on the sub-volume's voxels."""
        scale = NOISE_MM / (self.surface.diameter_mm * coarseness)
        return noise_field(self.sub_volume.voxels_mm() * scale, self.generator)

    def share(self, fine: np.ndarray) -> np.ndarray:
        """Fine-grid shares averaged within each voxel, none where the lesion may not act."""
        return self.sub_volume.mean_of_samples(fine.astype(np.float32)) * self.inside


@dataclass(frozen=True)
class DisplayLesion:
    """The sub-volume's gray values (k, j, i) with the lesion in it, and what there is to say."""

    after: np.ndarray
    warnings: tuple[str, ...] = ()


def in_edema(context: DisplayContext, options: dict[str, Any]) -> np.ndarray:
    """Gray values with tissue around the lesion brought towards `edema_level`, as fingers."""
    if options["edema"] == 0:
        return context.before
    reach = options["edema"] * (1 + 0.45 * fine_noise_field(context)).clip(0.1, 2)
    share = smooth(1 - context.beyond.clip(0) / reach)
    return filled(context.before, context.share(share), context.before * options["edema_level"])


def fine_noise_field(context: DisplayContext) -> np.ndarray:
    """`DisplayContext.noise_field` on the fine grid, limited to two standard deviations."""
    coarse = context.noise_field(coarseness=2.0).clip(-2, 2)
    for axis, fine in enumerate(context.sub_volume.fine[::-1]):
        coarse = np.repeat(coarse, fine, axis)
    return coarse


def edge(beyond: np.ndarray, *, width: float = EDGE) -> np.ndarray:
    """1 inside, 0 outside, over `width` diameters."""
    return np.clip(0.5 - beyond / width, 0, 1)


def smooth(share: np.ndarray) -> np.ndarray:
    """Smoothstep: 0 to 1 without a corner."""
    share = np.clip(share, 0, 1)
    return share**2 * (3 - 2 * share)


def filled(before: np.ndarray, share: np.ndarray, target: np.ndarray | float) -> np.ndarray:
    return before + share * (target - before)


def limited(after: np.ndarray, context: DisplayContext, options: dict[str, Any]) -> DisplayLesion:
    """What is brighter than `BRIGHTEST` and was drawn, cut there; said where that is the lesion."""
    wanted = context.tissue * options.get("enhancement", 1) + options.get("contrast", 0)
    warnings: tuple[str, ...] = ()
    if wanted > BRIGHTEST:
        warnings = (
            f"the lesion would be {wanted:.0f} bright beside tissue of {context.tissue:.0f}; white is "
            f"{WHITE:.0f}, it became {BRIGHTEST:.0f}",
        )
    return DisplayLesion(
        np.where(after > context.before, np.minimum(after, BRIGHTEST), after), warnings
    )


def exposed(context: DisplayContext, added: np.ndarray, contrast: float) -> DisplayLesion:
    """`added` gray values where the projection image is as bright as the tissue; less where it is brighter.

    v + (white - v) (1 - exp(-a)): a shadow on a shadow, and nothing passes white.
    """
    room = max(WHITE - context.tissue, 1.0)
    most = MOST_HEADROOM * room
    warnings: tuple[str, ...] = ()
    if contrast > most:
        warnings = (
            f"contrast {contrast:g} does not fit above tissue of {context.tissue:.0f}; it became "
            f"{most:.0f}",
        )
    through = 1 - np.clip(added, 0, most) / room
    return DisplayLesion(WHITE - (WHITE - context.before) * through, warnings)

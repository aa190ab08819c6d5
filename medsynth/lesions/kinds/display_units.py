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

A new kind is one more function that returns `Drawing` and one more entry in `GRAY_KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from medsynth.domains.lesion_titles import LESION_TITLES
from medsynth.lesions.insert import noise_field
from medsynth.lesions.kinds.lung import Kind
from medsynth.lesions.outline import Lobes, Surface
from medsynth.lesions.sub_volume import SubVolume

WHITE = 255.0
BRIGHTEST = 250.0  # the most a lesion is drawn at: detail has to remain
MOST_HEADROOM = 0.9  # share of what is left up to white that a shadow may take
# Diameter to which the random variation within a lesion (a few mm fine) is scaled.
NOISE_MM = 14.0
EDGE = 0.06  # of the diameter: width of an edge that is sharp


@dataclass(frozen=True)
class DisplayContext:
    """Where a lesion is drawn.

    Attributes:
        sub_volume: the reference's voxels around it, with the fine grid.
        surface: its outline.
        signed_mm: distance from the outline on the fine grid, negative inside.
        before: (k, j, i) gray values of the sub-volume.
        tissue: gray value of what is around the lesion; on a film, of what it lies upon.
        inside: (k, j, i) boolean, where the lesion may act.
        generator: the lesion's own.
    """

    sub_volume: SubVolume
    surface: Surface
    signed_mm: np.ndarray
    before: np.ndarray
    tissue: float
    inside: np.ndarray
    generator: np.random.Generator

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
class Drawing:
    """The sub-volume's gray values (k, j, i) with the lesion in it, and what there is to say."""

    after: np.ndarray
    warnings: tuple[str, ...] = ()


def nodule(context: DisplayContext, options: dict[str, Any]) -> Drawing:
    """A round shadow: as bright as the ray's way through a ball is long, its margin a little soft."""
    depth = np.clip(-context.signed_mm, 0, None)
    beside = 1 - depth / max(float(depth.max()), 1e-6)
    chord = np.where(depth > 0, np.sqrt(np.clip(1 - beside**2, 0, 1)), 0)
    steps = [
        s / f for s, f in zip(context.sub_volume.spacing_mm, context.sub_volume.fine, strict=True)
    ]
    sigma = 0.5 * EDGE * context.surface.diameter_mm
    chord = ndimage.gaussian_filter(chord, [0, sigma / steps[1], sigma / steps[0]])
    chord /= max(float(chord.max()), 1e-6)
    return _exposed(context, options["contrast"] * context.share(chord), options["contrast"])


def opacity(context: DisplayContext, options: dict[str, Any]) -> Drawing:
    """A consolidation: a cloudy shadow that fades over its edge."""
    soft = _smooth(0.5 - context.beyond / options["softness"])
    cloud = 1 + 0.16 * context.noise_field(coarseness=1.6).clip(-2, 2)
    return _exposed(context, options["contrast"] * context.share(soft) * cloud, options["contrast"])


def enhancing_mass(context: DisplayContext, options: dict[str, Any]) -> Drawing:
    """A mass that takes up contrast medium, in edema."""
    after = _edema(context, options)
    bright = context.tissue * options["enhancement"] * (1 + 0.05 * context.noise_field())
    return _limited(_filled(after, context.share(_edge(context.beyond)), bright), context, options)


def ring_enhancing_mass(context: DisplayContext, options: dict[str, Any]) -> Drawing:
    """A rim that takes up contrast medium around a dark, dead middle, in edema."""
    after = _edema(context, options)
    varied = options["rim"] * (1 + 0.25 * _fine_noise_field(context))
    middle = context.tissue * options["core_level"] * (1 + 0.05 * context.noise_field())
    bright = context.tissue * options["enhancement"] * (1 + 0.05 * context.noise_field())
    after = _filled(after, context.share(_edge(context.beyond)), bright)
    after = _filled(after, context.share(_edge(context.beyond + varied)), middle)
    return _limited(after, context, options)


def hemorrhage(context: DisplayContext, options: dict[str, Any]) -> Drawing:
    """Fresh blood, bright, in a thin dark rim of edema."""
    rim = _edge(context.beyond - options["rim"], width=options["rim"])
    after = _filled(context.before, context.share(rim), context.before - options["rim_contrast"])
    blood = context.tissue + options["contrast"] * (1 + 0.09 * context.noise_field())
    return _limited(_filled(after, context.share(_edge(context.beyond)), blood), context, options)


def _edema(context: DisplayContext, options: dict[str, Any]) -> np.ndarray:
    """Gray values with tissue around the lesion brought towards `edema_level`, as fingers."""
    if options["edema"] == 0:
        return context.before
    reach = options["edema"] * (1 + 0.45 * _fine_noise_field(context)).clip(0.1, 2)
    share = _smooth(1 - context.beyond.clip(0) / reach)
    return _filled(context.before, context.share(share), context.before * options["edema_level"])


def _fine_noise_field(context: DisplayContext) -> np.ndarray:
    """`DisplayContext.noise_field` on the fine grid, limited to two standard deviations."""
    coarse = context.noise_field(coarseness=2.0).clip(-2, 2)
    for axis, fine in enumerate(context.sub_volume.fine[::-1]):
        coarse = np.repeat(coarse, fine, axis)
    return coarse


def _edge(beyond: np.ndarray, *, width: float = EDGE) -> np.ndarray:
    """1 inside, 0 outside, over `width` diameters."""
    return np.clip(0.5 - beyond / width, 0, 1)


def _smooth(share: np.ndarray) -> np.ndarray:
    """Smoothstep: 0 to 1 without a corner."""
    share = np.clip(share, 0, 1)
    return share**2 * (3 - 2 * share)


def _filled(before: np.ndarray, share: np.ndarray, target: np.ndarray | float) -> np.ndarray:
    return before + share * (target - before)


def _limited(after: np.ndarray, context: DisplayContext, options: dict[str, Any]) -> Drawing:
    """What is brighter than `BRIGHTEST` and was drawn, cut there; said where that is the lesion."""
    wanted = context.tissue * options.get("enhancement", 1) + options.get("contrast", 0)
    warnings: tuple[str, ...] = ()
    if wanted > BRIGHTEST:
        warnings = (
            f"the lesion would be {wanted:.0f} bright beside tissue of {context.tissue:.0f}; white is "
            f"{WHITE:.0f}, it became {BRIGHTEST:.0f}",
        )
    return Drawing(np.where(after > context.before, np.minimum(after, BRIGHTEST), after), warnings)


def _exposed(context: DisplayContext, added: np.ndarray, contrast: float) -> Drawing:
    """`added` gray values where the film is as bright as the tissue; less where it is brighter.

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
    return Drawing(WHITE - (WHITE - context.before) * through, warnings)


_SHAPE = {"lobulation": (0.0, 0.35), "elongation": (1.0, 2.5)}
_EDEMA = {"edema": (0.0, 1.5), "edema_level": (0.5, 1.8)}
_FINGERS = {"edema": (0.25, 0.6), "edema_level": (0.72, 0.88)}


def _kind(
    family: str, title: str, draw: Callable, options: dict, ranges: dict, *, lobes: Lobes
) -> Kind:
    return Kind(title, draw, {**options, **_SHAPE}, ranges, family=family, lobes=lobes)


DISPLAY_KINDS: dict[str, Kind] = {
    "nodule": _kind(
        "chest_xray",
        LESION_TITLES["nodule"],
        nodule,
        {"contrast": (5, 120)},
        {"contrast": (22, 45), "lobulation": (0.02, 0.08), "elongation": (1.0, 1.25)},
        lobes=Lobes(),
    ),
    "opacity": _kind(
        "chest_xray",
        LESION_TITLES["opacity"],
        opacity,
        {"contrast": (5, 120), "softness": (0.05, 1.0)},
        {
            "contrast": (25, 55),
            "softness": (0.35, 0.6),
            "lobulation": (0.08, 0.18),
            "elongation": (1.0, 1.6),
        },
        lobes=Lobes(18, (3.0, 10.0)),
    ),
    "enhancing_mass": _kind(
        "brain_mri",
        LESION_TITLES["enhancing_mass"],
        enhancing_mass,
        {"enhancement": (1.1, 3.0), **_EDEMA},
        {
            "enhancement": (1.6, 2.2),
            **_FINGERS,
            "lobulation": (0.03, 0.1),
            "elongation": (1.0, 1.35),
        },
        lobes=Lobes(),
    ),
    "ring_enhancing_mass": _kind(
        "brain_mri",
        LESION_TITLES["ring_enhancing_mass"],
        ring_enhancing_mass,
        {"enhancement": (1.1, 3.0), "rim": (0.05, 0.4), "core_level": (0.1, 1.2), **_EDEMA},
        {
            "enhancement": (1.7, 2.3),
            "rim": (0.1, 0.18),
            "core_level": (0.5, 0.8),
            **_FINGERS,
            "lobulation": (0.06, 0.15),
            "elongation": (1.0, 1.5),
        },
        lobes=Lobes(20, (3.0, 12.0)),
    ),
    "hemorrhage": _kind(
        "brain_ct",
        LESION_TITLES["hemorrhage"],
        hemorrhage,
        {"contrast": (10, 150), "rim": (0.02, 0.4), "rim_contrast": (0, 60)},
        {
            "contrast": (50, 90),
            "rim": (0.08, 0.18),
            "rim_contrast": (14, 30),
            "lobulation": (0.06, 0.16),
            "elongation": (1.1, 1.9),
        },
        lobes=Lobes(20, (3.0, 12.0)),
    ),
}

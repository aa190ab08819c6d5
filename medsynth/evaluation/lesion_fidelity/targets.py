"""Where lesions are asked for: random places in the lung of held-out patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from medsynth.domains import Preset
from medsynth.errors import GeometryError
from medsynth.events import Listener, Stage, ignore
from medsynth.images import read_image, voxel_to_mm
from medsynth.lesions.body import body_array, lung_array

KINDS = ("solid", "spiculated")
DIAMETERS_MM = (8.0, 30.0)
# How far from the lung's border a center must lie, in diameters: a lobed outline reaches 0.6.
CLEARANCE = 0.65
# What a nodule and its spicules may reach from its center.
REACH_MM = 36.0
# Slices with less lung than this share of the body are not asked for nodules.
LUNG_SHARE = 0.2


@dataclass(frozen=True)
class Target:
    """What one request asks: the volume, and the lesion in its middle slice."""

    number: int
    volume: str
    kind: str
    diameter_mm: float
    center_mm: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class HeldOutVolume:
    """A piece of a volume: slice `middle` of `image` is synthesized, the others give depth."""

    image: sitk.Image
    middle: int

    @property
    def plane(self) -> sitk.Image:
        """The middle slice alone."""
        return self.image[:, :, self.middle : self.middle + 1]


def volumes_with_lung(
    folders: Sequence[Path], count: int, *, preset: Preset, listener: Listener = ignore
) -> dict[str, HeldOutVolume]:
    """`count` volumes, spread over the series of `folders`, whose middle shows enough lung.

    Raises:
        ValueError: no slice shows enough lung.
    """
    found: dict[str, HeldOutVolume] = {}
    share = -(-count // len(folders))
    with Stage("reading series", total=len(folders), listener=listener) as stage:
        for folder in folders:
            image = read_image(folder).image
            tried = np.linspace(0, image.GetDepth() - 1, 4 * share + 2).round().astype(int)[1:-1]
            able = [k for k in sorted(set(tried.tolist())) if _shows_lung(image, k, preset=preset)]
            chosen = np.linspace(0, len(able) - 1, min(share, len(able))).round().astype(int)
            for k in (able[index] for index in chosen):
                found[f"{folder.parent.name}/{folder.name} slice {k + 1}"] = volume_at(image, k)
            stage.advance(message=folder.name)
    if not found:
        raise ValueError(
            f"no slice below {', '.join(map(str, folders))} shows lung in {LUNG_SHARE:.0%} of the "
            "body; nodules cannot be placed"
        )
    return dict(list(found.items())[:count])


def volume_at(image: sitk.Image, k: int) -> HeldOutVolume:
    """What a nodule and its spicules in slice `k` may reach, as far as the volume goes."""
    reach = int(np.ceil(REACH_MM / image.GetSpacing()[2]))
    first = max(k - reach, 0)
    return HeldOutVolume(image[:, :, first : min(k + reach + 1, image.GetDepth())], k - first)


def _shows_lung(image: sitk.Image, k: int, *, preset: Preset) -> bool:
    try:
        body, lung = _body_and_lung(image[:, :, k : k + 1], preset=preset)
    except GeometryError:  # no body in this slice
        return False
    return bool(lung.sum() > LUNG_SHARE * body.sum())


def _body_and_lung(image: sitk.Image, *, preset: Preset) -> tuple[np.ndarray, np.ndarray]:
    values = sitk.GetArrayViewFromImage(image).astype(np.float32)
    body = body_array(values, image.GetSpacing(), preset.body_threshold)
    return body, lung_array(values, body, image.GetSpacing())


def draw_targets(
    volumes: dict[str, HeldOutVolume], count: int, *, preset: Preset, seed: int = 0
) -> list[Target]:
    """`count` lesions at random places inside the lung, kinds in turn, diameters uniform.

    Raises:
        ValueError: no volume has room for a diameter that was drawn.
    """
    generator = np.random.default_rng(seed)
    room = {name: _room_mm(volume, preset=preset) for name, volume in volumes.items()}
    targets = []
    for number in range(count):
        diameter = round(float(generator.uniform(*DIAMETERS_MM)), 1)
        fitting = [n for n, mm in room.items() if (mm >= CLEARANCE * diameter).any()]
        if not fitting:
            raise ValueError(f"no volume has room for a lesion of {diameter} mm inside the lung")
        name = fitting[generator.integers(len(fitting))]
        rows, columns = np.nonzero(room[name] >= CLEARANCE * diameter)
        at = generator.integers(len(rows))
        index = np.array([columns[at], rows[at], volumes[name].middle])
        center = voxel_to_mm(volumes[name].image, index)
        kind = KINDS[number % len(KINDS)]
        targets.append(Target(number, name, kind, diameter, tuple(np.round(center, 3).tolist())))
    return targets


def _room_mm(volume: HeldOutVolume, *, preset: Preset) -> np.ndarray:
    """Distance of every pixel of the middle slice (H, W) to where the lung or the volume ends."""
    _, lung = _body_and_lung(volume.image, preset=preset)
    if len(lung) > 1:  # a lesion must not be cut by the end of a volume
        lung = np.pad(lung, ((1, 1), (0, 0), (0, 0)))
    spacing = volume.image.GetSpacing()[::-1]
    distance = ndimage.distance_transform_edt(lung, sampling=spacing)
    return distance[volume.middle + (len(lung) - volume.image.GetDepth()) // 2]

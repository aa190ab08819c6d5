"""One training batch as a pure function of (seed, step): resuming needs no random state.

Every draw, from the choice of the slice to the noise, comes from a generator seeded by the recipe's
seed and the step's number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medsynth.conditions import low_pass
from medsynth.diffusion import noise
from medsynth.diffusion.denoiser import Hint
from medsynth.diffusion.schedule import Schedule
from medsynth.presets import IntensityMap, Preset
from medsynth.training.data import Slices
from medsynth.training.recipe import Augment, Phase, Recipe, Reference

# The stream of random numbers that training uses, apart from those of sampling.
TRAINING = 2


@dataclass(frozen=True)
class Batch:
    """x0 and noise (B, 1, H, W), timesteps (B,), crop corners (B, 2) in pixels, hint or None."""

    x0: Tensor
    noise: Tensor
    t: Tensor
    origin: Tensor
    hint: Hint | None


def step_generator(seed: int, step: int) -> torch.Generator:
    """The CPU generator of one optimizer step."""
    return noise.generator(seed, step, stream=TRAINING)


def draw_batch(
    slices: Slices, *, recipe: Recipe, preset: Preset, schedule: Schedule, step: int
) -> Batch:
    """The batch of optimizer step `step`, on the CPU."""
    generator = step_generator(recipe.seed, step)
    phase = recipe.phase_at(step)
    samples = [_sample(slices, recipe, preset, phase, generator) for _ in range(phase.batch_size)]
    x0 = torch.stack([s[0] for s in samples])
    origin = torch.stack([s[1] for s in samples])
    hint = None
    if recipe.network.get("reference_aware"):
        hint = Hint(torch.stack([s[2] for s in samples]), torch.stack([s[3] for s in samples]))
    t = draw_timesteps(phase.batch_size, schedule, generator)
    epsilon = torch.randn(x0.shape, generator=generator)
    return Batch(x0, epsilon, t, origin, hint)


def draw_timesteps(count: int, schedule: Schedule, generator: torch.Generator) -> Tensor:
    """`count` integer timesteps, uniform and stratified: one from each `count`-th of the schedule."""
    position = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    t = (position * schedule.num_train_timesteps).long().clamp(max=schedule.num_train_timesteps - 1)
    return t[torch.randperm(count, generator=generator)]


def _sample(
    slices: Slices, recipe: Recipe, preset: Preset, phase: Phase, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x0 (1, H, W), its corner (2,), low band and factor map (1, H, W) of one training sample."""
    index = int(torch.randint(len(slices.images), (1,), generator=generator))
    image = _unit_image(slices.images[index], preset.intensity)
    image = augment(image, recipe.augment, generator)
    low_band, factor_map = draw_reference(image, recipe.reference, generator)
    height, width = image.shape[1:]
    crop_height, crop_width = (phase.crop or height), (phase.crop or width)
    step = recipe.network.get("patch_size", 4)  # corners on the patch grid
    row = _draw_index((height - crop_height) // step + 1, generator) * step
    column = _draw_index((width - crop_width) // step + 1, generator) * step
    window = (..., slice(row, row + crop_height), slice(column, column + crop_width))
    return image[window], torch.tensor([row, column]), low_band[window], factor_map[window]


def _unit_image(values: np.ndarray, intensity: IntensityMap) -> Tensor:
    """(1, H, W) in [-1, 1], through a table: the values are whole numbers."""
    low = round(intensity.physical[0])
    return _unit_table(intensity)[torch.from_numpy(values.astype(np.int64) - low)][None]


@lru_cache(maxsize=4)
def _unit_table(intensity: IntensityMap) -> Tensor:
    low, high = round(intensity.physical[0]), round(intensity.physical[-1])
    return torch.from_numpy(intensity.to_unit(np.arange(low, high + 1)))


def augment(image: Tensor, options: Augment, generator: torch.Generator) -> Tensor:
    """A flipped, shifted, sometimes rotated and scaled copy of `image` (1, H, W) in [-1, 1]."""
    if _draw(generator) < options.flip:
        image = image.flip(-1)
    rows, columns = (
        _draw_index(2 * options.shift_pixels + 1, generator) - options.shift_pixels for _ in "rc"
    )
    image = _shift(image, rows, columns)
    if _draw(generator) < options.affine:
        angle = math.radians(options.rotate_deg) * (2 * _draw(generator) - 1)
        scale = 1 + options.scale * (2 * _draw(generator) - 1)
        cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
        matrix = torch.tensor([[[cos, -sin, 0.0], [sin, cos, 0.0]]])
        grid = functional.affine_grid(matrix, (1, *image.shape), align_corners=False)
        # Sampled around the air value, so that zero padding means air.
        moved = functional.grid_sample(image[None] + 1, grid, mode="bicubic", align_corners=False)
        image = (moved[0] - 1).clamp(-1, 1)
    return image


def _shift(image: Tensor, rows: int, columns: int) -> Tensor:
    """Moved by whole pixels; what comes in from outside is air (-1)."""
    padding = (max(columns, 0), max(-columns, 0), max(rows, 0), max(-rows, 0))
    padded = functional.pad(image, padding, value=-1.0)
    row, column = max(-rows, 0), max(-columns, 0)
    return padded[:, row : row + image.shape[1], column : column + image.shape[2]]


def draw_reference(
    image: Tensor, options: Reference, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The low band that guidance would impose on `image` (1, H, W), and the map of its factor.

    As while sampling: the weights blend the low bands, the map names the stronger reference.
    """
    factor = _choose(options.factors, options.weights, generator)
    low_band = _low_band(image, factor)
    factor_map = torch.full_like(image, factor)
    if _draw(generator) < options.region:
        other = _choose(options.region_factors, None, generator)
        weight = _ellipse(image.shape[1:], generator)
        inside = weight > 0.5
        if other and factor:
            low_band = torch.lerp(low_band, _low_band(image, other), weight)
        elif other:
            low_band = _low_band(image, other)
        factor_map = torch.where(inside, float(other), factor_map)
    return low_band, factor_map


def _low_band(image: Tensor, factor: int) -> Tensor:
    if factor == 0:
        return torch.zeros_like(image)
    return low_pass.build("dct", size=tuple(image.shape[-2:]), factor=factor)(image)


def _ellipse(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Weights (1, H, W) of a soft-edged ellipse, from a small nodule to a third of the image."""
    height, width = shape
    center = torch.rand(2, generator=generator) * torch.tensor([height, width])
    radii = 8 * (min(shape) / 48) ** torch.rand(2, generator=generator)
    rows = (torch.arange(height)[:, None] - center[0]) / radii[0]
    columns = (torch.arange(width)[None, :] - center[1]) / radii[1]
    distance = (rows**2 + columns**2).sqrt()
    return torch.sigmoid((1 - distance) * 6)[None]


def _draw(generator: torch.Generator) -> float:
    return float(torch.rand(1, generator=generator))


def _draw_index(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (1,), generator=generator))


def _choose(
    values: tuple[int, ...], weights: tuple[float, ...] | None, generator: torch.Generator
) -> int:
    chances = torch.tensor(weights or [1.0] * len(values))
    return values[int(torch.multinomial(chances, 1, generator=generator))]

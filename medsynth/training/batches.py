"""One training batch as a pure function of (seed, step): resuming needs no random state.

Every sample of a step, from the choice of the slice to its noise, has a generator of its own, so that
several processes can each draw their share of one batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medsynth.diffusion.denoiser import Conditioning
from medsynth.diffusion.guidance.low_pass import low_pass
from medsynth.diffusion.guidance.reduced import reduced
from medsynth.diffusion.schedule import Schedule
from medsynth.domains import IntensityMap, Preset
from medsynth.networks.architectures import network_config
from medsynth.training.recipe import Augment, Phase, Recipe, ReferenceOptions

# The stream of random numbers that training uses, apart from those of sampling (0 and 1).
TRAINING = 2
# Share of the samples whose noise level is left out, so that a phantom's network knows what to do.
NOISE_LEVEL_DROPOUT = 0.1


@dataclass(frozen=True)
class Batch:
    """x0 and noise (B, 1, H, W), crop corners (B, 2) in pixels, conditioning or None.

    `position` (B,) in [0, 1), float64: where in the distribution of noise levels each sample is.
    """

    x0: Tensor
    noise: Tensor
    quantiles: Tensor
    origin: Tensor
    conditioning: Conditioning | None

    def to(self, device: str) -> Batch:
        """On `device`, without waiting for copies from pinned memory; positions stay on the CPU."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """In memory that a GPU can copy from while it computes; the DataLoader asks for it."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, move) -> Batch:
        conditioning = self.conditioning
        if conditioning:
            noise_level = (
                None if conditioning.noise_level is None else move(conditioning.noise_level)
            )
            conditioning = Conditioning(
                move(conditioning.low_pass_image), move(conditioning.factor_map), noise_level
            )
        return Batch(
            move(self.x0), move(self.noise), self.quantiles, move(self.origin), conditioning
        )


def _generator(*entropy: int) -> torch.Generator:
    state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state))


class BatchSource(Protocol):
    """What batches are drawn from: `datasets.Slices`, or the same on a device."""

    @property
    def images(self) -> np.ndarray | Tensor: ...

    @property
    def noise_level(self) -> np.ndarray | None: ...


@dataclass(frozen=True)
class ResidentSlices:
    """Slices whose `images` lie on the device where batches are drawn."""

    images: Tensor
    noise_level: np.ndarray | None


def draw_batch(
    slices: BatchSource, *, recipe: Recipe, preset: Preset, step: int, share: slice = slice(None)
) -> Batch:
    """The batch of optimizer step `step`, or the `share` of its samples.

    On the device that `slices.images` lie on: the CPU for an array. Random numbers come from the CPU.
    """
    phase = recipe.phase_at(step)
    quantiles = draw_quantiles(phase.batch_size, _generator(recipe.seed, TRAINING, step))[share]
    samples = []
    for index in range(phase.batch_size)[share]:
        # From 1: SeedSequence takes a trailing 0 for nothing, which would be the step's own stream.
        generator = _generator(recipe.seed, TRAINING, step, index + 1)
        samples.append(_sample(slices, recipe, preset, phase, generator))
    x0, noise, origin, low_pass_image, factor_map, noise_level = (
        torch.stack(s) for s in zip(*samples, strict=True)
    )
    conditioning = None
    if network_config(recipe.network).reference_conditioned:
        conditioning = Conditioning(
            low_pass_image, factor_map, noise_level if recipe.noise_level else None
        )
    return Batch(x0, noise, quantiles, origin, conditioning)


def conditioned_quantiles(batch: Batch, log_snr_min: float | None, schedule: Schedule) -> Tensor:
    """The batch's positions, squeezed to levels above `log_snr_min` for images that a reference covers.

    For distributions that are uniform over the timesteps; None changes nothing.
    """
    if log_snr_min is None or batch.conditioning is None:
        return batch.quantiles
    conditioned = (batch.conditioning.factor_map > 0).flatten(1).all(dim=1).cpu()
    share = (float(schedule.t_at_log_snr(log_snr_min)) + 1) / schedule.num_train_timesteps
    return torch.where(conditioned, batch.quantiles * share, batch.quantiles)


def draw_quantiles(count: int, generator: torch.Generator) -> Tensor:
    """`count` positions in [0, 1), float64, stratified: one in each `count`-th, in random order."""
    within = torch.rand(count, generator=generator, dtype=torch.float64)
    quantiles = (torch.arange(count) + within) / count
    return quantiles[torch.randperm(count, generator=generator)]


def _sample(
    slices: BatchSource, recipe: Recipe, preset: Preset, phase: Phase, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """x0 and noise (1, H, W), corner (2,), low-pass image and factor map (1, H, W), noise level (2,) of one."""
    index = _draw_index(len(slices.images), generator)
    image = _unit_image(slices.images[index], preset.intensity)
    image = augment(image, recipe.augment, generator)
    if recipe.low_pass_factor:
        image = reduced(image, recipe.low_pass_factor)
    height, width = image.shape[1:]
    crop_height, crop_width = (phase.crop or height), (phase.crop or width)
    network = network_config(recipe.network)
    step = network.patch_size  # corners on the patch grid
    row = _draw_index((height - crop_height) // step + 1, generator) * step
    column = _draw_index((width - crop_width) // step + 1, generator) * step
    window = (..., slice(row, row + crop_height), slice(column, column + crop_width))
    low_pass_image = factor_map = image[window]
    if network.reference_conditioned:
        low_pass_image, factor_map = (
            part[window] for part in draw_reference(image, recipe.reference, generator)
        )
    x0 = image[window]
    noise = torch.randn(x0.shape, generator=generator).to(x0.device)
    corner = torch.tensor([row, column], device=x0.device)
    noise_level = torch.zeros(2, device=x0.device)
    if recipe.noise_level and _draw(generator) >= NOISE_LEVEL_DROPOUT:
        noise_level = _noise_level(slices, index).to(noise_level)
    return x0, noise, corner, low_pass_image, factor_map, noise_level


def _noise_level(slices: BatchSource, index: int) -> Tensor:
    if slices.noise_level is None:
        raise ValueError("the recipe has a noise_level, the slices' own was not measured")
    return torch.as_tensor(slices.noise_level[index])


def _unit_image(values: np.ndarray | Tensor, intensity: IntensityMap) -> Tensor:
    """(1, H, W) in [-1, 1], through a table: the values are whole numbers."""
    values = torch.as_tensor(values)
    index = values.long() - round(intensity.physical[0])
    return _unit_table(intensity, values.device)[index][None]


@lru_cache(maxsize=4)
def _unit_table(intensity: IntensityMap, device: torch.device) -> Tensor:
    low, high = round(intensity.physical[0]), round(intensity.physical[-1])
    return torch.from_numpy(intensity.to_unit(np.arange(low, high + 1))).to(device)


def augment(image: Tensor, options: Augment, generator: torch.Generator) -> Tensor:
    """A flipped, shifted, sometimes rotated and scaled copy of `image` (1, H, W) in [-1, 1]."""
    if _draw(generator) < options.flip:
        image = image.flip(-1)
    if options.flip_rows and _draw(generator) < options.flip_rows:
        image = image.flip(-2)
    rows, columns = (
        _draw_index(2 * options.shift_pixels + 1, generator) - options.shift_pixels for _ in "rc"
    )
    image = _shift(image, rows, columns)
    if _draw(generator) < options.affine:
        angle = math.radians(options.rotate_deg) * (2 * _draw(generator) - 1)
        scale = 1 + options.scale * (2 * _draw(generator) - 1)
        stretch = 1 + options.stretch * (2 * _draw(generator) - 1) if options.stretch else 1.0
        cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
        matrix = torch.tensor(
            [[[cos * stretch, -sin * stretch, 0.0], [sin / stretch, cos / stretch, 0.0]]],
            device=image.device,
        )
        grid = functional.affine_grid(matrix, [1, *image.shape], align_corners=False)
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
    image: Tensor, options: ReferenceOptions, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The low-pass image that guidance would give `image` (1, H, W), and the map of its factor.

    As while sampling: the weights blend the low-pass images, the map names the stronger reference.
    """
    factor = _choose(options.factors, options.weights, generator)
    low_pass_image = _low_pass_image(image, factor)
    factor_map = torch.full_like(image, factor)
    if _draw(generator) < options.region:
        other = _choose(options.region_factors, None, generator)
        weight = _ellipse(image.shape[1:], generator).to(image.device)
        inside = weight > 0.5
        if other and factor:
            low_pass_image = torch.lerp(low_pass_image, _low_pass_image(image, other), weight)
        elif other:
            low_pass_image = _low_pass_image(image, other)
        factor_map = torch.where(inside, float(other), factor_map)
    return low_pass_image, factor_map


def _low_pass_image(image: Tensor, factor: int) -> Tensor:
    if factor == 0:
        return torch.zeros_like(image)
    return low_pass(image, factor=factor)


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

"""What the network makes while it is trained: a few unguided and guided images side by side."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance.reduced import reduced
from medsynth.diffusion.sampling import generators, slice_noise
from medsynth.domains import Preset
from medsynth.generators.guided_diffusion import GuidedDiffusion
from medsynth.training.recipe import SampleOptions

LONGEST_CELL = 320
GAP = 4


def chosen(images: np.ndarray, count: int) -> np.ndarray:
    """`count` of the slices (N, H, W), spread evenly, neither the first nor the last."""
    places = np.linspace(0, len(images) - 1, count + 2)[1:-1].round().astype(int)
    return np.stack([np.asarray(images[i], dtype=np.float32) for i in places])


def low_pass_images(images: np.ndarray, factor: int, *, preset: Preset) -> np.ndarray:
    """What a network of low-pass images shall draw: `images` (N, H, W) on its grid, in physical units."""
    units = torch.from_numpy(preset.intensity.to_unit(images))
    return preset.intensity.from_unit(reduced(units, factor).numpy())


def synthesize(
    denoiser: Denoiser, references: np.ndarray, *, preset: Preset, options: SampleOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Guided by the low-pass image of each of `references` (N, H, W), and unguided; physical units.

    Seeds are fixed: two sheets differ by the network alone. No global random number is drawn.
    """
    generator = GuidedDiffusion(
        denoiser, preset, preset.sampler, options.steps, device=denoiser.device
    )
    guided, free = [], []
    noises = slice_noise(options.seed, range(len(references)), size=references.shape[1:])
    for index, (plane, (_, noise)) in enumerate(zip(references, noises, strict=True)):
        made = generator.follow(
            plane, factor=options.factor, noise=noise, index=index, seed=options.seed
        )
        guided.append(made.images[0])
        free.append(generator.sample(noise, generators=generators(options.seed, [index])).images[0])
    return np.stack(guided), np.stack(free)


def draw(
    references: np.ndarray, guided: np.ndarray, unguided: np.ndarray, *, preset: Preset
) -> Image.Image:
    """A row per reference; per window the reference, the guided image and the unguided one."""
    rows, columns = references.shape[1:]
    shrink = max(1.0, max(rows, columns) / LONGEST_CELL)
    size = (round(columns / shrink), round(rows / shrink))
    width = (size[0] + GAP) * 3 * len(preset.windows) - GAP
    picture = Image.new("L", (width, (size[1] + GAP) * len(references) - GAP), 128)
    for r, planes in enumerate(zip(references, guided, unguided, strict=True)):
        for w, window in enumerate(preset.windows):
            for c, plane in enumerate(planes):
                cell = Image.fromarray(window.to_8_bit(plane)).resize(size, Image.Resampling.BOX)
                picture.paste(cell, ((3 * w + c) * (size[0] + GAP), r * (size[1] + GAP)))
    return picture

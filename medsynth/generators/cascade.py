"""Unguided images from a cascade: a small network draws the low-pass image, the large one the rest.

p(x0) = p(phi_n x0) p(x0 | phi_n x0), the cascade of Ho et al. 2022 (arXiv:2106.15282) with the low
pass of the guidance between its two stages: the large network is conditioned on it as on any
reference. What is drawn is the low-pass image on a grid of its own,
ceil(H / n) x ceil(W / n) pixels, where the shape of a whole chest costs a hundredth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import Condition, ReferenceGuidance
from medsynth.diffusion.guidance.reduced import FILTER, enlarged, reduced_size
from medsynth.diffusion.noise import PerSampleNoise
from medsynth.diffusion.sampling import OnStep, silent
from medsynth.errors import CheckpointError
from medsynth.generators.guided_diffusion import GuidedDiffusion, SampledBatch
from medsynth.networks import load_denoiser, read_metadata


@dataclass(frozen=True)
class LowPassNetwork:
    """A denoiser of reduced images: `denoiser` on the grid of factor `factor`."""

    denoiser: Denoiser
    factor: int

    def draw(
        self,
        generator: GuidedDiffusion,
        *,
        size: tuple[int, int],
        generators: Sequence[torch.Generator],
    ) -> Tensor:
        """A low-pass image (B, 1, *size) in about [-1, 1], one of each of `generators`.

        With the sampler, the steps and on the device of `generator`.
        """
        grid = reduced_size(size, self.factor)
        like = torch.empty(len(generators), 1, 1, 1, device=generator.device)
        noise = PerSampleNoise(generators, like=like)((1, *grid))
        small = replace(generator, denoiser=self.denoiser)
        return enlarged(small.sample(noise, generators=generators).x0, self.factor, size=size)


def check_low_pass_weights(path: Path, *, preset: str) -> int:
    """The factor of the low-pass images that a file's network draws.

    Raises:
        CheckpointError: missing, damaged, of another preset, or no network of low-pass images.
    """
    metadata = read_metadata(path)
    factor = metadata.get("low_pass_factor")
    if not factor or metadata["preset"] != preset:
        what = f"low-pass images for preset {metadata['preset']}" if factor else "whole images"
        raise CheckpointError(
            f"{path} draws {what}; give weights that draw low-pass images for preset {preset}, from a "
            "recipe with low_pass_factor"
        )
    return factor


def load_low_pass_network(path: Path, *, preset: str, device: str = "cpu") -> LowPassNetwork:
    """The network of a file that `medsynth train` wrote for a recipe with `low_pass_factor`.

    Raises:
        CheckpointError: as `check_low_pass_weights`.
    """
    factor = check_low_pass_weights(path, preset=preset)
    return LowPassNetwork(load_denoiser(path, device=device), factor)


def sample_unguided(
    generator: GuidedDiffusion,
    noise: Tensor,
    *,
    generators: Sequence[torch.Generator],
    low_pass_network: LowPassNetwork | None = None,
    on_step: OnStep = silent,
) -> SampledBatch:
    """A batch for noise (B, 1, H, W), unconditional.

    With `low_pass_network` (for a reference-conditioned denoiser) its draw, taken first from
    `generators`, is the only reference. It makes as many calls of its own, each a hundredth of a call
    of the other.

    Raises:
        ValueError: `low_pass_network` for a denoiser that is not reference-conditioned.
    """
    conditions: list[Condition] = []
    if low_pass_network is not None:
        if not generator.denoiser.reference_conditioned:
            raise ValueError(
                "a low-pass image can only be drawn for a reference-conditioned network; leave "
                "low_pass_network out"
            )
        height, width = noise.shape[-2:]
        image = low_pass_network.draw(generator, size=(height, width), generators=generators)
        guidance = ReferenceGuidance(filter=FILTER)
        reference = guidance.reference("low_pass_image", image, low_pass_network.factor)
        conditions = guidance.conditions([reference])
    return generator.sample(noise, conditions=conditions, generators=generators, on_step=on_step)

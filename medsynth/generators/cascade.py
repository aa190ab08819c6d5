"""Unguided images from a cascade: a small network draws the low-pass image, the conditioned network the rest.

p(x0) = p(phi_n x0) p(x0 | phi_n x0), the cascade of Ho et al. 2022 (arXiv:2106.15282) with the low
pass of the guidance between its two stages: the large network samples as it does behind any
reference, only that nobody gave this one. What is drawn is the low-pass image on a grid of its own,
ceil(H / n) x ceil(W / n) pixels, where the shape of a whole chest costs a hundredth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import LowFrequency, LowFrequencyGuidance
from medsynth.diffusion.guidance.reduced import FILTER, enlarged, reduced_size
from medsynth.diffusion.noise import PerSampleNoise
from medsynth.diffusion.samplers import Sampler
from medsynth.diffusion.sampling import OnStep, sample, silent
from medsynth.errors import CheckpointError
from medsynth.networks import load_denoiser, read_metadata


@dataclass(frozen=True)
class LowPassNetwork:
    """A denoiser of reduced images: `denoiser` on the grid of factor `factor`."""

    denoiser: Denoiser
    factor: int

    def draw(
        self,
        sampler: Sampler,
        *,
        steps: int,
        size: Sequence[int],
        generators: Sequence[torch.Generator],
        device: str = "cpu",
    ) -> Tensor:
        """A low-pass image (B, 1, *size) in about [-1, 1], one of each generator."""
        grid = reduced_size(size, self.factor)
        draw = PerSampleNoise(generators, like=torch.empty(len(generators), 1, 1, 1, device=device))
        small = sample(
            self.denoiser,
            sampler,
            steps=steps,
            noise=draw((1, *grid)),
            generators=generators,
        )
        return enlarged(small, self.factor, size=size)


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
    denoiser: Denoiser,
    sampler: Sampler,
    *,
    steps: int,
    noise: Tensor,
    generators: Sequence[torch.Generator],
    low_pass_network: LowPassNetwork | None = None,
    on_step: OnStep = silent,
) -> Tensor:
    """x0 (B, 1, H, W) for a batch of noise, unconditional; see `medsynth.diffusion.sampling.sample`.

    With `low_pass_network` (for a reference-conditioned denoiser) its draw, taken first from the
    generators, is the only reference. It makes `steps` calls of its own, each a hundredth of a call of the other.

    Raises:
        ValueError: `low_pass_network` for a denoiser that is not reference-conditioned.
    """
    conditions = []
    if low_pass_network is not None:
        if not denoiser.reference_conditioned:
            raise ValueError(
                "a low-pass image is only drawn for a reference-conditioned network; leave out "
                "low_pass_network"
            )
        reference = low_pass_network.draw(
            sampler,
            steps=steps,
            size=noise.shape[-2:],
            generators=generators,
            device=str(noise.device),
        )
        conditions = [
            LowFrequencyGuidance(
                [LowFrequency("low_pass_image", reference, low_pass_network.factor, filter=FILTER)]
            )
        ]
    return sample(
        denoiser,
        sampler,
        steps=steps,
        noise=noise,
        conditions=conditions,
        generators=generators,
        on_step=on_step,
    )

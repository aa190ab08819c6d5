"""What the refiner is trained on: synthetic crops beside the real ones that guided them.

Made by the network itself from training patients, as it is used: several calls behind one reference.
Each batch is a file of its own, so that a stopped run goes on with the next.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from medsynth.datasets.data import Slices
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.sampling import generators
from medsynth.domains import Preset
from medsynth.errors import CheckpointError
from medsynth.events import Listener, Stage, ignore
from medsynth.generators.guided_diffusion import GuidedDiffusion
from medsynth.storage.files import new_file, replace_text
from medsynth.training.recipe import Refinement
from medsynth.training.stopping import Limits

BATCH = 6
AIR = -0.95
# Crops are drawn again, so often at most, until so much of them is not air.
TRIES, CONTENT = 20, 0.4
RECORD, OLD_RECORD = "paired_crops.json", "pool.json"
NO_LIMITS = Limits()


@dataclass(frozen=True, eq=False)
class PairedCrops:
    """`synthetic` and `real` (N, 1, h, w) in [-1, 1]; `factors` (N,) of the reference between them."""

    synthetic: Tensor
    real: Tensor
    factors: np.ndarray


class PatchConfig(Protocol):
    """The settings of a network that works on patches."""

    @property
    def multiple(self) -> int:
        """What the sides of its images are multiples of."""
        ...


@runtime_checkable
class OnPatches(Protocol):
    """A network that works on patches, such as `PatchUNet`."""

    @property
    def config(self) -> PatchConfig: ...


def make_paired_crops(
    denoiser: Denoiser,
    slices: Slices,
    *,
    options: Refinement,
    preset: Preset,
    folder: Path,
    made_by: dict[str, Any],
    seed: int,
    limits: Limits = NO_LIMITS,
    listener: Listener = ignore,
) -> PairedCrops | None:
    """`options.images` pairs of crops; those that `folder` holds already are taken from there.

    Returns:
        The crops; None when the minutes of `limits` are over before every crop is made.

    Raises:
        CheckpointError: the folder holds those of another network, other images or settings.
    """
    _claim(folder, made_by)
    batches = -(-options.images // BATCH)
    denoiser = replace(denoiser, refiner=None)
    step = _corner_step(denoiser)
    parts = []
    with Stage("making paired crops", total=batches, listener=listener) as stage:
        for index in range(batches):
            path = folder / f"{index:05d}.npz"
            if not path.exists():
                if limits.over:
                    return None
                part = _draw(
                    denoiser, slices, index, options=options, preset=preset, seed=seed, step=step
                )
                with new_file(path) as file:
                    np.savez(
                        file,
                        synthetic=part["synthetic"],
                        real=part["real"],
                        factors=part["factors"],
                    )
            parts.append(_read(path))
            stage.advance()
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return PairedCrops(
        torch.from_numpy(joined["synthetic"]), torch.from_numpy(joined["real"]), joined["factors"]
    )


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as part:
            return {name: part[name] for name in ("synthetic", "real", "factors")}
    except (EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise CheckpointError(f"{path} is damaged; delete it, and it will be made again") from error


def _claim(folder: Path, made_by: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    old, record = folder / OLD_RECORD, folder / RECORD
    record = old if old.exists() else record
    if record.exists():
        earlier = json.loads(record.read_text())
        for key, value in made_by.items():
            if earlier.get(key) != value:
                raise CheckpointError(
                    f"{folder} was made with {key} {earlier.get(key)!r}, now it is {value!r}; choose "
                    "another folder"
                )
        return
    replace_text(record, json.dumps(made_by, indent=1))


def _draw(
    denoiser: Denoiser,
    slices: Slices,
    index: int,
    *,
    options: Refinement,
    preset: Preset,
    seed: int,
    step: int,
) -> dict[str, np.ndarray]:
    """Batch `index`: crops of training slices, and what the network makes of their low-pass images."""
    rng = np.random.default_rng((seed, index))
    factor = int(rng.choice(options.factors, p=np.array(options.weights) / sum(options.weights)))
    crops, corners = [], []
    for _ in range(BATCH):
        image = preset.intensity.to_unit(slices.images[rng.integers(len(slices.images))])
        crop, corner = _crop(image, options.crop, step, rng)
        crops.append(crop)
        corners.append(corner)
    real = torch.from_numpy(np.stack(crops))[:, None]
    network: Callable[..., Tensor] = partial(denoiser.network, origin=torch.tensor(corners))
    draws = generators(seed, range(index * BATCH, (index + 1) * BATCH))
    noise = torch.stack([torch.randn(real.shape[1:], generator=g) for g in draws])
    generator = GuidedDiffusion(
        replace(denoiser, network=network),
        preset,
        preset.sampler,
        options.sampling_steps,
        device=denoiser.device,
    )
    made = generator.sample(noise, conditions=generator.guided_by(real, factor), generators=draws)
    return {
        "synthetic": made.x0.cpu().numpy(),
        "real": real.numpy(),
        "factors": np.full(BATCH, factor),
    }


def _corner_step(denoiser: Denoiser) -> int:
    """What the corners of crops are multiples of, so that they lie on the network's patches."""
    if not isinstance(denoiser.network, OnPatches):
        raise TypeError(f"a network on patches is needed, got {type(denoiser.network).__name__}")
    return denoiser.network.config.multiple


def _crop(
    image: np.ndarray, side: int, step: int, rng: np.random.Generator
) -> tuple[np.ndarray, tuple[int, int]]:
    """A crop of at most `side` pixels at a multiple of `step`, and its corner."""
    sides = [min(side, length) for length in image.shape]
    for _ in range(TRIES):
        row, column = (
            int(rng.integers((length - side) // step + 1)) * step
            for length, side in zip(image.shape, sides, strict=True)
        )
        crop = image[row : row + sides[0], column : column + sides[1]]
        if (crop > AIR).mean() >= CONTENT:
            break
    return crop.astype(np.float32), (row, column)

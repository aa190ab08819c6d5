"""The latents of all training images, encoded once and kept in the run's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from medsynth.events import Listener, Stage, ignore
from medsynth.networks.latent import LatentAutoencoder, word_indices
from medsynth.storage.files import new_file
from medsynth.training.systems import images
from medsynth.training.systems.images import SourceImages

ENCODING_STREAM = 13
ENCODED_AT_ONCE = 8
LATENTS = "latents.safetensors"


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """`latents` (N, C, h, w) standardized, `words` (N, n) indices, `shares` (N,) chances of each."""

    latents: Tensor
    words: Tensor
    shares: np.ndarray
    mean: Tensor
    std: Tensor


@torch.no_grad()
def encode(
    sources: Sequence[SourceImages],
    autoencoder: LatentAutoencoder,
    vocabulary: Sequence[str],
    *,
    run: Path,
    most_words: int,
    seed: int = 0,
    listener: Listener = ignore,
) -> EncodedImages:
    """The latents of every variant of every image; those that the run's folder holds are taken from there."""
    places = [
        (s, i, variant)
        for s, source in enumerate(sources)
        for i in range(len(source.slices.images))
        for variant in range(source.source.variants)
    ]
    path = run / LATENTS
    fingerprint = _fingerprint(sources, autoencoder, seed)
    latents = _kept_latents(path, fingerprint)
    if latents is None:
        latents = _encoded(places, sources, autoencoder, seed=seed, listener=listener)
        with new_file(path, overwrite=True) as file:
            save_file({"latents": latents}, file, metadata={"of": fingerprint})
    latents = latents.float()
    weights = np.array([sources[s].source.share for s, _, _ in places], float)
    counts = np.array([sum(p[0] == s for p in places) for s in range(len(sources))], float)
    weights /= counts[[s for s, _, _ in places]]
    mean, std = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    said = [word_indices(sources[s].words[i], vocabulary, most=most_words) for s, i, _ in places]
    return EncodedImages(
        (latents - mean[:, None, None]) / std[:, None, None],
        torch.tensor(said),
        weights / weights.sum(),
        mean,
        std,
    )


def _fingerprint(sources: Sequence[SourceImages], autoencoder: LatentAutoencoder, seed: int) -> str:
    """Changes when the latents would: with images, their variants, or a weight of the autoencoder."""
    drawn = [(s.source.variants, asdict(s.source.augment)) for s in sources]
    digest = hashlib.sha256(repr((images.digest(sources), seed, drawn)).encode())
    for name, value in sorted(autoencoder.state_dict().items()):
        digest.update(name.encode() + value.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def _kept_latents(path: Path, fingerprint: str) -> Tensor | None:
    if not path.exists():
        return None
    with safe_open(path, "pt") as file:
        if (file.metadata() or {}).get("of") != fingerprint:
            return None
    return load_file(path)["latents"]


def _encoded(
    places: Sequence[tuple[int, int, int]],
    sources: Sequence[SourceImages],
    autoencoder: LatentAutoencoder,
    *,
    seed: int,
    listener: Listener,
) -> Tensor:
    device = next(autoencoder.parameters()).device
    found = []
    with Stage("encoding", total=len(places), listener=listener) as stage:
        for start in range(0, len(places), ENCODED_AT_ONCE):
            part = places[start : start + ENCODED_AT_ONCE]
            batch = torch.stack(
                [sources[s].variant(i, v, (seed, s, ENCODING_STREAM)) for s, i, v in part]
            )
            found.append(autoencoder.encode(batch.to(device))[0].cpu().half())
            stage.advance(len(part))
    return torch.cat(found).contiguous(memory_format=torch.contiguous_format)

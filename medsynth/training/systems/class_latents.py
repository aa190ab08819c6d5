"""Latents of classes for a generator that was trained without labels.

After Segal et al. 2021 and Malik & Humair: a classifier of real images looks at many generated ones, and
the latent of a class is the mean direction of those that it is surest of. Half of the real patients teach
the classifier; the images of the other half say how good it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from medsynth.datasets.splits import share
from medsynth.events import Event, Listener, Stage, ignore
from medsynth.networks.progressive_gan import ProgressiveGan

AT_ONCE = 64
SIDE = 32


@dataclass(frozen=True)
class ClassLatents:
    """Classes of at least `fewest_images` images; `samples` are looked at, the `share` surest averaged.

    A class whose classifier is below `fewest_auc` on images that it has not seen is left out.
    """

    fewest_images: int = 40
    samples: int = 1000
    share: float = 0.1
    steps: int = 200
    fewest_auc: float = 0.65


def classifier(classes: int) -> nn.Sequential:
    """A small network from (B, 1, 32, 32) to a logit of each class."""
    layers: list[nn.Module] = []
    for before, after in ((1, 16), (16, 32), (32, 64)):
        layers += [
            nn.Conv2d(before, after, 3, stride=2, padding=1),
            nn.GroupNorm(4, after),
            nn.SiLU(),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * 64, classes))


def seen(pictures: Tensor) -> Tensor:
    """What the classifier sees of images (N, 1, side, side)."""
    return functional.interpolate(pictures, size=(SIDE, SIDE), mode="area")


def fit_classifier(
    pictures: Tensor, targets: Tensor, *, steps: int, seed: int, batch: int = 64
) -> nn.Sequential:
    """Fit to targets (N, classes) of 0 and 1; classes weigh the same whatever their frequency."""
    torch.manual_seed(seed)
    network = classifier(targets.shape[1])
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.02)
    weight = (len(targets) / targets.sum(0).clamp(min=1) - 1).clamp(0.2, 20)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        chosen = torch.from_numpy(rng.integers(len(pictures), size=batch))
        logits = network(pictures[chosen])
        loss = functional.binary_cross_entropy_with_logits(
            logits, targets[chosen], pos_weight=weight
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval().requires_grad_(False)


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """The chance that a positive scores above a negative; NaN without one of them."""
    if positive.all() or not positive.any():
        return float("nan")
    ranks = np.empty(len(scores))
    ranks[np.argsort(scores, kind="stable")] = np.arange(1, len(scores) + 1)
    count = positive.sum()
    below = ranks[positive].sum() - count * (count + 1) / 2
    return float(below / (count * (len(scores) - count)))


def targets_of(words: Sequence[Sequence[str]], *, fewest: int) -> tuple[list[str], Tensor]:
    """The words that some images have and some have not, and (N, words) of 0 and 1."""
    counts: dict[str, int] = {}
    for said in words:
        for word in said:
            counts[word] = counts.get(word, 0) + 1
    names = sorted(w for w, n in counts.items() if fewest <= n <= len(words) - fewest)
    table = torch.tensor([[float(name in said) for name in names] for said in words])
    return names, table.reshape(len(words), len(names))


def find_class_latents(
    options: ClassLatents,
    gan: ProgressiveGan,
    pictures: Tensor,
    words: Sequence[Sequence[str]],
    patients: Sequence[str],
    *,
    seed: int = 0,
    listener: Listener = ignore,
) -> dict[str, Tensor]:
    """Latents (latent_size,) of length sqrt(latent_size) of the classes that the classifier tells from the others.

    `pictures` (N, 1, side, side) in [-1, 1], with the words and the patient of each. Who teaches
    depends on the patient's name alone: tables are sorted, often by disease.
    """
    names, targets = targets_of(words, fewest=options.fewest_images)
    if not names:
        return {}
    small = seen(pictures)
    half = torch.tensor([share(patient) < 0.5 for patient in patients])
    if half.all() or not half.any():
        listener(Event("estimate", message="no classes: too few patients to hold any out"))
        return {}
    network = fit_classifier(small[half], targets[half], steps=options.steps, seed=seed)
    logits = network(small[~half]).numpy()
    skill = {n: auc(logits[:, i], targets[~half, i].numpy() > 0) for i, n in enumerate(names)}
    latents, scores = _looked_at(options, gan, network, seed=seed, listener=listener)
    count = max(1, round(options.share * len(latents)))
    found = {}
    for index, name in enumerate(names):
        kept = skill[name] >= options.fewest_auc
        words_of_it = f"class {name}: AUC {skill[name]:.2f} on unseen real images"
        listener(Event("estimate", message=words_of_it + ("" if kept else "; too low, left out")))
        if kept:
            surest = scores[:, index].argsort(descending=True)[:count]
            mean = latents[surest].mean(dim=0)
            found[name] = mean * math.sqrt(len(mean)) / mean.norm()
    return found


@torch.inference_mode()
def _looked_at(
    options: ClassLatents,
    gan: ProgressiveGan,
    network: nn.Sequential,
    *,
    seed: int,
    listener: Listener,
) -> tuple[Tensor, Tensor]:
    """Latents, and the classifier's scores of their images."""
    generator = torch.Generator().manual_seed(seed + 1)
    size = gan.generator.config.latent_size
    latents, scores = [], []
    batches = -(-options.samples // AT_ONCE)
    with Stage("finding classes", total=batches, listener=listener) as stage:
        for _ in range(batches):
            drawn = torch.randn(AT_ONCE, size, generator=generator)
            device = next(gan.generator.parameters()).device
            scores.append(network(seen(gan.images(drawn.to(device)).cpu())))
            latents.append(drawn)
            stage.advance()
    return torch.cat(latents), torch.cat(scores)

"""One network of the study: trained on an arm's images for one seed, then asked about the test images."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from medsynth.studies.utility.arms import REAL, DrawnImages, TrainingArm, draw
from medsynth.studies.utility.networks import classifier
from medsynth.studies.utility.sources import LabeledImages
from medsynth.studies.utility.study import UtilityStudy

WEIGHT_DECAY = 0.05
WARM_SHARE = 0.1  # of the steps, until the learning rate has its height
# Classical augmentation: turned, scaled, shifted (shares of the side), mirrored, brighter, more contrast.
TURN_DEG, SCALE, SHIFT, BRIGHTNESS, CONTRAST = 15.0, 0.1, 0.08, 0.1, 0.15
SCORED_AT_ONCE = 128
VALIDATION, TEST = "validation", "test"


@dataclass(frozen=True, eq=False)
class TrainedScores:
    """Logits of the validation and the test images, and what the training was."""

    validation: np.ndarray
    test: np.ndarray
    final_loss: float
    seconds: float


def train_and_score(
    arm: TrainingArm,
    seed: int,
    study: UtilityStudy,
    pools: Mapping[str, LabeledImages],
    *,
    on_steps: Callable[[int], None] = lambda count: None,
) -> TrainedScores:
    """Train on what `draw` gives; `pools` also has `VALIDATION` and `TEST`.

    `on_steps` hears how many optimizer steps were done since the last time.
    """
    started = time.perf_counter()
    drawn = draw(arm, seed, study, pools)
    scale = _scale(study, pools[REAL])
    network = classifier(study.network, seed=seed, weights=study.weights)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.to(device)
    loss = _train(network, drawn, arm.steps, seed, study, pools, scale, device, on_steps)
    network.eval()
    scores = {
        name: _scores(network, pools[name].pixels, scale, device) for name in (VALIDATION, TEST)
    }
    return TrainedScores(scores[VALIDATION], scores[TEST], loss, time.perf_counter() - started)


@dataclass(frozen=True)
class _Scale:
    """Gray values to what the network sees; `each`: every image by its own mean and deviation."""

    mean: float
    deviation: float
    each: bool

    def __call__(self, pixels: np.ndarray) -> Tensor:
        """(B, side, side) uint8 to (B, 1, side, side)."""
        values = torch.from_numpy(pixels).float()[:, None]
        if self.each:
            spread = values.std(dim=(2, 3), keepdim=True).clamp_min(1.0)
            return (values - values.mean(dim=(2, 3), keepdim=True)) / spread
        return (values - self.mean) / self.deviation


def _scale(study: UtilityStudy, real: LabeledImages) -> _Scale:
    return _Scale(float(real.pixels.mean()), max(float(real.pixels.std()), 1.0), study.each)


def _train(
    network: nn.Module,
    drawn: DrawnImages,
    steps: int,
    seed: int,
    study: UtilityStudy,
    pools: Mapping[str, LabeledImages],
    scale: _Scale,
    device: torch.device,
    on_steps: Callable[[int], None],
) -> float:
    """AdamW with a short rise and a cosine fall; returns the mean loss of the last tenth."""
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=study.learning_rate, weight_decay=WEIGHT_DECAY
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(step, steps))
    generator = torch.Generator().manual_seed(seed)
    losses = []
    network.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # dropout and stochastic depth, where the network has them
        for chosen in _batches(len(drawn.places), steps, study.batch, generator):
            pixels, labels = _gathered(drawn, chosen, pools)
            images = scale(pixels)
            turned = torch.from_numpy(drawn.augmented[chosen])
            images[turned] = augmented(images[turned], generator)
            logits = network(images.to(device))[:, 0]
            loss = functional.binary_cross_entropy_with_logits(logits, labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
            on_steps(1)
    return float(np.mean(losses[-max(1, len(losses) // 10) :]))


def rate_at(step: int, steps: int) -> float:
    """Share of the learning rate: a straight rise over `WARM_SHARE`, then half a cosine to 0."""
    warm = max(1.0, WARM_SHARE * steps)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1.0, steps - warm)))


def _batches(
    count: int, steps: int, batch: int, generator: torch.Generator
) -> Iterator[np.ndarray]:
    """Indices for each step: every image once in a pass, in another order each time."""
    done = 0
    while done < steps:
        order = torch.randperm(count, generator=generator).numpy()
        for part in np.array_split(order, max(1, -(-count // batch))):
            if done == steps:
                return
            yield part
            done += 1


def _gathered(
    drawn: DrawnImages, chosen: np.ndarray, pools: Mapping[str, LabeledImages]
) -> tuple[np.ndarray, Tensor]:
    """Pixels (B, side, side) and labels (B,) of some of the drawn images."""
    named = [(pools[drawn.pools[n]], drawn.places[n]) for n in chosen]
    pixels = np.stack([pool.pixels[place] for pool, place in named])
    labels = torch.tensor([float(pool.facts[place].positive) for pool, place in named])
    return pixels, labels


def augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """(B, 1, S, S) turned, scaled, shifted, mirrored, brightened: each by its own draw."""
    count = len(images)
    if not count:
        return images

    def drawn(reach: float) -> Tensor:
        return (2 * torch.rand(count, generator=generator) - 1) * reach

    angle, zoom = torch.deg2rad(drawn(TURN_DEG)), 1 + drawn(SCALE)
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    cosine, sine = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    # Twice the shift: grid coordinates run from -1 to 1.
    rows = [
        torch.stack([cosine * mirror, -sine, 2 * drawn(SHIFT)], dim=1),
        torch.stack([sine * mirror, cosine, 2 * drawn(SHIFT)], dim=1),
    ]
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    contrast, brightness = 1 + drawn(CONTRAST), drawn(BRIGHTNESS)
    return moved * contrast[:, None, None, None] + brightness[:, None, None, None]


@torch.inference_mode()
def _scores(
    network: nn.Module, pixels: np.ndarray, scale: _Scale, device: torch.device
) -> np.ndarray:
    """Logits (N,) of images (N, side, side)."""
    parts = [pixels[n : n + SCORED_AT_ONCE] for n in range(0, len(pixels), SCORED_AT_ONCE)]
    found = [network(scale(part).to(device))[:, 0].float().cpu() for part in parts]
    return torch.cat(found).numpy() if found else np.zeros(0, np.float32)

"""Training of a progressive GAN (Karras et al. 2018) with WGAN-GP (Gulrajani et al. 2017), then its classes.

Malik & Humair's baseline, after Segal et al.: no labels while training; latents of classes are found
afterwards (`class_latents`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medsynth.events import Event, Listener, Stage, ignore
from medsynth.networks import progressive_gan as gan_file
from medsynth.networks.checkpoint import fastest_dtype
from medsynth.networks.initial import placed
from medsynth.networks.progressive_gan import (
    SMALLEST,
    ProgressiveCritic,
    ProgressiveGanConfig,
    ProgressiveGenerator,
)
from medsynth.training.recipe import Optimizer, plain
from medsynth.training.resumable import StopRequests, learners
from medsynth.training.systems import images
from medsynth.training.systems.class_latents import ClassLatents, find_class_latents
from medsynth.training.systems.images import SourceImages
from medsynth.training.systems.recipe import SystemKind, TrainingJob, TrainingSource
from medsynth.training.systems.sheet import write_sheet
from medsynth.training.systems.trainer import SystemTrainer, adamw, check_same_run

GAN_STREAM = 14
BETAS = (0.0, 0.99)
DRIFT = 1e-3  # keeps the critic's scores near 0, as in the paper
SHOWN = 8


@dataclass(frozen=True)
class Growth:
    """One resolution: `fade` steps until it is wholly there, then `stable` ones."""

    batch_size: int
    stable: int
    fade: int = 0


@dataclass(frozen=True)
class ProgressiveRecipe:
    """`growth` of the resolutions 4, 8, 16, ...; `gradient_penalty` is WGAN-GP's lambda.

    Gradients are not clipped: `optimizer.clip_norm` has no effect.
    """

    sources: tuple[TrainingSource, ...]
    growth: tuple[Growth, ...]
    latent_size: int = 128
    channels: tuple[int, ...] = (128, 128, 128, 64, 32)
    gradient_penalty: float = 10.0
    optimizer: Optimizer = field(
        default_factory=lambda: Optimizer(lr=1e-3, weight_decay=0.0, warmup=1, decay=0.0)
    )
    classes: ClassLatents = field(default_factory=ClassLatents)
    seed: int = 0
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        if len(self.growth) != len(self.channels) or not self.growth:
            raise ValueError(
                f"growth and channels need one item for each resolution, got {len(self.growth)} and "
                f"{len(self.channels)}"
            )
        if len(self.sources) != 1:
            raise ValueError(f"a progressive GAN is of one domain, got {len(self.sources)} sources")

    @property
    def steps(self) -> int:
        """All resolutions together."""
        return sum(g.fade + g.stable for g in self.growth)

    def at(self, step: int) -> tuple[int, float, int]:
        """Level, alpha and batch size of a step."""
        for level, growth in enumerate(self.growth):
            if step < growth.fade + growth.stable:
                alpha = min(1.0, (step + 1) / growth.fade) if growth.fade else 1.0
                return level, alpha, growth.batch_size
            step -= growth.fade + growth.stable
        return len(self.growth) - 1, 1.0, self.growth[-1].batch_size


def train(recipe: ProgressiveRecipe, job: TrainingJob) -> Path:
    """Train, or go on; at the end the latents of classes are found.

    Raises:
        KeyboardInterrupt: the user stopped it.
        ValueError, CheckpointError: images or a run that cannot be used.
    """
    listener = job.listener or ignore
    (source,) = images.read_sources(recipe.sources, run=job.run, listener=listener)
    side = SMALLEST * 2 ** (len(recipe.channels) - 1)
    pictures, owners = _reduced(source, side, seed=recipe.seed, listener=listener)
    message = f"{len(source.slices.images)} images of {source.preset.name} at {side} x {side}"
    listener(Event("estimate", message=message))
    trainer = ProgressiveTrainer(recipe, source, pictures, job=job)
    if not trainer.done:
        trainer.train(limits=job.limits, listener=listener)
    if trainer.done:
        trainer.classes = find_class_latents(
            recipe.classes,
            trainer.averaged(),
            pictures,
            [source.words[i] for i in owners],
            [source.slices.patients[i] for i in owners],
            seed=recipe.seed,
            listener=listener,
        )
        trainer.save()
    return trainer.weights


def _reduced(
    source: SourceImages, side: int, *, seed: int, listener: Listener
) -> tuple[Tensor, list[int]]:
    """Every variant of every image at (N, 1, side, side), float32, and which image each is of."""
    height = source.preset.grid[0]
    if source.preset.grid != (height, height) or height % side:
        raise ValueError(
            f"{source.preset.name} is {source.preset.grid}, which cannot be brought to {side} x {side}"
        )
    made, owners = [], []
    with Stage("reducing", total=len(source.slices.images), listener=listener) as stage:
        for index in range(len(source.slices.images)):
            for variant in range(source.source.variants):
                image = source.variant(index, variant, (seed, GAN_STREAM))
                made.append(functional.avg_pool2d(image, height // side))
                owners.append(index)
            stage.advance()
    return torch.stack(made), owners


class ProgressiveTrainer(SystemTrainer):
    """Grows generator and critic on `pictures` (N, 1, side, side); randomness is of (seed, step)."""

    title = "growing"
    header = ("step", "resolution", "critic", "generator")

    def __init__(
        self, recipe: ProgressiveRecipe, source: SourceImages, pictures: Tensor, *, job: TrainingJob
    ):
        self.recipe, self.source, self.pictures = recipe, source, pictures
        self.device = job.device
        self.dtype = fastest_dtype(job.device)
        self.classes: dict[str, Tensor] = {}
        self.config = ProgressiveGanConfig(recipe.latent_size, recipe.channels)
        torch.manual_seed(recipe.seed)
        self.generator = placed(ProgressiveGenerator(self.config), job.device)
        self.critic = placed(ProgressiveCritic(self.config), job.device)
        players = {"generator": self.generator, "critic": self.critic}
        self.optimizers = {
            name: adamw(player, recipe.optimizer, betas=BETAS) for name, player in players.items()
        }
        super().__init__(
            job.run,
            learners(players, self.optimizers),
            steps=recipe.steps,
            rates=recipe.optimizer,
            checkpoint_every=recipe.checkpoint_every,
        )
        self._take_up()

    def averaged(self) -> gan_file.ProgressiveGan:
        """The averaged generator, for use."""
        generator = ProgressiveGenerator(self.config)
        generator.load_state_dict(self.ema)
        level, alpha, _ = self.recipe.at(max(0, self.step - 1))
        placed(generator, self.device).eval().requires_grad_(False)
        preset = self.source.preset.name
        return gan_file.ProgressiveGan(generator, level, preset, self.classes, alpha=alpha)

    def _progress(self) -> str:
        _, side, critic, _ = self.losses[-1]
        return f"{side:.0f} x {side:.0f}, critic {critic:.2f}"

    def _optimize(self, batch: int, requests: Callable[[], StopRequests]) -> StopRequests:
        self._set_learning_rate()
        level, alpha, count = self.recipe.at(self.step)
        rng = np.random.default_rng((self.recipe.seed, GAN_STREAM, self.step))
        draws = torch.Generator().manual_seed(int(rng.integers(2**62)))
        real = self._real(level, alpha, rng.integers(len(self.pictures), size=count))
        latents = torch.randn(2, count, self.recipe.latent_size, generator=draws).to(self.device)
        mix = torch.rand(count, 1, 1, 1, generator=draws).to(self.device)
        with torch.no_grad(), self._fast():
            made = self.generator(latents[0], level, alpha).float()
        critic_loss = self._critic_loss(real, made, mix, level, alpha)
        self._check_loss(critic_loss, cure="optimizer.lr")
        with self._moving():
            self._move("critic", critic_loss)
            with self._fast():
                score = self.critic(self.generator(latents[1], level, alpha), level, alpha)
            generator_loss = -score.float().mean()
            self._check_loss(generator_loss, cure="optimizer.lr")
            self._move("generator", generator_loss)
            side = SMALLEST * 2.0**level
            self._count_step(side, critic_loss, generator_loss, ema=self.recipe.optimizer.ema)
        return requests()

    def _real(self, level: int, alpha: float, chosen: np.ndarray) -> Tensor:
        """Real images at the resolution of a level, faded as generated ones are."""
        factor = 2 ** (len(self.recipe.channels) - 1 - level)
        full = self.pictures[torch.from_numpy(chosen)].to(self.device)
        image = functional.avg_pool2d(full, factor)
        if level and alpha < 1:
            small = functional.interpolate(functional.avg_pool2d(image, 2), scale_factor=2.0)
            image = small + alpha * (image - small)
        return image

    def _critic_loss(
        self, real: Tensor, made: Tensor, mix: Tensor, level: int, alpha: float
    ) -> Tensor:
        """WGAN-GP: the distance, its penalty between real and made, and the drift term."""
        between = (made + mix * (real - made)).requires_grad_(True)
        with self._fast():
            scores, made_scores, at_between = (
                self.critic(images, level, alpha).float() for images in (real, made, between)
            )
        (slope,) = torch.autograd.grad(at_between.sum(), between, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        distance = made_scores.mean() - scores.mean()
        drift = scores.square().mean()
        return distance + self.recipe.gradient_penalty * penalty + DRIFT * drift

    def _move(self, name: str, loss: Tensor) -> None:
        self._clear_gradients()
        loss.backward()
        self.optimizers[name].step()

    def _record(self) -> dict[str, Any]:
        recipe = asdict(self.recipe)
        kept = ("growth", "latent_size", "channels", "gradient_penalty", "seed")
        return {
            "progressive_gan": {key: recipe[key] for key in kept},
            "data_digest": images.digest([self.source]),
        }

    def _check_record(self, record: dict[str, Any]) -> None:
        check_same_run(self.run, record, plain(self._record()))

    def _write_results(self) -> None:
        gan = self.averaged()
        source = self.recipe.sources
        metadata = {
            "preset": self.source.preset.name,
            "data": images.statement(source),
            "license": images.license_of(source),
            "steps": self.step,
            "alpha": gan.alpha,
            "split": self.source.split.digest,
            "trained_on": sorted({e.patient for e in self.source.split.training}),
        }
        gan_file.save(
            self.weights,
            self.ema,
            config=self.config,
            level=gan.level,
            classes=self.classes,
            metadata=metadata,
        )
        draws = [torch.Generator().manual_seed(i) for i in range(3 * SHOWN)]
        made = gan.images(gan.latents(draws).to(self.device))
        write_sheet(list(made.split(SHOWN)), self.run / f"samples-{self.step:07d}.png")


KIND = SystemKind(
    title="Progressive GAN with latents of classes",
    recipe=ProgressiveRecipe,
    train=train,
    name="progressive_gan",
)

"""Latent diffusion from scratch: an autoencoder, the latents of all images, and a network for these.

Rombach et al. 2022; Ali et al. trained it on 3,165 chest radiographs at 256 x 256, K. H. Ali on brain MRI
and CT. Latents are encoded once (with augmented variants of each image) and kept in the run's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medsynth.diffusion import schedule
from medsynth.diffusion.denoiser import to_target
from medsynth.diffusion.schedule import per_sample
from medsynth.errors import CheckpointError
from medsynth.events import Event, Listener, ignore
from medsynth.generators.latent_sampling import WantedImage, sample_images
from medsynth.networks import latent_file
from medsynth.networks.checkpoint import fastest_dtype, read_metadata
from medsynth.networks.initial import placed
from medsynth.networks.latent import (
    NO_WORD,
    LatentAutoencoder,
    LatentUNet,
    LatentUNetConfig,
    config_from,
)
from medsynth.training.batches import draw_quantiles
from medsynth.training.recipe import Optimizer, SampleOptions, plain
from medsynth.training.resumable import Learner, StopRequests
from medsynth.training.systems import images
from medsynth.training.systems.autoencoder import AutoencoderTrainer, AutoencoderTraining
from medsynth.training.systems.images import SourceImages
from medsynth.training.systems.latents import EncodedImages, encode
from medsynth.training.systems.recipe import SystemKind, TrainingJob, TrainingSource
from medsynth.training.systems.sheet import write_sheet
from medsynth.training.systems.trainer import SystemTrainer, adamw, check_same_run

DIFFUSION_STREAM = 12


@dataclass(frozen=True)
class DiffusionTraining:
    """How the network of the latents is trained.

    `network` are fields of `LatentUNetConfig`. All words of a sample are dropped with probability
    `prompt_dropout` (Ho & Salimans 2022), and single ones but the first with `word_dropout`. Words on
    fewer than `fewest_images` images are not learned.
    """

    network: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=lambda: {"kind": "scaled_linear"})
    prediction_type: str = "v_prediction"
    steps: int = 50000
    batch_size: int = 32
    prompt_dropout: float = 0.1
    word_dropout: float = 0.1
    fewest_images: int = 8
    optimizer: Optimizer = field(default_factory=lambda: Optimizer(lr=3e-4, warmup=200))
    checkpoint_every: int = 500
    samples: SampleOptions = field(default_factory=lambda: SampleOptions(count=4, steps=25))


@dataclass(frozen=True)
class LatentRecipe:
    """The training of a latent diffusion model, whole."""

    sources: tuple[TrainingSource, ...]
    autoencoder: AutoencoderTraining = field(default_factory=AutoencoderTraining)
    diffusion: DiffusionTraining = field(default_factory=DiffusionTraining)
    seed: int = 0


def train(recipe: LatentRecipe, job: TrainingJob) -> Path:
    """Train, or go on: the autoencoder in RUN/autoencoder, then the network of the latents in RUN.

    Raises:
        KeyboardInterrupt: the user stopped it.
        ValueError, CheckpointError: images or a run that cannot be used.
    """
    listener = job.listener or ignore
    sources = images.read_sources(recipe.sources, run=job.run, listener=listener)
    counts = ", ".join(f"{len(s.slices.images)} of {s.preset.name}" for s in sources)
    listener(Event("estimate", message=f"images: {counts}; on {job.device}"))
    autoencoder = _autoencoder(recipe, sources, job, listener)
    target = job.run / "weights.safetensors"
    if autoencoder is None:
        return target
    vocabulary = images.vocabulary(sources, fewest=recipe.diffusion.fewest_images)
    encoded = encode(
        sources,
        autoencoder,
        vocabulary,
        run=job.run,
        most_words=_network_config(recipe, vocabulary).most_words,
        seed=recipe.seed,
        listener=listener,
    )
    trainer = LatentTrainer(recipe, sources, autoencoder, encoded, vocabulary, job=job)
    trainer.train(limits=job.limits, listener=listener)
    return target


def _autoencoder(
    recipe: LatentRecipe, sources: Sequence[SourceImages], job: TrainingJob, listener: Listener
) -> LatentAutoencoder | None:
    """That of a file, or one that is trained now; None where its training stopped before its end."""
    options = recipe.autoencoder
    if options.weights:
        path = Path(options.weights)
        _check_unseen(path, sources)
        return latent_file.load_autoencoder(path, device=job.device)
    trainer = AutoencoderTrainer(
        options,
        sources,
        run=job.run / "autoencoder",
        digest=images.digest(sources),
        seed=recipe.seed,
        device=job.device,
    )
    if not trainer.done:
        trainer.train(limits=job.limits, listener=listener)
    return trainer.averaged() if trainer.done else None


def _check_unseen(path: Path, sources: Sequence[SourceImages]) -> None:
    """An autoencoder that saw people whom this recipe holds out would leak them."""
    trained = set(read_metadata(path).get("trained_on", []))
    seen = {e.patient for s in sources for e in s.split.held_out if e.patient in trained}
    if seen:
        raise CheckpointError(
            f"{path} was trained on {sorted(seen)[0]}, who is held out here; train an autoencoder of your own"
        )


def _network_config(recipe: LatentRecipe, vocabulary: Sequence[str]) -> LatentUNetConfig:
    config: LatentUNetConfig = config_from(LatentUNetConfig, recipe.diffusion.network)
    return replace(config, words=len(vocabulary))


class LatentTrainer(SystemTrainer):
    """Trains the network of `encoded` latents into the folder of `job`; randomness is of (seed, step)."""

    title = "training on latents"

    def __init__(
        self,
        recipe: LatentRecipe,
        sources: Sequence[SourceImages],
        autoencoder: LatentAutoencoder,
        encoded: EncodedImages,
        vocabulary: Sequence[str],
        *,
        job: TrainingJob,
    ):
        self.recipe, self.options, self.sources = recipe, recipe.diffusion, sources
        self.autoencoder, self.encoded = autoencoder, encoded
        self.vocabulary = tuple(vocabulary)
        self.device = job.device
        self.dtype = fastest_dtype(job.device)
        self.config = replace(
            _network_config(recipe, vocabulary), latent_channels=encoded.latents.shape[1]
        )
        self.levels = schedule.build(**self.options.schedule)
        torch.manual_seed(recipe.seed)
        self.network = placed(LatentUNet(self.config), job.device)
        optimizer = adamw(self.network, self.options.optimizer)
        super().__init__(
            job.run,
            [Learner("network", self.network, optimizer, "optimizer")],
            steps=self.options.steps,
            rates=self.options.optimizer,
            checkpoint_every=self.options.checkpoint_every,
        )
        self._take_up()

    def _progress(self) -> str:
        return f"loss {self._mean_of_last(100):.4f}"

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Latents, noise, timesteps and words of a step."""
        options = self.options
        rng = np.random.default_rng((self.recipe.seed, DIFFUSION_STREAM, step))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        chosen = rng.choice(
            len(self.encoded.shares), size=options.batch_size, p=self.encoded.shares
        )
        x0 = self.encoded.latents[chosen]
        words = self.encoded.words[chosen].clone()
        dropped = torch.from_numpy(rng.random(words.shape) < options.word_dropout)
        dropped[:, 0] = False
        dropped |= torch.from_numpy(rng.random((len(words), 1)) < options.prompt_dropout)
        words[dropped] = NO_WORD
        noise = torch.randn(x0.shape, generator=generator)
        last = self.levels.num_train_timesteps - 1
        return x0, noise, draw_quantiles(len(x0), generator) * last, words

    def _optimize(self, batch: int, requests: Callable[[], StopRequests]) -> StopRequests:
        self._set_learning_rate()
        x0, noise, t, words = (v.to(self.device) for v in self.batch(batch))
        abar = per_sample(self.levels.abar(t.cpu()), x0)
        target = to_target(x0, noise, abar, prediction_type=self.options.prediction_type)
        noised = abar.sqrt() * x0 + (1 - abar).sqrt() * noise
        with self._fast():
            output = self.network(noised, t.float(), words if self.vocabulary else None)
        loss = (output.float() - target).square().mean()
        self._descend(loss, self.options.optimizer, cure="diffusion.optimizer.lr")
        return requests()

    def _record(self) -> dict[str, Any]:
        return {
            "diffusion": asdict(self.options),
            "data_digest": images.digest(self.sources),
            "seed": self.recipe.seed,
        }

    def _check_record(self, record: dict[str, Any]) -> None:
        free = ("steps", "checkpoint_every", "samples")
        check_same_run(self.run, record, plain(self._record()), free=free)

    def _metadata(self) -> dict[str, Any]:
        encoded = self.encoded
        return {
            "schedule": self.options.schedule,
            "prediction_type": self.options.prediction_type,
            "preset": "+".join(s.preset.name for s in self.sources),
            "data": images.statement(self.recipe.sources),
            "license": images.license_of(self.recipe.sources),
            "latent_mean": [float(v) for v in encoded.mean],
            "latent_std": [float(v) for v in encoded.std],
            "latent_size": list(encoded.latents.shape[2:]),
            "vocabulary": list(self.vocabulary),
            "steps": self.step,
            "split": [s.split.digest for s in self.sources],
            "held_out": [name for s in self.sources for name in s.source.data.held_out],
            "trained_on": sorted({e.patient for s in self.sources for e in s.split.training}),
        }

    def _write_results(self) -> None:
        latent_file.save(
            self.weights,
            autoencoder=self.autoencoder,
            unet=self.ema,
            config=self.config,
            metadata=plain(self._metadata()),
        )

    def _after_step(self) -> None:
        """A sheet of samples now and then."""
        options = self.options.samples
        if not options.every or self.step % options.every:
            return
        self.save()
        model = latent_file.load(self.weights, device=self.device)
        rows = [
            sample_images(
                model, WantedImage(source.preset.name), range(options.count), steps=options.steps
            )
            for source in self.sources
        ]
        write_sheet(rows, self.run / f"samples-{self.step:07d}.png")


KIND = SystemKind(
    title="Latent diffusion, conditioned on words",
    recipe=LatentRecipe,
    train=train,
    name="latent_diffusion",
)

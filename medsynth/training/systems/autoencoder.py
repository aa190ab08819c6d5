"""The autoencoder of latent diffusion: L1, a small KL, and a discriminator with its features.

Rombach et al. 2022 add LPIPS, whose network has to be downloaded. Here the discriminator's own features
are compared instead (Larsen et al. 2016, arXiv:1512.09300; the feature matching of Wang et al. 2018,
arXiv:1711.11585): they are learned from the images at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from medsynth.networks.checkpoint import fastest_dtype
from medsynth.networks.initial import placed
from medsynth.networks.latent import AutoencoderConfig, LatentAutoencoder, config_from
from medsynth.networks.monai_networks import PatchDiscriminator
from medsynth.training.recipe import Optimizer, plain
from medsynth.training.resumable import StopRequests, learners
from medsynth.training.systems.images import SourceImages, draw
from medsynth.training.systems.sheet import write_sheet
from medsynth.training.systems.trainer import SystemTrainer, adamw, check_same_run

AUTOENCODER_STREAM = 11
# Short single runs at a rate of 5e-4; with 0.5 for the first and 1e-3 the L1 stayed a third larger.
BETAS = (0.9, 0.99)
SHOWN = 4


@dataclass(frozen=True)
class AutoencoderTraining:
    """How the autoencoder is trained; with `weights` it is taken from that file instead.

    `network` are fields of `AutoencoderConfig`. The discriminator begins after the share
    `adversarial_from` of the steps; `feature_weight` weighs the L1 distance of its features.
    """

    weights: str = ""
    network: dict[str, Any] = field(default_factory=dict)
    steps: int = 20000
    batch_size: int = 8
    crop: int | None = 128
    kl_weight: float = 1e-6
    adversarial_weight: float = 0.02
    feature_weight: float = 0.2
    adversarial_from: float = 0.4
    discriminator_channels: int = 32
    discriminator_layers: int = 3
    optimizer: Optimizer = field(default_factory=lambda: Optimizer(lr=5e-4, warmup=100, ema=0.995))
    checkpoint_every: int = 200


class AutoencoderTrainer(SystemTrainer):
    """Trains an autoencoder on `sources` into the folder `run`; all randomness is of (seed, step)."""

    title = "training the autoencoder"
    header = ("step", "l1", "kl", "adversarial", "discriminator")

    def __init__(
        self,
        options: AutoencoderTraining,
        sources: Sequence[SourceImages],
        *,
        run: Path,
        digest: str,
        seed: int = 0,
        device: str = "cpu",
    ):
        self.options, self.sources, self.seed, self.device = options, sources, seed, device
        self.digest = digest
        self.dtype = fastest_dtype(device)
        torch.manual_seed(seed)
        self.config: AutoencoderConfig = config_from(AutoencoderConfig, options.network)
        self.autoencoder = placed(LatentAutoencoder(self.config), device)
        self.discriminator = placed(
            PatchDiscriminator(
                spatial_dims=2,
                in_channels=1,
                out_channels=1,
                channels=options.discriminator_channels,
                num_layers_d=options.discriminator_layers,
            ),
            device,
        )
        players = {"autoencoder": self.autoencoder, "discriminator": self.discriminator}
        self.optimizers = {
            name: adamw(player, options.optimizer, betas=BETAS) for name, player in players.items()
        }
        super().__init__(
            run,
            learners(players, self.optimizers),
            steps=options.steps,
            rates=options.optimizer,
            checkpoint_every=options.checkpoint_every,
        )
        self._take_up()

    def averaged(self) -> LatentAutoencoder:
        """The averaged autoencoder, for use."""
        network = LatentAutoencoder(self.config)
        network.load_state_dict(self.ema)
        return placed(network, self.device).eval().requires_grad_(False)

    def _progress(self) -> str:
        _, l1, _, _, discriminator = self.losses[-1]
        return f"L1 {l1:.4f}, discriminator {discriminator:.3f}"

    def _optimize(self, batch: int, requests: Callable[[], StopRequests]) -> StopRequests:
        options = self.options
        self._set_learning_rate()
        real = draw(
            self.sources,
            count=options.batch_size,
            seed=(self.seed, AUTOENCODER_STREAM, self.step),
            crop=options.crop,
            grid=self.config.multiple,
        ).to(self.device)
        adversarial = self.step >= options.adversarial_from * options.steps
        made, loss, l1, kl, fooled = self._autoencoder_loss(real, adversarial=adversarial)
        self._check_loss(loss, cure="autoencoder.optimizer.lr")
        self._clear_gradients()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.autoencoder.parameters(), options.optimizer.clip_norm)
        found = torch.zeros(())
        with self._moving():
            self.optimizers["autoencoder"].step()
            if adversarial:
                self.optimizers["discriminator"].zero_grad()
                found = self._discriminator_loss(real, made.detach())
                found.backward()
                self.optimizers["discriminator"].step()
            self._count_step(l1, kl, fooled, found, ema=options.optimizer.ema)
        return requests()

    def _autoencoder_loss(self, real: Tensor, *, adversarial: bool) -> tuple[Tensor, ...]:
        options = self.options
        side = real.shape[-1] // self.config.multiple
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
        shape = (len(real), self.config.latent_channels, side, side)
        noise = torch.randn(shape, generator=generator).to(self.device)
        with self._fast():
            made, mean, std = self.autoencoder(real, noise)
            made = made.float()
        l1 = (made - real).abs().mean()
        mean, std = mean.float(), std.float()
        kl = 0.5 * (mean.square() + std.square() - std.square().log() - 1).mean()
        loss, fooled = l1 + options.kl_weight * kl * mean[0].numel(), torch.zeros(())
        if adversarial:
            with self._fast():
                *made_features, score = self.discriminator(made)
                with torch.no_grad():
                    *real_features, _ = self.discriminator(real)
            fooled = -score.float().mean()
            pairs = list(zip(made_features, real_features, strict=True))
            features = torch.stack([functional.l1_loss(m.float(), r.float()) for m, r in pairs])
            loss = loss + options.adversarial_weight * fooled
            loss = loss + options.feature_weight * features.mean()
        return made, loss, l1, kl, fooled

    def _discriminator_loss(self, real: Tensor, made: Tensor) -> Tensor:
        """The hinge loss."""
        with self._fast():
            scores = self.discriminator(real)[-1], self.discriminator(made)[-1]
        real_score, made_score = (score.float() for score in scores)
        return (functional.relu(1 - real_score) + functional.relu(1 + made_score)).mean() / 2

    def _record(self) -> dict[str, Any]:
        return {"autoencoder": asdict(self.options), "data_digest": self.digest, "seed": self.seed}

    def _check_record(self, record: dict[str, Any]) -> None:
        check_same_run(self.run, record, plain(self._record()), free=("steps", "checkpoint_every"))

    @torch.no_grad()
    def _write_results(self) -> None:
        """A picture: images above, what comes back below."""
        network, rows = self.averaged(), []
        for source in self.sources:
            picked = torch.linspace(0, len(source.slices.images) - 1, SHOWN).round().long()
            real = torch.stack([source.unit(int(i)) for i in picked]).to(self.device)
            rows += [real, network.decode(network.encode(real)[0])]
        write_sheet(rows, self.run / "reconstructions.png")

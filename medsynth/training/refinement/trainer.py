"""The refiner against its discriminators, step by step; resumes exactly, as the training of a network does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from medsynth.diffusion.guidance.low_pass import low_pass
from medsynth.diffusion.sampling import correction
from medsynth.domains import Preset
from medsynth.errors import CheckpointError
from medsynth.events import Listener, ignore
from medsynth.marking import png_chunks
from medsynth.networks import load_network, save_weights
from medsynth.networks.checkpoint import REFINER
from medsynth.networks.initial import placed
from medsynth.networks.refiner import Refiner, RefinerConfig
from medsynth.storage import aliases
from medsynth.storage.files import new_file
from medsynth.training import checkpoint
from medsynth.training.learning_rate import update_average
from medsynth.training.recipe import Refinement, plain
from medsynth.training.refinement.discriminators import (
    Discriminators,
    adversarial_loss,
    discriminator_loss,
)
from medsynth.training.refinement.paired_crops import AIR, CONTENT, PairedCrops
from medsynth.training.resumable import ResumableTrainer, StopRequests, learners
from medsynth.training.stopping import Limits

# Random numbers of a step: which part of it they are for.
DISCRIMINATOR_TURN, REFINER_TURN = 0, 1
BETAS = (0.0, 0.99)
SHOWN = 4
DIVERGED = (
    "refinement diverged at step {step}; what was done before stays; begin another run with a lower "
    "refinement.lr"
)
GRID = 2  # pixels: patches lie on the refiner's own grid


class RefinementTrainer(ResumableTrainer[int]):
    """Trains a refiner for the network in `weights` on `paired_crops`, into the folder `run`.

    All randomness is a function of (seed, step). `made_by` says what the crops were made with. A new
    run begins as `start_from`, a refiner of the same shape; the discriminators always begin anew.

    Raises:
        CheckpointError: `run` holds the refinement of another network, other images or settings; or
            `start_from` does not fit.
    """

    title = "refining"
    header = ("step", "discriminators", "refiner", "correction")

    def __init__(
        self,
        options: Refinement,
        paired_crops: PairedCrops,
        *,
        preset: Preset,
        weights: Path,
        metadata: dict[str, Any],
        run: Path,
        made_by: dict[str, Any],
        seed: int = 0,
        device: str = "cpu",
        start_from: Refiner | None = None,
    ):
        self.options, self.preset, self.device, self.seed = options, preset, device, seed
        # Read once: the file may be replaced while the refiner is taught.
        self.network, self.network_metadata = load_network(weights)[0].state_dict(), metadata
        self.made_by = made_by | {"refinement": asdict(options)}
        self.paired_crops = PairedCrops(
            paired_crops.synthetic.to(device), paired_crops.real.to(device), paired_crops.factors
        )
        self.places = np.argwhere(_content(paired_crops.real, options.patch))
        if not len(self.places):
            raise ValueError(
                "no patch of the paired crops shows anything but air; use other images"
            )
        of_places = paired_crops.factors[self.places[:, 0]]
        self.places_of = {int(n): self.places[of_places == n] for n in np.unique(of_places)}
        self.config = refiner_config(options)
        torch.manual_seed(seed)  # of the initial weights; what is drawn later has its own
        self.refiner = Refiner(self.config)
        if start_from is not None:
            check_start(start_from, options, run=run)
            self.refiner.load_state_dict(start_from.state_dict())
        placed(self.refiner, device)
        self.discriminators = placed(Discriminators(preset.windows, preset.intensity), device)
        self.players = {"refiner": self.refiner, "discriminators": self.discriminators}
        self.optimizers = {
            name: torch.optim.AdamW(player.parameters(), lr=options.lr, betas=BETAS)
            for name, player in self.players.items()
        }
        super().__init__(
            run,
            learners(self.players, self.optimizers),
            steps=options.steps,
            rates=options,
            checkpoint_every=options.checkpoint_every,
        )
        self._take_up()

    def train(self, *, limits: Limits | None = None, listener: Listener = ignore) -> None:
        """To the last step or the limit; a checkpoint is written on the way and at the end.

        Raises:
            KeyboardInterrupt: the user stopped it.
            ValueError: a loss is no longer a number; the checkpoint before stays.
        """
        self._train(lambda last: range(self.step, last), limits=limits, listener=listener)

    def _progress(self) -> str:
        _, discriminators, refiner, _ = self.losses[-1]
        return f"discriminators {discriminators:.3f}, refiner {refiner:.3f}"

    def _optimize(self, batch: int, requests: Callable[[], StopRequests]) -> StopRequests:
        """The discriminators' turn and the refiner's; theirs is `discriminator_lr_ratio` times its rate."""
        rate = self.learning_rate(self.step)
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rate * (
                    self.options.discriminator_lr_ratio if name == "discriminators" else 1.0
                )
        losses, change = [], torch.zeros(())
        for turn, name in ((DISCRIMINATOR_TURN, "discriminators"), (REFINER_TURN, "refiner")):
            synthetic, real, factor, noise = self._batch(turn)
            with torch.set_grad_enabled(turn == REFINER_TURN):
                change = self._change(synthetic, factor)
            seen = [
                self.discriminators.views(patches, part)
                for patches, part in zip((real, synthetic + change), noise, strict=True)
            ]
            if turn == DISCRIMINATOR_TURN:
                penalty = self.options.gradient_penalty
                loss = discriminator_loss(self.discriminators, *seen, penalty=penalty)
            else:
                loss = adversarial_loss(self.discriminators, *seen)
            if not math.isfinite(float(loss.detach())):
                raise ValueError(DIVERGED.format(step=self.step + 1))
            for optimizer in self.optimizers.values():
                optimizer.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(self.players[name].parameters(), math.inf)
            if not math.isfinite(float(norm)):
                raise ValueError(DIVERGED.format(step=self.step + 1))
            self._between_steps = False
            self.optimizers[name].step()
            losses.append(float(loss.detach()))
        state = self.refiner.state_dict()
        update_average(self.ema, state, step=self.step, ema=self.options.ema)
        self.step += 1
        self.losses.append((self.step, *losses, float(change.detach().abs().mean())))
        self._between_steps = True
        return requests()

    def _change(self, synthetic: Tensor, factor: int) -> Tensor:
        """What refining leaves once guidance has put its low-pass image back."""
        change = self.refiner(synthetic)
        return change - low_pass(change, factor=factor)

    def _batch(self, turn: int) -> tuple[Tensor, Tensor, int, Tensor]:
        """Patches of one factor, synthetic and real (B, 1, p, p); the factor; noise for both."""
        rng = np.random.default_rng((self.seed, self.step, turn))
        factor = int(self.paired_crops.factors[self.places[rng.integers(len(self.places)), 0]])
        mine = self.places_of[factor]
        chosen = mine[rng.integers(len(mine), size=self.options.batch_size)]
        side, flips = self.options.patch, rng.random((len(chosen), 2)) < 0.5
        pairs = []
        for (index, row, column), flip in zip(chosen, flips, strict=True):
            window = (
                index,
                slice(None),
                *(slice(c * GRID, c * GRID + side) for c in (row, column)),
            )
            pair = torch.stack(
                [self.paired_crops.synthetic[window], self.paired_crops.real[window]]
            )
            pairs.append(
                pair.flip([axis for axis, turned in ((-1, flip[0]), (-2, flip[1])) if turned])
            )
        synthetic, real = torch.stack(pairs, dim=1)
        noise = rng.random((2, *real.shape), dtype=np.float32)
        return synthetic, real, factor, torch.from_numpy(noise).to(self.device)

    def _write_results(self) -> None:
        """The network with the averaged refiner, and a picture."""
        refiner = {f"{REFINER}{k}": v for k, v in self.ema.items()}
        metadata = self.network_metadata | {
            "refiner": self.config.to_dict(),
            "refiner_steps": self.step,
        }
        save_weights(self.network | refiner, self.weights, metadata=metadata)
        self._draw()

    def _record(self) -> dict[str, Any]:
        return {"made_by": self.made_by}

    def _check_record(self, record: dict[str, Any]) -> None:
        earlier = aliases.current(record.get("made_by", {}), where=str(self.run))
        for key, value in self.made_by.items():
            if earlier.get(key) != plain(value):
                raise CheckpointError(
                    f"{self.run} holds a refinement with another {key}; choose another folder"
                )

    @torch.no_grad()
    def _draw(self) -> None:
        """RUN/samples.png: real, as the network made it and refined, in every window."""
        refiner = Refiner(self.config).to(self.device)
        refiner.load_state_dict(self.ema)
        rows = []
        for index in np.linspace(0, len(self.paired_crops.real) - 1, SHOWN).round().astype(int):
            real, made = (
                self.paired_crops.real[index][None],
                self.paired_crops.synthetic[index][None],
            )
            planes = [v[0, 0].cpu().numpy() for v in (real, made, made + correction(refiner, made))]
            values = [self.preset.intensity.from_unit(np.clip(p, -1, 1)) for p in planes]
            rows.append(np.hstack([w.to_8_bit(v) for w in self.preset.windows for v in values]))
        picture = Image.fromarray(np.vstack(rows))
        with new_file(self.run / "samples.png", overwrite=True) as file:
            picture.save(file, pnginfo=png_chunks())


def refiner_config(options: Refinement) -> RefinerConfig:
    """The refiner that the recipe describes.

    Raises:
        ValueError: `network` has unknown fields, or values that no refiner can have.
    """
    try:
        return RefinerConfig(**options.network, factor=max(options.factors))
    except (TypeError, ValueError) as error:
        raise ValueError(f"refinement.network: {error}") from None


def check_start(other: Refiner, options: Refinement, *, run: Path) -> None:
    """Refuse to begin as `other` where that cannot be.

    Raises:
        CheckpointError: `run` has begun already, or the recipe describes another refiner.
    """
    if checkpoint.exists(run):
        raise CheckpointError(
            f"{run} holds a refinement already, which goes on by itself; choose another folder to "
            "start from a refiner, or leave it out"
        )
    wanted = refiner_config(options)
    if replace(other.config, factor=wanted.factor) != wanted:
        raise CheckpointError(
            f"the refiner to start from is {other.config}, the recipe describes {wanted}"
        )


def _content(real: Tensor, side: int) -> np.ndarray:
    """Where patches with enough that is not air begin: (N, rows, columns), bool, on `GRID`.

    Raises:
        ValueError: the images are smaller than a patch.
    """
    if min(real.shape[-2:]) < side:
        raise ValueError(
            f"refinement.patch must be at most the crop's {min(real.shape[-2:])} pixels, got {side}"
        )
    share = torch.nn.functional.avg_pool2d((real > AIR).float(), side, stride=GRID)
    return (share[:, 0] >= CONTENT).cpu().numpy()

"""The training loop: resumes exactly, stops at a step or a number of minutes, keeps EMA weights.

A run is a folder: `checkpoint.safetensors` + `checkpoint.json` (network, EMA, optimizer, step),
`weights.safetensors` (EMA, ready to sample with), `losses.csv` and `curves.png`.
"""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import medsynth
from medsynth.diffusion import schedule as schedules
from medsynth.diffusion.denoiser import to_target
from medsynth.diffusion.schedule import per_sample
from medsynth.errors import CheckpointError
from medsynth.events import Listener, Stage, ignore
from medsynth.networks import PatchUNet, PatchUNetConfig, load_network, save_weights
from medsynth.networks.checkpoint import fastest_dtype
from medsynth.presets import Preset, get
from medsynth.training.batches import Batch, draw_batch
from medsynth.training.data import Slices
from medsynth.training.recipe import Recipe


@dataclass(frozen=True)
class Limits:
    """Where to stop before the recipe's last step: after `minutes`, or at optimizer step `step`."""

    minutes: float | None = None
    step: int | None = None


@dataclass(frozen=True)
class _Steps(Dataset):
    """Item `step` is the batch of that optimizer step."""

    slices: Slices
    recipe: Recipe
    preset: Preset
    schedule: schedules.Schedule

    def __getitem__(self, step: int) -> Batch:
        return draw_batch(
            self.slices, recipe=self.recipe, preset=self.preset, schedule=self.schedule, step=step
        )


class Trainer:
    """Trains the network of `recipe` on `slices` into the folder `run`.

    Bit-identical continuation on one CPU configuration: all randomness is a function of
    (recipe.seed, step), and the checkpoint holds everything else.

    Raises:
        CheckpointError: `run` holds a checkpoint of another network, recipe seed or data.
    """

    def __init__(
        self,
        recipe: Recipe,
        slices: Slices,
        *,
        run: Path,
        device: str = "cpu",
        start_from: Path | None = None,
    ):
        self.recipe, self.slices, self.run, self.device = recipe, slices, run, device
        self.preset = get(recipe.preset)
        self.schedule = schedules.build(**recipe.schedule)
        self.config = PatchUNetConfig.from_dict(recipe.network)
        torch.manual_seed(
            recipe.seed
        )  # the initial weights; every later draw has its own generator
        network = PatchUNet(self.config) if start_from is None else self._started(start_from)
        self.network = network.to(device=device, memory_format=torch.channels_last)
        self.ema = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=recipe.optimizer.lr,
            weight_decay=recipe.optimizer.weight_decay,
            fused=True,
        )
        self.dtype = fastest_dtype(device)
        self.step = 0
        self.losses: list[tuple[int, float, float]] = []
        run.mkdir(parents=True, exist_ok=True)
        if (run / "checkpoint.json").exists():
            self._load()

    @property
    def weights(self) -> Path:
        """The EMA weights, ready to sample with."""
        return self.run / "weights.safetensors"

    def _started(self, path: Path) -> PatchUNet:
        """The network of a weights file, to begin a run from."""
        if (self.run / "checkpoint.json").exists():
            raise CheckpointError(
                f"{self.run} holds a run already, which goes on by itself; choose another folder to "
                f"start from {path}"
            )
        started, _ = load_network(path)
        same = replace(
            started.config, **_fine_stage(self.config), image_size=self.config.image_size
        )
        if same != self.config:
            raise CheckpointError(f"{path} holds another network than the recipe describes")
        network = PatchUNet(self.config)
        # A fine stage that the file lacks begins at zero: the network starts as what the file holds.
        missing, unexpected = network.load_state_dict(started.state_dict(), strict=False)
        if unexpected or not all(key.startswith("fine.") for key in missing):
            raise CheckpointError(f"{path} holds another network than the recipe describes")
        return network.train()

    def train(
        self,
        *,
        limits: Limits | None = None,
        listener: Listener = ignore,
        on_checkpoint: Callable[[Trainer], None] | None = None,
    ) -> None:
        """Train to the recipe's end or the limit; a checkpoint is written on the way and at the end.

        Interrupting (Ctrl-C) writes a checkpoint first, so that nothing is lost.
        """
        limits = limits or Limits()
        last = min(self.recipe.steps, limits.step or self.recipe.steps)
        deadline = time.monotonic() + limits.minutes * 60 if limits.minutes else float("inf")
        try:
            with Stage("training", total=last - self.step, listener=listener) as stage:
                for batch in self._batches(last):
                    if time.monotonic() > deadline:
                        break
                    loss = self._optimize(batch)
                    stage.advance(message=f"loss {loss:.4f}", step=self.step)
                    if self.step % self.recipe.checkpoint_every == 0:
                        self.save()
                        if on_checkpoint:
                            on_checkpoint(self)
        finally:
            self.save()

    def learning_rate(self, step: int) -> float:
        """Linear warm-up, constant, linear decay to zero over the last `decay` share of the steps."""
        options = self.recipe.optimizer
        rise = min(1.0, (step + 1) / max(1, options.warmup))
        fall = (self.recipe.steps - step) / max(1.0, options.decay * self.recipe.steps)
        return options.lr * min(rise, max(0.0, fall), 1.0)

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error per sample (B,), of the quantity that the network predicts."""
        x0, noise = batch.x0.to(self.device), batch.noise.to(self.device)
        x_t = self.schedule.add_noise(x0, noise, batch.t)
        abar = per_sample(self.schedule.abar(batch.t), x0)
        target = to_target(x0, noise, abar, prediction_type=self.recipe.prediction_type)
        hint = batch.hint
        if hint is not None:
            hint = type(hint)(hint.low_band.to(self.device), hint.factor_map.to(self.device))
        timesteps = batch.t.to(self.device, torch.float32)
        kind = torch.device(self.device).type
        with torch.autocast(kind, self.dtype, enabled=self.dtype != torch.float32):
            output = self.network(x_t, timesteps, hint=hint, origin=batch.origin.to(self.device))
        return (output.float() - target).square().mean(dim=(1, 2, 3))

    def _batches(self, last: int) -> Iterable[Batch]:
        """The batches of the steps from here to `last`, drawn ahead by worker processes."""
        steps = _Steps(self.slices, self.recipe, self.preset, self.schedule)
        return DataLoader(
            steps,
            batch_size=None,
            sampler=range(self.step, last),
            num_workers=self.recipe.workers,
            prefetch_factor=4 if self.recipe.workers else None,
        )

    def _optimize(self, batch: Batch) -> float:
        rate = self.learning_rate(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self.loss(batch).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.optimizer.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._update_ema()
        self.step += 1
        self.losses.append((self.step, float(loss.detach()), rate))
        return self.losses[-1][1]

    @torch.no_grad()
    def _update_ema(self) -> None:
        """Warmed-up average: early steps would otherwise weigh for thousands of steps."""
        decay = min(self.recipe.optimizer.ema, (1 + self.step) / (10 + self.step))
        state = self.network.state_dict()
        averaged = [k for k, v in self.ema.items() if v.is_floating_point()]
        torch._foreach_lerp_(
            [self.ema[k] for k in averaged], [state[k] for k in averaged], 1 - decay
        )

    def card(self) -> dict:
        """What the weights file says of itself."""
        return {
            "network": self.config.to_dict(),
            "schedule": dict(self.recipe.schedule),
            "prediction_type": self.recipe.prediction_type,
            "preset": self.recipe.preset,
            "data": self.recipe.data.statement,
            "held_out": list(self.recipe.data.held_out),
            "licence": self.recipe.data.licence,
            "steps": self.step,
            "medsynth": medsynth.__version__,
        }

    def save(self) -> None:
        """Write checkpoint, EMA weights and the loss table; each file replaces its older self."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"ema.{k}": v for k, v in self.ema.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
        tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
        name = f"checkpoint-{self.step:07d}.safetensors"
        if not (self.run / name).exists():
            partial = self.run / f".{name}.partial"
            save_file(tensors, partial)
            os.replace(partial, self.run / name)
        record = {
            "step": self.step,
            "tensors": name,
            "recipe": self.recipe.to_dict(),
            "data_digest": self.slices.digest,
        }
        _replace_text(self.run / "checkpoint.json", json.dumps(record, indent=1))
        for old in self.run.glob("checkpoint-*.safetensors"):
            if old.name != name:
                old.unlink()
        save_weights(self.ema, self.weights, card=self.card())
        with open(self.run / "losses.csv", "w", newline="") as file:
            csv.writer(file).writerows([("step", "loss", "learning_rate"), *self.losses])

    def _load(self) -> None:
        record = json.loads((self.run / "checkpoint.json").read_text())
        saved = record["recipe"]
        if PatchUNetConfig.from_dict(saved["network"]) != self.config:
            raise CheckpointError(f"{self.run} holds another network; choose another folder")
        if record["data_digest"] != self.slices.digest:
            raise CheckpointError(
                f"{self.run} was trained on other images; give the same --data or another folder"
            )
        try:
            tensors = load_file(self.run / record["tensors"])
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{self.run / record['tensors']} cannot be read: {error}"
            ) from error
        self.network.load_state_dict(_below("network.", tensors))
        for key, value in _below("ema.", tensors).items():
            self.ema[key].copy_(value)
        state = self.optimizer.state_dict()
        parameters = list(self.network.parameters())
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in _below("optimizer.", tensors).items():
            index, name = key.split(".", 1)
            if value.ndim:
                # In the parameter's own memory layout: the fused optimizer walks both in step.
                value = torch.empty_like(parameters[int(index)]).copy_(value)
            states.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict(state | {"state": states})
        self.step = record["step"]
        self.losses = _read_losses(self.run / "losses.csv", self.step)


def _fine_stage(config: PatchUNetConfig) -> dict[str, int]:
    """What may be added to a network, or moved to another frame, before it is trained on."""
    names = ("fine_channels", "fine_patch_size", "fine_blocks")
    return {name: getattr(config, name) for name in names}


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _replace_text(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    os.replace(partial, path)


def _read_losses(path: Path, step: int) -> list[tuple[int, float, float]]:
    if not path.exists():
        return []
    with open(path, newline="") as file:
        rows = [
            (int(r["step"]), float(r["loss"]), float(r["learning_rate"]))
            for r in csv.DictReader(file)
        ]
    return [row for row in rows if row[0] <= step]

"""The training loop: resumes exactly, stops at a step or a number of minutes, keeps EMA weights.

A run is a folder: `checkpoint-*.safetensors` + `checkpoint.json` (network, EMA, optimizer, noise
levels, step), `weights.safetensors` (EMA, ready to sample with), `losses.csv` and
`losses_by_level.csv`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import medsynth
from medsynth.datasets.data import Slices, with_noise_level
from medsynth.diffusion import schedule as schedules
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance.reduced import reduced_size
from medsynth.diffusion.loss import Objective
from medsynth.diffusion.noise_level import NoiseLevelScale
from medsynth.diffusion.preconditioning import ResidualPreconditioning
from medsynth.domains import Preset, get
from medsynth.errors import CheckpointError
from medsynth.events import Listener, ignore
from medsynth.networks import save_weights
from medsynth.networks.architectures import network_config
from medsynth.networks.base import NetworkConfig
from medsynth.networks.checkpoint import fastest_dtype
from medsynth.networks.initial import placed
from medsynth.training import checkpoint, distillation, timestep_samplers
from medsynth.training.batches import (
    Batch,
    BatchSource,
    ResidentSlices,
    conditioned_quantiles,
    draw_batch,
)
from medsynth.training.distributed import DistributedContext
from medsynth.training.learning_rate import update_average
from medsynth.training.recipe import Recipe
from medsynth.training.resumable import Learner, ResumableTrainer, StopRequests
from medsynth.training.stopping import Limits
from medsynth.training.timestep_log import LevelLog
from medsynth.training.warm_start import warm_start
from medsynth.training.workers import drawn_ahead, leave_to_parent

__all__ = ["Limits", "Trainer"]


@dataclass(frozen=True)
class _Steps(Dataset):
    """Item `step` is this process's share of the batch of that optimizer step."""

    slices: BatchSource
    recipe: Recipe
    preset: Preset
    context: DistributedContext

    def __getitem__(self, step: int) -> Batch:
        share = self.context.share(self.recipe.phase_at(step).batch_size)
        return draw_batch(
            self.slices, recipe=self.recipe, preset=self.preset, step=step, share=share
        )


class Trainer(ResumableTrainer[Batch]):
    """Trains the network of `recipe` on `slices` into the folder `run`.

    Bit-identical continuation on one CPU configuration: all randomness is a function of
    (recipe.seed, step), and the checkpoint holds everything else. In a `world` of several processes
    each takes its share of every batch, and the first one writes.

    Raises:
        ValueError: recipe values that cannot be used, or batches too small for the processes.
        CheckpointError: `run` holds a checkpoint of another network, schedule or data.
    """

    title = "training"
    header = ("step", "loss", "learning_rate")

    def __init__(
        self,
        recipe: Recipe,
        slices: Slices,
        *,
        run: Path,
        device: str = "cpu",
        start_from: Path | None = None,
        context: DistributedContext = DistributedContext(),  # noqa: B008 (frozen)
        listener: Listener = ignore,
    ):
        self.recipe, self.slices, self.device = recipe, slices, device
        self.context = context
        for phase in recipe.phases:
            context.share(phase.batch_size)
        context.assert_same(slices.digest, what="images")
        self.preset = get(recipe.preset)
        self.schedule = schedules.build(**recipe.schedule)
        self.config = _config(recipe)
        _check_low_pass(recipe, self.config, size=slices.images.shape[1:])
        self.objective = Objective(
            self.schedule,
            prediction_type=recipe.prediction_type,
            learned_variance=self.config.learned_variance,
            vlb_weight=recipe.vlb_weight,
            preconditioning=ResidualPreconditioning(recipe.residual_std)
            if recipe.residual_std
            else None,
        )
        self.timestep_sampler = timestep_samplers.build(recipe.timestep_sampler, self.schedule)
        self.level_log = LevelLog(self.schedule)
        self.noise_level = _noise_level(recipe)
        if self.noise_level:
            slices = with_noise_level(
                slices, self.noise_level, self.preset.intensity, listener=listener
            )
        self.images = self._placed(slices)
        if start_from is not None and checkpoint.exists(run):
            raise CheckpointError(
                f"{run} holds a run already, which goes on by itself; choose another folder to "
                f"start from {start_from}"
            )
        self.distillation = distillation.prepared(
            recipe,
            self.schedule,
            self.objective.preconditioning,
            self.noise_level,
            run,
            start_from,
            device,
        )
        torch.manual_seed(recipe.seed)  # of the initial weights; what is drawn later has its own
        network = self.config.build() if start_from is None else warm_start(start_from, self.config)
        self.network = placed(network, device)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=recipe.optimizer.lr,
            weight_decay=recipe.optimizer.weight_decay,
            fused=True,
        )
        self.dtype = _dtype(recipe.precision, device)
        super().__init__(
            run,
            [Learner("network", self.network, self.optimizer, "optimizer")],
            steps=recipe.steps,
            rates=recipe.optimizer,
            checkpoint_every=recipe.checkpoint_every,
        )
        self._take_up()
        self._forward = context.wrapped(_compiled(self.network) if recipe.compile else self.network)

    def denoiser(self) -> Denoiser:
        """Of the EMA weights as they are now."""
        network = copy.deepcopy(self.network).eval().requires_grad_(False)
        network.load_state_dict(self.ema)
        return Denoiser(
            network=network.to(self.dtype),
            schedule=self.schedule,
            prediction_type=self.recipe.prediction_type,
            learned_variance=self.config.learned_variance,
            reference_conditioned=self.config.reference_conditioned,
            dtype=self.dtype,
            preconditioning=self.objective.preconditioning,
            conditioned_log_snr_min=self.recipe.reference.log_snr_min,
            noise_level=self.noise_level,
        )

    def train(
        self,
        *,
        limits: Limits | None = None,
        listener: Listener = ignore,
        on_step: Callable[[Trainer], None] | None = None,
    ) -> None:
        """Train to the recipe's end or the limit; a checkpoint is written on the way and at the end.

        Ctrl-C and SIGTERM stop it after the next step, with a checkpoint, so that nothing is lost.
        `on_step` is called after every step.

        Raises:
            KeyboardInterrupt: the user stopped it.
            ValueError: the loss is no longer a number; the checkpoint before stays.
        """
        self._train(
            lambda last: drawn_ahead(self._batches(last)),
            limits=limits,
            listener=listener,
            after_step=lambda: on_step(self) if on_step else None,
        )

    def _placed(self, slices: Slices) -> BatchSource:
        """The images where batches are drawn: in the GPU's memory, if the recipe says so."""
        if not self.recipe.data_on_device:
            return slices
        if not self.device.startswith("cuda"):
            raise ValueError("data_on_device needs a CUDA device; set it to false for the CPU")
        return ResidentSlices(torch.as_tensor(slices.images).to(self.device), slices.noise_level)

    def _batches(self, last: int) -> DataLoader:
        """The batches of the steps from here to `last`, drawn ahead by worker processes."""
        workers = 0 if self.recipe.data_on_device else self.recipe.workers
        return DataLoader(
            _Steps(self.images, self.recipe, self.preset, self.context),
            batch_size=None,
            sampler=range(self.step, last),
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            worker_init_fn=leave_to_parent,
            pin_memory=self.device.startswith("cuda") and not self.recipe.data_on_device,
        )

    def _progress(self) -> str:
        return f"loss {self.losses[-1][1]:.4f}"

    def _optimize(self, batch: Batch, requests: Callable[[], StopRequests]) -> StopRequests:
        """One step; the wishes of any process."""
        stop_requests = requests()
        rate = self.learning_rate(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        whole = self.recipe.phase_at(self.step).batch_size
        t, weight, losses = self._losses(batch)
        # Gradients are averaged over the processes, and shall be the mean over the whole batch.
        mean = (losses * weight.to(losses)).sum() / whole
        (mean * self.context.size).backward()
        t, losses, weight, stop_requests = self._gathered(
            t, losses.detach(), weight, stop_requests, whole=whole
        )
        loss = float((losses * weight).mean())
        norm = torch.nn.utils.clip_grad_norm_(
            self.network.parameters(), self.recipe.optimizer.clip_norm
        )
        if not math.isfinite(loss) or not math.isfinite(float(norm)):
            raise ValueError(
                f"training diverged at step {self.step + 1} (loss {loss:g}, gradient norm "
                f"{float(norm):g}); go on from the checkpoint with a lower optimizer.lr"
            )
        with self._moving():
            self.optimizer.step()
            self.optimizer.zero_grad()
            state = self.network.state_dict()
            update_average(self.ema, state, step=self.step, ema=self.recipe.optimizer.ema)
            self.timestep_sampler.update(t, losses)
            self.level_log.add(t, losses)
            self.step += 1
            self.losses.append((self.step, loss, rate))
        return stop_requests

    def _losses(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Timesteps (B,), the weights of their losses, and these."""
        if self.distillation is not None:
            t = self.distillation.timesteps(batch.quantiles)
            losses = self.distillation.losses(self._predict, batch.to(self.device), t)
            return t, torch.ones_like(t), losses
        quantiles = conditioned_quantiles(batch, self.recipe.reference.log_snr_min, self.schedule)
        t, weight = self.timestep_sampler.sample(quantiles)
        return t, weight, self.objective.losses(self._predict, batch.to(self.device), t)

    def _predict(self, x_t: Tensor, timesteps: Tensor, **options: object) -> Tensor:
        kind = torch.device(self.device).type
        with torch.autocast(kind, self.dtype, enabled=self.dtype != torch.float32):
            return self._forward(x_t, timesteps, **options)

    def _gathered(
        self, t: Tensor, losses: Tensor, weight: Tensor, stop_requests: list[bool], *, whole: int
    ) -> tuple[Tensor, Tensor, Tensor, list[bool]]:
        """What every process tells the others: its rows of the whole batch, and whether to stop.

        One small message a step keeps histories, logs and the last step the same everywhere.
        """
        rows = torch.zeros(whole + 1, 3, dtype=torch.float64, device=losses.device)
        mine = torch.stack([t.to(losses.device), losses.double(), weight.to(losses.device)], dim=1)
        rows[:whole][self.context.share(whole)] = mine
        rows[whole, :2] = torch.tensor(stop_requests, device=losses.device)
        rows = self.context.total(rows).cpu()
        t, losses, weight = rows[:whole].unbind(dim=1)
        return t.long(), losses, weight, (rows[whole, :2] > 0).tolist()

    def metadata(self) -> dict:
        """What the weights file says of itself."""
        return {
            "network": self.config.to_dict(),
            "schedule": dict(self.recipe.schedule),
            "prediction_type": self.recipe.prediction_type,
            "residual_std": self.recipe.residual_std,
            "conditioned_log_snr_min": self.recipe.reference.log_snr_min,
            "noise_level": self.recipe.noise_level,
            "low_pass_factor": self.recipe.low_pass_factor,
            "is_expert": self.recipe.expert,
            "distilled_calls": self.recipe.distillation and self.recipe.distillation.calls,
            "preset": self.recipe.preset,
            "data": self.recipe.data.statement,
            "held_out": list(self.recipe.data.held_out),
            "split": self.slices.split,
            "license": self.recipe.data.license,
            "steps": self.step,
            "medsynth": medsynth.__version__,
        }

    def save(self) -> None:
        """Checkpoint, EMA weights and the loss tables, by the first process."""
        if self.context.first:
            super().save()

    def _write_results(self) -> None:
        save_weights(self.ema, self.weights, metadata=self.metadata())
        self.level_log.write(self.run, step=self.step)

    def _record(self) -> dict[str, Any]:
        return {"recipe": self.recipe.to_dict(), "data_digest": self.slices.digest}

    def _check_record(self, record: dict[str, Any]) -> None:
        recipe = self.recipe.to_dict() | {"network": self.config.to_dict()}
        checkpoint.check(self.run, record, recipe=recipe, data_digest=self.slices.digest)

    def _more_tensors(self) -> dict[str, Tensor]:
        return checkpoint.named("timestep_sampler", self.timestep_sampler.state())

    def _load_more(self, tensors: dict[str, Tensor]) -> None:
        self.timestep_sampler.load(checkpoint.below("timestep_sampler.", tensors))
        self.level_log.read(self.run, until=self.step)


def _compiled(network: nn.Module) -> nn.Module:
    compiled = torch.compile(network)
    assert isinstance(compiled, nn.Module)  # so it is of a module; torch's annotation has functions
    return compiled


def _dtype(precision: str, device: str) -> torch.dtype:
    """What the recipe's `precision` means on this device."""
    if precision not in ("auto", "float32", "bfloat16"):
        raise ValueError(f"precision must be auto, float32 or bfloat16, got {precision!r}")
    return fastest_dtype(device) if precision == "auto" else getattr(torch, precision)


def _config(recipe: Recipe) -> NetworkConfig:
    """The network that the recipe describes."""
    try:
        return network_config(recipe.network)
    except TypeError as error:
        raise ValueError(f"network: {error}") from None


def _noise_level(recipe: Recipe) -> NoiseLevelScale | None:
    """The scale that the recipe describes."""
    if not recipe.noise_level:
        return None
    try:
        return NoiseLevelScale(**recipe.noise_level)
    except TypeError:
        raise ValueError(
            f"noise_level needs log_mean and log_std, two numbers each, got {recipe.noise_level!r}"
        ) from None


def _check_low_pass(recipe: Recipe, config: NetworkConfig, *, size: tuple[int, int]) -> None:
    """The frame of a network of low-pass images is their grid: sampling takes its images to be centered."""
    if not recipe.low_pass_factor:
        return
    grid = reduced_size(size, recipe.low_pass_factor)
    if config.image_size != grid:
        raise ValueError(
            f"low_pass_factor {recipe.low_pass_factor} makes {grid[0]} x {grid[1]} pixels of these "
            f"images, network.image_size is {list(config.image_size)}; set it to {list(grid)}"
        )

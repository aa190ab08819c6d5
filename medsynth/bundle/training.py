"""What `train.json` builds: recipe, images, the processes' context, and the training they make up."""

from __future__ import annotations

import atexit
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medsynth import domains, threads
from medsynth.bundle.options import absolute, check_assignments, check_path
from medsynth.datasets.data import Slices, load_slices, read_split
from medsynth.datasets.split_record import record_split
from medsynth.events import Event, Listener, ignore
from medsynth.networks.device import choose_device
from medsynth.request.files import pairs
from medsynth.training.distributed import DistributedContext, joined
from medsynth.training.monitor import Monitor
from medsynth.training.recipe import Recipe, load_recipe
from medsynth.training.stopping import Limits
from medsynth.training.trainer import Trainer


def recipe(
    name: str | Path,
    *,
    dataset_dir: str | Path | None = None,
    assignments: str | Sequence[str] = (),
) -> Recipe:
    """A shipped recipe by name, or one in a file.

    Args:
        name: of a shipped recipe, or its file.
        dataset_dir: the images; None leaves the recipe's.
        assignments: KEY=VALUE lines that replace values of the recipe.

    Raises:
        ValueError: a recipe that cannot be used.
    """
    overrides = dict(pairs(check_assignments(assignments)))
    if dataset_dir is not None:
        overrides["data.root"] = absolute("dataset_dir", dataset_dir)
    return load_recipe(str(check_path("recipe", name)), overrides=overrides)


@dataclass(frozen=True)
class TrainingContext:
    """This process among those that train together, and the device it trains on."""

    context: DistributedContext
    device: str


def context(device: str = "auto") -> TrainingContext:
    """This process's place among those that torchrun started; it leaves them at its end.

    Raises:
        ValueError: no such device, or more processes than GPUs.
    """
    stack = contextlib.ExitStack()
    place = TrainingContext(*stack.enter_context(joined(choose_device(device))))
    atexit.register(stack.close)
    return place


def slices(recipe: Recipe, *, held_out: bool = False, listener: Listener = ignore) -> Slices:
    """The images that a recipe trains on, or those of the patients that it holds out.

    Raises:
        ValueError, OSError: there are none, or they cannot be read.
    """
    preset = domains.get(recipe.preset)
    return load_slices(recipe.data, preset=preset, held_out=held_out, listener=listener)


def limits(
    minutes: float | None = None, stop_at: int | None = None, *, started: float | None = None
) -> Limits:
    """Where a run stops; its minutes begin at `started`, or now.

    Raises:
        ValueError: a limit that lets nothing be done.
    """
    if minutes is not None and not minutes > 0:
        raise ValueError(f"--minutes must be above 0, got {minutes:g}")
    if stop_at is not None and stop_at < 1:
        raise ValueError(f"--stop_at must be at least 1, got {stop_at}")
    return Limits(minutes, stop_at, time.monotonic() if started is None else started)


@dataclass(eq=False)
class Training:
    """A trainer, when it stops, and the monitor that shows samples of its run.

    Raises:
        ValueError: a limit that lets nothing be done.
    """

    trainer: Trainer
    minutes: float | None = None
    stop_at: int | None = None
    threads: int | None = None
    listener: Listener = ignore
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.limits = limits(self.minutes, self.stop_at, started=self.started)

    def run(self) -> Path:
        """Train until the limit; the weights' file.

        Raises:
            KeyboardInterrupt: the user stopped it; the same call goes on there.
            ValueError: the loss is no longer a number.
        """
        trainer, recipe = self.trainer, self.trainer.recipe
        first = trainer.context.first
        listener = self.listener if first else ignore
        monitor = None
        if first:
            split = read_split(recipe.data)
            record_split(split, trainer.run)
            shown = recipe.samples.every and split.held_out
            monitor = Monitor(trainer, held_out=slices(recipe, held_out=True) if shown else None)
        try:
            with threads.using(self.threads):
                trainer.train(limits=self.limits, listener=listener, on_step=monitor)
        except KeyboardInterrupt:
            words = f"stopped at step {trainer.step}; the same command goes on there"
            raise KeyboardInterrupt(words) from None
        finally:
            if monitor:
                monitor.close()
        data: dict[str, Any] = {"weights": str(trainer.weights), "step": trainer.step}
        message = f"step {trainer.step}: wrote {trainer.weights}"
        listener(Event("result", message=message, data=data))
        return trainer.weights

"""`medsynth train RECIPE -o RUN`: train a network, or go on where it stopped."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from medsynth import threads
from medsynth.cli import running
from medsynth.cli.parsers import add_command
from medsynth.events import Event, Listener, ignore

if TYPE_CHECKING:
    from pathlib import Path

    from medsynth.training.distributed import DistributedContext
    from medsynth.training.recipe import Recipe
    from medsynth.training.stopping import Limits

DESCRIPTION = """\
Train the network of a recipe into the folder RUN. Stopping it (Ctrl-C, --minutes, --stop-at) keeps a
checkpoint; the same command goes on exactly there. RUN/weights.safetensors can be sampled with at any
time (`weights:` in a request); RUN/index.html shows how far it is, the losses and samples. Several
processes started by torchrun share every batch."""

EXAMPLES = """\
examples:
  medsynth train lung_ct --data path/to/lung_ct -o runs/lung_ct --minutes 120
  medsynth train ldm_small --data path/to/data -o runs/ldm_small
  medsynth train my_recipe.yaml -o runs/mine --set optimizer.lr=1e-4 --stop-at 2000
  torchrun --nproc_per_node 2 -m medsynth train lung_ct --data path/to/lung_ct -o runs/two"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`train` and its options."""
    parser = add_command(
        subparsers, "train", "train a network from a recipe", DESCRIPTION, EXAMPLES
    )
    parser.add_argument("recipe", metavar="RECIPE", help="name of a shipped recipe, or a YAML file")
    running.add_options(
        parser,
        start_from="begin a new run from these weights, such as a shipped network",
        example="optimizer.lr=1e-4",
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Read the recipe and the images, then train."""
    limits = running.limits(args)
    if (system := running.system_recipe(args)) is not None:
        return _train_system(args, system, limits, listener)
    recipe = running.read_recipe(args)

    from medsynth.networks.device import choose_device
    from medsynth.training.distributed import joined

    with threads.using(args.threads), joined(choose_device(args.device)) as (context, device):
        return _train(args, recipe, limits, listener if context.first else ignore, context, device)


def _train_system(args: argparse.Namespace, path: Path, limits: Limits, listener: Listener) -> int:
    """Train one of the systems that make whole images."""
    from medsynth.networks.device import choose_device
    from medsynth.request.files import pairs
    from medsynth.training.systems import recipe as systems

    if args.start_from is not None:
        raise ValueError(
            "--start-from begins with a network of guided synthesis; this recipe is of an image system: leave it "
            "out (latent diffusion takes an autoencoder by --set autoencoder.weights=FILE)"
        )
    kind, recipe = systems.load(path, data=args.data, overrides=dict(pairs(args.set)))
    job = systems.TrainingJob(args.out, choose_device(args.device), limits, listener)
    with threads.using(args.threads):
        try:
            weights = kind.train(recipe, job)
        except KeyboardInterrupt:
            listener(Event("warning", message="stopped; the same command goes on there"))
            return 130
    words = f"wrote {weights}" if weights.exists() else f"stopped; {args.out} goes on there"
    listener(Event("result", message=words, data={"weights": str(weights)}))
    return 0


def _train(
    args: argparse.Namespace,
    recipe: Recipe,
    limits: Limits,
    listener: Listener,
    context: DistributedContext,
    device: str,
) -> int:
    """Train as one process of the world."""
    from medsynth import domains as presets
    from medsynth.datasets.data import load_slices, read_split
    from medsynth.datasets.split_record import record_split
    from medsynth.training.monitor import Monitor
    from medsynth.training.trainer import Trainer

    preset = presets.get(recipe.preset)
    split = read_split(recipe.data)
    if context.first:
        record_split(split, args.out)
    slices = load_slices(recipe.data, preset=preset, split=split, listener=listener)
    trainer = Trainer(
        recipe,
        slices,
        run=args.out,
        device=device,
        start_from=args.start_from,
        context=context,
        listener=listener,
    )
    patients = len(set(slices.patients))
    where = device if context.size == 1 else f"{context.size} processes"
    message = (
        f"{len(slices.images)} slices of {patients} patients on {where}; "
        f"step {trainer.step} of {recipe.steps}"
    )
    listener(Event("estimate", message=message, data={"step": trainer.step}))
    monitor = None
    if context.first:
        held_out = None
        if recipe.samples.every and split.held_out:
            held_out = load_slices(
                recipe.data, preset=preset, held_out=True, split=split, listener=listener
            )
        monitor = Monitor(trainer, held_out=held_out)
    try:
        trainer.train(limits=limits, listener=listener, on_step=monitor)
    except KeyboardInterrupt:
        message = f"stopped at step {trainer.step}; the same command goes on there"
        listener(Event("warning", message=message))
        return 130
    finally:
        if monitor:
            monitor.close()
    data = {"weights": str(trainer.weights), "step": trainer.step}
    listener(Event("result", message=f"step {trainer.step}: wrote {trainer.weights}", data=data))
    return 0

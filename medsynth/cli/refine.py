"""`medsynth refine`: train a small network that corrects the fine detail of finished samples."""

from __future__ import annotations

import argparse
from pathlib import Path

from medsynth.cli import running
from medsynth.cli.parsers import add_command
from medsynth.events import Listener

DESCRIPTION = """\
Train a refiner for a trained network: a small network that corrects the fine detail of a finished
sample, trained with an adversarial loss against the real images that guided it. Makes paired crops, real
and synthetic, from the training patients first (RUN/paired_crops), then trains refiner and discriminators on them
in turn. RUN/weights.safetensors is the network with its refiner, RUN/samples.png shows real, synthetic
and refined crops (look at this). Stopping it (Ctrl-C, --minutes) keeps what is done; the same command
resumes exactly there."""

EPILOG = """\
examples:
  medsynth refine lung_ct --data path/to/lung_ct -o runs/lung_ct_refined
  medsynth refine my_recipe.yaml --weights runs/mine/weights.safetensors -o runs/mine_refined"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`refine` and its options."""
    parser = add_command(
        subparsers, "refine", "train a refiner for a trained network", DESCRIPTION, EPILOG
    )
    parser.add_argument(
        "recipe", metavar="RECIPE", help="what the network was trained with (its `refinement`)"
    )
    parser.add_argument("--weights", metavar="FILE", type=Path, help="(default: the preset's)")
    running.add_options(
        parser,
        start_from="begin a new run with the refiner in this file, such as one of an earlier network",
        example="refinement.steps=2000",
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Make or take up the paired crops, then refine."""
    limits, recipe = running.limits(args), running.read_recipe(args)

    from medsynth import domains
    from medsynth.networks import model_store
    from medsynth.networks.device import choose_device
    from medsynth.networks.domain_weights import check_metadata
    from medsynth.training.refinement.run import RefinementRun

    preset = domains.get(recipe.preset)
    weights = args.weights or model_store.path(preset.weights)
    RefinementRun(
        recipe,
        args.out,
        weights,
        check_metadata(weights, preset),
        device=choose_device(args.device),
        start_from=args.start_from,
        limits=limits,
        threads=args.threads,
        listener=listener,
    ).run()
    return 0

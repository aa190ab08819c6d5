"""`medsynth refine`: teach a network the last touch on its fine detail."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsynth import threads
from medsynth.cli import running
from medsynth.events import Event, Listener

if TYPE_CHECKING:
    from medsynth.datasets.data import Slices
    from medsynth.datasets.splits import Split
    from medsynth.networks.refiner import Refiner
    from medsynth.training.recipe import Recipe, Refinement
    from medsynth.training.refinement.paired_crops import PairedCrops
    from medsynth.training.stopping import Limits

DESCRIPTION = """\
Teach a refiner for a trained network: a small network that corrects the fine detail of a finished
sample, judged against the real images that guided it. Makes a pool of synthetic crops from the training
patients first (RUN/pool), then plays refiner against judges. RUN/weights.safetensors is the network
with its refiner, RUN/samples.png shows real, made and refined crops (look at this). Stopping it (Ctrl-C,
--minutes) keeps what is done; the same command goes on exactly there."""

EPILOG = """\
examples:
  medsynth refine lung_ct --data path/to/lung_ct -o runs/lung_ct_refined
  medsynth refine my_recipe.yaml --weights runs/mine/weights.safetensors -o runs/mine_refined"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`refine` and its options."""
    parser = subparsers.add_parser(
        "refine",
        help="teach a trained network's refiner",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    """Make or take up the pool, then refine."""
    if (processes := int(os.environ.get("WORLD_SIZE", 1))) > 1:
        raise ValueError(f"refine runs in one process, got {processes}; start it without torchrun")
    limits, recipe = running.limits(args), running.read_recipe(args)
    with threads.using(args.threads):
        return _refine(args, recipe, limits, listener)


def _refine(args: argparse.Namespace, recipe: Recipe, limits: Limits, listener: Listener) -> int:
    """Check what can be checked before the pool is made, which takes long; then play."""
    from medsynth import domains as presets
    from medsynth.datasets.data import load_slices, read_split
    from medsynth.datasets.split_record import check_evaluated, record_split
    from medsynth.networks import model_store, sha256
    from medsynth.pipeline.synthesize import check_metadata, choose_device
    from medsynth.training.refinement.trainer import RefinementTrainer, refiner_config

    preset, options = presets.get(recipe.preset), recipe.refinement
    weights = args.weights or model_store.path(preset.weights)
    if weights.resolve() == (args.out / "weights.safetensors").resolve():
        raise ValueError(f"{weights} would be replaced by its refined self; choose another --out")
    metadata, device = check_metadata(weights, preset), choose_device(args.device)
    refiner_config(options)
    start_from = args.start_from and _refiner(args.start_from, options, run=args.out)
    split = read_split(recipe.data)
    check_evaluated(split, metadata, weights=weights)
    _check_unseen(split, metadata, weights)
    record_split(split, args.out)
    slices = load_slices(recipe.data, preset=preset, split=split, listener=listener)
    made_by = {
        "weights_sha256": sha256(weights),
        "images_digest": slices.digest,
        "images": options.images,
        "crop": options.crop,
        "factors": list(options.factors),
        "factor_weights": list(options.weights),
        "sampling_steps": options.sampling_steps,
        "seed": recipe.seed,
    }
    stopped = f"with the pool in {args.out / 'pool'}"
    try:
        paired_crops = _paired_crops(
            args, recipe, limits, slices, made_by, weights, device, listener
        )
        if paired_crops is None:
            words = f"the {args.minutes:g} minutes are over; the same command goes on {stopped}"
            listener(Event("result", message=words, data={"step": 0}))
            return 0
        trainer = RefinementTrainer(
            options,
            paired_crops,
            preset=preset,
            weights=weights,
            metadata=metadata,
            run=args.out,
            made_by=made_by,
            seed=recipe.seed,
            device=device,
            start_from=start_from,
        )
        stopped = f"from {args.out}"
        trainer.train(limits=limits, listener=listener)
    except KeyboardInterrupt:
        listener(Event("warning", message=f"stopped; the same command goes on {stopped}"))
        return 130
    data = {"weights": str(trainer.weights), "step": trainer.step}
    listener(Event("result", message=f"step {trainer.step}: wrote {trainer.weights}", data=data))
    return 0


def _refiner(path: Path, options: Refinement, *, run: Path) -> Refiner:
    """The refiner to begin as."""
    from medsynth.networks import read_metadata
    from medsynth.networks.checkpoint import load_refiner
    from medsynth.training.refinement.trainer import check_start

    refiner = load_refiner(path, read_metadata(path))
    if refiner is None:
        raise ValueError(f"--start-from {path} has no refiner; leave it out")
    check_start(refiner, options, run=run)
    return refiner


def _paired_crops(
    args: argparse.Namespace,
    recipe: Recipe,
    limits: Limits,
    slices: Slices,
    made_by: dict[str, Any],
    weights: Path,
    device: str,
    listener: Listener,
) -> PairedCrops | None:
    """The crops, told beforehand how many; None when the time is over before all are made."""
    from medsynth import domains as presets
    from medsynth.networks import load_denoiser
    from medsynth.training.refinement.paired_crops import make_paired_crops

    options = recipe.refinement
    plan = (
        f"{len(slices.images)} slices of {len(set(slices.patients))} patients on {device}; a pool of "
        f"{options.images} crops, {options.sampling_steps} network calls each, then "
        f"{options.steps} steps"
    )
    listener(Event("estimate", message=plan, data={"images": options.images}))
    return make_paired_crops(
        load_denoiser(weights, device=device),
        slices,
        options=options,
        preset=presets.get(recipe.preset),
        folder=args.out / "pool",
        made_by=made_by,
        seed=recipe.seed,
        limits=limits,
        listener=listener,
    )


def _check_unseen(split: Split, metadata: dict[str, Any], weights: Path) -> None:
    """Whom the network's card holds out must not teach its refiner either.

    Raises:
        CheckpointError: the recipe trains on some of them.
    """
    from medsynth.datasets.splits import matches, some
    from medsynth.errors import CheckpointError

    held_out = metadata.get("held_out") or []
    seen = {e.patient for e in split.training if any(matches(h, e.patient) for h in held_out)}
    if seen:
        raise CheckpointError(
            f"{weights} holds out {some(sorted(seen))}, on whom the recipe trains; put them into "
            "data.held_out"
        )

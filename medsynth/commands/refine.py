"""`medsynth refine`: teach a network the last touch on its fine detail."""

from __future__ import annotations

import argparse
from pathlib import Path

from medsynth.events import Event, Listener

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
    parser.add_argument("-o", "--out", metavar="RUN", type=Path, required=True, help="run folder")
    parser.add_argument("--data", metavar="FOLDER", help="as for `medsynth train` (data.root)")
    parser.add_argument("--weights", metavar="FILE", type=Path, help="(default: the preset's)")
    parser.add_argument(
        "--minutes", type=float, help="stop the refining after this long, with a checkpoint"
    )
    parser.add_argument("--stop-at", metavar="STEP", type=int, help="stop at this step")
    parser.add_argument(
        "--start-from",
        metavar="WEIGHTS",
        type=Path,
        help="begin a new run with the refiner in this file, such as one of an earlier network",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="change one value of the recipe, such as refinement.steps=2000; can be given again",
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Make or take up the pool, then refine."""
    from medsynth.request.files import pairs
    from medsynth.training.recipe import load_recipe

    if args.minutes is not None and not args.minutes > 0:
        raise ValueError(f"--minutes must be above 0, got {args.minutes:g}")
    overrides = dict(pairs(args.set))
    if args.data is not None:
        overrides["data.root"] = args.data
    recipe = load_recipe(args.recipe, overrides=overrides)

    from medsynth import presets
    from medsynth.networks import load_denoiser, read_card, sha256
    from medsynth.networks.checkpoint import load_refiner
    from medsynth.pipeline.job import MODELS, check_card, choose_device
    from medsynth.training.data import load_slices, read_split
    from medsynth.training.refinement.pool import make_pool
    from medsynth.training.refinement.trainer import RefinementTrainer
    from medsynth.training.split_record import check_evaluated, record_split
    from medsynth.training.stopping import Limits

    preset, options = presets.get(recipe.preset), recipe.refinement
    weights = args.weights or MODELS / preset.weights
    card, device = check_card(weights, preset), choose_device(args.device)
    start_from = None
    if args.start_from is not None:
        start_from = load_refiner(args.start_from, read_card(args.start_from))
        if start_from is None:
            raise ValueError(f"--start-from {args.start_from} has no refiner; leave it out")
    split = read_split(recipe.data)
    check_evaluated(split, card, weights=weights)
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
    pool = make_pool(
        load_denoiser(weights, device=device),
        slices,
        options=options,
        preset=preset,
        folder=args.out / "pool",
        made_by=made_by,
        seed=recipe.seed,
        listener=listener,
    )
    trainer = RefinementTrainer(
        options,
        pool,
        preset=preset,
        weights=weights,
        card=card,
        run=args.out,
        made_by=made_by,
        seed=recipe.seed,
        device=device,
        start_from=start_from,
    )
    try:
        trainer.train(limits=Limits(args.minutes, args.stop_at), listener=listener)
    except KeyboardInterrupt:
        message = f"stopped at step {trainer.step}; the same command goes on there"
        listener(Event("warning", message=message))
        return 130
    data = {"weights": str(trainer.weights), "step": trainer.step}
    listener(Event("result", message=f"step {trainer.step}: wrote {trainer.weights}", data=data))
    return 0

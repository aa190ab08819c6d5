"""`medsynth train RECIPE -o RUN`: train a network, or go on where it stopped."""

from __future__ import annotations

import argparse
from pathlib import Path

from medsynth.events import Event, Listener

DESCRIPTION = """\
Train the network of a recipe into the folder RUN. Stopping it (Ctrl-C, --minutes, --stop-at) keeps a
checkpoint; the same command goes on exactly there. RUN/weights.safetensors can be sampled with at any
time (`weights:` in a request), RUN/curves.png shows the loss."""

EXAMPLES = """\
examples:
  medsynth train lung_ct --data path/to/lung_ct -o runs/lung_ct --minutes 120
  medsynth train my_recipe.yaml -o runs/mine --set optimizer.lr=1e-4 --stop-at 2000"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`train` and its options."""
    parser = subparsers.add_parser(
        "train",
        help="train a network from a recipe",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", metavar="RECIPE", help="name of a shipped recipe, or a YAML file")
    parser.add_argument("-o", "--out", metavar="RUN", type=Path, required=True, help="run folder")
    parser.add_argument("--data", metavar="FOLDER", help="one folder per patient (data.root)")
    parser.add_argument("--minutes", type=float, help="stop after this long, with a checkpoint")
    parser.add_argument("--stop-at", metavar="STEP", type=int, help="stop at this optimizer step")
    parser.add_argument(
        "--start-from",
        metavar="WEIGHTS",
        type=Path,
        help="begin a new run from these weights, such as a shipped network",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="change one value of the recipe, such as optimizer.lr=1e-4; can be given again",
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Read the recipe and the images, then train."""
    from medsynth.request.files import pairs
    from medsynth.training.recipe import load_recipe

    if args.minutes is not None and not args.minutes > 0:
        raise ValueError(f"--minutes must be above 0, got {args.minutes:g}")
    overrides = dict(pairs(args.set))
    if args.data is not None:
        overrides["data.root"] = args.data
    recipe = load_recipe(args.recipe, overrides=overrides)

    from medsynth import presets
    from medsynth.pipeline.job import choose_device
    from medsynth.training.curves import draw_curves
    from medsynth.training.data import load_slices
    from medsynth.training.trainer import Limits, Trainer

    device = choose_device(args.device)
    preset = presets.get(recipe.preset)
    slices = load_slices(recipe.data, preset=preset, listener=listener)
    trainer = Trainer(recipe, slices, run=args.out, device=device, start_from=args.start_from)
    patients = len(set(slices.patients))
    message = (
        f"{len(slices.images)} slices of {patients} patients on {device}; "
        f"step {trainer.step} of {recipe.steps}"
    )
    listener(Event("estimate", message=message, data={"step": trainer.step}))
    try:
        trainer.train(
            limits=Limits(args.minutes, args.stop_at),
            listener=listener,
            on_checkpoint=lambda t: draw_curves(t.losses, t.run / "curves.png"),
        )
    except KeyboardInterrupt:
        message = f"stopped at step {trainer.step}; the same command goes on there"
        listener(Event("warning", message=message))
        return 130
    if trainer.losses:
        draw_curves(trainer.losses, trainer.run / "curves.png")
    data = {"weights": str(trainer.weights), "step": trainer.step}
    listener(Event("result", message=f"step {trainer.step}: wrote {trainer.weights}", data=data))
    return 0

"""`medsynth evaluate`: synthetic slices beside the held-out real slices that guided them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from medsynth.events import Event, Listener

DESCRIPTION = """\
Synthesize slices guided by held-out patients (those that the recipe keeps out of training) and measure:
low-band error, radial power spectrum per window, HU of tissue peaks, texture; each beside the same
figure between two halves of the real slices. Writes OUT/figures.json and OUT/sheet.png (real and
synthetic side by side, per window)."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`evaluate` and its options."""
    parser = subparsers.add_parser(
        "evaluate", help="measure a network on held-out patients", description=DESCRIPTION
    )
    parser.add_argument("recipe", metavar="RECIPE", help="the recipe that says who is held out")
    parser.add_argument("-o", "--out", metavar="OUT", type=Path, required=True)
    parser.add_argument("--data", metavar="FOLDER", required=True, help="as for `medsynth train`")
    parser.add_argument("--weights", metavar="FILE", type=Path, help="(default: the preset's)")
    parser.add_argument("--factor", type=int, default=8, help="of the anatomy (default: 8)")
    parser.add_argument("--slices", type=int, default=24, help="how many (default: 24)")
    parser.add_argument("--steps", type=int, default=20, help="NFE (default: 20)")
    parser.add_argument("--sampler", help="(default: the preset's)")
    parser.add_argument("--overwrite", action="store_true", help="replace earlier figures in OUT")


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Read the held-out slices, synthesize, measure, write."""
    from medsynth.training.recipe import load_recipe

    recipe = load_recipe(args.recipe, overrides={"data.root": args.data})
    if args.slices < 4:
        raise ValueError(f"--slices must be at least 4 (two halves of two), got {args.slices}")

    import numpy as np

    from medsynth import presets
    from medsynth.evaluation import held_out
    from medsynth.networks import load_denoiser
    from medsynth.pipeline.job import MODELS, check_card
    from medsynth.results import new_file
    from medsynth.training.data import load_slices, read_split
    from medsynth.training.split_record import check_evaluated

    preset = presets.get(recipe.preset)
    weights = args.weights or MODELS / preset.weights
    card = check_card(weights, preset)
    split = read_split(recipe.data)
    check_evaluated(split, card, weights=weights)
    args.out.mkdir(parents=True, exist_ok=True)
    real = load_slices(recipe.data, preset=preset, held_out=True, split=split, listener=listener)
    chosen = np.linspace(0, len(real.images) - 1, args.slices).round().astype(int)
    pairs = held_out.synthesize_pairs(
        load_denoiser(weights),
        real.images[chosen].astype(np.float32),
        preset=preset,
        factor=args.factor,
        steps=args.steps,
        sampler=args.sampler,
        listener=listener,
    )
    figures = {
        "weights": weights.name,
        "patients": sorted(set(real.patients)),
        "factor": args.factor,
        "nfe": args.steps,
        "sampler": args.sampler or preset.sampler,
        **held_out.figures(pairs, preset=preset),
    }
    with new_file(args.out / "figures.json", overwrite=args.overwrite) as file:
        file.write_text(json.dumps(figures, indent=2) + "\n")
    rows = np.linspace(0, len(chosen) - 1, min(4, len(chosen)) + 2).round().astype(int)[1:-1]
    with new_file(args.out / "sheet.png", overwrite=args.overwrite) as file:
        held_out.sheet(pairs, file, preset=preset, indices=rows.tolist())
    listener(Event("result", message=f"wrote {args.out}", data=figures))
    return 0

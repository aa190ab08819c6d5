"""What the mark in the pixels costs: every figure of `medsynth evaluate` with it and without.

    python benchmarks/mark_cost.py lung_ct --data FOLDER --slices 24 --steps 4
    python benchmarks/mark_cost.py lung_ct --data FOLDER --pairs OUT/pairs.npz

Slices of held-out patients are synthesized once, or taken from what `medsynth evaluate` left in OUT, rounded to whole units as they are stored, and measured
twice: as they are, and marked. A figure that moves by more than half the width of its interval is said; where
each patient has one slice, intervals are over slices.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from medsynth import domains, threads
from medsynth.cli.progress import Lines
from medsynth.datasets.data import Slices, load_slices, read_split
from medsynth.evaluation import figures, held_out
from medsynth.evaluation.metrics.base import MetricInputs
from medsynth.evaluation.names import METRICS
from medsynth.marking.keys import PRODUCT
from medsynth.marking.pixels import marked
from medsynth.networks import load_denoiser, model_store
from medsynth.training.recipe import load_recipe


def values_of(measured: dict) -> Iterator[tuple[str, float, float | None]]:
    """Every figure by name, and half the width of its interval (None: it has none)."""
    for name, record in measured.items():
        for row in METRICS[name].load().rows(record):
            found = np.atleast_1d(np.array(row.record["value"], dtype=float))
            spread = row.record.get("interval")
            halves = [None] * len(found)
            if spread is not None:
                ends = np.array(spread, dtype=float).reshape(-1, 2)
                halves = list((ends[:, 1] - ends[:, 0]) / 2)
            for band, (value, half) in enumerate(zip(found, halves, strict=True)):
                number = f" {band + 1}" if len(found) > 1 else ""
                yield f"{row.what}{number}, {row.where}", float(value), half


def _synthesized(
    real: Slices, preset: domains.Preset, args: argparse.Namespace, listener: Lines
) -> held_out.Pairs:
    """`args.slices` slices, each guided by the real one."""
    chosen = held_out.choose(real.patients, args.slices)
    return held_out.synthesize_pairs(
        load_denoiser(model_store.path(preset.weights)),
        real.images[chosen].astype("float32"),
        preset=preset,
        factor=preset.anatomy_factor,
        steps=args.steps,
        seed=args.seed,
        patients=tuple(real.patients[k] for k in chosen),
        listener=listener,
    )


def main() -> None:
    """Print a table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe")
    parser.add_argument("--data", required=True)
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs", type=Path, help="slices that `medsynth evaluate` made")
    parser.add_argument("--only", help="figures, separated by commas (default: all)")
    threads.add_option(parser)
    args = parser.parse_args()
    listener = Lines()
    recipe = load_recipe(args.recipe, overrides={"data.root": args.data})
    preset = domains.get(recipe.preset)
    split = read_split(recipe.data)

    def read(held: bool) -> Slices:
        return load_slices(
            recipe.data, preset=preset, split=split, held_out=held, listener=listener
        )

    with threads.using(args.threads):
        pairs = (
            held_out.load_pairs(args.pairs, made_by={"preset": preset.name})
            if args.pairs
            else _synthesized(read(True), preset, args, listener)
        )
        patients = pairs.patients
        if len(set(patients)) == len(patients):
            # Resampling within patients of one slice each would change nothing: no interval.
            pairs = replace(pairs, patients=())
        whole = np.rint(pairs.synthetic).astype(np.float32)
        limits = preset.mark_limits
        with_mark = [marked(plane, 1.0, key=PRODUCT, limits=limits) for plane in whole]
        only = None if args.only is None else args.only.split(",")
        found = []
        for synthetic in (whole, np.stack(with_mark)):
            inputs = MetricInputs(
                replace(pairs, synthetic=synthetic),
                preset,
                training=lambda: read(False).images,
                seed=args.seed,
            )
            measured, _ = figures.measure(inputs, only=only, listener=listener)
            found.append(list(values_of(json.loads(json.dumps(measured)))))
    made = str(args.pairs) if args.pairs else f"{args.steps} calls"
    print(f"{preset.name}: {len(whole)} slices of {len(set(patients))} held-out patients, {made}\n")
    print("| figure | without | half its interval | with the mark | moved |")
    print("|---|---|---|---|---|")
    for (name, before, half), (_, after, _) in zip(*found, strict=True):
        width = "-" if half is None else f"{half:.3g}"
        more = " **more**" if half is not None and abs(after - before) > half else ""
        print(f"| {name} | {before:.4g} | {width} | {after:.4g} | {after - before:+.2g}{more} |")


if __name__ == "__main__":
    main()

"""`medsynth evaluate`: synthetic slices beside the held-out real slices that guided them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsynth import threads
from medsynth.evaluation.names import AUDITS, FIGURES
from medsynth.events import Event, Listener

if TYPE_CHECKING:
    from medsynth.domains import Preset
    from medsynth.evaluation.figures import Drawn
    from medsynth.evaluation.held_out import Pairs

DESCRIPTION = """\
Synthesize slices guided by held-out patients (those that the recipe keeps out of training) and say how
far they are from real ones: each figure per window, with its interval, beside the same figure between
real slices. Writes OUT/report.html (look at this), OUT/figures.json, OUT/sheet.png, and the slices
themselves in OUT/pairs.npz, from which --reuse makes the figures again."""

EPILOG = f"""\
figures: {", ".join((*FIGURES, *AUDITS))}

examples:
  medsynth evaluate lung_ct --data path/to/lung_ct -o figures
  medsynth evaluate lung_ct --data path/to/lung_ct -o figures --reuse --only two_sample,spectrum

ImageNet features need torchvision and its ResNet-50 on disk:
  https://download.pytorch.org/models/resnet50-0676ba61.pth"""

OUTPUTS = ("figures.json", "report.html", "sheet.png")
PAIRS = "pairs.npz"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`evaluate` and its options."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a network on held-out patients",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", metavar="RECIPE", help="the recipe that says who is held out")
    parser.add_argument("-o", "--out", metavar="OUT", type=Path, required=True)
    parser.add_argument("--data", metavar="FOLDER", required=True, help="as for `medsynth train`")
    parser.add_argument("--weights", metavar="FILE", type=Path, help="(default: the preset's)")
    parser.add_argument("--factor", type=int, help="of the anatomy (default: the preset's)")
    parser.add_argument("--slices", type=int, default=24, help="how many (default: 24)")
    parser.add_argument("--steps", type=int, default=20, help="NFE (default: 20)")
    parser.add_argument("--sampler", help="(default: the preset's)")
    parser.add_argument("--seed", type=int, default=0, help="of noise and of figures (default: 0)")
    parser.add_argument(
        "--only", metavar="NAMES", help="these figures, separated by commas (default: all)"
    )
    parser.add_argument(
        "--unguided",
        metavar="N",
        type=int,
        default=8,
        help="free samples to look for copies of training images in (default: 8)",
    )
    parser.add_argument(
        "--low-band",
        metavar="FILE",
        type=Path,
        help="weights that draw the low band of free samples (default: the preset's, for a "
        "reference-conditioned network)",
    )
    parser.add_argument(
        "--nodules",
        metavar="N",
        type=int,
        default=0,
        help="place so many nodules and see whether they are found; each takes as long as a slice, "
        "and a stopped run goes on with --reuse (default: 0)",
    )
    parser.add_argument(
        "--imagenet", metavar="FILE", type=Path, help="add features of this ResNet-50, see below"
    )
    parser.add_argument(
        "--reuse",
        action="store_true",
        help="take the slices of an earlier run from OUT, and replace its figures",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier run in OUT")
    threads.add_option(parser)


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Read the held-out slices, synthesize, measure, write."""
    with threads.using(args.threads):
        return _evaluate(args, listener)


def _evaluate(args: argparse.Namespace, listener: Listener) -> int:
    from medsynth.training.recipe import load_recipe

    recipe = load_recipe(args.recipe, overrides={"data.root": args.data})
    only = _chosen(args.only)
    if args.slices < 8:
        raise ValueError(f"--slices must be at least 8 (four to learn from), got {args.slices}")
    _check_out(args)

    from medsynth import domains as presets
    from medsynth.cli import evaluate_audits
    from medsynth.datasets.data import load_slices, read_split
    from medsynth.datasets.split_record import check_evaluated
    from medsynth.evaluation import held_out
    from medsynth.evaluation.figures import Material, measure
    from medsynth.evaluation.learned_features import ImageNet
    from medsynth.networks import load_denoiser, model_store, sha256
    from medsynth.pipeline.synthesize import check_metadata
    from medsynth.storage.folders import new_file

    preset = presets.get(recipe.preset)
    evaluate_audits.check_nodules(args.nodules, preset)
    weights = args.weights or model_store.path(preset.weights)
    metadata = check_metadata(weights, preset)
    split = read_split(recipe.data)
    check_evaluated(split, metadata, weights=weights)
    if "memorisation" in only:
        try:
            evaluate_audits.check_memorisation(split, preset)
        except ValueError as error:
            if args.only is not None:
                raise
            only = tuple(name for name in only if name != "memorisation")
            listener(Event("warning", message=f"no audit of memorisation: {error}"))
    free = args.unguided if "memorisation" in only else 0
    low_band = evaluate_audits.low_band_of(
        args.low_band, metadata, preset, split=split, free=free, listener=listener
    )
    imagenet = None if args.imagenet is None else ImageNet(args.imagenet)
    options: dict[str, Any] = {"preset": preset, "split": split, "listener": listener}
    made_by = {
        "weights": weights.name,
        "weights_sha256": sha256(weights),
        "preset": preset.name,
        "slices_asked": args.slices,
        "factor": args.factor or preset.anatomy_factor,
        "nfe": args.steps,
        "sampler": args.sampler or preset.sampler,
        "seed": args.seed,
    }
    if args.reuse:
        pairs = held_out.load_pairs(args.out / PAIRS, made_by=made_by)
    else:
        real = load_slices(recipe.data, held_out=True, **options)
        chosen = held_out.choose(real.patients, args.slices)
        pairs = held_out.synthesize_pairs(
            load_denoiser(weights),
            real.images[chosen].astype("float32"),
            preset=preset,
            factor=made_by["factor"],
            steps=args.steps,
            sampler=args.sampler,
            seed=args.seed,
            patients=tuple(real.patients[k] for k in chosen),
            listener=listener,
        )
        args.out.mkdir(parents=True, exist_ok=True)
        with new_file(args.out / PAIRS, overwrite=args.overwrite) as file:
            held_out.save_pairs(pairs, file, made_by=made_by)
    material = Material(
        pairs,
        preset,
        training=lambda: load_slices(recipe.data, **options).images,
        imagenet=imagenet,
        seed=args.seed,
    )
    samples = evaluate_audits.Samples(
        args.out, made_by, preset, lambda: load_denoiser(weights), listener, low_band
    )
    extra = []
    try:
        figures, drawn = measure(
            material, only=[name for name in only if name in FIGURES], listener=listener
        )
        if "memorisation" in only:
            parts = [load_slices(recipe.data, held_out=part, **options) for part in (False, True)]
            figures["memorisation"], sections = evaluate_audits.memorisation(
                samples, pairs, *parts, unguided=args.unguided
            )
            extra += sections
        if args.nodules:
            figures["nodules"], section = evaluate_audits.nodules(
                samples, split, count=args.nodules
            )
            extra.append(section)
    except KeyboardInterrupt:
        words = f"stopped; the slices are in {args.out / PAIRS}, and --reuse goes on from there"
        listener(Event("warning", message=words))
        return 130
    record = _record(made_by, pairs, figures, statement=recipe.data.statement)
    _write(args, record, pairs, drawn, preset, extra)
    listener(Event("result", message=f"wrote {args.out / 'report.html'}", data=record))
    return 0


def _chosen(only: str | None) -> tuple[str, ...]:
    known = (*FIGURES, *AUDITS)
    names = known if only is None else tuple(name.strip() for name in only.split(","))
    for name in names:
        if name not in known:
            raise ValueError(f"--only has no figure {name!r}, expected some of {', '.join(known)}")
    return names


def _check_out(args: argparse.Namespace) -> None:
    """Refuse what could not be written, before any work is done."""
    from medsynth.storage.folders import check_new_file, check_output

    if not args.out.exists():
        check_output(args.out)
        return
    if not args.reuse:
        for name in (*OUTPUTS, PAIRS):
            check_new_file(args.out / name, overwrite=args.overwrite)


def _record(made_by: dict, pairs: Pairs, figures: dict, *, statement: str) -> dict:
    """What `figures.json` holds."""
    from medsynth import __version__
    from medsynth.evaluation.figures import EXPLAINED

    return {
        "medsynth": __version__,
        **made_by,
        "data": statement,
        "patients": sorted(set(pairs.owners)),
        "slices": len(pairs.real),
        "slices_of_each_patient": {p: pairs.owners.count(p) for p in sorted(set(pairs.owners))},
        "low_band_error": max(error for error in pairs.errors if error is not None),
        **EXPLAINED,
        "figures": figures,
    }


def _write(
    args: argparse.Namespace,
    record: dict,
    pairs: Pairs,
    drawn: Drawn,
    preset: Preset,
    extra: list[tuple[str, str]],
) -> None:
    import numpy as np

    from medsynth.evaluation import held_out
    from medsynth.evaluation.page import write_page
    from medsynth.storage.folders import new_file

    overwrite = args.overwrite or args.reuse
    rows = np.linspace(0, len(pairs.real) - 1, 6).round().astype(int)[1:-1]
    with new_file(args.out / "sheet.png", overwrite=overwrite) as file:
        held_out.sheet(pairs, file, preset=preset, indices=rows.tolist())
    with new_file(args.out / "report.html", overwrite=overwrite) as file:
        write_page(file, record=record, pairs=pairs, drawn=drawn, preset=preset, extra=extra)
    with new_file(args.out / "figures.json", overwrite=overwrite) as file:
        file.write_text(json.dumps(record, indent=2) + "\n")

"""`medsynth evaluate`: synthetic slices beside the held-out real slices that guided them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from medsynth import threads
from medsynth.cli.parsers import add_command, add_out, add_overwrite
from medsynth.evaluation.names import AUDITS, METRICS
from medsynth.events import Listener

if TYPE_CHECKING:
    from medsynth.evaluation.evaluator import Evaluator

DESCRIPTION = """\
Synthesize slices guided by held-out patients (those that the recipe keeps out of training) and say how
far they are from real ones: each figure per window, with its interval, beside the same figure between
real slices. Writes OUT/report.html (look at this), OUT/figures.json, OUT/sheet.png, and the slices
themselves in OUT/pairs.npz, from which --reuse makes the figures again."""

EPILOG = """\
figures: {figures}

examples:
  medsynth evaluate lung_ct --data path/to/lung_ct -o figures
  medsynth evaluate lung_ct --data path/to/lung_ct -o figures --reuse --only two_sample,spectrum

ImageNet features need torchvision and its ResNet-50 on disk:
  https://download.pytorch.org/models/resnet50-0676ba61.pth"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`evaluate` and its options."""
    named = EPILOG.format(figures=", ".join((*METRICS, *AUDITS)))
    line = "measure a network on held-out patients"
    parser = add_command(subparsers, "evaluate", line, DESCRIPTION, named)
    add = parser.add_argument
    add("recipe", metavar="RECIPE", help="the recipe that says who is held out")
    add_out(parser, "OUT")
    add("--data", metavar="FOLDER", required=True, help="as for `medsynth train`")
    add("--weights", metavar="FILE", type=Path, help="(default: the preset's)")
    add(
        "--expert",
        metavar="FILE",
        help="weights of the network for the fine levels, the name of a shipped one, or none (default: as the "
        "weights say)",
    )
    add("--factor", type=int, help="of the anatomy (default: the preset's)")
    add("--slices", type=int, default=24, help="how many (default: 24)")
    add("--steps", type=int, default=20, help="NFE (default: 20)")
    add("--sampler", help="(default: the preset's)")
    add("--seed", type=int, default=0, help="of noise and of figures (default: 0)")
    add("--only", metavar="NAMES", help="these figures, separated by commas (default: all)")
    add(
        "--unguided",
        metavar="N",
        type=int,
        default=8,
        help="free samples to look for copies of training images in (default: 8)",
    )
    add(
        "--low-pass-weights",
        metavar="FILE",
        type=Path,
        help="weights that draw the low-pass images of free samples (default: the preset's, for a "
        "reference-conditioned network)",
    )
    add(  # as the option was once called
        "--low-band", dest="low_pass_weights", type=Path, help=argparse.SUPPRESS
    )
    add(
        "--nodules",
        metavar="N",
        type=int,
        default=0,
        help="place so many nodules and see whether they are found; each takes as long as a slice, "
        "and a stopped run goes on with --reuse (default: 0)",
    )
    add("--imagenet", metavar="FILE", type=Path, help="add features of this ResNet-50, see below")
    add(
        "--reuse",
        action="store_true",
        help="take the slices of an earlier run from OUT, and replace its figures",
    )
    add_overwrite(parser, "an earlier run in OUT")
    threads.add_option(parser)


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Read the held-out slices, synthesize, measure, write."""
    evaluator(args, listener).run()
    return 0


def evaluator(args: argparse.Namespace, listener: Listener) -> Evaluator:
    """What the command line asks for.

    Raises:
        ValueError, OSError: it cannot be evaluated, or not be written.
    """
    from medsynth import domains
    from medsynth.evaluation.evaluator import Evaluator
    from medsynth.networks import model_store
    from medsynth.training.recipe import load_recipe

    recipe = load_recipe(args.recipe, overrides={"data.root": args.data})
    only = None if args.only is None else [name.strip() for name in args.only.split(",")]
    return Evaluator(
        recipe,
        args.out,
        args.weights or model_store.path(domains.get(recipe.preset).weights),
        expert=args.expert,
        factor=args.factor,
        sampler=args.sampler,
        slices=args.slices,
        steps=args.steps,
        seed=args.seed,
        only=only,
        unguided=args.unguided,
        nodules=args.nodules,
        imagenet=args.imagenet,
        low_pass_weights=args.low_pass_weights,
        reuse=args.reuse,
        overwrite=args.overwrite,
        threads=args.threads,
        listener=listener,
    )

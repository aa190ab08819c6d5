"""`medsynth compare FOLDER...`: several systems' images on one page, with every figure beside its floor."""

from __future__ import annotations

import argparse
from pathlib import Path

from medsynth import threads
from medsynth.cli.parsers import add_command, add_out
from medsynth.events import Listener

DESCRIPTION = """\
Compare folders that `medsynth generate` wrote with real images of people who are held out: pictures of
each, two-sample test, KID, FID, precision and recall, diversity, near copies of training images, time and
license, in OUT/compare.html and OUT/compare.json. The floor is what real images of other people get."""

EXAMPLES = """\
examples:
  medsynth compare ldm gan --recipe chest_xray --data path/to/chest_xray -o compared
  medsynth compare ldm gan --recipe chest_xray --data path/to/chest_xray --only features,diversity -o compared"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`compare` and its options."""
    line = "put several systems' images and their figures on one page"
    parser = add_command(subparsers, "compare", line, DESCRIPTION, EXAMPLES)
    parser.add_argument("folders", metavar="FOLDER", nargs="+", type=Path, help="made by generate")
    add_out(parser, "OUT")
    parser.add_argument(
        "--recipe", metavar="RECIPE", required=True, help="a network's recipe: says who is held out"
    )
    parser.add_argument("--data", metavar="FOLDER", required=True, help="as for `medsynth train`")
    parser.add_argument("--images", metavar="N", type=int, default=48, help="of each at most (48)")
    parser.add_argument(
        "--only",
        metavar="NAMES",
        help="some of two_sample,features,diversity,memorization (default: all)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of figures (default: 0)")
    threads.add_option(parser)


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Compare."""
    from medsynth.evaluation.comparison import FIGURES, SystemComparison
    from medsynth.training.recipe import load_recipe

    recipe = load_recipe(args.recipe, overrides={"data.root": args.data})
    only = FIGURES if args.only is None else tuple(args.only.split(","))
    with threads.using(args.threads):
        SystemComparison(
            args.folders,
            recipe,
            args.out,
            only=only,
            most=args.images,
            seed=args.seed,
            listener=listener,
        ).run()
    return 0

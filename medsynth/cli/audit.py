"""`medsynth audit OUT --data FOLDER`: is a finished result too near to an image of training?"""

from __future__ import annotations

import argparse
from pathlib import Path

from medsynth.cli.parsers import add_command, add_near_copy
from medsynth.events import Event, Listener

NEAR_COPY = 3

DESCRIPTION = """\
Compare the synthesized slices of OUT with every image that the recipe trains on, and write OUT/audit.json
(the verdict, the nearest images, the thresholds). The thresholds come from real images of different
patients; they are found once for a folder of images, which takes minutes, and kept. Exit code 3: a result
is a near copy. OUT/audit.png then shows it beside the training image, and medsynth send and the Slicer
module refuse OUT."""

EXAMPLES = """\
examples:
  medsynth audit out --data path/to/lung_ct --recipe lung_ct
  medsynth audit out-1 out-2 --data path/to/lung_ct --recipe my_recipe.yaml
  medsynth audit out --allow-near-copy out"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`audit` and its options."""
    parser = add_command(
        subparsers, "audit", "check that a result copies no training image", DESCRIPTION, EXAMPLES
    )
    parser.add_argument(
        "out", metavar="OUT", nargs="+", type=Path, help="folders made by synthesize"
    )
    parser.add_argument("--data", metavar="FOLDER", help="the images, as for `medsynth train`")
    parser.add_argument(
        "--recipe", metavar="RECIPE", help="what the network was trained with; says who is held out"
    )
    add_near_copy(
        parser, "let the result of that name leave although it was found to be a near copy"
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Audit every OUT, or allow what was audited."""
    outs = [_checked(out) for out in args.out]
    if args.allow_near_copy is not None:
        return _allow(args, outs, listener)
    if args.data is None or args.recipe is None:
        raise ValueError(
            "medsynth audit needs the images to compare with: --data FOLDER --recipe NAME"
        )
    from medsynth import domains as presets
    from medsynth.evaluation.memorization.auditor import Auditor
    from medsynth.request import read_mapping
    from medsynth.training.recipe import load_recipe
    from medsynth.verification.before_export import image_doubts

    recipe = load_recipe(args.recipe, overrides={"data.root": args.data})
    preset = presets.get(recipe.preset)
    for out in outs:
        asked = read_mapping(out / "request.yaml").get("preset")
        if asked != preset.name:
            raise ValueError(
                f"{out} is of preset {asked}, the recipe {args.recipe} trains {preset.name}"
            )
    for out in outs:
        doubt = image_doubts(out)
        if doubt:
            listener(Event("warning", message=doubt))
    auditor = Auditor(recipe, preset, listener)
    audits = {out: auditor.audit(out) for out in outs}
    for out, audit in audits.items():
        remark = f"{out}: {audit.verdict}"
        remark += "".join(f"; {match.sentence()}" for match in audit.copies[:1])
        listener(Event("result", message=remark, data={"out": str(out), **audit.to_dict()}))
    return NEAR_COPY if any(audit.copies for audit in audits.values()) else 0


def _checked(out: Path) -> Path:
    """The folder, which must be a result."""
    for name in ("image.nrrd", "request.yaml", "result.json"):
        if not (out / name).is_file():
            raise FileNotFoundError(
                f"{out} has no {name}; give the OUT folder of a synthesis whose output.write has nrrd"
            )
    return out.resolve()


def _allow(args: argparse.Namespace, outs: list[Path], listener: Listener) -> int:
    from medsynth.records.audit import ANYWHERE, check_export

    if args.data is not None or args.recipe is not None or len(outs) != 1:
        raise ValueError(
            "--allow-near-copy is for one result that was audited before, without --data and --recipe"
        )
    remark, _ = check_export(outs[0], allow=args.allow_near_copy, to=ANYWHERE)
    listener(Event("result", message=f"{outs[0]}: {remark}"))
    return 0

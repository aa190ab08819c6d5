"""`medsynth phantom`: draw an anatomy, and edit it through its control points."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from medsynth.cli.parsers import add_changes, add_command, add_out, add_overwrite
from medsynth.events import Event, Listener, Stage

DESCRIPTION = """\
Draw a thorax (in Hounsfield units) or a breast (in gray values, with --preset mammography) from
B-spline curves: an anatomy to start from without a patient's image. Its control points can be saved, edited as text, and drawn again."""

EXAMPLES = """\
examples:
  medsynth phantom --seed 3 -o thorax.nrrd
  medsynth phantom --seed 3 --set heart=1.3 --slices 40 --spacing 0.7 0.7 1.5 -o thorax.nrrd
  medsynth phantom --seed 3 --save-control-points thorax.yaml
  medsynth phantom --control-points thorax.yaml -o thorax.nrrd
  medsynth phantom --preset mammography --seed 2 --set view=CC --set density=dense -o breast.nrrd"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`phantom` and its options."""
    parser = add_command(
        subparsers, "phantom", "draw an anatomy to start from", DESCRIPTION, EXAMPLES
    )
    add_out(parser, "FILE", "image to write (.nrrd, ...)", required=False)
    parser.add_argument("--labels", metavar="FILE", type=Path, help="label map to write beside it")
    add_overwrite(parser, "files that are there")
    parser.add_argument("--preset", default="lung_ct", help="domain (default: lung_ct)")
    parser.add_argument("--kind", help="which phantom (default: the preset's first)")
    parser.add_argument("--seed", type=int, help="the person; the same seed, the same anatomy")
    parser.add_argument("--slices", type=int, help="number of slices (default: the whole thorax)")
    parser.add_argument(
        "--spacing", type=float, nargs=3, metavar=("X", "Y", "Z"), help="mm (default: 0.7 0.7 3)"
    )
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("COLUMNS", "ROWS"), help="(default: 512 512)"
    )
    parser.add_argument("--level", type=float, metavar="MM", help="z of the stack's middle")
    add_changes(
        parser,
        "set what is otherwise drawn from the seed: sex, width, heart, lung_hu, contrast_hu, ...; "
        "of a breast view, laterality, density, nipple_mm, glandular",
    )
    parser.add_argument(
        "--control-points", metavar="FILE", type=Path, help="draw these instead of a random person"
    )
    parser.add_argument(
        "--save-control-points",
        metavar="FILE",
        type=Path,
        help="write them, to edit (.yaml, .json)",
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Draw, and write what was asked for."""
    from medsynth import domains as presets
    from medsynth.images.files import WRITABLE, suffix_of
    from medsynth.request.phantom import parse_phantom
    from medsynth.storage.files import check_new_file

    written = [path for path in (args.out, args.labels, args.save_control_points) if path]
    if not written:
        raise ValueError(
            "nothing to write: give -o FILE, --labels FILE or --save-control-points FILE"
        )
    for path in written:
        check_new_file(path, overwrite=args.overwrite)
    for path in filter(None, (args.out, args.labels)):
        if suffix_of(path) not in WRITABLE:
            raise ValueError(f"cannot write {path}: expected one of {', '.join(WRITABLE)}")
    phantom = parse_phantom(
        _options(args), base=Path.cwd(), preset=presets.get(args.preset), at="phantom"
    )
    _write(args, phantom, listener)
    names = ", ".join(str(path) for path in written)
    paths = {"files": [str(path.absolute()) for path in written]}
    listener(Event("result", message=f"wrote {names}", data=paths))
    return 0


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """The options as a request writes them below `anatomy.phantom`."""
    from medsynth.request.files import pairs

    options = {
        "kind": args.kind,
        "seed": args.seed,
        "slices": args.slices,
        "spacing_mm": args.spacing,
        "size": args.size,
        "level_mm": args.level,
        "control_points": args.control_points,
    }
    return options | dict(pairs(args.set))


def _write(args: argparse.Namespace, phantom: Any, listener: Listener) -> None:
    from medsynth import phantoms as anatomy
    from medsynth.images import write_image
    from medsynth.storage.files import new_file

    options = dict(phantom.options)
    if args.out is None and args.labels is None:
        grid = {"slices", "spacing_mm", "size", "level_mm"} & options.keys()
        if grid or "control_points" in options:
            raise ValueError("a grid or --control-points only act on an image; give -o FILE too")
        with new_file(args.save_control_points, overwrite=args.overwrite) as file:
            anatomy.save_control_points(anatomy.SHAPES[phantom.kind](**options), file)
        return
    with Stage("drawing", total=options.get("slices", 0), listener=listener) as stage:

        def progress(done: int, total: int) -> None:
            stage.total = total
            stage.advance(done - stage.done)

        drawn = anatomy.build(phantom.kind, progress=progress, **options)
    for path, image in ((args.out, drawn.image), (args.labels, drawn.labels)):
        if path is not None:
            with new_file(path, overwrite=args.overwrite) as file:
                write_image(image, file)
    if args.save_control_points is not None:
        with new_file(args.save_control_points, overwrite=args.overwrite) as file:
            anatomy.save_control_points(drawn.curves, file)

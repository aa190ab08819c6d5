"""`medsynth verify FILE...`: is it synthetic? Five layers say so, each by itself."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from medsynth.cli.parsers import add_command, add_files, key_alone
from medsynth.events import Event, Listener, printable

NOT_ALL = 3

DESCRIPTION = """\
Say of every image whether medsynth made it: what its header says; whether it is signed (DICOM) or has a C2PA
manifest (PNG, JPEG); whether its pixels carry the mark; and whether a result.json near it, or below
--registry, lists its slices. Nothing found does not prove that an
image is real. Exit code 0: every image is synthetic; 3: of at least one nothing says so."""

EXAMPLES = """\
examples:
  medsynth verify out/image.nrrd out/dicom/image
  medsynth verify picture.png --json
  medsynth verify --new-key"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`verify` and its options."""
    parser = add_command(
        subparsers, "verify", "tell whether images are synthetic", DESCRIPTION, EXAMPLES
    )
    add_files(parser, "images, or folders of DICOM series")
    parser.add_argument(
        "--registry",
        metavar="FOLDER",
        type=Path,
        action="append",
        default=[],
        help="results to compare with; may be given several times",
    )
    parser.add_argument("--json", action="store_true", help="findings as JSON on stdout")
    parser.add_argument(
        "--new-key",
        action="store_true",
        help="make a key of your own, with which images are marked from now on instead of with the "
        "product's, which everybody has",
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Verify every file, or make a key."""
    if key_alone(args.files, args.new_key, verb="verify", option="--new-key"):
        from medsynth.marking.keys import make_key

        listener(Event("result", message=f"wrote {make_key()}; keep a copy of it"))
        return 0
    from medsynth.verification.verify import verify

    for folder in args.registry:
        if not folder.is_dir():
            raise FileNotFoundError(f"--registry: {folder} is not a folder; give one with results")
    made = [verify(file, registry=args.registry, listener=listener) for file in args.files]
    if args.json:
        print(json.dumps([each.to_dict() for each in made], indent=2))
    else:
        for each in made:
            lines = [f"  {finding.layer:9} {finding.words}" for finding in each.findings]
            words = "\n".join(map(printable, [f"{each.source}: {each.verdict}", *lines]))
            listener(Event("result", message=words, data=each.to_dict()))
    return 0 if all(each.synthetic for each in made) else NOT_ALL

"""`medsynth synthesize REQUEST -o OUT`: a request becomes a folder of synthetic images."""

from __future__ import annotations

import argparse
from pathlib import Path

from medsynth import threads
from medsynth.cli import servers
from medsynth.cli.parsers import add_changes, add_command
from medsynth.events import Listener

DESCRIPTION = """\
Read a request (YAML or JSON) and write OUT: the synthetic image, the masks of its lesions, both as
DICOM too, preview.png, report.html, request.yaml and result.json. OUT appears complete or not at
all."""

EXAMPLES = """\
examples:
  medsynth synthesize request.yaml -o out
  medsynth synthesize request.yaml -o out-7 --set seed=7 --set anatomy.factor=8
  medsynth synthesize request.yaml -o out --set 'pathologies[0].source.procedural.kind=solid'
  medsynth synthesize request.yaml -o out --quality draft
  medsynth synthesize request.yaml -o out --dry-run
  medsynth synthesize request.yaml -o out --server https://gpu.hospital:8443 --server-token-file token.txt"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`synthesize` and its options."""
    parser = add_command(
        subparsers, "synthesize", "make a synthetic image from a request", DESCRIPTION, EXAMPLES
    )
    parser.add_argument("request", metavar="REQUEST", type=Path, help="request file, YAML or JSON")
    add_output(parser, required=True)
    parser.add_argument(
        "--quality",
        metavar="WORD",
        help="draft, standard or best: 2, 4 or 20 network calls a slice; the same as --set quality=WORD, "
        "instead of `steps` in the request",
    )
    add_changes(
        parser,
        "change one value of the request, by its key path; can be given again. "
        "Relative paths start at the request's folder, as in the request",
    )
    servers.add_options(
        parser,
        "run it on this `medsynth serve`, where the request and the files that it names are sent",
    )


def add_output(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Options on OUT, which `demo` has too."""
    parser.add_argument(
        "-o",
        "--out",
        metavar="OUT",
        type=Path,
        required=required,
        default=None if required else Path("medsynth-demo"),
        help="folder to make" + ("" if required else " (default: medsynth-demo)"),
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace OUT if it is an earlier result; it stays until the new one is complete",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check the request and estimate time, memory and disk space; write nothing",
    )
    threads.add_option(parser)


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Check the request, then synthesize."""
    from medsynth.domains.methods import exported_files
    from medsynth.request import load_request
    from medsynth.storage.folders import check_output

    if args.server is not None and (args.dry_run or args.threads is not None):
        raise ValueError(
            "--server does not go with --dry-run or --threads, which act on this computer"
        )
    quality = [f"quality={args.quality}"] if args.quality else []
    request = load_request(args.request, overrides=[*args.set, *quality])
    check_output(args.out, overwrite=args.overwrite, contents=exported_files())
    if args.server is not None:
        from medsynth.serve import elsewhere

        server = servers.chosen(args)
        elsewhere.synthesize(request, args.out, server, overwrite=args.overwrite, listener=listener)
        return 0

    from medsynth import pipeline

    with threads.using(args.threads):
        pipeline.run(
            request, args.out, overwrite=args.overwrite, listener=listener, dry_run=args.dry_run
        )
    return 0

"""`medsynth demo`: the whole job on drawn anatomies, without any data of one's own."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from medsynth import threads
from medsynth.cli.synthesize import add_output
from medsynth.events import Event, Listener

DESCRIPTION = """\
Synthesize examples without data of one's own, each a folder as `medsynth synthesize` writes it: open
its report.html. In OUT the slices of a drawn thorax that a spiculated nodule of 14 mm touches; in
OUT-mammography a mammogram of a drawn breast with a spiculated mass of 16 mm. What there is no
network for is left out."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`demo` and its options."""
    parser = subparsers.add_parser(
        "demo", help="make examples without data of one's own", description=DESCRIPTION
    )
    add_output(parser, required=False)
    parser.add_argument(
        "--seed", type=int, default=7, help="another seed, another image (default: 7)"
    )
    parser.add_argument(
        "--preset", choices=tuple(DEMOS), help="only this domain's example, in OUT itself"
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """The requests below, synthesized."""
    from medsynth.domains.methods import exported_files
    from medsynth.request import parse
    from medsynth.storage.folders import check_output

    wanted = [args.preset] if args.preset else available(listener)
    requests = {name: parse(DEMOS[name](args.seed)) for name in wanted}
    folders = {name: folder_of(args.out, name, first=wanted[0]) for name in wanted}
    for folder in folders.values():
        check_output(folder, overwrite=args.overwrite, contents=exported_files())

    from medsynth import pipeline

    with threads.using(args.threads):
        for name, request in requests.items():
            pipeline.run(
                request,
                folders[name],
                overwrite=args.overwrite,
                listener=listener,
                dry_run=args.dry_run,
            )
    return 0


def available(listener: Listener) -> list[str]:
    """The examples whose networks are there; the first one when none is, to say what is missing."""
    from medsynth import domains as presets
    from medsynth.networks import model_store

    found = [name for name in DEMOS if model_store.locate(presets.get(name).weights)]
    for name in DEMOS:
        if found and name not in found:
            weights = presets.get(name).weights
            listener(Event("warning", message=f"no example of {name}: {weights} is not there"))
    return found or [next(iter(DEMOS))]


def folder_of(out: Path, name: str, *, first: str) -> Path:
    """OUT for the first example, its sibling OUT-NAME for the others."""
    return out if name == first else out.with_name(f"{out.name}-{name}")


def lung_request(seed: int) -> dict[str, Any]:
    """A nodule in a drawn thorax, as a request file would say it."""
    return {
        "preset": "lung_ct",
        "anatomy": {"phantom": {"kind": "thorax", "seed": 3, "slices": 48}, "factor": 8},
        "pathologies": [
            {
                "center_mm": [-75.0, -10.0, 10.0],
                "diameter_mm": 14.0,
                "source": {"procedural": {"kind": "spiculated"}},
                "factor": 4,
            }
        ],
        "extent": "roi",
        "background": "resynthesize",
        "seed": seed,
    }


def mammography_request(seed: int) -> dict[str, Any]:
    """A mass in a drawn breast, as a request file would say it."""
    breast = {"kind": "breast", "seed": 14, "view": "MLO", "laterality": "L", "density": "fatty"}
    return {
        "preset": "mammography",
        "anatomy": {"phantom": breast},
        "pathologies": [
            {
                "center_mm": [47.0, 106.0, 0.0],
                "diameter_mm": 16.0,
                "source": {"procedural": {"kind": "spiculated_mass", "contrast": 42}},
                "factor": 4,
            }
        ],
        "seed": seed,
    }


DEMOS: dict[str, Callable[[int], dict[str, Any]]] = {
    "lung_ct": lung_request,
    "mammography": mammography_request,
}

"""`medsynth models`: the shipped networks: which there are, where they lie, whether they are whole."""

from __future__ import annotations

import argparse
import json

from medsynth.events import Listener

DESCRIPTION = """\
The shipped networks by name. They are looked for in the folder that MEDSYNTH_MODELS names, in
monai_bundle/models of a checkout, in the installed distribution medsynth-models, and in the cache."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`models` and its actions."""
    parser = subparsers.add_parser(
        "models", help="list, find and verify the shipped networks", description=DESCRIPTION
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    listed = actions.add_parser("list", help="name, size, license and place of every network")
    listed.add_argument("--json", action="store_true", help="for programs")
    found = actions.add_parser("path", help="the file of one network")
    found.add_argument("name", metavar="NAME", help="such as lung_ct_512")
    verified = actions.add_parser(
        "verify", help="compare the files' SHA-256 with those that were shipped"
    )
    verified.add_argument("name", metavar="NAME", nargs="?", help="one network (default: all)")


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Print what was asked for."""
    from medsynth.networks import model_store

    if args.action == "path":
        print(model_store.path(args.name))
    elif args.action == "verify":
        for name in [args.name] if args.name else model_store.index():
            print(f"{model_store.verify(name)}: as shipped")
    elif args.json or args.progress == "json":
        print(json.dumps(collect()))
    else:
        print("\n".join(_lines(collect())))
    return 0


def collect() -> dict:
    """The folders that are searched, and every shipped network with its file (None: not here)."""
    from medsynth.networks import model_store

    networks = {}
    for name, entry in model_store.index().items():
        file = model_store.locate(name)
        networks[name] = {
            "bytes": entry.size,
            "sha256": entry.sha256,
            "license": entry.license,
            "file": None if file is None else str(file),
        }
    return {"folders": [str(folder) for folder in model_store.folders()], "networks": networks}


def _lines(facts: dict) -> list[str]:
    lines = []
    for name, network in facts["networks"].items():
        place = network["file"] or "not here: install medsynth-models"
        lines.append(f"{name} ({network['bytes'] / 1e6:.0f} MB): {place}")
        lines.append(f"    {network['license']}")
    return [*lines, "", "searched, in this order:", *(f"  {f}" for f in facts["folders"])]

"""`medsynth models`: the shipped networks, and networks from other programs or for them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from medsynth.cli.parsers import add_command, add_out, add_overwrite
from medsynth.events import Event, Listener

LINE = "make weights of a network that MONAI or monai-generative trained"
DESCRIPTION = """\
The shipped networks by name. They are looked for in the folder that MEDSYNTH_MODELS names, in
monai_bundle/models of a checkout, in the installed distribution medsynth-models, and in the cache.
`import` makes weights of a network that MONAI or monai-generative trained, `export` the opposite.
`expert` writes weights whose header names another network for their fine levels, which lies beside them
or is shipped."""

IMPORT = """\
Make weights of a DiffusionModelUNet that was trained with MONAI or monai-generative: 2-D, one channel,
unconditional, on images in [-1, 1] as the preset maps them. The file holds the tensors alone, so what it
was trained with has to be said here."""

EXAMPLES = """\
example:
  medsynth models import unet.pt -o unet.safetensors --preset chest_xray --num-head-channels 64 \\
    --schedule scaled_linear --beta-start 0.0015 --beta-end 0.0195 --prediction-type epsilon \\
    --data "950 radiographs of our clinic" --license "not to be passed on"

unet.safetensors is then named by `weights:` in a request. If samples are noise or gray, one of these is
not what the network was trained with."""


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
    _add_import(actions)
    exported = actions.add_parser(
        "export", help="write the tensors of one network for torch.load and monai.bundle.load"
    )
    exported.add_argument("network", metavar="NAME", help="of a shipped network, or a weights file")
    add_out(exported, "FILE.pt")
    add_overwrite(exported, "FILE.pt")
    named = actions.add_parser("expert", help="make weights name the expert for their fine levels")
    named.add_argument("weights", metavar="NAME", help="of a shipped network, or a weights file")
    named.add_argument("expert", metavar="EXPERT", help="of a shipped network, or a weights file")
    add_out(named, "FILE.safetensors")
    add_overwrite(named, "FILE.safetensors")
    verified = actions.add_parser(
        "verify", help="compare the files' SHA-256 with those that were shipped"
    )
    verified.add_argument("name", metavar="NAME", nargs="?", help="one network (default: all)")


def _add_import(actions: argparse._SubParsersAction) -> None:
    parser = add_command(actions, "import", LINE, IMPORT, EXAMPLES)
    parser.add_argument("file", metavar="FILE.pt", type=Path, help="what torch.save wrote")
    add_out(parser, "FILE.safetensors")
    parser.add_argument("--preset", required=True, help="the kind of images it makes")
    parser.add_argument(
        "--image-size", metavar="PIXELS", type=int, nargs=2, help="H W (default: the preset's)"
    )
    parser.add_argument(
        "--num-head-channels", metavar="N", type=int, help="channels of each attention head"
    )
    parser.add_argument("--schedule", choices=("linear", "scaled_linear", "cosine"), required=True)
    parser.add_argument("--timesteps", metavar="N", type=int, default=1000, help="(default: 1000)")
    parser.add_argument("--beta-start", metavar="X", type=float, help="(default: the schedule's)")
    parser.add_argument("--beta-end", metavar="X", type=float, help="(default: the schedule's)")
    parser.add_argument(
        "--prediction-type", choices=("epsilon", "v_prediction", "sample"), required=True
    )
    parser.add_argument("--data", metavar="WORDS", required=True, help="what it was trained on")
    parser.add_argument("--license", metavar="WORDS", required=True, help="who may use it")
    add_overwrite(parser, "FILE.safetensors")


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Print what was asked for."""
    from medsynth.networks import model_store

    if args.action == "import":
        _import(args, listener)
    elif args.action == "export":
        _export(args, listener)
    elif args.action == "expert":
        _expert(args, listener)
    elif args.action == "path":
        print(model_store.path(args.name))
    elif args.action == "verify":
        for name in [args.name] if args.name else model_store.index():
            print(f"{model_store.verify(name)}: as shipped")
    elif args.json or args.progress == "json":
        print(json.dumps(collect()))
    else:
        print("\n".join(_lines(collect())))
    return 0


def _import(args: argparse.Namespace, listener: Listener) -> None:
    from medsynth import domains
    from medsynth.networks.monai_checkpoint import import_weights

    domain = domains.get(args.preset)
    betas = {"beta_start": args.beta_start, "beta_end": args.beta_end}
    schedule = {key: value for key, value in betas.items() if value is not None}
    import_weights(
        args.file,
        args.out,
        metadata={
            "preset": domain.name,
            "schedule": {"kind": args.schedule, "num_train_timesteps": args.timesteps, **schedule},
            "prediction_type": args.prediction_type,
            "data": args.data,
            "license": args.license,
        },
        image_size=tuple(args.image_size or domain.grid),
        num_head_channels=args.num_head_channels,
        overwrite=args.overwrite,
    )
    listener(Event("result", message=f"wrote {args.out}", data={"out": str(args.out)}))


def _export(args: argparse.Namespace, listener: Listener) -> None:
    from medsynth.networks import model_store
    from medsynth.networks.monai_checkpoint import export_state

    given = Path(args.network)
    export_state(
        given if given.is_file() else model_store.path(args.network),
        args.out,
        overwrite=args.overwrite,
    )
    listener(Event("result", message=f"wrote {args.out}", data={"out": str(args.out)}))


def _expert(args: argparse.Namespace, listener: Listener) -> None:
    from medsynth.networks import model_store
    from medsynth.networks.experts import name_expert

    weights = model_store.file_or_shipped(args.weights)
    name_expert(weights, args.expert, args.out, overwrite=args.overwrite)
    listener(Event("result", message=f"wrote {args.out}", data={"out": str(args.out)}))


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

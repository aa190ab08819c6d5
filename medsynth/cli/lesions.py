"""`medsynth lesions`: the lesions that you saved; save one, show where it comes from, remove it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from medsynth.cli.parsers import add_command
from medsynth.events import Event, Listener

LINE = "lesions that you saved, to be put into other images"
PAGE = """\
A lesion that is marked in an image is cut out and kept by name, with where it comes from. A request then says
source: {saved: NAME}; the page and the Slicer module show the same ones. They are kept in your own folder
and may show a patient: treat them so."""
ACTIONS = """\
actions:
  list     every one, one line each (the default)
  show     one, with all that is known of where it comes from
  save     cut the lesion that --mask marks out of --image, and keep it as NAME
  remove   delete one
  pictures  draw the pictures of the kinds of --preset that are not there yet, for the galleries

examples:
  medsynth lesions save "Clear cell" --image ct/ --mask seg.dcm --preset lung_ct
  medsynth lesions show "Clear cell"
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`lesions` and its actions."""
    parser = add_command(subparsers, "lesions", LINE, PAGE, ACTIONS)
    choices = ("list", "show", "save", "remove", "pictures")
    parser.add_argument("action", metavar="ACTION", nargs="?", choices=choices, default="list")
    parser.add_argument("name", metavar="NAME", nargs="?", help="of a saved lesion")
    parser.add_argument("--image", metavar="FILE", type=Path, help="save: the annotated image")
    parser.add_argument("--mask", metavar="FILE", type=Path, help="save: marks the lesion there")
    parser.add_argument("--preset", metavar="NAME", help="save, pictures: the domain")
    parser.add_argument("--note", metavar="WORDS", help="save: what else is known of it; no names")
    parser.add_argument("--store", metavar="DIR", type=Path, help="(default: your own folder)")


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Do the action."""
    if args.action not in ("list", "pictures") and not args.name:
        raise ValueError(
            f"medsynth lesions {args.action} needs a NAME; medsynth lesions lists them"
        )
    if args.action != "save" and (args.image or args.mask or args.note):
        raise ValueError("--image, --mask and --note are for medsynth lesions save")
    if args.preset and args.action not in ("save", "pictures"):
        raise ValueError("--preset is for medsynth lesions save and pictures")
    actions = {"list": _list, "show": _show, "save": _save, "remove": _remove}
    actions["pictures"] = _pictures
    listener(Event("result", message=actions[args.action](args)))
    return 0


def _list(args: argparse.Namespace) -> str:
    from medsynth.storage import saved_lesions

    lines = [
        f"{each.name}: {each.preset}, {each.diameter_mm:.1f} mm, saved {each.origin.get('saved', '')[:10]}"
        for each in saved_lesions.saved(args.store)
    ]
    return "\n".join(lines) or "no lesion is saved"


def _show(args: argparse.Namespace) -> str:
    from medsynth.storage import saved_lesions

    found = saved_lesions.find(args.name, args.store)
    lines = [f"{found.name}: {found.preset}, {found.diameter_mm:.1f} mm, in {found.folder}"]
    lines += [f"  {key}: {json.dumps(value)}" for key, value in found.origin.items()]
    return "\n".join(lines)


def _save(args: argparse.Namespace) -> str:
    from medsynth import domains
    from medsynth.images import read_image, read_mask_of
    from medsynth.lesions.saving import save

    missing = [f"--{key}" for key in ("image", "mask", "preset") if not getattr(args, key)]
    if missing:
        raise ValueError(f"medsynth lesions save needs {' and '.join(missing)}")
    preset = domains.get(args.preset)
    read = read_image(args.image)
    origin = {"note": args.note} if args.note else {}
    if read.headers:
        origin["synthetic"] = str(read.headers[0].get("SyntheticData", "")) == "YES"
    mask = read_mask_of(args.mask, read)
    made = save(read.image, mask, name=args.name, preset=preset, origin=origin, store=args.store)
    return f"saved {made.name}: {made.diameter_mm:.1f} mm"


def _remove(args: argparse.Namespace) -> str:
    from medsynth.storage import saved_lesions

    saved_lesions.remove(args.name, args.store)
    return f"removed {args.name}"


def _pictures(args: argparse.Namespace) -> str:
    from medsynth import domains
    from medsynth.lesions import thumbnail

    if not args.preset:
        raise ValueError("medsynth lesions pictures needs --preset")
    preset = domains.get(args.preset)
    for kind in preset.lesion_kinds:
        thumbnail.ensure(kind, preset)
    return f"{len(preset.lesion_kinds)} kinds of {preset.name} in {thumbnail.folder()}"

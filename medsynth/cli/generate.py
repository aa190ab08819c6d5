"""`medsynth generate`: images from the systems that are asked by words, by class, or by nothing."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from medsynth.cli.parsers import add_changes, add_command, add_out
from medsynth.events import Event, Listener

if TYPE_CHECKING:
    from medsynth.generators.systems import ImageRequest, SystemEntry

LINE = "make images with a system that follows no reference"
DESCRIPTION = """\
Make a folder of marked synthetic images with one of the systems that do not follow a reference. Run the
same command again to go on where an earlier run stopped."""

EXAMPLES = """\
examples:
  medsynth generate --list
  medsynth generate image_api --prompt "chest x-ray, frontal" --count 4 --preset chest_xray --dicom -o images
  medsynth generate image_api --prompts prompts.txt --count 150 --set price=0.04 --set max_cost=6 -o images"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`generate` and its options."""
    parser = add_command(subparsers, "generate", LINE, DESCRIPTION, EXAMPLES)
    parser.add_argument("system", nargs="?", metavar="SYSTEM", help="which one, see --list")
    parser.add_argument("--list", action="store_true", help="the systems, and what each accepts")
    add_out(parser, "FOLDER", "where the images go", required=False)
    parser.add_argument(
        "--count", metavar="N", type=int, help="how many (default: 1, or one a prompt)"
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="(default: 0)")
    parser.add_argument(
        "--prompt", metavar="WORDS", action="append", default=[], help="what to show"
    )
    parser.add_argument(
        "--prompts",
        metavar="FILE",
        type=Path,
        help="one prompt a line, used in turn; # begins a comment",
    )
    parser.add_argument("--negative-prompt", metavar="WORDS", default="", help="what not to show")
    parser.add_argument("--class", dest="label", metavar="NAME", default="", help="a class")
    parser.add_argument("--position", metavar="WORDS", default="", help="where the finding lies")
    parser.add_argument("--preset", metavar="NAME", default="", help="the domain they belong to")
    parser.add_argument(
        "--model", metavar="NAME", default="", help="weights, folder, or service's model"
    )
    parser.add_argument(
        "--dicom", action="store_true", help="write each as DICOM too (needs --preset)"
    )
    parser.add_argument("--limit", metavar="N", type=int, help="make at most so many now")
    add_changes(
        parser,
        "an option of the system itself, see --list; can be given again",
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Make the images, or list the systems."""
    from medsynth.generators import systems

    if args.list:
        print("\n\n".join(_described(entry) for entry in systems.SYSTEMS.values()))
        return 0
    if args.system is None or args.out is None:
        raise ValueError("give a SYSTEM (see --list) and -o FOLDER")
    systems.get(args.system)
    if args.limit is not None and args.limit < 1:
        raise ValueError(f"--limit must be at least 1, got {args.limit}")
    from medsynth.generators.image_folder import generate

    made = generate(_request(args), args.out, dicom=args.dicom, limit=args.limit, listener=listener)
    words = f"{made.made} images are in {made.folder}"
    if made.refused:
        words += f"; {len(made.refused)} were refused"
    if made.open:
        words += f"; {len(made.open)} are open: run the same command again"
    listener(Event("result", message=words, data={"folder": str(made.folder), "made": made.made}))
    return 0


def _request(args: argparse.Namespace) -> ImageRequest:
    from medsynth.generators.systems import ImageRequest
    from medsynth.request.files import pairs

    prompts = (*args.prompt, *(_lines(args.prompts) if args.prompts else ()))
    count = args.count if args.count is not None else max(1, len(prompts))
    return ImageRequest(
        args.system,
        count,
        args.seed,
        prompts,
        label=args.label,
        position=args.position,
        negative_prompt=args.negative_prompt,
        preset=args.preset,
        model=args.model,
        options=dict(pairs(args.set)),
    )


def _lines(file: Path) -> list[str]:
    """The prompts in a file.

    Raises:
        ValueError: not a text file, too large, or without a prompt.
    """
    from medsynth import limits

    limits.REQUEST_BYTES.check(size := file.stat().st_size, file, f"{size:,} bytes of text")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{file}: not a text file; write one prompt a line") from None
    found = [line.strip() for line in text.splitlines()]
    found = [line for line in found if line and not line.startswith("#")]
    if not found:
        raise ValueError(f"{file}: holds no prompt; write one a line")
    return found


def _described(entry: SystemEntry) -> str:
    """A system for people."""
    lines = [
        f"{entry.name}: {entry.title}",
        f"  {entry.accepts.words()}",
        f"  license: {entry.license}",
    ]
    if entry.extra:
        lines.append(f"  needs: pip install 'medsynth-slicer[{entry.extra}]'")
    lines += [f"  --set {key}=...  {words}" for key, words in entry.accepts.options.items()]
    return "\n".join(lines)

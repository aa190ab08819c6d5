"""The options of `medsynth study` and its actions."""

from __future__ import annotations

import argparse
from pathlib import Path

from medsynth.cli.parsers import add_command, add_out, add_overwrite

LINE = "let readers tell synthetic from real: plan, create, serve, close, report"
DESCRIPTION = """\
Reading studies: people say of each image whether it is real or synthetic, and nothing but the image
helps them. The images may come from any program: DICOM, NIfTI, NRRD, PNG, JPEG."""
EXAMPLES = """\
examples:
  medsynth study plan --readers 3 --items 60
  medsynth study create reading --real path/to/real --synthetic ours=path/to/synthetic \\
      --readers Ana,Ben,Cleo --items 40
  medsynth study serve reading
  medsynth study close reading
  medsynth study report reading -o figures"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`study` and its actions."""
    parser = add_command(subparsers, "study", LINE, DESCRIPTION, EXAMPLES)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_plan(actions)
    _add_create(actions)
    _add_serve(actions)
    close = actions.add_parser("close", help="end it: no more answers, the truth may be opened")
    close.add_argument("study", metavar="STUDY", type=Path)
    close.add_argument(
        "--even-if-unfinished", action="store_true", help="also when readers have images left"
    )
    report = actions.add_parser("report", help="every figure with its interval: HTML, JSON, CSV")
    report.add_argument(
        "study", metavar="STUDY", type=Path, help="the study, or an answers.csv of a report"
    )
    add_out(report, "OUT")
    report.add_argument(
        "--machine",
        metavar="NAME=CSV",
        action="append",
        default=[],
        help="scores of a machine reader (columns file, of items/, and score, 0 to 1: synthetic): a "
        "line of comparison, never in the pool",
    )
    add_overwrite(report, "an earlier report in OUT")
    report.add_argument(
        "--interim",
        action="store_true",
        help="look at a study that is still open; the study notes it, and every report says so",
    )


def _add_plan(actions: argparse._SubParsersAction) -> None:
    plan = actions.add_parser("plan", help="how many readers and images are needed")
    add = plan.add_argument
    add("--readers", type=int, default=3, help="(default: 3)")
    add("--items", type=int, default=40, help="images for each (default: 40)")
    add("--expected", type=float, default=50, help="percent right that is expected (default: 50)")
    add("--margin", type=float, default=10, help="equivalence margin in points (default: 10)")
    add(
        "--halfwidth", type=float, default=5, help="interval that is wanted, +- points (default: 5)"
    )
    add(
        "--correlation",
        type=float,
        default=0.05,
        help="of two readers' answers to one image (default: 0.05)",
    )
    add("--power", type=float, default=80, help="percent (default: 80)")
    add(
        "--judge",
        metavar="RIGHT/ALL",
        help="a printed result, such as 41/90: its interval, and what it cannot exclude",
    )
    add(
        "--judge-agreement",
        metavar="A,B,BOTH,ALL",
        help="printed counts of two readers: can BOTH have said it of so many of ALL images?",
    )


def _add_create(actions: argparse._SubParsersAction) -> None:
    create = actions.add_parser(
        "create",
        help="draw the images, fix the design, make a link for each reader",
        description="Draws images at random (nobody picks), brings them onto one path so that nothing "
        "but the image itself differs, and writes the study folder with the hash of its design.",
    )
    add = create.add_argument
    add("study", metavar="STUDY", type=Path, help="folder to make")
    add(
        "--real",
        metavar="[NAME=]PATH",
        action="append",
        required=True,
        help="folder (or file) of real images; can be given again",
    )
    add(
        "--synthetic",
        metavar="[NAME=]PATH",
        action="append",
        required=True,
        help="of synthetic images; once for each generator",
    )
    add("--exclude", metavar="GLOB", action="append", default=[], help="such as '*_mask*'")
    add("--readers", required=True, help="names, separated by commas; or a number")
    add("--items", type=int, default=40, help="for each reader, half of them real (default: 40)")
    add(
        "--ask",
        default="real_fake_unsure",
        help="real_fake_unsure, real_fake, confidence (a slider), pair (which of two is real) or "
        "finding (is there a lesion?) (default: real_fake_unsure)",
    )
    add("--title", default="Image reading study", help="readers see it")
    add("--seed", type=int, help="of the draw and the orders (default: at random)")
    add = create.add_argument_group("order").add_argument
    add("--repeats", type=int, default=0, help="images that each reader sees twice (default: 0)")
    add("--warmup", type=int, default=0, help="practice images with feedback, not counted")
    add(
        "--naive",
        metavar="N",
        type=int,
        default=0,
        help="begin with N other images whose purpose readers do not know: quality and diagnosis",
    )
    add("--washout", metavar="DAYS", type=float, default=0, help="between naive and informed part")
    add("--again", metavar="DAYS", type=float, help="read everything a second time, DAYS later")
    add(
        "--clues-arm",
        action="store_true",
        help="half of the readers, at random, get a list of clues and feedback after each answer",
    )
    add("--blocks", action="store_true", help="read window by window")
    add = create.add_argument_group("what is shown").add_argument
    add("--depth", type=int, default=1, help="slices of a stack (default: 1)")
    add("--side", type=int, help="pixels (default: those of the smallest, up to 512)")
    add("--units", choices=("HU", "gray"), help="(default: HU where all are)")
    add(
        "--window",
        metavar="NAME=CENTER/WIDTH",
        action="append",
        default=[],
        help="of HU, for example lung=-600/1500 (default: lung, soft tissue, bone)",
    )
    add("--lock-window", action="store_true", help="no free window and level")
    add("--time-limit", metavar="SECONDS", type=float, help="then the image goes")
    add(
        "--reasons", help="the list of 'why synthetic?', separated by commas (default: the papers')"
    )
    add(
        "--lesions",
        metavar="CSV",
        type=Path,
        help="columns path, lesion (0 or 1) and, if known, x, y, radius: for --ask finding",
    )
    create.add_argument(
        "--margin",
        type=float,
        default=10,
        help="points around 50 %% right that count as chance, fixed now (default: 10)",
    )


def _add_serve(actions: argparse._SubParsersAction) -> None:
    serve = actions.add_parser("serve", help="the readers' page; Ctrl-C ends it, nothing is lost")
    serve.add_argument("study", metavar="STUDY", type=Path)
    serve.add_argument("--host", default="127.0.0.1", help="(default: 127.0.0.1, this computer)")
    serve.add_argument("--port", type=int, default=8777, help="0: a free one (default: 8777)")
    serve.add_argument("--url", help="how readers reach the page, to print links with it")
    serve.add_argument("--certificate", metavar="PEM", type=Path, help="for https, with --key")
    serve.add_argument("--key", metavar="PEM", type=Path)

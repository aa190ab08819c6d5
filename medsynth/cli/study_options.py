"""The options of `medsynth study` and its actions."""

from __future__ import annotations

import argparse
from pathlib import Path

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
    parser = subparsers.add_parser(
        "study",
        help="let readers tell synthetic from real: plan, create, serve, close, report",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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
    report.add_argument("-o", "--out", metavar="OUT", type=Path, required=True)
    report.add_argument(
        "--machine",
        metavar="NAME=CSV",
        action="append",
        default=[],
        help="scores of a machine reader (columns file, of items/, and score, 0 to 1: synthetic): a "
        "line of comparison, never in the pool",
    )
    report.add_argument("--overwrite", action="store_true", help="replace an earlier report in OUT")
    report.add_argument(
        "--interim",
        action="store_true",
        help="look at a study that is still open; the study notes it, and every report says so",
    )


def _add_plan(actions: argparse._SubParsersAction) -> None:
    plan = actions.add_parser("plan", help="how many readers and images are needed")
    plan.add_argument("--readers", type=int, default=3, help="(default: 3)")
    plan.add_argument("--items", type=int, default=40, help="images for each (default: 40)")
    plan.add_argument(
        "--expected", type=float, default=50, help="percent right that is expected (default: 50)"
    )
    plan.add_argument(
        "--margin", type=float, default=10, help="equivalence margin in points (default: 10)"
    )
    plan.add_argument(
        "--halfwidth", type=float, default=5, help="interval that is wanted, +- points (default: 5)"
    )
    plan.add_argument(
        "--correlation",
        type=float,
        default=0.05,
        help="of two readers' answers to one image (default: 0.05)",
    )
    plan.add_argument("--power", type=float, default=80, help="percent (default: 80)")
    plan.add_argument(
        "--judge",
        metavar="RIGHT/ALL",
        help="a printed result, such as 41/90: its interval, and what it cannot exclude",
    )
    plan.add_argument(
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
    create.add_argument("study", metavar="STUDY", type=Path, help="folder to make")
    create.add_argument(
        "--real",
        metavar="[NAME=]PATH",
        action="append",
        required=True,
        help="folder (or file) of real images; can be given again",
    )
    create.add_argument(
        "--synthetic",
        metavar="[NAME=]PATH",
        action="append",
        required=True,
        help="of synthetic images; once for each generator",
    )
    create.add_argument(
        "--exclude", metavar="GLOB", action="append", default=[], help="such as '*_mask*'"
    )
    create.add_argument("--readers", required=True, help="names, separated by commas; or a number")
    create.add_argument(
        "--items", type=int, default=40, help="for each reader, half of them real (default: 40)"
    )
    create.add_argument(
        "--ask",
        default="real_fake_unsure",
        help="real_fake_unsure, real_fake, confidence (a slider), pair (which of two is real) or "
        "finding (is there a lesion?) (default: real_fake_unsure)",
    )
    create.add_argument("--title", default="Image reading study", help="readers see it")
    create.add_argument("--seed", type=int, help="of the draw and the orders (default: at random)")
    order = create.add_argument_group("order")
    order.add_argument(
        "--repeats", type=int, default=0, help="images that each reader sees twice (default: 0)"
    )
    order.add_argument(
        "--warmup", type=int, default=0, help="practice images with feedback, not counted"
    )
    order.add_argument(
        "--naive",
        metavar="N",
        type=int,
        default=0,
        help="begin with N other images whose purpose readers do not know: quality and diagnosis",
    )
    order.add_argument(
        "--washout", metavar="DAYS", type=float, default=0, help="between naive and informed part"
    )
    order.add_argument(
        "--again", metavar="DAYS", type=float, help="read everything a second time, DAYS later"
    )
    order.add_argument(
        "--clues-arm",
        action="store_true",
        help="half of the readers, at random, get a list of clues and feedback after each answer",
    )
    order.add_argument("--blocks", action="store_true", help="read window by window")
    shown = create.add_argument_group("what is shown")
    shown.add_argument("--depth", type=int, default=1, help="slices of a stack (default: 1)")
    shown.add_argument(
        "--side", type=int, help="pixels (default: those of the smallest, up to 512)"
    )
    shown.add_argument("--units", choices=("HU", "gray"), help="(default: HU where all are)")
    shown.add_argument(
        "--window",
        metavar="NAME=CENTER/WIDTH",
        action="append",
        default=[],
        help="of HU, for example lung=-600/1500 (default: lung, soft tissue, bone)",
    )
    shown.add_argument("--lock-window", action="store_true", help="no free window and level")
    shown.add_argument("--time-limit", metavar="SECONDS", type=float, help="then the image goes")
    shown.add_argument(
        "--reasons", help="the list of 'why synthetic?', separated by commas (default: the papers')"
    )
    shown.add_argument(
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

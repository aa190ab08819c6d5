"""`medsynth study plan / create / serve / close / report`: can readers tell synthetic from real?"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsynth.errors import MissingExtra
from medsynth.events import Event, Listener

if TYPE_CHECKING:
    from medsynth.studies.reading.candidates import ImageSource
    from medsynth.studies.reading.create import StudyOptions

OPTIONAL = ("fastapi", "uvicorn", "sqlalchemy", "statsmodels", "krippendorff")
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
        help="columns path, lesion (0 or 1): for --ask finding",
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


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Do the action.

    Raises:
        MissingExtra: the packages of the extra `studies` are not installed.
    """
    actions = {
        "plan": _plan,
        "create": _create,
        "serve": _serve,
        "close": _close,
        "report": _report,
    }
    try:
        return actions[args.action](args, listener)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in OPTIONAL:
            raise
        raise MissingExtra(
            f'{error.name} is not installed; run: pip install "medsynth-slicer[studies]"'
        ) from error


def _plan(args: argparse.Namespace, listener: Listener) -> int:
    from medsynth.studies.reading import planning

    if args.judge or args.judge_agreement:
        record = planning.judge_printed(args.judge, args.judge_agreement)
    else:
        record = planning.plan(
            readers=args.readers,
            items=args.items,
            expected=args.expected / 100,
            margin=args.margin / 100,
            halfwidth=args.halfwidth / 100,
            correlation=args.correlation,
            power=args.power / 100,
        )
    listener(Event("result", message="\n".join(record["words"]), data=record))
    return 0


def _create(args: argparse.Namespace, listener: Listener) -> int:
    from medsynth.studies.reading.create import create_study

    sources = [
        *_sources(args.real, synthetic=False, exclude=args.exclude),
        *_sources(args.synthetic, synthetic=True, exclude=args.exclude),
    ]
    links = create_study(args.study, sources, _options(args), listener=listener)
    words = [
        f"made {args.study} for {len(links)} readers; links.csv holds their links, design.json the "
        "truth: keep both from the readers",
        f"next: medsynth study serve {args.study}",
    ]
    listener(Event("result", message="\n".join(words), data={"study": str(args.study)}))
    return 0


def _sources(given: list[str], *, synthetic: bool, exclude: list[str]) -> list[ImageSource]:
    from medsynth.studies.reading.candidates import ImageSource

    sources = []
    for number, text in enumerate(given, start=1):
        name, equals, path = text.partition("=")
        if not equals or "/" in name:
            kind = "synthetic" if synthetic else "real"
            name, path = (kind if len(given) == 1 else f"{kind} {number}"), text
        sources.append(ImageSource(name.strip(), Path(path), synthetic, tuple(exclude)))
    return sources


def _options(args: argparse.Namespace) -> StudyOptions:
    from medsynth.studies.reading.create import StudyOptions
    from medsynth.studies.reading.design import ARMS, PLAIN, REASONS

    words = [name.strip() for name in args.readers.split(",") if name.strip()]
    if len(words) == 1 and words[0].isdigit():
        if not 1 <= int(words[0]) <= 500:
            raise ValueError(f"--readers must be from 1 to 500, got {words[0]}")
        words = [f"Reader {n}" for n in range(1, int(words[0]) + 1)]
    reasons = [r.strip() for r in (args.reasons or "").split(",") if r.strip()]
    return StudyOptions(
        readers=tuple(words),
        items=args.items,
        kind=args.ask,
        title=args.title,
        seed=args.seed,
        repeats=args.repeats,
        warmup=args.warmup,
        naive=args.naive,
        washout_days=args.washout,
        again_days=args.again,
        arms=ARMS if args.clues_arm else (PLAIN,),
        depth=args.depth,
        side=args.side,
        units={"gray": "gray value"}.get(args.units, args.units),
        windows=tuple(_window(text) for text in args.window),
        locked_window=args.lock_window,
        blocks=args.blocks,
        time_limit_s=args.time_limit,
        equivalence_margin=args.margin / 100,
        reasons=tuple(reasons) or REASONS,
        lesions=_lesions(args.lesions),
    )


def _window(text: str) -> Any:
    from medsynth.studies.reading.design import DisplayWindow

    name, _, rest = text.partition("=")
    center, _, width = rest.partition("/")
    try:
        return DisplayWindow(name.strip(), float(center), float(width))
    except ValueError as error:
        raise ValueError(
            f"--window: expected NAME=CENTER/WIDTH such as lung=-600/1500, got {text!r}"
        ) from error


def _lesions(path: Path | None) -> dict[str, bool]:
    import csv

    if path is None:
        return {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"path", "lesion"} <= set(rows[0]):
        raise ValueError(f"{path}: expected the columns path and lesion (0 or 1)")
    for number, row in enumerate(rows, start=2):
        if row["lesion"] not in ("0", "1"):
            raise ValueError(
                f"{path}: line {number}: lesion: expected 0 or 1, got {row['lesion']!r}"
            )
    return {row["path"]: row["lesion"] == "1" for row in rows}


def _serve(args: argparse.Namespace, listener: Listener) -> int:
    from medsynth.studies.reading.links import links_with
    from medsynth.studies.reading.serve import is_loopback, serve

    if bool(args.certificate) != bool(args.key):
        raise ValueError("--certificate and --key belong together")
    secure = args.certificate is not None
    if not is_loopback(args.host) and not secure:
        listener(
            Event(
                "warning",
                message=f"{args.host} can be reached from other computers, and nothing is encrypted: "
                "whoever listens can read images and links; give --certificate and --key, or put it "
                "behind your own TLS",
            )
        )

    def ready(port: int) -> None:
        host = f"[{args.host}]" if ":" in args.host else args.host
        base = args.url or f"{'https' if secure else 'http'}://{host}:{port}"
        links = links_with(args.study, base)
        words = "\n".join(f"  {name}: {link}" for name, link in links.items())
        message = f"serving {args.study}; each reader's own link:\n{words}\nCtrl-C ends it."
        listener(Event("result", message=message, data={"port": port, "links": links}))

    with contextlib.suppress(KeyboardInterrupt):
        serve(
            args.study,
            host=args.host,
            port=args.port,
            certificate=(args.certificate, args.key) if secure else None,
            ready=ready,
        )
    return 0


def _close(args: argparse.Namespace, listener: Listener) -> int:
    from medsynth.studies.reading.closing import close_study

    record = close_study(args.study, unfinished=args.even_if_unfinished)
    message = (
        f"closed {args.study} with {record['answers']} answers; next: medsynth study report "
        f"{args.study} -o figures"
    )
    listener(Event("result", message=message, data=record))
    return 0


def _report(args: argparse.Namespace, listener: Listener) -> int:
    from medsynth.studies.reading.report import write_report

    record = write_report(
        args.study, args.out, interim=args.interim, overwrite=args.overwrite, listener=listener
    )
    listener(Event("result", message=f"wrote {args.out / 'report.html'}", data=record))
    return 0

"""`medsynth study plan / create / serve / close / report`: can readers tell synthetic from real?"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsynth.cli.study_options import add_parser as add_parser
from medsynth.errors import needs_extra
from medsynth.events import Event, Listener

if TYPE_CHECKING:
    from medsynth.studies.reading.candidates import ImageSource
    from medsynth.studies.reading.create import KnownLesion, StudyOptions

OPTIONAL = ("fastapi", "uvicorn", "sqlalchemy", "statsmodels", "krippendorff")


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
    with needs_extra("studies", OPTIONAL):
        return actions[args.action](args, listener)


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


def _lesions(path: Path | None) -> dict[str, KnownLesion]:
    import csv

    from medsynth.studies.reading.create import KnownLesion

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
    return {
        row["path"]: KnownLesion(row["lesion"] == "1", _place(row, f"{path}: line {number}"))
        for number, row in enumerate(rows, start=2)
    }


def _place(row: dict[str, str], at: str) -> tuple[float, float, float] | None:
    """The columns x, y and radius of a lesion; all of them, or none."""
    words = [(row.get(name) or "").strip() for name in ("x", "y", "radius")]
    if not any(words):
        return None
    try:
        x, y, radius = (float(word) for word in words)
        if row["lesion"] != "1" or not (x >= 0 and y >= 0 and radius > 0):
            raise ValueError
    except ValueError:
        raise ValueError(
            f"{at}: x, y, radius: expected three numbers (pixels of the file, radius above 0) of an image "
            f"with a lesion, got {', '.join(words)}"
        ) from None
    return x, y, radius


def _serve(args: argparse.Namespace, listener: Listener) -> int:
    from medsynth.http_server import is_loopback
    from medsynth.studies.reading.links import links_with
    from medsynth.studies.reading.serve import serve

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

    machines = {}
    for text in args.machine:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise ValueError(f"--machine: expected NAME=CSV, got {text!r}")
        machines[name] = Path(path)
    record = write_report(
        args.study,
        args.out,
        interim=args.interim,
        machines=machines,
        overwrite=args.overwrite,
        listener=listener,
    )
    listener(Event("result", message=f"wrote {args.out / 'report.html'}", data=record))
    return 0

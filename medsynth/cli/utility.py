"""`medsynth utility STUDY -o DIR`: do synthetic images help? `medsynth utility init` writes a study."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from medsynth import threads
from medsynth.cli.parsers import add_command, add_out
from medsynth.events import Event, Listener

if TYPE_CHECKING:
    from medsynth.studies.utility.run import PreparedStudy

INIT = "init"
DESCRIPTION = """\
Train classifiers on real images, on real and synthetic ones, and on every control without which a gain
means nothing (duplicated real images, classical augmentation, the lesion pasted without diffusion, as many
optimizer steps); test them on real patients whom none of them saw. The report has the table, the
curve, an interval over patients and seeds for every figure, and says so when nothing was gained.
Ctrl-C, then the same command, goes on. STUDY may be the word init: write a commented study."""
EXAMPLES = """\
examples:
  medsynth utility init -o study.yaml
  medsynth utility study.yaml -o figures --dry-run
  medsynth utility study.yaml -o figures
  medsynth utility study.yaml -o figures --ray auto"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`utility` and its options."""
    parser = add_command(
        subparsers, "utility", "do synthetic images help a classifier?", DESCRIPTION, EXAMPLES
    )
    parser.add_argument("study", metavar="STUDY", help="study file, YAML or JSON; or init")
    add_out(
        parser,
        "DIR",
        "folder of the report, and of what was trained so far; with init the file to write",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="read and check everything, say what is compared and how long it takes; train nothing",
    )
    parser.add_argument(
        "--ray",
        metavar="auto|ADDRESS",
        help="train on a Ray cluster: that of RAY_ADDRESS or a new one on this computer (auto), or the "
        "one at ADDRESS",
    )
    parser.add_argument("--overwrite", action="store_true", help="with init: replace the file")
    threads.add_option(parser)


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Run the study, estimate it, or write a commented one."""
    if args.study == INIT:
        return _init(args, listener)
    if args.overwrite:
        raise ValueError("--overwrite acts on init alone; a report is always written anew")
    from medsynth.studies.utility.study import load_study

    study = load_study(args.study)
    if args.threads is not None:
        threads.choose(args.threads)

    from medsynth.studies.utility import run as running

    if args.dry_run:
        prepared = running.prepare_study(study, listener=listener)
        found = running.estimate_study(prepared, args.out, thread_count=args.threads)
        words = "\n".join(_estimate(prepared, found))
        listener(Event("estimate", message=words, data=found))
        return 0
    record = running.run_study(
        study, args.out, ray=args.ray, thread_count=args.threads, listener=listener
    )
    words = "\n".join([*record["sentences"], f"wrote {args.out / 'report.html'}"])
    data = {"out": str(args.out), "comparisons": record["comparisons"]}
    listener(Event("result", message=words, data=data))
    return 0


def _estimate(prepared: PreparedStudy, found: dict) -> list[str]:
    lines = [
        f"{found['trainings']} trainings ({found['left']} left), {found['steps']:,} steps, about "
        f"{found['seconds'] / 60:.0f} min here",
        f"{prepared.study.network}: {prepared.network_weights:,} weights",
    ]
    for name, pool in prepared.pools.items():
        count, positive = len(pool.facts), int(pool.positive.sum())
        lines.append(f"{name}: {count} images, {positive} positive")
    return [*lines, "rows: " + "; ".join(found["rows"]), *prepared.warnings]


def _init(args: argparse.Namespace, listener: Listener) -> int:
    from importlib.resources import files

    from medsynth.storage.files import new_file

    text = files("medsynth.studies.utility").joinpath("study.yaml").read_text(encoding="utf-8")
    with new_file(args.out, overwrite=args.overwrite) as partial:
        partial.write_text(text, encoding="utf-8")
    said = f"wrote {args.out}; look it through, then: medsynth utility {args.out} -o DIR --dry-run"
    listener(Event("result", message=said, data={"file": str(args.out)}))
    return 0

"""`medsynth outbox`: what waits, what failed and why; retry; forget."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from medsynth.cli import send
from medsynth.cli.parsers import add_command
from medsynth.events import Event, Listener

if TYPE_CHECKING:
    from medsynth.pacs.job import Job
    from medsynth.pacs.outbox import Outbox


LINE = "what waits to be sent, what failed and why; retry, forget"
PAGE = "The jobs of medsynth send."
ACTIONS = """\
actions:
  list     every job, one line each (the default)
  show     every object of JOB with its state
  retry    send JOB again, also what failed
  forget   delete the copies of JOB, or of every job that is --verified; the record of its UIDs and
           hashes stays"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`outbox` and its actions."""
    parser = add_command(subparsers, "outbox", LINE, PAGE, ACTIONS)
    choices = ("list", "show", "retry", "forget")
    parser.add_argument("action", metavar="ACTION", nargs="?", choices=choices, default="list")
    parser.add_argument("job", metavar="JOB", nargs="?", help="its name or how it begins")
    parser.add_argument("--verified", action="store_true", help="forget every job that is verified")
    send.add_sending(parser)


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Do the action."""
    from medsynth.pacs.outbox import Outbox

    if args.action in ("show", "retry") and not args.job:
        raise ValueError(f"medsynth outbox {args.action} needs a JOB; medsynth outbox lists them")
    if args.action == "list" and args.job:
        raise ValueError(f"medsynth outbox list takes no JOB; try: medsynth outbox show {args.job}")
    if args.verified and args.action != "forget":
        raise ValueError("--verified is for medsynth outbox forget")
    actions = {"list": _list, "show": _show, "retry": _retry, "forget": _forget}
    return actions[args.action](args, Outbox(args.outbox), listener)


def _list(args: argparse.Namespace, outbox: Outbox, listener: Listener) -> int:
    jobs, damaged = outbox.jobs()
    for job in damaged:
        listener(
            Event(
                "warning",
                message=f"job {job.id} was set aside in {job.moved_to}: {job.reason}. What it has "
                "sent is not known; medsynth send of the same folder makes it anew",
            )
        )
    lines = [line for job in jobs for line in _lines(job)]
    listener(
        Event(
            "result",
            message="\n".join(lines) or "the outbox is empty",
            data={"jobs": {job.id: job.counts() for job in jobs}},
        )
    )
    return send.NOT_ALL_VERIFIED if damaged else 0


def _lines(job: Job) -> list[str]:
    counts = ", ".join(f"{number} {state}" for state, number in job.counts().items())
    lines = [f"{job.id}: {counts}; to {job.destination} ({job.address}), since {job.created[:19]}"]
    lines += [f"    {reason}" for reason in send.reasons(job)]
    if not job.is_verified and job.notes:
        at, text = job.notes[-1]
        lines.append(f"    {at[:19]} {text}")
    return lines


def _show(args: argparse.Namespace, outbox: Outbox, listener: Listener) -> int:
    job = outbox.find(args.job)
    lines = _lines(job) + [f"    from {job.source}"]
    for uid, instance in job.instances.items():
        progress = job.progress[uid]
        kind = "SEG" if instance.is_segmentation else "image"
        words = f"{progress.status} {progress.note}".strip()
        lines.append(f"{progress.state:9} {kind:5} {uid} attempts {progress.attempts} {words}")
    states = {uid: progress.state for uid, progress in job.progress.items()}
    listener(Event("result", message="\n".join(lines), data={"job": job.id, "states": states}))
    return 0


def _retry(args: argparse.Namespace, outbox: Outbox, listener: Listener) -> int:
    from medsynth.pacs import address_book
    from medsynth.records.audit import ALLOWED, check_export

    send.check_attempts(args)
    job = outbox.find(args.job)
    destination = address_book.find(job.destination)
    if not any(text.startswith(ALLOWED) for _, text in job.notes):
        check_export(Path(job.source), allow=None, to=job.address)  # audited since it was queued?
    job = _mended(outbox, job)
    with outbox.open(job.id) as opened:
        opened.requeue(opened.in_state("failed"))
    return send.deliver(outbox, job, destination, attempts=args.attempts, listener=listener)


def _mended(outbox: Outbox, job: Job) -> Job:
    """Damaged copies are made anew where the folder that the job came from is still as it was."""
    from medsynth.pacs.collect import collect, is_intact

    if all(is_intact(job.path_of(i), i) for i in job.instances.values()):
        return job
    try:
        return outbox.mend(job, collect(Path(job.source)))
    except (ValueError, OSError):  # it is gone or changed: what is damaged fails again, and says so
        return job


def _forget(args: argparse.Namespace, outbox: Outbox, listener: Listener) -> int:
    if bool(args.job) == args.verified:
        raise ValueError("give either a job or --verified")
    jobs = [outbox.find(args.job)] if args.job else [j for j in outbox.jobs()[0] if j.is_verified]
    for job in jobs:
        outbox.forget(job.id)
    names = ", ".join(job.id for job in jobs) or "nothing"
    listener(Event("result", message=f"forgot {names}"))
    return 0

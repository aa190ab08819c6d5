"""`medsynth send OUT --to NAME`: the objects of a synthesis go into a PACS and are verified."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from medsynth.cli.parsers import add_command, add_near_copy
from medsynth.events import Event, Listener

if TYPE_CHECKING:
    from medsynth.pacs.delivery import Outcome
    from medsynth.pacs.destination import Destination
    from medsynth.pacs.job import Job
    from medsynth.pacs.outbox import Outbox

NOT_ALL_VERIFIED = 3

DESCRIPTION = """\
Copy the DICOM objects of OUT into the outbox, send them (images first, then SEG) and ask the
server whether it has them. Exit code 0 means that it has every one; 3 that it has not, and that
the job waits in the outbox (medsynth outbox). The same command again continues where it stopped."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`send` and its options."""
    parser = add_command(
        subparsers, "send", "send the DICOM objects of a synthesis to a PACS", DESCRIPTION
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder made by synthesize")
    parser.add_argument("--to", metavar="NAME", required=True, help="destination (medsynth pacs)")
    add_near_copy(
        parser,
        "send OUT, whose name is NAME, although medsynth audit found it too near to a training image",
    )
    add_sending(parser)


def add_sending(parser: argparse.ArgumentParser) -> None:
    """Options that `outbox retry` has too."""
    parser.add_argument(
        "--attempts",
        type=int,
        default=8,
        help="rounds in a row without progress before the job waits (default 8: about two minutes)",
    )
    add_outbox(parser)


def add_outbox(parser: argparse.ArgumentParser) -> None:
    """Where the jobs are."""
    parser.add_argument(
        "--outbox", metavar="FOLDER", type=Path, default=None, help="(default: the user's own)"
    )


def run(args: argparse.Namespace, listener: Listener) -> int:
    """Queue and deliver."""
    from medsynth.pacs import address_book
    from medsynth.pacs.collect import collect
    from medsynth.pacs.outbox import Outbox
    from medsynth.records.audit import check_export
    from medsynth.verification.before_export import doubts

    check_attempts(args)
    destination = address_book.find(args.to)
    outbox = Outbox(args.outbox)
    instances = collect(args.out)
    where = f"{destination.name} ({destination.address})"
    remark, warn = check_export(args.out, allow=args.allow_near_copy, to=where)
    doubt = doubts(args.out)
    if doubt:
        listener(Event("warning", message=doubt))
    job = outbox.enqueue(instances, destination, source=args.out)
    if args.allow_near_copy is not None:
        with outbox.open(job.id) as opened:
            opened.note(remark)
    if warn:
        listener(Event("warning", message=f"{args.out.name}: {remark}"))
    return deliver(outbox, job, destination, attempts=args.attempts, listener=listener)


def check_attempts(args: argparse.Namespace) -> None:
    if args.attempts < 1:
        raise ValueError(f"--attempts must be at least 1, got {args.attempts}")


def deliver(
    outbox: Outbox, job: Job, destination: Destination, *, attempts: int, listener: Listener
) -> int:
    """Send a job that is in the outbox and say how it went; returns the exit code."""
    from medsynth.pacs.delivery import Patience
    from medsynth.pacs.delivery import deliver as deliver_job

    first = not outbox.has_sent_to(destination.address)
    segs = sum(instance.is_segmentation for instance in job.instances.values())
    listener(
        Event(
            "estimate",
            message=f"{'FIRST SEND TO THIS ADDRESS: ' if first else ''}"
            f"{len(job.instances) - segs} images and {segs} SEG (job {job.id}) "
            f"go to {destination.name}: {destination.describe()}",
            data={"job": job.id, "address": destination.address, "first": first},
        )
    )
    try:
        with outbox.open(job.id) as opened:
            outcome = deliver_job(
                opened, destination, patience=Patience(attempts=attempts), listener=listener
            )
            _report(opened, outcome, listener)
    except KeyboardInterrupt:
        listener(
            Event(
                "warning",
                message=f"stopped; the same command or medsynth outbox retry {job.id} goes on",
            )
        )
        return 130
    return 0 if outcome.is_complete else NOT_ALL_VERIFIED


def _report(job: Job, outcome: Outcome, listener: Listener) -> None:
    for reason in reasons(job):
        listener(Event("warning", message=reason))
    if outcome.trouble:
        listener(Event("warning", message=f"{job.id} waits: {outcome.trouble}"))
    total = len(job.instances)
    verified = outcome.counts.get("verified", 0)
    message = f"{verified} of {total} objects are verified at {job.destination} (job {job.id})"
    if not outcome.is_complete:
        rest = ", ".join(f"{n} {state}" for state, n in outcome.counts.items())
        message += f"; {rest}. See: medsynth outbox show {job.id}"
        if "failed" in outcome.counts:
            message += f"; what failed is sent again by: medsynth outbox retry {job.id}"
    listener(Event("result", message=message, data={"job": job.id, "counts": outcome.counts}))


def reasons(job: Job) -> list[str]:
    """Why instances failed or were stored with a remark, each reason once with its number."""
    found: dict[tuple[str, str], int] = {}
    for progress in job.progress.values():
        remark = progress.note.split("verified by ")[0].rstrip("; ")
        if remark and progress.state in ("failed", "stored", "verified"):
            status = f"{progress.status} {remark}".strip()
            found[progress.state, status] = found.get((progress.state, status), 0) + 1
    return [f"{count} {state}: {reason}" for (state, reason), count in found.items()]

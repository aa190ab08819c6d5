"""Makes what is missing of a set, where the user wants it: in this process, in local workers, on Ray."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from medsynth import domains, generators, threads
from medsynth.events import Event, Listener, Stage, ignore
from medsynth.factory import folder as folders
from medsynth.factory import local_workers
from medsynth.factory.audit import audit_set, recipe_of
from medsynth.factory.finish import finish
from medsynth.factory.item import ITEMS, Maker
from medsynth.factory.outcomes import FAILED, MADE, STOP, ImageOutcome, attempt_all
from medsynth.factory.plan import Plan
from medsynth.factory.programs import check_not_mixed
from medsynth.factory.queue_of_rows import in_order
from medsynth.factory.rows import PlanRow
from medsynth.networks.device import choose_device
from medsynth.networks.experts import expert_file
from medsynth.request import Request, parse
from medsynth.storage.partial import working_in

# Where not one image could be made, so many failures are no accident.
FIRST_FAILURES = 8


@dataclass(frozen=True)
class Where:
    """Where images are made: `workers` processes here (0: this process), or `ray`: auto or an address."""

    workers: int = 0
    ray: str | None = None


@dataclass
class Summary:
    """What is there after a run: ids, and what the images that it made took."""

    folder: str
    asked: int
    there: int = 0
    made: int = 0
    quarantined: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    seconds: float = 0.0
    image_seconds: float = 0.0
    sampling_seconds: float = 0.0

    @property
    def images_per_hour(self) -> float:
        """Of this run."""
        return 3600 * self.made / self.seconds if self.seconds else 0.0

    def to_dict(self) -> dict[str, Any]:
        """For an event."""
        return asdict(self) | {"images_per_hour": round(self.images_per_hour, 1)}

    def sentence(self) -> str:
        """For people."""
        parts = [f"{self.folder}: {self.there} of {self.asked} images"]
        if self.made:
            parts.append(f"{self.made} made now, {self.images_per_hour:.0f} an hour")
        if self.quarantined:
            parts.append(
                f"{len(self.quarantined)} could not be made (quarantine: "
                f"{folders.named(self.quarantined)})"
            )
        if self.refused:
            parts.append(f"{len(self.refused)} refused as near copies")
        return "; ".join(parts)


def make(
    plan: Plan,
    out: Path | str,
    *,
    where: Where | None = None,
    only: str | None = None,
    limit: int | None = None,
    listener: Listener = ignore,
) -> Summary:
    """Make what is missing of the set of `plan` in the folder `out`; a run that was stopped goes on.

    Args:
        where: see `Where`; the images are the same.
        only: make this one image alone.
        limit: make at most so many images now.

    Raises:
        ValueError, OSError: the plan, its references or `out` cannot be used.
        OSError: (ENOSPC) the disk is full; what is there stays.
    """
    target = Path(out).expanduser().resolve()
    check(plan)
    folders.check_folder(plan, target)
    with working_in(target):
        rows = folders.begin(plan, target, listener=listener)
        missing = folders.missing(rows, target, listener=listener)
        _check_not_mixed(plan, target, rows, missing, listener)
        left = _chosen(missing, rows, only, limit)
        summary = Summary(str(out), len(rows))
        try:
            _make_all(left, plan, target, where or Where(), summary, listener)
        finally:
            folders.complete_rows(target)
            summary.there = sum((target / ITEMS / row.id).is_dir() for row in rows)
        if only is None:
            _finish(plan, target, rows, summary, listener)
        summary.there = sum((target / ITEMS / row.id).is_dir() for row in rows)
        summary.quarantined = folders.ids_in(target, folders.QUARANTINE)
        summary.refused = folders.ids_in(target, folders.REFUSED)
    data = summary.to_dict()
    listener(Event("result", message=summary.sentence(), data={"out": str(target), **data}))
    return summary


def check(plan: Plan) -> None:
    """Refuse before any work what no image could be made with.

    Raises:
        ValueError, CheckpointError: a value of the request, the weights, or the device.
    """
    request = _any_request(plan)
    generators.weights_of(request, domains.get(plan.preset))
    choose_device(request.device)
    if plan.audit is not None:
        recipe_of(plan.audit, plan)


def _any_request(plan: Plan) -> Request:
    """What the requests of all images have in common."""
    phantom: dict[str, Any] = {"phantom": {}} if domains.get(plan.preset).phantoms else {}
    anatomy = phantom or {"image": str(plan.base)}
    keys = {k: v for k, v in plan.request.items() if k != "background"}
    return parse({"preset": plan.preset, "anatomy": anatomy, **keys}, plan.base)


def _check_not_mixed(
    plan: Plan,
    folder: Path,
    rows: Sequence[PlanRow],
    missing: Sequence[PlanRow],
    listener: Listener,
) -> None:
    if not missing:
        return
    away = {row.id for row in missing}
    items = (folder / ITEMS / row.id for row in rows if row.id not in away)
    request = _any_request(plan)
    weights, metadata = generators.weights_of(request, domains.get(plan.preset))
    expert = expert_file(weights, metadata, request.expert) if weights is not None else None
    used = [path for path in (weights, expert.path if expert else None) if path is not None]
    there = (item for item in items if item.is_dir())  # refused images are not
    check_not_mixed(there, used, listener=listener)


def _chosen(
    left: Sequence[PlanRow], rows: Sequence[PlanRow], only: str | None, limit: int | None
) -> list[PlanRow]:
    if only is None:
        return list(left if limit is None else left[:limit])
    wanted = only.zfill(6)
    if wanted not in {row.id for row in rows}:
        raise ValueError(
            f"--only: no image {only} in a set of {len(rows)}, from 0 to {len(rows) - 1}"
        )
    return [row for row in left if row.id == wanted]


def _make_all(
    rows: Sequence[PlanRow],
    plan: Plan,
    folder: Path,
    where: Where,
    summary: Summary,
    listener: Listener,
) -> None:
    started = time.monotonic()
    errors: list[str] = []
    with Stage("making images", total=len(rows), listener=listener) as stage:
        outcomes = _outcomes(rows, plan, folder, where)
        try:
            for outcome in outcomes:
                if outcome.state == STOP:
                    raise _stopped(outcome, folder)
                _note(outcome, folder, summary, listener)
                if outcome.state == FAILED:
                    errors.append(outcome.error)
                    if not summary.made and len(errors) >= FIRST_FAILURES:
                        raise ValueError(
                            f"the first {FIRST_FAILURES} images could not be made, the last: {errors[-1]}"
                        )
                summary.seconds = time.monotonic() - started
                stage.advance(message=f"{summary.images_per_hour:.0f} images/h", id=outcome.id)
        except KeyboardInterrupt:
            said = f"{summary.made} images made; the same command goes on from here"
            listener(Event("warning", message=said))
            raise
        finally:
            close = getattr(outcomes, "close", None)
            if close is not None:
                close()
            summary.seconds = time.monotonic() - started


def _note(outcome: ImageOutcome, folder: Path, summary: Summary, listener: Listener) -> None:
    if outcome.state == MADE:
        summary.made += 1
        summary.image_seconds += outcome.seconds
        summary.sampling_seconds += outcome.sampling
        (folder / folders.QUARANTINE / f"{outcome.id}.json").unlink(missing_ok=True)
        return
    folders.quarantine(folder, outcome.id, outcome.error, outcome.attempts)
    listener(Event("warning", message=f"image {outcome.id} could not be made: {outcome.error}"))


def _stopped(outcome: ImageOutcome, folder: Path) -> Exception:
    there = len(os.listdir(folder / ITEMS))
    said = f"{outcome.error}; {there} images are there, the same command goes on"
    return (
        OSError(errno.ENOSPC, said)
        if "full" in outcome.error or "room" in outcome.error
        else (ValueError(said))
    )


def _outcomes(
    rows: Sequence[PlanRow], plan: Plan, folder: Path, where: Where
) -> Iterator[ImageOutcome]:
    if not rows:
        return iter(())
    if where.ray is not None:
        from medsynth.factory import ray_engine

        return ray_engine.run(rows, folder, address=where.ray)
    if where.workers > 0:
        return local_workers.run(rows, folder, workers=where.workers, threads=plan.threads)
    return _here(rows, plan, folder)


def _here(rows: Sequence[PlanRow], plan: Plan, folder: Path) -> Iterator[ImageOutcome]:
    with threads.using(plan.threads):
        yield from attempt_all(Maker(plan, folder), in_order(rows))


def _finish(
    plan: Plan, folder: Path, rows: Sequence[PlanRow], summary: Summary, listener: Listener
) -> None:
    """The audit, then what is made of the whole set: layouts, card, pages."""
    if plan.audit is not None:
        audit_set(plan, folder, rows, listener=listener)
    finish(folder, plan, listener=listener)

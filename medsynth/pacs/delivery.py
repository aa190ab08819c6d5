"""Brings a job to its destination: rounds of sending, waiting and verifying, until all is settled.

Here is what is decided; what touches the network is behind a link (`dimse`, `dicomweb`).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from medsynth.events import Event, Listener, Stage, ignore
from medsynth.pacs.collect import Instance, is_intact
from medsynth.pacs.destination import Destination
from medsynth.pacs.dimse_status import FAILED, RETRY, STORED, Answer
from medsynth.pacs.extra import load
from medsynth.pacs.job import DAMAGED_COPY, Job


class Channel(Protocol):
    """One open connection."""

    def send(self, batch: Sequence[tuple[Instance, Path]]) -> list[Answer]: ...


class Link(Protocol):
    """A destination that can be reached."""

    batch_count: int
    batch_bytes: int

    def open(self, instances: Sequence[Instance]) -> AbstractContextManager[Channel]: ...
    def check(self) -> str: ...
    def held(self, instances: Sequence[Instance]) -> tuple[set[str], str]: ...


@dataclass(frozen=True)
class Patience:
    """How long a job keeps trying before it waits in the outbox.

    `attempts` rounds in a row without any progress; the pauses between them double from
    `first_wait_s` to `longest_wait_s`. `refusals` out-of-resources answers in a row end a round.
    An object that is missing after the destination's `settle_s` is sent again `resends` times.
    """

    attempts: int = 8
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    refusals: int = 3
    resends: int = 1
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def pause(self, attempt: int) -> float:
        """Seconds before the next round; spread, so that many senders do not come at once."""
        longest = min(self.longest_wait_s, self.first_wait_s * 2 ** (attempt - 1))
        return longest * random.uniform(0.75, 1.0)


@dataclass(frozen=True)
class Outcome:
    """How a delivery ended. `trouble` says why it stopped early; empty when it did not."""

    counts: dict[str, int]
    trouble: str = ""

    @property
    def is_complete(self) -> bool:
        return not self.trouble and set(self.counts) == {"verified"}


def link_to(destination: Destination) -> Link:
    """The way to a destination."""
    if destination.is_dicomweb:
        return load("dicomweb").DicomwebLink(destination)
    return load("dimse").DimseLink(destination)


def deliver(
    job: Job,
    destination: Destination,
    *,
    patience: Patience | None = None,
    listener: Listener = ignore,
    link: Link | None = None,
) -> Outcome:
    """Send what is pending, verify everything; the job says at every moment how far it is.

    Raises:
        ValueError: the destination's address is not the one the job was made for.
        OSError: our own disk fails.
    """
    if job.address != destination.address:
        raise ValueError(
            f"job {job.id} was made for {job.address}, and {destination.name} is now "
            f"{destination.address}; send the folder again for a job to the new address"
        )
    patience = patience or Patience()
    delivery = _Delivery(job, link or link_to(destination), destination, patience, listener)
    try:
        trouble = delivery.run()
    finally:
        job.sync()
    if trouble:
        job.note(trouble)
    return Outcome(job.counts(), trouble)


class _Delivery:
    def __init__(
        self,
        job: Job,
        link: Link,
        destination: Destination,
        patience: Patience,
        listener: Listener,
    ):
        self.job, self.link, self.destination = job, link, destination
        self.patience, self.listener = patience, listener
        self.connections = destination.associations

    def run(self) -> str:
        """Until all is verified or failed, or there is trouble, which it returns."""
        while True:
            for segmentations in (False, True):
                if trouble := self._send_all(segmentations=segmentations):
                    return trouble
            if trouble := self._verify():
                return trouble
            if not self.job.in_state("queued", "sent", "stored"):
                return ""

    def _send_all(self, *, segmentations: bool) -> str:
        """Images before segmentations: a viewer needs what a segmentation refers to."""
        idle_rounds = 0
        name = "sending SEG" if segmentations else "sending images"
        pending = self.job.pending(segmentations=segmentations)
        if not pending:
            return ""
        with Stage(name, total=len(pending), listener=self.listener) as stage:
            while pending := self.job.pending(segmentations=segmentations):
                sending = Round(self.job, self.link, pending, stage, self.patience.refusals)
                try:
                    trouble = sending.run(self.connections)
                except PermissionError as error:
                    return str(error)
                idle_rounds = 0 if sending.settled else idle_rounds + 1
                if not trouble or not self.job.pending(segmentations=segmentations):
                    continue
                if idle_rounds >= self.patience.attempts:
                    return f"{trouble} (gave up; attempts in a row: {idle_rounds})"
                # The trouble may be that there are too many of us.
                self.connections = max(1, self.connections // 2)
                self._wait(trouble, max(1, idle_rounds))
        return ""

    def _wait(self, trouble: str, attempt: int) -> None:
        pause = self.patience.pause(attempt)
        message = f"{trouble}; trying again in {pause:.0f} s"
        if attempt > 1:
            message += f" (attempt {attempt} of {self.patience.attempts})"
        self.listener(Event("warning", message=message))
        self.patience.sleep(pause)

    def _verify(self) -> str:
        """Ask for everything, also what was verified before: servers recycle what they hold."""
        claimed = self.job.in_state("stored", "verified")
        if not claimed:
            return ""
        with Stage("verifying", total=len(claimed), listener=self.listener) as stage:
            missing = claimed
            for share in (0.0, 0.1, 0.3, 0.6):
                pause = share * self.destination.settle_s
                if pause:
                    self.patience.sleep(pause)
                try:
                    held, service = self._ask(claimed)
                except (LookupError, PermissionError, ConnectionError) as error:
                    return f"not verified: {error.args[0]}"
                missing = [instance for instance in claimed if instance.uid not in held]
                if not missing:
                    break
            self._mark_verified(held, service)
            stage.advance(len(claimed) - len(missing))
        self._mark_missing(missing, service)
        return ""

    def _ask(self, claimed: Sequence[Instance]) -> tuple[set[str], str]:
        attempt = 0
        while True:
            try:
                return self.link.held(claimed)
            except ConnectionError as error:
                attempt += 1
                if attempt >= self.patience.attempts:
                    raise
                self._wait(str(error), attempt)

    def _mark_verified(self, held: set[str], service: str) -> None:
        new = [i for i in self.job.in_state("stored") if i.uid in held]
        before = self.job.progress
        self.job.mark(
            "verified",
            [
                Answer(
                    i.uid,
                    STORED,
                    before[i.uid].status,
                    "; ".join(filter(None, (before[i.uid].note, f"verified by {service}"))),
                )
                for i in new
            ],
            durable=True,
        )

    def _mark_missing(self, missing: Sequence[Instance], service: str) -> None:
        lost: list[Answer] = []
        given_up: list[Answer] = []
        for instance in missing:
            before = self.job.progress[instance.uid]
            note = f"the server said stored ({before.status}), {service} does not find it"
            answer = Answer(instance.uid, RETRY, before.status, note)
            (lost if before.losses < self.patience.resends else given_up).append(answer)
        if missing:
            self.listener(
                Event(
                    "warning",
                    message=f"{len(missing)} objects that the server said it stored are not there; "
                    f"{len(lost)} are sent again, {len(given_up)} are given up",
                )
            )
        self.job.mark_lost(lost)
        self.job.mark("failed", given_up, durable=True)


class Round:
    """One pass over what is pending, on several connections at once."""

    def __init__(
        self, job: Job, link: Link, pending: Sequence[Instance], stage: Stage, refusals: int
    ):
        self.job, self.link, self.pending, self.stage = job, link, pending, stage
        self.settled = 0
        self._refusals_left = self._refusals = refusals
        self._batches = _batches(pending, link.batch_count, link.batch_bytes)
        self._mutex = threading.Lock()
        self._stop = threading.Event()
        self._troubles: list[str] = []
        self._fatal: list[Exception] = []

    def run(self, connections: int) -> str:
        """Returns what is worth another round; empty when every object was answered.

        Raises:
            PermissionError: the server will not have us until somebody changes something.
        """
        wanted = -(-len(self.pending) // self.link.batch_count)
        workers = [
            threading.Thread(target=self._work, daemon=True)
            for _ in range(min(connections, wanted))
        ]
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                worker.join()
        except KeyboardInterrupt:  # let each finish the object it is at, if the server is quick
            self._stop.set()
            for worker in workers:
                worker.join(timeout=2.0)
            raise
        if self._fatal:
            raise self._fatal[0]
        return self._troubles[0] if self._troubles else ""

    def _work(self) -> None:
        try:
            with self.link.open(self.pending) as channel:
                while not self._stop.is_set() and (batch := self._next()):
                    self._send(channel, batch)
        except ConnectionError as error:
            with self._mutex:
                self._troubles.append(str(error))
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            self._fatal.append(error)
            self._stop.set()

    def _next(self) -> list[Instance]:
        with self._mutex:
            return next(self._batches, [])

    def _send(self, channel: Channel, batch: list[Instance]) -> None:
        parts, changed = [], []
        for instance in batch:
            path = self.job.path_of(instance)
            if is_intact(path, instance):
                parts.append((instance, path))
            else:
                note = (
                    f"{DAMAGED_COPY}{path} is not what was queued and was not sent; medsynth send of "
                    "the same folder mends it"
                )
                changed.append(Answer(instance.uid, FAILED, "", note))
        answers = changed
        if parts:
            self.job.mark_sent(instance for instance, _ in parts)
            answers = changed + self._answers(channel, parts)
        self._record(answers)

    def _answers(self, channel: Channel, parts: list[tuple[Instance, Path]]) -> list[Answer]:
        try:
            return channel.send(parts)
        except PermissionError as error:
            # The server did answer, and took none of them: they are not on their way.
            self._record([Answer(i.uid, RETRY, "", str(error)) for i, _ in parts])
            raise

    def _record(self, answers: list[Answer]) -> None:
        """`retry` goes back into the queue; the journal keeps the reason."""
        states = {STORED: "stored", FAILED: "failed", RETRY: "queued"}
        with self._mutex:
            for verdict, state in states.items():
                some = [answer for answer in answers if answer.verdict == verdict]
                if some:
                    self.job.mark(state, some)
            for answer in answers:
                self._count(answer)

    def _count(self, answer: Answer) -> None:
        if answer.verdict == RETRY:
            self._troubles.append(f"{answer.status} {answer.note}")
            self._refusals_left -= 1
            if self._refusals_left <= 0:
                self._stop.set()
            return
        self._refusals_left = self._refusals
        self.settled += 1
        self.stage.advance(
            message=answer.note, uid=answer.uid, verdict=answer.verdict, status=answer.status
        )


def _batches(
    pending: Sequence[Instance], batch_count: int, batch_bytes: int
) -> Iterator[list[Instance]]:
    """In order; a batch holds at least one object and otherwise keeps to both limits."""
    batch: list[Instance] = []
    for instance in pending:
        full = len(batch) >= batch_count
        if batch and (full or sum(i.size for i in batch) + instance.size > batch_bytes):
            yield batch
            batch = []
        batch.append(instance)
    if batch:
        yield batch

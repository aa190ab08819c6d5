"""A delivery job: a folder with copies of the objects and the journal of what became of each."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from medsynth.pacs.collect import Instance
from medsynth.pacs.dimse_status import Answer
from medsynth.storage import journal

# queued: not sent yet, or to be sent again.  sent: on its way, no answer known.  stored: the
# server said so.  verified: asked separately, the server has it.  failed: it will not be retried.
STATES = ("queued", "sent", "stored", "verified", "failed")
FORMAT = 1
# How the note of an object begins that was not sent because its copy in the outbox is damaged.
DAMAGED_COPY = "the copy "


@dataclass(frozen=True)
class Progress:
    """Where one instance stands."""

    state: str = "queued"
    status: str = ""
    note: str = ""
    attempts: int = 0
    losses: int = 0


def now() -> str:
    """UTC, ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


class Job:
    """What the journal says, and the only one who appends to it.

    A job opened for reading (`Job.read`) has no journal to append to. For sending, the outbox
    opens it under its lock (`Outbox.open`).
    """

    def __init__(self, folder: Path, records: tuple[journal.Record, ...]):
        head = records[0] if records else {}
        if head.get("type") != "job" or head.get("format") != FORMAT:
            raise ValueError(f"{folder} holds no job of format {FORMAT}: {head}")
        self.folder = folder
        self.id: str = head["id"]
        self.destination: str = head["destination"]
        self.address: str = head["address"]
        self.source: str = head["source"]
        self.created: str = head["at"]
        self.instances: dict[str, Instance] = {}
        self.progress: dict[str, Progress] = {}
        self.notes: list[tuple[str, str]] = []
        self._journal: journal.Journal | None = None
        self._mutex = threading.Lock()
        for record in records[1:]:
            self._replay(record)
        if len(self.instances) != head["count"]:
            raise ValueError(
                f"journal of {folder} names {len(self.instances)} instances, expected "
                f"{head['count']}"
            )

    @classmethod
    def read(cls, folder: Path) -> Job:
        """The job as its journal has it now; ValueError when the journal is damaged."""
        return cls(folder, journal.read(folder / "journal.jsonl").records)

    def attach(self, writer: journal.Journal) -> None:
        """From now on changes are recorded; the outbox does this under the job's lock."""
        self._journal = writer

    def detach(self) -> None:
        """The job is for reading again."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def path_of(self, instance: Instance) -> Path:
        return self.folder / "files" / instance.file

    def pending(self, *, segmentations: bool) -> list[Instance]:
        """Still to be sent. `sent` without an answer means not stored: it is sent again."""
        return [
            instance
            for uid, instance in self.instances.items()
            if self.progress[uid].state in ("queued", "sent")
            and instance.is_segmentation == segmentations
        ]

    def in_state(self, *states: str) -> list[Instance]:
        return [i for uid, i in self.instances.items() if self.progress[uid].state in states]

    def counts(self) -> dict[str, int]:
        """How many instances are in each state."""
        found = Counter(progress.state for progress in self.progress.values())
        return {state: found[state] for state in STATES if found[state]}

    @property
    def is_verified(self) -> bool:
        return all(progress.state == "verified" for progress in self.progress.values())

    def mark_sent(self, batch: Iterable[Instance]) -> None:
        """About to go out: written before the first byte leaves."""
        self._append(*({"type": "sent", "uid": i.uid, "at": now()} for i in batch))

    def mark(self, state: str, answers: Iterable[Answer], *, durable: bool = False) -> None:
        """What became of some instances."""
        self._append(
            *(
                {
                    "type": "state",
                    "uid": answer.uid,
                    "state": state,
                    "status": answer.status,
                    "note": answer.note,
                    "at": now(),
                }
                for answer in answers
            ),
            durable=durable,
        )

    def mark_lost(self, answers: Iterable[Answer]) -> None:
        """The server said it stored these, and does not have them: queued again."""
        self._append(
            *(
                {"type": "lost", "uid": a.uid, "status": a.status, "note": a.note, "at": now()}
                for a in answers
            ),
            durable=True,
        )

    def note(self, text: str) -> None:
        """Something about the whole job, such as why it waits."""
        self._append({"type": "note", "text": text, "at": now()}, durable=True)

    def requeue(self, instances: Iterable[Instance]) -> None:
        """Send these again although they failed or went missing; attempts start afresh."""
        self._append(
            *({"type": "requeued", "uid": i.uid, "at": now()} for i in instances), durable=True
        )

    def sync(self) -> None:
        """Wait until the disk has the journal."""
        if self._journal is not None:
            self._journal.sync()

    def _append(self, *records: journal.Record, durable: bool = False) -> None:
        if self._journal is None:
            raise RuntimeError(f"job {self.id} was opened for reading")
        with self._mutex:
            self._journal.append(*records, durable=durable)
            for record in records:
                self._replay(record)

    def _replay(self, record: journal.Record) -> None:
        kind = record["type"]
        if kind == "instance":
            instance = Instance(**record["instance"])
            self.instances[instance.uid] = instance
            self.progress[instance.uid] = Progress()
            return
        if kind == "note":
            self.notes.append((record["at"], record["text"]))
            return
        uid = record["uid"]
        before = self.progress[uid]
        if kind == "sent":
            after = Progress("sent", "", "", before.attempts + 1, before.losses)
        elif kind == "lost":
            after = Progress(
                "queued", record["status"], record["note"], before.attempts, before.losses + 1
            )
        elif kind == "requeued":
            after = Progress()
        else:
            after = Progress(
                record["state"], record["status"], record["note"], before.attempts, before.losses
            )
        self.progress[uid] = after

"""The outbox: jobs that wait, run or have run, each in its folder, each sent by one process.

jobs/ID/journal.jsonl, files/, lock      a job
history/ID.jsonl                         the journal of a job whose copies were deleted
set-aside/ID-TIME/                       a job whose journal is damaged
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from medsynth.pacs.collect import Instance, is_intact
from medsynth.pacs.destination import Destination
from medsynth.pacs.folders import outbox_folder
from medsynth.pacs.job import DAMAGED_COPY, FORMAT, Job, now
from medsynth.storage import journal
from medsynth.storage.files import move, new_file
from medsynth.storage.lock import held

SPARE_BYTES = 32 << 20


@dataclass(frozen=True)
class Damaged:
    """A job that was set aside because its journal cannot be trusted."""

    id: str
    reason: str
    moved_to: Path


class Outbox:
    """The jobs under one folder, by default the user's own."""

    def __init__(self, folder: Path | None = None):
        self.folder = folder or outbox_folder()
        for name in ("jobs", "history", "set-aside", "locks"):
            (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    def jobs(self) -> tuple[list[Job], list[Damaged]]:
        """Every job, oldest first, and those whose journal had to be set aside just now."""
        whole, damaged = [], []
        for folder in sorted((self.folder / "jobs").iterdir()):
            if folder.name.startswith("."):
                continue
            try:
                whole.append(self._read(folder))
            except ValueError as error:
                damaged.append(self._set_aside(folder, str(error)))
        return sorted(whole, key=lambda job: job.created), damaged

    def find(self, job_id: str) -> Job:
        """The job of that id, or of the one id that begins so."""
        names = [path.name for path in (self.folder / "jobs").iterdir() if path.name[0] != "."]
        matching = [name for name in names if name.startswith(job_id)]
        if job_id in names:
            matching = [job_id]
        if len(matching) != 1:
            raise ValueError(
                f"{len(matching)} jobs are called {job_id!r}; medsynth outbox lists them"
            )
        return self._read_or_set_aside(self.folder / "jobs" / matching[0])

    def enqueue(self, instances: list[Instance], destination: Destination, *, source: Path) -> Job:
        """The job that brings these objects there: a new one, or the one that already does.

        Raises:
            ValueError: an object was queued earlier with another content under the same UID, or
                the job's journal is damaged.
            OSError: the disk cannot hold the copies; nothing is left behind.
        """
        job_id = _job_id(instances, destination)
        folder = self.folder / "jobs" / job_id
        if folder.exists():
            return self.mend(self._read_or_set_aside(folder), instances)
        self._check_contents(instances)
        self._remove_unfinished()
        self._check_space(instances)
        temporary = self.folder / "jobs" / f".new-{uuid.uuid4().hex}"
        (temporary / "files").mkdir(parents=True, mode=0o700)
        with self._lock(temporary.name):
            try:
                self._fill(temporary, instances, destination, source=source, job_id=job_id)
                self._publish(temporary, folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        (self.folder / "locks" / temporary.name).unlink(missing_ok=True)
        return self._read_or_set_aside(folder)

    def mend(self, job: Job, instances: list[Instance]) -> Job:
        """Copy what is damaged in the outbox anew from `instances`, the same objects; the job then.

        What was not sent because its copy was damaged is queued again.
        """
        damaged = {i.uid: i for i in job.instances.values() if not is_intact(job.path_of(i), i)}
        sources = {i.uid: Path(i.file) for i in instances}
        with suppress(BlockingIOError), self.open(job.id) as opened:  # a sender sees to it itself
            for uid in damaged.keys() & sources.keys():
                _copy(sources[uid], opened.path_of(damaged[uid]), damaged[uid].sha256)
            opened.requeue(
                i
                for i in opened.in_state("failed")
                if opened.progress[i.uid].note.startswith(DAMAGED_COPY)
                and is_intact(opened.path_of(i), i)
            )
        return self._read_or_set_aside(job.folder)

    @contextmanager
    def open(self, job_id: str) -> Iterator[Job]:
        """The job, ready to be sent, for this process alone.

        Raises:
            BlockingIOError: another process is sending it.
            ValueError: its journal is damaged; it has been set aside.
        """
        folder = self.folder / "jobs" / job_id
        with self._lock(job_id):
            job, contents = self._load(folder)
            job.attach(
                journal.Journal(
                    folder / "journal.jsonl", end=contents.end, checksum=contents.checksum
                )
            )
            try:
                if contents.torn_bytes:
                    job.note(f"an interruption left {contents.torn_bytes} bytes of a last line")
                yield job
            finally:
                job.detach()

    def forget(self, job_id: str) -> Path:
        """Delete the copies of a job; its journal stays, so that no UID is used for two contents.

        Raises BlockingIOError when the job is being sent.
        """
        job = self.find(job_id)
        kept = self.folder / "history" / f"{job.id}-{uuid.uuid4().hex[:8]}.jsonl"
        with self._lock(job.id):
            shutil.copyfile(job.folder / "journal.jsonl", kept)
            gone = job.folder.with_name(f".gone-{uuid.uuid4().hex}")
            move(job.folder, gone)
        shutil.rmtree(gone)
        return kept

    def has_sent_to(self, address: str) -> bool:
        """Whether anything ever left this outbox for that address."""
        return any(
            job.address == address and any(p.attempts for p in job.progress.values())
            for job in self._all_readable()
        )

    def _load(self, folder: Path) -> tuple[Job, journal.Contents]:
        try:
            contents = journal.read(folder / "journal.jsonl")
            return Job(folder, contents.records), contents
        except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
            aside = self._move_aside(folder)
            raise ValueError(_set_aside_message(folder.name, str(error), aside)) from error

    def _read(self, folder: Path) -> Job:
        try:
            return Job.read(folder)
        except (KeyError, TypeError, FileNotFoundError) as error:
            raise ValueError(f"journal of {folder} cannot be read: {error!r}") from error

    def _read_or_set_aside(self, folder: Path) -> Job:
        try:
            return self._read(folder)
        except ValueError as error:
            damaged = self._set_aside(folder, str(error))
            raise ValueError(
                _set_aside_message(damaged.id, damaged.reason, damaged.moved_to)
            ) from error

    def _set_aside(self, folder: Path, reason: str) -> Damaged:
        with self._lock(folder.name):
            return Damaged(folder.name, reason, self._move_aside(folder))

    def _move_aside(self, folder: Path) -> Path:
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S%f")
        aside = self.folder / "set-aside" / f"{folder.name}-{stamp}"
        move(folder, aside)
        return aside

    def _all_readable(self) -> Iterator[Job]:
        for path in (self.folder / "jobs").iterdir():
            if not path.name.startswith("."):
                yield self._read_or_set_aside(path)
        for path in (self.folder / "history").glob("*.jsonl"):
            yield self._read_history(path)

    def _read_history(self, path: Path) -> Job:
        try:
            return Job(path, journal.read(path).records)
        except (ValueError, KeyError, TypeError) as error:
            aside = self._move_aside(path)
            raise ValueError(_set_aside_message(path.stem, str(error), aside)) from error

    def _check_contents(self, instances: list[Instance]) -> None:
        """PS3.5 9.1: a UID names one object for ever, and servers keep the first they got."""
        new = {instance.uid: instance for instance in instances}
        for job in self._all_readable():
            for uid in new.keys() & job.instances.keys():
                if job.instances[uid].sha256 != new[uid].sha256:
                    raise ValueError(
                        f"{new[uid].file} differs from what was queued under the same SOP Instance "
                        f"UID in job {job.id}; a server would keep the old object and say nothing. "
                        "Synthesize again: new objects get new UIDs"
                    )

    def _check_space(self, instances: list[Instance]) -> None:
        needed = sum(instance.size for instance in instances) + SPARE_BYTES
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise OSError(
                f"the outbox {self.folder} needs {needed >> 20} MiB and its disk has "
                f"{free >> 20} MiB; forget verified jobs (medsynth outbox forget --verified) or "
                "set MEDSYNTH_HOME to another disk"
            )

    def _fill(
        self,
        folder: Path,
        instances: list[Instance],
        destination: Destination,
        *,
        source: Path,
        job_id: str,
    ) -> None:
        records: list[journal.Record] = [
            {
                "type": "job",
                "format": FORMAT,
                "id": job_id,
                "destination": destination.name,
                "address": destination.address,
                "source": str(source.resolve()),
                "count": len(instances),
                "at": now(),
            }
        ]
        for number, instance in enumerate(instances, start=1):
            copied = replace(instance, file=f"{number:06d}.dcm")
            _copy(Path(instance.file), folder / "files" / copied.file, instance.sha256)
            records.append({"type": "instance", "instance": copied.to_record()})
        new = journal.Journal(folder / "journal.jsonl")
        try:
            new.append(*records, durable=True)
        finally:
            new.close()

    def _publish(self, temporary: Path, folder: Path) -> None:
        try:
            move(temporary, folder)
        except OSError:
            if not folder.exists():  # another sender has published the same job meanwhile
                raise

    def _remove_unfinished(self) -> None:
        """What a killed process left while it was copying or deleting."""
        for folder in (self.folder / "jobs").glob(".*"):
            try:
                with self._lock(folder.name):
                    shutil.rmtree(folder, ignore_errors=True)
            except BlockingIOError:
                continue
            (self.folder / "locks" / folder.name).unlink(missing_ok=True)

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        try:
            with held(self.folder / "locks" / name):
                yield
        except BlockingIOError as error:
            raise BlockingIOError(
                f"job {name} is in use by another process; nothing is sent twice"
            ) from error


def _copy(source: Path, target: Path, sha256: str) -> None:
    """The whole file or nothing. Raises ValueError when it is not the one that was read before."""
    content = source.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{source} changed while it was being copied; send again")
    target.parent.mkdir(exist_ok=True, mode=0o700)
    with new_file(target, overwrite=True) as partial:
        partial.write_bytes(content)


def _job_id(instances: list[Instance], destination: Destination) -> str:
    digest = hashlib.sha256(destination.address.encode())
    for instance in sorted(instances, key=lambda instance: instance.uid):
        digest.update(f"\n{instance.uid} {instance.sha256}".encode())
    return f"{destination.name}-{digest.hexdigest()[:12]}"


def _set_aside_message(job_id: str, reason: str, aside: Path) -> str:
    return (
        f"job {job_id} cannot be trusted and was set aside in {aside}: {reason}. Nothing of it was "
        "sent now; to send the same objects, give the same medsynth send command again"
    )

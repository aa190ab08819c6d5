"""The jobs of one server: received, waiting, running as `medsynth synthesize`, done, and gone again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import shutil
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medsynth.events import printable
from medsynth.request import load_request
from medsynth.serve import upload

ENDED = ("done", "failed", "canceled")
LONGEST_LINE = 1 << 20  # of what a job says
MOST_WARNINGS = 100
JOB_NAME = re.compile(r"[\w-]{16,64}", re.ASCII)
WATCH_S = 0.5
GRACE_S = 5.0


class Full(RuntimeError):
    """As many jobs as the server takes are waiting or running."""


@dataclass(frozen=True)
class JobLimits:
    """What one server takes; documented in docs/serve.md.

    `minutes` and `memory_bytes` are of one job (all its processes), `upload_bytes` also of what a zip file
    unpacks to, `keep_minutes` how long a result waits to be fetched.
    """

    parallel: int = 1
    jobs: int = 8
    minutes: float = 60.0
    memory_bytes: int = 16 << 30
    upload_bytes: int = 2 << 30
    upload_minutes: float = 30.0
    keep_minutes: float = 60.0


@dataclass(eq=False)
class ServedJob:
    """One request and what became of it."""

    id: str
    folder: Path
    state: str = "receiving"
    request: Path | None = None
    progress: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    error: str = ""
    said: str = ""  # its result in words, and what belongs to it
    data: dict[str, Any] = field(default_factory=dict)
    created: float = field(default_factory=time.time)
    ended: float | None = None
    process: asyncio.subprocess.Process | None = None

    @property
    def out(self) -> Path:
        """Where its result is written."""
        return self.folder / "out"

    @property
    def archive(self) -> Path:
        """Its result as one file."""
        return self.folder / "result.zip"

    def public(self) -> dict[str, Any]:
        """What its owner may know of it."""
        said: dict[str, Any] = {"id": self.id, "state": self.state}
        said |= {"progress": self.progress, "warnings": self.warnings}
        said |= {"error": self.error, "created": self.created, "ended": self.ended}
        if self.state == "done":
            files = sorted(path for path in self.out.rglob("*") if path.is_file())
            said["files"] = [path.relative_to(self.out).as_posix() for path in files]
        return said

    def end(self, state: str, error: str = "") -> None:
        """It is over; a job that is canceled stays canceled."""
        if self.state not in ENDED:
            self.state, self.error, self.ended = state, self.without_folders(error), time.time()

    def without_folders(self, text: str) -> str:
        """`text` without the server's own folders."""
        for folder in (self.folder / "files", self.folder):
            text = text.replace(f"{folder}/", "").replace(str(folder), "the upload")
        return printable(text)


class Jobs:
    """All jobs; every coroutine runs in one event loop.

    Args:
        root: an empty folder for their files, which only this user can enter.
        threads: of one job; None: what the library finds right.
    """

    def __init__(self, root: Path, limits: JobLimits, *, threads: int | None = None) -> None:
        self.root, self.limits, self.threads = root, limits, threads
        self.jobs: dict[str, ServedJob] = {}
        self.waiting: asyncio.Queue[ServedJob] = asyncio.Queue()
        self.tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to work."""
        self.tasks = [asyncio.create_task(self._work()) for _ in range(self.limits.parallel)]
        self.tasks.append(asyncio.create_task(self._forget()))

    async def stop(self) -> None:
        """End every job and remove every file."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for job in list(self.jobs.values()):
            await self.remove(job)

    async def submit(
        self, stream: AsyncIterator[bytes], content_type: str, name: str = ""
    ) -> ServedJob:
        """Receive a request and put it in the queue.

        Args:
            name: what the job is to be called, so that its owner can remove it before the answer comes;
                "": the server chooses.

        Raises:
            Full: too many jobs are under way.
            upload.TooLarge, ValueError, OSError: what came cannot be run; says why.
            TimeoutError: it came too slowly.
        """
        if sum(job.state not in ENDED for job in self.jobs.values()) >= self.limits.jobs:
            raise Full(
                f"{self.limits.jobs} jobs are under way, which is as many as this server takes"
            )
        if name and (not JOB_NAME.fullmatch(name) or name in self.jobs):
            raise ValueError(
                f"Job-Id: expected 16 to 64 letters, digits, - or _ of no other job, got {name[:80]!r}"
            )
        job = ServedJob(name or secrets.token_urlsafe(12), self.root / secrets.token_hex(8))
        self.jobs[job.id] = job
        try:
            job.folder.mkdir(mode=0o700)
            received = job.folder / upload.TYPES[content_type]
            await asyncio.wait_for(
                upload.receive(stream, received, self.limits.upload_bytes),
                60 * self.limits.upload_minutes,
            )
            job.request = await asyncio.to_thread(self._checked, received)
            if job.state in ENDED:
                raise ValueError("the job was removed while it was received")
        except BaseException as error:
            self.jobs.pop(job.id, None)
            await asyncio.to_thread(shutil.rmtree, job.folder, ignore_errors=True)
            if isinstance(error, (ValueError, OSError)) and not isinstance(error, TimeoutError):
                raise _same_kind(error, job.without_folders(str(error))) from None
            raise
        job.state = "waiting"
        self.waiting.put_nowait(job)
        return job

    def _checked(self, received: Path) -> Path:
        request = upload.unpacked(received, self.limits.upload_bytes)
        upload.check_paths(request)
        for index, pathology in enumerate(load_request(request).pathologies):
            if pathology.source.saved is not None:
                raise ValueError(
                    f"pathologies[{index}].source.saved: the saved lesions of a server are nobody's; put "
                    "image and mask into the zip file"
                )
        return request

    async def remove(self, job: ServedJob) -> None:
        """End a job if it runs, and remove its files."""
        job.end("canceled")
        self.jobs.pop(job.id, None)
        if job.process is not None:
            await ended(job.process)
        await asyncio.to_thread(shutil.rmtree, job.folder, ignore_errors=True)

    async def _work(self) -> None:
        while True:
            job = await self.waiting.get()
            if job.state != "waiting":
                continue
            try:
                await self.run(job)
            except Exception as error:
                job.end("failed", f"this is a bug of the server ({type(error).__name__}: {error})")

    async def run(self, job: ServedJob) -> None:
        """Synthesize what a job's request asks for, and pack the result."""
        words = ["medsynth.cli.attached", "synthesize", str(job.request)]
        words += ["-o", str(job.out), "--progress", "json"]
        # The server's folders are nobody's business; which of them a request names changes no pixel.
        words += ["--set", "output.paths=names"]
        words += ["--threads", str(self.threads)] if self.threads else []
        if await self.follow(job, words):
            await asyncio.to_thread(upload.packed, {"": job.out}, job.archive)
            job.end("done")

    async def follow(self, job: ServedJob, words: list[str]) -> bool:
        """Run a module of `medsynth.parent` within the limits of a job; whether it came to a good end.

        Args:
            job: takes progress and warnings, and ends if the module fails.
            words: name of the module, and its arguments.
        """
        job.state = "running"
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *words),
            stdin=pipe,
            stdout=pipe,
            stderr=asyncio.subprocess.STDOUT,
            cwd=job.folder,
            limit=LONGEST_LINE,
        )
        job.process = process
        watching = asyncio.create_task(self._watch(job, process))
        try:
            last = await _listen(job, process)
            code = await process.wait()
        finally:
            watching.cancel()
            await ended(process)
        if code != 0:
            job.end("failed", last or job.said or f"the synthesis ended with code {code}")
        return job.state == "running"

    async def _watch(self, job: ServedJob, process: asyncio.subprocess.Process) -> None:
        """End a job that takes more time or memory than it may."""
        until = time.monotonic() + 60 * self.limits.minutes
        while True:
            await asyncio.sleep(WATCH_S)
            used = await asyncio.to_thread(memory_of, process.pid)
            if used > self.limits.memory_bytes:
                most = self.limits.memory_bytes / 1e9
                job.end("failed", f"stopped: it took more than the {most:.1f} GB that a job may")
            elif time.monotonic() > until:
                job.end("failed", f"stopped after the {self.limits.minutes:g} minutes of a job")
            if job.state in ENDED:
                await ended(process)
                return

    async def _forget(self) -> None:
        while True:
            await asyncio.sleep(min(10.0, 6 * self.limits.keep_minutes))
            before = time.time() - 60 * self.limits.keep_minutes
            for job in list(self.jobs.values()):
                if job.ended is not None and job.ended < before:
                    await self.remove(job)


async def _listen(job: ServedJob, process: asyncio.subprocess.Process) -> str:
    """Follow what a job says; its last words that are no event."""
    last = ""
    assert process.stdout is not None
    while True:
        try:
            line = (await process.stdout.readline()).decode("utf-8", "replace")
        except ValueError:
            continue  # longer than any event
        if not line:
            return last
        event = _event(line)
        if event is None:
            last = line.strip() or last
        elif event["kind"] in ("stage", "progress"):
            keys = ("stage", "done", "total", "seconds_left")
            job.progress = {key: event[key] for key in keys if key in event}
        elif event["kind"] == "warning" and len(job.warnings) < MOST_WARNINGS:
            job.warnings.append(job.without_folders(str(event.get("message", ""))))
        elif event["kind"] == "result":
            job.said = job.without_folders(str(event.get("message", "")))
            job.data = event.get("data", {})
        elif event["kind"] == "error":
            last = str(event.get("message", "")).removeprefix("error: ")


def _event(line: str) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError):
        found = json.loads(line)
        if isinstance(found, dict) and "kind" in found:
            return found
    return None


async def ended(process: asyncio.subprocess.Process) -> None:
    """End a job's process: by its closed input, which takes its children along; else by force."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), GRACE_S)
    except asyncio.TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def memory_of(pid: int) -> int:
    """Resident bytes of a process and all that it started."""
    import psutil

    used = 0
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                used += process.memory_info().rss
    return used


def _same_kind(error: ValueError | OSError, words: str) -> Exception:
    """An error of the same kind for the caller, without the server's folders."""
    return upload.TooLarge(words) if isinstance(error, upload.TooLarge) else ValueError(words)

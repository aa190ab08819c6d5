"""The sessions behind the gateway: each a process of its own, a folder of its own, and an end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import secrets
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from medsynth.serve.jobs import JobLimits, ended, memory_of

START_S = 180.0  # a first start reads some hundred MB
WATCH_S = 1.0
SPARE_AFTER_S = 15.0  # the next one starts when the page of the last one is open: it takes a core


class NoMoreSessions(RuntimeError):
    """As many sessions as the server takes are open."""


@dataclass(frozen=True)
class SessionLimits:
    """What one gateway takes; documented in docs/web.md.

    `minutes` of a session, `idle_minutes` without a word from its browser, `gone_minutes` without a
    browser; `memory_bytes` of all its processes; `job` of what runs in it, uploads included.
    """

    sessions: int = 4
    minutes: float = 480.0
    idle_minutes: float = 60.0
    gone_minutes: float = 2.0
    memory_bytes: int = 16 << 30
    job: JobLimits = field(default_factory=JobLimits)


@dataclass(eq=False)
class Session:
    """One visitor's process and folder."""

    id: str
    key: str
    folder: Path
    process: asyncio.subprocess.Process
    port: int = 0
    begun: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)
    sockets: int = 0

    def why_over(self, limits: SessionLimits) -> str:
        """Why it must end now, or an empty text."""
        if self.process.returncode is not None:
            return "its process ended"
        now = time.monotonic()
        if now - self.begun > 60 * limits.minutes:
            return f"it lasted {limits.minutes:g} minutes"
        silent = limits.idle_minutes if self.sockets else limits.gone_minutes
        return f"nobody was there for {silent:g} minutes" if now - self.heard > 60 * silent else ""


class Sessions:
    """All sessions; one more is kept ready, so that a visitor hardly waits.

    Args:
        root: an empty folder for theirs, which only this user can enter.
        own: whether they are offered what belongs to this user: destinations, saved lesions.
    """

    def __init__(
        self, root: Path, limits: SessionLimits, *, threads: int | None = None, own: bool = False
    ) -> None:
        self.root, self.limits, self.threads, self.own = root, limits, threads, own
        self.open: dict[str, Session] = {}
        self.spare: asyncio.Task[Session] | None = None
        self.watch: asyncio.Task[None] | None = None
        self.admission = asyncio.Lock()
        self.hurry = asyncio.Event()  # somebody waits for the one that is to be ready

    def start(self) -> None:
        """Begin to keep one ready, and to watch."""
        self.spare = asyncio.create_task(self._begin())
        self.watch = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """End every session and remove every file."""
        if self.watch is not None:
            self.watch.cancel()
        spare, self.spare = self.spare, None
        if spare is not None:
            spare.cancel()  # it may still be starting, which takes as long as it takes
            (found,) = await asyncio.gather(spare, return_exceptions=True)
            if isinstance(found, Session):
                await self._end(found)
        await asyncio.gather(*(self.end(session) for session in list(self.open.values())))

    async def new(self) -> Session:
        """A session for one visitor.

        Raises:
            NoMoreSessions: there are as many as may be.
            RuntimeError: it could not be started.
        """
        async with self.admission:  # who waits for a start counts already
            if len(self.open) >= self.limits.sessions:
                raise NoMoreSessions(
                    f"{self.limits.sessions} sessions are open, which is as many as this server takes"
                )
            self.hurry.set()
            self.hurry = asyncio.Event()
            ready, self.spare = self.spare, asyncio.create_task(self._begin_later(self.hurry))
            assert ready is not None
            session = await ready
            if session.process.returncode is not None:
                await self._end(session)
                session = await self._begin()
            session.begun = session.heard = time.monotonic()
            self.open[session.id] = session
            return session

    async def end(self, session: Session) -> None:
        """End it, with everything it started, and remove its files."""
        self.open.pop(session.id, None)
        await self._end(session)

    async def _end(self, session: Session) -> None:
        await ended(session.process)
        await asyncio.to_thread(shutil.rmtree, session.folder, ignore_errors=True)

    async def _begin_later(self, hurry: asyncio.Event) -> Session:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(hurry.wait(), SPARE_AFTER_S)
        return await self._begin()

    async def _begin(self) -> Session:
        folder = self.root / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "medsynth.web.session"),
            stdin=pipe,
            stdout=pipe,
            cwd=folder,
            limit=1 << 20,
        )
        session = Session(secrets.token_urlsafe(24), secrets.token_urlsafe(32), folder, process)
        limits = dataclasses.asdict(self.limits.job)
        settings = {"folder": str(folder), "key": session.key, "threads": self.threads}
        settings["own"] = self.own
        assert process.stdin is not None
        process.stdin.write(json.dumps({**settings, "limits": limits}).encode() + b"\n")
        try:
            session.port = await asyncio.wait_for(_port(process), START_S)
        except asyncio.TimeoutError:
            await self._end(session)
            raise RuntimeError(f"a session did not start within {START_S:g} s") from None
        except BaseException:
            await self._end(session)
            raise
        return session

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            for session in list(self.open.values()):
                over = session.why_over(self.limits)
                used = await asyncio.to_thread(memory_of, session.process.pid)
                if over or used > self.limits.memory_bytes:
                    await self.end(session)


async def _port(process: asyncio.subprocess.Process) -> int:
    """What the session says first; the rest of what it says is let go."""
    said = []
    assert process.stdout is not None
    while line := (await process.stdout.readline()).decode("utf-8", "replace"):
        said.append(line.strip())
        if line.startswith('{"port"'):
            asyncio.get_running_loop().create_task(_let_go(process.stdout))
            return int(json.loads(line)["port"])
    last = next((words for words in reversed(said) if words), "it said nothing")
    raise RuntimeError(f"a session could not be started: {last}")


async def _let_go(stream: asyncio.StreamReader) -> None:
    while await stream.read(1 << 16):
        pass

"""One server: its folder, which nobody else can enter and nothing outlives, and its address."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from medsynth import http_server
from medsynth.serve.jobs import JobLimits
from medsynth.storage import partial


@dataclass(frozen=True)
class ServerPlace:
    """Where a server is: its address, who may enter, and its folder.

    Attributes:
        certificate: PEM files of certificate and key, for https.
        folder: where its files go while it runs; None: the system's folder for temporary files.
        threads: of each process that it starts; None: as many as are free.
        ready: called with the port once it can be reached.
    """

    token: str
    host: str
    port: int
    ready: Callable[[int], None]
    certificate: tuple[Path, Path] | None = None
    folder: Path | None = None
    threads: int | None = None

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[tuple[Path, socket.socket]]:
        """Its folder (see `kept`) and a socket that listens.

        Raises:
            OSError: the port is taken, or nothing can be written there.
        """
        base = Path(tempfile.gettempdir()) if self.folder is None else self.folder
        with kept(base, name) as root, http_server.listening(self.host, self.port) as listening:
            yield root, listening


def serve(limits: JobLimits, place: ServerPlace) -> None:
    """Serve until the process is stopped.

    Raises:
        OSError: the port is taken, or nothing can be written there.
    """
    from medsynth.serve.app import make_app

    with place.opened("medsynth-serve") as (root, opened):
        app = make_app(root, limits, token=place.token, threads=place.threads)
        place.ready(opened.getsockname()[1])
        http_server.run(app, opened, place.certificate, lifespan=True)


@contextlib.contextmanager
def kept(base: Path, name: str) -> Iterator[Path]:
    """A new folder in `base`, for this user alone, that is removed at the end, also after SIGKILL.

    Should its keeper be killed too, the next server of this name in `base` removes it.
    """
    # One name for all servers there, so that each finds what dead ones left.
    with _claimed_folder(base / name) as root:
        command = [sys.executable, "-m", "medsynth.serve.keeper", str(root)]
        keeper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        try:
            yield root
        finally:
            assert keeper.stdin is not None
            keeper.stdin.close()
            keeper.wait()


@contextlib.contextmanager
def _claimed_folder(target: Path) -> Iterator[Path]:
    number = 1
    with contextlib.ExitStack() as stack:
        while True:
            named = target.with_name(f"{target.name}-{number}")
            try:
                stack.enter_context(partial.claimed(named))
                break
            except BlockingIOError:
                number += 1  # another server has this one
        yield partial.make(named)

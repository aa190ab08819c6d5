"""Serves one study: one server at a time, loopback by default, until it is stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from medsynth import http_server
from medsynth.storage.lock import held
from medsynth.studies.reading.session import StudySession


def serve(
    folder: Path,
    *,
    host: str,
    port: int,
    certificate: tuple[Path, Path] | None = None,
    ready: Callable[[int], None],
) -> None:
    """Serve the study until the process is stopped; `ready(port)` once the page can be opened.

    Raises:
        BlockingIOError: it is being served already.
        OSError: the port is taken.
    """
    from medsynth.studies.reading.web import make_app

    session = StudySession(folder)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(folder / ".served"))
        except BlockingIOError as error:
            raise BlockingIOError(
                f"{folder} is being served already; use that page, or stop it first"
            ) from error
        opened = stack.enter_context(http_server.listening(host, port))
        app = make_app(session)
        ready(opened.getsockname()[1])
        http_server.run(app, opened, certificate, lifespan=False)

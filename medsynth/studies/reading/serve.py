"""Serves one study: one server at a time, loopback by default, until it is stopped."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from medsynth.storage.lock import held
from medsynth.studies.reading.session import StudySession


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches the address."""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


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
    import uvicorn

    from medsynth.studies.reading.web import make_app

    session = StudySession(folder)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(folder / ".served"))
        except BlockingIOError as error:
            raise BlockingIOError(
                f"{folder} is being served already; use that page, or stop it first"
            ) from error
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = stack.enter_context(socket.socket(family))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            raise OSError(
                error.errno, f"cannot listen on {host} port {port} ({error.strerror}); try --port 0"
            ) from error
        listening.listen(64)
        options: dict[str, Any] = {}
        if certificate is not None:
            options = {"ssl_certfile": certificate[0], "ssl_keyfile": certificate[1]}
        config = uvicorn.Config(
            make_app(session),
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="off",
            timeout_graceful_shutdown=3,
            **options,
        )
        ready(listening.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listening])

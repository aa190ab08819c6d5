"""One web application on one address: loopback or not, TLS or not, until the process is stopped."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches the address."""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens there; port 0 takes a free one.

    Raises:
        OSError: the port is taken, or the address is not this machine's.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host, port))
        except OSError as error:
            raise OSError(
                error.errno, f"cannot listen on {host} port {port} ({error.strerror}); try --port 0"
            ) from error
        opened.listen(64)
        yield opened


def run(
    app: Any, opened: socket.socket, certificate: tuple[Path, Path] | None, *, lifespan: bool
) -> None:
    """Serve the ASGI application until the process is stopped; `certificate` and its key make it https."""
    import uvicorn

    options: dict[str, Any] = {}
    if certificate is not None:
        options = {"ssl_certfile": certificate[0], "ssl_keyfile": certificate[1]}
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        lifespan="on" if lifespan else "off",
        timeout_graceful_shutdown=3,
        **options,
    )
    uvicorn.Server(config).run(sockets=[opened])

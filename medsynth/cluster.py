"""Joining a Ray cluster, or starting one on this computer; shared by whatever sends work there."""

from __future__ import annotations

import logging
import socket
from typing import Any
from urllib.parse import urlsplit

AUTO = "auto"
KNOCK_S = 10.0


def connect(ray: Any, address: str, *, threads: int) -> None:
    """Join the cluster at `address`; `auto` is that of RAY_ADDRESS, or a new one on this computer.

    Raises:
        OSError: there is none at `address`, or none can be started.
    """
    environment = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    options: dict[str, Any] = {
        "logging_level": logging.ERROR,
        "log_to_driver": False,
        "runtime_env": {"env_vars": environment},
    }
    try:
        if address != AUTO:
            _knock(address)  # Ray itself tries for minutes, and may never say that nobody is there
        ray.init(address=address, **options)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        if address != AUTO:
            said = " ".join(str(error).split())
            raise OSError(
                f"--ray: no Ray at {address} ({said[:200]}); start it, or use auto"
            ) from error
        _start(ray, options)


def _start(ray: Any, options: dict[str, Any]) -> None:
    """A Ray of its own on this computer.

    Raises:
        OSError: it does not come up, which Ray reports as an Exception without a class of its own.
    """
    try:
        ray.init(include_dashboard=False, **options)
    except Exception as error:
        said = " ".join(str(error).split())
        raise OSError(
            f"--ray: Ray could not be started on this computer ({said[:200]}); try again when it is "
            "less busy, or leave --ray out"
        ) from error


def _knock(address: str) -> None:
    """Whether anything listens at HOST:PORT or ray://HOST:PORT.

    Raises:
        OSError, ValueError: nothing does, or this is no address.
    """
    parts = urlsplit(address if "//" in address else f"//{address}")
    if not parts.hostname or not parts.port:
        raise ValueError("expected HOST:PORT or ray://HOST:PORT")
    socket.create_connection((parts.hostname, parts.port), timeout=KNOCK_S).close()

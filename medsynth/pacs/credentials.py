"""Passwords and tokens: read from the environment or a keyring when needed, kept nowhere."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from medsynth.pacs.destination import Destination


@dataclass(frozen=True)
class Credentials:
    """What goes into the Authorization header; never printed, logged or written."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


def variable(destination: Destination) -> str:
    """The environment variable that holds this destination's secret."""
    kind = {"basic": "PASSWORD", "bearer": "TOKEN"}[destination.auth]
    return f"MEDSYNTH_PACS_{destination.name.upper()}_{kind}"


def credentials_for(destination: Destination) -> Credentials | None:
    """The secret of `destination`, None when it needs none.

    Raises:
        PermissionError: it needs one and neither the environment nor a keyring has it.
    """
    if destination.auth == "none":
        return None
    secret = os.environ.get(variable(destination)) or _from_keyring(destination.name)
    if not secret:
        raise PermissionError(
            f"{destination.name} needs a {'password' if destination.user else 'token'}: set "
            f"{variable(destination)} in the environment or run: keyring set medsynth "
            f"{destination.name}"
        )
    if any(ord(character) < 32 or ord(character) == 127 for character in secret):
        # A line break would end the HTTP header; the library's message would quote the secret.
        raise PermissionError(f"the secret of {destination.name} holds a control character")
    if destination.auth == "basic":
        return Credentials(user=destination.user, password=secret)
    return Credentials(token=secret)


def _from_keyring(name: str) -> str | None:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return None
    try:
        return keyring.get_password("medsynth", name)
    except (KeyringError, RuntimeError, OSError):  # no keyring service on this machine
        return None

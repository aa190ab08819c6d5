"""The keys of the mark in the pixels: the product's own, which everybody can read, and the user's.

The product's key makes a mark that any copy of medsynth finds; who knows it can also take the mark
away. A key of your own (`MEDSYNTH_MARK_KEY`, the name of a file, or `mark.key` in medsynth's folder of
settings) makes one that only holders of that key find.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from medsynth.storage.files import new_file

VARIABLE = "MEDSYNTH_MARK_KEY"
SHORTEST, LONGEST = 16, 4096


@dataclass(frozen=True)
class MarkKey:
    """`secret` draws the pattern; `identifier` names it in records and gives nothing away."""

    name: str
    secret: bytes

    @property
    def identifier(self) -> str:
        """16 hexadecimal digits."""
        return hashlib.sha256(b"medsynth mark key\0" + self.secret).hexdigest()[:16]


PRODUCT = MarkKey("product", b"medsynth: this image is synthetic (mark 1)")


def key_file() -> Path:
    """Where a key of this user lies, if there is one."""
    return settings_file(VARIABLE, "mark.key")


def settings_file(variable: str, name: str) -> Path:
    """What an environment variable names, else a file in medsynth's folder of settings."""
    named = os.environ.get(variable)
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "medsynth" / name


def own_key() -> MarkKey | None:
    """The user's key; None where there is none.

    Raises:
        FileNotFoundError: `MEDSYNTH_MARK_KEY` names a file that is not there.
        ValueError: the file is no key.
    """
    path = key_file()
    if not path.is_file():
        if os.environ.get(VARIABLE):
            raise FileNotFoundError(
                f"{VARIABLE} names {path}, which is no file; make one with "
                "`medsynth verify --new-key`, or unset it"
            )
        return None
    with path.open("rb") as file:
        secret = file.read(LONGEST + 1).strip()
    if not SHORTEST <= len(secret) <= LONGEST:
        raise ValueError(
            f"{path}: a key has {SHORTEST} to {LONGEST} bytes, got {len(secret)}; make one with "
            "`medsynth verify --new-key`"
        )
    return MarkKey("own", secret)


def writing_key() -> MarkKey:
    """What images are marked with: the user's key, else the product's."""
    return own_key() or PRODUCT


def reading_keys() -> tuple[MarkKey, ...]:
    """What marks are looked for with."""
    own = own_key()
    return (PRODUCT,) if own is None else (PRODUCT, own)


def make_key() -> Path:
    """A new random key of this user, which no other user can read.

    Raises:
        FileExistsError: there is one: what was marked with it could not be found any more.
    """
    path = key_file()
    if path.exists():
        raise FileExistsError(
            f"{path} is there already; images are marked with it. Keep it, or move it away first"
        )
    write_secret(path, secrets.token_hex(32) + "\n")
    return path


def write_secret(path: Path, text: str) -> None:
    """A new file that no other user can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path) as partial:
        partial.touch(mode=0o600)
        partial.write_text(text, encoding="ascii")

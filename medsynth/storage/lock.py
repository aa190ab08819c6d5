"""A lock file that the operating system frees when its holder dies, also by SIGKILL."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


@contextmanager
def held(path: Path, *, remove: bool = False) -> Iterator[None]:
    """Hold `path` exclusively; with `remove` the file goes at the end.

    Raises:
        BlockingIOError: another process (or thread) holds it.
        OSError: the file cannot be made, or this file system has no locks.
    """
    descriptor = _take(path)
    try:
        yield
    finally:
        # Before it is freed, so that who waits for the old file sees that it is gone.
        if remove and os.name != "nt":
            path.unlink(missing_ok=True)
        os.close(descriptor)
        if remove and os.name == "nt":  # Windows deletes no open file
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _take(path: Path) -> int:
    """A locked descriptor of the file that lies at `path`, not of one that was just removed."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    while True:
        descriptor = os.open(path, flags, 0o600)
        try:
            _lock(descriptor, path)
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _lock(descriptor: int, path: Path) -> None:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in HELD:
            raise BlockingIOError(f"{path} is held by another process") from error
        raise OSError(error.errno, f"cannot lock {path}: {error.strerror}") from error

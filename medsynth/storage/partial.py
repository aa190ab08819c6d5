"""A folder or file in the making: hidden beside its target, swept when its maker is dead.

A folder has one maker at a time; of a file the last writer wins.

`.OUT.medsynth-lock`    held by the run that makes OUT; the kernel frees it when that run dies
`.OUT.partial-xxxxxxxx` what it has written so far, for its user alone
`.OUT.earlier-xxxxxxxx` the earlier OUT, for the moment between two renames
`.partial-xxxxxxxx-FILE` a file that is being written; its lock has `.medsynth-lock` behind it

A run removes its lock at the end. One that lies there and is free belonged to a run that was killed;
without that evidence nothing is ever removed.
"""

from __future__ import annotations

import contextlib
import errno
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from medsynth.storage.lock import held

LOCK = ".medsynth-lock"
FILE = re.compile(r"partial-[0-9a-f]{8}-.+")
# File systems without locks: a run there works as ever, and sweeps nothing.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)


@contextlib.contextmanager
def claimed(target: Path) -> Iterator[None]:
    """Nobody else makes `target` until the block ends; what dead runs left beside it is removed.

    Parents that are missing are made, and removed if they are empty at the end.

    Raises:
        BlockingIOError: another run is making `target` now.
        OSError: nothing can be written beside `target`.
    """
    with contextlib.ExitStack() as stack:
        stack.callback(_remove_empty, [p for p in target.parents if not p.exists()])
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with _where_there_are_locks():
                stack.enter_context(held(_lock_of(target), remove=True))
                _bury(target)
                sweep(target.parent)
        except BlockingIOError as error:
            raise BlockingIOError(
                f"another run is writing {target} now; wait until it has ended, or choose another "
                "folder"
            ) from error
        yield


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Nobody else works on what lies in `folder`, which is made, until the block ends.

    Raises:
        BlockingIOError: another run does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            with _where_there_are_locks():
                stack.enter_context(held(folder / LOCK, remove=True))
        except BlockingIOError:
            raise BlockingIOError(
                f"another run is working on {folder} now; wait until it has ended, or stop it"
            ) from None
        yield


@contextlib.contextmanager
def file_beside(target: Path) -> Iterator[Path]:
    """The hidden path, of the same suffix, to write a file to; what is there at the end is removed.

    What dead writers left in the folder is removed too.
    """
    # Not the whole name: a file system takes 255 bytes of it.
    name = f"partial-{secrets.token_hex(4)}-{target.name[-40:]}"
    hidden = target.with_name(f".{name}")
    with contextlib.ExitStack() as stack:
        with _where_there_are_locks():
            stack.enter_context(held(_lock_of(target.with_name(name)), remove=True))
            sweep(target.parent)
        stack.callback(hidden.unlink, missing_ok=True)
        yield hidden


def make(target: Path) -> Path:
    """A new hidden folder beside `target` that only this user can enter."""
    return Path(tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=target.parent))


def earlier(partial: Path) -> Path:
    """Where what `partial` replaces goes, for the moment."""
    return partial.with_name(partial.name.replace(".partial-", ".earlier-"))


def sweep(folder: Path) -> None:
    """Remove what killed runs left in `folder`; what belongs to a living run stays."""
    for lock in folder.glob(f".*{LOCK}"):
        # BlockingIOError: its run is alive. PermissionError: it is another user's.
        with contextlib.suppress(OSError), held(lock, remove=True):
            _bury(lock.with_name(lock.name[1 : -len(LOCK)]))


@contextlib.contextmanager
def _where_there_are_locks() -> Iterator[None]:
    """What needs a lock: on a file system without any, the rest of the block is left out."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _lock_of(target: Path) -> Path:
    return target.with_name(f".{target.name}{LOCK}")


def _bury(target: Path) -> None:
    """What a dead run for `target` left; an earlier result that it had moved away comes back."""
    if FILE.fullmatch(target.name):
        target.with_name(f".{target.name}").unlink(missing_ok=True)
        return
    ours = re.compile(rf"\.{re.escape(target.name)}\.(partial|earlier)-\w{{8}}")
    for path in sorted(target.parent.glob(".*")):
        match = ours.fullmatch(path.name)
        if match is None or path.is_symlink() or not path.is_dir():
            continue
        if match[1] == "earlier" and not target.exists():
            path.rename(target)
        else:
            shutil.rmtree(path, ignore_errors=True)

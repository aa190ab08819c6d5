"""A file appears complete, or not at all: what everything else in this program writes files with.

It is written under a hidden name beside its own, and renamed at the end. Whatever stops the writer on
the way removes it; what a killed writer left, the next write to the same folder removes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from medsynth.storage import partial


@contextlib.contextmanager
def new_file(path: Path | str, *, overwrite: bool = False) -> Iterator[Path]:
    """`with new_file(path) as partial:` write `partial`, of the same suffix; it becomes `path`.

    Raises:
        FileExistsError: `path` is there and `overwrite` is false, or is a folder.
        FileNotFoundError: the folder to write in is not there.
        OSError: the disk is full, or the folder cannot be written in.
    """
    path = check_new_file(path, overwrite=overwrite)
    try:
        with partial.file_beside(path) as hidden:
            yield hidden
            os.replace(hidden, path)
    except OSError as error:
        words = f"cannot write {path}: {error.strerror or error}"
        raise (OSError(error.errno, words) if error.errno else OSError(words)) from error


def check_new_file(path: Path | str, *, overwrite: bool = False) -> Path:
    """Refuse a file that `new_file` could not make, before any work is done; its absolute path.

    Raises:
        FileExistsError, FileNotFoundError, PermissionError: see `new_file`.
    """
    path = Path(path).expanduser().absolute()
    if path.is_dir():
        raise FileExistsError(f"{path} is a folder, expected a file to make")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name, or replace it with --overwrite")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: the folder {path.parent} is not there")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write {path}: no permission to write in {path.parent}")
    return path


def replace_text(path: Path, text: str) -> None:
    """Write `text`, so that a reader meets the old file or the new one, never a part."""
    with new_file(path, overwrite=True) as hidden:
        hidden.write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def relocate(source: Path, target: Path) -> None:
    """`source`, a file or a folder, lies at `target` from now on, also on another file system.

    Raises:
        OSError: it cannot be; what was copied until then may be left at `target`.
    """
    shutil.move(source, target)


def move(source: Path, target: Path) -> None:
    """`source` is called `target` from now on, in one step; both are on one file system.

    Raises:
        OSError: it cannot be, such as where `target` is a folder with files in it.
    """
    os.rename(source, target)

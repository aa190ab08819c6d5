"""A folder that is filled in several runs: hidden until it is complete, gone on with after a kill."""

from __future__ import annotations

import contextlib
import errno
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from medsynth.storage import partial as making
from medsynth.storage.folders import is_disk_full


@contextlib.contextmanager
def growing_folder(target: Path | str) -> Iterator[Path]:
    """`with growing_folder(target) as folder:` fill `folder`; it becomes `target` at the end.

    Whatever stops the block on the way leaves the hidden folder, and the next run finds in it what was
    done. An earlier `target` stays until the new one is complete.

    Raises:
        BlockingIOError: another run fills it now.
        OSError: (ENOSPC) the disk is full; what is whole so far stays, hidden.
    """
    target = Path(target).expanduser().absolute()
    with making.claimed(target):
        folder = target.with_name(f".{target.name}.unfinished")
        folder.mkdir(exist_ok=True)
        try:
            yield folder
        except Exception as error:
            if not is_disk_full(error, folder):
                raise
            raise OSError(
                errno.ENOSPC,
                f"the disk is full: {target} is not finished; make room and run the same command "
                f"again, which goes on from {folder}",
            ) from error
        _put_in_place(folder, target)


def _put_in_place(folder: Path, target: Path) -> None:
    """Rename `folder` to `target`; a kill between the two renames brings the earlier one back."""
    if not target.exists():
        folder.rename(target)
        return
    earlier = target.with_name(f".{target.name}.earlier-{secrets.token_hex(4)}")
    target.rename(earlier)
    folder.rename(target)
    shutil.rmtree(earlier, ignore_errors=True)

"""The OUT folder of a synthesis: it appears complete, or not at all.

Everything is written into a hidden sibling, `.OUT.partial-xxxx`, which is renamed at the end. Whatever
stops the run on the way (an error, Ctrl-C, a full disk) removes it; what a killed run leaves, the next
one beside it removes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

from medsynth.storage import partial as making

# Names that a run leaves in OUT; a folder that holds anything else is never replaced.
CONTENTS = (
    *("image.nrrd", "pathology_*.nrrd", "label_*.nrrd", "dicom", "request.yaml", "result.json"),
    *("preview.png", "report.html"),
    *("audit.json", "audit.png"),  # by `medsynth audit`, later
)
FULL = (errno.ENOSPC, errno.EDQUOT)
# Below this much free space a write that failed for an unclear reason failed for want of space.
NEARLY_FULL_BYTES = 1 << 20


class OutputFolder:
    """`with OutputFolder(out, needed_bytes=n) as folder:` write into `folder`; it becomes `out`.

    Args:
        out: the folder to make; missing parents are made too, and removed if the run fails.
        needed_bytes: what the run will write, checked against the free space beforehand.
        overwrite: replace `out` if it is an earlier result; the earlier one stays until the new one is
            complete.
        contents: patterns of names, besides `CONTENTS`, that a result may hold.

    One run at a time makes `out`: `with folder.claimed():` before the work begins keeps others away,
    so that they are refused at their start and not at their end.

    Raises:
        BlockingIOError: another run is making `out` now.
        FileExistsError: `out` exists and is not empty, or is not a folder; with `overwrite`, it holds
            files that no run writes.
        PermissionError: `out` cannot be made there.
        OSError: (ENOSPC) the disk has too little room, beforehand or while writing.
    """

    def __init__(
        self,
        out: Path | str,
        *,
        needed_bytes: int = 0,
        overwrite: bool = False,
        contents: Iterable[str] = (),
    ):
        self.given = out
        self.contents = tuple(contents)
        self.out = Path(out).expanduser().resolve()
        self.needed_bytes = needed_bytes
        self.overwrite = overwrite

        self._is_claimed = False

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """No other run makes `out` until the block ends; parents made for it go if it was not made."""
        with contextlib.ExitStack() as stack:
            self._claim(stack)
            yield

    def _claim(self, stack: contextlib.ExitStack) -> None:
        self.check()
        try:
            stack.enter_context(making.claimed(self.out))
        except BlockingIOError:
            raise
        except OSError as error:
            raise _cannot_make(self.out, error) from error
        self._is_claimed = True
        stack.callback(setattr, self, "_is_claimed", False)
        self.check()  # a killed run's earlier result may have come back

    def check(self) -> None:
        """Refuse now what could not be published later; see `check_output`."""
        check_output(
            self.out,
            needed_bytes=self.needed_bytes,
            overwrite=self.overwrite,
            contents=self.contents,
        )

    def __enter__(self) -> Path:
        with contextlib.ExitStack() as stack:
            if not self._is_claimed:
                self._claim(stack)
            self.check()
            try:
                self._partial = making.make(self.out)
            except OSError as error:
                raise _cannot_make(self.out, error) from error
            self._stack = stack.pop_all()
        return self._partial

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        with self._stack:
            if error is None:
                self._publish()
                return
            full = isinstance(error, Exception) and is_disk_full(error, self._partial)
            self._discard()
        if full:
            raise _no_room(self.out, self.needed_bytes, "the disk is full") from error

    def _publish(self) -> None:
        """Rename the partial folder to `out`; an earlier result goes only once that has worked."""
        try:
            check_output(self.out, overwrite=self.overwrite, contents=self.contents)
            self._partial.chmod(0o777 & ~_umask())  # until now it was for its user alone
            self._replace()
        except BaseException:
            self._discard()
            raise

    def _replace(self) -> None:
        earlier = making.earlier(self._partial)
        if self.out.exists():
            self.out.rename(earlier)
        try:
            self._partial.rename(self.out)
        except BaseException:
            if earlier.exists():
                earlier.rename(self.out)
            raise
        shutil.rmtree(earlier, ignore_errors=True)

    def _discard(self) -> None:
        shutil.rmtree(self._partial, ignore_errors=True)


@contextlib.contextmanager
def new_folder(folder: Path, *, private: bool = False) -> Iterator[Path]:
    """A hidden folder to write into that becomes `folder` when the block ends well, else vanishes.

    `private`: it stays for its user alone.

    Raises:
        FileExistsError: `folder` has files in it, or is none; two series must not mix.
        BlockingIOError: another run is making it now.
    """
    _check_free(folder)
    with making.claimed(folder):
        partial = making.make(folder)
        try:
            yield partial
            _check_free(folder)
            if not private:
                partial.chmod(0o777 & ~_umask())
            if folder.exists():
                folder.rmdir()
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _check_free(folder: Path) -> None:
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir() or any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not an empty folder; choose a new one")


def check_output(
    out: Path | str,
    *,
    needed_bytes: int = 0,
    overwrite: bool = False,
    contents: Iterable[str] = (),
) -> None:
    """Refuse an `out` that `OutputFolder` could not make, before any work is done; writes nothing.

    Raises:
        FileExistsError, PermissionError, OSError: see `OutputFolder`.
    """
    out = Path(out).expanduser().resolve()
    if out.exists():
        _check_existing(out, overwrite=overwrite, contents=(*CONTENTS, *contents))
    parent = next(p for p in out.parents if p.exists())
    if not parent.is_dir():
        raise FileExistsError(f"cannot make {out}: {parent} is a file; choose another folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(
            errno.EACCES, f"cannot make {out}: no permission to write in {parent}; choose another"
        )
    if needed_bytes > shutil.disk_usage(parent).free:
        raise _no_room(out, needed_bytes, "not enough room")


def check_outside(out: Path | str, folders: Iterable[Path]) -> None:
    """Refuse an `out` in one of `folders`, from which the run reads: it would be read as input next.

    Raises:
        FileExistsError: `out` is one of them, or lies in one.
    """
    out = Path(out).expanduser().resolve()
    for folder in folders:
        if folder.resolve() in (out, *out.parents):
            raise FileExistsError(
                f"{out} lies in {folder}, from which the request reads: the next run would read "
                "synthetic images as the reference; choose a folder outside it"
            )


def _check_existing(out: Path, *, overwrite: bool, contents: Iterable[str]) -> None:
    if not out.is_dir():
        raise FileExistsError(f"{out} is a file, expected a folder to make; choose another name")
    if os.path.ismount(out):
        raise FileExistsError(f"{out} is a mount point; choose a folder in it, such as {out}/run1")
    names = sorted(entry.name for entry in out.iterdir())
    if names and not overwrite:
        raise FileExistsError(
            f"{out} exists and is not empty; choose another folder, or replace it with --overwrite"
        )
    foreign = [name for name in names if not any(fnmatch(name, known) for known in contents)]
    if foreign:
        raise FileExistsError(
            f"{out} is not replaced: it holds {foreign[0]}, which is not part of a result; "
            "choose another folder"
        )


def is_disk_full(error: Exception, folder: Path) -> bool:
    """Whether `error` comes from a full disk; SimpleITK and others do not pass the errno on."""
    if getattr(error, "errno", None) in FULL:
        return True
    return shutil.disk_usage(folder).free < NEARLY_FULL_BYTES


def _no_room(out: Path, needed_bytes: int, what: str) -> OSError:
    free = shutil.disk_usage(next(p for p in out.parents if p.exists())).free
    need = f"needs {_megabytes(needed_bytes)}, " if needed_bytes else ""
    return OSError(
        errno.ENOSPC,
        f"{what} for {out}: {need}{_megabytes(free)} free; make room, or choose another disk",
    )


def _cannot_make(out: Path, error: OSError) -> OSError:
    """`error` with a message that names `out`; OSError picks its subclass by the errno."""
    return OSError(
        error.errno, f"cannot make {out}: {error.strerror} in {out.parent}; choose another folder"
    )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current

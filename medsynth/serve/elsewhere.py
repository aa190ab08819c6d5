"""`medsynth synthesize --server`: a request runs on a `medsynth serve`, and OUT appears here as if it had run here."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from medsynth import __version__
from medsynth.domains.methods import exported_files
from medsynth.events import Event, Listener
from medsynth.request import Request
from medsynth.request.files import named_paths, to_dict, with_files
from medsynth.serve import upload
from medsynth.serve.client import Server, ServerGoneError, ServerRefusedError, new_job
from medsynth.storage.files import move
from medsynth.storage.folders import OutputFolder

POLL_S = 0.5
SILENT_S = 20.0  # a server that is silent for longer is gone
LARGEST_RESULT = 64 << 30
HEADERS_ALONE = (".mhd", ".nhdr", ".hdr")  # their pixels are in a second file
NOT_FOUND = 404


def synthesize(
    request: Request, out: Path, server: Server, *, overwrite: bool, listener: Listener
) -> None:
    """Send `request` with the files that it names, wait, and write the result to `out`.

    The server's copy of both is removed at the end, however that comes.

    Raises:
        ValueError: the server refuses the request or cannot run it; says why.
        ServerGoneError: it does not answer, or no longer.
        FileExistsError, OSError: OUT cannot be made.
    """
    folder = OutputFolder(out, overwrite=overwrite, contents=exported_files())
    with folder.claimed(), tempfile.TemporaryDirectory(prefix="medsynth-sent-") as kept:
        _compare_versions(server, listener)
        packed, zipped = Path(kept) / "job.zip", Path(kept) / "result.zip"
        pack(request, packed)
        job = new_job()
        try:
            server.submit(packed, job, progress=_counter("sending", listener))
            _follow(server, job, listener)
            server.fetch(job, zipped, progress=_counter("fetching", listener))
        finally:
            # A server that is gone removes the job by itself when its time is over.
            with contextlib.suppress(ServerGoneError, ServerRefusedError):
                server.remove(job)
        _write(zipped, folder)
    listener(Event("result", message=f"{out}: made by {server.address}"))


def pack(request: Request, target: Path) -> None:
    """A zip file of the request and every file that it names, under names that say nothing of this computer.

    Raises:
        ValueError: a file that cannot be sent.
    """
    names: dict[str, str] = {}
    with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, path in enumerate(dict.fromkeys(named_paths(request)), start=1):
            names[str(path)] = f"files/{number:02d}{''.join(path.suffixes[-2:])}"
            for file, name in _files(path, names[str(path)]):
                archive.write(file, name)
        content = _renamed(to_dict(with_files(request)), names)
        archive.writestr("request.json", json.dumps(content))


def _files(path: Path, name: str) -> Iterator[tuple[Path, str]]:
    if path.suffix.lower() in HEADERS_ALONE:
        raise ValueError(
            f"{path} keeps its pixels in a second file, which is not sent; convert it to one file "
            "(.nrrd, .nii.gz)"
        )
    if path.is_file():
        yield path, name
        return
    inside = sorted(file for file in path.rglob("*") if file.is_file())
    for number, file in enumerate(inside, start=1):
        yield file, f"{name}/{number:05d}{file.suffix}"


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(entry, names) for key, entry in value.items()}
    if isinstance(value, list):
        return [_renamed(entry, names) for entry in value]
    return names.get(value, value) if isinstance(value, str) else value


def _compare_versions(server: Server, listener: Listener) -> None:
    there = str(server.about().get("medsynth", "unknown"))
    if there != __version__:
        words = f"{server.address} has medsynth {there}, this computer {__version__}"
        listener(Event("warning", message=f"{words}; the image may differ from one made here"))


def _counter(stage: str, listener: Listener) -> Callable[[int, int], None]:
    """Bytes as megabytes, for people."""

    def said(done: int, total: int) -> None:
        listener(Event("progress", stage=f"{stage} MB", done=done >> 20, total=max(total >> 20, 1)))

    return said


def _follow(server: Server, job: str, listener: Listener) -> None:
    """Until the job is done; hands on what it says."""
    warned, said, heard = 0, None, time.monotonic()
    while True:
        try:
            found = server.job(job)
            heard = time.monotonic()
        except ServerGoneError as error:
            if time.monotonic() - heard > SILENT_S:
                raise ServerGoneError(
                    f"{error}; it is gone in the middle of the run, and nothing was written. Run again, or "
                    "choose this computer"
                ) from None
            time.sleep(POLL_S)
            continue
        except ServerRefusedError as error:
            if error.status != NOT_FOUND:
                raise
            raise ServerGoneError(
                f"{server.address} no longer knows the run; it was started anew, or the run was canceled "
                "there. Nothing was written; run again"
            ) from None
        for words in found.get("warnings", [])[warned:]:
            listener(Event("warning", message=str(words)))
            warned += 1
        if (now := (found.get("state"), found.get("progress"))) != said:
            said = now
            _say(found, listener)
        if found.get("state") == "done":
            return
        if found.get("state") in ("failed", "canceled"):
            raise ValueError(
                f"{server.address}: {found.get('error') or 'the run was canceled there'}"
            )
        time.sleep(POLL_S)


def _say(found: dict[str, Any], listener: Listener) -> None:
    progress = found.get("progress") or {}
    if found.get("state") == "waiting":
        listener(Event("stage", stage="waiting for the server's other jobs"))
    elif progress.get("total"):
        keys = ("stage", "done", "total", "seconds_left")
        listener(Event("progress", **{key: progress[key] for key in keys if key in progress}))
    elif progress.get("stage"):
        listener(Event("stage", stage=progress["stage"]))


def _write(zipped: Path, folder: OutputFolder) -> None:
    with folder as partial:
        upload.unpack(zipped, partial / "result", LARGEST_RESULT)
        zipped.unlink()
        for path in (partial / "result").iterdir():
            move(path, partial / path.name)
        (partial / "result").rmdir()

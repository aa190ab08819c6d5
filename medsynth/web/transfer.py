"""Files between the browser and its session: images in, results out."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import BodyPartReader, web

from medsynth.serve import upload

MOST_FILES = upload.MOST_FILES
# Not the formats of two files, which find one another by their names: no name is kept.
ENDINGS = (".nii", ".nii.gz", ".nrrd", ".mha", ".png", ".jpg", ".jpeg", ".dcm", ".ima", ".zip")
PARTS = {"dicom": "dicom/", "nifti": ".nii.gz"}


def add_routes(app: web.Application, desk: Any) -> None:
    """The routes of one session."""

    async def receive(request: web.Request) -> web.Response:
        """Files of one image; says in JSON what is wrong with them."""
        try:
            folder = await received(request, desk.folder, desk.runs.jobs.limits.upload_bytes)
            await desk.anatomy.open(folder)
            return web.json_response({})
        except (ValueError, RuntimeError, OSError) as error:
            words = desk.without_folders(str(error))
            desk.fail(words)
            return web.json_response({"error": words}, status=422)
        finally:
            desk.state.flush()

    async def give(request: web.Request) -> web.StreamResponse:
        """A result, or a part of it, as one file."""
        what = request.match_info["what"]
        entry = _entry(request)
        name = f"synthetic_{file_name(entry.name)}_{what}.zip"
        if what == "all":  # packed when it was made
            return _attached(entry.job.archive, name)
        return await _packed({"": entry.job.out}, name, PARTS[what])

    async def give_kept(_: web.Request) -> web.StreamResponse:
        """All results that are kept, each in a folder of its name."""
        kept = {number: entry for number, entry in desk.shelf.results.items() if entry.kept}
        if not kept:
            raise web.HTTPNotFound(text="no result is kept")
        folders = {f"{n:02d}_{file_name(e.name)}/": e.job.out for n, e in sorted(kept.items())}
        return await _packed(folders, "synthetic_kept.zip")

    async def report(request: web.Request) -> web.StreamResponse:
        return _attached(_entry(request).job.out / "report.html", "report.html")

    async def _packed(folders: dict[str, Path], name: str, part: str = "") -> web.StreamResponse:
        file = desk.folder / f"{secrets.token_hex(8)}.zip"
        await asyncio.to_thread(upload.packed, folders, file, part=part)
        return _attached(file, name, remove=True)

    async def give_plan(_: web.Request) -> web.StreamResponse:
        """The plan of a data set, with the images that it names."""
        try:
            folder = desk.batch.write()
        except ValueError as error:
            raise web.HTTPNotFound(text=str(error)) from None
        return await _packed({"plan/": folder}, "synthetic_set_plan.zip")

    def _entry(request: web.Request) -> Any:
        number = int(request.match_info["number"])
        if number not in desk.shelf.results:
            raise web.HTTPNotFound(text="no such result; it may have been discarded")
        return desk.shelf.results[number]

    app.router.add_post("/upload", receive)
    app.router.add_get(r"/results/{number:\d{1,6}}/report.html", report)
    app.router.add_get(r"/results/{number:\d{1,6}}/{what:dicom|nifti|all}.zip", give)
    app.router.add_get("/results/kept.zip", give_kept)
    app.router.add_get("/plan.zip", give_plan)


def file_name(name: str) -> str:
    """A result's name as a part of the name of a file."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", name).strip("_") or "result"


def _attached(path: Path, name: str, *, remove: bool = False) -> web.StreamResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    response = web.FileResponse(path, headers=headers)
    if remove:
        asyncio.get_running_loop().call_later(600, lambda: path.unlink(missing_ok=True))
    return response


async def received(request: web.Request, base: Path, most: int) -> Path:
    """The uploaded files in a new folder, under names of our own.

    Raises:
        TooLarge: more bytes than the server takes, packed or unpacked.
        ValueError: it holds something that is no image by its name, or nothing.
    """
    folder = base / f"upload_{secrets.token_hex(8)}"
    folder.mkdir(mode=0o700)
    try:
        left, number = most, 0
        async for part in _files(request):
            number += 1
            if number > MOST_FILES:
                raise ValueError(f"more than {MOST_FILES:,} files")
            ending = ending_of(part.filename or "")
            file = folder / f"{number:05d}{ending}"
            await upload.receive(_blocks(part), file, left)
            left -= file.stat().st_size
            if ending == ".zip":
                inside = folder / f"{number:05d}"
                left -= await asyncio.to_thread(upload.unpack, file, inside, left)
                file.unlink()
        if number == 0:
            raise ValueError("nothing was uploaded")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


async def _files(request: web.Request) -> AsyncIterator[BodyPartReader]:
    if not request.content_type.startswith("multipart/form-data"):
        raise ValueError("expected the files of a form")
    async for part in await request.multipart():
        if isinstance(part, BodyPartReader) and part.filename is not None:
            yield part


async def _blocks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while block := await part.read_chunk(upload.BLOCK):
        yield block


def ending_of(name: str) -> str:
    """What a name ends with, where it is the name of an image; the rest of the name is never used.

    Raises:
        ValueError: it names something else.
    """
    plain = name.replace("\\", "/").rpartition("/")[2].lower()
    endings = [e for e in sorted(ENDINGS, key=len, reverse=True) if plain.endswith(e)]
    if endings:
        return endings[0]
    # Files of a DICOM series often have none, or the last number of an identifier.
    if "." not in plain or re.fullmatch(r"[\w.-]*\.\d+", plain):
        return ""
    raise ValueError(
        f"{name[-80:]!r} is none of the kinds that can be opened: DICOM, NIfTI, NRRD, MetaImage, PNG, JPEG, "
        "or a zip file of them"
    )

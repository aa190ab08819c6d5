"""What comes in: a request by itself, or a zip file of a request and the images that it names."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from medsynth.request.files import read_mapping
from medsynth.storage.files import new_file

REQUEST_NAMES = ("request.yaml", "request.json")
TYPES = {
    "application/zip": "upload.zip",
    "application/yaml": "request.yaml",
    "application/json": "request.json",
}
MOST_FILES = 10_000
BLOCK = 1 << 20


class TooLarge(ValueError):
    """More bytes than the server takes."""


async def receive(stream: AsyncIterator[bytes], path: Path, most: int) -> None:
    """Write a body to `path`.

    Raises:
        TooLarge: it has more than `most` bytes.
    """
    received = 0
    with path.open("xb") as file:
        async for block in stream:
            received += len(block)
            if received > most:
                raise TooLarge(f"the upload has more than {most:,} bytes, which this server takes")
            file.write(block)


def unpacked(path: Path, most: int) -> Path:
    """The request's file; a zip file is unpacked beside it and removed.

    Raises:
        TooLarge: it unpacks to more than `most` bytes.
        ValueError: no zip file, without a request, or with names that lead elsewhere.
    """
    if path.name in REQUEST_NAMES:
        return path
    folder = path.parent
    unpack(path, folder / "files", most)
    path.unlink()
    found = [folder / "files" / name for name in REQUEST_NAMES]
    found = [file for file in found if file.is_file()]
    if len(found) != 1:
        raise ValueError(f"the zip file must hold one of {' and '.join(REQUEST_NAMES)} at its top")
    return found[0]


def unpack(path: Path, folder: Path, most: int) -> int:
    """Unpack a zip file into a new folder; gives the number of bytes.

    Raises:
        TooLarge: it unpacks to more than `most` bytes.
        ValueError: no zip file, or with names that lead elsewhere.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _unpack(archive, folder, most)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise ValueError(f"the upload is no zip file that can be read: {error}") from None


def _unpack(archive: zipfile.ZipFile, folder: Path, most: int) -> int:
    entries = archive.infolist()
    if len(entries) > MOST_FILES:
        raise ValueError(f"the zip file holds {len(entries):,} files, at most {MOST_FILES:,}")
    folder.mkdir()
    left = most
    for entry in entries:
        target = folder / _safe(entry)
        if entry.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            # What the entry says of its size may be a lie: what comes out is counted.
            with archive.open(entry) as packed, target.open("xb") as file:
                while block := packed.read(min(BLOCK, left + 1)):
                    left -= len(block)
                    if left < 0:
                        raise TooLarge(f"the zip file unpacks to more than {most:,} bytes")
                    file.write(block)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise ValueError(f"the zip file holds {entry.filename!r} twice") from None
    return most - left


def _safe(entry: zipfile.ZipInfo) -> PurePosixPath:
    """The name of an entry, if it stays inside.

    Raises:
        ValueError: it does not, or it is a link.
    """
    name = PurePosixPath(entry.filename)
    if _leads_elsewhere(entry.filename) or not name.parts or len(entry.filename) > 1000:
        raise ValueError(
            f"the zip file holds the name {entry.filename[:80]!r}, which leads elsewhere"
        )
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ValueError(f"the zip file holds a link or device, {entry.filename[:80]!r}")
    return name


def _leads_elsewhere(text: str) -> bool:
    """Whether a text, read as a path, would leave the folder that it starts at."""
    parts = text.replace("\\", "/").split("/")
    drive = len(text) > 1 and text[1] == ":" and text[0].isalpha()
    return text.startswith(("/", "\\", "~")) or drive or ".." in parts or "\0" in text


def check_paths(request: Path) -> dict[str, Any]:
    """The keys of a request none of whose texts leads out of the upload.

    Raises:
        ValueError: one does; the server's own files are nobody's to read.
    """
    raw = read_mapping(request)
    for at, text in _texts(raw, ""):
        if _leads_elsewhere(text):
            raise ValueError(
                f"{at}: {text[:80]!r} leads out of the upload; put the file into the zip file and name "
                "it relative to the request"
            )
    return raw


def _texts(value: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _texts(entry, f"{at}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _texts(entry, f"{at}[{index}]")
    elif isinstance(value, str):
        yield at, value


def packed(folders: Mapping[str, Path], target: Path, *, part: str = "") -> None:
    """Folders as one zip file.

    Not compressed: NRRD and DICOM are already.

    Args:
        folders: each by what its names begin with in the zip file, such as `a/`.
        part: only the files whose name in their folder begins or ends so.
    """
    with new_file(target) as partial, zipfile.ZipFile(partial, "w", allowZip64=True) as archive:
        for prefix, folder in folders.items():
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                name = file.relative_to(folder).as_posix()
                if name.startswith(part) or name.endswith(part):
                    archive.write(file, prefix + name)

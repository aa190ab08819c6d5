"""An append-only file of records that knows whether it is whole.

Each line is `CHECKSUM JSON`. The checksum is a CRC-32 over the line and the checksum before it, so
a changed, lost, doubled or reordered line is seen. Only the last line may be incomplete: that is
what a killed process or a full disk leaves, and it is no damage. Everything else is, and is never
repaired here.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Record = dict[str, Any]


@dataclass(frozen=True)
class Contents:
    """What a journal holds: its records, where the last whole one ends, and what follows it."""

    records: tuple[Record, ...]
    end: int
    checksum: int
    torn_bytes: int


def read(path: Path) -> Contents:
    """All whole records of a journal. Raises ValueError when it is damaged."""
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    records: list[Record] = []
    checksum = 0
    for number, line in enumerate(data[:end].split(b"\n")[:-1], start=1):
        body = line[9:]
        expected = b"%08x " % zlib.crc32(body, checksum)
        if line[:9] != expected:
            raise ValueError(
                f"journal {path} is damaged at line {number}: checksum {line[:8]!r}, "
                f"expected {expected[:8]!r}"
            )
        checksum = int(expected, 16)
        records.append(json.loads(body))
    return Contents(tuple(records), end, checksum, len(data) - end)


class Journal:
    """Appends records; one writer per file (the job's lock sees to that), many threads."""

    def __init__(self, path: Path, *, end: int = 0, checksum: int = 0):
        self.path = path
        self._end, self._checksum = end, checksum
        self._mutex = threading.Lock()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        try:
            os.ftruncate(self._descriptor, end)  # drops a torn last line, nothing else
            os.lseek(self._descriptor, end, os.SEEK_SET)
        except OSError:
            os.close(self._descriptor)
            raise

    def append(self, *records: Record, durable: bool = False) -> None:
        """Write `records`, all or none of them; `durable` waits until the disk has them.

        Without `durable` a killed process loses nothing, a power cut may lose the last records;
        what is lost is work done twice (the same objects under the same UIDs), never work skipped.
        """
        with self._mutex:
            checksum, lines = self._checksum, []
            for record in records:
                body = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
                checksum = zlib.crc32(body, checksum)
                lines.append(b"%08x %b\n" % (checksum, body))
            data = b"".join(lines)
            self._write(data)
            self._end, self._checksum = self._end + len(data), checksum
            if durable:
                os.fsync(self._descriptor)

    def _write(self, data: bytes) -> None:
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            # A full disk takes a part of a line; later lines must not follow on it.
            os.ftruncate(self._descriptor, self._end)
            os.lseek(self._descriptor, self._end, os.SEEK_SET)
            raise OSError(error.errno, error.strerror, str(self.path)) from error

    def sync(self) -> None:
        """Wait until the disk has every record."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

"""How near a finished synthesis comes to the images its network was trained on: `audit.json`.

`medsynth audit` writes it into OUT; what exports OUT reads it. A near copy is refused unless somebody
allows it by its name, and who did so is recorded here too.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from medsynth.storage import aliases
from medsynth.storage.files import new_file

FILE = "audit.json"
IMAGE = "image.nrrd"
CLEAR, NEAR_COPY = "clear", "near copy"
# Where a near copy may go that was allowed without naming a destination.
ANYWHERE = "anywhere"
# How the journal of a job begins to say that a near copy was allowed.
ALLOWED = "NEAR COPY allowed by"
# OUT, OUT/dicom, OUT/dicom/image: what somebody may give as the folder to send.
DEPTH = 3


@dataclass(frozen=True)
class Match:
    """The nearest training image of a slice, by one measure: similarity 1 is a copy."""

    slice: int
    training_image: str
    measure: str
    similarity: float
    threshold: float

    @property
    def is_copy(self) -> bool:
        """Nearer than any two images of different patients are."""
        return self.similarity > self.threshold

    def sentence(self) -> str:
        """Which image, and how near."""
        return (
            f"slice {self.slice + 1} is nearer to the training image {self.training_image} "
            f"({self.measure}: similarity {self.similarity:.3f}) than images of different patients are "
            f"to each other (threshold {self.threshold:.3f})"
        )


@dataclass(frozen=True)
class Allowed:
    """Somebody let a near copy leave: who, when, and where to."""

    by: str
    at: str
    to: str


@dataclass(frozen=True)
class Audit:
    """What was compared with what, and the verdict.

    `image_sha256` is that of OUT/image.nrrd; `training` says which images it was compared with;
    `worst` is the nearest match of each measure; `controls` are the rates of false alarm and detection
    with which the thresholds were found.
    """

    image_sha256: str
    training: dict[str, Any]
    worst: tuple[Match, ...]
    slices: int
    controls: dict[str, Any]
    created: str
    allowed: tuple[Allowed, ...] = ()

    @property
    def copies(self) -> tuple[Match, ...]:
        """The matches that are too near, the most so first."""
        near = [match for match in self.worst if match.is_copy]
        return tuple(sorted(near, key=lambda m: m.threshold - m.similarity))

    @property
    def verdict(self) -> str:
        """`clear` or `near copy`."""
        return NEAR_COPY if self.copies else CLEAR

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"verdict": self.verdict, **asdict(self)}

    def write(self, out: Path) -> None:
        """OUT/audit.json, in one step: nobody reads half of it."""
        with new_file(out / FILE, overwrite=True) as partial:
            partial.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
        _mark_audited(out)

    @classmethod
    def read(cls, out: Path) -> Audit | None:
        """The audit of OUT; None when there is none.

        Raises:
            ValueError: it cannot be read, or is of another image than OUT has now.
        """
        path = out / FILE
        if not path.exists():
            return None
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            record.pop("verdict")
            record["worst"] = tuple(
                Match(**aliases.current(match, where=str(path), table=aliases.MEASURED))
                for match in record["worst"]
            )
            record["allowed"] = tuple(Allowed(**entry) for entry in record["allowed"])
            audit = cls(**record)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path} cannot be read ({error!r}); make it again with medsynth audit"
            ) from error
        if audit.image_sha256 != sha256_of_image(out):
            raise ValueError(
                f"{path} is of another image than {out / IMAGE}; make it again with medsynth audit"
            )
        return audit


def check_export(folder: Path, *, allow: str | None, to: str) -> tuple[str, bool]:
    """Refuse to let a near copy of a training image leave `folder` (OUT, or a folder within it).

    Args:
        allow: name of the result that may leave all the same; this is recorded in audit.json.
        to: where it goes, for the record.

    Returns:
        What to tell or to write into a journal, and whether it is a warning.

    Raises:
        ValueError: a near copy that was not allowed by name; `allow` where nothing has to be allowed,
            or naming another result; an audit that cannot be trusted.
    """
    out = folder_of_result(folder)
    audit = Audit.read(out)
    if allow is not None and allow != out.name:
        raise ValueError(f"--allow-near-copy {allow}: the result is called {out.name}")
    if audit is None:
        if allow is not None:
            raise ValueError(f"--allow-near-copy {allow}: {out} was never audited; remove it")
        return "not audited: nobody has compared it with the training images (medsynth audit)", True
    if audit.verdict == CLEAR:
        if allow is not None:
            raise ValueError(f"--allow-near-copy {allow}: it is no near copy; remove the option")
        return f"audited {audit.created}: no near copy of a training image", False
    worst = audit.copies[0]
    if allow is None and any(entry.to == ANYWHERE for entry in audit.allowed):
        allow = out.name
    if allow is None:
        raise ValueError(
            f"{out} may be a copy of an image of a patient: {worst.sentence()}. It is not exported. "
            f"Synthesize again with another seed or reference; or, when you may show that patient's "
            f"image, --allow-near-copy {out.name}"
        )
    entry = Allowed(_user(), now(), to)
    replace(audit, allowed=(*audit.allowed, entry)).write(out)
    return f"{ALLOWED} {entry.by}: {worst.sentence()}", True


def folder_of_result(folder: Path) -> Path:
    """OUT for OUT and the folders in it that hold DICOM objects; `folder` itself for others."""
    folder = folder.resolve()
    for candidate in folders_of_result(folder):
        if (candidate / FILE).exists():
            return candidate
    return folder


def folders_of_result(folder: Path) -> tuple[Path, ...]:
    """Which may be OUT, the nearest first, where `folder` is OUT or one that is sent from it."""
    return folder, *folder.parents[: DEPTH - 1]


def sha256_of_image(out: Path) -> str:
    """Of OUT/image.nrrd; empty when it is not there."""
    path = out / IMAGE
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _mark_audited(out: Path) -> None:
    """`audited: true` in OUT/result.json, where there is one; nothing else in it changes."""
    path = out / "result.json"
    if not path.is_file():
        return
    record = json.loads(path.read_text(encoding="utf-8"))
    if record.get("audited") is True:
        return
    text = json.dumps(record | {"audited": True}, indent=2, allow_nan=False, ensure_ascii=False)
    with new_file(path, overwrite=True) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name, as in some containers
        return "unknown"


def now() -> str:
    """UTC, ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")

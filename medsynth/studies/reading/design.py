"""The design of a reading study: fixed and hashed before the first answer, the truth included."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1
DESIGN, DIGEST, ITEMS, LINKS, DATABASE = (
    *("design.json", "design.sha256", "items", "links.csv", "study.db"),
)
# What a study may ask of each image.
KINDS = ("real_fake_unsure", "real_fake", "confidence", "pair", "finding")
NAIVE, INFORMED = "naive", "informed"
PLAIN, CLUES = "plain", "clues"
ARMS = (PLAIN, CLUES)
MACHINE = "machine"  # the arm of machine readers, never in the pool
# The signs that the papers report (Ali et al. 2022; Krishna et al. 2024).
REASONS = (
    *("ribs", "clavicles", "exposure", "vessels that look drawn", "trachea seen behind the heart"),
    *("texture", "borders", "lesion", "other"),
)


@dataclass(frozen=True)
class DisplayWindow:
    """A preset of the page, in the units of the study's values."""

    name: str
    center: float
    width: float


@dataclass(frozen=True)
class StudyItem:
    """One image, stack or pair. `truth`: is it synthetic? (of a pair: one is, the other real).

    `files` and `sha256` are those of its images; of a pair the real one comes first. `window` is the
    index of the window in which it opens. `origin` says where each image was taken from, `person`
    which items share a patient. `lesion`: whether it shows one, where that is known; `lesion_at`: its
    center and how far from it a mark may lie, x, y and radius in shares of the square's side.
    """

    id: str
    source: str
    synthetic: bool
    files: tuple[str, ...]
    sha256: tuple[str, ...]
    window: int
    person: str
    origin: tuple[dict[str, Any], ...]
    role: str = "counted"  # or warmup, naive
    lesion: bool | None = None
    lesion_at: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class ReadingPhase:
    """A run through items. `washout_days` after a reader's last answer of the phase before."""

    name: str
    kind: str
    washout_days: float = 0.0


@dataclass(frozen=True)
class Showing:
    """One place in a reader's order; `mirrored`: of a pair, the real image is on the right."""

    item: str
    repeat: bool = False
    warmup: bool = False
    mirrored: bool = False


@dataclass(frozen=True)
class StudyReader:
    """A reader, the hash of their link's token, and their own order in each phase."""

    name: str
    arm: str
    token_sha256: str
    orders: tuple[tuple[Showing, ...], ...]


@dataclass(frozen=True)
class StudyDesign:
    """Everything that is fixed before the first answer.

    `units`: "HU" or "gray value"; `grid`: (depth, side) of every image. `draw` records what was
    found, how it was drawn and what was left out; `giveaways`: warnings of `leaks`.
    """

    title: str
    seed: int
    created: str
    medsynth: str
    units: str
    grid: tuple[int, int]
    windows: tuple[DisplayWindow, ...]
    phases: tuple[ReadingPhase, ...]
    items: tuple[StudyItem, ...]
    readers: tuple[StudyReader, ...]
    draw: dict[str, Any]
    reasons: tuple[str, ...] = REASONS
    locked_window: bool = False
    time_limit_s: float | None = None
    equivalence_margin: float = 0.1
    giveaways: tuple[str, ...] = ()
    format: int = FORMAT
    index: dict[str, StudyItem] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.index.update({item.id: item for item in self.items})

    def to_text(self) -> str:
        """The bytes that are hashed."""
        record = {k: v for k, v in asdict(self).items() if k != "index"}
        return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def digest(text: str) -> str:
    """The SHA-256 of a design's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def write_design(design: StudyDesign, folder: Path) -> str:
    """Write the design and its hash; returns the hash."""
    text = design.to_text()
    (folder / DESIGN).write_text(text, encoding="utf-8")
    (folder / DIGEST).write_text(f"{digest(text)}  {DESIGN}\n", encoding="utf-8")
    return digest(text)


def load_design(folder: Path) -> tuple[StudyDesign, str]:
    """The design in a study folder and its hash.

    Raises:
        FileNotFoundError: the folder holds no study.
        ValueError: it was changed after it had been hashed, or is of a later format.
    """
    if not (folder / DESIGN).is_file():
        raise FileNotFoundError(
            f"{folder} holds no reading study ({DESIGN} is not there); make one with "
            "medsynth study create"
        )
    text = (folder / DESIGN).read_text(encoding="utf-8")
    recorded = (folder / DIGEST).read_text(encoding="utf-8").split()[:1]
    if recorded != [digest(text)]:
        raise ValueError(
            f"{folder / DESIGN} was changed after the study had been created: its SHA-256 is "
            f"{digest(text)[:12]}, {DIGEST} has {''.join(recorded)[:12] or 'none'}; restore the file"
        )
    record = json.loads(text)
    if record.get("format") != FORMAT:
        raise ValueError(
            f"{folder / DESIGN} has format {record.get('format')!r}, expected {FORMAT}; read it with "
            "the version of medsynth that made it"
        )
    return _parsed(record), digest(text)


def _parsed(record: dict[str, Any]) -> StudyDesign:
    def items(entry: dict[str, Any]) -> StudyItem:
        lists = {key: tuple(entry[key]) for key in ("files", "sha256", "origin")}
        at = entry.get("lesion_at")
        return StudyItem(**{**entry, **lists, "lesion_at": None if at is None else tuple(at)})

    def reader(entry: dict[str, Any]) -> StudyReader:
        orders = tuple(tuple(Showing(**s) for s in order) for order in entry["orders"])
        return StudyReader(**{**entry, "orders": orders})

    made = {
        "grid": tuple(record["grid"]),
        "windows": tuple(DisplayWindow(**w) for w in record["windows"]),
        "phases": tuple(ReadingPhase(**p) for p in record["phases"]),
        "items": tuple(items(i) for i in record["items"]),
        "readers": tuple(reader(r) for r in record["readers"]),
        "reasons": tuple(record["reasons"]),
        "giveaways": tuple(record["giveaways"]),
    }
    return StudyDesign(**{**record, **made})

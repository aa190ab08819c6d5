"""Makes a study folder: draws, brings every image onto one path, writes the design and its hash."""

from __future__ import annotations

import csv
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from medsynth import __version__
from medsynth.domains import get as get_domain
from medsynth.domains.base import GRAY
from medsynth.events import Event, Listener, Stage, ignore
from medsynth.storage.folders import OutputFolder
from medsynth.studies.reading import draw, leaks, pixels
from medsynth.studies.reading.answers import AnswerStore
from medsynth.studies.reading.candidates import Candidate, ImageSource, find_candidates
from medsynth.studies.reading.design import (
    DATABASE,
    ITEMS,
    KINDS,
    LINKS,
    NAIVE,
    PLAIN,
    REASONS,
    DisplayWindow,
    ReadingPhase,
    StudyDesign,
    StudyItem,
    StudyReader,
    write_design,
)

COUNTED, WARMUP = "counted", "warmup"
LARGEST_SIDE = 1024
DEFAULT_SIDE = 512
GRAY_WINDOW = DisplayWindow("full", 127.5, 255)
REAL = "real"


@dataclass(frozen=True)
class KnownLesion:
    """The truth of an image for readers who look for a lesion.

    `shown`: whether there is one; None: nobody says. `place`: its center and how far from it a mark
    may lie, x, y and radius in pixels of the file; None: marks are not scored.
    """

    shown: bool | None = None
    place: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class StudyOptions:
    """What `medsynth study create` is asked for; the numbers of items are of each reader.

    `items` are half real and half synthetic, the synthetic ones from every generator alike; a pair
    counts as one. `naive` items come before, `warmup` items with feedback; neither is counted.
    """

    readers: tuple[str, ...]
    items: int = 40
    kind: str = "real_fake_unsure"
    title: str = "Image reading study"
    seed: int | None = None
    repeats: int = 0
    warmup: int = 0
    naive: int = 0
    washout_days: float = 0.0
    again_days: float | None = None
    arms: tuple[str, ...] = (PLAIN,)
    depth: int = 1
    side: int | None = None
    units: str | None = None
    windows: tuple[DisplayWindow, ...] = ()
    locked_window: bool = False
    blocks: bool = False
    time_limit_s: float | None = None
    equivalence_margin: float = 0.1
    reasons: tuple[str, ...] = REASONS
    lesions: Mapping[str, KnownLesion] = field(default_factory=dict)


def create_study(
    folder: Path,
    sources: Sequence[ImageSource],
    options: StudyOptions,
    *,
    listener: Listener = ignore,
) -> dict[str, str]:
    """Make the study; returns the path of each reader's personal link.

    Raises:
        FileExistsError: the folder is there and not empty.
        ValueError: too few images, options that contradict each other, images that do not fit.
    """
    check(sources, options)
    seed = secrets.randbits(48) if options.seed is None else options.seed
    rng = np.random.default_rng(seed)
    found = {source.name: find_candidates(source) for source in sources}
    chosen = _draw(sources, found, options, rng)
    with OutputFolder(folder) as making:
        (making / ITEMS).mkdir()
        maker = _Maker(making, sources, options, rng, listener)
        items = maker.items(chosen)
        readers, links = _readers(items, options, rng)
        design = StudyDesign(
            title=options.title,
            seed=seed,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            medsynth=__version__,
            units=maker.units,
            grid=(options.depth, maker.side),
            windows=maker.windows,
            phases=_phases(options),
            items=tuple(items),
            readers=readers,
            draw=_record(sources, found, chosen),
            reasons=options.reasons,
            locked_window=options.locked_window,
            time_limit_s=options.time_limit_s,
            equivalence_margin=options.equivalence_margin,
            giveaways=leaks.giveaways(maker.traces),
        )
        hashed = write_design(design, making)
        with (making / LINKS).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("reader", "arm", "link")])
            csv.writer(file).writerows(
                (reader.name, reader.arm, links[reader.name]) for reader in readers
            )
        AnswerStore(making / DATABASE).start(hashed)
    for warning in design.giveaways:
        listener(Event("warning", message=warning))
    return links


def check(sources: Sequence[ImageSource], options: StudyOptions) -> None:
    """Refuse what makes no study, before anything is read.

    Raises:
        ValueError: with the option to change.
    """
    if not any(s.synthetic for s in sources) or all(s.synthetic for s in sources):
        raise ValueError(
            "a study needs real and synthetic images: of one kind alone the answers measure nothing "
            "but what readers tend to say; give --real and --synthetic"
        )
    names = [s.name for s in sources]
    if len(set(names)) < len(names):
        raise ValueError(f"two sources have one name: {', '.join(names)}")
    if options.kind not in KINDS:
        raise ValueError(f"--ask: expected one of {', '.join(KINDS)}, got {options.kind!r}")
    generators = sum(s.synthetic for s in sources)
    least = 2 if options.kind != "pair" else 1
    if options.items < least * generators:
        raise ValueError(f"--items must be at least {least * generators}, got {options.items}")
    if not options.readers or len(set(options.readers)) < len(options.readers):
        raise ValueError("--readers: expected different names, separated by commas, or a number")
    for name, value in (("repeats", options.repeats), ("warmup", options.warmup)):
        if not 0 <= value <= options.items:
            raise ValueError(f"--{name} must be from 0 to the number of items, got {value}")
    if not 1 <= options.depth <= 256:
        raise ValueError(f"--depth must be from 1 to 256 slices, got {options.depth}")
    if options.side is not None and not 32 <= options.side <= LARGEST_SIDE:
        raise ValueError(f"--side must be from 32 to {LARGEST_SIDE} pixels, got {options.side}")
    for window in options.windows:
        if not window.width > 0:
            raise ValueError(f"window {window.name}: the width must be above 0, got {window.width}")


def _phases(options: StudyOptions) -> tuple[ReadingPhase, ...]:
    phases = [ReadingPhase(NAIVE, "quality")] if options.naive else []
    phases.append(ReadingPhase("informed", options.kind, options.washout_days))
    if options.again_days is not None:
        phases.append(ReadingPhase("informed again", options.kind, options.again_days))
    return tuple(phases)


Chosen = list[tuple[str, tuple[tuple[ImageSource, draw.DrawnSlice], ...]]]  # role, its images


def _draw(
    sources: Sequence[ImageSource],
    found: Mapping[str, list[Candidate]],
    options: StudyOptions,
    rng: np.random.Generator,
) -> Chosen:
    """Every item: its role and the image, or two, that it shows."""
    real_sources = [s for s in sources if not s.synthetic]
    made_sources = [s for s in sources if s.synthetic]
    roles = {COUNTED: options.items, WARMUP: options.warmup, NAIVE: options.naive}
    pair = options.kind == "pair"
    needs = {role: (n if pair and role != NAIVE else n - n // 2) for role, n in roles.items()}
    real = _from(real_sources, found, sum(needs.values()), rng, set())
    twins = {d.candidate.twin for _, d in real if d.candidate.twin}
    needs_made = {role: (n if pair and role != NAIVE else n // 2) for role, n in roles.items()}
    made = _from(made_sources, found, sum(needs_made.values()), rng, twins)
    chosen: Chosen = []
    for role in roles:
        ours = [made.pop() for _ in range(needs_made[role])]
        theirs = [real.pop() for _ in range(needs[role])]
        if pair and role != NAIVE:
            chosen += [(role, (a, b)) for a, b in zip(theirs, ours, strict=True)]
        else:
            chosen += [(role, (image,)) for image in (*theirs, *ours)]
    return [chosen[k] for k in rng.permutation(len(chosen))]


def _from(
    sources: Sequence[ImageSource],
    found: Mapping[str, list[Candidate]],
    count: int,
    rng: np.random.Generator,
    taken: set[str],
) -> list[tuple[ImageSource, draw.DrawnSlice]]:
    """`count` images, from every source alike (what is left over, at random), in turn."""
    extra = rng.permutation(len(sources))
    drawn = []
    for number, source in enumerate(sources):
        share = count // len(sources) + int(extra[number] < count % len(sources))
        free = [c for c in found[source.name] if c.twin is None or c.twin not in taken]
        slices = draw.draw_slices(free, share, rng, what=source.name)
        drawn.append([(source, slice_) for slice_ in slices])
    longest = max(len(part) for part in drawn)
    return [part[k] for k in range(longest) for part in drawn if k < len(part)]


def _record(
    sources: Sequence[ImageSource], found: Mapping[str, list[Candidate]], chosen: Chosen
) -> dict[str, Any]:
    """What there was, and that the seed alone decided: nobody picked."""
    used = [source.name for _, images in chosen for source, _ in images]
    return {
        "how": "at random by the study's seed: people in turn, each person's slices spread over the "
        f"middle {draw.CENTRAL[0]:.0%} to {draw.CENTRAL[1]:.0%} of a volume; no image was seen or "
        "left out in between",
        "sources": [
            {
                "name": source.name,
                "synthetic": source.synthetic,
                "folder": str(source.folder),
                "excluded": list(source.exclude),
                "people": len({c.person for c in found[source.name]}),
                "images": len(found[source.name]),
                "slices": sum(c.slices for c in found[source.name]),
                "candidates_sha256": draw.fingerprint(found[source.name]),
                "drawn": used.count(source.name),
            }
            for source in sources
        ],
    }


class _Maker:
    """Writes the items; settles units, windows and side with the first image of each source."""

    def __init__(
        self,
        folder: Path,
        sources: Sequence[ImageSource],
        options: StudyOptions,
        rng: np.random.Generator,
        listener: Listener,
    ):
        self.folder, self.sources, self.options = folder, sources, options
        self.rng, self.listener = rng, listener
        self.units, self.side = "", 0
        self.windows: tuple[DisplayWindow, ...] = ()
        self.traces: list[leaks.Trace] = []
        self.people: dict[tuple[str, str], str] = {}

    def items(self, chosen: Chosen) -> list[StudyItem]:
        """Every item, its files written."""
        self._settle(chosen)
        # Slices of one volume come one after the other, so that it is read once.
        order = sorted(range(len(chosen)), key=lambda k: str(chosen[k][1][0][1].candidate.path))
        made: dict[int, StudyItem] = {}
        with Stage("preparing images", total=len(chosen), listener=self.listener) as stage:
            for k in order:
                made[k] = self._item(*chosen[k])
                stage.advance()
        return [made[k] for k in range(len(chosen))]

    def _settle(self, chosen: Chosen) -> None:
        first = {s.name: (s, d) for _, images in reversed(chosen) for s, d in images}
        raws = [self._load(source, drawn) for source, drawn in first.values()]
        shared = pixels.HU if all(raw.units == pixels.HU for raw in raws) else GRAY
        self.units = self.options.units or shared
        if self.units == pixels.HU and shared != pixels.HU:
            raise ValueError(
                "--units HU: not every source is in HU; leave it out to show gray values"
            )
        longest = [max(raw.values.shape[1:]) for raw in raws]
        self.side = self.options.side or min(DEFAULT_SIDE, *longest)
        ct = tuple(DisplayWindow(w.name, w.center, w.width) for w in get_domain("lung_ct").windows)
        own = self.options.windows
        self.windows = (own or ct) if self.units == pixels.HU else (GRAY_WINDOW,)

    def _load(self, source: ImageSource, drawn: draw.DrawnSlice) -> pixels.RawImage:
        first = (self.options.windows or get_domain("lung_ct").windows)[0]
        window = (first.center, first.width)
        return pixels.load_raw(
            source,
            drawn,
            depth=self.options.depth,
            hu_window=window,
            units=self.units or None,
        )

    def _item(
        self, role: str, images: tuple[tuple[ImageSource, draw.DrawnSlice], ...]
    ) -> StudyItem:
        source, drawn = images[-1]
        known = self.options.lesions.get(drawn.candidate.path, KnownLesion())
        written = [self._write(source, drawn, known) for source, drawn in images]
        origin = tuple(
            {"source": s.name, "path": d.candidate.path, "series": d.candidate.series, "slice": d.k}
            for s, d in images
        )
        return StudyItem(
            id=self.rng.bytes(8).hex(),
            source=source.name,
            synthetic=source.synthetic,
            files=tuple(name for name, _, _ in written),
            sha256=tuple(sha for _, sha, _ in written),
            window=int(self.rng.integers(len(self.windows))),
            person=self._pseudonym(source.name, drawn.candidate.person),
            origin=origin,
            role=role,
            lesion=known.shown,
            lesion_at=written[-1][2],
        )

    def _pseudonym(self, source: str, person: str) -> str:
        key = (source, person)
        number = len([k for k in self.people if k[0] == source]) + 1
        return self.people.setdefault(key, f"{source}-{number:03}")

    def _write(
        self, source: ImageSource, drawn: draw.DrawnSlice, known: KnownLesion
    ) -> tuple[str, str, tuple[float, float, float] | None]:
        """The name of the file, its SHA-256, and where in the square its lesion lies."""
        raw = self._load(source, drawn)
        image = pixels.on_grid(raw, self.side)
        height, width = raw.values.shape[1:]
        self.traces.append(leaks.trace(image, native=(height, width), synthetic=source.synthetic))
        data = pixels.to_bytes(image)
        name = self.rng.bytes(8).hex()
        (self.folder / ITEMS / name).write_bytes(data)
        place = known.place and pixels.on_square(raw, self.side, known.place)
        return name, hashlib.sha256(data).hexdigest(), place


def _readers(
    items: Sequence[StudyItem], options: StudyOptions, rng: np.random.Generator
) -> tuple[tuple[StudyReader, ...], dict[str, str]]:
    arms = draw.deal_arms(len(options.readers), options.arms, rng)
    ids = {role: [i.id for i in items if i.role == role] for role in (COUNTED, WARMUP, NAIVE)}
    windows = sorted({i.window for i in items})
    blocks = [[i.id for i in items if i.role == COUNTED and i.window == w] for w in windows]
    readers, links = [], {}
    for name, arm in zip(options.readers, arms, strict=True):
        orders = []
        for number, phase in enumerate(p for p in _phases(options)):
            naive = phase.name == NAIVE
            first_informed = not naive and number == (1 if options.naive else 0)
            orders.append(
                draw.order_for(
                    ids[NAIVE] if naive else ids[COUNTED],
                    ids[WARMUP] if first_informed else (),
                    repeats=0 if naive else options.repeats,
                    blocks=blocks if options.blocks and not naive else None,
                    rng=rng,
                )
            )
        token = secrets.token_urlsafe(18)
        hashed = hashlib.sha256(token.encode()).hexdigest()
        readers.append(StudyReader(name, arm, hashed, tuple(orders)))
        links[name] = f"/r/{token}/"
    return tuple(readers), links

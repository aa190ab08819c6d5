"""What a set will take, said before it is begun: one image is prepared and the network is timed."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medsynth import domains, threads
from medsynth.events import Event, Listener, ignore
from medsynth.factory import catalog as catalogs
from medsynth.factory import folder as folders
from medsynth.factory.draws import draw_rows
from medsynth.factory.engine import Where, check
from medsynth.factory.item import Maker
from medsynth.factory.plan import Plan
from medsynth.pipeline.estimate import duration

# Of an image that is compressed without loss, and of what each layout makes of it, measured.
BYTES_PER_PIXEL = 1.2
SHARE_OF_LAYOUT = {"nifti": 1.0, "nnunet": 1.0, "monai": 0.1, "coco": 0.5, "dicom": 2.0}


@dataclass(frozen=True)
class SetEstimate:
    """`images` that are missing, the `seconds` of each, of all of them where they are made, and bytes."""

    images: int
    seconds_per_image: float
    seconds: float
    bytes: int
    splits: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """For an event."""
        return asdict(self)

    def sentence(self) -> str:
        """For people."""
        splits = ", ".join(f"{count} {name}" for name, count in self.splits.items())
        return (
            f"{self.images} images ({splits}), about {self.seconds_per_image:.1f} s each, "
            f"{duration(self.seconds)} in all, {self.bytes / 1e9:.2f} GB on disk"
        )


def estimate(
    plan: Plan, out: Path | str, *, where: Where | None = None, listener: Listener = ignore
) -> SetEstimate:
    """How long the set will take and how large it becomes; nothing is written.

    Raises:
        ValueError, OSError: as `medsynth.factory.engine.make` would refuse.
    """
    where, target = where or Where(), Path(out).expanduser().resolve()
    check(plan)
    goes_on = folders.check_folder(plan, target)
    catalog = (
        catalogs.Catalog.read(target)
        if goes_on
        else catalogs.make(plan, read=False, listener=listener)
    )
    rows = draw_rows(plan, catalog)
    left = [row for row in rows if not (target / folders.ITEMS / row.id).is_dir()]
    each, pixels = _one(plan, target, left or rows)
    workers = max(1, where.workers)
    layouts = 1 + sum(SHARE_OF_LAYOUT.get(name, 0.5) for name in plan.write)
    found = SetEstimate(
        images=len(left),
        seconds_per_image=round(each, 2),
        seconds=round(each * len(left) / workers, 1),
        bytes=int(len(left) * pixels * BYTES_PER_PIXEL * layouts),
        splits={name: sum(row.split == name for row in rows) for name in plan.split},
    )
    listener(Event("estimate", message=found.sentence(), data=found.to_dict()))
    return found


def _one(plan: Plan, folder: Path, rows: list[Any]) -> tuple[float, int]:
    """Seconds and pixels of one image: the first that can be prepared."""
    maker = Maker(plan, folder)
    refused: Exception | None = None
    with threads.using(plan.threads):
        for row in rows[:5]:
            try:
                maker.arranger.arrange(row)  # reads what later images find in memory
                started = time.perf_counter()
                arranged = maker.arranger.arrange(row)
            except (ValueError, OSError) as error:
                refused = error
                continue
            preparing = time.perf_counter() - started
            size = arranged.prepared.reference.image.GetSize()
            generator = maker.generator(arranged.request)
            seconds = generator.seconds_per_slice(size[1::-1]) * len(arranged.prepared.slices)
            return seconds + preparing, int(np.prod(size))
    raise ValueError(f"no image of {domains.get(plan.preset).title} could be prepared: {refused}")

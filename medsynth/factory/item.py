"""One finished image of a set: sampled, measured, written in one step into items/ID.

It holds no times and no random identifiers: the same plan gives the same bytes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from medsynth import domains, generators
from medsynth import request as requests
from medsynth.events import ignore
from medsynth.factory.arrange import Arranged, Arranger
from medsynth.factory.plan import Plan
from medsynth.factory.rows import PlanRow
from medsynth.generators.base import Generator
from medsynth.networks.device import choose_device
from medsynth.pipeline.estimate import check_memory, disk_needed, memory_needed
from medsynth.pipeline.exporters.base import ExportInputs, write_volumes
from medsynth.pipeline.generate import generate
from medsynth.pipeline.synthesize import check_task, describe
from medsynth.records.result import Result
from medsynth.request import Request
from medsynth.storage.folders import OutputFolder

ITEMS = "items"
NRRD = b"NRRD"


@dataclass
class Made:
    """What an image took: `seconds` in all, `sampling` of them in the network."""

    id: str
    seconds: float
    sampling: float
    bytes: int = field(default=0)


class Maker:
    """Makes the images of a plan into `folder`; the network and the last anatomy stay in memory."""

    def __init__(self, plan: Plan, folder: Path):
        self.plan, self.folder = plan, folder
        self.preset = domains.get(plan.preset)
        self.arranger = Arranger(plan)
        self._weights: Callable[[Request], Generator] | None = None

    def generator(self, request: Request) -> Generator:
        """What draws; its weights are looked for once."""
        if self._weights is None:
            weights, metadata = generators.weights_of(request, self.preset)
            device = choose_device(request.device)

            def load(asked: Request) -> Generator:
                return generators.load(
                    asked, preset=self.preset, weights=weights, metadata=metadata, device=device
                )

            self._weights = load
        return self._weights(request)

    def make(self, row: PlanRow) -> Made:
        """The image of `row`, complete in items/ID.

        Raises:
            ValueError, OSError, MemoryError: it cannot be made, or written.
        """
        started = time.perf_counter()
        arranged = self.arranger.arrange(row)
        request, prepared = arranged.request, arranged.prepared
        size, lesions = prepared.reference.image.GetSize(), len(prepared.regions)
        check_memory(memory_needed(size, lesions=lesions, slice_pixels=size[0] * size[1]))
        generator = self.generator(request)
        check_task(request, prepared, generator)
        sampling = time.perf_counter()
        made = generate(prepared, generator, request=request, preset=self.preset, listener=ignore)
        sampling = time.perf_counter() - sampling
        record = describe(request, prepared, made, generator, preset=self.preset)
        # Times differ from run to run; what does not is in the record.
        result = Result(checkpoint=generator.checkpoint, seconds={}, created="", **record)
        inputs = ExportInputs(request, prepared, made.volume, self.preset, generator.checkpoint)
        output = OutputFolder(
            self.folder / ITEMS / row.id, needed_bytes=disk_needed(size, lesions=lesions)
        )
        with output as folder:
            _write(arranged, inputs, result, folder)
        took = time.perf_counter() - started
        return Made(row.id, took, sampling, sum(f.stat().st_size for f in output.out.iterdir()))


def _write(arranged: Arranged, inputs: ExportInputs, result: Result, folder: Path) -> None:
    write_volumes(inputs, folder, suffix=".nrrd")
    requests.write(arranged.request, folder / "request.yaml")
    result.write(folder / "result.json")


def is_complete(folder: Path, row: PlanRow) -> bool:
    """Whether items/ID is the image of `row`: every file that its record names is there and readable.

    An image appears in one step, so that it is whole unless something else damaged it later.
    """
    try:
        record = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        files = [
            "image.nrrd",
            *(entry["mask"] for entry in (*record["lesions"], *record["labels"])),
        ]
        if record["seed"] != row.seed or len(record["lesions"]) != len(row.lesions):
            return False
        return (folder / "request.yaml").stat().st_size > 0 and all(
            _starts_with(folder / name, NRRD) for name in files
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _starts_with(path: Path, start: bytes) -> bool:
    with open(path, "rb") as file:
        return file.read(len(start)) == start

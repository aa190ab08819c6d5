"""What a data set takes beside its sampling: `python benchmarks/dataset_rate.py [--images 40]`.

Three figures, each a ratio within one run, on drawn thoraces of 512 x 512 with the shipped network:

* seconds of an image over its seconds of sampling, in one process (at most 1.1);
* images an hour of two workers of one thread over those of one (at least 1.8 on two free cores);
* resident memory of a worker at its last image over that after its first tenth (flat: at most 1.05).

Nothing else should run beside it. `--plan` measures another plan, `--json` prints one line for programs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from medsynth.events import Event
from medsynth.factory.engine import Summary, Where, make
from medsynth.factory.parse import load_plan, parse
from medsynth.factory.plan import Plan

WORKER = "medsynth.factory.worker"
PLAN = {
    "preset": "lung_ct",
    "steps": 20,
    "anatomies": [{"phantom": {"kind": "thorax"}, "persons": 5, "factor": [6, 12]}],
    "pathologies": {
        "share": 0.5,
        "sources": [{"procedural": {"kind": ["solid", "spiculated"]}}],
        "diameter_mm": {"lognormal": [12, 1.5], "clip": [5, 40]},
        "place": {"where": "lung", "away_from": "vessels"},
    },
}
FIRST_SHARE = 0.1


class Watch:
    """When each image was finished, and how much memory this process and its workers held then."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.bytes: list[int] = []

    def __call__(self, event: Event) -> None:
        """A listener: every finished image is one progress event of its stage."""
        if event.kind != "progress" or event.stage != "making images":
            return
        self.times.append(time.monotonic())
        self.bytes.append(max(resident(), default=0))

    def images_per_hour(self, workers: int) -> float:
        """From the first image of each worker, whose start takes time of its own, to the last."""
        first = self.times[workers - 1]
        return 3600 * (len(self.times) - workers) / (self.times[-1] - first)

    @property
    def growth(self) -> float:
        """Memory at the end over that after the first tenth."""
        early = self.bytes[max(1, int(FIRST_SHARE * len(self.bytes)))]
        return self.bytes[-1] / early


def resident() -> list[int]:
    """Bytes of each worker; of this process where there is none."""
    me = psutil.Process()
    workers = [p for p in me.children(recursive=True) if WORKER in " ".join(p.cmdline())]
    return [p.memory_info().rss for p in workers or [me]]


def measured(plan: Plan, where: Where) -> tuple[Summary, Watch]:
    """One set, made in a folder that is removed."""
    watch = Watch()
    with tempfile.TemporaryDirectory(prefix="medsynth-rate-") as folder:
        summary = make(plan, Path(folder) / "set", where=where, listener=watch)
    return summary, watch


def figures(plan: Plan) -> dict[str, Any]:
    """All three."""
    alone, _ = measured(plan, Where())
    one, watch_one = measured(plan, Where(workers=1))
    two, watch_two = measured(plan, Where(workers=2))
    rates = watch_one.images_per_hour(1), watch_two.images_per_hour(2)
    return {
        "images": plan.count,
        "seconds_per_image": round(alone.image_seconds / alone.made, 3),
        "image_over_sampling": round(alone.image_seconds / alone.sampling_seconds, 4),
        "images_per_hour": [round(rate, 1) for rate in rates],
        "two_workers_over_one": round(rates[1] / rates[0], 3),
        "worker_gigabytes": round(max(watch_two.bytes) / 1e9, 2),
        "memory_growth": round(watch_one.growth, 3),
        "quarantined": len(alone.quarantined) + len(one.quarantined) + len(two.quarantined),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--steps", type=int, help="instead of the plan's")
    parser.add_argument("--plan", type=Path, help="instead of drawn thoraces")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    changed: dict[str, Any] = {"count": args.images}
    if args.steps is not None:
        changed["steps"] = args.steps
    plan = load_plan(args.plan, overrides=changed) if args.plan else parse({**PLAN, **changed})
    found = figures(plan)
    if args.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name.replace('_', ' '):<24} {value}")


if __name__ == "__main__":
    main()

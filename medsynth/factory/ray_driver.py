"""The process that speaks with Ray: rows come on standard input, outcomes go back on standard output.

Actors hold the network, rows go to them through Ray Data. Ray starts anew what dies; what was finished
is found by its files at the next start, so that no state of Ray's own is kept. A process of its own,
since Ray ends the one that it runs in when its head goes away.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from medsynth import cluster, threads
from medsynth.factory.folder import PLAN
from medsynth.factory.outcomes import ImageOutcome, attempt_all
from medsynth.factory.parse import load_plan
from medsynth.factory.plan import Plan
from medsynth.factory.queue_of_rows import units
from medsynth.factory.rows import PlanRow


class UnitMaker:
    """What one actor does: rows of one anatomy in, outcomes out."""

    def __init__(self, folder: str):
        from medsynth.factory.item import Maker

        threads.wait_passively()
        plan = load_plan(Path(folder) / PLAN)
        self.threads, self.maker = plan.threads, Maker(plan, Path(folder))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        rows = [PlanRow.from_json(line) for unit in batch["rows"] for line in json.loads(str(unit))]
        with threads.using(self.threads):
            outcomes = [outcome.to_dict() for outcome in attempt_all(self.maker, rows)]
        return {"outcome": [json.dumps(outcome) for outcome in outcomes]}


def main(folder: Path, address: str) -> int:
    """Make what is asked for; a refusal is a line of its own."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    rows = [PlanRow.from_json(line) for line in iter(sys.stdin.readline, "\n")]
    threading.Thread(target=_end_with_input, daemon=True).start()
    import ray
    import ray.data
    import ray.exceptions

    plan = load_plan(folder / PLAN)
    try:
        cluster.connect(ray, address, threads=plan.threads)
        for outcome in _outcomes(ray, rows, plan, folder):
            _say(answers, outcome.to_dict())
    except (OSError, ray.exceptions.RayError) as error:
        lines = str(error).strip().splitlines()
        _say(answers, {"refused": lines[-1] if lines else type(error).__name__})
        return 1
    ray.shutdown()
    return 0


def _say(answers: TextIO, record: dict[str, Any]) -> None:
    answers.write(json.dumps(record) + "\n")
    answers.flush()


def _end_with_input() -> None:
    """Who asked is gone: nobody needs the rest."""
    sys.stdin.read()
    os._exit(1)


def _outcomes(
    ray: Any, rows: Sequence[PlanRow], plan: Plan, folder: Path
) -> Iterator[ImageOutcome]:
    work = units(rows)
    resources = ray.cluster_resources()
    cpus, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
    on_gpus = gpus > 0 and plan.request.get("device", "auto") != "cpu"
    actors = max(1, min(len(work), gpus if on_gpus else cpus // plan.threads))
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    items = [{"rows": json.dumps([row.to_json() for row in unit])} for unit in work]
    found = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        UnitMaker,
        fn_constructor_args=(str(folder),),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors),
        num_cpus=plan.threads,
        num_gpus=1 if on_gpus else None,
    )
    for record in found.iter_rows():
        yield ImageOutcome(**json.loads(record["outcome"]))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))

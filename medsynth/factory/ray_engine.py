"""The same images on a Ray cluster: actors hold the network, rows go to them through Ray Data.

Ray starts anew what dies; what was finished is found by its files at the next start, so that no state
of Ray's own is kept. The folder of the set must be the same on every node.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from medsynth import threads
from medsynth.errors import MissingExtra
from medsynth.factory.outcomes import ImageOutcome, attempt_all
from medsynth.factory.plan import Plan
from medsynth.factory.queue_of_rows import units
from medsynth.factory.rows import PlanRow

AUTO = "auto"


class UnitMaker:
    """What one actor does: rows of one anatomy in, outcomes out."""

    def __init__(self, folder: str):
        from medsynth.factory.folder import PLAN
        from medsynth.factory.item import Maker
        from medsynth.factory.parse import load_plan

        threads.wait_passively()
        plan = load_plan(Path(folder) / PLAN)
        self.threads, self.maker = plan.threads, Maker(plan, Path(folder))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        rows = [PlanRow.from_json(line) for unit in batch["rows"] for line in json.loads(str(unit))]
        with threads.using(self.threads):
            outcomes = [outcome.to_dict() for outcome in attempt_all(self.maker, rows)]
        return {"outcome": [json.dumps(outcome) for outcome in outcomes]}


def run(
    rows: Sequence[PlanRow], plan: Plan, folder: Path, *, address: str
) -> Iterator[ImageOutcome]:
    """Every image of `rows`, in the order in which units of one anatomy are finished.

    Raises:
        MissingExtra: Ray is not installed.
        OSError: there is no Ray at `address`, or it went away; the same command goes on.
    """
    ray = _ray()
    mine = _connect(ray, address, plan)
    try:
        yield from _outcomes(ray, rows, plan, folder)
    except ray.exceptions.RayError as error:
        said = str(error).strip().splitlines()
        raise OSError(
            f"Ray at {address} failed: {said[-1] if said else type(error).__name__}; what is finished "
            "stays, the same command goes on"
        ) from error
    finally:
        if mine:
            ray.shutdown()


def _ray() -> Any:
    try:
        import ray
        import ray.data
        import ray.exceptions
    except ImportError as error:
        raise MissingExtra(
            "--ray needs Ray: pip install 'medsynth-slicer[scale]'; or use --workers"
        ) from error
    return ray


def _connect(ray: Any, address: str, plan: Plan) -> bool:
    """Join a cluster, or start one on this computer; whether it is this run's to leave."""
    if ray.is_initialized():
        return False
    environment = {"OMP_NUM_THREADS": str(plan.threads), "OMP_WAIT_POLICY": "PASSIVE"}
    options: dict[str, Any] = {
        "logging_level": logging.ERROR,
        "log_to_driver": False,
        "runtime_env": {"env_vars": environment},
    }
    try:
        ray.init(address=address, **options)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        if address != AUTO:
            said = " ".join(str(error).split())
            raise OSError(
                f"--ray: no Ray at {address} ({said[:200]}); start it, or use auto"
            ) from error
        ray.init(include_dashboard=False, **options)
    return True


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

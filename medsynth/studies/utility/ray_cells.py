"""The trainings of a sweep on a Ray cluster: the images go there once, outcomes come back one by one."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medsynth import cluster, threads
from medsynth.errors import MissingExtra
from medsynth.studies.utility.cells import SweepCell
from medsynth.studies.utility.sources import LabeledImages
from medsynth.studies.utility.study import UtilityStudy
from medsynth.studies.utility.training import TrainedScores, train_and_score

GOES_ON = "what is finished stays, the same command goes on"


def train_on_ray(
    cells: Sequence[SweepCell],
    study: UtilityStudy,
    pools: Mapping[str, LabeledImages],
    *,
    address: str,
    thread_count: int | None = None,
) -> Iterator[tuple[SweepCell, TrainedScores]]:
    """Every cell in the order in which they end.

    Raises:
        MissingExtra: Ray is not installed.
        OSError: there is no Ray at `address`, or it went away.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingExtra("--ray needs Ray: pip install 'medsynth-slicer[scale]'")
    import ray
    from ray import exceptions

    count = thread_count or 1
    cluster.connect(ray, address, threads=count)
    try:
        images = ray.put(dict(pools))
        gpus = 1 if ray.cluster_resources().get("GPU", 0) else 0
        remote = ray.remote(_train).options(num_cpus=count, num_gpus=gpus, max_retries=3)
        waiting = {remote.remote(cell, study, images, count): cell for cell in cells}
        while waiting:
            done, _ = ray.wait(list(waiting), num_returns=1)
            for reference in done:
                yield waiting.pop(reference), ray.get(reference)
    except exceptions.RayTaskError as error:
        raise error.as_instanceof_cause() from None
    except exceptions.RayError as error:
        raise OSError(f"Ray at {address} went away ({error}); {GOES_ON}") from None
    finally:
        ray.shutdown()


def _train(
    cell: SweepCell, study: UtilityStudy, pools: dict[str, Any], count: int
) -> TrainedScores:
    threads.wait_passively()
    with threads.using(count):
        return train_and_score(cell.arm, cell.seed, study, pools)

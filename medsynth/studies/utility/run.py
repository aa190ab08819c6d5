"""A utility study from its file to its report; a sweep that was killed goes on with what is missing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from medsynth import threads
from medsynth.events import Event, Listener, Stage, ignore
from medsynth.storage.partial import working_in
from medsynth.studies.utility.arms import REAL, TrainingArm, draw, list_arms
from medsynth.studies.utility.cells import FOLDER, SweepCell, list_cells, read_cell, write_cell
from medsynth.studies.utility.checks import check_patients, split_validation, without_patients
from medsynth.studies.utility.networks import check_network
from medsynth.studies.utility.overuse import measure_overuse
from medsynth.studies.utility.prepared import PreparedStudy
from medsynth.studies.utility.sources import LabeledImages, read_sources
from medsynth.studies.utility.study import UtilityStudy
from medsynth.studies.utility.training import TEST, VALIDATION, train_and_score

TIMED_STEPS = 4


def prepare_study(study: UtilityStudy, *, listener: Listener = ignore) -> PreparedStudy:
    """Read and check everything before anything is trained.

    Raises:
        ValueError: a patient on both sides, too few images, an unknown network.
        MissingExtra: timm is not installed.
    """
    weights = check_network(study.network, study.weights)
    train = read_sources(study.train, study, name="train", listener=listener)
    test = read_sources(study.test, study, name=TEST, listener=listener)
    made = {
        source.name: read_sources([source], study, name=source.name, listener=listener)
        for source in (*study.synthetic, *study.controls.pasted)
    }
    warnings = check_patients(train, test, list(made.values()))
    real, validation = split_validation(train, study.validation, seed=study.seed)
    _check_classes(real, validation, warnings)
    for name, images in made.items():
        made[name], left_out = without_patients(images, validation.patients)
        if left_out:
            warnings.append(
                f"{name}: {left_out} images were made from patients who choose the threshold, and are "
                "left out"
            )
    pools = {REAL: real, VALIDATION: validation, TEST: test, **made}
    arms = list_arms(study, pools)
    overuse = _overuse(study, arms, pools)
    warnings += [words for found in overuse.values() for words in found["warnings"]]
    return PreparedStudy(study, pools, arms, overuse, warnings, weights)


def _check_classes(real: LabeledImages, validation: LabeledImages, warnings: list[str]) -> None:
    if not len(real.facts) or real.positive.all() or not real.positive.any():
        raise ValueError(
            "train: the training patients need images of both classes; look at task, patients and "
            "validation"
        )
    if not len(validation.facts) or validation.positive.all() or not validation.positive.any():
        warnings.append(
            "no validation patients with both classes: F1, accuracy, sensitivity and specificity are at "
            "an even chance (0.5) instead of a chosen threshold"
        )


def _overuse(
    study: UtilityStudy, arms: Sequence[TrainingArm], pools: dict[str, LabeledImages]
) -> dict[str, Any]:
    """Of every synthetic source at its largest size, as the first seed draws it."""
    largest: dict[str, TrainingArm] = {}
    for arm in arms:
        if arm.kind == "synthetic" and arm.size >= largest.get(arm.source, arm).size:
            largest[arm.source] = arm
    found = {}
    for name, arm in largest.items():
        drawn = draw(arm, 0, study, pools)
        places = [
            place for pool, place in zip(drawn.pools, drawn.places, strict=True) if pool == name
        ]
        found[name] = measure_overuse(
            pools[name].part(places), pools[REAL], most_per_lesion=study.most_per_lesion
        )
    return found


def run_study(
    study: UtilityStudy,
    out: Path | str,
    *,
    ray: str | None = None,
    thread_count: int | None = None,
    listener: Listener = ignore,
) -> dict[str, Any]:
    """Train what is missing, then write the report into `out`; returns what report.json holds.

    Args:
        ray: address of a Ray cluster, or auto; None trains in this process.
        thread_count: threads of each training.

    Raises:
        ValueError: see `prepare_study`.
        BlockingIOError: another run works on `out` now.
        KeyboardInterrupt: stopped; what was trained is kept.
    """
    from medsynth.studies.utility.report import write_report

    folder = Path(out).expanduser().absolute()
    if folder.is_file():
        raise FileExistsError(f"{folder} is a file, expected a folder to make")
    prepared = prepare_study(study, listener=listener)
    for words in prepared.warnings:
        listener(Event("warning", message=words))
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    with working_in(folder):
        cells = list_cells(study, prepared.arms, prepared.pools)
        left = [cell for cell in cells if read_cell(cell, folder) is None]
        _train_all(left, len(cells), prepared, folder, ray, thread_count, listener)
        outcomes = {cell: read_cell(cell, folder) for cell in cells}
        return write_report(prepared, outcomes, folder)


def _train_all(
    left: Sequence[SweepCell],
    total: int,
    prepared: PreparedStudy,
    out: Path,
    ray: str | None,
    thread_count: int | None,
    listener: Listener,
) -> None:
    kept = total - len(left)
    if kept:
        listener(Event("warning", message=f"{kept} of {total} trainings are there already"))
    steps = sum(cell.arm.steps for cell in left)
    with Stage("training", total=steps, listener=listener) as stage:
        try:
            for _ in _outcomes(left, prepared, out, ray, thread_count, stage):
                kept += 1
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"stopped; {kept} of {total} trainings are kept, the same command goes on"
            ) from None


def _outcomes(
    left: Sequence[SweepCell],
    prepared: PreparedStudy,
    out: Path,
    ray: str | None,
    thread_count: int | None,
    stage: Stage,
) -> Iterator[SweepCell]:
    """Each cell once its outcome is on the disk."""
    if ray is not None and left:
        from medsynth.studies.utility.ray_cells import train_on_ray

        for cell, found in train_on_ray(
            left, prepared.study, prepared.pools, address=ray, thread_count=thread_count
        ):
            write_cell(cell, found, out)
            stage.advance(cell.arm.steps, message=cell.arm.name)
            yield cell
        return
    with threads.using(thread_count):
        for cell in left:
            advance = partial(stage.advance, message=f"{cell.arm.name}, seed {cell.seed + 1}")
            found = train_and_score(
                cell.arm, cell.seed, prepared.study, prepared.pools, on_steps=advance
            )
            write_cell(cell, found, out)
            yield cell


def estimate_study(
    prepared: PreparedStudy, out: Path, *, thread_count: int | None = None
) -> dict[str, Any]:
    """How many trainings and steps there are, and how long they take, from a few steps of one of them."""
    cells = list_cells(prepared.study, prepared.arms, prepared.pools)
    left = [cell for cell in cells if read_cell(cell, Path(out)) is None]
    steps = sum(cell.arm.steps for cell in left)
    per_step = _seconds_per_step(prepared, thread_count) if left else 0.0
    return {
        "trainings": len(cells),
        "left": len(left),
        "steps": steps,
        "seconds": round(per_step * steps, 1),
        "rows": [arm.name for arm in prepared.arms],
    }


def _seconds_per_step(prepared: PreparedStudy, thread_count: int | None) -> float:
    arm = prepared.arms[0]
    timed = replace(arm, steps=TIMED_STEPS)
    at: list[float] = []
    with threads.using(thread_count):
        train_and_score(
            timed, 0, prepared.study, prepared.pools, on_steps=lambda _: at.append(time.monotonic())
        )
    return (at[-1] - at[0]) / max(1, len(at) - 1)

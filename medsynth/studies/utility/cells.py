"""One training of the sweep and the file that keeps its outcome; a killed sweep goes on from these files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medsynth.storage.files import new_file, sha256
from medsynth.studies.utility.arms import REAL, TrainingArm
from medsynth.studies.utility.sources import LabeledImages
from medsynth.studies.utility.study import UtilityStudy
from medsynth.studies.utility.training import TEST, VALIDATION, TrainedScores

FOLDER = "cells"
# What decides the outcome of a training besides its images.
DECIDING = (
    *("side", "window", "each", "positives", "network", "batch", "learning_rate", "augmentation"),
    "seed",
)


@dataclass(frozen=True)
class SweepCell:
    """One arm with one seed; `key` changes when anything does that its outcome depends on."""

    arm: TrainingArm
    seed: int
    key: str

    def file(self, out: Path) -> Path:
        """Where its outcome lies."""
        return out / FOLDER / f"{self.key}.json"


def list_cells(
    study: UtilityStudy, arms: list[TrainingArm], pools: dict[str, LabeledImages]
) -> list[SweepCell]:
    """Seed by seed, so that a sweep that is stopped early has whole rows of fewer seeds."""
    digests = {name: digest_of(pool) for name, pool in pools.items()}
    weights = None if study.weights is None else sha256(study.weights)
    settings = {name: getattr(study, name) for name in DECIDING} | {"weights_sha256": weights}
    cells = []
    for seed in range(study.seeds):
        for arm in arms:
            images = [digests[name] for name in (REAL, VALIDATION, TEST)]
            images.append(digests[arm.source] if arm.source else "")
            # What the source is called does not change what is learned from it.
            what = {k: v for k, v in asdict(arm).items() if k != "source"}
            text = json.dumps([settings, what, images, seed], sort_keys=True)
            cells.append(SweepCell(arm, seed, hashlib.sha256(text.encode()).hexdigest()[:20]))
    return cells


def digest_of(images: LabeledImages) -> str:
    """Identifies pixels, classes and patients."""
    digest = hashlib.sha256(np.ascontiguousarray(images.pixels).tobytes())
    for fact in images.facts:
        digest.update(f"{fact.patient}\0{fact.positive}\n".encode())
    return digest.hexdigest()


def write_cell(cell: SweepCell, found: TrainedScores, out: Path) -> None:
    """The outcome, in one step."""
    record = {
        "arm": cell.arm.name,
        "seed": cell.seed,
        "steps": cell.arm.steps,
        "final_loss": round(found.final_loss, 6),
        "seconds": round(found.seconds, 2),
        "validation": [round(float(v), 6) for v in found.validation],
        "test": [round(float(v), 6) for v in found.test],
    }
    with new_file(cell.file(out), overwrite=True) as partial:
        partial.write_text(json.dumps(record) + "\n", encoding="utf-8")


def read_cell(cell: SweepCell, out: Path) -> dict[str, Any] | None:
    """The outcome; None where there is none yet, or the file is damaged and the training is done again."""
    try:
        record = json.loads(cell.file(out).read_text(encoding="utf-8"))
        return record if record["seed"] == cell.seed and record["test"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None

"""What a utility study is once its images are read: what its runs and its report work on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from medsynth.studies.utility.arms import TrainingArm
from medsynth.studies.utility.sources import LabeledImages
from medsynth.studies.utility.study import UtilityStudy


@dataclass(frozen=True, eq=False)
class PreparedStudy:
    """The study with its images read and checked, the rows of its table, and what to warn of."""

    study: UtilityStudy
    pools: dict[str, LabeledImages]
    arms: list[TrainingArm]
    overuse: dict[str, Any]
    warnings: list[str]
    network_weights: int

"""Who the phantom is of: sex, size, heart, fat, contrast medium; drawn from a seed or given."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from medsynth.errors import check_one_of
from medsynth.request.phantom import HABITUS as RANGES

SEXES = ("female", "male")


@dataclass(frozen=True)
class Habitus:
    """The parameters that make one thorax differ from another.

    Attributes:
        sex: female or male (smaller cage and breasts, or larger and none).
        width, depth, height: of the rib cage, relative to an adult's (270 x 170 x 270 mm inside).
        fat_mm: subcutaneous fat at the flank.
        breast_mm: how far the breast stands out.
        muscle: thickness of the chest wall's muscles, relative.
        heart, aorta: size, relative (an enlarged heart is above 1.2).
        lung_hu: HU of aerated lung at mid depth; -850 is a full inspiration.
        contrast_hu: HU added to blood by contrast medium, 0 without.
        variation: strength of the smooth random deformation of everything, 1 = natural.
        table: whether the patient lies on a CT table.
    """

    sex: str
    width: float
    depth: float
    height: float
    fat_mm: float
    breast_mm: float
    muscle: float
    heart: float
    aorta: float
    lung_hu: float
    contrast_hu: float
    variation: float
    table: bool

    def __post_init__(self) -> None:
        check_one_of("sex", self.sex, SEXES)
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and low <= value <= high):  # also refuses NaN
                raise ValueError(f"{name} must be a number from {low:g} to {high:g}, got {value!r}")
        if self.table not in (True, False):
            raise ValueError(f"table must be true or false, got {self.table!r}")


NAMES = tuple(field.name for field in dataclasses.fields(Habitus))


def draw(generator: np.random.Generator, overrides: dict) -> Habitus:
    """A random adult; `overrides` (name -> value) replace what was drawn, nothing else changes."""
    male = bool(generator.random() < 0.5)
    normal = generator.standard_normal(9).clip(-2, 2)
    if overrides.get("sex") in SEXES:  # the size depends on the sex
        male = overrides["sex"] == "male"
    drawn = {
        "sex": "male" if male else "female",
        "width": (1.06 if male else 0.99) + 0.035 * normal[0],
        "depth": (1.06 if male else 0.98) + 0.045 * normal[1],
        "height": (1.04 if male else 0.98) + 0.04 * normal[2],
        "fat_mm": float(np.exp(np.log(11.0 if male else 15.0) + 0.3 * normal[3])),
        "breast_mm": 0.0 if male else 17.0 + 6.0 * normal[4],
        "muscle": (1.1 if male else 0.85) + 0.12 * normal[5],
        "heart": 1.0 + 0.07 * normal[6],
        "aorta": 1.0 + 0.08 * normal[7],
        "lung_hu": -858.0 + 18.0 * normal[8],
        "contrast_hu": float(generator.uniform(110, 220)) if generator.random() < 0.5 else 0.0,
        "variation": 1.0,
        "table": True,
    }
    drawn = {name: value if name == "sex" else _plain(value) for name, value in drawn.items()}
    return Habitus(**(drawn | overrides))


def _plain(value: float | bool) -> float | bool:
    return value if isinstance(value, bool) else round(float(value), 3)

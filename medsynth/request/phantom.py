"""The `anatomy.phantom` part of a request: which drawn anatomy, on which grid, of whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medsynth import domains as presets
from medsynth.request import fields
from medsynth.request.model import BREAST_WORDS, LARGEST_SEED, Phantom

GRID_KEYS = ("slices", "spacing_mm", "size", "level_mm")
# Lowest and highest that still give a thorax.
HABITUS = {
    "width": (0.75, 1.3),
    "depth": (0.75, 1.35),
    "height": (0.75, 1.25),
    "fat_mm": (3.0, 60.0),
    "breast_mm": (0.0, 60.0),
    "muscle": (0.4, 1.8),
    "heart": (0.75, 1.5),
    "aorta": (0.7, 1.8),
    "lung_hu": (-950.0, -600.0),
    "contrast_hu": (0.0, 400.0),
    "variation": (0.0, 2.0),
}
PERSON_KEYS = ("seed", "sex", "table", *HABITUS)
BREAST_NUMBERS = {"nipple_mm": (55.0, 115.0), "glandular": (0.02, 0.95)}
BREAST_KEYS = ("seed", *BREAST_WORDS, *BREAST_NUMBERS)
# What may be said of each kind, besides `kind` and `control_points`: its grid, and who it is.
KINDS = {"thorax": (GRID_KEYS, PERSON_KEYS), "breast": ((), BREAST_KEYS)}
KEYS = (
    *("kind", "control_points"),
    *dict.fromkeys(key for grid, person in KINDS.values() for key in (*grid, *person)),
)
LARGEST_SIZE = 2048


def parse_phantom(
    value: Any, *, base: Path, preset: presets.Preset, at: str = "anatomy.phantom"
) -> Phantom:
    """The phantom that `value` describes; `options` are those of `medsynth.phantoms.build`."""
    if not preset.phantoms:
        raise ValueError(f"{at}: preset {preset.name} has no phantom; give anatomy.image")
    raw = fields.mapping(value, at, keys=KEYS)
    kind = fields.one_of(raw.get("kind", preset.phantoms[0]), f"{at}.kind", choices=preset.phantoms)
    grid, person = KINDS[kind]
    for key in raw:
        if key not in ("kind", "control_points", *grid, *person):
            known = ", ".join((*grid, *person))
            raise ValueError(f"{at}.{key}: a {kind} has no such key; known keys: {known}")
    options = _grid(raw, at)
    if "control_points" in raw:
        given = [key for key in person if key in raw]
        if given:
            raise ValueError(
                f"{at}.control_points: say who the phantom is; remove {', '.join(given)}"
            )
        path = fields.existing_path(raw["control_points"], f"{at}.control_points", base=base)
        return Phantom(kind, {**options, "control_points": path})
    return Phantom(kind, {**options, **_person(raw, at)})


def _grid(raw: dict[str, Any], at: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if "slices" in raw:
        options["slices"] = fields.integer(raw["slices"], f"{at}.slices", low=1, high=LARGEST_SIZE)
    if "spacing_mm" in raw:
        options["spacing_mm"] = fields.triple(
            raw["spacing_mm"], f"{at}.spacing_mm", low=0.1, high=50
        )
    if "size" in raw:
        size = raw["size"]
        if not isinstance(size, (list, tuple)) or len(size) != 2:
            raise fields.refusal(f"{at}.size", "two integers [columns, rows]", size)
        options["size"] = tuple(
            fields.integer(n, f"{at}.size[{i}]", low=1, high=LARGEST_SIZE)
            for i, n in enumerate(size)
        )
    if "level_mm" in raw:
        options["level_mm"] = fields.number(raw["level_mm"], f"{at}.level_mm", low=-1000, high=1000)
    return options


def _person(raw: dict[str, Any], at: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "seed": fields.integer(raw.get("seed", 0), f"{at}.seed", low=0, high=LARGEST_SEED)
    }
    if "sex" in raw:
        options["sex"] = fields.one_of(raw["sex"], f"{at}.sex", choices=("female", "male"))
    if "table" in raw:
        options["table"] = fields.flag(raw["table"], f"{at}.table")
    for key in [key for key in BREAST_WORDS if key in raw]:
        options[key] = fields.one_of(raw[key], f"{at}.{key}", choices=BREAST_WORDS[key])
    for key, (low, high) in (HABITUS | BREAST_NUMBERS).items():
        if key in raw:
            options[key] = fields.number(raw[key], f"{at}.{key}", low=low, high=high)
    return options

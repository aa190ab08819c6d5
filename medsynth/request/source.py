"""The `source` part of a pathology: a lesion that is drawn, or one taken from an annotated study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

from medsynth import domains as presets
from medsynth.domains.lesion_kinds import KINDS
from medsynth.request import fields
from medsynth.request.aliases import lesion_kind, lesion_options
from medsynth.request.model import LARGEST_SEED, Source
from medsynth.storage import saved_lesions

KEYS = tuple(field.name for field in dataclass_fields(Source))
TRANSFORM_KEYS = ("series_uid", "rotate_deg", "scale", "mirror", "patch")
# Steps of medsynth.lesions.patch with their defaults and ranges; a test holds the two equal.
PATCH_FLAGS = ("equalize", "taper", "rotate", "flip")
NORMALIZE = ("breast", "patch", "off")
QUANTILE = (0.5, 1.0)
SHIFT_MM = (0.0, 30.0)
USUAL_SHIFT_MM = 3.0
PATCH_KEYS = ("equalize", "normalize", "quantile", "taper", "rotate", "flip", "shift_mm", "seed")
SCALE = (0.2, 5.0)
SHAPE = ("lobulation", "elongation")


def parse_source(
    value: Any, at: str, *, base: Path, preset: presets.Preset, painted: bool
) -> Source:
    """The source that `value` describes; `painted`: the lesion fills an ROI, which gives its shape."""
    raw = fields.mapping(value, at, keys=KEYS)
    raw = _with_saved(raw, at, preset) if "saved" in raw else raw
    if fields.exclusive(raw, at, first=("procedural",), second=("image", "mask")) == "procedural":
        for key in TRANSFORM_KEYS:
            if key in raw:
                raise ValueError(f"{at}.{key}: acts on a lesion taken from an image; remove it")
        at = f"{at}.procedural"
        return Source(procedural=_procedural(raw["procedural"], at, preset=preset, painted=painted))
    projection = preset.patch_pipeline
    if not projection and "patch" in raw:
        raise ValueError(
            f"{at}.patch: acts on projection images only, {preset.name} has none; remove it"
        )
    uid = fields.text(raw["series_uid"], f"{at}.series_uid") if "series_uid" in raw else None
    scale = fields.number(raw.get("scale", 1.0), f"{at}.scale", low=SCALE[0], high=SCALE[1])
    return Source(
        image=fields.existing_path(raw["image"], f"{at}.image", base=base),
        mask=fields.existing_path(raw["mask"], f"{at}.mask", base=base),
        series_uid=uid,
        rotate_deg=_rotation(raw.get("rotate_deg", 0.0), f"{at}.rotate_deg", projection=projection),
        scale=scale,
        mirror=_mirror(raw.get("mirror", False), f"{at}.mirror", projection=projection),
        patch=_patch(raw.get("patch", {}), f"{at}.patch") if projection else None,
        saved=raw.get("saved"),
    )


def _with_saved(raw: Mapping[str, Any], at: str, preset: presets.Preset) -> dict[str, Any]:
    """The source with the files of the saved lesion that it names."""
    for key in ("procedural", "image", "mask", "series_uid"):
        if key in raw:
            raise ValueError(f"{at}: saved and {key} exclude each other; keep one of the two")
    try:
        lesion = saved_lesions.find(fields.text(raw["saved"], f"{at}.saved"))
    except ValueError as error:
        raise ValueError(f"{at}.saved: {str(error).removeprefix(f'{at}.saved: ')}") from None
    if lesion.preset != preset.name:
        raise ValueError(
            f"{at}.saved: {lesion.name!r} was cut out of an image of {lesion.preset}, this request is of "
            f"{preset.name}; choose another lesion"
        )
    return {**raw, "image": str(lesion.image), "mask": str(lesion.mask)}


def _patch(value: Any, at: str) -> dict[str, Any]:
    """The steps of the patch pipeline, every default filled in; `seed` only where it is given."""
    raw = fields.mapping(value, at, keys=PATCH_KEYS)
    steps: dict[str, Any] = {
        key: fields.flag(raw.get(key, True), f"{at}.{key}") for key in PATCH_FLAGS
    }
    normalize = fields.one_of(
        raw.get("normalize", NORMALIZE[0]), f"{at}.normalize", choices=NORMALIZE
    )
    if normalize == "off" and steps["equalize"]:
        raise ValueError(
            f"{at}.normalize: off leaves the ranks that equalize makes; write equalize: false too"
        )
    shift = raw.get("shift_mm", USUAL_SHIFT_MM)
    steps |= {
        "normalize": normalize,
        "shift_mm": fields.number(shift, f"{at}.shift_mm", low=SHIFT_MM[0], high=SHIFT_MM[1]),
    }
    if "quantile" in raw:
        if normalize == "off":
            raise ValueError(f"{at}.quantile: has nothing to act on with normalize: off; remove it")
        low, high = QUANTILE
        steps["quantile"] = fields.number(raw["quantile"], f"{at}.quantile", low=low, high=high)
    if "seed" in raw:
        steps["seed"] = fields.integer(raw["seed"], f"{at}.seed", low=0, high=LARGEST_SEED)
    return steps


def _rotation(value: Any, at: str, *, projection: bool) -> float | tuple[float, float, float]:
    if isinstance(value, (list, tuple)) and not projection:
        return fields.triple(value, at)
    return fields.number(value, at)


def _mirror(value: Any, at: str, *, projection: bool) -> bool | str:
    if isinstance(value, str):
        return fields.one_of(value, at, choices=("x", "y") if projection else ("x", "y", "z"))
    return fields.flag(value, at)


def _procedural(value: Any, at: str, *, preset: presets.Preset, painted: bool) -> dict[str, Any]:
    named = value if isinstance(value, Mapping) else fields.mapping(value, at, keys=())
    example = f"kind: {(*preset.lesion_kinds, 'solid')[0]}"
    kind = fields.required(named, "kind", at, example=example)
    kind = fields.one_of(lesion_kind(kind), f"{at}.kind", choices=preset.lesion_kinds)
    options = {option.name: option for option in KINDS[kind].parameters}
    try:
        value = lesion_options(value)
    except ValueError as error:
        raise ValueError(f"{at}: {error}") from None
    raw = fields.mapping(value, at, keys=("kind", "seed", *options))
    drawn: dict[str, Any] = {"kind": kind}
    if "seed" in raw:
        drawn["seed"] = fields.integer(raw["seed"], f"{at}.seed", low=0, high=LARGEST_SEED)
    for key in [key for key in raw if key in options]:
        if painted and key in SHAPE:
            raise ValueError(f"{at}.{key}: the roi gives the shape; remove it")
        option = options[key]
        drawn[key] = fields.within(
            raw[key], f"{at}.{key}", allowed=option.allowed, whole=option.whole
        )
    return drawn

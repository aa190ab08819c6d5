"""A mapping becomes a `Plan`: every key known, every value in its range; nothing heavy is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medsynth import domains, threads
from medsynth.domains.lesion_kinds import KINDS
from medsynth.factory import distributions
from medsynth.factory.distributions import Distribution
from medsynth.factory.plan import (
    FORMAT,
    LARGEST_COUNT,
    NEAR_COPIES,
    REQUEST_KEYS,
    SPLITS,
    AnatomySource,
    AuditPlan,
    LesionPlace,
    LesionSource,
    Pathologies,
    Plan,
)
from medsynth.request import fields, read_mapping
from medsynth.request.aliases import lesion_kind, lesion_options
from medsynth.request.model import LARGEST_SEED
from medsynth.request.parse import DIAMETER_MM
from medsynth.request.phantom import parse_phantom

KEYS = (
    *("format", "preset", "count", "anatomies", "pathologies", "slices", "split", "write", "audit"),
    *("seed", "threads", *REQUEST_KEYS),
)
IMAGE_KEYS = ("images", "layout", "license", "labels", "pixel_mm", "view", "laterality", "in_turn")
ANATOMY_KEYS = ("weight", "factor", *IMAGE_KEYS, "phantom", "persons", "defaced", "burned_in_text")
PATHOLOGY_KEYS = ("share", "count", "sources", "diameter_mm", "place")
SOURCE_KEYS = ("procedural", "studies", "weight", "factor", "layout", "license")
PLACE_KEYS = ("where", "away_from", "pleural", "min_distance_mm")
AUDIT_KEYS = ("against", "data", "recipe", "near_copies")
LARGEST_FACTOR = 512
MOST_LESIONS = 20
USUAL_MARGIN_MM = 1.0


def load_plan(path: Path | str, *, overrides: Mapping[str, Any] | None = None) -> Plan:
    """The plan in a YAML or JSON file; relative paths in it start at its folder.

    Raises:
        ValueError: what `parse` says, or no such text.
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no such plan: {path.absolute()}")
    return parse({**read_mapping(path), **(overrides or {})}, path.absolute().parent)


def parse(raw: Mapping[str, Any], base: Path | str = ".") -> Plan:
    """The plan that `raw` describes, with the domain's defaults filled in.

    Raises:
        ValueError: the message opens with the key's path.
    """
    if not isinstance(raw, Mapping):
        raise fields.refusal("plan", "keys such as `preset: lung_ct`", raw)
    raw = fields.mapping(fields.plain(raw), "", keys=KEYS)
    if raw.get("format", FORMAT) != FORMAT:
        raise fields.refusal("format", FORMAT, raw["format"])
    preset = _preset(fields.required(raw, "preset", "", example="preset: lung_ct"))
    anatomies = fields.required(raw, "anatomies", "", example="anatomies: [{images: cts/*/}]")
    count = fields.required(raw, "count", "", example="count: 1000")
    return Plan(
        preset=preset.name,
        count=fields.integer(count, "count", low=1, high=LARGEST_COUNT),
        anatomies=_anatomies(anatomies, preset=preset, base=Path(base).absolute()),
        pathologies=_pathologies(raw["pathologies"], preset) if "pathologies" in raw else None,
        slices=_slices(raw.get("slices"), preset),
        split=_split(raw.get("split", {"train": 1.0})),
        write=_write(raw.get("write", ())),
        audit=_audit(raw["audit"], preset, Path(base).absolute()) if "audit" in raw else None,
        seed=fields.integer(raw.get("seed", 0), "seed", low=0, high=LARGEST_SEED),
        threads=fields.integer(raw.get("threads", 1), "threads", low=1, high=threads.MOST),
        request={key: raw[key] for key in REQUEST_KEYS if key in raw},
        base=Path(base).absolute(),
    )


def _preset(name: Any) -> domains.Preset:
    try:
        return domains.get(name if isinstance(name, str) else fields.shown(name))
    except ValueError as error:
        raise ValueError(f"preset: {error}") from None


def _list(value: Any, at: str) -> list[Any]:
    if not isinstance(value, (list, tuple)) or not value:
        raise fields.refusal(at, "a list that is not empty (each entry begins with a dash)", value)
    return list(value)


def _texts(value: Any, at: str) -> tuple[str, ...]:
    if isinstance(value, (list, tuple)):
        return tuple(fields.text(v, f"{at}[{i}]") for i, v in enumerate(_list(value, at)))
    return (fields.text(value, at),)


def _weight(raw: Mapping[str, Any], at: str) -> float:
    return fields.number(raw.get("weight", 1.0), f"{at}.weight", above=0)


def _factor(value: Any, at: str) -> Distribution:
    return distributions.parse(value, f"{at}.factor", low=1, high=LARGEST_FACTOR, whole=True)


def _anatomies(value: Any, *, preset: domains.Preset, base: Path) -> tuple[AnatomySource, ...]:
    sources = []
    for index, entry in enumerate(_list(value, "anatomies")):
        at = f"anatomies[{index}]"
        raw = fields.mapping(entry, at, keys=ANATOMY_KEYS)
        if fields.exclusive(raw, at, first=("images",), second=("phantom",)) == "phantom":
            sources.append(_phantom(raw, at, preset=preset, base=base))
        else:
            sources.append(_images(raw, at, preset=preset))
    return tuple(sources)


def _phantom(
    raw: Mapping[str, Any], at: str, *, preset: domains.Preset, base: Path
) -> AnatomySource:
    for key in (*IMAGE_KEYS, "defaced", "burned_in_text"):
        if key in raw:
            raise ValueError(f"{at}.{key}: acts on images, a phantom is drawn; remove it")
    given = fields.mapping(raw["phantom"], f"{at}.phantom", keys=raw["phantom"] or ())
    for key in ("seed", "control_points"):
        if key in given:
            raise ValueError(
                f"{at}.phantom.{key}: would draw one person again and again; remove it, `persons` "
                "says how many there are"
            )
    found = parse_phantom(given, base=base, preset=preset, at=f"{at}.phantom")
    options = {key: value for key, value in found.options.items() if key != "seed"}
    return AnatomySource(
        weight=_weight(raw, at),
        factor=_factor(raw.get("factor", preset.anatomy_factor), at),
        phantom={"kind": found.kind, **options},
        persons=fields.integer(raw["persons"], f"{at}.persons", low=1)
        if "persons" in raw
        else None,
        license="none (drawn)",
    )


def _images(raw: Mapping[str, Any], at: str, *, preset: domains.Preset) -> AnatomySource:
    if "persons" in raw:
        raise ValueError(f"{at}.persons: acts on phantoms, images have their own; remove it")
    labels = raw.get("labels")
    if labels is not None and labels != []:
        labels = fields.text(labels, f"{at}.labels")
    keys = ("pixel_mm", "view", "laterality", "defaced", "burned_in_text")
    return AnatomySource(
        weight=_weight(raw, at),
        factor=_factor(raw.get("factor", preset.anatomy_factor), at),
        images=_texts(raw["images"], f"{at}.images"),
        layout=_layout(raw, at),
        license=fields.text(raw["license"], f"{at}.license") if "license" in raw else "",
        labels=() if labels == [] else labels,
        anatomy={key: raw[key] for key in keys if key in raw},
        in_turn=fields.flag(raw.get("in_turn", False), f"{at}.in_turn"),
    )


def _layout(raw: Mapping[str, Any], at: str) -> str:
    if "layout" not in raw:
        return ""
    from medsynth.datasets.layouts import LAYOUTS

    return fields.one_of(raw["layout"], f"{at}.layout", choices=LAYOUTS)


def _pathologies(value: Any, preset: domains.Preset) -> Pathologies:
    raw = fields.mapping(value, "pathologies", keys=PATHOLOGY_KEYS)
    share = fields.required(raw, "share", "pathologies", example="share: 0.5")
    example = f"sources: [{{procedural: {{kind: {(*preset.lesion_kinds, 'solid')[0]}}}}}]"
    sources = fields.required(raw, "sources", "pathologies", example=example)
    diameter = fields.required(raw, "diameter_mm", "pathologies", example="diameter_mm: [6, 20]")
    low, high = DIAMETER_MM
    return Pathologies(
        share=fields.number(share, "pathologies.share", above=0, high=1),
        count=_counts(raw.get("count", {1: 1.0})),
        sources=tuple(
            _source(entry, f"pathologies.sources[{i}]", preset)
            for i, entry in enumerate(_list(sources, "pathologies.sources"))
        ),
        diameter_mm=distributions.parse(diameter, "pathologies.diameter_mm", low=low, high=high),
        place=_place(raw.get("place", {}), preset),
    )


def _counts(value: Any) -> dict[int, float]:
    at = "pathologies.count"
    if isinstance(value, int) and not isinstance(value, bool):
        value = {value: 1.0}
    if not isinstance(value, Mapping) or not value:
        raise fields.refusal(at, "a number, or shares such as {1: 0.7, 2: 0.3}", value)
    counts = {}
    for key, share in value.items():
        number = int(key) if str(key).isascii() and str(key).isdigit() else 0
        if not 1 <= number <= MOST_LESIONS:
            raise fields.refusal(at, f"numbers of lesions from 1 to {MOST_LESIONS} as keys", key)
        counts[number] = fields.number(share, f"{at}.{key}", above=0)
    return counts


def _source(value: Any, at: str, preset: domains.Preset) -> LesionSource:
    raw = fields.mapping(value, at, keys=SOURCE_KEYS)
    factor = _factor(raw["factor"], at) if "factor" in raw else None
    if fields.exclusive(raw, at, first=("procedural",), second=("studies",)) == "studies":
        return LesionSource(
            weight=_weight(raw, at),
            factor=factor,
            studies=_texts(raw["studies"], f"{at}.studies"),
            layout=_layout(raw, at),
            license=fields.text(raw["license"], f"{at}.license") if "license" in raw else "",
        )
    for key in ("layout", "license"):
        if key in raw:
            raise ValueError(f"{at}.{key}: acts on annotated studies; remove it")
    kinds, options = _procedural(raw["procedural"], f"{at}.procedural", preset)
    own = KINDS[kinds[0]].factor
    if factor is None and own is not None and {KINDS[kind].factor for kind in kinds} == {own}:
        factor = Distribution("uniform", (own, own), whole=True)
    return LesionSource(weight=_weight(raw, at), factor=factor, kinds=kinds, options=options)


def _procedural(
    value: Any, at: str, preset: domains.Preset
) -> tuple[tuple[str, ...], dict[str, Distribution | str | tuple[str, ...]]]:
    """The kinds, and the options that are drawn from the plan's own ranges instead of the kind's."""
    if not isinstance(value, Mapping):
        raise fields.refusal(at, "a mapping such as {kind: solid}", value)
    example = f"kind: {(*preset.lesion_kinds, 'solid')[0]}"
    given = fields.required(value, "kind", at, example=example)
    kinds = tuple(
        fields.one_of(lesion_kind(kind), f"{at}.kind", choices=preset.lesion_kinds)
        for kind in (given if isinstance(given, (list, tuple)) else [given])
    )
    try:
        value = lesion_options(value)
    except ValueError as error:
        raise ValueError(f"{at}: {error}") from None
    every = {option.name: option for kind in kinds for option in KINDS[kind].parameters}
    shared = [o for o in every if all(o in KINDS[kind].options for kind in kinds)]
    raw = fields.mapping(value, at, keys=("kind", *shared))
    options: dict[str, Distribution | str | tuple[str, ...]] = {}
    for key in [key for key in raw if key in every]:
        allowed, where = every[key].allowed, f"{at}.{key}"
        if isinstance(allowed[0], str):
            words = raw[key] if isinstance(raw[key], (list, tuple)) else [raw[key]]
            options[key] = tuple(fields.one_of(word, where, choices=allowed) for word in words)
            continue
        options[key] = distributions.parse(
            raw[key], where, low=allowed[0], high=allowed[1], whole=every[key].whole
        )
    return kinds, options


def _place(value: Any, preset: domains.Preset) -> LesionPlace:
    at = "pathologies.place"
    raw = fields.mapping(value, at, keys=PLACE_KEYS)
    where = fields.one_of(
        raw.get("where", next(iter(preset.places))), f"{at}.where", choices=preset.places
    )
    return LesionPlace(
        where=where,
        away_from=_away_from(raw.get("away_from", ()), f"{at}.away_from", preset),
        pleural=fields.number(raw.get("pleural", 0.0), f"{at}.pleural", low=0, high=1),
        min_distance_mm=fields.number(
            raw.get("min_distance_mm", LesionPlace.min_distance_mm), f"{at}.min_distance_mm", low=0
        ),
    )


def _away_from(value: Any, at: str, preset: domains.Preset) -> dict[str, float]:
    """A word, a list of words, or words with their least distance in mm."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, (list, tuple)):
        value = dict.fromkeys(map(str, value), USUAL_MARGIN_MM)
    if not isinstance(value, Mapping):
        raise fields.refusal(at, "a structure such as vessels", value)
    if value and not preset.structures:
        raise ValueError(f"{at}: {preset.name} has no structures to keep away from; remove it")
    return {
        fields.one_of(name, at, choices=preset.structures): fields.number(
            distance, f"{at}.{name}", low=0
        )
        for name, distance in value.items()
    }


def _slices(value: Any, preset: domains.Preset) -> str | int:
    if preset.is_projection:
        if value is not None:
            raise ValueError(
                f"slices: an image of {preset.name} is one projection image; remove it"
            )
        return "lesion"
    if value is None:
        return "lesion"
    if isinstance(value, int) and not isinstance(value, bool):
        return fields.integer(value, "slices", low=1)
    if value not in ("lesion", "all"):
        raise fields.refusal("slices", "lesion, all, or a number of slices per volume", value)
    return str(value)


def _split(value: Any) -> dict[str, float]:
    raw = fields.mapping(value, "split", keys=(*SPLITS, "by"))
    if raw.get("by", "anatomy") != "anatomy":
        raise fields.refusal(
            "split.by", "anatomy (no reference patient is in two splits)", raw["by"]
        )
    shares = {
        name: fields.number(raw[name], f"split.{name}", low=0, high=1)
        for name in SPLITS
        if name in raw
    }
    total = sum(shares.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"split: the shares must add up to 1, got {total:g}")
    return {name: share for name, share in shares.items() if share > 0}


def _write(value: Any) -> tuple[str, ...]:
    from medsynth.factory.layouts import LAYOUTS

    if value == () or value == []:
        return ()
    names = (value,) if isinstance(value, str) else _list(value, "write")
    return tuple(dict.fromkeys(fields.one_of(name, "write", choices=LAYOUTS) for name in names))


def _audit(value: Any, preset: domains.Preset, base: Path) -> AuditPlan:
    raw = fields.mapping(value, "audit", keys=AUDIT_KEYS)
    fields.one_of(raw.get("against", "training"), "audit.against", choices=("training",))
    if "data" not in raw:
        raise ValueError(
            "audit.data: missing; an audit compares with the images that the network was trained on, "
            "write for example data: path/to/lung_ct, as for medsynth audit --data"
        )
    near = fields.one_of(raw.get("near_copies", "refuse"), "audit.near_copies", choices=NEAR_COPIES)
    recipe = fields.text(raw.get("recipe", preset.name), "audit.recipe")
    data = fields.existing_path(raw["data"], "audit.data", base=base)
    return AuditPlan(data=data, recipe=recipe, near_copies=near)

"""A mapping becomes a `Request`: every key known, every value in its range, every path there.

Runs before anything heavy is loaded: no numpy, torch or SimpleITK here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medsynth import domains as presets
from medsynth import limits
from medsynth.domains.lesion_kinds import KINDS
from medsynth.request import fields, model
from medsynth.request.conditions import parse_conditions
from medsynth.request.labels import parse_labels
from medsynth.request.model import LARGEST_SEED, Anatomy, Pathology, Request, Source, Stop
from medsynth.request.phantom import parse_phantom
from medsynth.request.source import parse_source

KEYS = (
    *("preset", "anatomy", "pathologies", "extent", "background", "steps", "quality", "sampler"),
    *("composition", "seed", "output", "filter", "guidance", "weights", "expert"),
    *("device", "margin_mm", "feather_mm", "noise", "surroundings", "generator", "conditions"),
)
ANATOMY_KEYS = (
    *("image", "phantom", "series_uid", "slice", "factor", "stop"),
    *("view", "laterality", "pixel_mm", "burned_in_text", "defaced", "labels"),
)
OUTPUT_KEYS = ("patient", "paths", "write", "no_pixel_mark")
LONGEST_REASON = 200
PATHOLOGY_KEYS = (
    *("roi", "center_mm", "slice", "pixel", "diameter_mm", "source", "factor", "stop", "weight"),
)
DIAMETER_MM = (2.0, 150.0)


def parse(raw: Mapping[str, Any], base_folder: Path | str = ".") -> Request:
    """The request that `raw` describes, with the preset's defaults filled in.

    Args:
        raw: the keys of the request contract.
        base_folder: where relative paths start.

    Raises:
        ValueError: an unknown key, a value of the wrong type or out of range, keys that exclude each
            other; the message opens with the key's path.
        FileNotFoundError: a path leads nowhere.
    """
    base = Path(base_folder).absolute()
    raw = fields.mapping(fields.plain(raw), "", keys=KEYS)
    preset = _preset(fields.required(raw, "preset", "", example="preset: lung_ct"))
    anatomy = fields.required(raw, "anatomy", "", example="anatomy: {image: path/to/ct_series}")
    pathologies = raw.get("pathologies", ())
    if not isinstance(pathologies, (list, tuple)):
        raise fields.refusal("pathologies", "a list (each begins with a dash)", pathologies)
    lesions = tuple(
        _pathology(entry, f"pathologies[{i}]", base=base, preset=preset)
        for i, entry in enumerate(pathologies)
    )
    steps, shown = _steps(raw, preset), _anatomy(anatomy, base=base, preset=preset)
    expert, sampler = _drawn_with(raw, preset, steps, shown.stop)
    return Request(
        preset=preset.name,
        anatomy=shown,
        pathologies=lesions,
        steps=steps,
        seed=fields.integer(raw.get("seed", 0), "seed", low=0, high=LARGEST_SEED),
        weights=_path(raw, "weights", "", base=base),
        expert=raw["expert"]
        if raw.get("expert") in (model.NO_EXPERT, *preset.experts)
        else _path(raw, "expert", "", base=base) or expert,
        # Another program may have registered it: whether it is there is asked when it is to draw.
        generator=fields.text(raw.get("generator", Request.generator), "generator"),
        margin_mm=fields.number(raw.get("margin_mm", Request.margin_mm), "margin_mm", low=0),
        feather_mm=fields.number(raw.get("feather_mm", Request.feather_mm), "feather_mm", low=0),
        conditions=parse_conditions(raw.get("conditions", ())),
        **_output(raw.get("output", {})),
        noise=_noise(raw.get("noise", preset.noise), preset),
        surroundings=_surroundings(raw.get("surroundings", preset.surroundings), preset),
        **_choices(raw, sampler, with_lesions=bool(lesions)),
    )


def _drawn_with(
    raw: Mapping[str, Any], preset: presets.Preset, steps: int, stop: Stop
) -> tuple[str | None, str]:
    """Expert (None: as the weights say) and sampler, where the request leaves all of them to the preset.

    A network of few calls goes with the preset's own weights, wherever they lie, with its sampler, and
    with an anatomy that acts to the end: it knows nothing without.
    """
    weights = raw.get("weights", preset.weights)
    own = isinstance(weights, str) and Path(weights).name == preset.weights
    said = "expert" in raw or "sampler" in raw or "generator" in raw
    few = own and not said and stop.to_value() in (0.0, {"fraction": 1.0})
    return preset.drawn_with(steps) if few else (None, preset.sampler)


def _preset(name: Any) -> presets.Preset:
    try:
        return presets.get(name if isinstance(name, str) else fields.shown(name))
    except ValueError as error:
        raise ValueError(f"preset: {error}") from None


def _steps(raw: Mapping[str, Any], preset: presets.Preset) -> int:
    """Network calls as `steps` or `quality` says, which exclude each other."""
    if "quality" in raw:
        word = fields.one_of(raw["quality"], "quality", choices=model.QUALITIES)
        if "steps" in raw:
            raise ValueError(
                f"quality: {word} means {model.QUALITIES[word]} steps, but the request says steps: "
                f"{fields.shown(raw['steps'])} too; keep one of the two"
            )
        return model.QUALITIES[word]
    steps = fields.integer(raw.get("steps", preset.steps), "steps", low=1)
    limits.STEPS.check(steps, "steps", f"{fields.shown(steps)} steps")
    return steps


def _noise(value: Any, preset: presets.Preset) -> str | float:
    """A word of `model.NOISES`, or the standard deviation of the noise."""
    low, high = model.NOISE_LEVEL
    noise: str | float = (
        fields.one_of(value, "noise", choices=model.NOISES)
        if isinstance(value, str)
        else fields.number(value, "noise", low=low, high=high)
    )
    if noise != "network" and not preset.noisy_tissues:
        raise ValueError(
            f"noise: {fields.shown(value)} needs a domain whose scanner's noise is known (lung_ct); "
            f"for {preset.name} write noise: network, or leave it out"
        )
    return noise


def _surroundings(value: Any, preset: presets.Preset) -> str:
    word = fields.one_of(value, "surroundings", choices=model.SURROUNDINGS)
    if word != "network" and not preset.has_surroundings:
        able = ", ".join(p.name for p in presets.PRESETS.values() if p.has_surroundings)
        raise ValueError(
            f"surroundings: {word} needs a domain where it is known what surrounds the body ({able}); "
            f"for {preset.name} write surroundings: network, or leave it out"
        )
    return word


def _choices(raw: Mapping[str, Any], sampler: str, *, with_lesions: bool) -> dict[str, Any]:
    """The words among the keys; what needs a pathology to act is refused without one."""
    words = {
        "extent": model.EXTENTS,
        "background": model.BACKGROUNDS,
        "sampler": model.SAMPLERS,
        "composition": model.COMPOSITIONS,
        "filter": model.FILTERS,
        "guidance": model.GUIDANCE,
        "device": model.DEVICES,
    }
    given = {k: fields.one_of(raw[k], k, choices=c) for k, c in words.items() if k in raw}
    chosen = {"sampler": sampler, **given}
    if with_lesions:
        return {"extent": "roi", **chosen}
    for key, idle, cure in (("extent", "roi", "all"), ("background", "keep", "resynthesize")):
        if chosen.get(key) == idle:
            raise ValueError(
                f"{key}: {idle} has nothing to act on without pathologies; "
                f"add one, or write {key}: {cure}"
            )
    return chosen


def _output(value: Any) -> dict[str, Any]:
    """What `output` says, each word with its default."""
    words = {"patient": model.PATIENTS, "paths": model.PATHS}
    raw = fields.mapping(value, "output", keys=OUTPUT_KEYS)
    said = {
        key: fields.one_of(raw.get(key, getattr(Request, key)), f"output.{key}", choices=choices)
        for key, choices in words.items()
    }
    written = fields.several_of(
        raw.get("write", model.USUAL_EXPORTERS), "output.write", choices=model.EXPORTERS
    )
    if said["patient"] == "keep" and "dicom" not in written:
        raise ValueError(
            "output.patient: keep has nothing to act on without DICOM; add dicom to output.write, or "
            "write patient: synthetic"
        )
    return {**said, "write": written, "no_pixel_mark": _reason(raw)}


def _reason(raw: Mapping[str, Any]) -> str | None:
    """Why the pixels are not to be marked, on one line; None: they are."""
    if "no_pixel_mark" not in raw:
        return None
    at, words = "output.no_pixel_mark", raw["no_pixel_mark"]
    reason = " ".join(fields.text(words, at).split())
    if len(reason) > LONGEST_REASON:
        raise fields.refusal(at, f"the reason in at most {LONGEST_REASON} characters", words)
    return reason


def _path(raw: Mapping[str, Any], key: str, at: str, *, base: Path) -> Path | None:
    if key not in raw:
        return None
    return fields.existing_path(raw[key], fields.join(at, key), base=base)


def _text(raw: Mapping[str, Any], key: str, at: str) -> str | None:
    return fields.text(raw[key], fields.join(at, key)) if key in raw else None


def _stop(value: Any, at: str) -> Stop:
    """A number is sigma; `{fraction: 0.9}` acts during the first 90 % of the steps."""
    if isinstance(value, Mapping):
        entry = fields.mapping(value, at, keys=("sigma", "fraction"))
        if fields.exclusive(entry, at, first=("sigma",), second=("fraction",)) == "fraction":
            share = fields.number(entry["fraction"], f"{at}.fraction", above=0, high=1)
            return Stop(fraction=share)
        return Stop(sigma=fields.number(entry["sigma"], f"{at}.sigma", low=0))
    return Stop(sigma=fields.number(value, at, low=0))


def _anatomy(value: Any, *, base: Path, preset: presets.Preset) -> Anatomy:
    raw = fields.mapping(value, "anatomy", keys=ANATOMY_KEYS)
    phantom = None
    if fields.exclusive(raw, "anatomy", first=("image",), second=("phantom",)) == "phantom":
        phantom = parse_phantom(raw["phantom"], base=base, preset=preset)
        if "series_uid" in raw:
            raise ValueError("anatomy.series_uid: a phantom has no series; remove it")
        if "slice" in raw:
            raise ValueError(
                "anatomy.slice: a phantom is drawn at phantom.level_mm with phantom.slices: 1; remove it"
            )
        for key in ("view", "laterality"):
            if key in raw:
                raise ValueError(
                    f"anatomy.{key}: a phantom says it itself; remove it"
                    + (", or write it below phantom" if preset.modality == "MG" else "")
                )
        if "pixel_mm" in raw:
            raise ValueError("anatomy.pixel_mm: a phantom has its own spacing_mm; remove it")
        for key in ("burned_in_text", "defaced", "labels"):
            if key in raw:
                why = "has no findings" if key == "labels" else "shows nobody"
                raise ValueError(f"anatomy.{key}: a phantom {why}; remove it")
    if "defaced" in raw and preset.body_part != "BRAIN":
        raise ValueError(f"anatomy.defaced: acts on heads, {preset.name} shows none; remove it")
    return Anatomy(
        image=_path(raw, "image", "anatomy", base=base),
        phantom=phantom,
        series_uid=_text(raw, "series_uid", "anatomy"),
        slice=fields.integer(raw["slice"], "anatomy.slice", low=1) if "slice" in raw else None,
        factor=fields.integer(raw.get("factor", preset.anatomy_factor), "anatomy.factor", low=1),
        stop=_stop(raw.get("stop", preset.anatomy_stop), "anatomy.stop"),
        burned_in_text=fields.flag(raw.get("burned_in_text", False), "anatomy.burned_in_text"),
        labels=parse_labels(raw.get("labels"), "anatomy.labels", base=base),
        defaced=fields.flag(raw.get("defaced", False), "anatomy.defaced"),
        **_projection(raw, preset=preset),
    )


def _projection(raw: Mapping[str, Any], *, preset: presets.Preset) -> dict[str, Any]:
    """View, side and pixel size of a picture that has no header to say them."""
    said: dict[str, Any] = {}
    words = {"view": model.VIEWS.get(preset.modality, ()), "laterality": model.LATERALITIES}
    for key in [key for key in words if key in raw]:
        if preset.modality not in model.VIEWS:
            raise ValueError(
                f"anatomy.{key}: acts on radiographs and mammograms, {preset.name} is "
                f"{preset.modality}; remove it"
            )
        said[key] = fields.one_of(raw[key], f"anatomy.{key}", choices=words[key])
    if "pixel_mm" in raw:
        low, high = model.PIXEL_MM
        said["pixel_mm"] = fields.number(raw["pixel_mm"], "anatomy.pixel_mm", low=low, high=high)
    return said


def _place(raw: Mapping[str, Any], at: str, *, base: Path) -> dict[str, Any]:
    """Where a lesion lies: a painted region, a point in mm, or a pixel of a slice."""
    place: dict[str, Any] = {"roi": _path(raw, "roi", at, base=base)}
    by_pixel = "pixel" in raw or "slice" in raw
    if by_pixel and "center_mm" in raw:
        raise ValueError(f"{at}: center_mm and pixel exclude each other; keep one of the two")
    sphere = ("pixel" if by_pixel else "center_mm", "diameter_mm")
    if fields.exclusive(raw, at, first=("roi",), second=sphere) == "roi":
        if "slice" in raw:
            raise ValueError(f"{at}.slice: the roi says where the lesion is; remove it")
        return place
    low, high = DIAMETER_MM
    place["diameter_mm"] = fields.number(
        raw["diameter_mm"], f"{at}.diameter_mm", low=low, high=high
    )
    if not by_pixel:
        return place | {"center_mm": fields.triple(raw["center_mm"], f"{at}.center_mm")}
    pixel = raw["pixel"]
    if not isinstance(pixel, (list, tuple)) or len(pixel) != 2:
        raise fields.refusal(f"{at}.pixel", "two numbers [column, row]", pixel)
    place["pixel"] = tuple(
        fields.number(value, f"{at}.pixel[{i}]", low=-0.5) for i, value in enumerate(pixel)
    )
    if "slice" in raw:
        place["slice"] = fields.integer(raw["slice"], f"{at}.slice", low=1)
    return place


def _usual_factor(source: Source, preset: presets.Preset) -> int:
    """That of the lesion's kind, else of the domain."""
    own = KINDS[source.procedural["kind"]].factor if source.procedural else None
    return preset.pathology_factor if own is None else own


def _pathology(value: Any, at: str, *, base: Path, preset: presets.Preset) -> Pathology:
    raw = fields.mapping(value, at, keys=PATHOLOGY_KEYS)
    place = _place(raw, at, base=base)
    example = f"source: {{procedural: {{kind: {(*preset.lesion_kinds, 'solid')[0]}}}}}"
    source = fields.required(raw, "source", at, example=example)
    source = parse_source(source, f"{at}.source", base=base, preset=preset, painted="roi" in raw)
    factor = raw.get("factor", _usual_factor(source, preset))
    # The pipeline of the paper ends in its spherical Gaussian.
    weight = raw.get("weight", "mask" if source.patch is None else "gaussian")
    return Pathology(
        source=source,
        factor=fields.integer(factor, f"{at}.factor", low=1),
        stop=_stop(raw.get("stop", preset.pathology_stop), f"{at}.stop"),
        weight=fields.one_of(weight, f"{at}.weight", choices=model.WEIGHTS),
        **place,
    )

"""plan.yaml of a set: the plan as it was asked, with every default filled in and every path whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from medsynth import domains
from medsynth.factory.distributions import Distribution
from medsynth.factory.plan import FORMAT, AnatomySource, LesionSource, Pathologies, Plan
from medsynth.request.model import NO_EXPERT

# What may change between two starts of one set: more images, other layouts, another audit.
MAY_CHANGE = ("count", "write", "audit")


def to_dict(plan: Plan) -> dict[str, Any]:
    """The keys of a plan; `medsynth.factory.parse.parse` gives the same back."""
    record: dict[str, Any] = {
        "format": FORMAT,
        "preset": plan.preset,
        "count": plan.count,
        "anatomies": [_anatomy(source, plan.base) for source in plan.anatomies],
    }
    if plan.pathologies is not None:
        record["pathologies"] = _pathologies(plan.pathologies, plan.base)
    if not _is_projection(plan):
        record["slices"] = plan.slices
    record |= {"split": {**plan.split, "by": "anatomy"}, "write": list(plan.write)}
    if plan.audit is not None:
        audit = plan.audit
        record["audit"] = {
            "against": "training",
            "data": str(audit.data),
            "recipe": audit.recipe,
            "near_copies": audit.near_copies,
        }
    return record | {"seed": plan.seed, "threads": plan.threads} | _request(plan)


def text_of(plan: Plan) -> str:
    """plan.yaml."""
    return yaml.safe_dump(to_dict(plan), sort_keys=False, allow_unicode=True)


def difference(asked: Mapping[str, Any], there: Mapping[str, Any]) -> str | None:
    """The first key in which the plan that is asked for is another than that of a set; None: the same."""
    keys = [key for key in dict.fromkeys((*asked, *there)) if key not in MAY_CHANGE]
    return next((key for key in keys if asked.get(key) != there.get(key)), None)


def _is_projection(plan: Plan) -> bool:
    from medsynth import domains

    return domains.get(plan.preset).is_projection


def _whole(paths: tuple[str, ...], base: Path) -> list[str]:
    return [str(base / Path(path).expanduser()) for path in paths]


def _request(plan: Plan) -> dict[str, Any]:
    request = dict(plan.request)
    words = (NO_EXPERT, *domains.get(plan.preset).experts)
    files = [key for key in ("weights", "expert") if request.get(key) not in (None, *words)]
    for key in files:
        request[key] = str(plan.base / Path(str(request[key])).expanduser())
    return request


def _anatomy(source: AnatomySource, base: Path) -> dict[str, Any]:
    record: dict[str, Any] = {"weight": source.weight, "factor": source.factor.to_value()}
    if source.phantom is not None:
        phantom = {k: list(v) if isinstance(v, tuple) else v for k, v in source.phantom.items()}
        persons = {} if source.persons is None else {"persons": source.persons}
        return {"phantom": phantom, **record, **persons}
    record = {"images": _whole(source.images, base), **record, **source.anatomy}
    if source.in_turn:
        record["in_turn"] = True
    if source.layout:
        record["layout"] = source.layout
    if source.license:
        record["license"] = source.license
    if source.labels is not None:
        record["labels"] = source.labels if isinstance(source.labels, str) else []
    return record


def _pathologies(asked: Pathologies, base: Path) -> dict[str, Any]:
    place = asked.place
    return {
        "share": asked.share,
        "count": dict(asked.count),
        "sources": [_source(source, base) for source in asked.sources],
        "diameter_mm": asked.diameter_mm.to_value(),
        "place": {
            "where": place.where,
            "away_from": dict(place.away_from),
            "pleural": place.pleural,
            "min_distance_mm": place.min_distance_mm,
        },
    }


def _source(source: LesionSource, base: Path) -> dict[str, Any]:
    record: dict[str, Any] = {"weight": source.weight}
    if source.factor is not None:
        record["factor"] = source.factor.to_value()
    if source.studies:
        record = {"studies": _whole(source.studies, base), **record}
        if source.layout:
            record["layout"] = source.layout
        if source.license:
            record["license"] = source.license
        return record
    options = {
        key: value.to_value() if isinstance(value, Distribution) else list(value)
        for key, value in source.options.items()
    }
    kinds = source.kinds[0] if len(source.kinds) == 1 else list(source.kinds)
    return {"procedural": {"kind": kinds, **options}, **record}

"""What each image of a set is: its split, its anatomy, its lesions; a function of the plan and its id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from medsynth import domains
from medsynth.domains.lesion_kinds import KINDS
from medsynth.factory.catalog import Catalog, person_id
from medsynth.factory.distributions import Distribution
from medsynth.factory.plan import AnatomySource, LesionSource, Plan
from medsynth.factory.rows import PlanRow
from medsynth.factory.seeds import item_id, seed_of, stream

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
PERSON_BITS = 31
MIRROR_SHARE = 0.5


def draw_rows(plan: Plan, catalog: Catalog) -> list[PlanRow]:
    """Every row of a plan, in order."""
    return [draw_row(plan, catalog, number) for number in range(plan.count)]


def draw_row(plan: Plan, catalog: Catalog, number: int) -> PlanRow:
    """Row `number` (from 0); its lesions' centers and its slice follow when the image is made.

    Raises:
        ValueError: no source has anything for its split.
    """
    identifier = item_id(number)
    seed = seed_of(identifier, plan.seed)
    split = _weighted(plan.split, stream(seed, "split"))
    anatomy = _anatomy(plan, catalog, number, split, stream(seed, "anatomy"))
    lesions = _lesions(plan, catalog, split, stream(seed, "lesions"))
    return PlanRow(identifier, seed, split, anatomy, tuple(lesions))


def _weighted(weights: Mapping[T, float], generator: np.random.Generator) -> T:
    """One of the keys, each with its weight."""
    at = generator.uniform(0.0, sum(weights.values()))
    for name, weight in weights.items():
        at -= weight
        if at < 0:
            return name
    return name


def _one(options: Sequence[T], generator: np.random.Generator) -> T:
    return options[int(generator.integers(len(options)))]


def _anatomy(
    plan: Plan, catalog: Catalog, number: int, split: str, generator: np.random.Generator
) -> dict[str, Any]:
    unlimited = [s.phantom is not None and s.persons is None for s in plan.anatomies]
    there = {
        index: source.weight
        for index, source in enumerate(plan.anatomies)
        if unlimited[index] or catalog.usable("anatomies", index, split)
    }
    if not there:
        raise ValueError(
            f"split: no reference patient is in {split}; name more references, or leave {split} out"
        )
    index = _weighted(there, generator)
    source = plan.anatomies[index]
    record: dict[str, Any] = {"factor": source.factor.draw(generator), "slice": None}
    if source.phantom is None:
        usable = catalog.usable("anatomies", index, split)
        reference = usable[number % len(usable)] if source.in_turn else _one(usable, generator)
        named = {"id": reference.id, "patient": reference.patient, "image": reference.image}
        known = {"license": reference.license, "sha256": reference.sha256}
        more = {"slices": reference.slices, "keys": reference.anatomy}
        return {**named, "phantom": None, **record, **known, "source": source.name, **more}
    kind = source.phantom["kind"]
    if source.persons is None:
        who = person_id(kind, index, item_id(number))
    else:
        who = _one(catalog.usable("anatomies", index, split), generator).id
    return _person(plan, source, who) | record


def _person(plan: Plan, source: AnatomySource, who: str) -> dict[str, Any]:
    assert source.phantom is not None
    seed = seed_of(who, plan.seed) >> PERSON_BITS
    phantom = {k: list(v) if isinstance(v, tuple) else v for k, v in source.phantom.items()}
    return {
        "id": who,
        "patient": who,
        "image": None,
        "phantom": {**phantom, "seed": seed},
        "license": source.license,
        "source": source.name,
        "sha256": "",
        "slices": 0,
        "keys": {},
    }


def _lesions(
    plan: Plan, catalog: Catalog, split: str, generator: np.random.Generator
) -> list[dict[str, Any]]:
    asked = plan.pathologies
    if asked is None or generator.uniform() >= asked.share:
        return []
    there = {
        index: source.weight
        for index, source in enumerate(asked.sources)
        if source.kinds or catalog.usable("studies", index, split)
    }
    if not there:
        raise ValueError(
            f"pathologies.sources: no annotated study of a patient in {split}; name more studies, add "
            f"a procedural source, or leave {split} out"
        )
    preset = domains.get(plan.preset)
    lesions = []
    for _ in range(_weighted(asked.count, generator)):
        index = _weighted(there, generator)
        source = asked.sources[index]
        lesion = _lesion(source, catalog, index, split, generator)
        kind = KINDS.get(lesion["kind"])
        factor = source.factor or (kind and kind.factor) or preset.pathology_factor
        lesions.append(
            {
                **lesion,
                "factor": factor.draw(generator) if isinstance(factor, Distribution) else factor,
                "diameter_mm": asked.diameter_mm.draw(generator),
                "center_mm": None,
                "pleural": bool(generator.uniform() < asked.place.pleural),
            }
        )
    return lesions


def _lesion(
    source: LesionSource, catalog: Catalog, index: int, split: str, generator: np.random.Generator
) -> dict[str, Any]:
    """Its kind and options, or the study that it is taken from and how it is turned."""
    if source.studies:
        study = _one(catalog.usable("studies", index, split), generator)
        return {
            "kind": "from_study",
            "source": study.id,
            "patient": study.patient,
            "license": study.license,
            "image": study.image,
            "mask": study.mask,
            "rotate_deg": round(float(generator.uniform(0, 360)), 2),
            "mirror": bool(generator.uniform() < MIRROR_SHARE),
        }
    kind = _one(source.kinds, generator)
    options: dict[str, Any] = {}
    for name, value in source.options.items():
        whole = next(o.whole for o in KINDS[kind].parameters if o.name == name)
        drawn = value.draw(generator) if isinstance(value, Distribution) else _one(value, generator)
        options[name] = int(drawn) if whole else drawn
    return {"kind": kind, "source": "procedural", "patient": None, "options": options}

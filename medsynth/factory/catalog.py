"""references.json of a set: the references that it is drawn from, and which split each is in.

Written once when the set is begun, so that a file that comes or goes later moves no image.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from medsynth import domains
from medsynth.datasets.splits import some
from medsynth.events import Event, Listener, ignore
from medsynth.factory import splits
from medsynth.factory.plan import Plan
from medsynth.factory.references import SourceImage, examine, find_anatomies, find_studies
from medsynth.factory.seeds import item_id
from medsynth.storage.files import new_file

FILE = "references.json"


@dataclass(frozen=True)
class Catalog:
    """The references of anatomies (persons of phantoms too) and of lesions, and the split of each by id."""

    anatomies: tuple[SourceImage, ...]
    studies: tuple[SourceImage, ...]
    split: Mapping[str, str]

    def usable(self, kind: str, source: int, split: str) -> list[SourceImage]:
        """The `anatomies` or `studies` of one of the plan's sources that are in `split`."""
        return self._usable.get((kind, source, split), [])

    @cached_property
    def _usable(self) -> dict[tuple[str, int, str], list[SourceImage]]:
        found: dict[tuple[str, int, str], list[SourceImage]] = {}
        for kind in ("anatomies", "studies"):
            for reference in getattr(self, kind):
                if not reference.error:
                    key = (kind, reference.source, self.split[reference.id])
                    found.setdefault(key, []).append(reference)
        return found

    def write(self, folder: Path) -> None:
        """references.json, in one step."""
        record = {
            "anatomies": [reference.to_dict() for reference in self.anatomies],
            "studies": [reference.to_dict() for reference in self.studies],
            "split": dict(self.split),
        }
        with new_file(folder / FILE, overwrite=True) as partial:
            partial.write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Catalog:
        """The references of a set that was begun.

        Raises:
            ValueError: damaged.
        """
        path = folder / FILE
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            anatomies, studies = (
                tuple(SourceImage.from_dict(entry) for entry in record[kind])
                for kind in ("anatomies", "studies")
            )
            return cls(anatomies, studies, record["split"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} cannot be read ({error}); begin the set anew") from None


def make(plan: Plan, *, read: bool = True, listener: Listener = ignore) -> Catalog:
    """The references of a plan, each read once, and their splits.

    `read`: False only looks at names and headers, for an estimate.

    Raises:
        ValueError: none can be used, or the splits cannot be made.
    """
    preset = domains.get(plan.preset)
    anatomies, studies = find_anatomies(plan), find_studies(plan)
    if read:
        anatomies = examine(anatomies, preset, listener=listener)
        studies = examine(studies, preset, listener=listener)
    _check_some_are_usable(plan, anatomies, studies)
    persons = _persons(plan)
    unlimited = any(s.phantom is not None and s.persons is None for s in plan.anatomies)
    usable = [r for r in (*anatomies, *persons, *studies) if not r.error]
    split = splits.assign(usable, plan.split, seed=plan.seed, unlimited=unlimited)
    outside = sorted(set(split.values()) - set(plan.split))
    if outside:
        listener(
            Event("warning", message=f"the plan draws no image from the split {', '.join(outside)}")
        )
    return Catalog((*anatomies, *persons), tuple(studies), split)


def _check_some_are_usable(
    plan: Plan, anatomies: list[SourceImage], studies: list[SourceImage]
) -> None:
    """Each source must have something to draw from."""
    for index, source in enumerate(plan.anatomies):
        of_it = [r for r in anatomies if r.source == index]
        if of_it and all(r.error for r in of_it):
            raise ValueError(
                f"anatomies[{index}]: no image of {source.name} can be used, such as {of_it[0].error}"
            )
    lost = [r for r in studies if r.error]
    if lost and len(lost) == len(studies):
        raise ValueError(f"pathologies.sources: no study can be used, such as {lost[0].error}")
    missing = [r.mask for r in studies if not Path(r.mask).exists()]
    if missing:
        raise FileNotFoundError(f"pathologies.sources: masks are not there: {some(missing)}")


def _persons(plan: Plan) -> list[SourceImage]:
    """The persons of phantoms that the plan limits in number."""
    return [
        SourceImage(
            person_id(source.phantom["kind"], index, item_id(number)),
            index,
            person_id(source.phantom["kind"], index, item_id(number)),
            "",
            license=source.license,
        )
        for index, source in enumerate(plan.anatomies)
        if source.phantom is not None
        for number in range(source.persons or 0)
    ]


def person_id(kind: str, source: int, who: str) -> str:
    """The name of a person who is drawn."""
    return f"phantom-{kind}-{source}-{who}"

"""Which licenses follow from what a set was made of: references, annotated lesions, weights."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from medsynth.factory.store import DataSet
from medsynth.networks import model_store

DRAWN = "none (drawn)"
UNKNOWN = "not stated"


@dataclass(frozen=True)
class LicenseOf:
    """`what` (references, lesions, weights) of `source` are under `license`, in so many `images`."""

    what: str
    source: str
    license: str
    images: int

    @property
    def is_known(self) -> bool:
        """Whether somebody said it."""
        return self.license != UNKNOWN


def licenses_of(dataset: DataSet) -> tuple[LicenseOf, ...]:
    """Every source of the finished images, with what the plan says of its license."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for item in dataset.items():
        anatomy = item.row.anatomy
        said = str(anatomy.get("license") or "")
        if not said and anatomy.get("image") is None:
            said = DRAWN
        found = {("references", str(anatomy.get("source") or anatomy.get("id")), said or UNKNOWN)}
        for lesion in item.row.lesions:
            if lesion.get("patient"):
                license = str(lesion.get("license") or UNKNOWN)
                found.add(("lesions", str(lesion["source"]), license))
        weights = item.record.get("checkpoint")
        for used in (weights, (weights or {}).get("expert")):
            if used:
                found.add(("weights", used["name"], _of_weights(used["sha256"])))
        counts.update(found)
    return tuple(LicenseOf(*key, count) for key, count in sorted(counts.items()))


def license_text(found: tuple[LicenseOf, ...]) -> str:
    """All that bind, in one line; what is unknown is said, never left out."""
    words = dict.fromkeys(
        f"{each.license} ({each.what})" for each in found if each.license != DRAWN
    )
    return "; ".join(words) or "none follows from the references: they are drawn"


def _of_weights(sha256: str) -> str:
    """Found by content: a file's name says nothing."""
    known = {entry.sha256: entry.license for entry in model_store.index().values()}
    return known.get(sha256, UNKNOWN)

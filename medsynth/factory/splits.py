"""Which patients are in which split: no patient is in two, whatever their images are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medsynth.datasets.splits import key, some
from medsynth.factory.plan import SPLITS
from medsynth.factory.references import SourceImage
from medsynth.factory.rows import PlanRow
from medsynth.factory.seeds import rank

NAMES = {"training": "train", "val": "validation", "valid": "validation", "held_out": "test"}


def groups_of(references: Sequence[SourceImage]) -> list[list[SourceImage]]:
    """References of one patient together: of one name, one PatientID, one study, or the same pixels.

    A PatientID that every image bears says nothing.
    """
    patients = {key(reference.patient) for reference in references}
    shared = [set(reference.marks) for reference in references]
    everywhere = set.intersection(*shared) if len(patients) > 1 else set()
    leader: dict[str, str] = {}

    def first(mark: str) -> str:
        while leader.setdefault(mark, mark) != mark:
            mark = leader[mark]
        return mark

    for reference in references:
        own = first(f"patient {key(reference.patient)}")
        for mark in reference.marks:
            if mark not in everywhere or mark.startswith("pixels"):
                leader[first(mark)] = own = first(own)
    groups: dict[str, list[SourceImage]] = {}
    for reference in references:
        groups.setdefault(first(f"patient {key(reference.patient)}"), []).append(reference)
    return list(groups.values())


def assign(
    references: Sequence[SourceImage], shares: Mapping[str, float], *, seed: int, unlimited: bool
) -> dict[str, str]:
    """The split of every reference, by id; as tables say, else by shares of the patients.

    `unlimited`: phantoms supply persons to every split.

    Raises:
        ValueError: a patient whom tables put into two splits, or fewer patients than splits.
    """
    splits: dict[str, str] = {}
    free: list[list[SourceImage]] = []
    for group in groups_of(references):
        said = {_part(reference) for reference in group} - {""}
        if len(said) > 1:
            images = some(f"{r.id} ({_part(r) or 'no split'})" for r in group)
            raise ValueError(
                f"split: one patient is in {' and '.join(sorted(said))}: {images}; they share "
                f"{_shared(group)}; give all images of a patient one split"
            )
        if said:
            splits |= dict.fromkeys((r.id for r in group), said.pop())
        else:
            free.append(group)
    free.sort(key=lambda group: rank(min(key(r.patient) for r in group), seed))
    needed = [name for name in shares if name not in splits.values()]
    if not unlimited and len(free) < len(needed) and references:
        raise ValueError(
            f"split: {len(shares)} splits need at least {len(shares)} reference patients, got "
            f"{len(groups_of(references))}; name more references, or write split: {{train: 1}}"
        )
    return splits | _shared_out(free, shares, needed)


def _shared_out(
    groups: list[list[SourceImage]], shares: Mapping[str, float], needed: list[str]
) -> dict[str, str]:
    """Patients by largest remainder, and at least one for every split that has none."""
    wanted = {name: share * len(groups) for name, share in shares.items()}
    counts = {name: int(number) for name, number in wanted.items()}
    for name in needed[: len(groups)]:
        counts[name] = max(1, counts[name])
    while sum(counts.values()) < len(groups):
        counts[max(wanted, key=lambda name: wanted[name] - counts[name])] += 1
    while sum(counts.values()) > len(groups):
        most = [name for name in counts if counts[name] > (name in needed)]
        counts[max(most, key=lambda name: counts[name] - wanted[name])] -= 1
    rest = iter(groups)
    return {
        reference.id: name
        for name in SPLITS
        for _ in range(counts.get(name, 0))
        for reference in next(rest)
    }


def _part(reference: SourceImage) -> str:
    word = reference.part.strip().casefold()
    name = NAMES.get(word, word)
    if name not in (*SPLITS, ""):
        raise ValueError(
            f"split: {reference.id} is in {reference.part!r}, expected one of {', '.join(SPLITS)}"
        )
    return name


def _shared(group: Sequence[SourceImage]) -> str:
    marks = set.intersection(*(set(r.marks) for r in group))
    if len({key(r.patient) for r in group}) == 1:
        return f"the patient {group[0].patient}"
    kinds = {mark.split(" ")[0]: mark for mark in sorted(marks)}
    if "pixels" in kinds:
        return "the same pixels"
    return kinds.get("PatientID") or kinds.get("study") or "marks with each other"


def check_rows(rows: Sequence[PlanRow]) -> None:
    """Refuse rows in which one patient is in two splits.

    Raises:
        ValueError: names the patient and an image of each.
    """
    seen: dict[str, PlanRow] = {}
    for row in rows:
        for patient in row.patients:
            other = seen.setdefault(key(patient), row)
            if other.split != row.split:
                raise ValueError(
                    f"split: the patient {patient} is in {other.split} (image {other.id}) and in "
                    f"{row.split} (image {row.id}); the set would leak from one into the other"
                )

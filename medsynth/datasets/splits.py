"""Who is trained on and who is held out: decided by patient, written down, checked later."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from medsynth.datasets.entries import HELD_OUT, TRAINING, DataEntry
from medsynth.datasets.settings import Data

# Words that anonymizers write for a PatientID.
NOBODY = {"", "0", "anon", "anonymous", "anonymized", "anonymised", "none", "unknown"}


@dataclass(frozen=True)
class Split:
    """The images of both parts; no patient is in both."""

    training: tuple[DataEntry, ...]
    held_out: tuple[DataEntry, ...]

    def part(self, *, held_out: bool) -> tuple[DataEntry, ...]:
        """The entries of one part."""
        return self.held_out if held_out else self.training

    def rows(self) -> list[tuple[str, str, str]]:
        """(series, patient, part), sorted."""
        rows = [(e.name, e.patient, TRAINING) for e in self.training]
        return sorted(rows + [(e.name, e.patient, HELD_OUT) for e in self.held_out])

    @property
    def digest(self) -> str:
        """Identifies which patient is in which part, however many images each has."""
        return digest_of(self.rows())


def key(patient: str) -> str:
    """One spelling for the names of one patient: NIH-1, nih_0001 and " NIH 01" are the same.

    Rather two patients taken for one, who then stay together, than one taken for two.
    """
    words = re.sub(r"[\s_.\-/\\]+", "-", patient.strip().casefold()).strip("-")
    return re.sub(r"\d+", lambda digits: digits.group().lstrip("0") or "0", words)


def matches(pattern: str, patient: str) -> bool:
    """Whether `patient` is `pattern`: a name, a glob (`QIN-*`) or a range (`HEAD-084..HEAD-099`)."""
    first, dots, last = pattern.partition("..")
    if dots:
        return _in_range(first, last, patient, pattern=pattern)
    exact = fnmatchcase(patient.strip().casefold(), pattern.strip().casefold())
    return exact or fnmatchcase(key(patient), key(pattern))


def _in_range(first: str, last: str, patient: str, *, pattern: str) -> bool:
    start, end = (re.fullmatch(r"(.*?)(\d+)", key(word)) for word in (first, last))
    if not start or not end or end.group(1) not in ("", start.group(1)):
        raise ValueError(
            f"held_out: {pattern!r} is not a range of numbered patients; write NAME-084..NAME-099"
        )
    number = re.fullmatch(r"(.*?)(\d+)", key(patient))
    return (
        number is not None
        and number.group(1) == start.group(1)
        and int(start.group(2)) <= int(number.group(2)) <= int(end.group(2))
    )


def share(patient: str) -> float:
    """A number in [0, 1) that depends on the patient's name alone, so that newcomers move nobody."""
    digest = hashlib.sha256(b"medsynth split\0" + key(patient).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def make_split(entries: Sequence[DataEntry], data: Data) -> Split:
    """Both parts of `entries`, as `data.held_out`, `held_out_fraction` and the set itself say.

    Raises:
        ValueError: a held-out name that fits nobody, a fraction where patients are not known, or a
            patient whom the set puts into both parts.
    """
    by_patient: dict[str, list[DataEntry]] = {}
    for entry in entries:
        by_patient.setdefault(key(entry.patient), []).append(entry)
    names = dict.fromkeys(entry.patient for entry in entries)
    absent = [p for p in data.held_out if not any(matches(p, name) for name in names)]
    if absent:
        raise ValueError(
            f"held-out patients {', '.join(absent)} are not in {data.root}; the split would not be "
            f"what the recipe says. It holds {some(names)}"
        )
    if data.held_out_fraction and entries and all(entry.part for entry in entries):
        raise ValueError(
            f"{data.root} says itself which images are held out, so held_out_fraction does nothing; "
            "leave it out"
        )
    kept_out = {k for k, found in by_patient.items() if _is_held_out(found, data)}
    split = Split(
        tuple(e for e in entries if key(e.patient) not in kept_out),
        tuple(e for e in entries if key(e.patient) in kept_out),
    )
    _check_ids(split)
    return split


def _check_ids(split: Split) -> None:
    """Raises ValueError if images of both parts bear one PatientID, in folders of two names.

    An ID that all images share, or a word for none, says nothing.
    """
    ids = [
        {key(e.details.get("PatientID", "")): e for e in part}
        for part in (split.training, split.held_out)
    ]
    everyone = set(ids[0]) | set(ids[1])
    both = sorted((set(ids[0]) & set(ids[1])) - NOBODY) if len(everyone) > 1 else []
    if both:
        one, other = (found[both[0]] for found in ids)
        raise ValueError(
            f"{one.name} (training) and {other.name} (held out) bear one PatientID, "
            f"{one.details['PatientID']!r}; put them into one patient's folder, or name both "
            f"{one.patient} and {other.patient} in held_out"
        )


def _is_held_out(entries: list[DataEntry], data: Data) -> bool:
    """Whether the patient of `entries` is: named, in the set's own held-out part, or by share."""
    patient, spellings = entries[0].patient, {entry.patient for entry in entries}
    if any(matches(pattern, name) for pattern in data.held_out for name in spellings):
        return True
    parts = {entry.part for entry in entries}
    if parts - {""}:
        if len(parts) > 1:
            images = some(f"{e.name} ({e.part or 'no part'})" for e in entries)
            raise ValueError(
                f"patient {patient} is in both parts of the split column: {images}; give all images "
                "of a patient one part"
            )
        return parts == {HELD_OUT}
    if data.held_out_fraction and not entries[0].patient_known:
        raise ValueError(
            f"held_out_fraction splits by patient, but the set does not say whose image "
            f"{entries[0].name} is; list blocks of neighboring files in held_out, such as "
            "glioma_0600..glioma_0650"
        )
    return share(patient) < data.held_out_fraction


def digest_of(rows: Iterable[tuple[str, str, str]]) -> str:
    """The digest of the patients and parts of (series, patient, part) rows."""
    pairs = sorted({(key(patient), part) for _, patient, part in rows})
    return hashlib.sha256(repr(pairs).encode()).hexdigest()[:16]


def some(words: Iterable[str], *, shown: int = 5) -> str:
    """The first few of `words`, and how many more there are."""
    words = list(words)
    more = f" and {len(words) - shown} more" if len(words) > shown else ""
    return ", ".join(words[:shown]) + more

"""Whose images are where: no test patient may have taught the network, also not through a synthetic image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from medsynth.datasets.splits import key, some
from medsynth.studies.utility.sources import LabeledImages

# Fewer test patients of a class than this say little about others.
FEW_PATIENTS = 10


def check_patients(
    train: LabeledImages, test: LabeledImages, made: Sequence[LabeledImages]
) -> list[str]:
    """Warnings where it cannot be known; otherwise nobody is on both sides.

    Raises:
        ValueError: a patient is in the training and in the test set, or guided a synthetic image and is
            in the test set; the message names them.
    """
    tested = {key(name): name for name in test.patients}
    both = sorted({name for name in train.patients if key(name) in tested})
    if both:
        raise ValueError(
            f"test: {len(both)} patients are in the training set too: {some(both)}; give each patient to "
            "one of them (patients, without)"
        )
    warnings = []
    for images in made:
        guided: dict[str, list[str]] = {}
        for fact in images.facts:
            for name in fact.references or ():
                if key(name) in tested:
                    guided.setdefault(name, []).append(fact.file)
        if guided:
            first = next(iter(guided))
            raise ValueError(
                f"{images.name}: {sum(map(len, guided.values()))} synthetic images were made from test "
                f"patients: {some(sorted(guided))} (such as {guided[first][0]}); make them from others, "
                "or leave those images out (without)"
            )
        silent = sum(fact.references is None for fact in images.facts)
        if silent:
            warnings.append(
                f"{images.name}: of {silent} images nobody says which patients they were made from (column "
                "reference of the table): that no test patient guided them is taken on trust"
            )
    return warnings + _few(test)


def _few(test: LabeledImages) -> list[str]:
    found = []
    for words, kind in (("with", True), ("without", False)):
        count = len({fact.patient for fact in test.facts if fact.positive is kind})
        if not count:
            raise ValueError(f"test: no image {words} the finding; a test set needs both classes")
        if count < FEW_PATIENTS:
            found.append(
                f"only {count} test patients have an image {words} the finding: the intervals say "
                "little about other patients"
            )
    return found


def split_validation(
    train: LabeledImages, share: float, *, seed: int
) -> tuple[LabeledImages, LabeledImages]:
    """(training, validation): a share of the patients, of those with and without the finding alike.

    Chosen by a hash of the name. A class with a single patient stays in the training set.
    """
    by_patient: dict[str, bool] = {}
    for fact in train.facts:
        by_patient[key(fact.patient)] = by_patient.get(key(fact.patient), False) or fact.positive
    chosen: set[str] = set()
    for kind in (True, False):
        names = sorted(
            (n for n, has in by_patient.items() if has is kind), key=lambda n: _rank(n, seed)
        )
        if share > 0 and len(names) > 1:
            chosen |= set(names[: max(1, round(share * len(names)))])
    held = np.array([key(name) in chosen for name in train.patients])
    return train.part(np.flatnonzero(~held)), train.part(np.flatnonzero(held))


def _rank(name: str, seed: int) -> str:
    return hashlib.sha256(f"medsynth utility\0{seed}\0{name}".encode()).hexdigest()


def without_patients(images: LabeledImages, patients: Iterable[str]) -> tuple[LabeledImages, int]:
    """The images that none of `patients` guided, and how many are left out."""
    names = {key(name) for name in patients}
    kept = [
        k
        for k, fact in enumerate(images.facts)
        if not names & {key(name) for name in fact.references or ()}
    ]
    return images.part(kept), len(images.facts) - len(kept)

"""fda.md: the seven criteria by which scientists of the FDA evaluate synthetic medical data, as questions.

Zamzmi, Subbaswamy, Sizikova, Margerrison, Delfino, Badano: Scorecard for synthetic medical data
evaluation. Communications Engineering 4, 130 (2025), doi:10.1038/s44172-025-00450-1: congruence,
coverage, constraint, completeness, compliance, comprehension, consistency.
"""

from __future__ import annotations

from collections.abc import Sequence

from medsynth.factory.pages import wording
from medsynth.factory.pages.facts import Facts

NOT_KNOWN = "**Not known:**"


def fda_page(facts: Facts) -> str:
    """The page as Markdown."""
    questions = (
        ("Congruence: how close are the images to those of patients?", _congruence(facts)),
        ("Coverage: how much of the variety of patients do they span?", _coverage(facts)),
        ("Constraint: do they obey anatomy and physics?", _constraint(facts)),
        ("Completeness: is everything there that their use needs?", _completeness(facts)),
        ("Compliance: formats, privacy, licenses?", _compliance(facts)),
        ("Comprehension: is it clear how they were made, and what they cannot do?", _clear(facts)),
        ("Consistency: are they equally good in every part of the set?", _consistency(facts)),
    )
    body = "\n\n".join(
        f"## {number}. {title}\n\n" + "\n\n".join(answers)
        for number, (title, answers) in enumerate(questions, start=1)
    )
    return (
        f"# Seven questions on {facts['name']}\n\n> **{facts['mark']}**\n\n"
        "The criteria are those of the scorecard for synthetic medical data that scientists of the "
        "FDA's Office of Science and Engineering Laboratories proposed (Zamzmi et al., Communications "
        "Engineering 4, 130, 2025, doi:10.1038/s44172-025-00450-1). It is a proposal of theirs, no "
        "guidance of the agency; these answers were counted by the program that made the set, and "
        "nobody at the agency has seen them.\n\n" + body + "\n"
    )


def _congruence(facts: Facts) -> Sequence[str]:
    contrast = facts["lesions"]["contrast"]
    subgroups = (
        f"Lesions differ from what surrounds them by {contrast['lowest']:g} to {contrast['highest']:g} "
        f"{facts['units']} (median {contrast['median']:g})."
        if contrast
        else "No contrast was measured."
    )
    return (
        subgroups,
        f"{NOT_KNOWN} how far this set is from images of patients. `medsynth evaluate` measures its "
        "network (two-sample test, KID, FID, spectra, tissue peaks); the page of the network gives "
        "those figures, and they hold for its own held-out patients.",
    )


def _coverage(facts: Facts) -> Sequence[str]:
    found = facts["diversity"]
    nearest = found.get("nearest_of_another_anatomy") or {}
    subgroups = (
        f" The nearest image of another anatomy has a correlation of {nearest['median']} (median), "
        f"{nearest['highest']} at most."
        if nearest
        else ""
    )
    silent = wording.missing_groups(facts)
    return (
        f"{found['unique_anatomies']:,} anatomies of {found['unique_patients']:,} patients or drawn "
        f"persons; lesions of the kinds {', '.join(facts['lesions']['kinds_drawn']) or 'none'}; "
        f"{found['lesions_drawn_anew']:,} lesions drawn anew, others from "
        f"{found['lesions_taken_from']:,} annotated studies.{subgroups}",
        f"{NOT_KNOWN} "
        + (f"{', '.join(silent)} of the people shown, and " if silent else "")
        + "which part of the patients of any hospital or country the set stands for.",
    )


def _constraint(facts: Facts) -> Sequence[str]:
    images = facts["images"]
    return (
        "Anatomy follows a reference in its low-frequency content; lesions are placed within the organ "
        f"that the plan names, at the sizes that it names. {images['quarantined']:,} images failed and "
        "are not in the set.",
        f"{NOT_KNOWN} whether a radiologist finds each image anatomically possible: nobody has read "
        "them. Known failures: " + " ".join(wording.KNOWN_FAILURES[2:4]),
    )


def _completeness(facts: Facts) -> Sequence[str]:
    images = facts["images"]
    return (
        f"{images['finished']:,} of {images['asked']:,} images asked for are there, each with its "
        "masks, its request (by which it can be made again) and its record (seed, weights, every "
        f"lesion as drawn and as measured). {wording.ANNOTATION}",
        f"{NOT_KNOWN} findings of the references that were in no label; clinical history, laboratory "
        "values and outcomes: the set has none.",
    )


def _compliance(facts: Facts) -> Sequence[str]:
    return (
        "Every file says SYNTHETIC where its format has a place for it; DICOM objects carry Synthetic "
        "Data = YES. `medsynth dataset verify` checks files, marks, splits and licenses.",
        f"Licenses that follow: {facts['license']}.",
        wording.privacy(facts),
        f"{NOT_KNOWN} whether the law of a place treats images guided by a patient's as personal data, "
        "and whether an ethics board has agreed to this use: ask before you pass the set on.",
    )


def _clear(facts: Facts) -> Sequence[str]:
    return (
        wording.made_how(facts),
        f"Intended: {wording.INTENDED} Not intended: {wording.NOT_INTENDED}",
        "Known failures: " + " ".join(wording.KNOWN_FAILURES),
    )


def _consistency(facts: Facts) -> Sequence[str]:
    parts = ", ".join(
        f"{split} {part['images']:,} images of {part['anatomies']:,} anatomies, "
        f"{part['with_lesions']:,} with lesions"
        for split, part in facts["splits"].items()
    )
    return (
        f"By split: {parts}. Each image depends on its own seed alone: the same plan gives the same "
        "images, in any order and on any number of workers.",
        f"{NOT_KNOWN} whether images are equally good in all subgroups, and whether a network that "
        "learns from them is.",
    )

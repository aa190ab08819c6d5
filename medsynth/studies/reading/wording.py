"""What the page asks, by kind of question. The page itself holds no word of it.

In a first phase whose purpose readers do not know, none of the informed words may reach the browser.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from medsynth.studies.reading.design import CLUES, NAIVE, ReadingPhase, StudyDesign, StudyItem

INFORMED_NOTICE = "This set contains synthetic images · Not for diagnosis"
NAIVE_NOTICE = "Research images · Not for diagnosis"
SUREST = 5


@dataclass(frozen=True)
class Choice:
    """A button of the page: what is kept, what it says, the key that presses it."""

    value: str
    label: str
    key: str


REAL_FAKE = (Choice("real", "Real", "1"), Choice("fake", "Synthetic", "2"))
QUALITY = tuple(
    Choice(str(n), label, str(n))
    for n, label in enumerate(("Unusable", "Poor", "Fair", "Good", "Excellent"), start=1)
)


@dataclass(frozen=True)
class Question:
    """One kind of question as the page shows it; `slider`: the words at its two ends."""

    text: str
    choices: tuple[Choice, ...] = ()
    slider: tuple[str, str] | None = None
    images: int = 1
    sure: bool = True
    mark: bool = False
    reasons_for: str | None = None
    remark: str = "Remark (optional)"


QUESTIONS = {
    "quality": Question(
        "How good is this image for diagnosis?",
        QUALITY,
        sure=False,
        remark="Your diagnosis or impression, in a few words",
    ),
    "real_fake_unsure": Question(
        "Is this image real or synthetic?",
        (*REAL_FAKE, Choice("unsure", "Unsure", "3")),
        reasons_for="fake",
    ),
    "real_fake": Question("Is this image real or synthetic?", REAL_FAKE, reasons_for="fake"),
    "confidence": Question(
        "How real does this image look?", slider=("surely real", "surely synthetic"), sure=False
    ),
    "pair": Question(
        "Which of the two is the real image?",
        (Choice("left", "Left", "1"), Choice("right", "Right", "2")),
        images=2,
    ),
    "finding": Question(
        "Is there a lesion? If so, mark it in the image.",
        (Choice("yes", "Lesion", "1"), Choice("no", "No lesion", "2")),
        mark=True,
    ),
}

# What a reader says of themselves; no options: whole years.
FIELDS: dict[str, dict[str, Any]] = {
    "role": {
        "label": "Your profession",
        "options": [
            "radiologist",
            "resident in radiology",
            "other physician",
            "radiographer",
            "other",
        ],
    },
    "experience_years": {"label": "Years of experience with such images", "options": None},
    "ai_knowledge": {
        "label": "What you know of images made by AI",
        "options": ["nothing", "have read about them", "have seen many", "work on them"],
    },
}


def fields_asked(phase: ReadingPhase) -> tuple[str, ...]:
    """What a reader is asked about themselves by this phase; AI only once the purpose is known."""
    return ("role", "experience_years") if phase.name == NAIVE else tuple(FIELDS)


def notice(phase: ReadingPhase) -> str:
    """The line that is always on the page."""
    return NAIVE_NOTICE if phase.name == NAIVE else INFORMED_NOTICE


def page_question(
    design: StudyDesign, phase: ReadingPhase, item: StudyItem, *, arm: str
) -> dict[str, Any]:
    """The question as JSON for the page: nothing in it depends on the item but its window."""
    question = QUESTIONS[phase.kind]
    naive = phase.name == NAIVE
    return {
        **asdict(question),
        "reasons": list(design.reasons) if question.reasons_for else [],
        "clues": clues(design) if arm == CLUES and not naive else None,
        "grid": list(design.grid),
        "windows": [asdict(w) for w in design.windows],
        "window": item.window,
        "locked": design.locked_window,
        "limit_s": design.time_limit_s,
    }


def clues(design: StudyDesign) -> str:
    """What the arm with clues reads."""
    signs = ", ".join(r for r in design.reasons if r != "other")
    return f"Signs reported of synthetic images: {signs}."


def feedback(
    phase: ReadingPhase, item: StudyItem, answer: str, *, mirrored: bool
) -> dict[str, Any]:
    """Whether the answer was right; only for warm-up items, and in the arm with feedback."""
    if phase.kind == "pair":
        side = "right" if mirrored else "left"
        return {"right": answer == side, "text": f"The real image is on the {side}."}
    word = "synthetic" if item.synthetic else "real"
    return {"right": is_right(phase.kind, item.synthetic, answer), "text": f"This image is {word}."}


def is_right(kind: str, synthetic: bool, answer: str) -> bool | None:
    """Whether an answer is right; None of one that takes no side."""
    if kind == "confidence":
        value = float(answer)
        return None if value == 50 else (value > 50) == synthetic
    if answer not in ("real", "fake"):
        return None
    return (answer == "fake") == synthetic

"""Every figure of a reading study, from its rows alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from medsynth.studies.reading import naive
from medsynth.studies.reading.design import MACHINE, PLAIN
from medsynth.studies.reading.matrix import (
    CODES,
    AnswerMatrix,
    called_synthetic,
    category,
    code,
    matrix,
    right_half,
    right_left_out,
    score,
)
from medsynth.studies.reading.rows import REAL, SYNTHETIC, AnswerRow, is_naive
from medsynth.studies.reading.sources import finding_figures, signal_figures
from medsynth.studies.reading.statistics import accuracy, agreement, crossed, detection, mrmc
from medsynth.studies.reading.statistics.intervals import wilson

TRUTH_KINDS = ("real_fake_unsure", "real_fake", "confidence")
# Beyond this share of answers from one patient or image, the intervals say less than they seem to.
FEW_IMAGES = 10


def analyze(rows: Sequence[AnswerRow]) -> dict[str, Any]:
    """`phases` by name, and `naive` where there was such a phase.

    Raises:
        ValueError: no answer at all.
    """
    if not rows:
        raise ValueError("the study has no answer yet; nothing can be reported")
    report: dict[str, Any] = {
        "interval": "95 %; these readers: images are a sample; any readers: readers and images are",
        "phases": {},
    }
    naive_rows = [row for row in rows if is_naive(row)]
    if naive_rows:
        report["naive"] = naive.figures(naive_rows)
    names = dict.fromkeys(row.phase for row in rows if not is_naive(row))
    for name in names:
        report["phases"][name] = phase_figures([row for row in rows if row.phase == name])
    if len(names) > 1:
        report["between_phases"] = _between_phases(rows, list(names))
    return report


def phase_figures(rows: Sequence[AnswerRow]) -> dict[str, Any]:
    """The figures of one phase, practice left out."""
    counted = [row for row in rows if row.counts]
    if not counted:
        return {"answers": 0}
    kind, margin = counted[0].kind, counted[0].margin
    # Readers with clues and feedback are an arm of their own, as machines are: never in the pool.
    plain = [row for row in counted if row.arm == PLAIN]
    plain = plain or [row for row in counted if row.arm != MACHINE] or counted
    everyone, table = matrix(counted), matrix(plain)
    found: dict[str, Any] = {
        "kind": kind,
        "answers": len(counted),
        "practice": sum(row.warmup for row in rows),
        "second_showings": sum(row.repeat for row in rows),
        "images": len(table.items),
        "given": _given(counted),
        "seconds": _seconds(counted),
        "agreement": _agreement(table),
        "with_themselves": _with_themselves(rows),
        "reasons": Counter(r for row in counted for r in row.reasons).most_common(),
        "remarks": [_remark(row) for row in counted if row.remark],
        "items": _items(table),
    }
    if any(row.right is not None for row in counted):
        found |= _truth_figures(table, margin)
    if kind in TRUTH_KINDS:
        found |= signal_figures(table)
    if kind == "finding":
        found["finding"] = finding_figures(table)
    arms = dict.fromkeys(row.arm for row in counted)
    if len(arms) > 1:
        found["arms"] = {arm: _group([r for r in counted if r.arm == arm]) for arm in arms}
    found["readers"] = [_reader(everyone, name, margin) for name in everyone.readers]
    found["warnings"] = _warnings(table)
    return found


def _truth_figures(table: AnswerMatrix, margin: float) -> dict[str, Any]:
    """Accuracy, and an unsure answer both ways; by window, early and late."""
    taken = table.of(right_left_out)
    found: dict[str, Any] = {
        "unsure": int(np.isfinite(table.of(right_half)).sum() - np.isfinite(taken).sum()),
        "accuracy": accuracy.accuracy(taken, table.strata, margin=margin),
        "accuracy_unsure_half": accuracy.accuracy(
            table.of(right_half), table.strata, margin=margin
        ),
    }
    groups = dict.fromkeys(row.window for row in table.rows)
    if len(groups) > 1:
        found["windows"] = {
            group: _group([row for row in table.rows if row.window == group]) for group in groups
        }
    found["learning"] = _learning(table)
    return found


def _group(rows: Sequence[AnswerRow]) -> dict[str, Any]:
    """Accuracy within a part of the answers."""
    part = matrix(rows)
    right = part.of(right_left_out)
    answers = right[np.isfinite(right)]
    figure = None
    if answers.size:
        images = int(np.isfinite(right).any(axis=0).sum())
        figure = accuracy.of_these_readers(crossed.shares(right, part.strata), images).to_dict()
    return {"right": int(answers.sum()), "answers": int(answers.size), "accuracy": figure}


def _given(rows: Sequence[AnswerRow]) -> dict[str, dict[str, int]]:
    """By truth, how often each answer was given: the table that every figure comes from."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        part = found.setdefault(row.truth, dict.fromkeys(CODES[row.kind], 0))
        part[category(row)] += 1
    return found


def _agreement(table: AnswerMatrix) -> dict[str, Any] | None:
    numbers = table.of(code)
    codes = np.where(np.isfinite(numbers), numbers, -1).astype(int)
    names = CODES[table.rows[0].kind]
    between = agreement.between_readers(codes, len(names))
    if between is None:
        return None
    return {**between, "pairs": agreement.pairwise(codes, list(table.readers), len(names))}


def _with_themselves(rows: Sequence[AnswerRow]) -> list[dict[str, Any]]:
    """Each reader's first against their second answer to the same image."""
    found = []
    for reader in dict.fromkeys(row.reader for row in rows):
        own = [row for row in rows if row.reader == reader and not row.warmup]
        first = {row.item: row for row in own if not row.repeat}
        again = [(first[row.item], row) for row in own if row.repeat and row.item in first]
        if again:
            found.append({"reader": reader, **_same(again)})
    return found


def _same(pairs: Sequence[tuple[AnswerRow, AnswerRow]]) -> dict[str, Any]:
    a, b = (np.array([int(code(pair[k])) for pair in pairs]) for k in (0, 1))
    figure = agreement.cohen(a, b, len(CODES[pairs[0][0].kind]))
    share = wilson(figure["same"], figure["images"]).to_dict()
    return {**figure, "share": share}


def _between_phases(rows: Sequence[AnswerRow], names: list[str]) -> list[dict[str, Any]]:
    """The same images read again after the washout: agreement with oneself, and the change."""
    found = []
    for reader in dict.fromkeys(row.reader for row in rows):
        own = [row for row in rows if row.reader == reader and row.counts]
        first = {row.item: row for row in own if row.phase == names[0]}
        again = [(first[r.item], r) for r in own if r.phase == names[1] and r.item in first]
        if again:
            found.append({"reader": reader, **_same(again)})
    return found


def _learning(table: AnswerMatrix) -> dict[str, Any]:
    """The first and the second half of each reader's order."""
    middle = np.median([row.position for row in table.rows])
    return {
        "first_half": _group([row for row in table.rows if row.position <= middle]),
        "second_half": _group([row for row in table.rows if row.position > middle] or table.rows),
    }


def _seconds(rows: Sequence[AnswerRow]) -> dict[str, Any]:
    def spread(part: Sequence[AnswerRow]) -> dict[str, float] | None:
        values = [row.seconds for row in part if row.seconds is not None]
        if not values:
            return None
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        return {"median": float(middle), "p25": float(low), "p75": float(high)}

    truths = dict.fromkeys(row.truth for row in rows)
    return {
        "all": spread(rows),
        **{truth: spread([row for row in rows if row.truth == truth]) for truth in truths},
    }


def _remark(row: AnswerRow) -> dict[str, Any]:
    return {key: getattr(row, key) for key in ("reader", "item", "truth", "answer", "remark")}


def _items(table: AnswerMatrix) -> list[dict[str, Any]]:
    """Each image and how it was read; those that fooled most readers first."""
    found = []
    for item in table.items:
        rows = [row for row in table.rows if row.item == item]
        answered = [row.right for row in rows if row.right is not None]
        found.append(
            {
                "item": item,
                "truth": rows[0].truth,
                "source": rows[0].source,
                "window": rows[0].window,
                "answers": dict(Counter(category(row) for row in rows)),
                "wrong": sum(not r for r in answered),
                "of": len(answered),
                "reasons": Counter(r for row in rows for r in row.reasons).most_common(3),
            }
        )
    return sorted(found, key=lambda i: (-(i["wrong"] / i["of"] if i["of"] else 0), -i["of"]))


def _reader(table: AnswerMatrix, name: str, margin: float) -> dict[str, Any]:
    """One reader: counts, accuracy by Wilson, d' and criterion, AUC by DeLong, seconds."""
    own = [row for row in table.rows if row.reader == name]
    taken = [row.right for row in own if row.right is not None]
    found: dict[str, Any] = {
        "reader": name,
        "arm": own[0].arm,
        "role": own[0].role,
        "experience_years": own[0].experience_years,
        "ai_knowledge": own[0].ai_knowledge,
        "answers": len(own),
        "given": _given(own),
        "seconds": _seconds(own)["all"],
    }
    if taken:
        found |= {
            "right": sum(taken),
            "took_a_side": len(taken),
            "accuracy": wilson(sum(taken), len(taken)).to_dict(),
            "accuracy_unsure_half": wilson(sum(right_half(row) for row in own), len(own)).to_dict(),
            "equivalence": accuracy.tost_of_reader(sum(taken), len(taken), margin),
        }
    if own[0].kind in TRUTH_KINDS:
        found |= _signal_of(own)
    if own[0].kind == "pair":
        found |= detection.of_pairs(sum(taken), len(taken))
    return found


def _signal_of(own: Sequence[AnswerRow]) -> dict[str, Any]:
    by_truth = {
        truth: [c for row in own if row.truth == truth and (c := called_synthetic(row)) is not None]
        for truth in (SYNTHETIC, REAL)
    }
    made, real = by_truth[SYNTHETIC], by_truth[REAL]
    found: dict[str, Any] = detection.of_reader(sum(made), len(made), sum(real), len(real))
    if made:
        found["sensitivity"] = wilson(sum(made), len(made)).to_dict()
    if real:
        found["specificity"] = wilson(len(real) - sum(real), len(real)).to_dict()
    positive = np.array([row.truth == SYNTHETIC for row in own])
    if positive.any() and not positive.all():
        scores = np.array([score(row) for row in own])
        found["auc"] = mrmc.auc_of_reader(scores, positive).to_dict()
    return found


def _warnings(table: AnswerMatrix) -> list[str]:
    """What a reader of the report must know before the figures."""
    found = []
    if table.rows[0].kind in TRUTH_KINDS and table.synthetic.all() | (~table.synthetic).all():
        found.append(
            "all images are of one kind: the share of right answers is nothing but how often readers "
            "say so"
        )
    for truth in (REAL, SYNTHETIC):
        images = len({row.item for row in table.rows if row.truth == truth})
        if 0 < images < FEW_IMAGES:
            found.append(f"only {images} {truth} images: the intervals are rough")
    people = Counter(row.person for row in {row.item: row for row in table.rows}.values())
    most = people.most_common(1)[0]
    if most[1] > max(3, len(table.items) / 5):
        found.append(
            f"{most[1]} of {len(table.items)} images are of one patient ({most[0]}): they are alike, "
            "and the intervals are too narrow"
        )
    if len(table.readers) < 3:
        found.append(
            f"{len(table.readers)} reader{'s' * (len(table.readers) > 1)}: what they see says little "
            "about readers in general"
        )
    missing = len(table.readers) * len(table.items) - len(table.rows)
    if missing:
        found.append(f"{missing} answers are missing: not every reader has read every image")
    return found

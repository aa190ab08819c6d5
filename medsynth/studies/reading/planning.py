"""How many readers and images a study needs, and what a printed result can and cannot say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.stats import t
from statsmodels.stats.proportion import power_binom_tost, samplesize_confint_proportion

from medsynth.studies.reading.statistics.intervals import wilson

READERS = (1, 2, 3, 5, 8)
ITEMS = (20, 40, 60, 100, 200, 400)
CHANCE = 0.5


def design_effect(readers: int, correlation: float) -> float:
    """How many answers of readers who read the same images say as much as one independent answer.

    Kish's 1 + (m - 1) rho, with m answers to an image that are correlated by rho.
    """
    return 1 + (readers - 1) * correlation


def half_width(share: float, answers: float) -> float:
    """Half of the Wilson interval's width, of so many independent answers."""
    found = wilson(share * answers, answers)
    return (found.high - found.low) / 2


def answers_for(share: float, halfwidth: float) -> int:
    """Independent answers for a Wilson interval of -/+ `halfwidth`."""
    count = max(1, math.floor(samplesize_confint_proportion(share, halfwidth)) // 2)
    while half_width(share, count) > halfwidth:
        count += 1
    return count


def tost_power(share: float, answers: float, margin: float) -> float:
    """The chance to show equivalence to 50 % within `margin`, with so many independent answers."""
    count = max(2, int(answers))
    power = power_binom_tost(CHANCE - margin, CHANCE + margin, count, share)
    return float(np.clip(np.asarray(power).ravel()[0], 0, 1))


def plan(
    *,
    readers: int,
    items: int,
    expected: float = 0.5,
    margin: float = 0.1,
    halfwidth: float = 0.05,
    correlation: float = 0.05,
    power: float = 0.8,
    spread: float = 0.05,
) -> dict[str, Any]:
    """What a study of this size can show, and how large it would have to be.

    `correlation`: of two readers' answers to one image. `spread`: standard deviation of readers' skill,
    which widens the interval for readers in general.

    Raises:
        ValueError: a number that plans nothing.
    """
    _check(readers, items, expected, margin, halfwidth, correlation, power)
    effect = design_effect(readers, correlation)
    effective = readers * items / effect
    these = half_width(expected, effective)
    general = None
    if readers > 1:
        variance = expected * (1 - expected) / effective + spread**2 / readers
        # Satterthwaite, as in the report: the readers' part has few degrees of freedom.
        between = spread**2 / readers + expected * (1 - expected) / (readers * items)
        df = variance**2 / (between**2 / (readers - 1))
        general = float(t.ppf(0.975, df)) * math.sqrt(variance)
    wanted = answers_for(expected, halfwidth)
    for_tost = _answers_for_tost(expected, margin, power)
    record: dict[str, Any] = {
        "readers": readers,
        "items": items,
        "answers": readers * items,
        "design_effect": effect,
        "effective_answers": effective,
        "half_width_these_readers": these,
        "half_width_any_readers": general,
        "power_equivalence": tost_power(expected, effective, margin),
        "items_for_half_width": math.ceil(wanted * effect / readers),
        "items_for_equivalence": (
            None if for_tost is None else math.ceil(for_tost * effect / readers)
        ),
        "table": [
            {
                "readers": r,
                "half_width": [
                    half_width(expected, r * n / design_effect(r, correlation)) for n in ITEMS
                ],
                "power": [
                    tost_power(expected, r * n / design_effect(r, correlation), margin)
                    for n in ITEMS
                ],
            }
            for r in READERS
        ],
        "columns_items": list(ITEMS),
    }
    record["words"] = _words(record, expected, margin, halfwidth, correlation, power)
    return record


def _check(
    readers: int,
    items: int,
    expected: float,
    margin: float,
    halfwidth: float,
    correlation: float,
    power: float,
) -> None:
    if not 1 <= readers <= 1000 or not 2 <= items <= 100_000:
        raise ValueError(
            f"--readers must be from 1 to 1000 and --items from 2 to 100000, got {readers}, {items}"
        )
    for name, value, high in (
        ("expected", expected, 1.0),
        ("margin", margin, 0.5),
        ("halfwidth", halfwidth, 0.5),
        ("power", power, 1.0),
    ):
        if not 0 < value < high:
            raise ValueError(f"--{name} must be between 0 and {100 * high:g}, got {100 * value:g}")
    if not 0 <= correlation < 1:
        raise ValueError(f"--correlation must be from 0 to below 1, got {correlation:g}")


def _answers_for_tost(share: float, margin: float, power: float) -> int | None:
    """Independent answers for this power, at most a million; None where no number is enough."""
    if abs(share - CHANCE) >= margin:
        return None
    low, high = 2, 1_000_000
    if tost_power(share, high, margin) < power:
        return None
    while low < high:
        middle = (low + high) // 2
        if tost_power(share, middle, margin) >= power:
            high = middle
        else:
            low = middle + 1
    return low


def _words(
    record: dict[str, Any],
    expected: float,
    margin: float,
    halfwidth: float,
    correlation: float,
    power: float,
) -> list[str]:
    readers, items = record["readers"], record["items"]
    words = [
        f"{readers} readers x {items} images = {record['answers']} answers; answers to one image are "
        f"correlated ({correlation:g}): design effect {record['design_effect']:.2f}, as good as "
        f"{record['effective_answers']:.0f} independent ones",
        f"  interval of these readers at {expected:.0%} right: +-"
        f"{100 * record['half_width_these_readers']:.1f} points",
    ]
    if record["half_width_any_readers"] is not None:
        words.append(
            f"  of any readers such as these: +-{100 * record['half_width_any_readers']:.1f} points"
        )
    words += [
        f"  chance to show that they are within {100 * margin:.0f} points of chance (TOST): "
        f"{record['power_equivalence']:.0%}",
        f"  for +-{100 * halfwidth:g} points each of {readers} readers needs "
        f"{record['items_for_half_width']} images",
    ]
    enough = record["items_for_equivalence"]
    words.append(
        f"  no number of images shows equivalence with {power:.0%} power"
        if enough is None
        else f"  for equivalence with {power:.0%} power each needs {enough} images"
    )
    words.append("interval in +- points (and power of equivalence), by readers and images:")
    words.append("  readers " + "".join(f"{n:>14}" for n in record["columns_items"]))
    for row in record["table"]:
        cells = (
            f"{100 * h:.1f} ({p:.0%})" for h, p in zip(row["half_width"], row["power"], strict=True)
        )
        words.append(f"  {row['readers']:>7} " + "".join(f"{c:>14}" for c in cells))
    return words


def judge_printed(result: str | None, agreement: str | None) -> dict[str, Any]:
    """What a result that was printed somewhere can say: RIGHT/ALL, and A,B,BOTH,ALL.

    Raises:
        ValueError: it is not written so.
    """
    record: dict[str, Any] = {"words": []}
    if result:
        right, count = _numbers(result, "/", 2, "--judge: expected RIGHT/ALL such as 41/90")
        if not 0 <= right <= count or not count:
            raise ValueError(f"--judge: {right} right of {count} cannot be; expected such as 41/90")
        figure = wilson(right, count)
        needed = answers_for(CHANCE, 0.05)
        record |= {"accuracy": figure.to_dict(), "answers_for_5_points": needed}
        record["words"].append(
            f"{right} of {count} right: {figure.value:.1%}, 95 % interval {figure.low:.0%} to "
            f"{figure.high:.0%} (Wilson) if every answer is independent; shares up to "
            f"{figure.high:.0%} are not excluded. For +-5 points {needed} answers are needed, and "
            "more where readers read the same images"
        )
    if agreement:
        a, b, both, count = _numbers(
            agreement, ",", 4, "--judge-agreement: expected A,B,BOTH,ALL such as 3,2,3,20"
        )
        low, high = possible_agreement(a, b, count)
        record |= {"both_possible": [low, high], "possible": low <= both <= high}
        verdict = "possible" if low <= both <= high else "IMPOSSIBLE"
        record["words"].append(
            f"{a} and {b} of {count} images, {both} of them by both: {verdict}; both can have said it "
            f"of {low} to {high}"
        )
    return record


def possible_agreement(a: int, b: int, count: int) -> tuple[int, int]:
    """Of how many images both of two readers can have said what they said of `a` and of `b` (Frechet).

    Raises:
        ValueError: a reader said it of more images than there are.
    """
    if not (0 <= a <= count and 0 <= b <= count):
        raise ValueError(f"{a} and {b} of {count} images cannot be")
    return max(0, a + b - count), min(a, b)


def _numbers(text: str, separator: str, count: int, message: str) -> list[int]:
    parts = text.split(separator)
    if len(parts) != count or not all(p.strip().isdigit() for p in parts):
        raise ValueError(f"{message}, got {text!r}")
    return [int(p) for p in parts]

"""README.md of a set, in the form of a Hugging Face data set card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from medsynth.factory.pages import wording
from medsynth.factory.pages.facts import MOST_USES, Facts
from medsynth.factory.store import SPLITS

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
MOST_REFERENCES = 20


def readme(facts: Facts, layouts: Sequence[str]) -> str:
    """The whole page; `layouts` are those that are there."""
    parts = [
        _front_matter(facts),
        f"# {facts['name']}\n",
        f"> **{facts['mark']}**\n",
        wording.counted(facts),
        wording.made_how(facts),
        _section("Warnings", _list(facts["warnings"]) or "None."),
        _section("Intended use", wording.INTENDED),
        _section("Not intended", wording.NOT_INTENDED),
        _section("Known failures", _list(wording.KNOWN_FAILURES)),
        _section("What is in it", _contents(facts, layouts)),
        _section("Annotations", wording.ANNOTATION + "\n\n" + _classes(facts)),
        _section("Made from", _sources(facts)),
        _section("License", _licenses(facts)),
        _section("Privacy", f"{wording.privacy(facts)}\n\n{wording.PUBLISH}"),
        _section("Diversity", _diversity(facts)),
        _section("Lesion sources", _lesion_sources(facts)),
        _section("Subgroups", _subgroups(facts)),
        _section(
            "More",
            "`index.html`: pictures and distributions. `card.json`: every figure of this page. "
            "`fda.md`: seven questions on synthetic medical data. `croissant.json`: metadata with the "
            "responsible AI fields. `plan.yaml`: how to make the set again.",
        ),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _front_matter(facts: Facts) -> str:
    count = facts["images"]["finished"]
    size = next((name for limit, name in SIZES if count < limit), "n>1M")
    head = {
        "pretty_name": f"{facts['name']} (synthetic)",
        # Hugging Face takes one license; `other` is the one that points to what follows.
        "license": "other",
        "license_name": "follows-from-references-and-weights",
        "license_details": facts["license"],
        "task_categories": ["image-segmentation", "object-detection"],
        "size_categories": [size],
        "annotations_creators": ["machine-generated"],
        "source_datasets": ["original"],
        "tags": ["medical", "synthetic", "radiology", facts["modality"], "medsynth"],
    }
    return "---\n" + yaml.safe_dump(head, sort_keys=False, allow_unicode=True) + "---"


def _contents(facts: Facts, layouts: Sequence[str]) -> str:
    images = facts["images"]
    rows = [
        (
            split,
            *(f"{facts['splits'][split][k]:,}" for k in ("images", "anatomies", "with_lesions")),
        )
        for split in SPLITS
    ]
    words = (
        f"Asked for: {images['asked']:,}; finished: {images['finished']:,}; refused as near copies: "
        f"{images['refused']:,}; failed: {images['quarantined']:,}; not made: {images['not_made']:,}. "
        "No patient is in two splits."
    )
    laid = f"Layouts: {', '.join(layouts)}." if layouts else "No layout was written yet."
    return f"{words}\n\n{_table(('split', 'images', 'anatomies', 'with lesions'), rows)}\n\n{laid}"


def _classes(facts: Facts) -> str:
    lesions = facts["lesions"]
    counts = lesions["kinds_drawn"] | lesions["existing"]
    rows = [
        (
            number,
            name,
            "existing label" if name.startswith("existing_") else "new lesion",
            counts[name],
        )
        for name, number in facts["classes"].items()
    ]
    size = lesions["diameters_drawn_mm"]
    words = f"\n\nDiameters drawn: {_spread(size)} mm." if size else ""
    return _table(("number", "class", "what", "masks"), rows) + words


def _sources(facts: Facts) -> str:
    references = facts["references"]
    rows = [
        (r["group"], r["kind"], r["sha256"] or "-", r["license"] or "not stated", r["images"])
        for r in references[:MOST_REFERENCES]
    ]
    more = len(references) - len(rows)
    rest = f"\n\nand {more:,} more in `card.json`." if more > 0 else ""
    weights = [(w["name"], w["sha256"], w["images"]) for w in facts["weights"]]
    head = ("anatomy", "kind", "SHA-256", "license", "images")
    return _table(("weights", "SHA-256", "images"), weights) + "\n\n" + _table(head, rows) + rest


def _licenses(facts: Facts) -> str:
    rows = [(e["what"], e["license"], e["images"]) for e in facts["licenses"]]
    return (
        "What follows from what the set was made of; whoever passes it on keeps to all of them.\n\n"
        + _table(("of", "license", "images"), rows)
    )


def _diversity(facts: Facts) -> str:
    found = facts["diversity"]
    rows = [
        ("unique anatomies", found["unique_anatomies"]),
        ("unique patients or drawn persons", found["unique_patients"]),
        ("images per anatomy", _spread(found["images_per_anatomy"])),
        ("lesions drawn anew", found["lesions_drawn_anew"]),
        ("annotated studies that lesions were taken from", found["lesions_taken_from"]),
    ]
    for key, name in (
        ("nearest_of_another_anatomy", "nearest image of another anatomy"),
        ("nearest_of_the_same_anatomy", "nearest image of the same anatomy"),
    ):
        if found.get(key):
            rows.append((name, ", ".join(f"{k} {v}" for k, v in found[key].items())))
    how = f"\n\nNearness: {found['how']}; 1 is the same picture." if found.get("how") else ""
    return _table(("", ""), rows) + how


def _lesion_sources(facts: Facts) -> str:
    rows = [
        (_titled(e), e["images"], e["lesions"], f"{100 * e['share']:.1f} %")
        for e in facts["lesion_sources"][:MOST_REFERENCES]
    ]
    words = f"A lesion taken from one study is warned of above {MOST_USES} uses."
    if not rows:
        return f"No image has a lesion. {words}"
    return _table(("source", "images", "lesions", "share of images"), rows) + f"\n\n{words}"


def _titled(source: Facts) -> str:
    return source["source"] + (" (drawn anew each time)" if source["drawn_anew"] else "")


def _subgroups(facts: Facts) -> str:
    rows = [
        (group, ", ".join(f"{name}: {count:,}" for name, count in counts.items()))
        for group, counts in facts["subgroups"].items()
    ]
    silent = wording.missing_groups(facts)
    words = f"\n\nNothing is known of: {', '.join(silent)}." if silent else ""
    return (
        "Images, as far as the headers of their references say it.\n\n"
        + _table(("subgroup", "images"), rows)
        + words
    )


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}"


def _list(words: Iterable[str]) -> str:
    return "\n".join(f"- {each}" for each in words)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")


def _spread(found: dict[str, float]) -> str:
    if not found:
        return "-"
    return f"{found['lowest']:g} to {found['highest']:g} (median {found['median']:g})"

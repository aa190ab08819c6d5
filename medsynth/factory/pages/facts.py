"""card.json: everything that can be said of a set by counting, in one place; the pages only say it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from medsynth import __version__
from medsynth.factory.layouts.base import Entry, LayoutContext
from medsynth.factory.licenses import UNKNOWN, licenses_of
from medsynth.factory.pages.diversity import similarity
from medsynth.factory.pages.paths import without_files
from medsynth.factory.pages.subgroups import subgroups
from medsynth.factory.programs import SHAPING, in_words, versions_of
from medsynth.factory.store import SPLITS, DataSet, SetItem
from medsynth.marking import TEXT
from medsynth.pipeline.existing import UNLABELED
from medsynth.records.audit import Audit

Facts = dict[str, Any]
# A network that sees one lesion more often than this learns that lesion: in the study of Krishna et al.
# gains turned into losses as six patches were used again and again.
MOST_USES = 50


def gather(dataset: DataSet, entries: Iterable[Entry], context: LayoutContext) -> Facts:
    """The facts of the finished images of `dataset`, whose survey is `entries`."""
    items = [_small(item) for item in dataset.items()]
    surveyed = list(entries)
    refused, quarantined = ({note["id"] for note in notes} for notes in _away(dataset))
    settled = {item["id"] for item in items} | refused | quarantined
    asked = [row.id for row in dataset.rows()]
    facts: Facts = {
        "name": dataset.name,
        "mark": TEXT,
        "synthetic": True,
        "preset": dataset.preset.name,
        "title": dataset.preset.title,
        "modality": dataset.preset.modality,
        "units": dataset.preset.units,
        "medsynth": __version__,
        "images": {
            "asked": len(asked),
            "finished": len(items),
            "refused": len(refused),
            "near_copies_kept": sum(item["near_copy"] for item in items),
            "quarantined": len(quarantined),
            "not_made": sum(name not in settled for name in asked),
        },
        "splits": _splits(items, context),
        "pictures": sum(entry["size"][2] == 1 for entry in surveyed),
        "volumes": sum(entry["size"][2] > 1 for entry in surveyed),
        "real_slices": sum(entry["real_slices"] for entry in surveyed),
        "sizes": _counted(" x ".join(map(str, entry["size"])) for entry in surveyed),
        "classes": {name: i for i, name in enumerate(context.classes, 1)},
        "lesions": _lesions(items, surveyed),
        "references": _references(items, context),
        "weights": _weights(items),
        "programs": _programs(items),
        "licenses": _licenses(dataset),
        "license": context.license,
        "lesion_sources": _lesion_sources(items),
        "subgroups": subgroups(dataset),
        "diversity": _diversity(items) | similarity(surveyed),
        "audited": sum(item["audited"] for item in items),
        "warnings_of_images": _counted(w for item in items for w in item["warnings"]),
    }
    facts["warnings"] = _warnings(facts)
    return facts


def _small(item: SetItem) -> Facts:
    """What of an image is kept while counting."""
    record = item.record
    return {
        "id": item.id,
        "split": item.row.split,
        "patient": item.row.patient,
        "anatomy": {key: item.row.anatomy.get(key) for key in ("id", "sha256", "license")},
        "drawn": item.row.anatomy.get("image") is None,
        "asked": [
            {k: e.get(k) for k in ("kind", "source", "diameter_mm")} for e in item.row.lesions
        ],
        "audited": record.get("audited") is True,
        "near_copy": _is_near_copy(item),
        "checkpoint": record.get("checkpoint"),
        "sampler": record.get("sampler"),
        "nfe": record.get("nfe"),
        "warnings": [_at_home(words, item) for words in record.get("warnings", ())],
        "versions": versions_of(record),
        "kinds": [each.class_name for each in item.annotations if not each.existing],
        "existing": [each.class_name for each in item.annotations if each.existing],
    }


def _is_near_copy(item: SetItem) -> bool:
    """A near copy that stayed, since the plan keeps them."""
    try:
        audit = Audit.read(item.folder)
    except ValueError:  # it speaks of an image that is no longer there
        return False
    return audit is not None and bool(audit.copies)


def _at_home(words: str, item: SetItem) -> str:
    """A warning without the file and folders that it names: they may be called after a patient."""
    reference = item.row.anatomy.get("image")
    if reference:
        words = words.replace(str(reference), "the reference")
    return without_files(words)


def _away(dataset: DataSet) -> tuple[Iterable[Facts], Iterable[Facts]]:
    return dataset.refused(), dataset.quarantined()


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words).most_common(50))


def _splits(items: Sequence[Facts], context: LayoutContext) -> Facts:
    found = {}
    for split in SPLITS:
        part = [item for item in items if item["split"] == split]
        found[split] = {
            "images": len(part),
            "anatomies": len({context.groups[item["patient"]] for item in part}),
            "with_lesions": sum(bool(item["kinds"]) for item in part),
        }
    return found


def _lesions(items: Sequence[Facts], surveyed: Sequence[Entry]) -> Facts:
    asked = [lesion for item in items for lesion in item["asked"]]
    measured = [m for entry in surveyed for m in entry["measured"] if not m["existing"]]
    return {
        "total": sum(len(item["kinds"]) for item in items),
        "images_with": sum(bool(item["kinds"]) for item in items),
        "per_image": _counted(str(len(item["kinds"])) for item in items),
        "kinds_asked": _counted(str(lesion.get("kind")) for lesion in asked),
        "kinds_drawn": _counted(kind for item in items for kind in item["kinds"]),
        "existing": _counted(kind for item in items for kind in item["existing"]),
        "diameters_asked_mm": _spread([lesion.get("diameter_mm") for lesion in asked]),
        "diameters_drawn_mm": _spread([m.get("diameter_mm") for m in measured]),
        "contrast": _spread([m.get("contrast") for m in measured]),
    }


def _spread(values: Sequence[float | None]) -> dict[str, float]:
    there = sorted(float(v) for v in values if v is not None)
    if not there:
        return {}
    return {
        "lowest": round(there[0], 2),
        "median": round(statistics.median(there), 2),
        "highest": round(there[-1], 2),
    }


def _references(items: Sequence[Facts], context: LayoutContext) -> list[Facts]:
    """Each anatomy once, under its pseudonym; the SHA-256 tells whoever has the file which it is."""
    found: dict[str, Facts] = {}
    for item in items:
        anatomy = item["anatomy"]
        key = str(anatomy.get("id"))
        entry = found.setdefault(
            key,
            {
                "group": context.groups[item["patient"]],
                "kind": "phantom" if item["drawn"] else "image",
                "sha256": str(anatomy.get("sha256") or ""),
                "license": str(anatomy.get("license") or ""),
                "images": 0,
            },
        )
        entry["images"] += 1
    return list(found.values())


def _weights(items: Sequence[Facts]) -> list[Facts]:
    counts: Counter[tuple[Any, ...]] = Counter()
    for item in items:
        if item["checkpoint"]:
            weights = item["checkpoint"]
            counts[(weights["name"], weights["sha256"], item["sampler"], item["nfe"])] += 1
    keys = ("name", "sha256", "sampler", "network_calls")
    return [{**dict(zip(keys, key, strict=True)), "images": n} for key, n in counts.items()]


def _programs(items: Sequence[Facts]) -> list[Facts]:
    """The versions that images were made with; more than one where a set went on after an update."""
    counts = Counter(item["versions"] for item in items)
    return [
        {**dict(zip(SHAPING, versions, strict=True)), "images": n}
        for versions, n in counts.most_common()
    ]


def _licenses(dataset: DataSet) -> list[Facts]:
    """By license: the names of sources are paths, and stay at home."""
    counts: Counter[tuple[str, str]] = Counter()
    for each in licenses_of(dataset):
        name = each.source if each.what == "weights" else ""
        counts[(f"{each.what} {name}".strip(), each.license)] += each.images
    return [{"what": w, "license": text, "images": n} for (w, text), n in counts.items()]


def _lesion_sources(items: Sequence[Facts]) -> list[Facts]:
    """Share of the images per lesion source; of what is drawn anew each time, together.

    Annotated studies are numbered as they come, since their names may be those of patients.
    """
    images: Counter[str] = Counter()
    lesions: Counter[str] = Counter()
    numbers: dict[str, str] = {"procedural": "procedural"}
    for item in items:
        sources = [str(lesion.get("source") or "not stated") for lesion in item["asked"]]
        sources = [numbers.setdefault(name, f"study {len(numbers)}") for name in sources]
        lesions.update(sources)
        images.update(set(sources))
    return [
        {
            "source": source,
            "drawn_anew": source == "procedural",
            "images": count,
            "lesions": lesions[source],
            "share": round(count / max(1, len(items)), 4),
        }
        for source, count in images.most_common()
    ]


def _diversity(items: Sequence[Facts]) -> Facts:
    uses = Counter(item["anatomy"].get("id") for item in items)
    taken = {s for i in items for e in i["asked"] if (s := e.get("source")) != "procedural"}
    drawn = sum(e.get("source") == "procedural" for i in items for e in i["asked"])
    return {
        "unique_anatomies": len(uses),
        "unique_patients": len({item["patient"] for item in items}),
        "images_per_anatomy": _spread(list(uses.values())),
        "lesions_drawn_anew": drawn,
        "lesions_taken_from": len(taken),
    }


def _warnings(facts: Facts) -> list[str]:
    notes = []
    if unlabeled := facts["warnings_of_images"].get(UNLABELED):
        notes.append(
            f"in {unlabeled} of {facts['images']['finished']} images findings that the reference already "
            "has are in no mask, and a network trained on this set would learn that they are none; give "
            "their masks as `labels` of the plan's anatomies, or `labels: []` where there are none"
        )
    if kept := facts["images"]["near_copies_kept"]:
        notes.append(
            f"near copies of training images of the network that were kept, as the plan says "
            f"(audit.near_copies): {kept}"
        )
    for each in facts["lesion_sources"]:
        if not each["drawn_anew"] and each["lesions"] > MOST_USES:
            notes.append(
                f"over-use: the lesion of {each['source']} is in {each['images']} images "
                f"({100 * each['share']:.1f} %), {each['lesions']} times; above {MOST_USES} a network "
                "may learn that lesion rather than its kind: add sources, or make fewer images"
            )
    if facts["real_slices"]:
        notes.append(
            f"{facts['real_slices']} slices of volumes were not synthesized: they are their "
            "references' own voxels, with whatever is known of those patients (slices: all, or "
            "pictures, have none)"
        )
    for each in facts["licenses"]:
        if each["license"] == UNKNOWN:
            notes.append(f"nobody says under which license the {each['what']} are")
    if len(facts["programs"]) > 1:
        made = [
            f"{each['images']} with {in_words(each[name] for name in SHAPING)}"
            for each in facts["programs"]
        ]
        notes.append("images were made with several versions: " + "; ".join(made))
    nearest = facts["diversity"].get("across_splits") or [{"similarity": 0}]
    if nearest[0]["similarity"] > 0.98:
        notes.append(
            "images of different splits are almost the same picture; see the nearest pairs"
        )
    if not facts["audited"]:
        notes.append("no image was compared with the training images of the network (audit)")
    return notes

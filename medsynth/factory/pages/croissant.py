"""croissant.json: the set in the Croissant format of MLCommons (1.0), with the responsible AI fields (1.0)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from medsynth.factory.layouts.base import Entry
from medsynth.factory.pages import wording
from medsynth.factory.pages.facts import Facts
from medsynth.storage.files import sha256

CONFORMS = ("http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0")
TABLE = "items.csv"
MEDIA = {
    "coco": "application/json",
    "dicom": "application/dicom",
    "monai": "application/json",
    "nifti": "application/gzip",
    "nnunet": "application/gzip",
    "png16": "image/png",
    "png8": "image/png",
    "webdataset": "application/x-tar",
}
# Columns of items.csv.
COLUMNS = {
    # Not the bare number: readers of CSV make 12 of 000012.
    "item": ("sc:Text", "Folder of the image in the set, items/NUMBER."),
    "split": ("sc:Text", "train, validation or test; no patient is in two."),
    "group": ("sc:Text", "Pseudonym of the patient or drawn person whose anatomy it has."),
    "lesions": ("sc:Integer", "How many new, synthetic lesions it has."),
    "kinds": ("sc:Text", "Their classes, separated by semicolons."),
    "existing": ("sc:Text", "Classes of labels that the reference already had."),
    "columns": ("sc:Integer", "Voxels along a row."),
    "rows": ("sc:Integer", "Voxels along a column."),
    "slices": ("sc:Integer", "Slices; 1 of a picture."),
    "seed": ("sc:Text", "The seed that it was made with."),
}
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(facts: Facts, folder: Path, *, layouts: tuple[str, ...]) -> dict[str, Any]:
    """The JSON-LD; items.csv must lie in `folder` already."""
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": list(CONFORMS),
        "name": re.sub(r"[^A-Za-z0-9_-]+", "-", facts["name"]).strip("-") or "set",
        "description": f"{facts['mark']} {wording.counted(facts)} {wording.made_how(facts)}",
        "license": facts["license"],
        "version": "1.0.0",
        "datePublished": facts["date"],
        "creator": {"@type": "sc:Organization", "name": "whoever ran MedSynthSlicer"},
        "citeAs": f"{facts['name']}, made with MedSynthSlicer {facts['medsynth']}",
        "keywords": ["synthetic", "medical imaging", facts["modality"], facts["preset"]],
        **_responsible(facts),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": TABLE,
                "name": TABLE,
                "description": "A line an image.",
                "contentUrl": TABLE,
                "encodingFormat": "text/csv",
                "sha256": sha256(folder / TABLE),
            },
            *(_file_set(name) for name in layouts),
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "items",
                "name": "items",
                "description": "The images of the set.",
                "key": {"@id": "items/item"},
                "field": [_field(name, *about) for name, about in COLUMNS.items()],
            }
        ],
    }


def _file_set(layout: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"layout-{layout}",
        "name": f"layout-{layout}",
        "description": f"The images and masks in the layout {layout}.",
        "encodingFormat": MEDIA.get(layout, "application/octet-stream"),
        "includes": f"layouts/{layout}/**",
    }


def _field(name: str, kind: str, what: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"items/{name}",
        "name": f"items/{name}",
        "description": what,
        "dataType": kind,
        "source": {"fileObject": {"@id": TABLE}, "extract": {"column": name}},
    }


def _responsible(facts: Facts) -> dict[str, Any]:
    """The fields of the RAI vocabulary; what is not known is said."""
    silent = wording.missing_groups(facts)
    groups = "; ".join(
        f"{group}: " + ", ".join(f"{name} {n}" for name, n in counts.items())
        for group, counts in facts["subgroups"].items()
    )
    missing = (
        f"{facts['images']['refused']} near copies and {facts['images']['quarantined']} failed"
    )
    return {
        "rai:dataCollection": wording.made_how(facts),
        "rai:dataCollectionType": ["Software Collection"],
        "rai:dataCollectionRawData": "References named in card.json by pseudonym and SHA-256.",
        "rai:dataCollectionMissingData": f"{missing} images of those asked for are not in the set.",
        "rai:dataPreprocessingProtocol": [
            "References are brought onto the grid and the values of the network's domain, as each "
            "image's record says."
        ],
        "rai:dataAnnotationProtocol": [wording.ANNOTATION],
        "rai:machineAnnotationTools": [f"MedSynthSlicer {facts['medsynth']}"],
        "rai:annotationsPerItem": "One mask for each lesion and for each label of the reference.",
        "rai:dataUseCases": [wording.INTENDED, f"Not intended: {wording.NOT_INTENDED}"],
        "rai:dataLimitations": [*wording.KNOWN_FAILURES, *facts["warnings"]],
        "rai:dataBiases": [
            f"Images by subgroup of the references: {groups}.",
            *([f"Nothing is known of: {', '.join(silent)}."] if silent else []),
        ],
        "rai:dataSocialImpact": "May spare patients' images; may hide that a group is missing.",
        "rai:personalSensitiveInformation": [wording.privacy(facts)],
        "rai:dataReleaseMaintenancePlan": "Made once from plan.yaml; a changed plan makes another set.",
    }


def table_rows(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Lines of items.csv, from the survey."""
    for entry in entries:
        columns, rows, slices = entry["size"]
        masks = entry["measured"]
        yield {
            "item": f"items/{entry['id']}",
            **{key: entry[key] for key in ("split", "group", "seed")},
            "lesions": sum(not m["existing"] for m in masks),
            "kinds": ";".join(m["class"] for m in masks if not m["existing"]),
            "existing": ";".join(m["class"] for m in masks if m["existing"]),
            "columns": columns,
            "rows": rows,
            "slices": slices,
        }

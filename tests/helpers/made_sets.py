"""Small data sets as `medsynth dataset` leaves them, written without a network: shapes on a ramp."""

import json
from dataclasses import replace

import numpy as np
import SimpleITK as sitk
import yaml

from medsynth.images import write_image
from medsynth.pipeline.marks import digest_of
from medsynth.records.result import Checkpoint, ExistingLabel, LesionMeasurement, Result

WEIGHTS = "cddf6f684c310c6b175b835b5dcdaefe6324ceef4106dcdb7f70fde48dabe8b4"
NODULE = ("27925004", "SCT", "Nodule")
SPLITS = ("train", "train", "validation", "test")
KINDS = ("solid", "spiculated")


def grid(array, spacing=(1.5, 2.0, 3.0)):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin((-20.0, -30.0, 5.0))
    return image


def picture(number, shape, preset):
    """A ramp with noise of its own: HU, or gray values."""
    k, j, i = np.indices(shape)
    noise = np.random.default_rng(number).normal(0, 30, shape)
    values = np.rint(-900 + 20.0 * j + 7.0 * i + 3 * k + 40 * number + noise)
    if preset != "lung_ct":
        values = np.rint(np.clip((values + 1000) / 8, 0, 255))
    return values.astype(np.int16)


def measured(values, mask, file, kind, image):
    marked = mask != 0
    center = np.argwhere(marked).mean(axis=0)[::-1]
    around = ~marked
    return LesionMeasurement(
        mask=file,
        mean=float(values[marked].mean()),
        mean_around=float(values[around].mean()),
        diameter_mm=9.0,
        centroid_mm=image.TransformContinuousIndexToPhysicalPoint(center.tolist()),
        voxels=int(marked.sum()),
        drawn={"kind": kind, "center_mm": [0, 0, 0], "diameter_mm": 9.0},
    )


def make_item(folder, number, *, shape=(1, 24, 32), preset="lung_ct", lesions=1, label=False):
    """One finished image in `folder`; returns the lesions of its row."""
    folder.mkdir(parents=True)
    values = picture(number, shape, preset)
    masks = []
    for index in range(lesions):
        mask = np.zeros(shape, np.uint8)
        mask[:, 4 + 5 * index : 8 + 5 * index, 6 + number % 5 : 11 + number % 5] = 1
        values[mask != 0] = 40 if preset == "lung_ct" else 200
        masks.append(mask)
    image = grid(values)
    write_image(image, folder / "image.nrrd")
    records, asked = [], []
    for index, mask in enumerate(masks):
        file, kind = f"pathology_{index + 1:02d}.nrrd", KINDS[(number + index) % 2]
        write_image(grid(mask), folder / file)
        records.append(measured(values, mask, file, kind, image))
        asked.append(
            {
                **{"kind": kind, "source": "procedural", "patient": None, "factor": 4},
                **{"diameter_mm": 9.0, "center_mm": list(records[-1].centroid_mm)},
            }
        )
    labels = []
    if label:
        mask = np.zeros(shape, np.uint8)
        mask[:, 6:16, 8:20] = 1  # overlaps the first lesion
        write_image(grid(mask), folder / "label_01.nrrd")
        center = measured(values, mask, "", "", image).centroid_mm
        labels.append(
            ExistingLabel(
                "label_01.nrrd", "Old nodule", NODULE, "l.nrrd", 1, int(mask.sum()), 1.0, center
            )
        )
    result = Result(
        seed=number,
        slices=(0, shape[0] - 1),
        checkpoint=Checkpoint("lung_ct_512.safetensors", WEIGHTS, 100),
        lesions=tuple(records),
        labels=tuple(labels),
        digests={str(k): digest_of(plane) for k, plane in enumerate(values)},
        created="2026-11-28T22:43:52+00:00",
    )
    replace(result).write(folder / "result.json")
    return asked


def make_set(folder, count=4, *, preset="lung_ct", write=(), patients=None, **item):
    """A set of `count` images; the last has no lesion, the second an existing label."""
    folder.mkdir(parents=True)
    rows = []
    for number in range(count):
        name = f"{number:06d}"
        here = {
            "lesions": 0 if number == count - 1 else 1 + number % 2,
            "label": number == 1,
        } | item
        lesions = make_item(folder / "items" / name, number, preset=preset, **here)
        patient = patients[number] if patients else f"patient {number}"
        request = {
            "preset": preset,
            "anatomy": {"image": f"/nowhere/{patient}", "view": "PA", "factor": 8},
            "seed": number,
        }
        if preset == "mammography":
            request["anatomy"] |= {"view": "MLO", "laterality": "L"}
        (folder / "items" / name / "request.yaml").write_text(yaml.safe_dump(request))
        anatomy = {
            **{"id": f"ct-{number}", "patient": patient, "image": f"/nowhere/{patient}"},
            **{"phantom": None, "factor": 8, "slice": None, "license": "CC BY 4.0"},
            "source": "hospital",
        }
        split = SPLITS[number % len(SPLITS)]
        rows.append(
            {"id": name, "seed": number, "split": split, "anatomy": anatomy}
            | {"lesions": lesions, "request": request}
        )
    (folder / "plan.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    plan = {"format": "medsynth dataset 1", "preset": preset, "count": count, "seed": 1}
    plan |= {"write": list(write), "split": {"train": 0.8, "validation": 0.1, "test": 0.1}}
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    return folder

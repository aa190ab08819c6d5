"""Made-up patients for utility studies: a faint disc in noise, or none; and generators that are planted."""

import csv

import numpy as np
import yaml
from PIL import Image

SIDE = 32


def picture(positive, rng):
    """A field of smooth noise of the patient's own; with the finding, a faint disc somewhere in it."""
    plane = rng.normal(0, 1, (SIDE // 4, SIDE // 4)).repeat(4, 0).repeat(4, 1) * 14
    plane += rng.normal(0, 22, (SIDE, SIDE)) + 110
    if positive:
        j, i = np.indices(plane.shape)
        row, column = rng.uniform(9, SIDE - 9, 2)
        plane += 42 * np.exp(-((j - row) ** 2 + (i - column) ** 2) / 14)
    return np.clip(plane, 0, 255).astype(np.uint8)


def make_patients(folder, names, *, seed, per_patient=2, reference=None, noise=False, lesion=None):
    """A folder with a table: each of `names` has images with (`disc`) and without (`none`) the finding.

    `noise`: the pixels have nothing to do with the label, as those of a useless generator.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rows = []
    for name in names:
        for number in range(per_patient):
            positive = number % 2 == 0
            plane = rng.integers(0, 256, (SIDE, SIDE)).astype(np.uint8) if noise else None
            plane = picture(positive, rng) if plane is None else plane
            file = f"{name}-{number}.png"
            Image.fromarray(plane).save(folder / file)
            row = {"file": file, "patient": name, "label": "disc" if positive else "none"}
            if reference is not None:
                row["reference"] = reference
            if lesion is not None:
                row["lesion"] = lesion if positive else ""
            rows.append(row)
    with (folder / "SOURCES.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def named(letter, count):
    return [f"{letter}{n:03}" for n in range(count)]


def write_study(folder, *, train=8, test=12, made=20, planted=("noise",), **keys):
    """A study with everything in `folder`; `planted` generators: noise, perfect."""
    make_patients(folder / "real", named("T", train), seed=1)
    make_patients(folder / "test", named("E", test), seed=2)
    synthetic = []
    for kind in planted:
        where = folder / kind
        make_patients(where, named("S", made), seed=3, reference="T000", noise=kind == "noise")
        synthetic.append({"name": kind, "images": kind})
    study = {
        "title": "Discs",
        "task": {"positive": "disc", "negative": "none"},
        "image": {"side": SIDE},
        "train": {"images": "real"},
        "test": {"images": "test"},
        "validation": 0.25,
        "synthetic": synthetic,
        "sizes": [20],
        "seeds": 2,
        "steps": 3,
        "network": "test_convnext",
        "batch": 16,
        **keys,
    }
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(study, sort_keys=False))
    return file

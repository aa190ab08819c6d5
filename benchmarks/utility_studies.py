"""The demonstrations of docs/utility.md: prepares their images and studies beside the project.

python benchmarks/utility_studies.py lung --lidc STAGED/lidc -o WORK
python benchmarks/utility_studies.py mammography -o WORK
python benchmarks/utility_studies.py edema -o WORK

Each makes WORK/NAME with tables, plans of synthetic sets and study.yaml, and prints the commands that follow.
Nothing of it is ever committed but the figures.
"""

import argparse
import csv
import re
from pathlib import Path

import numpy as np
import yaml
from PIL import Image
from scipy import ndimage

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
# Of LIDC crops: a nodule that at least three of four readers marked, and how large it is at least.
READERS, LEAST_PIXELS, CROP = 3, 40, 48
# A small network, which learns from few images in minutes.
CLASSIFIER = {"network": "test_convnext", "learning_rate": 0.002}
TRAINING_PATIENTS, TEST_PATIENTS = 10, 150


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("lung", "mammography", "edema"))
    parser.add_argument("--lidc", type=Path, help="as ../shared/tools/stage_more_data.py stages it")
    parser.add_argument("--data", type=Path, default=SHARED, help="(default: ../shared/data)")
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    folder = (args.out / args.what).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    {"lung": lung, "mammography": mammography, "edema": edema}[args.what](args, folder)


def lung(args: argparse.Namespace, folder: Path) -> None:
    """Nodules of LIDC patients against lung without one; synthetic ones in CTs of other patients."""
    if args.lidc is None:
        raise SystemExit("--lidc: name the folder that stage_more_data.py made")
    root = args.lidc / "LIDC-IDRI-slices"
    names = sorted(p.name for p in root.iterdir() if p.is_dir())
    order = np.random.default_rng(13).permutation(names)
    rows: dict[str, list[dict[str, str]]] = {"train": [], "test": []}
    for name in order:
        part = "train" if len({r["patient"] for r in rows["train"]}) < TRAINING_PATIENTS else "test"
        if part == "test" and len({r["patient"] for r in rows["test"]}) == TEST_PATIENTS:
            break
        rows[part] += lidc_crops(root / name, folder / part)
    for part, found in rows.items():
        write_table(folder / part / "SOURCES.csv", found)
    series = "QIN-LSC-{}/ct"
    ct = [str(args.data / "lung_ct" / series.format(n)) for n in ("0014", "0028", "0064")]
    plain = str(args.data / "lung_ct" / series.format("0003"))
    more = {"factor": [6, 12], "license": "CC BY 3.0"}
    plan = {
        "preset": "lung_ct",
        "count": 40,
        "anatomies": [
            {"images": ct, "labels": "../seg/alg01_run1.dcm", "weight": 3, **more},
            {"images": [plain], "labels": [], "weight": 1, **more},
        ],
        "pathologies": {
            "share": 1,
            "count": {2: 0.5, 3: 0.5},
            "sources": [{"procedural": {"kind": ["solid", "spiculated", "part_solid"]}}],
            "diameter_mm": {"lognormal": [9, 1.5], "clip": [5, 25]},
            "place": {"where": "lung", "pleural": 0.3, "min_distance_mm": 30},
        },
        "slices": "lesion",
        "seed": 13,
        "steps": 8,
    }
    write_yaml(folder / "plan.yaml", plan)
    study = {
        "title": "Lung nodules: few LIDC patients, synthetic nodules in CTs of others",
        "task": {"positive": "nodule", "negative": "none"},
        "image": {"side": CROP, "window": [-600, 1500], "scale": "each"},
        "train": {"images": "train"},
        "test": {"images": "test"},
        "validation": 0.3,
        "synthetic": {"name": "ours", "set": "set", "crop_mm": 33, "crops_without_lesion": 3},
        "sizes": [40, 100],
        "steps": 80,
        **CLASSIFIER,
    }
    finish(folder, study, ["medsynth dataset plan.yaml -o set"])


def lidc_crops(patient: Path, out: Path) -> list[dict[str, str]]:
    """A crop of each agreed nodule, and one of the same slice where nobody marked anything."""
    out.mkdir(exist_ok=True)
    rows = []
    for nodule in sorted(patient.iterdir()):
        votes = {
            f.name: sum_of_masks(nodule, f.name) for f in sorted((nodule / "images").iterdir())
        }
        best = max(votes, key=lambda name: int((votes[name] >= READERS).sum()))
        agreed = votes[best] >= READERS
        if agreed.sum() < LEAST_PIXELS:
            continue
        plane = np.asarray(Image.open(nodule / "images" / best).convert("L"))
        row, column = (round(v) for v in ndimage.center_of_mass(agreed))
        places = [("nodule", (row, column))]
        elsewhere = place_without(plane, votes[best] > 0, nodule)
        if elsewhere is not None:
            places.append(("none", elsewhere))
        for label, (j, i) in places:
            half = CROP // 2
            crop = np.pad(plane, half, mode="edge")[j : j + CROP, i : i + CROP]
            name = f"{patient.name}-{nodule.name}-{label}.png"
            Image.fromarray(crop).save(out / name)
            rows.append({"file": name, "patient": patient.name, "label": label})
    return rows


def sum_of_masks(nodule: Path, name: str) -> np.ndarray:
    """How many readers marked each pixel."""
    masks = [nodule / f"mask-{n}" / name for n in range(4)]
    found = [np.asarray(Image.open(m).convert("L")) > 127 for m in masks if m.exists()]
    return np.sum(found, axis=0) if found else np.zeros((128, 128), int)


def place_without(plane: np.ndarray, marked: np.ndarray, nodule: Path) -> tuple[int, int] | None:
    """A place in the lung whose crop shows nothing of what any reader marked."""
    dark = ndimage.gaussian_filter(plane.astype(float), 2) < threshold(plane)
    clear = ndimage.distance_transform_edt(~marked) > CROP * np.sqrt(0.5)
    half = CROP // 2
    within = np.zeros(plane.shape, bool)
    within[half : plane.shape[0] - half, half : plane.shape[1] - half] = True
    # Not outside of what the scanner saw: a border of black would be known as such.
    seen = ndimage.uniform_filter((plane > 0).astype(float), CROP) > 0.9
    possible = np.argwhere(dark & clear & within & seen)
    if len(possible) < 20:
        return None
    number = int(re.sub(r"\D", "", nodule.parent.name + nodule.name))
    j, i = possible[np.random.default_rng(number).integers(len(possible))]
    return int(j), int(i)


def threshold(plane: np.ndarray) -> float:
    """Otsu's: between lung and soft tissue."""
    counts, edges = np.histogram(plane, bins=64)
    middle = (edges[:-1] + edges[1:]) / 2
    below, above = np.cumsum(counts), counts.sum() - np.cumsum(counts)
    total = np.cumsum(counts * middle)
    means = total / np.maximum(below, 1), (total[-1] - total) / np.maximum(above, 1)
    return float(middle[np.argmax(below * above * (means[0] - means[1]) ** 2)])


MASSES = ("*/CIRC/*", "*/SPIC/*", "*/MISC/*")


def mammography(args: argparse.Namespace, folder: Path) -> None:
    """Masses on MIAS films against breast without one; half of the women train, half test."""
    films = args.data / "mammography"
    rows = read_table(films / "SOURCES.csv")
    women = sorted({row["patient"] for row in rows})
    half = women[len(women) // 2 - 1]
    normal = [row for row in rows if row["patient"] <= half and row["label"].endswith("NORM")]
    anatomies = []
    for side, odd in (("R", 1), ("L", 0)):
        own = [r for r in normal if int(re.search(r"mdb(\d+)", r["file"])[1]) % 2 == odd]
        table = folder / f"references_{side}.csv"
        write_table(
            table,
            [
                {
                    "file": str(films / Path(r["file"]).relative_to("mammography")),
                    "patient": r["patient"],
                    "license": "MIAS, research use",
                    "pixel_spacing_mm": "0.2",
                    "view": "MLO",
                    "laterality": side,
                }
                for r in own
            ],
        )
        anatomies.append({"images": str(table), "factor": [6, 10], "labels": []})
    plan = {
        "preset": "mammography",
        "count": 60,
        "anatomies": anatomies,
        "pathologies": {
            "share": 1,
            "count": {1: 0.4, 2: 0.6},
            "sources": [{"procedural": {"kind": ["round_mass", "spiculated_mass"]}}],
            "diameter_mm": {"lognormal": [16, 1.4], "clip": [8, 35]},
        },
        "seed": 13,
        "steps": 4,
    }
    write_yaml(folder / "plan.yaml", plan)
    first, last = women[0], women[-1]
    source = {
        "images": str(films),
        "layout": "table",
        "preset": "mammography",
        "crop_mm": 40,
        "pixel_mm": 0.2,
    }
    study = {
        "title": "Masses on mammograms: half of the women of MIAS, tested on the other half",
        "task": {"positive": list(MASSES), "negative": "*/NORM"},
        "image": {"side": 64, "scale": "each"},
        "train": {**source, "patients": [f"{first}..{half}"]},
        "test": {**source, "without": [f"{first}..{half}"], "patients": [f"{first}..{last}"]},
        "validation": 0.25,
        "positives": 0.3,
        "synthetic": {"name": "ours", "set": "set", "crop_mm": 40, "crops_without_lesion": 3},
        "sizes": [40, 100],
        "steps": 150,
        **CLASSIFIER,
    }
    finish(folder, study, ["medsynth dataset plan.yaml -o set"])


def edema(args: argparse.Namespace, folder: Path) -> None:
    """Edema against No Finding on NIH films; synthetic films follow a training film and keep its label."""
    films = args.data / "chest_xray"
    rows = [r for r in read_table(films / "SOURCES.csv") if "/nih/" in r["file"]]
    kept = []
    for row in rows:
        label = "Edema" if "Edema" in row["label"].split("|") else row["label"]
        if label in ("Edema", "No Finding"):
            file = str(films / Path(row["file"]).relative_to("chest_xray"))
            kept.append({"file": file, "patient": row["patient"], "label": label})
    patients = sorted({row["patient"] for row in kept})
    order = np.random.default_rng(13).permutation(patients)
    trained = set(order[: len(order) // 2])
    table = folder / "films"
    table.mkdir(exist_ok=True)
    for row in kept:
        row["split"] = "train" if row["patient"] in trained else "test"
    write_table(table / "SOURCES.csv", kept)
    for label, name in (("Edema", "edema"), ("No Finding", "none")):
        own = [r for r in kept if r["label"] == label and r["split"] == "train"]
        references = [{"file": r["file"], "patient": r["patient"], "license": "NIH"} for r in own]
        write_table(folder / f"references_{name}.csv", references)
        plan = {
            "preset": "chest_xray",
            "count": 80,
            "anatomies": [{"images": str(folder / f"references_{name}.csv"), "factor": 8}],
            "seed": 13,
            "steps": 8,
        }
        write_yaml(folder / f"plan_{name}.yaml", plan)
    study = {
        "title": "Edema against No Finding: NIH films, half of the patients train",
        "task": {"positive": "Edema", "negative": "No Finding"},
        "image": {"side": 48},
        "train": {"images": "films", "split": "train"},
        "test": {"images": "films", "split": "test"},
        "validation": 0.25,
        "positives": 0.5,
        "synthetic": {"name": "ours", "images": "synthetic"},
        "controls": {"pasted": False},
        "modes": ["add", "replace"],
        "sizes": [40],
        "epochs": 20,
        **CLASSIFIER,
    }
    finish(
        folder,
        study,
        [
            "medsynth dataset plan_edema.yaml -o set_edema",
            "medsynth dataset plan_none.yaml -o set_none",
            f"python {Path(__file__).absolute()} edema -o {args.out}   # again: the table of both sets",
        ],
    )
    label_sets(folder)


def label_sets(folder: Path) -> None:
    """A table of the synthetic films of both sets: each has the label of the film that guided it."""
    rows = []
    for label, name in (("Edema", "set_edema"), ("No Finding", "set_none")):
        plan = folder / name / "plan.jsonl"
        if not plan.is_file():
            return
        for row in map(yaml.safe_load, plan.read_text().splitlines()):
            file = folder / name / "items" / row["id"] / "image.nrrd"
            if file.is_file():
                patient = f"synthetic-{name}-{row['id']}"
                made = {"file": str(file), "patient": patient, "label": label}
                rows.append(made | {"reference": row["anatomy"]["patient"]})
    (folder / "synthetic").mkdir(exist_ok=True)
    write_table(folder / "synthetic" / "SOURCES.csv", rows)


def finish(folder: Path, study: dict, commands: list[str]) -> None:
    """The study, and what to run in its folder."""
    write_yaml(folder / "study.yaml", study)
    print(f"cd {folder}")
    print("\n".join([*commands, "medsynth utility study.yaml -o figures"]))


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def write_table(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_yaml(path: Path, record: dict) -> None:
    path.write_text(yaml.safe_dump(record, sort_keys=False))


if __name__ == "__main__":
    main()

"""Small references, a small network and a small plan, from which a set is made in seconds."""

import numpy as np
import SimpleITK as sitk
import yaml
from made_up_network import save_network, small

CONFIG = small(48)


def chest(seed, shape=(6, 48, 48), spacing=(5.0, 5.0, 5.0)):
    """Two lungs in soft tissue, another one for each seed, in whole HU."""
    k, j, i = np.indices(shape)
    x, y = (i - 23.5) * spacing[0], (j - 23.5) * spacing[1]
    wide = 1 + 0.02 * seed
    body = (x / (108 * wide)) ** 2 + (y / 85) ** 2 < 1
    lung = ((np.abs(x) - 50) / (38 * wide)) ** 2 + (y / 62) ** 2 < 1
    texture = (3 * k + 5 * j + (2 + seed) * i) % 7
    values = np.where(lung, -850, np.where(body, 40, -1000)) + texture
    image = sitk.GetImageFromArray(values.astype(np.int16))
    image.SetSpacing(spacing)
    image.SetOrigin((-23.5 * spacing[0], -23.5 * spacing[1], 10.0 * seed))
    return image


def write_network(path):
    """A network that says something, though nothing sensible."""
    save_network(path, CONFIG, std=0.03)


def write_references(folder, people=4):
    """cts/P0/image.nrrd ...: one small chest each."""
    for number in range(people):
        where = folder / "cts" / f"P{number}"
        where.mkdir(parents=True)
        sitk.WriteImage(chest(number), str(where / "image.nrrd"))


def plan_of(count=6, **changes):
    """Keys of a plan of small slices."""
    return {
        "preset": "lung_ct",
        "count": count,
        "steps": 2,
        "noise": "network",
        "weights": "tiny.safetensors",
        "anatomies": [{"images": "cts/*/", "factor": [4, 8], "license": "CC0", "labels": []}],
        "pathologies": {
            "share": 0.8,
            "count": {1: 0.7, 2: 0.3},
            "sources": [{"procedural": {"kind": ["solid", "spiculated"]}}],
            "diameter_mm": [14, 24],
            "place": {"where": "lung"},
        },
        "split": {"train": 0.5, "validation": 0.25, "test": 0.25},
        "seed": 1,
    } | changes


def write_plan(folder, name="plan.yaml", **changes):
    """A plan file beside its references and its network, which are made where they are missing."""
    if not (folder / "cts").exists():
        write_references(folder)
    if not (folder / "tiny.safetensors").exists():
        write_network(folder / "tiny.safetensors")
    path = folder / name
    path.write_text(yaml.safe_dump(plan_of(**changes)))
    return path


def contents(folder):
    """Every file below `folder` and its bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

"""The chest, the folder and the request that the tests of the whole pipeline share."""

import numpy as np
import SimpleITK as sitk
from made_up_network import save_network, small

from medsynth import dicom, pipeline
from medsynth import domains as presets
from medsynth.request import parse

CONFIG = small(64)
# A rotation about z and then x: no axis of the oblique grid lies on one of the patient's.
COS, SIN = np.cos(0.3), np.sin(0.3)
OBLIQUE = np.array([[1, 0, 0], [0, COS, -SIN], [0, SIN, COS]]) @ np.array(
    [[COS, -SIN, 0], [SIN, COS, 0], [0, 0, 1]]
)
CENTER = [20.0, -10.0, 5.0]


def chest(shape=(20, 60, 64), spacing=(2.4, 2.5, 3.0), direction=None):
    """Lung in a shell of soft tissue around `CENTER`, in whole HU; sides that are no multiple of 8."""
    image = sitk.Image([int(n) for n in shape[::-1]], sitk.sitkFloat32)
    image.SetSpacing(spacing)
    direction = np.eye(3) if direction is None else direction
    image.SetDirection(direction.ravel().tolist())
    middle = np.array(spacing) * (np.array(shape[::-1]) - 1) / 2
    image.SetOrigin((np.array(CENTER) - direction @ middle).tolist())
    k, j, i = np.indices(shape)
    x = (i - (shape[2] - 1) / 2) * spacing[0]
    y = (j - (shape[1] - 1) / 2) * spacing[1]
    radius = np.hypot(x, y)
    values = np.select([radius < 52, radius < 66], [-850, 40], -1000) + (3 * k + 5 * j + i) % 7
    filled = sitk.GetImageFromArray(values.astype(np.float32))
    filled.CopyInformation(image)
    return filled


def fill(folder):
    """References as files and as a DICOM series, and the weights of a small network."""
    save_network(folder / "tiny.safetensors", CONFIG, std=0.03)
    sitk.WriteImage(chest(), str(folder / "straight.nrrd"))
    sitk.WriteImage(chest(direction=OBLIQUE), str(folder / "oblique.nrrd"))
    sitk.WriteImage(chest() + 0.25, str(folder / "fractions.nrrd"))
    headers = dicom.write_series(
        sitk.Cast(chest(), sitk.sitkInt16),
        folder / "series",
        preset=presets.get("lung_ct"),
        job=dicom.ExportJob("made up"),
        derivation="made up",
    )
    assert headers.files
    return folder


def nodule(**changes):
    source = {"procedural": {"kind": "spiculated", "pleural_tags": 0}}
    values = {"center_mm": CENTER, "diameter_mm": 18, "source": source, "factor": 4}
    return values | changes


BASE = {
    "preset": "lung_ct",
    "anatomy": {"image": "straight.nrrd", "factor": 8},
    "pathologies": [nodule()],
    "weights": "tiny.safetensors",
    "steps": 2,
    "seed": 7,
}


def run(folder, out, image="straight.nrrd", **changes):
    anatomy = {"image": image, "factor": 8}
    return pipeline.run(parse(BASE | {"anatomy": anatomy} | changes, folder), out)


def array(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))

"""A kind of lesion as a small picture: drawn by its own drawer on a neutral background, and kept on disk."""

from __future__ import annotations

import functools
import hashlib
import inspect
import io
from pathlib import Path
from typing import TYPE_CHECKING

from medsynth.domains.lesion_kinds import KINDS

if TYPE_CHECKING:
    import numpy as np
    import SimpleITK as sitk

    from medsynth.domains import Preset

SIDE = 96  # pixels
SEED = 4
ACROSS = 2.6  # diameters of the lesion that a picture shows
LUNG_MM, MAMMOGRAM_MM, RELATIVE_MM = 16.0, 8.0, 32.0
STRONG = ("contrast", "count", "size_mm")  # drawn at the most that is usual, to be seen so small
LUNG_HU, CHEST_WALL_HU, AIR_HU = -870.0, 40.0, -1024.0
GRAIN_HU, GRAIN = 18.0, 3.0  # so that it does not look like plastic
TISSUE, RIM = 100.0, 210.0
LUNG_WINDOW, TISSUE_WINDOW = (-1150.0, 250.0), (30.0, 215.0)
BESIDE = 3  # slices of 1 mm to each side of the middle


def folder() -> Path:
    """Where the pictures lie: they are drawn anew whenever something is missing there."""
    from medsynth.storage.user_folders import cache_folder

    return cache_folder() / "lesion_kinds"


def file_of(kind: str, preset: Preset) -> Path:
    """Of a kind's picture, whether it is there or not; another one once the kind is drawn otherwise."""
    return folder() / f"{preset.name}_{kind}_{_version(kind)}.png"


@functools.cache
def _version(kind: str) -> str:
    files = [
        Path(inspect.getfile(KINDS[kind].draw)),
        Path(__file__),
        Path(__file__).with_name("drawn.py"),
    ]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def draw(kind: str, preset: Preset) -> np.ndarray:
    """The picture: (SIDE, SIDE) uint8, in a window that shows the kind well."""
    import numpy as np
    import SimpleITK as sitk

    from medsynth.lesions.drawn import procedural

    drawer = KINDS[kind].drawer
    diameter = {"lung": LUNG_MM, "projection": MAMMOGRAM_MM}.get(drawer, RELATIVE_MM)
    background = _lung(diameter) if drawer == "lung" else _tissue(diameter)
    lesion = procedural(
        kind,
        reference=background,
        center_mm=(0.0, 0.0, 0.0),
        diameter_mm=diameter,
        seed=SEED,
        preset=preset,
        **{name: drawn[1] for name, drawn in KINDS[kind].ranges.items() if name in STRONG},
    )
    values = sitk.GetArrayFromImage(lesion.image)
    # Strands run to all sides: as readers look for them, the brightest of a few slices.
    k = len(values) // 2
    plane = values[max(0, k - BESIDE) : k + BESIDE + 1].max(axis=0)
    middle = len(plane) // 2
    plane = plane[middle - SIDE // 2 : middle + SIDE // 2, middle - SIDE // 2 : middle + SIDE // 2]
    low, high = LUNG_WINDOW if drawer == "lung" else TISSUE_WINDOW
    return np.clip(255 * (plane - low) / (high - low), 0, 255).astype(np.uint8)


def _lung(diameter: float) -> sitk.Image:
    """Aerated lung in a chest wall, the middle at 0."""
    import numpy as np

    step = ACROSS * diameter / SIDE
    _, j, i = np.indices((40, 3 * SIDE, 3 * SIDE))
    radius = np.hypot(i - 1.5 * SIDE, j - 1.5 * SIDE)
    values = np.select([radius < 0.8 * SIDE, radius < 1.4 * SIDE], [LUNG_HU, CHEST_WALL_HU], AIR_HU)
    values = values + GRAIN_HU * np.random.default_rng(SEED).standard_normal(values.shape)
    return _image(values, (step, step, 1.0))


def _tissue(diameter: float) -> sitk.Image:
    """One slice of even tissue in a brighter rim, the middle at 0."""
    import numpy as np

    step = ACROSS * diameter / SIDE
    j, i = np.indices((4 * SIDE, 4 * SIDE)) - 2 * SIDE
    radius = np.hypot(i, j)
    values = np.select([radius < 1.7 * SIDE, radius < 1.8 * SIDE], [TISSUE, RIM], 0.0)
    noise = GRAIN * np.random.default_rng(SEED).standard_normal(values.shape)
    return _image(np.where(values > 0, values + noise, 0)[None], (step, step, 1.0))


def _image(values: np.ndarray, spacing: tuple[float, float, float]) -> sitk.Image:
    import numpy as np
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(values.astype(np.float32))
    image.SetSpacing(spacing)
    image.SetOrigin([-step * (n // 2) for step, n in zip(spacing, image.GetSize(), strict=True)])
    return image


def ensure(kind: str, preset: Preset) -> Path:
    """The file of a kind's picture, which is drawn if it is not there."""
    from PIL import Image

    from medsynth.storage.files import new_file

    file = file_of(kind, preset)
    if not file.is_file():
        packed = io.BytesIO()
        Image.fromarray(draw(kind, preset)).save(packed, "PNG")
        file.parent.mkdir(parents=True, exist_ok=True)
        with new_file(file, overwrite=True) as partial:
            partial.write_bytes(packed.getvalue())
    return file

"""The result as NRRD: the image, and a mask for every lesion and label. The header's key SYNTHETIC says what it is."""

from __future__ import annotations

from functools import partial

from medsynth.pipeline.exporters.base import Exporter, write_volumes

EXPORTER = Exporter(
    title="NRRD, for 3D Slicer and ITK",
    write=partial(write_volumes, suffix=".nrrd"),
    files=("image.nrrd", "pathology_*.nrrd", "label_*.nrrd"),
    rank=1,
    default=True,
    mask_suffix=".nrrd",
    bytes_per_voxel=2,
)

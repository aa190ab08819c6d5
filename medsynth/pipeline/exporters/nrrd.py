"""The result as NRRD: the image, and a mask for every lesion and label. The header's key SYNTHETIC says what it is."""

from __future__ import annotations

from pathlib import Path

from medsynth.pipeline.exporters.base import Exporter, ExportInputs, write_volumes


def write(inputs: ExportInputs, folder: Path) -> None:
    """`image.nrrd`, `pathology_01.nrrd` ... and `label_01.nrrd` ..."""
    write_volumes(inputs, folder, suffix=".nrrd")


EXPORTER = Exporter(
    title="NRRD, for 3D Slicer and ITK",
    write=write,
    files=("image.nrrd", "pathology_*.nrrd", "label_*.nrrd"),
    rank=1,
    default=True,
    mask_suffix=".nrrd",
    bytes_per_voxel=2,
)

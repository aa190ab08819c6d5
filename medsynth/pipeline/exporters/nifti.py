"""The result as NIfTI: the image, and a mask for every lesion and label. The affine is RAS, as NIfTI has it; the header's descrip and aux_file say that it is synthetic."""

from __future__ import annotations

from pathlib import Path

from medsynth.pipeline.exporters.base import Exporter, ExportInputs, write_volumes


def write(inputs: ExportInputs, folder: Path) -> None:
    """`image.nii.gz`, `pathology_01.nii.gz` ... and `label_01.nii.gz` ..."""
    write_volumes(inputs, folder, suffix=".nii.gz")


EXPORTER = Exporter(
    title="NIfTI, for nibabel, MONAI and nnU-Net",
    write=write,
    files=("image.nii.gz", "pathology_*.nii.gz", "label_*.nii.gz"),
    rank=50,
    mask_suffix=".nii.gz",
    bytes_per_voxel=2,
)

"""The result as NIfTI: the image, and a mask for every lesion and label. The affine is RAS, as NIfTI has it; the header's descrip and aux_file say that it is synthetic."""

from __future__ import annotations

from functools import partial

from medsynth.pipeline.exporters.base import Exporter, write_volumes

EXPORTER = Exporter(
    title="NIfTI, for nibabel, MONAI and nnU-Net",
    write=partial(write_volumes, suffix=".nii.gz"),
    files=("image.nii.gz", "pathology_*.nii.gz", "label_*.nii.gz"),
    rank=50,
    mask_suffix=".nii.gz",
    bytes_per_voxel=2,
)

"""The result as DICOM: image series and segmentations, read back and checked before anything sees them."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from medsynth import __version__, dicom
from medsynth.pipeline.exporters.base import Exported, Exporter, ExportInputs
from medsynth.pipeline.preprocessing import projection_of
from medsynth.request import Request


def write(inputs: ExportInputs, folder: Path) -> Exported:
    """`dicom/image`, `dicom/seg` and `dicom/labels`."""
    folder = folder / "dicom"
    request, reference, image = inputs.request, inputs.prepared.reference, inputs.image
    lossy = Path(reference.source).suffix.lower() in (".jpg", ".jpeg")
    job = dicom.ExportJob(uuid.uuid4().hex, title=inputs.preset.title, lossy_source=lossy)
    series = dicom.write_series(
        image,
        folder / "image",
        preset=inputs.preset,
        job=job,
        derivation=derivation(inputs),
        headers=reference.headers,
        padding=reference.padding,
        patient=request.patient,
        projection=projection_of(request, inputs.preset),
        same_grid=inputs.prepared.preprocessing.same_grid,
        pixel_size_known=inputs.prepared.preprocessing.pixel_size_known,
        from_patient=request.anatomy.image is not None,
        burned_in_text=request.anatomy.burned_in_text,
        defaced=request.anatomy.defaced,
    )
    masks = [
        dicom.LesionMask(
            region.lesion.mask,
            f"Synthetic {region.lesion.kind.replace('_', ' ')} lesion {index + 1}",
            region.lesion.kind,
            region.lesion.description,
        )
        for index, region in enumerate(inputs.prepared.regions)
    ]
    record: dict[str, Any] = {
        # With these two the UIDs that stand for the reference's can be computed again.
        "job": job.identifier,
        "created": job.created.isoformat(),
        "study_instance_uid": series.study_uid,
        "series_instance_uid": series.series_uid,
        "images": len(series.files),
        "segmentations": 0,
    }
    if masks:
        dicom.write_segmentation(masks, folder / "seg", files=series.files, job=job)
        record["segmentations"] = 1
    labels = [
        dicom.LesionMask(label.mask, label.name, label.name, coded=label.coded)
        for label in inputs.prepared.labels
    ]
    if labels:
        dicom.write_segmentation(
            labels, folder / "labels", files=series.files, job=job, existing=True
        )
        record["segmentations"] += 1
    checked = dicom.validate(folder, image=image, exempt=series.clipped + series.moved)
    record["round_trip_error"] = checked.max_error
    return Exported(record, tuple(series.warnings))


def derivation(inputs: ExportInputs) -> str:
    """What the objects say of how they were made (DerivationDescription, at most 1024 characters)."""
    request = inputs.request
    lesions = ", ".join(region.lesion.kind for region in inputs.prepared.regions) or "none"
    return (
        f"SYNTHETIC image, not for diagnosis. {_made_by(inputs)}, seed {request.seed}, anatomy factor "
        f"{request.anatomy.factor}, filter {request.filter}, composition {request.composition}, "
        f"extent {request.extent}, background {request.background}; synthetic lesions: {lesions}. "
        f"{pixel_mark_sentence(request)}"
    )


def pixel_mark_sentence(request: Request) -> str:
    """What the objects say of the mark in their pixels."""
    if request.no_pixel_mark:
        return f"Pixels carry no mark: {request.no_pixel_mark}."
    return "Synthesized pixels carry an invisible mark that says so (medsynth verify)."


def _made_by(inputs: ExportInputs) -> str:
    request, checkpoint = inputs.request, inputs.checkpoint
    program = f"MedSynthSlicer {__version__}, preset {request.preset}"
    if checkpoint is None:
        return f"Made by the generator {request.generator} of {program}"
    other = checkpoint.expert
    expert = "" if other is None else f"expert {other.name} sha256 {other.sha256[:16]}, "
    return (
        f"Guided sampling of a denoising diffusion model, {program}, weights {checkpoint.name} "
        f"sha256 {checkpoint.sha256[:16]}, {expert}sampler {request.sampler}, {request.steps} steps"
    )


EXPORTER = Exporter(
    title="DICOM images and segmentations",
    write=write,
    files=("dicom",),
    rank=2,
    default=True,
    bytes_per_voxel=2,
)

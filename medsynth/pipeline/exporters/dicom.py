"""The result as DICOM: image series and segmentations, read back and checked before anything sees them."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from medsynth import __version__, dicom
from medsynth.pipeline.exporters.base import Delivery, Exported, Exporter
from medsynth.pipeline.preprocessing import projection_of


def write(delivery: Delivery, folder: Path) -> Exported:
    """`dicom/image`, `dicom/seg` and `dicom/labels`."""
    folder = folder / "dicom"
    request, reference, image = delivery.request, delivery.prepared.reference, delivery.image
    lossy = Path(reference.source).suffix.lower() in (".jpg", ".jpeg")
    job = dicom.ExportJob(uuid.uuid4().hex, title=delivery.preset.title, lossy_source=lossy)
    series = dicom.write_series(
        image,
        folder / "image",
        preset=delivery.preset,
        job=job,
        derivation=derivation(delivery),
        headers=reference.headers,
        padding=reference.padding,
        patient=request.patient,
        projection=projection_of(request, delivery.preset),
        same_grid=delivery.prepared.fitting.same_grid,
        pixel_size_known=delivery.prepared.fitting.pixel_size_known,
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
        for index, region in enumerate(delivery.prepared.regions)
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
        for label in delivery.prepared.labels
    ]
    if labels:
        dicom.write_segmentation(
            labels, folder / "labels", files=series.files, job=job, existing=True
        )
        record["segmentations"] += 1
    checked = dicom.validate(folder, image=image, exempt=series.clipped + series.moved)
    record["round_trip_error"] = checked.max_error
    return Exported(record, tuple(series.warnings))


def derivation(delivery: Delivery) -> str:
    """What the objects say of how they were made (DerivationDescription, at most 1024 characters)."""
    request = delivery.request
    lesions = ", ".join(region.lesion.kind for region in delivery.prepared.regions) or "none"
    return (
        f"SYNTHETIC image, not for diagnosis. {_made_by(delivery)}, seed {request.seed}, anatomy factor "
        f"{request.anatomy.factor}, filter {request.filter}, composition {request.composition}, "
        f"extent {request.extent}, background {request.background}; synthetic lesions: {lesions}."
    )


def _made_by(delivery: Delivery) -> str:
    request, checkpoint = delivery.request, delivery.checkpoint
    program = f"MedSynthSlicer {__version__}, preset {request.preset}"
    if checkpoint is None:
        return f"Made by the generator {request.generator} of {program}"
    return (
        f"Guided sampling of a denoising diffusion model, {program}, weights {checkpoint.name} "
        f"sha256 {checkpoint.sha256[:16]}, sampler {request.sampler}, {request.steps} steps"
    )


EXPORTER = Exporter(
    title="DICOM images and segmentations",
    write=write,
    files=("dicom",),
    rank=2,
    default=True,
    bytes_per_voxel=2,
)

"""The OUT folder: images, masks, DICOM, pictures, and the two records of the run."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from medsynth import __version__, dicom
from medsynth import request as requests
from medsynth.diffusion.guidance import low_pass
from medsynth.domains import Preset
from medsynth.events import Event, Listener, Stage
from medsynth.images import ReferenceImage, write_image
from medsynth.pipeline import report
from medsynth.pipeline.plan import Prepared
from medsynth.pipeline.preprocessing import projection_of
from medsynth.records.result import Checkpoint, Result
from medsynth.request import Request


@dataclass(frozen=True, eq=False)
class Delivery:
    """What is to be written: `volume` is the synthetic image (k, j, i) in physical units."""

    request: Request
    prepared: Prepared
    volume: np.ndarray
    preset: Preset
    checkpoint: Checkpoint | None


class LowPassSlices:
    """phi_n of the reference, slice by slice on demand: the report shows few of them."""

    def __init__(self, volume: np.ndarray, *, factor: int, kind: str, preset: Preset):
        self.volume, self.preset = volume, preset
        self.phi = low_pass.build(kind, size=volume.shape[1:], factor=factor)

    def __len__(self) -> int:
        return len(self.volume)

    def __getitem__(self, k: int) -> np.ndarray:
        """Slice k in physical units, (j, i)."""
        unit = torch.from_numpy(self.preset.intensity.to_unit(self.volume[k]))
        return self.preset.intensity.from_unit(self.phi(unit).numpy())


def mask_name(index: int) -> str:
    """The file of the mask of pathology `index` (from 0)."""
    return f"pathology_{index + 1:02d}.nrrd"


def label_name(index: int) -> str:
    """The file of label `index` (from 0) of those that the reference already had."""
    return f"label_{index + 1:02d}.nrrd"


def clipped_fraction(reference: ReferenceImage, preset: Preset) -> float:
    """Share of the reference's voxels, padding aside, that the intensity map cannot represent."""
    values = sitk.GetArrayViewFromImage(reference.image)
    if reference.padding is not None:
        values = values[~reference.padding]
    return preset.intensity.clipped_fraction(values) if values.size else 0.0


def write(
    delivery: Delivery,
    folder: Path,
    *,
    record: dict,
    seconds: dict[str, float],
    listener: Listener,
) -> Result:
    """Write everything into `folder`; returns what result.json says."""
    with Stage("writing", total=4, listener=listener) as stage:
        image = as_image(delivery)
        write_image(image, folder / "image.nrrd")
        for index, region in enumerate(delivery.prepared.regions):
            write_image(region.lesion.mask, folder / mask_name(index))
        for index, label in enumerate(delivery.prepared.labels):
            write_image(label.mask, folder / label_name(index))
        stage.advance(message="image and masks")
        dicom_record, notes = write_dicom(delivery, image, folder / "dicom")
        stage.advance(message="DICOM")
        record = {**record, "warnings": (*record["warnings"], *notes)}
        for note in notes:
            listener(Event("warning", message=note))
        requests.write(delivery.request, folder / "request.yaml")
        result = Result(
            checkpoint=delivery.checkpoint, dicom=dicom_record, seconds=seconds, **record
        )
        write_pictures(delivery, folder, result)
        stage.advance(message="pictures")
        result = replace(result, seconds=dict(seconds))
        result.write(folder / "result.json", shown=requests.shown_paths(delivery.request))
        stage.advance(message="records")
    return result


def as_image(delivery: Delivery) -> sitk.Image:
    """The result on the reference's grid; int16 where every value is a whole number that fits."""
    volume = delivery.volume
    info = np.iinfo(np.int16)
    whole = all(
        info.min <= plane.min()
        and plane.max() <= info.max
        and np.array_equal(plane, np.rint(plane))
        for plane in volume
    )
    image = sitk.GetImageFromArray(volume.astype(np.int16) if whole else volume)
    image.CopyInformation(delivery.prepared.reference.image)
    return image


def write_dicom(delivery: Delivery, image: sitk.Image, folder: Path) -> tuple[dict, list[str]]:
    """Image series and segmentation, read back and checked before anything else sees them."""
    request, reference = delivery.request, delivery.prepared.reference
    lossy = Path(reference.source).suffix.lower() in (".jpg", ".jpeg")
    job = dicom.Job(uuid.uuid4().hex, title=delivery.preset.title, lossy_source=lossy)
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
    record = {
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
    return record, list(series.warnings)


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


def write_pictures(delivery: Delivery, folder: Path, result: Result) -> None:
    """preview.png and report.html."""
    reference = delivery.prepared.reference
    before = sitk.GetArrayViewFromImage(reference.image)
    request = delivery.request
    shown = requests.shown_paths(request)
    factors = sorted({request.anatomy.factor, *(p.factor for p in request.pathologies)})
    data = report.ReportInput(
        title=f"{delivery.preset.title}: {Path(reference.source).name or reference.source}",
        reference=before,
        result=delivery.volume,
        spacing_mm=reference.image.GetSpacing(),
        windows=delivery.preset.windows,
        units=delivery.preset.units,
        low_pass={
            n: LowPassSlices(before, factor=n, kind=request.filter, preset=delivery.preset)
            for n in factors
        },
        masks=tuple(
            sitk.GetArrayViewFromImage(region.lesion.mask) > 0
            for region in delivery.prepared.regions
        ),
        request=shown(requests.to_dict(request)),
        record=shown(result.to_dict()),
    )
    report.write_preview(data, folder / "preview.png")
    report.write_report(data, folder / "report.html")

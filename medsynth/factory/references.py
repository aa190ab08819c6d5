"""The images that a plan names: found, named, given to a patient, read once to see that they can be used."""

from __future__ import annotations

import glob
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsynth import domains
from medsynth.datasets.splits import NOBODY, key
from medsynth.events import Event, Listener, Stage, ignore
from medsynth.factory.plan import FORMAT, AnatomySource, Plan

if TYPE_CHECKING:
    from medsynth.images import ReferenceImage

# Column names of a table that say under which license its images are.
LICENSE_COLUMNS = ("license", "licence")
SEGMENTATIONS = ("SEG", "SR", "RTSTRUCT", "PR", "KO", "RTDOSE", "RTPLAN")


PATIENT_ID = "PatientID "  # how a mark of a DICOM header begins


@dataclass(frozen=True)
class SourceImage:
    """An image that anatomies (or lesions, with `mask`) are taken from.

    Attributes:
        id: its name among all references of the plan.
        source: the number of the plan's entry that names it.
        patient: whose it is; what one patient has stays in one split.
        part: the split that a table puts it into; "": none.
        marks: what two references of one patient share, besides the name: PatientID, study, pixels.
        slices: how many it has; 0 before it was read.
        anatomy: keys of a request's anatomy that it needs (pixel_mm, view, laterality, labels).
        error: why it cannot be used; "": it can.
    """

    id: str
    source: int
    patient: str
    image: str
    mask: str = ""
    part: str = ""
    license: str = ""
    marks: tuple[str, ...] = ()
    slices: int = 0
    sha256: str = ""
    anatomy: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> SourceImage:
        """As `to_dict` wrote it."""
        return cls(**{**record, "marks": tuple(record["marks"])})


def find_anatomies(plan: Plan) -> list[SourceImage]:
    """Every image that the plan's anatomies name; only names, tables and headers are read.

    Raises:
        ValueError, FileNotFoundError: nothing is there, or a table that cannot be used.
    """
    found: list[SourceImage] = []
    for index, source in enumerate(plan.anatomies):
        if source.phantom is None:
            at = f"anatomies[{index}].images"
            found += _found(source.images, source.layout, at, plan.base, index, _of(source))
    return _named_apart(found)


def find_studies(plan: Plan) -> list[SourceImage]:
    """Every annotated lesion that the plan's sources name, with its mask.

    Raises:
        ValueError, FileNotFoundError: as `find_anatomies`; or none has a mask.
    """
    found: list[SourceImage] = []
    for index, source in enumerate(plan.pathologies.sources if plan.pathologies else ()):
        if not source.studies:
            continue
        at = f"pathologies.sources[{index}].studies"
        defaults = {"license": source.license}
        images = _found(source.studies, source.layout, at, plan.base, index, defaults)
        masked = [image for image in images if image.mask]
        if not masked:
            raise ValueError(
                f"{at}: {', '.join(source.studies)} names no image with a mask; give a table (CSV) with "
                "the columns file, patient and mask_file"
            )
        found += masked
    return _named_apart(found)


def _of(source: AnatomySource) -> dict[str, Any]:
    return {"license": source.license, "labels": source.labels, "anatomy": dict(source.anatomy)}


def _found(
    paths: Sequence[str], layout: str, at: str, base: Path, index: int, defaults: dict[str, Any]
) -> list[SourceImage]:
    found: list[SourceImage] = []
    for written in paths:
        whole = str(base / Path(written).expanduser())
        matches = sorted(glob.glob(whole)) if glob.has_magic(whole) else [whole]
        if not matches or not Path(matches[0]).exists():
            raise FileNotFoundError(f"{at}: no such file or folder: {whole}")
        root = _root(whole)
        for match in map(Path, matches):
            found += [
                replace(image, source=index) for image in _below(match, root, layout, at, defaults)
            ]
    if not found:
        raise ValueError(f"{at}: {', '.join(paths)} holds no image that can be read")
    return found


def _root(pattern: str) -> Path:
    """The part of a pattern that is a plain folder."""
    parts = Path(pattern).parts
    plain = [part for part in parts[: next(_magic(parts), len(parts))]]
    root = Path(*plain)
    return root.parent if root.is_file() else root


def _magic(parts: Sequence[str]) -> Iterator[int]:
    return (i for i, part in enumerate(parts) if glob.has_magic(part))


def _below(
    path: Path, root: Path, layout: str, at: str, defaults: dict[str, Any]
) -> Iterator[SourceImage]:
    """The images at `path`: of a collection, a table, another data set, a folder or a file."""
    if layout or path.suffix.lower() == ".csv":
        yield from _of_collection(path, layout, at, defaults)
    elif (path / "plan.yaml").is_file() and FORMAT in (path / "plan.yaml").read_text()[:200]:
        yield from _of_set(path, defaults)
    else:
        for image, series in images_below(path):
            name = image.relative_to(root).as_posix() if image.is_relative_to(root) else str(image)
            first = series[1] if series else image
            marks = _dicom_marks(first)
            anatomy = _anatomy(image, defaults)
            if series:  # the folder says neither whose it is nor which one is meant
                anatomy["series_uid"] = series[0]
                patient = _patient_id(marks) or str(image)
                name = f"{image.name if name == '.' else name} {series[0]}"
            elif name == ".":
                # a series that was named itself: its folder may be called "ct" as any other's
                name = image.name
                patient = _patient_id(marks) or str(image)
            else:
                patient = name.split("/")[0] if "/" in name or image.is_dir() else image.stem
            yield SourceImage(
                name,
                0,
                patient,
                str(image),
                license=defaults["license"],
                marks=marks,
                anatomy=anatomy,
            )


def images_below(path: Path) -> Iterator[tuple[Path, tuple[str, Path] | None]]:
    """A file, a folder of DICOM, or everything of these below a folder.

    With a folder that holds several series comes which one (SeriesInstanceUID) and its first file.
    """
    from medsynth.images.dicom.files import is_dicom
    from medsynth.images.files import READABLE, suffix_of

    if path.is_file():
        yield path, None
        return
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    files = [entry for entry in entries if entry.is_file()]
    folders = [entry for entry in entries if entry.is_dir()]
    first = next((file for file in files if file.suffix.lower() in ("", ".dcm", ".ima")), None)
    if first is not None and is_dicom(first):
        series = _series_of(files)
        if len(series) > 1 or (series and folders):  # who reads it finds what lies below it, too
            yield from ((path, one) for one in series.items())
        elif series or _header(first) is None:
            yield path, None
    else:
        yield from ((file, None) for file in files if suffix_of(file) in READABLE)
    for folder in folders:
        yield from images_below(folder)


def _series_of(files: Sequence[Path]) -> dict[str, Path]:
    """The first file of each series of images, by SeriesInstanceUID."""
    first: dict[str, Path] = {}
    for file in files:
        header = _header(file)
        if header is not None and header.get("Modality") not in SEGMENTATIONS:
            first.setdefault(str(header.get("SeriesInstanceUID") or ""), file)
    return first


def _header(path: Path) -> Any:
    """Some of the header of a DICOM file, or of a folder's first file; None of anything else.

    What is damaged or locked is None too: reading the image will say so.
    """
    import pydicom

    from medsynth.images.dicom.files import is_dicom

    tags = ["PatientID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"]
    try:
        if path.is_dir():
            path = next(file for file in sorted(path.iterdir()) if file.is_file())
        if not is_dicom(path):
            return None
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags, force=True)
    except Exception:
        return None


def _patient_id(marks: Sequence[str]) -> str:
    """The PatientID among the marks of an image, empty where there is none."""
    return next((m.removeprefix(PATIENT_ID) for m in marks if m.startswith(PATIENT_ID)), "")


def _dicom_marks(image: Path) -> tuple[str, ...]:
    """What ties a DICOM image to its patient."""
    header = _header(image)
    if header is None:
        return ()
    patient = key(str(header.get("PatientID") or ""))
    study = str(header.get("StudyInstanceUID") or "")
    marks = [f"{PATIENT_ID}{patient}"] if patient not in NOBODY else []
    return (*marks, f"study {study}") if study else tuple(marks)


def _anatomy(image: Path, defaults: dict[str, Any]) -> dict[str, Any]:
    """The keys of a request's anatomy for one image: those of the plan, and its labels."""
    anatomy = dict(defaults.get("anatomy", {}))
    labels = defaults.get("labels")
    if labels is not None:
        folder = image if image.is_dir() else image.parent
        anatomy["labels"] = [] if labels == () else str((folder / labels).resolve())
    return anatomy


def _of_collection(
    path: Path, layout: str, at: str, defaults: dict[str, Any]
) -> Iterator[SourceImage]:
    """Images of a collection in one of the field's layouts, or of a table."""
    from medsynth.datasets.layouts import read_entries
    from medsynth.datasets.settings import Data

    table = path.name if path.is_file() else ""
    root = path.parent if path.is_file() else path
    try:
        entries = read_entries(Data(root=str(root), layout=layout or "table", table=table))
    except (ValueError, OSError) as error:
        raise type(error)(f"{at}: {error}") from None
    for entry in entries:
        details = {name.casefold(): value for name, value in entry.details.items()}
        said = next((details[name] for name in LICENSE_COLUMNS if details.get(name)), "")
        anatomy = _anatomy(entry.path, defaults)
        for name in ("view", "laterality", "pixel_mm"):
            if getattr(entry, name) and name not in anatomy:
                anatomy[name] = getattr(entry, name)
        if entry.masks and "labels" not in anatomy:
            anatomy["labels"] = [str(mask) for mask in entry.masks]
        yield SourceImage(
            entry.name,
            0,
            entry.patient,
            str(entry.path),
            mask=str(entry.masks[0]) if entry.masks else "",
            part=details.get("split", ""),
            license=said or defaults["license"],
            marks=_dicom_marks(entry.path),
            anatomy=anatomy,
        )


def _of_set(path: Path, defaults: dict[str, Any]) -> Iterator[SourceImage]:
    """The finished images of another data set; their patients are those of its references."""
    from medsynth.factory.rows import read_rows

    for row in read_rows(path):
        folder = path / "items" / row.id
        if not (folder / "image.nrrd").is_file():
            continue
        masks = sorted([*folder.glob("pathology_*.nrrd"), *folder.glob("label_*.nrrd")])
        anatomy = _anatomy(folder / "image.nrrd", defaults)
        anatomy.setdefault("labels", [str(mask) for mask in masks])
        yield SourceImage(
            f"{path.name}/{row.id}",
            0,
            row.anatomy["patient"],
            str(folder / "image.nrrd"),
            mask=str(masks[0]) if masks else "",
            part=row.split,
            license=row.anatomy["license"] or defaults["license"],
            anatomy=anatomy,
        )


def _named_apart(found: list[SourceImage]) -> list[SourceImage]:
    """Each image once, with an id of its own."""
    once = {(image.image, image.anatomy.get("series_uid", "")): image for image in found}
    counts = Counter(image.id for image in once.values())
    return [
        replace(image, id=f"{Path(path).as_posix()} {series}".strip())
        if counts[image.id] > 1
        else image
        for (path, series), image in once.items()
    ]


def examine(
    found: Sequence[SourceImage], preset: domains.Preset, *, listener: Listener = ignore
) -> list[SourceImage]:
    """`found`, each read once: how many slices it has, the digest of its pixels, or why it cannot be used."""
    examined: list[SourceImage] = []
    if not found:  # lesions that are drawn have no studies
        return examined
    with Stage("reading references", total=len(found), listener=listener) as stage:
        for reference in found:
            examined.append(_examined(reference, preset))
            if examined[-1].error:
                listener(Event("warning", message=f"left out: {examined[-1].error}"))
            stage.advance(message=reference.id)
    return examined


def _examined(reference: SourceImage, preset: domains.Preset) -> SourceImage:
    import SimpleITK as sitk

    from medsynth.images import read_image
    from medsynth.pipeline.preprocessing import preprocess_anatomy
    from medsynth.request import parse

    # A lesion's study need not fit the domain's grid: it is cut out in millimeters.
    try:
        image = read_image(reference.image, series_uid=reference.anatomy.get("series_uid"))
        if not reference.mask or reference.anatomy:
            asked = parse(
                {"preset": preset.name, "anatomy": {"image": reference.image, **reference.anatomy}}
            )
            preprocess_anatomy(asked.anatomy, image, preset)
    except (ValueError, OSError, RuntimeError) as error:
        said = " ".join(str(error).split())
        named = (
            said if reference.image in said or reference.id in said else f"{reference.id}: {said}"
        )
        return replace(reference, error=named)
    anatomy = {**_said_by_header(image, preset), **reference.anatomy}
    digest = hashlib.sha256(sitk.GetArrayViewFromImage(image.image).tobytes()).hexdigest()
    return replace(
        reference,
        slices=image.image.GetDepth(),
        sha256=digest,
        marks=(*reference.marks, f"pixels {digest[:16]}"),
        anatomy=anatomy,
    )


def _said_by_header(image: ReferenceImage, preset: domains.Preset) -> dict[str, str]:
    """The view and the side that a projection image's own header says, as keys of a request's anatomy."""
    from medsynth.dicom import said_by
    from medsynth.request.model import LATERALITIES, VIEWS

    if not image.headers or preset.modality not in VIEWS:
        return {}
    known = {"view": VIEWS[preset.modality], "laterality": LATERALITIES}
    return {key: said for key, said in said_by(image.headers[0]).items() if said in known[key]}

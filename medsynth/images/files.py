"""NRRD, MetaImage, PNG and JPEG in; NRRD, MetaImage and NIfTI out, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from medsynth.images.damage import naming
from medsynth.images.file_limits import BY_SUFFIX, check_picture
from medsynth.images.reference import ReferenceImage
from medsynth.marking import header_fields
from medsynth.storage.files import new_file

NIFTI = (".nii", ".nii.gz")
VOLUMES = (".nrrd", ".nhdr", ".mha", ".mhd")
JPEG = (".jpg", ".jpeg")
PICTURES = (".png", *JPEG)
# By name, so that no other format hides behind a suffix.
READER = {
    **dict.fromkeys((".nrrd", ".nhdr"), "NrrdImageIO"),
    **dict.fromkeys((".mha", ".mhd"), "MetaImageIO"),
    ".png": "PNGImageIO",
}
READABLE = (*NIFTI, *VOLUMES, *PICTURES)
WRITABLE = (".nrrd", ".mha", *NIFTI)


def suffix_of(path: Path) -> str:
    """The lower-case suffix, `.nii.gz` as one."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def read_itk_file(path: Path) -> ReferenceImage:
    """A volume or a picture by SimpleITK, in the values that the file holds (16-bit PNG included).

    Raises:
        ValueError: Damaged, color, 4-D, or with NaN or infinite values.
    """
    image = load(path)
    is_2d = image.GetDimension() == 2
    notes: list[str] = []
    image = one_channel(three_axes(image, path), path, notes)
    if suffix_of(path) in PICTURES:
        notes.append(f"{path} does not say its pixel size; 1 mm at the origin is assumed")
    elif is_2d:
        notes.append(f"{path} is two-dimensional; it became one slice, 1 mm thick")
    return ReferenceImage(
        image=as_float32(image, path), source=str(path), warnings=tuple(notes), is_2d=is_2d
    )


def load(path: Path) -> sitk.Image:
    """The file as it is, its axes and channels included.

    Raises:
        ValueError: The file is damaged.
    """
    suffix = suffix_of(path)
    if suffix in PICTURES and _begins_like_jpeg(path):
        return _load_jpeg(path)
    if suffix in JPEG:
        raise ValueError(
            f"{path} cannot be read; it may be damaged (it does not begin like a JPEG)"
        )
    with naming(path, otherwise="cannot be read; it may be damaged"):
        BY_SUFFIX[suffix](path)
    try:
        image = sitk.ReadImage(str(path), imageIO=READER[suffix])
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        if "Unknown PixelType" in reason:
            raise ValueError(
                f"{path} has a pixel type that cannot be read ({reason}), such as gray with an "
                "alpha channel; save it as plain gray"
            ) from error
        raise ValueError(f"{path} cannot be read; it may be damaged ({reason})") from error
    if suffix_of(path) in PICTURES:
        image.SetSpacing([1.0] * image.GetDimension())  # a PNG's sCAL is no anatomical size
    return image


def _begins_like_jpeg(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(3) == b"\xff\xd8\xff"


def _load_jpeg(path: Path) -> sitk.Image:
    """By Pillow: ITK reads a JPEG that is cut off and fills the rest with gray."""
    with (
        naming(path, otherwise="cannot be read; it may be damaged"),
        Image.open(path, formats=("JPEG",)) as picture,
    ):
        check_picture(path, *picture.size)
        values = np.asarray(picture)
    return sitk.GetImageFromArray(values, isVector=values.ndim == 3)


def three_axes(image: sitk.Image, path: Path) -> sitk.Image:
    """A 2-D image becomes one slice; a fourth axis of length one is dropped.

    Raises:
        ValueError: The image has more than three axes.
    """
    if image.GetDimension() == 2:
        return sitk.JoinSeries(image)
    if image.GetDimension() > 3:
        size = image.GetSize()
        if any(n != 1 for n in size[3:]):
            raise ValueError(
                f"{path} has {len(size)} dimensions {size}; save one time point or component as a "
                "3-D image"
            )
        return sitk.Extract(image, [*size[:3], *[0] * len(size[3:])])
    return image


class NotGray(ValueError):
    """A picture in color, or with transparent pixels."""


def one_channel(image: sitk.Image, path: Path, notes: list[str]) -> sitk.Image:
    """The gray image; an RGB(A) one whose colors are all gray (and opaque) is accepted.

    Raises:
        NotGray: a colored or transparent picture.
        ValueError: complex, or with several values a voxel.
    """
    channels = image.GetNumberOfComponentsPerPixel()
    if channels == 1 and "complex" not in image.GetPixelIDTypeAsString():
        return image
    if suffix_of(path) in PICTURES and channels in (3, 4):
        values = sitk.GetArrayViewFromImage(image)
        opaque = channels == 3 or (values[..., 3] == np.iinfo(values.dtype).max).all()
        if opaque and (values[..., :3] == values[..., :1]).all():
            notes.append(f"{path} is stored in color but gray throughout; one channel was taken")
            return sitk.VectorIndexSelectionCast(image, 0)
        what = "is a color image" if opaque else "has transparent pixels"
        raise NotGray(f"{path} {what}; convert it to a gray image")
    kind = image.GetPixelIDTypeAsString()
    raise ValueError(
        f"{path} has {channels} values per voxel ({kind}); only scalar gray images can be used"
    )


def as_float32(image: sitk.Image, path: Path) -> sitk.Image:
    """The same values as float32.

    Raises:
        ValueError: A value is NaN or infinite, with the first one's place.
    """
    image = sitk.Cast(image, sitk.sitkFloat32)
    check_finite(sitk.GetArrayViewFromImage(image), path)
    return image


def check_finite(values: np.ndarray, path: Path) -> None:
    """Raises ValueError if any of `values` (k, j, i) is NaN or infinite."""
    bad = ~np.isfinite(values)
    if bad.any():
        k, j, i = np.unravel_index(int(np.argmax(bad)), bad.shape)
        raise ValueError(
            f"{path} holds {int(bad.sum())} values that are NaN or infinite (first at voxel "
            f"i={i}, j={j}, k={k}); replace them, e.g. by the value of air"
        )


def write_image(image: sitk.Image, path: str | Path) -> None:
    """Write `image`, marked as synthetic, under a temporary name and rename it when it is whole.

    All that this program writes in these formats is synthetic: images, phantoms, masks, labels. The
    mark goes into the metadata of `image` too.

    Raises:
        ValueError: The format cannot be written.
        OSError: The folder is not there or not writable, or the disk is full.
    """
    path = Path(path)
    suffix = suffix_of(path)
    if suffix not in WRITABLE:
        raise ValueError(f"cannot write {path}: {suffix or 'no suffix'}; use {', '.join(WRITABLE)}")
    try:
        with new_file(path, overwrite=True) as partial:
            for key, value in header_fields(suffix).items():
                image.SetMetaData(key, value)
            sitk.WriteImage(image, str(partial), useCompression=True)
            _check_written(partial, image)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise OSError(f"cannot write {path} ({reason}); is the disk full?") from error


def _check_written(path: Path, image: sitk.Image) -> None:
    """ITK's writers do not all notice a full disk, so the file is read back."""
    if sitk.Hash(sitk.ReadImage(str(path))) != sitk.Hash(image):
        raise RuntimeError("what was read back is not what was written")

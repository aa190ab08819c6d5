"""Good small files of every format that is read, and ways to break them; all by one generator."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import SimpleITK as sitk
from images_made_up_dicom import made_up_slice, ramp, save, save_segmentation, save_series
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from medsynth.cli.demo import lung_request

VALUES = np.arange(120, dtype=np.int16).reshape(6, 5, 4) - 50
REQUEST = lung_request(seed=0) | {"steps": 20}
REQUEST["anatomy"]["phantom"]["slices"] = 4


def dicom_files(folder: Path) -> list[Path]:
    """One file of each kind, small: syntaxes, multi-frame, segmentation, a film."""
    plain = made_up_slice(ramp(1), (0, 0, 0), BitsStored=12, HighBit=11, PixelPaddingValue=9)
    files = [save(plain, folder / "plain.dcm")]
    for name, syntax in (
        ("implicit", ImplicitVRLittleEndian),
        ("deflated", DeflatedExplicitVRLittleEndian),
    ):
        data = made_up_slice(ramp(1), (0, 0, 0))
        data.file_meta.TransferSyntaxUID = syntax
        files.append(save(data, folder / f"{name}.dcm"))
    data = made_up_slice(ramp(1), (0, 0, 0))
    files.append(save(data, folder / "rle.dcm"))
    data = pydicom.dcmread(files[-1])
    data.compress(RLELossless)
    data.save_as(files[-1])
    frames = np.stack([ramp(k) for k in range(3)])
    data = made_up_slice(frames, (0, 0, 0), NumberOfFrames=3)
    files.append(save(data, folder / "frames.dcm"))
    film = made_up_slice(ramp(2), (0, 0, 0), Modality="DX", PhotometricInterpretation="MONOCHROME1")
    del film.ImagePositionPatient, film.ImageOrientationPatient
    files.append(save(film, folder / "film.dcm"))
    return [*files, segmentation(folder)]


def segmentation(folder: Path) -> Path:
    """A DICOM SEG of three slices, two segments."""
    headers = [pydicom.dcmread(path) for path in save_series(folder / "segmented", 3)]
    masks = np.zeros((3, 6, 5, 2), np.uint8)
    masks[:, 1:3, 1:4, 0] = masks[1:, 4:, 2:, 1] = 1
    return save_segmentation(headers, masks, folder / "seg.dcm")


def other_files(folder: Path) -> list[Path]:
    """One file of each of the other formats."""
    image = sitk.GetImageFromArray(VALUES)
    mask = sitk.GetImageFromArray((VALUES > 0).astype(np.uint8))
    for name in ("a.nrrd", "a.nhdr", "a.mha", "a.mhd"):
        sitk.WriteImage(image, str(folder / name))
    sitk.WriteImage(image, str(folder / "packed.nrrd"), useCompression=True)
    sitk.WriteImage(image, str(folder / "packed.mha"), useCompression=True)
    sitk.WriteImage(mask, str(folder / "a.seg.nrrd"), useCompression=True)
    for name in ("a.nii", "a.nii.gz"):
        nibabel.save(nibabel.Nifti1Image(VALUES, np.eye(4)), folder / name)
    nibabel.save(nibabel.Nifti2Image(VALUES, np.eye(4)), folder / "second.nii")
    gray = (np.indices((40, 50)).sum(axis=0) % 256).astype(np.uint8)
    for name in ("a.png", "a.jpg"):
        Image.fromarray(gray).save(folder / name)
    Image.fromarray(np.dstack([gray] * 3)).save(folder / "rgb.png")
    (folder / "a.json").write_text(json.dumps(REQUEST, indent=1))
    (folder / "a.yaml").write_text(json.dumps(REQUEST, indent=1))
    data = (".raw", ".zraw")
    return sorted(p for p in folder.iterdir() if p.is_file() and p.suffix not in data)


def flipped(path: Path, random: np.random.Generator) -> bytes:
    """The file with one to three bytes of its header changed."""
    data = bytearray(path.read_bytes())
    end = data.rfind(b"\xe0\x7f\x10\x00")  # Pixel Data; not to be found where it is deflated
    end = end if end > 0 else len(data)
    for at in random.integers(128, end, size=int(random.integers(1, 4))):
        data[at] = random.integers(256) if random.random() < 0.5 else data[at] ^ (1 << at % 8)
    return bytes(data)


def broken(path: Path, others: list[Path], random: np.random.Generator) -> bytes:
    """The file cut off, emptied, overwritten, with another format's content, or inflated."""
    data = path.read_bytes()
    middle = int(random.integers(1, max(2, len(data))))
    ways = (
        lambda: data[:middle],
        lambda: random.bytes(len(data)),
        lambda: data[:middle] + random.bytes(64) + data[middle + 64 :],
        lambda: data[:middle] + bytes(len(data) - middle),
        lambda: others[int(random.integers(len(others)))].read_bytes(),
        lambda: data[:middle] + data[middle // 2 :],
        lambda: b"",
        lambda: gzip.compress(data),
        lambda: _digits_changed(data, random),
        lambda: _digits_changed(data, random),
    )
    return ways[int(random.integers(len(ways)))]()


def _digits_changed(data: bytes, random: np.random.Generator) -> bytes:
    """Numbers in a text header become longer, negative, or words."""
    digits = [at for at in range(min(len(data), 2000)) if data[at : at + 1].isdigit()]
    for at in random.permutation(digits or [0])[:2]:
        new = (b"99999999", b"-1", b"x", b"1e9", b"0", b"nan")[int(random.integers(6))]
        data = data[:at] + new + data[at + 1 :]
    return data


def flips(folder: Path, count: int, seed: int) -> Iterator[tuple[Path, str]]:
    """`count` damaged DICOM files, one after the other at the same paths, and which kind each is.

    Every fourth is one slice of a series of three, whose folder is given instead.
    """
    random = np.random.default_rng(seed)
    good = folder / "good"
    kinds, slices = dicom_files(good), save_series(good / "series", 3)
    series = folder / "series"
    series.mkdir()
    for path in slices:
        (series / path.name).write_bytes(path.read_bytes())
    for number in range(count):
        if number % 4 == 3:
            (series / slices[1].name).write_bytes(flipped(slices[1], random))
            yield series, "series"
        else:
            kind = kinds[number % len(kinds)]
            path = folder / kind.name
            path.write_bytes(flipped(kind, random))
            yield path, kind.stem


def broken_files(folder: Path, count: int, seed: int) -> Iterator[tuple[Path, str]]:
    """`count` broken files of all formats, one after the other."""
    random = np.random.default_rng(seed)
    good = folder / "good"
    good.mkdir()
    kinds = [*other_files(good), *dicom_files(good)]
    for raw in (p for p in good.iterdir() if p.suffix in (".raw", ".zraw")):
        (folder / raw.name).write_bytes(raw.read_bytes())
    for number in range(count):
        kind = kinds[number % len(kinds)]
        path = folder / kind.name
        path.write_bytes(broken(kind, kinds, random))
        yield path, kind.name


def read(path: Path) -> None:
    """The file as everything that it may be: image, mask and labels, or a request.

    Raises:
        ValueError, OSError, ImportError: each of them refused it.
    """
    from medsynth.images import read_image, read_labels, read_mask
    from medsynth.request import load_request

    is_text = path.suffix in (".json", ".yaml")
    readers = (load_request,) if is_text else (read_image, read_mask, read_labels)
    if path.is_dir() or path.suffix == ".dcm":
        readers = readers[1:] if path.stem == "seg" else readers[:1]
    refused = []
    for reader in readers:
        try:
            reader(path)
        except (ValueError, OSError, ImportError) as error:
            refused.append(error)
    if len(refused) == len(readers):
        raise refused[0]

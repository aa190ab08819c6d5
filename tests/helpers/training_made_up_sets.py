"""Small files from which the tests build trees as the field's collections have them."""

import csv

import numpy as np
from images_made_up_dicom import made_up_slice, save
from PIL import Image
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, generate_uid


def write_csv(path, header, *rows, delimiter=","):
    """Rows as any spreadsheet would write them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return path


def picture(path, shape=(8, 6), value=100):
    """A gray 8-bit picture of (rows, columns) whose brightness is `value` in the middle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(shape, np.uint8)
    pixels[1:-1, 1:-1] = value
    Image.fromarray(pixels).save(path)
    return path


def film(path, pixels=None, **attributes):
    """A mammogram in DICOM, 12 of 16 bits."""
    pixels = np.full((8, 6), 1000, np.uint16) if pixels is None else pixels
    values = {
        "SOPClassUID": DigitalMammographyXRayImageStorageForPresentation,
        "SOPInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "Modality": "MG",
        "ImagePositionPatient": None,
        "ImageOrientationPatient": None,
        "PixelSpacing": None,
        "RescaleSlope": None,
        "RescaleIntercept": None,
    }
    return save(made_up_slice(pixels, (0, 0, 0), **(values | attributes)), path)


def ct_slices(folder, count=3, *, size=512, series=None, **attributes):
    """`count` slices of a CT series, 1-001.dcm and so on; returns their SOPInstanceUIDs."""
    series = series or generate_uid()
    uids = []
    for k in range(count):
        uids.append(generate_uid())
        data = made_up_slice(
            np.full((size, size), 1000 + k, np.uint16),
            (0.0, 0.0, 2.0 * k),
            SOPInstanceUID=uids[-1],
            SeriesInstanceUID=series,
            InstanceNumber=k + 1,
            PixelSpacing=[0.7, 0.7],
            **attributes,
        )
        save(data, folder / f"1-{k + 1:03d}.dcm")
    return uids

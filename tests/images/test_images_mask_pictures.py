"""A mask that is a picture lies on the pixels of its film, and only on those of one of its size."""

import numpy as np
import pytest
import SimpleITK as sitk
from images_made_up_dicom import made_up_slice, ramp, save
from PIL import Image

from medsynth.errors import GeometryError
from medsynth.images import read_image, read_mask_of
from medsynth.pipeline.preprocessing import PreprocessedReference, Preprocessing, roi_mask


def picture(path, rows, columns):
    values = np.zeros((rows, columns), np.uint8)
    values[2:4, 1:3] = 255
    Image.fromarray(values).save(path)
    return path


@pytest.fixture
def film(tmp_path):
    data = made_up_slice(ramp(1, rows=60, columns=50), (0, 0, 0), Modality="DX")
    del data.ImagePositionPatient, data.ImageOrientationPatient
    return read_image(save(data, tmp_path / "film.dcm"))


@pytest.mark.parametrize("suffix", [".png", ".nrrd"])
def test_on_the_pixels_of_its_film(tmp_path, film, suffix):
    mask = picture(tmp_path / "mask.png", 60, 50)
    if suffix == ".nrrd":
        sitk.WriteImage(sitk.JoinSeries(sitk.ReadImage(str(mask))), str(tmp_path / "mask.nrrd"))
        mask = tmp_path / "mask.nrrd"
    read = read_mask_of(mask, film)
    assert read.GetSpacing() == film.image.GetSpacing() != (1, 1, 1)
    assert sitk.GetArrayViewFromImage(read).sum() == 4


@pytest.mark.parametrize("suffix", [".png", ".nrrd"])
@pytest.mark.parametrize("sizes", [(30, 25), (60, 51), (50, 60)])
def test_of_another_size(tmp_path, film, suffix, sizes):
    mask = picture(tmp_path / "mask.png", *sizes)
    if suffix == ".nrrd":
        sitk.WriteImage(sitk.JoinSeries(sitk.ReadImage(str(mask))), str(tmp_path / "mask.nrrd"))
        mask = tmp_path / "mask.nrrd"
    both = rf"{mask}.* {sizes[1]} x {sizes[0]} x 1 pixels.*film.dcm has 50 x 60 x 1"
    with pytest.raises(GeometryError, match=both):
        read_mask_of(mask, film)
    with pytest.raises(GeometryError, match=both):  # what places a roi
        roi_mask(mask, PreprocessedReference(film, film.image, Preprocessing()))


def test_png_on_png_of_another_size(tmp_path):
    film = read_image(picture(tmp_path / "film.png", 60, 50))
    with pytest.raises(GeometryError, match="same size"):
        read_mask_of(picture(tmp_path / "mask.png", 30, 25), film)


def test_a_picture_on_a_volume(tmp_path):
    sitk.WriteImage(sitk.Image(9, 9, 9, sitk.sitkInt16), str(tmp_path / "ct.nrrd"))
    with pytest.raises(GeometryError, match="9 x 9 x 9"):
        read_mask_of(picture(tmp_path / "mask.png", 9, 9), read_image(tmp_path / "ct.nrrd"))


def test_masks_with_a_place_may_have_any_size(tmp_path, film):
    mask = sitk.Image(9, 9, 1, sitk.sitkUInt8) + 1
    mask.SetSpacing(film.image.GetSpacing())
    mask.SetOrigin((5, 5, 0))
    sitk.WriteImage(mask, str(tmp_path / "mask.nrrd"))
    assert read_mask_of(tmp_path / "mask.nrrd", film).GetOrigin() == (5, 5, 0)

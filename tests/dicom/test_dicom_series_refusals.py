"""What cannot become a DICOM series is refused, and nothing of it is left behind."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_dicom import hounsfield, oblique_image, write_made

from medsynth.dicom.files import save
from medsynth.errors import GeometryError
from medsynth.images import read_image


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"patient": "anonymous"}, ValueError, "patient must be one of"),
        ({"patient": "keep"}, ValueError, "needs a DICOM reference"),
        ({"derivation": " "}, ValueError, "derivation is empty"),
        ({"padding": np.zeros((1, 2, 3), bool)}, GeometryError, "padding has shape"),
    ],
    ids=["policy", "keep without reference", "derivation", "padding"],
)
def test_refusals_leave_nothing_behind(tmp_path, image, options, error, message):
    with pytest.raises(error, match=message):
        write_made(tmp_path, image, **options)
    assert list(tmp_path.iterdir()) == []


def test_headers_of_another_grid_are_refused(tmp_path, image, headers):
    with pytest.raises(GeometryError, match="got 4 headers for 5 slices"):
        write_made(tmp_path, image, headers=headers[:4])
    headers[2].Rows = 11
    with pytest.raises(GeometryError, match="rows and columns"):
        write_made(tmp_path, image, headers=headers)


def test_voxels_that_are_no_numbers_are_refused(tmp_path):
    values = hounsfield()
    values[1, 2, 3], values[0, 0, 0] = np.nan, np.inf
    with pytest.raises(ValueError, match="2 voxels are NaN or infinite"):
        write_made(tmp_path, oblique_image(values))


def test_a_folder_with_files_is_refused(tmp_path, image):
    write_made(tmp_path, image)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FileExistsError, match="not an empty folder"):
        write_made(tmp_path, image)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path, image, monkeypatch):
    def full_disk(dataset, path):
        if path.name == "0003.dcm":
            raise OSError(28, "No space left on device")
        save(dataset, path)

    monkeypatch.setattr("medsynth.dicom.series.save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_made(tmp_path, image)
    assert list(tmp_path.iterdir()) == []


def test_a_left_handed_grid_keeps_every_voxel_in_its_place(tmp_path, image):
    direction = np.reshape(image.GetDirection(), (3, 3)) @ np.diag([1, 1, -1])
    image.SetDirection(direction.ravel().tolist())
    write_made(tmp_path, image)
    back = sitk.Resample(read_image(tmp_path / "image").image, image, sitk.Transform(), 1, -3000)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image))


def test_axes_that_are_not_at_right_angles_are_refused(tmp_path, image):
    direction = np.reshape(image.GetDirection(), (3, 3)).copy()
    direction[:, 2] += 0.1 * direction[:, 1]
    image.SetDirection(direction.ravel().tolist())
    with pytest.raises(GeometryError, match="not at right angles"):
        write_made(tmp_path, image)


def test_an_unmarked_object_cannot_be_saved(tmp_path, image):
    dataset = pydicom.dcmread(write_made(tmp_path, image).files[0])
    del dataset.SyntheticData
    with pytest.raises(ValueError, match=r"unmarked.dcm is not marked .* SyntheticData"):
        save(dataset, tmp_path / "unmarked.dcm")
    assert not (tmp_path / "unmarked.dcm").exists()

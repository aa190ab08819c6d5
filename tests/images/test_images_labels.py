"""Labels by themselves: from a label map, Slicer's segmentation and DICOM SEG."""

import numpy as np
import pytest
import SimpleITK as sitk
from made_dicom import DERIVATION, JOB, SHAPE, hounsfield, oblique_image

from medsynth.dicom import LesionMask, write_segmentation, write_series
from medsynth.domains import get
from medsynth.images import read_labels


def array(image):
    return sitk.GetArrayFromImage(image)


@pytest.fixture
def grid():
    return oblique_image(hounsfield())


def on(grid, values):
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(grid)
    return image


def test_a_label_map_has_one_label_a_value(tmp_path, grid):
    values = np.zeros(SHAPE, np.uint8)
    values[1, 2:4, 2:4], values[3, 5, 5] = 2, 7
    sitk.WriteImage(on(grid, values), str(tmp_path / "a.nii.gz"))
    labels = read_labels(tmp_path / "a.nii.gz")
    assert [(each.value, each.name) for each in labels] == [(2, ""), (7, "")]
    for each in labels:
        assert np.array_equal(array(each.mask), values == each.value)
    assert labels[0].mask.GetSpacing() == pytest.approx(grid.GetSpacing(), rel=1e-5)


def test_overlapping_segments_of_slicer_keep_their_names_and_codes(tmp_path, grid):
    layers = np.zeros((*SHAPE, 2), np.uint8)
    layers[1, 2:4, 2:4, 0], layers[1:3, 3:6, 3, 1] = 1, 1
    image = sitk.GetImageFromArray(layers, isVector=True)
    image.CopyInformation(grid)
    said = {
        "Segment0": ("Tumor", "0", "1", "list~SCT^49755003^Morph~SCT^4147007^Mass~^^~x~^^~^^|"),
        "Segment1": ("Lung", "1", "1", ""),
    }
    for stem, words in said.items():
        for key, word in zip(
            ("Name", "Layer", "LabelValue", "TerminologyEntry"), words, strict=True
        ):
            image.SetMetaData(f"{stem}_{key}", word)
    sitk.WriteImage(image, str(tmp_path / "a.seg.nrrd"))
    first, second = read_labels(tmp_path / "a.seg.nrrd")
    assert (first.name, first.type) == ("Tumor", ("4147007", "SCT", "Mass"))
    assert first.category == ("49755003", "SCT", "Morph")
    assert (second.name, second.type, second.category) == ("Lung", None, None)
    assert np.array_equal(array(first.mask), layers[..., 0])
    assert np.array_equal(array(second.mask), layers[..., 1])


def test_segments_of_dicom_are_apart_and_coded(tmp_path, grid):
    options = {"preset": get("lung_ct"), "job": JOB, "derivation": DERIVATION}
    files = write_series(grid, tmp_path / "image", **options).files
    masks = []
    for corner in (1, 2):
        values = np.zeros(SHAPE, np.uint8)
        values[corner : corner + 2, 3:6, 4:9] = 1
        masks.append(on(grid, values))
    lesions = [LesionMask(masks[0], "First", "solid"), LesionMask(masks[1], "Second", "mass")]
    path = write_segmentation(lesions, tmp_path / "seg", files=files, job=JOB)
    labels = read_labels(path)
    assert [(each.name, each.type[2]) for each in labels] == [
        ("First", "Nodule"),
        ("Second", "Mass"),
    ]
    for label, mask in zip(labels, masks, strict=True):
        back = sitk.Resample(label.mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
        assert np.array_equal(array(back), array(mask))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(SHAPE, np.float32), "has no label: every voxel is 0"),
        (np.full(SHAPE, 0.5, np.float32), "holds values such as 0.5"),
        (np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE), "expected at most 255 labels"),
    ],
)
def test_what_is_no_label_map_is_refused(tmp_path, values, message):
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / "a.nrrd"))
    with pytest.raises(ValueError, match=message):
        read_labels(tmp_path / "a.nrrd")

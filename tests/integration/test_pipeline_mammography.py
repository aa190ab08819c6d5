"""Mammograms from a request to OUT, with a network that knows nothing: what is said must arrive."""

import json
from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_checks import assert_clean
from made_up_network import save_network, small
from PIL import Image

from medsynth import dicom, pipeline
from medsynth import domains as presets
from medsynth.phantoms import breast, breast_shape, save_control_points
from medsynth.pipeline.plan import prepare
from medsynth.pipeline.preprocessing import load_anatomy, projection_of
from medsynth.request import parse

CONFIG = small((832, 512), patch_size=16)
PRESET = presets.get("mammography")
MASS = {
    "center_mm": [45.0, 120.0, 0.0],
    "diameter_mm": 16.0,
    "source": {"procedural": {"kind": "round_mass", "contrast": 40}},
}


def silent(event):
    """No progress."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mammography")
    save_network(folder / "tiny.safetensors", CONFIG, preset="mammography")
    film = sitk.GetArrayFromImage(breast(seed=2, laterality="R").image)[0]
    Image.fromarray(film.astype(np.uint8)).save(folder / "film.png")
    mask = np.zeros(film.shape, np.uint8)
    row, column = np.indices(film.shape)
    mask[np.hypot(row - 440, column - 250) < 30] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    return folder


def request(folder, **changes):
    base = {
        "preset": "mammography",
        "anatomy": {"phantom": {"seed": 2}},
        "pathologies": [MASS],
        "weights": "tiny.safetensors",
        "steps": 1,
        "seed": 3,
    }
    return parse(base | changes, folder)


def film_reference(folder, name, **header):
    """A 12-bit Digital Mammography file of 0.1 mm pixels, its header changed."""
    drawn = breast(seed=5, view="CC", laterality="R").image
    fine = sitk.Resample(
        drawn, [2 * n for n in drawn.GetSize()[:2]] + [1], sitk.Transform(), sitk.sitkLinear,
        drawn.GetOrigin(), (0.125, 0.125, 1.0), drawn.GetDirection(), 0.0,
    )  # fmt: skip
    wide = replace(PRESET, intensity=replace(PRESET.intensity, physical=(0, 4095)))
    info = dicom.write_series(
        fine * 16,
        folder / name,
        preset=replace(wide, windows=(presets.Window("all", 2048, 4096),)),
        job=dicom.ExportJob(name),
        derivation="made up",
        projection=dicom.Projection("CC", "R"),
    )
    dataset = pydicom.dcmread(info.files[0])
    for keyword, value in header.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(info.files[0])
    return name


CLUSTER = {
    "center_mm": [60.0, 60.0, 0.0],
    "diameter_mm": 12.0,
    "source": {
        "procedural": {
            "kind": "microcalcifications",
            "morphology": "punctate",
            "contrast": 60,
            "seed": 1,
        }
    },
}
FROM_FILM = {
    "center_mm": [55.0, 110.0, 0.0],
    "diameter_mm": 12.0,
    "source": {"image": "film.png", "mask": "mask.png", "patch": {"shift_mm": 2}},
}
PICTURE = {"image": "film.png", "view": "MLO", "laterality": "R", "pixel_mm": 0.2}


@pytest.fixture(scope="module")
def drawn(folder):
    """OUT of a drawn breast with a mass."""
    anatomy = {"phantom": {"seed": 2, "view": "CC", "laterality": "R"}}
    mass = MASS | {"center_mm": [60.0, 104.0, 0.0]}
    pipeline.run(request(folder, anatomy=anatomy, pathologies=[mass]), folder / "drawn")
    return folder / "drawn"


@pytest.fixture(scope="module")
def pictured(folder):
    """OUT of a picture with a cluster and a lesion from a film, and what was prepared for it."""
    wanted = request(folder, anatomy=PICTURE, pathologies=[CLUSTER, FROM_FILM])
    pipeline.run(wanted, folder / "pictured")
    return folder / "pictured", wanted, prepare(wanted, preset=PRESET, listener=silent)


@pytest.fixture(scope="module")
def from_dicom(folder):
    """OUT of an old DICOM mammogram: its view is not coded, its side not where it belongs."""
    header = {"ViewCodeSequence": None, "ViewPosition": "CC"}
    header |= {"ImageLaterality": None, "Laterality": "R", "PatientOrientation": None}
    series = film_reference(folder, "old", **header)
    mass = MASS | {"center_mm": [60.0, 104.0, 0.0]}
    wanted = request(folder, anatomy={"image": series}, pathologies=[mass])
    pipeline.run(wanted, folder / "from_dicom")
    return folder / "from_dicom"


def image_of(out):
    return pydicom.dcmread(out / "dicom/image/0001.dcm")


def view_of(dataset):
    return dataset.ViewCodeSequence[0].CodeMeaning, dataset.ImageLaterality


def test_a_drawn_breast_says_its_view_side_and_pixel_size(drawn):
    image = image_of(drawn)
    assert image.SOPClassUID.name == "Digital Mammography X-Ray Image Storage - For Presentation"
    assert view_of(image) == ("cranio-caudal", "R")
    assert list(image.PatientOrientation) == ["P", "L"]
    assert image.ImagerPixelSpacing == [0.25, 0.25]
    assert (image.Rows, image.Columns) == (832, 512)


def test_the_segmentation_is_the_mask_and_says_mass(drawn):
    (file,) = (drawn / "dicom/seg").iterdir()
    segmentation = pydicom.dcmread(file)
    kind = segmentation.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0]
    assert kind.CodeMeaning == "Mass"
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(drawn / "pathology_01.nrrd")))
    np.testing.assert_array_equal(segmentation.pixel_array.squeeze(), mask[0])


def test_a_picture_is_what_the_request_says_of_it(pictured):
    image = image_of(pictured[0])
    assert view_of(image) == ("medio-lateral oblique", "R")
    assert list(image.PatientOrientation) == ["P", "FL"]
    assert image.ImagerPixelSpacing == [0.25, 0.25]


def test_an_old_dicom_reference_keeps_its_view_and_side(from_dicom):
    image = image_of(from_dicom)
    assert view_of(image) == ("cranio-caudal", "R")
    assert list(image.PatientOrientation) == ["P", "L"]
    np.testing.assert_allclose(image.ImagerPixelSpacing, [0.25, 0.25])


@pytest.mark.parametrize("out", ["drawn", "pictured", "from_dicom"])
def test_the_validators_find_nothing(request, needs_tool, out):
    tools = {name: needs_tool(name, "dicom3tools") for name in ("dciodvfy", "dcentvfy")}
    made = request.getfixturevalue(out)
    assert_clean((made[0] if out == "pictured" else made) / "dicom", **tools)


@pytest.mark.parametrize("missing", ["view", "laterality", "pixel_mm"])
def test_a_picture_that_lacks_something_is_refused_with_what_to_add(folder, missing):
    said = {key: value for key, value in PICTURE.items() if key != missing}
    with pytest.raises(
        ValueError, match=rf"film.png does not say .*add for example \{{{missing}: "
    ):
        load_anatomy(request(folder, anatomy=said), preset=PRESET, listener=silent)


def test_a_dicom_reference_without_a_view_needs_one_and_takes_it(folder):
    series = film_reference(folder, "viewless", ViewCodeSequence=None)
    with pytest.raises(ValueError, match=r"add for example \{view: MLO\}"):
        load_anatomy(request(folder, anatomy={"image": series}), preset=PRESET, listener=silent)
    wanted = request(folder, anatomy={"image": series, "view": "CC"})
    (header,) = load_anatomy(wanted, preset=PRESET, listener=silent).reference.headers
    written = pydicom.Dataset()
    written.ImageLaterality = header.ImageLaterality
    projection_of(wanted, PRESET).complete(written, header)
    assert view_of(written) == ("cranio-caudal", "R")


def test_what_the_header_says_cannot_be_said_again(folder):
    series = film_reference(folder, "said")
    said = {"image": series, "laterality": "L"}
    with pytest.raises(ValueError, match=r"anatomy.laterality: .* says it \(R\); remove it"):
        load_anatomy(request(folder, anatomy=said), preset=PRESET, listener=silent)


def test_edited_control_points_say_view_and_side_too(folder):
    save_control_points(breast_shape(seed=6, view="CC", laterality="R"), folder / "points.yaml")
    anatomy = {"phantom": {"control_points": "points.yaml"}}
    assert projection_of(request(folder, anatomy=anatomy), PRESET) == dicom.Projection("CC", "R")


def test_specks_of_one_pixel_reach_the_result(pictured):
    """Where a speck is, the result is its reference, whatever the network makes of the rest."""
    out, wanted, prepared = pictured
    assert wanted.pathologies[0].factor == 1
    region = prepared.regions[0]
    before = sitk.GetArrayFromImage(prepared.reference.image)
    target = sitk.GetArrayFromImage(region.lesion.image)
    specks = target - before > 8
    assert specks.sum() >= len(region.lesion.drawn["particles"]) / 2
    result = sitk.GetArrayFromImage(sitk.ReadImage(str(out / "image.nrrd")))
    np.testing.assert_allclose(result[specks], target[specks], atol=6)


def test_between_specks_the_tissue_is_the_networks(pictured):
    region = pictured[2].regions[0]
    mask = sitk.GetArrayFromImage(region.lesion.mask) > 0
    assert (region.weights[mask] == 0).mean() > 0.3


def test_a_lesion_from_a_film_comes_with_all_that_was_drawn(pictured):
    out, wanted, _ = pictured
    assert wanted.pathologies[1].weight == "gaussian"
    lesion = json.loads((out / "result.json").read_text())["lesions"][1]
    drawn = lesion["drawn"]
    assert 0.975 <= drawn["quantile"] <= 0.995
    assert 0 < np.abs(drawn["shift_mm"]).max() <= 2
    assert {"rotated_deg", "flipped", "normalized_to", "draws", "seed"} <= set(drawn)
    expected = np.array(FROM_FILM["center_mm"][:2]) + drawn["shift_mm"]
    np.testing.assert_allclose(lesion["centroid_mm"][:2], expected, atol=0.3)

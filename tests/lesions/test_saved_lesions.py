"""Lesions that a user saved: kept with their origin, found by name in every door, equal to the annotated image."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from medsynth import domains
from medsynth.cli.app import main
from medsynth.lesions import from_study
from medsynth.lesions.saving import save
from medsynth.request import parse
from medsynth.request.files import to_dict, with_files
from medsynth.storage import saved_lesions

pytestmark = pytest.mark.slow
LUNG = domains.get("lung_ct")
AT = np.array([35.0, 60.0, 12.0])  # i, j, k of the lesion


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSYNTH_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def annotated():
    """A chest with a ball of soft tissue in one lung, and its mask."""
    k, j, i = np.indices((24, 120, 150))
    body = ((i - 75) / 72) ** 2 + ((j - 60) / 56) ** 2 < 1
    lungs = ((np.abs(i - 75) - 36) / 27) ** 2 + ((j - 60) / 42) ** 2 < 1
    x, y, z = ((n - at) * mm for n, at, mm in zip((i, j, k), AT, (2.0, 2.0, 3.0), strict=True))
    ball = x**2 + y**2 + z**2 < 9**2
    values = np.select([ball, lungs, body], [60, -860, 30], -1000) + 5 * ((i + 2 * j + k) % 7)
    image, mask = (
        sitk.GetImageFromArray(array) for array in (values.astype(np.int16), ball.astype(np.uint8))
    )
    for each in (image, mask):
        each.SetSpacing((2.0, 2.0, 3.0))
        each.SetOrigin((-150.0, -120.0, -30.0))
    return image, mask


@pytest.fixture
def kept(annotated):
    return save(*annotated, name="Clear cell", preset=LUNG, origin={"note": "a test"})


def request_with(source):
    place = {"center_mm": [70, 0, 0], "diameter_mm": 14, "source": source}
    return {"preset": "lung_ct", "anatomy": {"phantom": {}}, "pathologies": [place]}


def test_it_is_found_with_its_origin_and_a_picture(kept, annotated):
    (found,) = saved_lesions.saved()
    assert found == saved_lesions.find("Clear cell")
    assert (found.preset, found.diameter_mm) == ("lung_ct", pytest.approx(18, abs=1))
    assert found.origin["note"] == "a test"
    assert set(found.origin) == {"note", "saved", "medsynth", "pixels_sha256"}
    picture = sitk.GetArrayFromImage(sitk.ReadImage(str(found.picture)))
    assert picture[48, 48] > picture[4, 4] + 60  # the lesion, and the lung around it
    assert found.folder.stat().st_mode & 0o077 == 0  # nobody else's


def test_what_is_cut_out_gives_the_lesion_of_the_whole_image(kept, annotated):
    found = saved_lesions.find("Clear cell")
    cut = [sitk.ReadImage(str(path)) for path in (found.image, found.mask)]
    assert np.prod(cut[0].GetSize()) < np.prod(annotated[0].GetSize())
    place = {"reference": annotated[0], "center_mm": (72.0, 0.0, 6.0), "diameter_mm": 15.0}
    ours, theirs = from_study(*cut, **place), from_study(*annotated, **place)
    for a, b in ((ours.image, theirs.image), (ours.mask, theirs.mask)):
        np.testing.assert_array_equal(*map(sitk.GetArrayFromImage, (a, b)))


def test_a_request_names_it_and_says_the_same_again(kept):
    request = parse(request_with({"saved": "Clear cell", "scale": 1.2}))
    source = request.pathologies[0].source
    assert (source.image, source.mask) == (
        saved_lesions.find("Clear cell").image,
        saved_lesions.find("Clear cell").mask,
    )
    said = to_dict(request)["pathologies"][0]["source"]
    assert said == {"saved": "Clear cell", "rotate_deg": 0.0, "scale": 1.2, "mirror": False}
    assert parse(to_dict(request)) == request
    elsewhere = to_dict(with_files(request))["pathologies"][0]["source"]
    assert (elsewhere["image"], elsewhere["mask"]) == (str(source.image), str(source.mask))
    assert "saved" not in elsewhere


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"saved": "Clear sell"}, "did you mean 'Clear cell'"),
        ({"saved": "../Clear cell"}, "a saved lesion's name is"),
        ({"saved": "Clear cell", "image": "a.nrrd"}, "saved and image exclude each other"),
        ({"saved": 3}, "pathologies[0].source.saved"),
    ],
)
def test_what_a_request_cannot_name_is_refused(kept, source, words):
    with pytest.raises(ValueError, match=r"pathologies\[0\]\.source") as refused:
        parse(request_with(source))
    assert words in str(refused.value)


def test_it_belongs_to_its_domain(kept):
    request = request_with({"saved": "Clear cell"}) | {"preset": "mammography"}
    with pytest.raises(ValueError, match="cut out of an image of lung_ct"):
        parse(request)


def test_a_name_is_given_once_and_a_damaged_one_is_said(kept, annotated):
    with pytest.raises(FileExistsError, match="choose another name"):
        save(*annotated, name="Clear cell", preset=LUNG, origin={})
    saved_lesions.find("Clear cell").mask.unlink()
    with pytest.raises(ValueError, match="cannot be read"):
        saved_lesions.saved()


def test_nothing_is_kept_of_an_empty_mask(annotated):
    image, mask = annotated
    with pytest.raises(ValueError, match="mask is empty"):
        save(image, mask * 0, name="Empty", preset=LUNG, origin={})
    assert saved_lesions.saved() == []


def test_the_command_saves_lists_shows_and_removes(annotated, tmp_path, capsys):
    files = [str(tmp_path / f"{name}.nrrd") for name in ("image", "mask")]
    for image, file in zip(annotated, files, strict=True):
        sitk.WriteImage(image, file)
    command = ["lesions", "save", "Mine", "--image", files[0], "--mask", files[1]]
    assert main([*command, "--preset", "lung_ct", "--note", "by hand"]) == 0
    assert main(["lesions"]) == 0
    assert "Mine: lung_ct, 18" in capsys.readouterr().out
    assert main(["lesions", "show", "Mine"]) == 0
    assert json.dumps("by hand") in capsys.readouterr().out
    assert main(["lesions", "remove", "Mine"]) == 0
    assert main(["lesions", "show", "Mine"]) == 2
    assert main(["lesions", "save", "Mine", "--image", files[0]]) == 2
    assert "--mask and --preset" in capsys.readouterr().err

"""Places as pixels of a slice, axes of the preview, images in memory, refusals that name their item."""

import numpy as np
import pytest
import SimpleITK as sitk
from made_pictures import SHAPE, body
from PIL import Image

from medsynth import domains as presets
from medsynth.errors import GeometryError
from medsynth.events import ignore
from medsynth.pipeline.plan import prepare
from medsynth.pipeline.report.axes import axes_of, draw_axes, ticks
from medsynth.request import load_request, parse, shown_paths, to_dict, write

SOLID = {"source": {"procedural": {"kind": "solid"}}}


def prepared(*pathologies, image=None, **anatomy):
    anatomy = {"image": body() if image is None else image, "labels": [], **anatomy}
    raw = {"preset": "lung_ct", "anatomy": anatomy, "pathologies": list(pathologies)}
    raw |= {} if pathologies else {"extent": "all"}
    return prepare(parse(raw), preset=presets.get("lung_ct"), listener=ignore)


def mask(region):
    return sitk.GetArrayFromImage(region.lesion.mask)


def test_a_pixel_of_a_slice_is_the_same_place_in_mm():
    # Column 22, row 19 of slice 5: x = -40 + 44, y = -30 + 38, z = 12 + 12.
    by_pixel = prepared({"slice": 5, "pixel": [22, 19], "diameter_mm": 9} | SOLID)
    in_mm = prepared({"center_mm": [4, 8, 24], "diameter_mm": 9} | SOLID)
    assert mask(by_pixel.regions[0]).any()
    assert np.array_equal(mask(by_pixel.regions[0]), mask(in_mm.regions[0]))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"slice": 9, "pixel": [22, 19]}, r"^pathologies\[1\]\.slice: expected 1 to 8, got 9"),
        ({"pixel": [22, 19]}, r"^pathologies\[1\]\.slice: missing; the anatomy has 8 slices"),
        ({"slice": 5, "pixel": [22, 40]}, r"^pathologies\[1\]\.pixel: expected a row from 0 to 39"),
        ({"slice": 5, "pixel": [22]}, r"^pathologies\[1\]\.pixel: expected two numbers"),
        ({"slice": 5, "pixel": [1, 1], "center_mm": [0, 0, 0]}, "center_mm and pixel exclude each"),
        ({"slice": 5}, r"^pathologies\[1\]: diameter_mm needs pixel beside it"),
    ],
)
def test_a_place_that_there_is_not_is_refused_by_its_item(place, message):
    good = {"slice": 5, "pixel": [22, 19], "diameter_mm": 9} | SOLID
    with pytest.raises(ValueError, match=message):
        prepared(good, place | {"diameter_mm": 9} | SOLID)


@pytest.mark.slow
def test_refusals_name_the_lesion_and_its_mask(tmp_path):
    good = {"slice": 5, "pixel": [22, 19], "diameter_mm": 9} | SOLID
    outside = {"center_mm": [900, 0, 20], "diameter_mm": 9} | SOLID
    with pytest.raises(GeometryError, match=r"^pathologies\[2\]: "):
        prepared(good, good, outside)
    empty = sitk.Image(body().GetSize(), sitk.sitkUInt8)
    empty.CopyInformation(body())
    with pytest.raises(ValueError, match=r"^pathologies\[1\]\.roi: the mask is empty"):
        prepared(good, {"roi": empty} | SOLID)


def test_places_are_written_back():
    place = {"slice": 5, "pixel": [22.5, 19], "diameter_mm": 9} | SOLID
    raw = {"preset": "lung_ct", "anatomy": {"phantom": {}}, "pathologies": [place]}
    request = parse(raw)
    assert (request.pathologies[0].slice, request.pathologies[0].pixel) == (5, (22.5, 19.0))
    assert parse(to_dict(request)) == request


def test_numpy_numbers_and_arrays_are_numbers_and_lists():
    place = {"center_mm": np.array([4, 8, 24.0]), "diameter_mm": np.float32(9)} | SOLID
    raw = {"preset": "lung_ct", "anatomy": {"phantom": {}, "factor": np.int64(4)}}
    request = parse(raw | {"pathologies": [place], "seed": np.uint8(7)})
    assert (request.anatomy.factor, request.seed) == (4, 7)
    assert request.pathologies[0].center_mm == (4.0, 8.0, 24.0)
    assert type(request.pathologies[0].diameter_mm) is float


def test_images_and_masks_may_be_in_memory(tmp_path):
    roi = np.zeros(SHAPE, bool)
    roi[3:5, 17:22, 20:26] = True
    labels = np.zeros(SHAPE, np.uint8)
    labels[6, 12:16, 12:16] = 1
    found = prepared({"roi": roi} | SOLID, labels=labels)
    image = sitk.GetImageFromArray(roi.astype(np.uint8))
    image.CopyInformation(body())
    sitk.WriteImage(image, str(tmp_path / "roi.nrrd"))
    from_file = prepared({"roi": str(tmp_path / "roi.nrrd")} | SOLID)
    assert mask(found.regions[0]).sum() > 10
    assert np.array_equal(mask(found.regions[0]), mask(from_file.regions[0]))
    assert np.array_equal(sitk.GetArrayFromImage(found.labels[0].mask), labels)
    request = parse({"preset": "lung_ct", "anatomy": {"image": body()}})
    assert to_dict(request)["anatomy"]["image"] == "(image in memory, 44 x 40 x 8)"
    array = sitk.GetArrayFromImage(body())
    assert any("1 mm at the origin" in note for note in prepared(image=array).warnings)
    array[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="in memory holds values that are NaN"):
        prepared(image=array)


def test_set_and_messages_use_one_notation(tmp_path):
    (tmp_path / "a.yaml").write_text("preset: lung_ct\nanatomy: {phantom: {}}\npathologies: []\n")
    for key in ("pathologies.3.factor", "pathologies[3].factor"):
        with pytest.raises(ValueError, match=r"^--set pathologies\[3\]\.factor: '3' is no place"):
            load_request(tmp_path / "a.yaml", overrides=[f"{key}=2"])


def test_ticks_lie_where_their_voxels_are():
    # 100 voxels of 2 mm from x = -99: x = 0 lies at index 49.5, the middle of the picture.
    places = dict((label, place) for place, label in ticks(100, -99.0, 2.0, length=400))
    assert places["0"] == pytest.approx(200)
    assert places["50"] - places["0"] == pytest.approx(100)
    turned = dict((label, place) for place, label in ticks(100, 99.0, -2.0, length=400))
    assert turned["50"] == pytest.approx(100)


def test_axes_say_which_way_and_where_the_slice_is():
    image = body()
    point = image.TransformIndexToPhysicalPoint((0, 0, 4))
    straight = axes_of(
        (44, 40), first_mm=point, direction=image.GetDirection(), spacing=image.GetSpacing()
    )
    assert (straight.names, straight.origin, straight.step) == (("x", "y"), (-40, -30), (2, 2))
    assert straight.note.startswith("z = 24.0 mm")
    turned = sitk.VersorTransform((0.3, 0.5, 0.2), 0.7).GetMatrix()
    oblique = axes_of((44, 40), first_mm=point, direction=turned, spacing=image.GetSpacing())
    assert (oblique.names, oblique.origin) == (("row", "column"), (0, 0))
    picture = draw_axes(Image.new("RGB", (360, 327)), straight)
    assert np.asarray(picture).any()


def test_result_files_may_name_files_without_their_folders(tmp_path):
    folder = tmp_path / "smith_jane"
    folder.mkdir()
    sitk.WriteImage(body(), str(folder / "ct.nrrd"))
    raw = {"preset": "lung_ct", "anatomy": {"image": "ct.nrrd", "labels": []}}
    for word, told in (("names", False), ("full", True)):
        request = parse(raw | {"output": {"paths": word}}, folder)
        write(request, folder / "request.yaml")
        assert ("smith_jane" in (folder / "request.yaml").read_text()) == told
        assert load_request(folder / "request.yaml") == request
        warning = [f"{folder}/ct.nrrd: odd", {"at": f"{folder}/ct.nrrd/0001.dcm"}, 3]
        short = ["ct.nrrd: odd", {"at": "ct.nrrd/0001.dcm"}, 3]
        assert shown_paths(request)(warning) == (warning if told else short)
    with pytest.raises(ValueError, match=r"output\.paths: expected one of full, names"):
        parse(raw | {"output": {"paths": "none"}}, folder)

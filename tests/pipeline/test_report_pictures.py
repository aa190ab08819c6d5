"""Windows, differences, outlines and proportions of the pictures, against values done by hand."""

import io

import numpy as np
import pytest
from PIL import Image

from medsynth.domains import Window
from medsynth.errors import GeometryError
from medsynth.pipeline.report import ReportInput, pictures, write_low_pass, write_preview

LUNG, SOFT = Window("lung", -600, 1500), Window("soft tissue", 40, 400)


def test_a_window_maps_its_limits_to_black_and_white():
    values = np.array([[-2000.0, -160.0, -60.0, 40.0, 240.0, 3000.0]])
    # (v + 160) / 400 * 255
    assert pictures.windowed(values, SOFT).tolist() == [[0, 0, 64, 128, 255, 255]]


def test_a_difference_is_signed_and_none_is_exactly_128():
    gray = pictures.signed_gray(np.array([[-300.0, -100.0, 0.0, 50.0, 100.0]]), 100)
    assert gray.tolist() == [[1, 1, 128, 192, 255]]
    color = pictures.signed_color(gray)[0]
    assert color[2].tolist() == [0, 0, 0]
    assert color[0, 2] > color[0, 0]  # less: blue
    assert color[4, 0] > color[4, 2]  # more: orange


@pytest.mark.parametrize(
    ("shape", "spacing", "size"),
    [
        ((512, 512), (0.7, 0.7, 3.0), (512, 512)),
        ((100, 200), (1.0, 1.0), (512, 256)),  # rows, columns
        ((200, 200), (0.5, 1.0, 9.0), (256, 512)),  # pixels twice as tall as wide
        ((1, 400), (1.0, 0.001), (512, 1)),
    ],
)
def test_pictures_have_the_proportions_of_the_body(shape, spacing, size):
    assert pictures.display_size(shape, spacing, longest=512) == size


def test_equal_parts_of_two_jpegs_stay_equal():
    """What was kept must not differ in the page: JPEG blocks are coded one by one."""
    rng = np.random.default_rng(0)
    before = rng.integers(0, 255, (64, 64), dtype=np.uint8)
    after = before.copy()
    after[24:40, 24:40] = 200
    read = [
        np.asarray(Image.open(io.BytesIO(pictures.jpeg(p, (64, 64), quality=80))))
        for p in (before, after)
    ]
    changed = np.zeros((64, 64), bool)
    changed[24:40, 24:40] = True
    assert np.array_equal(read[0][~changed], read[1][~changed])
    assert not np.array_equal(read[0][changed], read[1][changed])


def test_an_outline_runs_along_the_outer_edge_of_its_voxels():
    mask = np.zeros((10, 20), bool)
    mask[4:6, 10:14] = True  # rows 4-5, columns 10-13: x from 10 to 14, y from 4 to 6
    (line,) = pictures.outlines(mask, (200, 50))  # 10 x wider, 5 x taller
    assert line.min(axis=0).tolist() == pytest.approx([100, 20])
    assert line.max(axis=0).tolist() == pytest.approx([140, 30])
    assert line[0].tolist() == line[-1].tolist()


def test_an_outline_at_the_edge_of_the_image_is_closed_and_two_lesions_are_two_lines():
    mask = np.zeros((8, 8), bool)
    mask[:2, :2] = mask[6:, 6:] = True
    lines = pictures.outlines(mask, (8, 8))
    assert len(lines) == 2
    assert all(line[0].tolist() == line[-1].tolist() for line in lines)
    assert pictures.outlines(np.zeros((8, 8), bool), (8, 8)) == []


def made_up(*, slices=9, lesion=True, **changes):
    reference = np.full((slices, 40, 60), -850.0, np.float32)
    reference[:, 10:30, 10:50] = 40
    result = reference.copy()
    mask = np.zeros(reference.shape, bool)
    mask[5, 15:25, 20:30] = mask[4, 17:23, 22:28] = True
    result[mask] += 100
    given = {
        "title": "made up",
        "reference": reference,
        "result": result,
        "masks": (mask,) if lesion else (),
        "spacing_mm": (0.7, 1.4, 3.0),
        "windows": (LUNG, SOFT),
        "low_pass": {8: reference * 0.5},
        "record": {"seed": 7},
    }
    return ReportInput(**(given | changes))


def test_the_slice_with_most_lesion_comes_first():
    data = made_up()
    assert data.key_slice == 5
    assert np.flatnonzero(data.changed).tolist() == [4, 5]
    assert data.lesion_area.tolist() == [0, 0, 0, 0, 36, 100, 0, 0, 0]
    # Without a mask: the middle of what was changed; without a change: the middle.
    assert made_up(lesion=False).key_slice == 5
    same = made_up(lesion=False)
    assert made_up(lesion=False, result=same.reference).key_slice == 4


def test_arrays_of_different_shapes_are_refused():
    with pytest.raises(GeometryError, match=r"result has shape \(8, 40, 60\), expected"):
        made_up(result=np.zeros((8, 40, 60)))
    with pytest.raises(GeometryError, match="mask has shape"):
        made_up(masks=(np.zeros((9, 40, 61), bool),))


def test_the_preview_shows_reference_low_pass_result_and_difference(tmp_path):
    data = made_up()
    write_preview(data, tmp_path / "preview.png")
    picture = np.asarray(Image.open(tmp_path / "preview.png").convert("RGB")).astype(int)
    assert picture[3, picture.shape[1] // 2].tolist() == [255, 176, 0]  # the banner
    # 60 x 0.7 mm wide, 40 x 1.4 mm high: 270 x 360 pixels. The lesion's surroundings, 57 x 29
    # voxels, make a column 354 wide. Rows start at 92 + 6.
    left = 6 + (354 - 270) // 2
    cells = [picture[98:458, left + n * 360 : left + n * 360 + 270] for n in range(4)]
    tissue = (slice(100, 120), slice(60, 80))  # voxel row 12, column 15: 40 HU, outside the lesion
    gray = round((40 + 1350) / 1500 * 255)
    halved = round((20 + 1350) / 1500 * 255)
    for column, expected in enumerate((gray, halved, gray, 0)):
        assert np.abs(cells[column][tissue] - expected).max() <= 1
    inside = (slice(165, 185), slice(105, 120))  # the lesion, +100 HU
    assert np.abs(cells[2][inside] - round((140 + 1350) / 1500 * 255)).max() <= 1
    assert cells[3][inside].min(axis=(0, 1))[0] > 100  # orange
    outline = (np.abs(cells[2] - [255, 176, 0]).sum(axis=-1) < 30).sum()
    assert outline > 200
    assert (np.abs(cells[1] - [255, 176, 0]).sum(axis=-1) < 30).sum() == 0


def test_the_preview_needs_no_lesion_and_no_low_pass(tmp_path):
    write_preview(made_up(lesion=False, low_pass={}), tmp_path / "preview.png")
    width, height = Image.open(tmp_path / "preview.png").size
    assert (width, height) == (3 * 270 + 4 * 6, 92 + 2 * 360 + 3 * 6)


def test_the_low_pass_sheet_has_a_column_per_factor(tmp_path):
    plane = made_up().reference[0]
    low = {n: plane * 0 + 40 for n in (4, 8)}
    path = tmp_path / "low.png"
    write_low_pass(plane, low, spacing_mm=(1, 1), windows=(SOFT,), path=path, note="x" * 500)
    picture = np.asarray(Image.open(path).convert("L")).astype(int)
    assert picture.shape[1] == 3 * 360 + 4 * 6
    assert np.abs(picture[150:300, 400:700] - 128).max() <= 1

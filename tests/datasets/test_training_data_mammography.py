"""The layouts of the field's mammography sets, each on a small tree made up like it."""

import plistlib
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from training_made_up_sets import film, picture, write_csv

from medsynth import domains as presets
from medsynth.datasets.data import load_slices, read_split
from medsynth.datasets.entries import HELD_OUT, TRAINING
from medsynth.datasets.layouts import read_entries
from medsynth.datasets.layouts.spreadsheet import read_xlsx
from medsynth.datasets.lesion_masks import lesion_mask, mask_on_grid
from medsynth.datasets.pixels import read_images
from medsynth.datasets.settings import Data
from medsynth.images import read_image

BREAST = replace(presets.get("mammography"), grid=(40, 24))


def entries_of(root, layout, **fields):
    return read_entries(Data(root=str(root), layout=layout, **fields))


def mask_of(entry):
    return sitk.GetArrayFromImage(lesion_mask(entry, read_images(entry)[0]))[0].astype(bool)


RSNA = (
    *("site_id", "patient_id", "image_id", "laterality", "view", "age", "cancer", "biopsy"),
    *("invasive", "BIRADS", "implant", "density", "machine_id", "difficult_negative_case"),
)


def test_rsna_mammography(tmp_path):
    rows = [
        (2, 10006, 462822612, "L", "CC", 61.0, 0, 0, 0, "", 0, "", 29, "False"),
        (2, 10006, 1459541791, "R", "MLO", 61.0, 0, 0, 0, "", 0, "", 29, "True"),
        (1, 10130, 613462606, "L", "MLO", 71.0, 1, 1, 1, 0.0, 1, "B", 49, "False"),
    ]
    write_csv(tmp_path / "train.csv", RSNA, *rows)
    film(tmp_path / "train_images/10006/462822612.dcm")
    film(tmp_path / "train_images/10006/1459541791.dcm")
    picture(tmp_path / "train_images/10130/613462606.png")
    one, two, three = entries_of(tmp_path, "rsna_mammography")
    assert (one.patient, one.laterality, one.view, one.labels) == ("10006", "L", "CC", ())
    assert two.labels == ("difficult_negative_case",)
    assert three.labels == ("cancer", "biopsy", "invasive", "implant")
    assert three.path == tmp_path / "train_images/10130/613462606.png"
    assert three.details["density"] == "B"
    assert three.details["age"] == "71.0"
    (tmp_path / "train_images/10006/462822612.dcm").unlink()
    with pytest.raises(ValueError, match=r"names 1 images that are not there, .*462822612.dcm"):
        entries_of(tmp_path, "rsna_mammography")


MASS = (
    *("patient_id", "breast_density", "left or right breast", "image view", "abnormality id"),
    *("abnormality type", "mass shape", "mass margins", "assessment", "pathology", "subtlety"),
    *("image file path", "cropped image file path", "ROI mask file path"),
)
CALC = (
    *("patient_id", "breast density", "left or right breast", "image view", "abnormality id"),
    *("abnormality type", "calc type", "calc distribution", "assessment", "pathology", "subtlety"),
    *("image file path", "cropped image file path", "ROI mask file path"),
)
UID = "1.3.6.1.4.1.9590.100.1.2.342386194811267636608694132590482924515"


def cbis_case(root, case, *, findings=1, named=True):
    """The folders of one film and its findings, as the archive's downloader calls them."""
    folder = (
        "07-20-2016-DDSM-74994/1.000000-full mammogram images-24515" if named else f"{UID}/{UID}"
    )
    file = "1-1.dcm" if named else "000000.dcm"
    film(root / case / folder / file)
    for number in range(1, findings + 1):
        masks = root / f"{case}_{number}" / folder.replace("full mammogram", "ROI mask")
        drawn = np.zeros((8, 6), np.uint8)
        drawn[1, number] = 255
        # In either order: the crop is smaller than the film.
        film(masks / ("1-1.dcm" if number % 2 else "1-2.dcm"), np.full((3, 3), 9, np.uint8))
        film(masks / ("1-2.dcm" if number % 2 else "1-1.dcm"), drawn)


def cbis_row(case, side, view, kind, pathology, number=1):
    patient = case[case.index("P_") : case.index("P_") + 7]
    roi = f"{case}_{number}/{UID}/{UID}/000001.dcm\n"
    crop = f"{case}_{number}/{UID}/{UID}/000000.dcm\n"
    if number % 2:  # the known mistake: the two paths are swapped
        roi, crop = crop, roi
    values = (patient, 3, side, view, number, kind, "OVAL", "SPICULATED", 4, pathology, 4)
    return (*values, f"{case}/{UID}/{UID}/000000.dcm", crop, roi)


@pytest.mark.parametrize("named", [True, False])
def test_cbis_ddsm(named, tmp_path):
    root = tmp_path / "CBIS-DDSM"
    write_csv(
        tmp_path / "mass_case_description_train_set.csv",
        MASS,
        cbis_row("Mass-Training_P_00001_LEFT_CC", "LEFT", "CC", "mass", "MALIGNANT"),
        cbis_row("Mass-Training_P_00004_RIGHT_MLO", "RIGHT", "MLO", "mass", "BENIGN", 1),
        cbis_row("Mass-Training_P_00004_RIGHT_MLO", "RIGHT", "MLO", "mass", "MALIGNANT", 2),
    )
    write_csv(
        tmp_path / "calc_case_description_test_set.csv",
        CALC,
        cbis_row("Calc-Test_P_00001_RIGHT_CC", "RIGHT", "CC", "calcification", "BENIGN"),
    )
    cbis_case(root, "Mass-Training_P_00001_LEFT_CC", named=named)
    cbis_case(root, "Mass-Training_P_00004_RIGHT_MLO", findings=2, named=named)
    cbis_case(root, "Calc-Test_P_00001_RIGHT_CC", named=named)
    found = {(e.patient, e.laterality, e.view): e for e in entries_of(tmp_path, "cbis_ddsm")}
    assert set(found) == {
        ("P_00001", "L", "CC"),
        ("P_00004", "R", "MLO"),
        ("P_00001", "R", "CC"),
    }
    two = found["P_00004", "R", "MLO"]
    assert two.labels == ("mass", "benign", "malignant")
    assert np.argwhere(mask_of(two)).tolist() == [[1, 1], [1, 2]]
    assert two.details["density"] == "3"
    assert found["P_00001", "R", "CC"].labels == ("calcification", "benign")
    # P_00001 is in a training and in a test table: held out with both films.
    assert found["P_00001", "L", "CC"].part == found["P_00001", "R", "CC"].part == HELD_OUT
    assert two.part == TRAINING
    split = read_split(Data(root=str(tmp_path), layout="cbis_ddsm"))
    assert [e.patient for e in split.training] == ["P_00004"]


def test_cbis_ddsm_without_the_film_of_a_row_names_it(tmp_path):
    row = cbis_row("Mass-Training_P_00001_LEFT_CC", "LEFT", "CC", "mass", "MALIGNANT")
    write_csv(tmp_path / "mass_case_description_train_set.csv", MASS, row)
    with pytest.raises(ValueError, match="holds 0 DICOM files in Mass-Training_P_00001_LEFT_CC;"):
        entries_of(tmp_path, "cbis_ddsm")


def osirix(*rois):
    """An XML file as OsiriX exports outlines: a property list."""
    listed = [
        {
            "Area": 0.1,
            "Center": "(10.0, 20.0, 0.0)",
            "IndexInImage": index,
            "Name": name,
            "NumberOfPoints": len(points),
            "Point_mm": ["(0.000000, 0.000000, 0.000000)"] * len(points),
            "Point_px": [f"({x:.6f}, {y:.6f})" for x, y in points],
            "Type": 15,
        }
        for index, (name, points) in enumerate(rois)
    ]
    return plistlib.dumps(
        {"Images": [{"ImageIndex": 0, "NumberOfROIs": len(rois), "ROIs": listed}]},
        fmt=plistlib.FMT_XML,
    )


@pytest.fixture
def inbreast(tmp_path):
    films = tmp_path / "AllDICOMs"
    pixels = np.full((30, 20), 900, np.uint16)
    film(films / "20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm", pixels)
    film(films / "20586934_6c613a14b80a8591_MG_L_ML_ANON.dcm", pixels)
    film(films / "22613650_6200187f3f1ccc18_MG_R_CC_ANON.dcm", pixels)
    (tmp_path / "AllXML").mkdir()
    (tmp_path / "AllXML/20586908.xml").write_bytes(
        osirix(
            ("Mass", [(5, 4), (12, 4), (12, 10), (5, 10)]),
            ("Calcification", [(15.2, 20.4)]),
            ("Calcification", [(17, 25)]),
        )
    )
    write_csv(
        tmp_path / "INbreast.csv",
        (
            *("Patient ID", "Patient age", "Laterality", "View", "Acquisition date", "File Name"),
            *("ACR", "Bi-Rads"),
        ),
        ("removed", "removed", "R", "CC", "201001", "22613650", "2", "4a"),
        ("removed", "removed", "R", "CC", "201001", "20586908", "4", "6"),
        ("removed", "removed", "L", "MLO", "201001", "20586934", "4", "1"),
        delimiter=";",
    )
    return tmp_path


def test_inbreast(inbreast):
    one, two, three = entries_of(inbreast, "inbreast")
    assert one.patient == two.patient == "6c613a14b80a8591"
    assert three.patient == "6200187f3f1ccc18"
    assert (one.laterality, one.view) == ("R", "CC")
    assert (two.laterality, two.view) == ("L", "MLO")
    assert one.labels == ("Mass", "Calcification")
    assert one.details == {"density": "4", "BIRADS": "6"}
    assert three.details["BIRADS"] == "4a"
    mask = mask_of(one)
    assert mask[4:11, 5:13].all()
    assert mask[20, 15]
    assert mask[25, 17]
    assert mask.sum() == 7 * 8 + 2
    assert not mask_of(two).any()


def test_inbreast_with_an_old_workbook_says_to_save_it_as_csv(inbreast):
    (inbreast / "INbreast.csv").rename(inbreast / "INbreast.xls")
    with pytest.raises(ValueError, match="INbreast.xls cannot be read; save it as INbreast.csv"):
        entries_of(inbreast, "inbreast")


@pytest.mark.parametrize("content", [b"<html/>", b"not xml", plistlib.dumps({"Foto": []})])
def test_inbreast_outlines_that_are_none_are_named(content, inbreast):
    (inbreast / "AllXML/20586908.xml").write_bytes(content)
    with pytest.raises(ValueError, match="20586908.xml is not an OsiriX property list"):
        entries_of(inbreast, "inbreast")


def test_inbreast_images_and_masks_need_a_pixel_size_and_come_to_its_scale(inbreast):
    data = Data(root=str(inbreast), layout="inbreast")
    with pytest.raises(ValueError, match="set data.pixel_mm"):
        load_slices(data, preset=BREAST)
    images = load_slices(replace(data, pixel_mm=0.25), preset=BREAST).images
    assert images.shape == (3, 40, 24)
    mask = mask_on_grid(entries_of(inbreast, "inbreast")[0], BREAST, pixel_mm=0.25)
    assert mask.shape == (1, 40, 24)
    assert mask[0, 5 + 4 : 5 + 11, 2 + 5 : 2 + 13].all()  # centered: (40 - 30) / 2, (24 - 20) / 2


def workbook(path, rows, *, inline=False):
    """A small .xlsx file as Excel writes it: strings in a table of their own, empty cells left out."""
    strings, lines = [], []
    for number, row in enumerate(rows, start=1):
        cells = []
        for letter, value in zip("ABCDEFGHIJ", row, strict=False):
            if value == "":
                continue
            where = f'r="{letter}{number}"'
            if isinstance(value, int):
                cells.append(f"<c {where}><v>{value}</v></c>")
            elif inline:
                cells.append(f'<c {where} t="inlineStr"><is><t>{value}</t></is></c>')
            else:
                cells.append(f'<c {where} t="s"><v>{len(strings)}</v></c>')
                strings.append(value)
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    half = [f"<si><r><t>{s[:2]}</t></r><r><t>{s[2:]}</t></r></si>" for s in strings]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "xl/worksheets/sheet1.xml",
            f"<worksheet {space}><sheetData>{''.join(lines)}</sheetData></worksheet>",
        )
        archive.writestr("xl/worksheets/sheet2.xml", f"<worksheet {space}><sheetData/></worksheet>")
        archive.writestr("xl/sharedStrings.xml", f"<sst {space}>{''.join(half)}</sst>")
    return path


@pytest.mark.parametrize("inline", [True, False])
def test_the_first_sheet_of_a_workbook_is_read(inline, tmp_path):
    rows = [["name", "", "age"], ["", "left", 42], ["two words"]]
    assert read_xlsx(workbook(tmp_path / "a.xlsx", rows, inline=inline)) == [
        ["name", "", "age"],
        ["", "left", "42"],
        ["two words"],
    ]


def test_a_workbook_that_is_none_is_named(tmp_path):
    (tmp_path / "a.xlsx").write_text("name;age")
    with pytest.raises(ValueError, match=r"a.xlsx is not a readable Excel workbook .* save .* CSV"):
        read_xlsx(tmp_path / "a.xlsx")


MINI = (
    *("fullPath", "fileName", "View", "Side", "Status", "Tumour_Contour", "Tumour_Contour2"),
    *("Age", "Density"),
)
MINI_ROWS = [
    [
        *(r"Benign\0029\C_0029_1.LEFT_CC.jpg", "C_0029_1.LEFT_CC.jpg", "CC", "LEFT", "Benign"),
        *(r"Benign\0029\C_0029_1.LEFT_CC_Mask.jpg", r"Benign\0029\C_0029_1.LEFT_CC_Mask2.jpg"),
        *(66, 3),
    ],
    [
        *(r"Benign\0029\C_0029_1.RIGHT_MLO.jpg", "C_0029_1.RIGHT_MLO.jpg", "MLO", "RIGHT"),
        *("Benign", "-", "-", 66, 3),
    ],
    [
        *(r"Normal\0002\A_0002_1.LEFT_CC.jpg", "A_0002_1.LEFT_CC.jpg", "CC", "LEFT"),
        *("Normal", "-", "-", 55, 2),
    ],
]


@pytest.mark.parametrize("kind", ["xlsx", "csv"])
@pytest.mark.parametrize("below", ["", "MINI-DDSM-Complete-JPEG-8"])
def test_mini_ddsm(kind, below, tmp_path):
    root = tmp_path / below
    for row in MINI_ROWS:
        picture(root / row[0].replace("\\", "/"), (32, 24))
    for name, rows in (("Mask", slice(8, 16)), ("Mask2", slice(20, 24))):
        drawn = np.zeros((32, 24), np.uint8)
        drawn[rows, 8:16] = 255
        Image.fromarray(drawn).save(root / f"Benign/0029/C_0029_1.LEFT_CC_{name}.jpg")
    if kind == "xlsx":
        workbook(tmp_path / "DataWMask.xlsx", [MINI, *MINI_ROWS])
    else:
        write_csv(tmp_path / "DataWMask.csv", MINI, *MINI_ROWS)
    one, two, three = entries_of(tmp_path, "mini_ddsm")
    assert one.patient == two.patient == "C_0029"
    assert three.patient == "A_0002"
    assert (one.laterality, one.view, one.labels) == ("L", "CC", ("benign",))
    assert (two.laterality, two.view, two.masks) == ("R", "MLO", ())
    assert one.details == {"age": "66", "density": "3"}
    expected = np.zeros((32, 24), bool)
    expected[8:16, 8:16] = expected[20:24, 8:16] = True
    assert (mask_of(one) == expected).all()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (1, r"names masks of C_0029_1.LEFT_CC.jpg that are not there"),
        (0, r"names 1 images that are not there, such as Benign"),
    ],
)
def test_mini_ddsm_with_files_missing_names_them(row, message, tmp_path):
    if row:
        picture(tmp_path / "Benign/0029/C_0029_1.LEFT_CC.jpg")
    write_csv(tmp_path / "DataWMask.csv", MINI, MINI_ROWS[0])
    with pytest.raises(ValueError, match=message):
        entries_of(tmp_path, "mini_ddsm")


INFO = """INFORMATION:
This file lists the films in the MIAS database and provides appropriate details as follows:
1st column: MIAS database reference number.
2nd column: Character of background tissue: F Fatty, G Fatty-glandular, D Dense-glandular

mdb001 G CIRC B 535 425 197
mdb002 G CIRC B 522 280 69
mdb003 D NORM
mdb005 F CIRC B 477 133 30
mdb005 F CIRC B 500 168 26
mdb059 F CIRC B
mdb216 D CALC M *NOTE 3*
mdb999 F NORM
"""


@pytest.mark.slow
def test_mias(tmp_path):
    (tmp_path / "Info.txt").write_text(INFO)
    for number in (1, 2, 3, 5, 59, 216):
        Image.fromarray(np.full((1024, 1024), 10 + number, np.uint8)).save(
            tmp_path / f"mdb{number:03d}.pgm"
        )
    found = {e.name[3:6]: e for e in entries_of(tmp_path, "mias")}
    assert sorted(found) == ["001", "002", "003", "005", "059", "216"]  # 999 has no film
    one, two, five = (found[n] for n in ("001", "002", "005"))
    # "left (even filename numbers) and right mammograms (odd filename numbers) of a single patient"
    assert (one.laterality, two.laterality) == ("R", "L")
    assert one.patient == two.patient == "MIAS-p001"
    assert found["003"].patient == "MIAS-p002"
    assert (one.view, one.pixel_mm, one.labels) == ("MLO", 0.2, ("CIRC/B",))
    assert one.details == {"tissue": "fatty-glandular"}
    assert found["003"].labels == ("NORM",)
    assert found["003"].outlines == found["059"].outlines == found["216"].outlines == ()
    assert found["216"].labels == ("CALC/M",)
    assert len(five.outlines) == 2
    # y = 425 is counted from the bottom of 1024 rows, so the disc lies in row 598.
    rows, columns = np.nonzero(mask_of(one))
    assert rows.mean() == pytest.approx(598, abs=0.5)
    assert columns.mean() == pytest.approx(535, abs=0.5)
    assert len(rows) == pytest.approx(np.pi * 197**2, rel=0.01)
    assert mask_of(five).sum() < np.pi * (30**2 + 26**2)  # the two discs overlap
    images = load_slices(Data(root=str(tmp_path), layout="mias"), preset=BREAST).images
    assert images[:, 20, 12].tolist() == [11, 12, 13, 15, 69, 226]


def test_mias_with_a_damaged_film_names_it(tmp_path):
    (tmp_path / "Info.txt").write_text("mdb001 G NORM\n")
    (tmp_path / "mdb001.pgm").write_bytes(b"P5\n1024 1024\n255\nshort")
    with pytest.raises(ValueError, match="mdb001.pgm cannot be read; it may be damaged"):
        load_slices(Data(root=str(tmp_path), layout="mias"), preset=BREAST)


def test_a_film_of_dicom_is_read_with_its_own_pixel_size(tmp_path):
    path = film(tmp_path / "1.dcm", ImagerPixelSpacing=[0.07, 0.07])
    assert read_image(path).image.GetSpacing()[:2] == pytest.approx((0.07, 0.07))

"""The layouts of the field's chest sets, each on a small tree made up like it."""

import numpy as np
import pytest
import SimpleITK as sitk
from images_made_up_dicom import made_up_slice, save
from PIL import Image
from pydicom.uid import generate_uid
from training_made_up_sets import ct_slices, picture, write_csv

from medsynth.datasets.data import read_split
from medsynth.datasets.entries import DataEntry, Outline
from medsynth.datasets.layouts import LAYOUTS, read_entries
from medsynth.datasets.lesion_masks import filled, lesion_mask
from medsynth.datasets.settings import Data
from medsynth.images import read_image


def entries_of(root, layout, **fields):
    return read_entries(Data(root=str(root), layout=layout, **fields))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_of_something_else_is_refused_with_what_was_expected(layout, tmp_path):
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.gif").touch()
    with pytest.raises(ValueError, match=rf"layout '{layout}' expects .* (holiday/|no )"):
        entries_of(tmp_path, layout)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_empty_folder_is_refused(layout, tmp_path):
    with pytest.raises(ValueError, match=rf"layout '{layout}' expects"):
        entries_of(tmp_path, layout)


def test_an_unknown_layout_names_the_nearest_and_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="unknown data.layout 'lidcs'.* did you mean 'lidc'"):
        entries_of(tmp_path, "lidcs")
    with pytest.raises(ValueError, match="none is not a folder"):
        entries_of(tmp_path / "none", "lidc")
    with pytest.raises(ValueError, match="data.root is not set"):
        read_entries(Data())


@pytest.mark.parametrize("above", ["", "NLST", "manifest-1632928843386/NLST"])
def test_nlst(above, tmp_path):
    study = "01-02-1999-NA-NLST-LSS-42566"
    first = tmp_path / above / "100012" / study / "2.000000-0OPLGEHSQXSTANDARD-52562"
    ct_slices(first, 3, size=8)
    scout = tmp_path / above / "100012" / study / "1.000000-0OPLGEHSQXSCOUT-1"
    ct_slices(scout, 1, size=8, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    second = tmp_path / above / "100158" / study / "3.000000-0OPASEVZOOMB50f-10"
    ct_slices(second, 2, size=8)
    save(
        made_up_slice(np.zeros((8, 8), np.uint16), (0, 0, 0), Modality="SR"), second / "x" / "1.dcm"
    )
    found = entries_of(tmp_path, "nlst")
    assert [(e.path, e.patient) for e in found] == [(first, "100012"), (second, "100158")]
    assert found[0].name == first.relative_to(tmp_path).as_posix()


LIDC_XML = """<?xml version="1.0" encoding="UTF-8"?>
<LidcReadMessage uid="1.3.6.1.4.1.14519.5.2.1.6279.6001.1307390068901" xmlns="http://www.nih.gov">
 <ResponseHeader>
  <Version>1.8.1</Version>
  <SeriesInstanceUid>{series}</SeriesInstanceUid>
  <StudyInstanceUID>1.2.3</StudyInstanceUID>
 </ResponseHeader>{sessions}
</LidcReadMessage>"""
SESSION = """
 <readingSession>
  <annotationVersion>3.12</annotationVersion>
  <servicingRadiologistID>anonymous</servicingRadiologistID>{nodules}
  <nonNodule>
   <nonNoduleID>NN1</nonNoduleID><imageZposition>0</imageZposition><imageSOP_UID>{uid}</imageSOP_UID>
   <locus><xCoord>3</xCoord><yCoord>3</yCoord></locus>
  </nonNodule>
 </readingSession>"""
NODULE = """
  <unblindedReadNodule>
   <noduleID>{name}</noduleID>{scores}{rois}
  </unblindedReadNodule>"""
SCORES = """
   <characteristics>
    <subtlety>5</subtlety><internalStructure>1</internalStructure><calcification>6</calcification>
    <sphericity>3</sphericity><margin>3</margin><lobulation>3</lobulation><spiculation>4</spiculation>
    <texture>5</texture><malignancy>4</malignancy>
   </characteristics>"""
ROI = """
   <roi>
    <imageZposition>{z}</imageZposition><imageSOP_UID>{uid}</imageSOP_UID>
    <inclusion>{inclusion}</inclusion>{edges}
   </roi>"""


def square(left, top, right, bottom):
    """The pixels of a square outline, one after the other, as the readers' program wrote them."""
    across = list(range(left, right + 1))
    down = list(range(top + 1, bottom))
    return (
        [(x, top) for x in across]
        + [(right, y) for y in down]
        + [(x, bottom) for x in reversed(across)]
        + [(left, y) for y in reversed(down)]
    )


def roi(uid, points, *, inclusion="TRUE"):
    edges = "".join(
        f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>" for x, y in points
    )
    return ROI.format(z=0, uid=uid, inclusion=inclusion, edges=edges)


def nodule(name, *rois, scores=SCORES):
    return NODULE.format(name=name, scores=scores, rois="".join(rois))


@pytest.fixture(params=["beside", "apart"])
def lidc(request, tmp_path):
    """A patient with CT and radiograph and one without findings; the XML in either place."""
    series = generate_uid()
    folder = tmp_path / "LIDC-IDRI/LIDC-IDRI-0001/01-01-2000-30178/3000566.000000-03192"
    uids = ct_slices(folder, 3, size=24, series=series)
    ct_slices(
        tmp_path / "LIDC-IDRI/LIDC-IDRI-0002/01-01-2000-98329/3000522.000000-04919", 2, size=24
    )
    radiograph = tmp_path / "LIDC-IDRI/LIDC-IDRI-0001/01-01-2000-35511/3000923.000000-62357"
    save(
        made_up_slice(np.zeros((8, 8), np.uint16), (0, 0, 0), Modality="DX"), radiograph / "1-1.dcm"
    )
    whole, hole = square(4, 5, 14, 15), square(8, 9, 11, 12)
    first = nodule("Nodule 001", roi(uids[1], whole), roi(uids[1], hole, inclusion="FALSE"))
    small = nodule("Nodule 002", roi(uids[0], [(20, 20)]), scores="")
    second = nodule("IL057_127364", roi(uids[1], square(4, 5, 14, 15)))
    third = nodule("0", roi(uids[1], square(10, 5, 20, 15)), roi("1.2.3.4", square(1, 1, 9, 9)))
    sessions = "".join(
        SESSION.format(nodules=n, uid=uids[0]) for n in (first + small, second, third, "")
    )
    where = folder if request.param == "beside" else tmp_path / "LIDC-XML-only/tcia-lidc-xml/157"
    where.mkdir(parents=True, exist_ok=True)
    (where / "158.xml").write_text(LIDC_XML.format(series=series, sessions=sessions))
    (where / "159.xml").write_text(
        '<IdriReadMessage xmlns="http://www.nih.gov"><CXRreadingSession/></IdriReadMessage>'
    )
    return tmp_path


def test_lidc(lidc):
    one, two = entries_of(lidc, "lidc")
    assert (one.patient, two.patient) == ("LIDC-IDRI-0001", "LIDC-IDRI-0002")
    assert (one.labels, two.labels) == (("nodule",), ())
    assert len(one.outlines) == 5  # the nodule below 3 mm and the non-nodules have none
    assert {o.reader for o in one.outlines} == {"reader 1", "reader 2", "reader 3"}
    assert [o.inside for o in one.outlines] == [True, False, True, True, True]
    assert one.outlines[1].points.tolist() == [list(p) for p in square(8, 9, 11, 12)]


def test_the_mask_of_a_nodule_is_what_half_of_its_readers_drew(lidc):
    (one, _) = entries_of(lidc, "lidc")
    mask = sitk.GetArrayFromImage(lesion_mask(one, read_image(one.path)))
    assert mask.shape == (3, 24, 24)
    # Readers 1 and 2 drew columns 5..13 of rows 6..14 (their outline runs just outside), reader 1
    # with a hole of columns 9..10, rows 10..11; reader 3 drew columns 11..19.
    expected = np.zeros((24, 24), bool)
    expected[6:15, 5:14] = True
    expected[10:12, 9:11] = False
    k = np.flatnonzero(mask.any(axis=(1, 2)))
    assert k.tolist() == [1]
    assert (mask[1].astype(bool) == expected).all()


def test_an_xml_file_that_is_none_is_named(lidc):
    broken = next(lidc.rglob("158.xml"))
    broken.write_text(broken.read_text()[:300])
    with pytest.raises(ValueError, match="158.xml is not XML"):
        entries_of(lidc, "lidc")


def test_chestxray14(tmp_path):
    columns = (
        *("Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age"),
        *("Patient Gender", "View Position"),
    )
    # As it is published: the brackets' commas are not quoted, and the lines end with a comma.
    (tmp_path / "Data_Entry_2017.csv").write_text(
        ",".join(columns) + ",OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
        "00000001_000.png,Cardiomegaly,0,1,058Y,M,PA,2682,2749,0.143,0.143,\n"
        "00000001_001.png,Cardiomegaly|Emphysema,1,1,058Y,M,PA,2894,2729,0.143,0.143,\n"
        "00000013_005.png,Infiltration,5,13,060Y,F,AP,3056,2544,0.139,0.139,\n"
        "00000002_000.png,No Finding,0,2,081Y,M,PA,2500,2048,0.171,0.171,\n"
    )
    (tmp_path / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
        "00000013_005.png,Infiltrate,225.08474576271186,547.0192166934869,86.77,79.18,,,\n"
    )
    picture(tmp_path / "images_001/images/00000001_000.png")
    picture(tmp_path / "images_001/images/00000001_001.png")
    picture(tmp_path / "images_002/images/00000013_005.png")
    one, two, three = entries_of(tmp_path, "chestxray14")  # 00000002 is in an archive not fetched
    assert [e.patient for e in (one, two, three)] == ["00000001", "00000001", "00000013"]
    assert two.labels == ("Cardiomegaly", "Emphysema")
    assert three.view == "AP"
    (box,) = three.boxes
    assert box.label == "Infiltration"
    assert (box.x1, box.y1) == pytest.approx((225.08474576 + 86.77, 547.01921669 + 79.18))
    assert one.part == ""
    (tmp_path / "train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n")
    (tmp_path / "test_list.txt").write_text("00000013_005.png\n00000002_000.png\n")
    split = read_split(Data(root=str(tmp_path), layout="chestxray14"))
    assert {e.patient for e in split.training} == {"00000001"}
    assert {e.patient for e in split.held_out} == {"00000013"}


def test_chestxray14_with_a_row_of_another_patient_is_refused(tmp_path):
    write_csv(
        tmp_path / "Data_Entry_2017_v2020.csv",
        ("Image Index", "Finding Labels", "Patient ID", "View Position"),
        ("00000001_000.png", "No Finding", "7", "PA"),
    )
    picture(tmp_path / "images/00000001_000.png")
    with pytest.raises(ValueError, match="begins with patient 00000001, its row says 7"):
        entries_of(tmp_path, "chestxray14")


def test_an_outline_is_filled_with_or_without_its_own_pixels():
    points = np.array([(2, 1), (6, 1), (6, 4), (2, 4)], float)
    closed = filled(Outline(points), (8, 10))
    assert np.argwhere(closed).min(axis=0).tolist() == [1, 2]
    assert closed.sum() == 4 * 5
    assert filled(Outline(points, open_edge=True), (8, 10)).sum() == 2 * 3
    point = filled(Outline(np.array([[7.2, 3.6]])), (8, 10))
    assert np.argwhere(point).tolist() == [[4, 7]]


def test_a_mask_of_another_size_than_its_image_is_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "mask.png")
    image = picture(tmp_path / "film.png")
    entry = DataEntry(image, "p", "film.png", masks=(tmp_path / "mask.png",))
    with pytest.raises(ValueError, match="mask.png is 4 x 4 x 1, its image 6 x 8 x 1"):
        lesion_mask(entry, read_image(image))

"""Films in gray values: mammograms and radiographs in every layout, read back."""

import csv
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_sets import make_set
from PIL import Image

from medsynth.factory import catalog
from medsynth.factory.converting import convert
from medsynth.factory.finish import finish
from medsynth.factory.parse import parse
from medsynth.factory.store import open_set


def lines_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module", params=["mammography", "chest_xray"])
def dataset(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "set"
    return open_set(make_set(folder, preset=request.param))


def values_of(dataset):
    return {i.id: sitk.GetArrayFromImage(i.image())[0] for i in dataset.items()}


def test_16_bits_give_gray_values_back_and_use_the_whole_range(dataset):
    folder = convert(dataset.folder, "png16")
    values = values_of(dataset)
    for line in lines_of(folder / "table.csv"):
        stored = np.asarray(Image.open(folder / line["image"])).astype(float)
        back = stored * float(line["slope"]) + float(line["intercept"])
        assert back == pytest.approx(values[line["id"]], abs=1e-9)
        assert stored.max() == 257 * int(values[line["id"]].max())


def test_8_bits_are_the_gray_values(dataset):
    folder = convert(dataset.folder, "png8")
    values = values_of(dataset)
    for line in lines_of(folder / "table.csv"):
        assert np.array_equal(np.asarray(Image.open(folder / line["image"])), values[line["id"]])


@pytest.mark.slow
def test_films_become_dicom_of_their_class_with_their_view(dataset):
    folder = convert(dataset.folder, "dicom")
    values = values_of(dataset)
    for line in lines_of(folder / "index.csv"):
        film = pydicom.dcmread(folder / line["folder"] / "image" / "0001.dcm")
        assert film.SyntheticData == "YES"
        assert film.Modality == {"mammography": "MG", "chest_xray": "DX"}[dataset.preset.name] or (
            film.Modality == "CR"
        )
        if film.Modality == "MG":
            assert film.ViewCodeSequence[0].CodeValue == "399368009"  # medio-lateral oblique
            assert film.ImageLaterality == "L"
        slope, intercept = float(film.RescaleSlope), float(film.RescaleIntercept)
        assert np.abs(film.pixel_array * slope + intercept - values[line["id"]]).max() <= 1
        assert (folder / line["folder"] / "seg" / "0001.dcm").is_file() == (line["lesions"] != "0")


def test_a_mammogram_of_no_known_view_is_refused_with_its_number(tmp_path):
    folder = make_set(tmp_path / "set", preset="mammography")
    rows = (folder / "plan.jsonl").read_text().replace('"view": "MLO"', '"view": null')
    (folder / "plan.jsonl").write_text(rows)
    with pytest.raises(ValueError, match="layout dicom, image 000000: .*view"):
        convert(folder, "dicom")
    assert not (folder / "layouts" / "dicom").exists()


@pytest.mark.slow
def test_a_layout_that_cannot_hold_the_set_keeps_no_other_from_being_written(tmp_path):
    folder = make_set(tmp_path / "set", preset="mammography")
    rows = (folder / "plan.jsonl").read_text().replace('"view": "MLO"', '"view": null')
    (folder / "plan.jsonl").write_text(rows)
    plan = SimpleNamespace(write=("dicom", "png8"))
    with pytest.raises(ValueError, match="layout dicom.*everything else of the set is written"):
        finish(folder, plan)
    assert not (folder / "layouts" / "dicom").exists()
    assert (folder / "layouts" / "png8" / "layout.json").is_file()
    assert (folder / "index.html").is_file()


def mammograms(folder, **header):
    """A plan over two DICOM films, `header` in each."""
    film = np.zeros((64, 48), np.uint16)
    film[8:56, :40] = 2000 + np.arange(48 * 40).reshape(48, 40) % 700
    for number in range(2):
        written = pydicom.Dataset()
        written.SOPClassUID = pydicom.uid.DigitalMammographyXRayImageStorageForPresentation
        written.SOPInstanceUID = pydicom.uid.generate_uid()
        written.StudyInstanceUID = pydicom.uid.generate_uid()
        written.SeriesInstanceUID = pydicom.uid.generate_uid()
        written.PatientID, written.Modality = f"W{number}", "MG"
        written.Rows, written.Columns = film.shape
        written.PixelSpacing = ["2", "2"]
        written.SamplesPerPixel, written.PhotometricInterpretation = 1, "MONOCHROME2"
        written.BitsAllocated, written.BitsStored, written.HighBit = 16, 12, 11
        written.PixelRepresentation, written.PixelData = 0, film.tobytes()
        for name, value in header.items():
            setattr(written, name, value)
        written.file_meta = pydicom.dataset.FileMetaDataset()
        written.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        written.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    raw = {"preset": "mammography", "count": 2, "write": ["dicom"]}
    return parse(raw | {"anatomies": [{"images": "*.dcm"}]}, folder)


def test_a_film_says_its_own_view_and_side(tmp_path):
    plan = mammograms(tmp_path, ViewPosition="CC", ImageLaterality="L")
    found = catalog.make(plan)
    assert [r.error for r in found.anatomies] == ["", ""]
    assert [r.anatomy for r in found.anatomies] == [{"view": "CC", "laterality": "L"}] * 2

"""Exporters: NIfTI read back with nibabel, what a request may name, and one more by one file."""

import json
from fnmatch import fnmatch

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from added_files import added
from do_nothing import DoNothing

import medsynth
from medsynth import pipeline
from medsynth.domains.methods import EXPORTERS
from medsynth.generators.base import Capabilities
from medsynth.request import load_request, parse, to_dict

USUAL = ["dicom", "image.nrrd", "pathology_01.nrrd", "preview.png", "report.html"]
RECORDS = ["request.yaml", "result.json"]
TURNED = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])


def last_reference():
    """Each slice is the last of its references: a lesion where there is one."""
    return DoNothing(which=-1, capabilities=Capabilities())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exporters")
    k, j, i = np.indices((8, 40, 48))
    radius = np.hypot(j - 20, i - 24)
    values = np.select([radius < 15, radius < 19], [-850, 40], -1000) + (3 * k + 5 * j + i) % 7
    image = sitk.GetImageFromArray(values.astype(np.int16))
    image.SetSpacing((2.5, 3, 4))
    image.SetDirection(TURNED.ravel().tolist())
    image.SetOrigin((20.0, -10.0, 5.0))
    sitk.WriteImage(image, str(folder / "lung.nrrd"))
    return folder


def asked(folder, *write, **output):
    image = sitk.ReadImage(str(folder / "lung.nrrd"))
    lesion = {
        "center_mm": list(image.TransformIndexToPhysicalPoint((24, 20, 4))),
        "diameter_mm": 20,
        "source": {"procedural": {"kind": "solid"}},
    }
    if write:
        output["write"] = list(write)
    raw = {"preset": "lung_ct", "anatomy": {"image": "lung.nrrd"}, "pathologies": [lesion]}
    return parse(raw | {"output": output}, folder)


def made(folder, out, *write, **options):
    return pipeline.run(asked(folder, *write), out, generator=last_reference(), **options)


@pytest.mark.slow
def test_without_a_word_everything_usual_is_written(folder, tmp_path):
    made(folder, tmp_path / "out")
    found = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert found == sorted([*USUAL, *RECORDS])
    assert to_dict(asked(folder))["output"]["write"] == ["nrrd", "dicom", "preview", "report"]


def test_nifti_is_read_back_by_nibabel(folder, tmp_path):
    """Pixels, affine and mark of the image and of the mask."""
    result = made(folder, tmp_path / "out", "nrrd", "nifti")
    assert result.lesions[0].mask == "pathology_01.nrrd"
    for name in ("image", "pathology_01"):
        image = sitk.ReadImage(str(tmp_path / "out" / f"{name}.nrrd"))
        file = nibabel.load(tmp_path / "out" / f"{name}.nii.gz")
        assert np.array_equal(np.asarray(file.dataobj).T, sitk.GetArrayFromImage(image))
        assert file.get_data_dtype() == sitk.GetArrayFromImage(image).dtype
        affine = np.eye(4)
        affine[:3, :3] = TURNED * image.GetSpacing()
        affine[:3, 3] = image.GetOrigin()
        assert file.affine == pytest.approx(np.diag([-1.0, -1, 1, 1]) @ affine, abs=1e-4)
        header = file.header
        assert header.get_xyzt_units()[0] == "mm"
        assert header["sform_code"] > 0
        assert header["qform_code"] > 0
        assert header["descrip"].item().decode() == medsynth.marking.TEXT
        assert header["aux_file"].item().decode() == "SYNTHETIC"
    assert np.asarray(file.dataobj).max() == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTERS)
def test_each_exporter_alone_leaves_the_files_that_it_declares(folder, tmp_path, name):
    result = made(folder, tmp_path / "out", name)
    found = {path.name for path in (tmp_path / "out").iterdir()} - set(RECORDS)
    assert found
    for file in found:
        assert any(fnmatch(file, known) for known in EXPORTERS[name].facts["files"])
    assert ("study_instance_uid" in result.dicom) == (name == "dicom")
    assert result.lesions[0].mask in {*found, None}
    assert (result.lesions[0].mask is None) == (EXPORTERS[name].facts.get("mask_suffix") is None)
    made(folder, tmp_path / "out", "preview", overwrite=True)  # it counts as a result


@pytest.mark.slow
def test_the_images_of_the_python_call_need_no_file(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "medsynth.pipeline.synthesize.generators.load", lambda *a, **k: last_reference()
    )
    monkeypatch.setattr("medsynth.pipeline.synthesize.generators.weights_of", lambda *a: (None, {}))
    without = medsynth.synthesize(asked(folder, "dicom"))
    usual = medsynth.synthesize(asked(folder), tmp_path / "out")
    written = sitk.ReadImage(str(tmp_path / "out" / "image.nrrd"))
    for synthesis in (without, usual):
        assert sitk.Hash(synthesis.image) == sitk.Hash(written)
        assert synthesis.image.GetMetaData("SYNTHETIC") == medsynth.marking.TEXT
        assert sitk.GetArrayFromImage(synthesis.masks[0]).any()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"write": ["nift"]}, r"output.write\[0\]: expected one of .*did you mean 'nifti'"),
        ({"write": []}, r"output.write: expected a list with some of nrrd, .*, got \[\]"),
        ({"write": ["nrrd", "nrrd"]}, r"output.write\[1\]: nrrd is named twice"),
        ({"write": ["nrrd"], "patient": "keep"}, "output.patient: keep has nothing to act on"),
    ],
)
def test_what_cannot_be_written_is_refused(folder, output, message):
    with pytest.raises(ValueError, match=message):
        asked(folder, **output)


JSON_EXPORTER = '''
"""The values as JSON."""

import json

from medsynth.pipeline.exporters.base import Exported, Exporter


def write(inputs, folder):
    (folder / "values.json").write_text(json.dumps(inputs.volume.tolist()))
    return Exported(warnings=("JSON is large",))


EXPORTER = Exporter(title="JSON values", write=write, files=("values.json",), name="values")
'''


@pytest.fixture
def dropped(tmp_path):
    with added(EXPORTERS, "json_values", JSON_EXPORTER, tmp_path / "more"):
        yield


@pytest.mark.slow
def test_an_exporter_is_one_file(dropped, folder, tmp_path):
    made(folder, tmp_path / "out", "nrrd", "values", "report")
    out = tmp_path / "out"
    values = np.array(json.loads((out / "values.json").read_text()))
    assert np.array_equal(values, sitk.GetArrayFromImage(sitk.ReadImage(str(out / "image.nrrd"))))
    assert "JSON is large" in json.loads((out / "result.json").read_text())["warnings"]
    assert "JSON is large" in (out / "report.html").read_text()
    assert load_request(out / "request.yaml").write == ("nrrd", "values", "report")
    made(folder, out, "values", overwrite=True)


def test_info_lists_it(dropped, capsys):
    from medsynth.cli.app import main

    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    assert "  values: JSON values" in printed
    assert "  nifti: NIfTI, for nibabel, MONAI and nnU-Net" in printed


@pytest.mark.slow
def test_dicom_is_only_there_where_it_was_asked_for(folder, tmp_path):
    made(folder, tmp_path / "out", "dicom")
    files = sorted((tmp_path / "out" / "dicom").rglob("*.dcm"))
    assert len(files) == 9
    assert {pydicom.dcmread(file).get((0x0008, 0x001C)).value for file in files} == {"YES"}

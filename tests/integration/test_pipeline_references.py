"""Every kind of reference, lesion and label through the whole pipeline, read back from OUT."""

import json
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pipeline_chest_runs import BASE, CENTER, array, chest, nodule, run

from medsynth import domains as presets
from medsynth import events, pipeline
from medsynth.generators.guided_diffusion import GuidedDiffusion
from medsynth.networks import domain_weights, load_denoiser
from medsynth.pipeline.generate import generate
from medsynth.pipeline.plan import prepare
from medsynth.request import parse


@pytest.mark.parametrize(
    ("spacing", "shape", "said"),
    [
        ((0.6, 0.88, 3.0), (2, 512, 512), []),
        ((0.58, 0.9, 3.0), (2, 400, 700), []),
        ((0.7, 1.2, 3.0), (2, 512, 512), ["pixels of 0.7 x 1.2 mm"]),
        ((0.4, 0.4, 3.0), (2, 512, 512), ["pixels of 0.4 x 0.4 mm"]),
        ((0.7, 0.7, 3.0), (2, 512, 256), ["slices of 256 x 512 pixels"]),
        ((1.5, 1.5, 3.0), (2, 800, 256), ["pixels of 1.5 x 1.5 mm", "slices of 256 x 800 pixels"]),
    ],
)
def test_a_reference_unlike_the_training_images_is_a_warning(tmp_path, spacing, shape, said):
    sitk.WriteImage(chest(shape, spacing), str(tmp_path / "ct.nrrd"))
    raw = {"preset": "lung_ct", "anatomy": {"image": "ct.nrrd", "factor": 8, "labels": []}}
    options = {"preset": presets.get("lung_ct"), "listener": events.ignore}
    warnings = prepare(parse(raw, tmp_path), **options).warnings
    assert len(warnings) == len(said)
    for warning, words in zip(warnings, said, strict=True):
        assert words in warning
        trained = "0.6 to 0.88 mm" if "pixels of" in words else "512 x 512"
        assert f"the network of lung_ct was trained on {trained}; expect a worse" in warning
    # What a network of the user's own was trained on is not known here.
    (tmp_path / "own.safetensors").touch()
    assert prepare(parse(raw | {"weights": "own.safetensors"}, tmp_path), **options).warnings == ()


def test_what_is_unlike_training_stands_in_the_record_and_on_the_page(
    chest_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        domain_weights, "weights_path", lambda *_: chest_folder / "tiny.safetensors"
    )
    said = []
    raw = {key: value for key, value in BASE.items() if key != "weights"} | {"steps": 1}
    pipeline.run(parse(raw, chest_folder), tmp_path / "out", listener=said.append)
    words = "pixels of 2.4 x 2.5 mm"
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert any(words in warning for warning in record["warnings"])
    assert words in (tmp_path / "out" / "report.html").read_text()
    assert any(event.kind == "warning" and words in event.message for event in said)
    assert record["audited"] is False


def test_padded_voxels_stay_padding(chest_folder):
    request = parse(BASE, chest_folder)
    prepared = prepare(request, preset=presets.get("lung_ct"), listener=events.ignore)
    padding = np.zeros(sitk.GetArrayViewFromImage(prepared.reference.image).shape, dtype=bool)
    padding[:, :3] = True
    prepared = replace(prepared, reference=replace(prepared.reference, padding=padding))
    generated = generate(
        prepared,
        GuidedDiffusion.of(
            request, load_denoiser(chest_folder / "tiny.safetensors"), preset=presets.get("lung_ct")
        ),
        request=request,
        preset=presets.get("lung_ct"),
        listener=events.ignore,
    )
    before = sitk.GetArrayViewFromImage(prepared.reference.image)
    changed = generated.volume != before
    assert changed.any()
    assert not changed[padding].any()


def test_an_oblique_anisotropic_reference_keeps_its_grid(chest_folder, tmp_path):
    run(chest_folder, tmp_path / "oblique", image="oblique.nrrd")
    reference = sitk.ReadImage(str(chest_folder / "oblique.nrrd"))
    for name in ("image.nrrd", "pathology_01.nrrd"):
        written = sitk.ReadImage(str(tmp_path / "oblique" / name))
        np.testing.assert_allclose(written.GetDirection(), reference.GetDirection(), atol=1e-9)
        np.testing.assert_allclose(written.GetOrigin(), reference.GetOrigin(), atol=1e-6)
        assert written.GetSpacing() == pytest.approx(reference.GetSpacing())
    record = json.loads((tmp_path / "oblique/result.json").read_text())
    np.testing.assert_allclose(record["lesions"][0]["centroid_mm"], CENTER, atol=2)


def test_several_lesions_each_with_their_own_factor_and_mask(chest_folder, tmp_path):
    other = [CENTER[0] - 28, CENTER[1], CENTER[2]]
    lesions = [
        nodule(diameter_mm=14),
        nodule(
            center_mm=other,
            diameter_mm=12,
            factor=2,
            source={"procedural": {"kind": "calcified"}},
            weight="gaussian",
        ),
    ]
    run(chest_folder, tmp_path / "two", pathologies=lesions)
    record = json.loads((tmp_path / "two/result.json").read_text())
    assert [lesion["drawn"]["kind"] for lesion in record["lesions"]] == ["spiculated", "calcified"]
    np.testing.assert_allclose(record["lesions"][1]["centroid_mm"], other, atol=2)
    segmentation = pydicom.dcmread(tmp_path / "two/dicom/seg/0001.dcm")
    assert len(segmentation.SegmentSequence) == 2
    assert (tmp_path / "two/pathology_02.nrrd").exists()


def test_every_slice_without_a_pathology(chest_folder, tmp_path):
    result = run(chest_folder, tmp_path / "all", pathologies=[], extent="all")
    assert result.slices == (0, 19)
    assert not (tmp_path / "all/dicom/seg").exists()
    reference, image = array(chest_folder / "straight.nrrd"), array(tmp_path / "all/image.nrrd")
    assert all((image[k] != reference[k]).any() for k in range(20))


def test_a_painted_roi_on_another_grid_is_found_in_mm(chest_folder, tmp_path):
    roi = sitk.Image(30, 30, 30, sitk.sitkUInt8)
    roi[8:22, 8:22, 8:22] = 1
    roi.SetOrigin([c - 14.5 for c in CENTER])
    sitk.WriteImage(roi, str(tmp_path / "roi.nrrd"))
    lesion = {"roi": str(tmp_path / "roi.nrrd"), "source": {"procedural": {"kind": "solid"}}}
    result = run(chest_folder, tmp_path / "painted", pathologies=[lesion])
    np.testing.assert_allclose(result.lesions[0].centroid_mm, CENTER, atol=2)


def test_a_lesion_from_an_annotated_study(chest_folder, chest_out, tmp_path):
    source = {
        "image": str(chest_out / "dicom/image"),
        "mask": str(chest_out / "dicom/seg/0001.dcm"),
    }
    place = [CENTER[0] + 20, CENTER[1] + 5, CENTER[2]]
    lesion = {"center_mm": place, "diameter_mm": 16, "source": source}
    result = run(chest_folder, tmp_path / "taken", pathologies=[lesion])
    np.testing.assert_allclose(result.lesions[0].centroid_mm, place, atol=3)


def test_keeping_the_patient_stays_in_the_study_and_warns(chest_folder, tmp_path):
    result = run(chest_folder, tmp_path / "kept", image="series", output={"patient": "keep"})
    before = pydicom.dcmread(chest_folder / "series/0001.dcm")
    after = pydicom.dcmread(tmp_path / "kept/dicom/image/0001.dcm")
    assert after.StudyInstanceUID == before.StudyInstanceUID
    assert after.SeriesInstanceUID != before.SeriesInstanceUID
    assert after.PatientID == before.PatientID
    assert any("real" in warning for warning in result.warnings)


def test_labels_of_the_reference_arrive_beside_the_new_lesions(chest_folder, tmp_path):
    values = np.zeros((20, 60, 64), np.uint8)
    values[4:7, 20:26, 20:27], values[9:12, 28:34, 30:36] = 1, 2
    labels = sitk.GetImageFromArray(values)
    labels.CopyInformation(chest())
    sitk.WriteImage(labels, str(tmp_path / "labels.nrrd"))
    named = {"file": str(tmp_path / "labels.nrrd"), "names": {1: "left lung"}}
    out = tmp_path / "out"
    run(chest_folder, out, anatomy={"image": "series", "factor": 8, "labels": named})
    for number, value in ((1, 1), (2, 2)):
        assert np.array_equal(array(out / f"label_{number:02d}.nrrd"), values == value)
    seg = highdicom.seg.segread(out / "dicom" / "labels" / "0001.dcm")
    assert [seg.get_segment_description(n).SegmentLabel for n in (1, 2)] == [
        "left lung",
        "finding 2",
    ]
    types = [seg.get_segment_description(n).segmented_property_type.value for n in (1, 2)]
    assert types == ["44029006", "52988006"]
    assert seg.SyntheticData == "YES"
    new = pydicom.dcmread(out / "dicom" / "seg" / "0001.dcm")
    assert len(new.SegmentSequence) == 1
    assert new.SeriesInstanceUID != seg.SeriesInstanceUID
    assert (new.StudyInstanceUID, new.PatientID) == (seg.StudyInstanceUID, seg.PatientID)
    result = json.loads((out / "result.json").read_text())
    assert [entry["name"] for entry in result["labels"]] == ["left lung", "finding 2"]
    assert [entry["voxels"] for entry in result["labels"]] == [126, 108]
    assert result["dicom"]["segmentations"] == 2
    assert any("overlaps the existing label 'finding 2'" in note for note in result["warnings"])
    assert "Labels that the reference already had" in (out / "report.html").read_text()

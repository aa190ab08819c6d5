"""From a request to OUT: every file read back with another tool, every promise of the request kept."""

import json
import shutil

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image
from pipeline_chest_runs import BASE, CENTER, array, nodule, run

from medsynth import domains as presets
from medsynth import events, marking, pipeline
from medsynth.pipeline.plan import prepare
from medsynth.request import load_request, parse
from medsynth.storage.folders import OutputFolder


def test_out_holds_what_the_contract_says(chest_out):
    names = {p.relative_to(chest_out).as_posix() for p in chest_out.rglob("*") if p.is_file()}
    images = {f"dicom/image/{k:04d}.dcm" for k in range(1, 21)}
    records = {"request.yaml", "result.json", "preview.png", "report.html"}
    assert names == {"image.nrrd", "pathology_01.nrrd", "dicom/seg/0001.dcm"} | images | records


def test_the_resolved_request_gives_the_same_image_again(chest_folder, chest_out, tmp_path):
    again = load_request(chest_out / "request.yaml")
    pipeline.run(again, tmp_path / "again")
    assert np.array_equal(array(chest_out / "image.nrrd"), array(tmp_path / "again" / "image.nrrd"))


def test_the_image_file_is_marked_too(chest_out):
    for name in ("image.nrrd", "pathology_01.nrrd"):
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(chest_out / name))
        reader.ReadImageInformation()
        assert reader.GetMetaData("SYNTHETIC") == marking.TEXT
    assert Image.open(chest_out / "preview.png").text["SYNTHETIC"] == marking.TEXT


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": {"patient": "keep"}}, "keep"),
        ({"composition": "sum"}, "would diverge"),
        ({"sampler": "ddpm", "steps": 1001}, "at most 1000"),
    ],
)
def test_what_sampling_would_refuse_is_refused_on_a_dry_run(
    chest_folder, tmp_path, changes, message
):
    request = parse(BASE | changes, chest_folder)
    with pytest.raises(ValueError, match=message):
        pipeline.run(request, tmp_path / "out", dry_run=True)


@pytest.mark.parametrize("out", ["series", "series/out", "series/deep/out", "link/out"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_out_in_the_folder_of_the_reference_is_refused(chest_folder, tmp_path, out, dry_run):
    shutil.copytree(chest_folder / "series", tmp_path / "series")
    (tmp_path / "link").symlink_to(tmp_path / "series")
    before = sorted(tmp_path.rglob("*"))
    anatomy = {"image": str(tmp_path / "series"), "factor": 8}
    request = parse(BASE | {"anatomy": anatomy}, chest_folder)
    with pytest.raises(FileExistsError, match="from which the request reads"):
        pipeline.run(request, tmp_path / out, dry_run=dry_run)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_second_run_to_the_same_out_is_refused_before_it_samples(chest_folder, tmp_path):
    said = []
    with OutputFolder(tmp_path / "out").claimed():
        with pytest.raises(BlockingIOError, match="another run is writing"):
            pipeline.run(parse(BASE, chest_folder), tmp_path / "out", listener=said.append)
        pipeline.run(parse(BASE, chest_folder), tmp_path / "out", dry_run=True)  # writes nothing
    assert said == []
    assert list(tmp_path.iterdir()) == []


def test_another_seed_gives_another_image_and_another_study(chest_folder, chest_out, tmp_path):
    run(chest_folder, tmp_path / "other", seed=8)
    assert not np.array_equal(
        array(chest_out / "image.nrrd"), array(tmp_path / "other" / "image.nrrd")
    )
    first, second = (
        pydicom.dcmread(o / "dicom/image/0001.dcm") for o in (chest_out, tmp_path / "other")
    )
    assert first.StudyInstanceUID != second.StudyInstanceUID


def test_the_record_says_what_happened(chest_out):
    record = json.loads((chest_out / "result.json").read_text())
    assert record["synthetic"] is True
    assert (record["seed"], record["nfe"], record["sampler"]) == (7, 2, "dpmpp_2m_sde")
    assert len(record["checkpoint"]["sha256"]) == 64
    errors = {e["condition"]: e["error"] for e in record["guidance_errors"]}
    assert errors["anatomy"] < 0.05
    assert set(errors) == {"anatomy", "pathologies[0]"}
    lesion = record["lesions"][0]
    np.testing.assert_allclose(lesion["centroid_mm"], CENTER, atol=2)
    assert lesion["diameter_mm"] == pytest.approx(18, rel=0.1)
    assert record["dicom"]["round_trip_error"] <= 1
    assert set(record["coherence"]) == {"lung", "soft tissue", "bone"}


def test_noise_that_is_asked_for_is_added_and_recorded(chest_folder, tmp_path):
    for name, noise in (("without", "network"), ("with", 100)):
        run(chest_folder, tmp_path / name, pathologies=[], noise=noise)
    records = [
        json.loads((tmp_path / name / "result.json").read_text())["noise"]
        for name in ("without", "with")
    ]
    assert records[0] == {}
    assert set(records[1]) == {"lung"}  # the shell of soft tissue has no room for a region
    levels = records[1]["lung"]
    assert levels["wanted"] == pytest.approx(65, rel=0.05)
    assert levels["added"] > 20
    lung = np.s_[2:-2, 22:38, 24:40]
    images = [array(tmp_path / name / "image.nrrd")[lung] for name in ("without", "with")]
    added = (images[1].astype(float) - images[0]).std()
    # The tiny network's lung is not lung everywhere.
    assert 0.5 * levels["added"] < added < 1.1 * levels["added"]


def test_the_dicom_series_is_the_image(chest_out):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(chest_out / "dicom/image")))
    series, image = reader.Execute(), sitk.ReadImage(str(chest_out / "image.nrrd"))
    assert series.GetSize() == image.GetSize()
    np.testing.assert_allclose(series.GetOrigin(), image.GetOrigin(), atol=1e-3)
    np.testing.assert_allclose(series.GetDirection(), image.GetDirection(), atol=1e-5)
    assert np.abs(sitk.GetArrayFromImage(series) - sitk.GetArrayFromImage(image)).max() <= 1


def test_the_segmentation_is_the_mask(chest_out):
    segmentation = highdicom.seg.segread(chest_out / "dicom/seg/0001.dcm")
    files = sorted((chest_out / "dicom/image").glob("*.dcm"))
    uids = [pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID for f in files]
    voxels = segmentation.get_pixels_by_source_instance(
        uids,
        segment_numbers=[1],
        ignore_spatial_locations=False,
        assert_missing_frames_are_empty=True,
    )
    mask = array(chest_out / "pathology_01.nrrd")
    assert mask.any()
    assert np.array_equal(voxels[..., 0], mask)


def test_slices_away_from_the_lesion_are_the_reference(chest_folder, chest_out):
    reference, result = array(chest_folder / "straight.nrrd"), array(chest_out / "image.nrrd")
    first, last = json.loads((chest_out / "result.json").read_text())["slices"]
    mask = array(chest_out / "pathology_01.nrrd")
    assert 0 < first < np.flatnonzero(mask.any(axis=(1, 2)))[0]
    assert np.array_equal(result[:first], reference[:first])
    assert np.array_equal(result[last + 1 :], reference[last + 1 :])
    assert not np.array_equal(result[10], reference[10])


def test_keeping_the_background_changes_nothing_outside_the_feathered_roi(chest_folder, tmp_path):
    run(chest_folder, tmp_path / "kept", "fractions.nrrd", background="keep", feather_mm=5)
    reference, result = array(chest_folder / "fractions.nrrd"), array(tmp_path / "kept/image.nrrd")
    mask = sitk.ReadImage(str(tmp_path / "kept/pathology_01.nrrd"))
    distance = sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(mask, squaredDistance=False, useImageSpacing=True)
    )
    # Spicules reach out of the mask by at most 25 mm; beyond them and the feather nothing changes.
    far = distance > 25 + 5
    assert far.any()
    assert np.array_equal(result[far], reference[far])
    changed = result != reference
    assert changed.any()
    assert changed.mean() < 0.1
    assert changed[distance < 0].mean() > 0.9


def test_a_region_weighs_1_on_its_lesion_in_every_slice(chest_folder):
    request = parse(BASE | {"pathologies": [nodule(), nodule(weight="gaussian")]}, chest_folder)
    prepared = prepare(request, preset=presets.get("lung_ct"), listener=events.ignore)
    for region, least in zip(prepared.regions, (1.0, 0.4), strict=True):
        mask = sitk.GetArrayFromImage(region.lesion.mask) > 0
        for k in range(len(mask)):
            weights = region.at(k)
            assert weights is not None or not mask[k].any()
            assert not mask[k].any() or weights[mask[k]].min() >= least
        weights = np.stack([region.at(k) for k in range(region.first, region.last + 1)])
        where = np.argwhere(weights > 0.4).mean(axis=0) + [region.first, 0, 0]
        np.testing.assert_allclose(where, np.argwhere(mask).mean(axis=0), atol=0.8)

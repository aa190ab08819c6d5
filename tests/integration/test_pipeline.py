"""From a request to OUT: every file read back with another tool, every promise of the request kept."""

import json
import shutil
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_up_network import save_network, small
from PIL import Image

from medsynth import dicom, events, marking, pipeline
from medsynth import domains as presets
from medsynth.generators.guided_diffusion import GuidedDiffusion
from medsynth.networks import load_denoiser
from medsynth.pipeline.generate import generate
from medsynth.pipeline.plan import prepare
from medsynth.request import load_request, parse
from medsynth.storage.folders import OutputFolder

CONFIG = small(64)
# A rotation about z and then x: no axis of the oblique grid lies on one of the patient's.
COS, SIN = np.cos(0.3), np.sin(0.3)
OBLIQUE = np.array([[1, 0, 0], [0, COS, -SIN], [0, SIN, COS]]) @ np.array(
    [[COS, -SIN, 0], [SIN, COS, 0], [0, 0, 1]]
)
CENTER = [20.0, -10.0, 5.0]


def chest(shape=(20, 60, 64), spacing=(2.4, 2.5, 3.0), direction=None):
    """Lung in a shell of soft tissue around `CENTER`, in whole HU; sides that are no multiple of 8."""
    image = sitk.Image([int(n) for n in shape[::-1]], sitk.sitkFloat32)
    image.SetSpacing(spacing)
    direction = np.eye(3) if direction is None else direction
    image.SetDirection(direction.ravel().tolist())
    middle = np.array(spacing) * (np.array(shape[::-1]) - 1) / 2
    image.SetOrigin((np.array(CENTER) - direction @ middle).tolist())
    k, j, i = np.indices(shape)
    x = (i - (shape[2] - 1) / 2) * spacing[0]
    y = (j - (shape[1] - 1) / 2) * spacing[1]
    radius = np.hypot(x, y)
    values = np.select([radius < 52, radius < 66], [-850, 40], -1000) + (3 * k + 5 * j + i) % 7
    filled = sitk.GetImageFromArray(values.astype(np.float32))
    filled.CopyInformation(image)
    return filled


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    save_network(folder / "tiny.safetensors", CONFIG, std=0.03)
    sitk.WriteImage(chest(), str(folder / "straight.nrrd"))
    sitk.WriteImage(chest(direction=OBLIQUE), str(folder / "oblique.nrrd"))
    sitk.WriteImage(chest() + 0.25, str(folder / "fractions.nrrd"))
    headers = dicom.write_series(
        sitk.Cast(chest(), sitk.sitkInt16),
        folder / "series",
        preset=presets.get("lung_ct"),
        job=dicom.ExportJob("made up"),
        derivation="made up",
    )
    assert headers.files
    return folder


def nodule(**changes):
    source = {"procedural": {"kind": "spiculated", "pleural_tags": 0}}
    values = {"center_mm": CENTER, "diameter_mm": 18, "source": source, "factor": 4}
    return values | changes


BASE = {
    "preset": "lung_ct",
    "anatomy": {"image": "straight.nrrd", "factor": 8},
    "pathologies": [nodule()],
    "weights": "tiny.safetensors",
    "steps": 2,
    "seed": 7,
}


def run(folder, out, image="straight.nrrd", **changes):
    anatomy = {"image": image, "factor": 8}
    return pipeline.run(parse(BASE | {"anatomy": anatomy} | changes, folder), out)


def array(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.fixture(scope="module")
def out(folder):
    run(folder, folder / "out")
    return folder / "out"


def test_out_holds_what_the_contract_says(out):
    names = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    images = {f"dicom/image/{k:04d}.dcm" for k in range(1, 21)}
    records = {"request.yaml", "result.json", "preview.png", "report.html"}
    assert names == {"image.nrrd", "pathology_01.nrrd", "dicom/seg/0001.dcm"} | images | records


def test_the_resolved_request_gives_the_same_image_again(folder, out, tmp_path):
    again = load_request(out / "request.yaml")
    pipeline.run(again, tmp_path / "again")
    assert np.array_equal(array(out / "image.nrrd"), array(tmp_path / "again" / "image.nrrd"))


def test_the_image_file_is_marked_too(out):
    for name in ("image.nrrd", "pathology_01.nrrd"):
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(out / name))
        reader.ReadImageInformation()
        assert reader.GetMetaData("SYNTHETIC") == marking.TEXT
    assert Image.open(out / "preview.png").text["SYNTHETIC"] == marking.TEXT


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": {"patient": "keep"}}, "keep"),
        ({"composition": "sum"}, "would diverge"),
        ({"sampler": "ddpm", "steps": 1001}, "at most 1000"),
    ],
)
def test_what_sampling_would_refuse_is_refused_on_a_dry_run(folder, tmp_path, changes, message):
    request = parse(BASE | changes, folder)
    with pytest.raises(ValueError, match=message):
        pipeline.run(request, tmp_path / "out", dry_run=True)


@pytest.mark.parametrize("out", ["series", "series/out", "series/deep/out", "link/out"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_out_in_the_folder_of_the_reference_is_refused(folder, tmp_path, out, dry_run):
    shutil.copytree(folder / "series", tmp_path / "series")
    (tmp_path / "link").symlink_to(tmp_path / "series")
    before = sorted(tmp_path.rglob("*"))
    anatomy = {"image": str(tmp_path / "series"), "factor": 8}
    request = parse(BASE | {"anatomy": anatomy}, folder)
    with pytest.raises(FileExistsError, match="from which the request reads"):
        pipeline.run(request, tmp_path / out, dry_run=dry_run)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_second_run_to_the_same_out_is_refused_before_it_samples(folder, tmp_path):
    said = []
    with OutputFolder(tmp_path / "out").claimed():
        with pytest.raises(BlockingIOError, match="another run is writing"):
            pipeline.run(parse(BASE, folder), tmp_path / "out", listener=said.append)
        pipeline.run(parse(BASE, folder), tmp_path / "out", dry_run=True)  # writes nothing
    assert said == []
    assert list(tmp_path.iterdir()) == []


def test_another_seed_gives_another_image_and_another_study(folder, out, tmp_path):
    run(folder, tmp_path / "other", seed=8)
    assert not np.array_equal(array(out / "image.nrrd"), array(tmp_path / "other" / "image.nrrd"))
    first, second = (pydicom.dcmread(o / "dicom/image/0001.dcm") for o in (out, tmp_path / "other"))
    assert first.StudyInstanceUID != second.StudyInstanceUID


def test_the_record_says_what_happened(out):
    record = json.loads((out / "result.json").read_text())
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


def test_noise_that_is_asked_for_is_added_and_recorded(folder, tmp_path):
    for name, noise in (("without", "network"), ("with", 100)):
        run(folder, tmp_path / name, pathologies=[], noise=noise)
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


def test_the_dicom_series_is_the_image(out):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(out / "dicom/image")))
    series, image = reader.Execute(), sitk.ReadImage(str(out / "image.nrrd"))
    assert series.GetSize() == image.GetSize()
    np.testing.assert_allclose(series.GetOrigin(), image.GetOrigin(), atol=1e-3)
    np.testing.assert_allclose(series.GetDirection(), image.GetDirection(), atol=1e-5)
    assert np.abs(sitk.GetArrayFromImage(series) - sitk.GetArrayFromImage(image)).max() <= 1


def test_the_segmentation_is_the_mask(out):
    segmentation = highdicom.seg.segread(out / "dicom/seg/0001.dcm")
    files = sorted((out / "dicom/image").glob("*.dcm"))
    uids = [pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID for f in files]
    voxels = segmentation.get_pixels_by_source_instance(
        uids,
        segment_numbers=[1],
        ignore_spatial_locations=False,
        assert_missing_frames_are_empty=True,
    )
    mask = array(out / "pathology_01.nrrd")
    assert mask.any()
    assert np.array_equal(voxels[..., 0], mask)


def test_slices_away_from_the_lesion_are_the_reference(folder, out):
    reference, result = array(folder / "straight.nrrd"), array(out / "image.nrrd")
    first, last = json.loads((out / "result.json").read_text())["slices"]
    mask = array(out / "pathology_01.nrrd")
    assert 0 < first < np.flatnonzero(mask.any(axis=(1, 2)))[0]
    assert np.array_equal(result[:first], reference[:first])
    assert np.array_equal(result[last + 1 :], reference[last + 1 :])
    assert not np.array_equal(result[10], reference[10])


def test_keeping_the_background_changes_nothing_outside_the_feathered_roi(folder, tmp_path):
    run(folder, tmp_path / "kept", "fractions.nrrd", background="keep", feather_mm=5)
    reference, result = array(folder / "fractions.nrrd"), array(tmp_path / "kept/image.nrrd")
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


def test_a_region_weighs_1_on_its_lesion_in_every_slice(folder):
    request = parse(BASE | {"pathologies": [nodule(), nodule(weight="gaussian")]}, folder)
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
    folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(pipeline.synthesize, "weights_path", lambda *_: folder / "tiny.safetensors")
    said = []
    raw = {key: value for key, value in BASE.items() if key != "weights"} | {"steps": 1}
    pipeline.run(parse(raw, folder), tmp_path / "out", listener=said.append)
    words = "pixels of 2.4 x 2.5 mm"
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert any(words in warning for warning in record["warnings"])
    assert words in (tmp_path / "out" / "report.html").read_text()
    assert any(event.kind == "warning" and words in event.message for event in said)
    assert record["audited"] is False


def test_padded_voxels_stay_padding(folder):
    request = parse(BASE, folder)
    prepared = prepare(request, preset=presets.get("lung_ct"), listener=events.ignore)
    padding = np.zeros(sitk.GetArrayViewFromImage(prepared.reference.image).shape, dtype=bool)
    padding[:, :3] = True
    prepared = replace(prepared, reference=replace(prepared.reference, padding=padding))
    generated = generate(
        prepared,
        GuidedDiffusion.of(
            request, load_denoiser(folder / "tiny.safetensors"), preset=presets.get("lung_ct")
        ),
        request=request,
        preset=presets.get("lung_ct"),
        listener=events.ignore,
    )
    before = sitk.GetArrayViewFromImage(prepared.reference.image)
    changed = generated.volume != before
    assert changed.any()
    assert not changed[padding].any()


def test_an_oblique_anisotropic_reference_keeps_its_grid(folder, tmp_path):
    run(folder, tmp_path / "oblique", image="oblique.nrrd")
    reference = sitk.ReadImage(str(folder / "oblique.nrrd"))
    for name in ("image.nrrd", "pathology_01.nrrd"):
        written = sitk.ReadImage(str(tmp_path / "oblique" / name))
        np.testing.assert_allclose(written.GetDirection(), reference.GetDirection(), atol=1e-9)
        np.testing.assert_allclose(written.GetOrigin(), reference.GetOrigin(), atol=1e-6)
        assert written.GetSpacing() == pytest.approx(reference.GetSpacing())
    record = json.loads((tmp_path / "oblique/result.json").read_text())
    np.testing.assert_allclose(record["lesions"][0]["centroid_mm"], CENTER, atol=2)


def test_several_lesions_each_with_their_own_factor_and_mask(folder, tmp_path):
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
    run(folder, tmp_path / "two", pathologies=lesions)
    record = json.loads((tmp_path / "two/result.json").read_text())
    assert [lesion["drawn"]["kind"] for lesion in record["lesions"]] == ["spiculated", "calcified"]
    np.testing.assert_allclose(record["lesions"][1]["centroid_mm"], other, atol=2)
    segmentation = pydicom.dcmread(tmp_path / "two/dicom/seg/0001.dcm")
    assert len(segmentation.SegmentSequence) == 2
    assert (tmp_path / "two/pathology_02.nrrd").exists()


def test_every_slice_without_a_pathology(folder, tmp_path):
    result = run(folder, tmp_path / "all", pathologies=[], extent="all")
    assert result.slices == (0, 19)
    assert not (tmp_path / "all/dicom/seg").exists()
    reference, image = array(folder / "straight.nrrd"), array(tmp_path / "all/image.nrrd")
    assert all((image[k] != reference[k]).any() for k in range(20))


def test_a_painted_roi_on_another_grid_is_found_in_mm(folder, tmp_path):
    roi = sitk.Image(30, 30, 30, sitk.sitkUInt8)
    roi[8:22, 8:22, 8:22] = 1
    roi.SetOrigin([c - 14.5 for c in CENTER])
    sitk.WriteImage(roi, str(tmp_path / "roi.nrrd"))
    lesion = {"roi": str(tmp_path / "roi.nrrd"), "source": {"procedural": {"kind": "solid"}}}
    result = run(folder, tmp_path / "painted", pathologies=[lesion])
    np.testing.assert_allclose(result.lesions[0].centroid_mm, CENTER, atol=2)


def test_a_lesion_from_an_annotated_study(folder, out, tmp_path):
    source = {"image": str(out / "dicom/image"), "mask": str(out / "dicom/seg/0001.dcm")}
    place = [CENTER[0] + 20, CENTER[1] + 5, CENTER[2]]
    lesion = {"center_mm": place, "diameter_mm": 16, "source": source}
    result = run(folder, tmp_path / "taken", pathologies=[lesion])
    np.testing.assert_allclose(result.lesions[0].centroid_mm, place, atol=3)


def test_keeping_the_patient_stays_in_the_study_and_warns(folder, tmp_path):
    result = run(folder, tmp_path / "kept", image="series", output={"patient": "keep"})
    before = pydicom.dcmread(folder / "series/0001.dcm")
    after = pydicom.dcmread(tmp_path / "kept/dicom/image/0001.dcm")
    assert after.StudyInstanceUID == before.StudyInstanceUID
    assert after.SeriesInstanceUID != before.SeriesInstanceUID
    assert after.PatientID == before.PatientID
    assert any("real" in warning for warning in result.warnings)


def test_labels_of_the_reference_arrive_beside_the_new_lesions(folder, tmp_path):
    values = np.zeros((20, 60, 64), np.uint8)
    values[4:7, 20:26, 20:27], values[9:12, 28:34, 30:36] = 1, 2
    labels = sitk.GetImageFromArray(values)
    labels.CopyInformation(chest())
    sitk.WriteImage(labels, str(tmp_path / "labels.nrrd"))
    named = {"file": str(tmp_path / "labels.nrrd"), "names": {1: "left lung"}}
    out = tmp_path / "out"
    run(folder, out, anatomy={"image": "series", "factor": 8, "labels": named})
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

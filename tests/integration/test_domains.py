"""Chest X-ray, brain MRI and brain CT from a reference in any form to files that validators accept."""

import json
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_checks import assert_clean, dciodvfy_complaints, dicom_files
from made_pictures import as_image, film, head_ct, head_mr, write_dicom, write_picture
from made_up_network import save_network, small

from medsynth import domains as presets
from medsynth import pipeline
from medsynth.pipeline import plan
from medsynth.request import parse

CONFIG = small(256, patch_size=16)
DOMAINS = ("chest_xray", "brain_mri", "brain_ct")
CLASSES = {
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
}
# Reference, preset, kind, center, diameter, modality written.
CASES = {
    "png": ("film.png", "chest_xray", "nodule", (35, 70, 0), 14, "DX"),
    "jpeg": ("film.jpg", "chest_xray", "opacity", (35, 70, 0), 24, "DX"),
    "16-bit png": ("film16.png", "chest_xray", "opacity", (35, 70, 0), 24, "DX"),
    "dx": ("dx", "chest_xray", "nodule", (52, 105, 0), 18, "DX"),
    "monochrome1": ("dx1", "chest_xray", "nodule", (52, 105, 0), 18, "DX"),
    "cr": ("cr", "chest_xray", "nodule", (52, 105, 0), 18, "CR"),
    "mr": ("mr", "brain_mri", "enhancing_mass", (-20, 0, 20), 14, "MR"),
    "nifti": ("mr.nii.gz", "brain_mri", "ring_enhancing_mass", (-20, 0, 20), 14, "MR"),
    "ct": ("ct", "brain_ct", "hemorrhage", (-20, 0, 20), 14, "CT"),
    "ct png": ("head.png", "brain_ct", "hemorrhage", (40, 70, 0), 16, "CT"),
}
# Every way in is run to the end once; the others differ in how the reference is read.
RUN = ("jpeg", "monochrome1", "cr", "mr", "nifti", "ct")
# PS3.3 C.11.1.1.2 knows US, unspecified units; of CT the validator knows HU only, and these are none.
NOT_HU = "Warning - Unrecognized defined term <US> for value 1 of attribute <Rescale Type>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("domains")
    for name in DOMAINS:
        save_network(folder / f"{name}.safetensors", CONFIG, std=0.03, preset=name)
    write_picture(folder / "film.png", film())
    write_picture(folder / "film.jpg", film())
    write_picture(folder / "film16.png", film().astype(np.uint16) * 200 + 1000)
    write_picture(folder / "head.png", (head_ct()[0].clip(0, 80) / 80 * 255).astype(np.uint8))
    # Half of the stored range is used: a window that is turned over wrongly shows nothing.
    stored = film()[None] * 8.0
    window = {"WindowCenter": 1024, "WindowWidth": 2048, "BitsStored": 12, "HighBit": 11}
    write_dicom(folder / "dx", stored, "DX", **window)
    write_dicom(folder / "cr", stored, "CR", **window)
    inverse = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}
    write_dicom(folder / "dx1", 4095 - stored, "DX", **window | {"WindowCenter": 3071} | inverse)
    write_dicom(folder / "mr", head_mr(5), "MR", WindowCenter=700, WindowWidth=1400)
    write_dicom(folder / "ct", head_ct(5), "CT")
    # As most NIfTI files lie: rows to the right and columns to the front.
    turned = sitk.DICOMOrient(as_image(head_mr(5)), "RAS")
    sitk.WriteImage(turned, str(folder / "mr.nii.gz"))
    return folder


def request(folder, name, **changes):
    image, preset, kind, center, diameter, _ = CASES[name]
    lesion = {
        "center_mm": list(center),
        "diameter_mm": diameter,
        "source": {"procedural": {"kind": kind}},
    }
    raw = {
        "preset": preset,
        "anatomy": {"image": image, **changes.pop("anatomy", {})},
        "pathologies": [lesion],
        "weights": f"{preset}.safetensors",
        "steps": 2,
        **changes,
    }
    return parse(raw, folder)


@pytest.fixture(scope="module")
def made(folder):
    """Runs each case once: (OUT, result)."""
    done = {}

    def run(name):
        if name not in done:
            out = folder / f"out {name}"
            done[name] = out, pipeline.run(request(folder, name), out)
        return done[name]

    return run


def array(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.mark.parametrize("name", RUN)
def test_the_result_lies_on_the_grid_where_the_reference_lay(folder, made, name):
    out, result = made(name)
    source = sitk.ReadImage(str(folder / CASES[name][0])) if "." in CASES[name][0] else None
    image = sitk.ReadImage(str(out / "image.nrrd"))
    assert image.GetSize()[:2] == (256, 256)
    assert image.GetSpacing()[0] == image.GetSpacing()[1]
    values = sitk.GetArrayFromImage(image)
    assert values.min() >= 0
    assert values.max() <= 255
    record = result.reference
    assert record["to_size"] == list(image.GetSize())
    assert any("was brought from" in warning for warning in result.warnings)
    assert json.loads((out / "result.json").read_text())["reference"] == record
    if source is not None and source.GetDimension() == 3:
        middle = [(n - 1) / 2 for n in source.GetSize()]
        there = source.TransformContinuousIndexToPhysicalPoint(middle)
        here = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
        np.testing.assert_allclose(here, there, atol=1e-3)


@pytest.mark.parametrize("name", RUN)
def test_the_lesion_is_where_it_was_asked_and_its_mask_measures_it(made, name):
    out, result = made(name)
    _, _, kind, center, diameter, _ = CASES[name]
    (lesion,) = result.lesions
    assert lesion.drawn["kind"] == kind
    assert lesion.diameter_mm == pytest.approx(diameter, rel=0.06)
    assert np.linalg.norm(np.subtract(lesion.centroid_mm, center)) < 0.15 * diameter
    assert np.isfinite(lesion.mean_around)
    assert set(np.unique(array(out / "pathology_01.nrrd"))) == {0, 1}


@pytest.mark.parametrize("name", RUN)
def test_the_dicom_is_of_the_right_class_and_reads_back_equal(made, name):
    out, result = made(name)
    files = sorted((out / "dicom" / "image").glob("*.dcm"))
    first = pydicom.dcmread(files[0])
    modality = CASES[name][-1]
    assert (first.Modality, first.SOPClassUID) == (modality, CLASSES[modality])
    expected = array(out / "image.nrrd")
    names = [str(file) for file in files]
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(names)), expected)
    assert np.array_equal(np.stack([pydicom.dcmread(f).pixel_array for f in files]), expected)
    assert first.PhotometricInterpretation == "MONOCHROME2"
    if modality in ("CR", "DX") and result.reference["pixel_size_known"]:
        size = sitk.ReadImage(str(out / "image.nrrd")).GetSpacing()[:2]
        np.testing.assert_allclose(first.ImagerPixelSpacing, size, atol=1e-6)
    if modality == "CT":
        assert first.RescaleType == "US"
    if CASES[name][0] in ("mr", "ct"):
        there = sitk.ReadImage(str(out / "image.nrrd"))
        back = sitk.ReadImage(names)
        np.testing.assert_allclose(back.GetOrigin(), there.GetOrigin(), atol=1e-3)
        np.testing.assert_allclose(back.GetSpacing(), there.GetSpacing(), atol=1e-4)
    sources = first.get("SourceImageSequence", [])
    assert [source.SpatialLocationsPreserved for source in sources] in ([], ["NO"])
    segments = highdicom.seg.segread(out / "dicom" / "seg" / "0001.dcm").SegmentSequence
    assert len(segments) == 1


@pytest.mark.parametrize("name", RUN)
def test_validators_have_nothing_new_to_say(made, needs_tool, name):
    out, _ = made(name)
    tools = {tool: needs_tool(tool, "dicom3tools") for tool in ("dciodvfy", "dcentvfy")}
    if CASES[name][-1] != "CT":
        assert_clean(out / "dicom", **tools)
        return
    found = dciodvfy_complaints(dicom_files(out / "dicom"), tools["dciodvfy"])
    assert set(found) == {NOT_HU}


@pytest.mark.parametrize("name", ["png", "16-bit png", "ct png"])
def test_a_picture_is_scaled_and_never_stretched(folder, name):
    preset = presets.get(CASES[name][1])
    asked = request(folder, name)
    prepared = plan.prepare(asked, preset=preset, listener=lambda event: None)
    record = prepared.preprocessing.record
    columns, rows, _ = record["from_size"]
    assert record["pixels_per_pixel"] == pytest.approx(max(rows, columns) / 256, abs=1e-4)
    assert record["pixel_size_known"] is False
    assert any("anatomy.pixel_mm" in warning for warning in prepared.warnings)
    values = sitk.GetArrayFromImage(prepared.reference.image)[0]
    assert values.shape == (256, 256)
    # A body that is 0.88 of 120 columns and 150 rows high keeps these proportions.
    if name == "png":
        shown = np.argwhere(values > 100)
        high, wide = np.ptp(shown, axis=0) + 1
        assert wide / high == pytest.approx(0.88 * 120 / 150, abs=0.02)


def test_monochrome1_and_windows_give_the_same_film(folder):
    prepared = {
        name: plan.prepare(
            request(folder, name), preset=presets.get("chest_xray"), listener=lambda event: None
        )
        for name in ("dx", "monochrome1", "16-bit png", "png")
    }
    plain, *others = (
        sitk.GetArrayFromImage(prepared[name].reference.image)
        for name in ("png", "dx", "monochrome1")
    )
    for other in others:
        assert np.abs(other - plain).max() <= 1
    how = prepared["monochrome1"].preprocessing.record["gray_values"]
    assert how == "the file's window 3071 / 2048"
    assert "percentile" in prepared["16-bit png"].preprocessing.record["gray_values"]


def test_a_ct_in_hu_is_shown_in_the_window_of_the_domain(folder):
    prepared = plan.prepare(
        request(folder, "ct"), preset=presets.get("brain_ct"), listener=lambda event: None
    )
    values = sitk.GetArrayFromImage(prepared.reference.image)
    middle = values[2, 128, 128]
    assert middle == pytest.approx(33 / 80 * 255, abs=5)
    assert prepared.preprocessing.record["gray_values"] == "the window 40 / 80 HU"


def test_a_result_goes_in_again_as_it_is(folder, made, tmp_path):
    """On the grid and in gray values nothing is left to do, from DICOM and from NRRD."""
    out, _ = made("mr")
    for image in (out / "image.nrrd", out / "dicom" / "image"):
        again = request(folder, "mr", anatomy={"image": str(image)})
        prepared = plan.prepare(again, preset=presets.get("brain_mri"), listener=lambda event: None)
        assert prepared.preprocessing.record == {}
        kept = sitk.GetArrayFromImage(prepared.reference.image)
        assert np.array_equal(kept, array(out / "image.nrrd"))


def test_keeping_the_background_keeps_the_fitted_reference(folder, tmp_path):
    made = request(folder, "mr", background="keep")
    prepared = plan.prepare(made, preset=presets.get("brain_mri"), listener=lambda event: None)
    pipeline.run(made, tmp_path / "out")
    before = sitk.GetArrayFromImage(prepared.reference.image)
    after = array(tmp_path / "out" / "image.nrrd")
    (region,) = prepared.regions
    outside = np.ones(before.shape, bool)
    outside[region.first : region.last + 1] = region.weights == 0
    assert outside.any()
    assert np.array_equal(after[outside], before[outside])
    assert not np.array_equal(after, before)


def test_a_picture_of_a_mask_lies_on_the_pixels_of_its_film(folder, tmp_path):
    mask = np.zeros((150, 120), np.uint8)
    mask[60:80, 28:44] = 255
    write_picture(tmp_path / "mask.png", mask)
    base = request(folder, "png")
    roi = replace(base.pathologies[0], roi=tmp_path / "mask.png", center_mm=None, diameter_mm=None)
    for size in (None, 0.25):
        asked = replace(base, pathologies=(roi,), anatomy=replace(base.anatomy, pixel_mm=size))
        prepared = plan.prepare(
            asked, preset=presets.get("chest_xray"), listener=lambda event: None
        )
        inside = sitk.GetArrayFromImage(prepared.regions[0].lesion.mask)[0] > 0
        middle = np.argwhere(inside).mean(axis=0)
        left = (256 - 120 * 256 / 150) / 2
        expected = (69.5 * 256 / 150, left + 35.5 * 256 / 150)
        np.testing.assert_allclose(middle, expected, atol=1.5)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("ct", {"preset": "brain_mri"}, "is a CT image, preset brain_mri takes MR"),
        ("mr", {"preset": "chest_xray"}, "is a MR image, preset chest_xray takes DX or CR"),
        (
            "nifti",
            {"preset": "chest_xray"},
            "has 5 slices, preset chest_xray takes one projection image",
        ),
        ("dx", {"anatomy": {"pixel_mm": 0.2}}, "says its pixel size itself, 1.5 mm"),
        ("dx", {"anatomy": {"view": "AP"}}, r"says it \(PA\)"),
    ],
)
def test_what_a_network_never_saw_is_refused(folder, tmp_path, name, changes, message):
    if "preset" in changes:
        changes = {**changes, "pathologies": [], "weights": f"{changes['preset']}.safetensors"}
    with pytest.raises(ValueError, match=message):
        pipeline.run(request(folder, name, **changes), tmp_path / "out", dry_run=True)


@pytest.mark.parametrize("preset", DOMAINS)
def test_without_weights_one_clear_error(folder, tmp_path, monkeypatch, preset):
    monkeypatch.setattr("medsynth.networks.model_store.folders", lambda: [tmp_path])
    asked = parse({"preset": preset, "anatomy": {"image": "film.png"}}, folder)
    expected = f"no weights {preset}_256.safetensors in .*; train them with"
    with pytest.raises(Exception, match=expected):
        pipeline.run(asked, tmp_path / "out")

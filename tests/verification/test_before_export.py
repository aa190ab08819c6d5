"""Before a result is sent: its DICOM pixels are those of the run, or marked."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from medsynth import dicom, domains
from medsynth.marking.keys import PRODUCT
from medsynth.marking.pixels import marked
from medsynth.pipeline.marks import digest_of
from medsynth.verification.before_export import doubts, image_doubts

HU = domains.get("lung_ct").mark_limits


def written(volume, out, digests):
    image = sitk.GetImageFromArray(volume)
    image.SetSpacing((0.7, 0.7, 2.0))
    preset = domains.get("lung_ct")
    job = dicom.ExportJob("test", title=preset.title)
    dicom.write_series(
        image,
        out / "dicom" / "image",
        preset=preset,
        job=job,
        derivation="A test.",
        from_patient=False,
    )
    (out / "result.json").write_text(json.dumps({"digests": digests}))


@pytest.fixture(scope="module")
def plain():
    rng = np.random.default_rng(3)
    noise = [25 * ndimage.gaussian_filter(rng.normal(size=(200, 220)), 0.7) for _ in range(2)]
    return np.rint(40 + np.stack(noise)).astype(np.int16)


def test_the_pixels_of_the_run_raise_no_doubt(plain, tmp_path):
    written(plain, tmp_path, {"0": digest_of(plain[0]), "1": digest_of(plain[1])})
    assert doubts(tmp_path) is None
    assert doubts(tmp_path / "dicom" / "image") is None


def test_other_pixels_under_the_same_tags_do(plain, tmp_path):
    written(plain, tmp_path, {"0": digest_of(plain[0] + 1), "1": digest_of(plain[1])})
    assert "1 of 2 synthesized slices" in doubts(tmp_path)
    assert "1 of 2 synthesized slices" in doubts(tmp_path / "dicom")


def test_changed_pixels_with_the_mark_do_not(plain, tmp_path):
    made = np.stack([marked(p, 1.0, key=PRODUCT, limits=HU) for p in plain])
    written(made, tmp_path, {"0": digest_of(made[0] + 1)})
    assert doubts(tmp_path) is None


def test_images_that_cannot_be_read_are_said(plain, tmp_path):
    written(plain, tmp_path, {"0": digest_of(plain[0])})
    for file in (tmp_path / "dicom" / "image").iterdir():
        file.write_bytes(file.read_bytes()[:2000])
    assert "cannot be compared" in doubts(tmp_path)


def test_the_volume_of_a_result_is_looked_at_too(plain, tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(plain), str(tmp_path / "image.nrrd"))
    digests = {"0": digest_of(plain[0]), "1": digest_of(plain[1])}
    (tmp_path / "result.json").write_text(json.dumps({"digests": digests}))
    assert image_doubts(tmp_path) is None
    sitk.WriteImage(sitk.GetImageFromArray(plain + 1), str(tmp_path / "image.nrrd"))
    assert "2 of 2 synthesized slices" in image_doubts(tmp_path)


def test_results_of_earlier_versions_are_not_looked_at(plain, tmp_path):
    written(plain, tmp_path, {})
    assert doubts(tmp_path) is None
    (tmp_path / "result.json").unlink()
    assert doubts(tmp_path) is None

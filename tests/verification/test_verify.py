"""`medsynth verify`: every layer by itself, on files of every format, as another program left them."""

import json

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image
from scipy import ndimage

import medsynth
from medsynth import domains
from medsynth.cli.app import main
from medsynth.images import write_image
from medsynth.marking import png_chunks
from medsynth.marking.keys import PRODUCT
from medsynth.marking.pixels import marked
from medsynth.pipeline.marks import digest_of
from medsynth.verification.pixel_layer import look, map_of

HU = domains.get("lung_ct").mark_limits


def noise_volume(seed=0, slices=2, size=(200, 220)):
    """Whole HU of smooth tissue with noise, (k, j, i) int16."""
    rng = np.random.default_rng(seed)
    noise = [25 * ndimage.gaussian_filter(rng.normal(size=size), 0.7) for _ in range(slices)]
    return np.rint(40 + np.stack(noise)).astype(np.int16)


@pytest.fixture(scope="module")
def plain():
    return noise_volume()


@pytest.fixture(scope="module")
def volume(plain):
    return np.stack([marked(plane, 1.0, key=PRODUCT, limits=HU) for plane in plain])


def states(verification):
    return {finding.layer: finding.synthetic for finding in verification.findings}


def lines(**said):
    """All five, those not named could not look."""
    return dict.fromkeys(("header", "signature", "C2PA", "pixels", "registry")) | said


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_a_volume_says_it_by_header_and_by_pixels(suffix, volume, tmp_path):
    path = tmp_path / f"image{suffix}"
    write_image(sitk.GetImageFromArray(volume), path)
    found = medsynth.verify(path)
    assert states(found) == lines(header=True, pixels=True)
    assert found.verdict == "SYNTHETIC (header, pixels)"
    assert found.slices == (0, 1)


def test_another_programs_file_still_says_it_by_its_pixels(volume, tmp_path):
    path = tmp_path / "copy.nii.gz"
    nibabel.save(nibabel.Nifti1Image(volume.T.copy(), np.eye(4)), path)
    assert states(medsynth.verify(path)) == lines(header=False, pixels=True)


def test_a_real_image_says_nothing(plain, tmp_path):
    path = tmp_path / "real.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(plain), str(path))
    found = medsynth.verify(path)
    assert states(found) == lines(header=False, pixels=False)
    assert not found.synthetic
    assert "does not prove that it is real" in found.verdict


@pytest.mark.slow
def test_arrays_and_pictures(volume, tmp_path):
    picture = np.clip((volume[0] + 160) / 400 * 255, 0, 255).astype(np.uint8)
    assert states(medsynth.verify(volume[0]))["pixels"] is True
    Image.fromarray(picture).save(tmp_path / "shot.png")
    Image.fromarray(picture).save(tmp_path / "marked.png", pnginfo=png_chunks())
    Image.fromarray(picture).save(tmp_path / "shot.jpg", quality=90)
    assert states(medsynth.verify(tmp_path / "shot.png"))["header"] is False
    assert states(medsynth.verify(tmp_path / "marked.png"))["header"] is True
    for name in ("shot.png", "shot.jpg"):
        assert states(medsynth.verify(tmp_path / name))["pixels"] is True


def test_a_picture_in_color_says_it_by_its_text_and_by_its_luminance(volume, plain, tmp_path):
    """Such as a screenshot with a colored outline; preview.png is one with panels of other images."""
    for name, values in (("marked", volume[0]), ("plain", plain[0])):
        gray = np.clip((values + 160) / 400 * 255, 0, 255).astype(np.uint8)
        shot = np.stack([gray] * 3, axis=-1)
        shot[60:64, 40:120] = (255, 190, 0)
        Image.fromarray(shot).save(tmp_path / f"{name}.png")
    picture = Image.new("RGB", (40, 30), (200, 100, 0))
    picture.save(tmp_path / "said.png", pnginfo=png_chunks())
    assert states(medsynth.verify(tmp_path / "marked.png"))["pixels"] is True
    assert not medsynth.verify(tmp_path / "plain.png").synthetic
    assert medsynth.verify(tmp_path / "said.png").verdict == "SYNTHETIC (header)"


def test_the_registry_knows_the_values_of_a_slice(plain, tmp_path):
    (tmp_path / "run").mkdir()
    record = {"digests": {"0": digest_of(plain[0])}}
    (tmp_path / "run" / "result.json").write_text(json.dumps(record))
    (tmp_path / "run" / "broken").mkdir()
    (tmp_path / "run" / "broken" / "result.json").write_text("[")
    assert states(medsynth.verify(plain, registry=[tmp_path]))["registry"] is True
    assert states(medsynth.verify(plain + 1, registry=[tmp_path]))["registry"] is False


@pytest.mark.slow
def test_the_map_shows_which_part_is_marked():
    plain = noise_volume(1, 6, (256, 384))
    weight = np.zeros(plain.shape[1:], np.float32)
    weight[:, :192] = 1
    half = np.stack([marked(p, weight, key=PRODUCT, limits=HU) for p in plain])
    finding = look(half)
    assert finding.marked
    shown = map_of(half, finding)
    assert shown[:, 0].min() > 4
    assert shown[:, -1].max() < 4


def test_too_small_an_image_is_not_judged_by_its_pixels():
    assert states(medsynth.verify(np.zeros((20, 30))))["pixels"] is None


@pytest.mark.slow
def test_the_command_says_it_in_lines_in_json_and_by_its_exit_code(volume, plain, tmp_path, capsys):
    write_image(sitk.GetImageFromArray(volume), tmp_path / "made.nrrd")
    sitk.WriteImage(sitk.GetImageFromArray(plain), str(tmp_path / "real.nrrd"))
    made, real = str(tmp_path / "made.nrrd"), str(tmp_path / "real.nrrd")
    assert main(["verify", made, "--progress", "none"]) == 0
    assert "SYNTHETIC (header, pixels)" in capsys.readouterr().out
    assert main(["verify", made, real, "--json", "--progress", "none"]) == 3
    read = json.loads(capsys.readouterr().out)
    assert [each["synthetic"] for each in read] == [True, False]
    assert main(["verify", "--progress", "none"]) == 2
    assert main(["verify", str(tmp_path / "none.png"), "--progress", "none"]) == 2


def test_a_dicom_file_says_it_by_its_tags(volume, tmp_path):
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = pydicom.uid.CTImageStorage
    dataset.SOPInstanceUID = pydicom.uid.generate_uid()
    dataset.SyntheticData, dataset.SeriesDescription = "YES", "SYNTHETIC lung"
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    from medsynth.verification.header_layer import mark_in_header

    assert mark_in_header(tmp_path / "a.dcm") == "Synthetic Data is YES; SYNTHETIC lung"
    assert mark_in_header(tmp_path) == "Synthetic Data is YES; SYNTHETIC lung"
    del dataset.SyntheticData
    dataset.save_as(tmp_path / "b.dcm", enforce_file_format=True)
    assert mark_in_header(tmp_path) is None

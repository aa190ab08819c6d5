"""The hosted service: what leaves this machine, what is paid, what its faults become."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from image_service import KEY, ImageService, image_service, picture
from PIL import Image

from medsynth import marking
from medsynth.cli import app as cli
from medsynth.generators import hosted_images
from medsynth.generators.image_folder import _marked
from medsynth.generators.systems import image_api
from medsynth.marking.detection import detect, scores_of
from medsynth.marking.keys import PRODUCT

pytest.importorskip("openai", reason="needs the package openai (extra image-api)")


@pytest.fixture(autouse=True)
def key_in_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("MEDSYNTH_IMAGE_API_KEY", raising=False)
    monkeypatch.setattr(image_api, "FIRST_WAIT_S", 0.01)


def generate(url, out, *more, count=1, prompt="chest x-ray, frontal"):
    words = ["generate", "image_api", "-o", out, "--prompt", prompt, "--count", count]
    return cli.main([str(w) for w in [*words, "--set", f"base_url={url}", *more]])


def result(out):
    return json.loads((out / "result.json").read_text())


def everything(folder):
    return b"".join(path.read_bytes() for path in Path(folder).rglob("*") if path.is_file())


def test_an_image_is_gray_marked_and_its_original_kept(tmp_path):
    service = ImageService()
    with image_service(service) as url:
        assert generate(url, tmp_path / "out") == 0
    (original,) = (tmp_path / "out/originals").iterdir()
    key = service.headers[0]["idempotency-key"]
    assert original.read_bytes() == picture("chest x-ray, frontal", key)
    with Image.open(tmp_path / "out/images/000001.png") as made, Image.open(original) as colors:
        assert made.text[marking.KEY] == marking.TEXT
        expected = np.rint(np.asarray(colors, np.float32).mean(axis=2))
        change = np.asarray(made, np.float32) - expected
        assert np.abs(change).max() <= 2  # the stripes are noise of more than five gray values
    assert result(tmp_path / "out")["made"] == 1
    assert result(tmp_path / "out")["images"][0]["pixel_mark"]["key"] == "product"


@pytest.mark.parametrize(
    ("dtype", "step", "preset"),
    [("uint8", 2, ""), ("uint16", 514, ""), ("float32", 3, "lung_ct"), ("float32", 2, "brain_mri")],
)
def test_what_another_system_made_is_marked_in_its_pixels(dtype, step, preset):
    rng = np.random.default_rng(0)
    size = 257 if dtype == "uint16" else 1
    values = (size * np.rint(rng.normal(120, 6, (256, 256)))).astype(dtype)
    after = _marked(values, preset)
    assert after.dtype == values.dtype
    assert 0 < np.abs(after.astype(float) - values).max() <= step
    assert detect(*scores_of(after), PRODUCT).marked
    assert not detect(*scores_of(values), PRODUCT).marked


def test_only_prompt_model_and_size_leave_this_machine(tmp_path):
    service = ImageService()
    with image_service(service) as url:
        assert generate(url, tmp_path / "out", "--preset", "chest_xray", "--dicom") == 0
    assert json.loads(service.bodies[0]) == {
        "prompt": "chest x-ray, frontal",
        "model": image_api.MODEL,
        "size": image_api.SIZE,
        "n": 1,
    }
    assert KEY.encode() not in everything(tmp_path)


def test_it_becomes_a_marked_dicom_film(tmp_path):
    import pydicom

    with image_service(ImageService()) as url:
        assert generate(url, tmp_path / "out", "--preset", "chest_xray", "--dicom") == 0
    (file,) = (tmp_path / "out/dicom/000001").glob("*.dcm")
    film = pydicom.dcmread(file)
    assert (film.Modality, film.SyntheticData) == ("DX", "YES")
    with Image.open(tmp_path / "out/images/000001.png") as made:
        assert np.array_equal(film.pixel_array, np.asarray(made))


def test_gray_values_do_not_become_hu(tmp_path, capsys):
    with image_service(ImageService()) as url:
        assert generate(url, tmp_path / "out", "--preset", "lung_ct", "--dicom") == 2
    assert "whose HU nobody knows" in capsys.readouterr().err


@pytest.mark.slow
def test_busy_services_are_asked_again_and_refusals_are_not(tmp_path, capsys):
    faults = {1: "429", 2: "500", 3: "503", 5: "refused"}
    service = ImageService(fault=lambda number, prompt: faults.get(number))
    with image_service(service) as url:
        assert generate(url, tmp_path / "out", count=2) == 0
        assert generate(url, tmp_path / "out", count=2) == 0  # nothing is left to ask for
    said = capsys.readouterr().err
    assert service.calls == 5
    assert result(tmp_path / "out")["made"] == 1
    assert "moderation_blocked" in result(tmp_path / "out")["refused"]["000002"]
    assert KEY not in said
    assert "\x1b[31m" not in said


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["hang", "truncated", "no picture", "closed"])
def test_a_lost_answer_is_not_paid_twice(tmp_path, fault):
    service = ImageService(fault=lambda number, prompt: fault if number == 1 else None, hang_s=0.6)
    timeout = ("--set", "timeout_s=0.3")
    with image_service(service) as url:
        for _ in range(2):  # nor in the next run
            assert generate(url, tmp_path / "out", *timeout) == 0
            assert (service.calls, result(tmp_path / "out")["made"]) == (1, 0)
            assert "may have been paid for" in result(tmp_path / "out")["open"]["000001"]
        repeat = ("--set", "unanswered=repeat")
        assert generate(url, tmp_path / "out", *timeout, *repeat) == 0
    assert result(tmp_path / "out")["made"] == 1
    assert set(service.paid.values()) == {1}


def test_a_cost_above_the_limit_is_refused_before_the_first_call(tmp_path, capsys):
    service = ImageService()
    limit = ("--set", "price=0.04", "--set", "max_cost=0.1")
    with image_service(service) as url:
        assert generate(url, tmp_path / "out", *limit, count=3) == 2
    assert service.calls == 0
    assert "pays for 2" in capsys.readouterr().err


@pytest.mark.slow
def test_lost_calls_count_as_paid(tmp_path, capsys):
    service = ImageService(fault=lambda number, prompt: "truncated", honors_keys=False)
    limit = ("--set", "price=1", "--set", "max_cost=3")
    with image_service(service) as url:
        assert generate(url, tmp_path / "out", *limit, count=2) == 0
        assert service.calls == 2
        again = ("--set", "unanswered=repeat", "--set", "patience_s=60")
        assert generate(url, tmp_path / "out", *limit, *again, count=2) == 2
    assert service.calls == sum(service.paid.values()) == 3
    assert "pays for 3" in capsys.readouterr().err


def test_a_wrong_key_stops_at_once_and_is_not_repeated_in_words(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-9876543210")
    service = ImageService()
    with image_service(service) as url:
        assert generate(url, tmp_path / "out", count=5) == 2
    assert service.calls == 1
    assert "does not accept the key" in (said := capsys.readouterr().err)
    assert "sk-wrong" not in said
    assert b"sk-wrong" not in everything(tmp_path)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://example.org/v1", "expected https"),
        ("https://me:secret@example.org", "holds a name or a password"),
        ("ftp://127.0.0.1", "expected https"),
    ],
)
def test_an_address_that_would_show_the_key_is_refused(address, words):
    with pytest.raises(ValueError, match=words):
        hosted_images.check_address(address)


def test_without_a_key_nothing_is_asked(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setattr(hosted_images, "_from_keyring", lambda: None)
    assert generate("http://127.0.0.1:9/v1", tmp_path / "out") == 2
    assert "needs a key" in capsys.readouterr().err


def test_the_missing_extra_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "openai", None)
    assert generate("http://127.0.0.1:9/v1", tmp_path / "out") == 2
    assert "pip install 'medsynth-slicer[image-api]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("--class edema", "takes none"),
        ("--set sice=3", "no such option"),
        ("--set unanswered=maybe", "expected skip or repeat"),
        ("--set max_cost=3", "needs --set price"),
        ("--set price=cheap", "expected a number"),
        ("--dicom", "needs --preset"),
    ],
)
def test_what_it_cannot_follow_is_refused(tmp_path, more, words, capsys):
    assert generate("http://127.0.0.1:9/v1", tmp_path / "out", *more.split()) == 2
    assert words in capsys.readouterr().err


def test_a_folder_goes_on_only_with_the_same_request(tmp_path, capsys):
    with image_service(ImageService()) as url:
        assert generate(url, tmp_path / "out") == 0
        assert generate(url, tmp_path / "out", prompt="a brain") == 2
    assert "images of another request" in capsys.readouterr().err


@pytest.mark.slow
def test_a_damaged_image_is_asked_for_again(tmp_path):
    service = ImageService()
    with image_service(service) as url:
        assert generate(url, tmp_path / "out", count=2) == 0
        (tmp_path / "out/images/000002.png").write_bytes(b"half")
        assert generate(url, tmp_path / "out", count=2) == 0
    assert service.calls == 3
    assert len(service.paid) == 2  # the same key: a service that honors it is not paid again

"""`medsynth sign`, and how `medsynth verify` reads what it wrote: signature and C2PA, each by itself."""

import json

import numpy as np
import pydicom
import pytest
from made_dicom import hounsfield, oblique_image, write_made
from PIL import Image

import medsynth
from medsynth.cli.app import main
from medsynth.marking import png_chunks

pytest.importorskip("c2pa")


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    monkeypatch.delenv("MEDSYNTH_SIGNING_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))


@pytest.fixture
def out(tmp_path):
    """As a synthesis leaves it: DICOM, and a marked picture."""
    write_made(tmp_path / "out" / "dicom", oblique_image(hounsfield((3, 60, 70))))
    picture = Image.fromarray(np.zeros((70, 70), np.uint8))
    picture.save(tmp_path / "out" / "preview.png", pnginfo=png_chunks())
    return tmp_path / "out"


def sign(*arguments):
    return main(["sign", *map(str, arguments), "--progress", "none"])


def said(path, layer):
    return next(each for each in medsynth.verify(path).findings if each.layer == layer)


@pytest.mark.slow
def test_a_result_is_signed_and_both_layers_say_so(out, capsys):
    assert sign("--new-key", "Dr. Test") == 0
    assert sign(out) == 0
    series, picture = out / "dicom" / "image", out / "preview.png"
    signature, manifest = said(series, "signature"), said(picture, "C2PA")
    assert signature.synthetic
    assert signature.words == "unchanged since Dr. Test signed (certificate not checked)"
    assert manifest.synthetic
    assert "signed by Dr. Test (certificate not checked)" in manifest.words
    assert said(picture, "signature").synthetic is None
    assert said(series, "C2PA").synthetic is None
    capsys.readouterr()
    assert main(["verify", str(series), "--json", "--progress", "none"]) == 0
    (read,) = json.loads(capsys.readouterr().out)
    order = ["header", "signature", "C2PA", "pixels", "registry"]
    assert [each["layer"] for each in read["findings"]] == order
    assert read["verdict"] == "SYNTHETIC (header, signature)"


@pytest.mark.slow
def test_signing_again_changes_nothing(out):
    sign("--new-key", "Dr. Test")
    sign(out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert sign(out) == 0
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.slow
def test_one_changed_slice_of_a_series_is_said(out):
    sign("--new-key", "Dr. Test")
    sign(out)
    file = out / "dicom" / "image" / "0002.dcm"
    dataset = pydicom.dcmread(file)
    pixels = bytearray(dataset.PixelData)
    pixels[100] ^= 1
    dataset.PixelData = bytes(pixels)
    dataset.save_as(file)
    found = said(file.parent, "signature")
    assert found.synthetic is None
    assert "Dr. Test: the object was changed since" in found.words


@pytest.mark.slow
def test_a_slice_without_signature_is_counted(out):
    sign("--new-key", "Dr. Test")
    sign(out / "dicom" / "image" / "0001.dcm", out / "dicom" / "image" / "0003.dcm")
    assert said(out / "dicom" / "image", "signature").words.startswith("2 of 3 objects unchanged")


def test_without_a_key_pictures_get_a_self_made_certificate_and_dicom_is_refused(out, capsys):
    assert sign(out / "preview.png") == 0
    assert "self-made certificate" in capsys.readouterr().out
    assert "self-made" in said(out / "preview.png", "C2PA").words
    assert sign(out / "dicom") == 2
    assert "--new-key" in capsys.readouterr().err


def test_what_is_not_marked_is_not_signed(tmp_path, capsys):
    Image.fromarray(np.zeros((70, 70), np.uint8)).save(tmp_path / "real.png")
    before = (tmp_path / "real.png").read_bytes()
    assert sign(tmp_path / "real.png") == 2
    assert "does not say in its header" in capsys.readouterr().err
    assert (tmp_path / "real.png").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "at least one FILE"),
        (["nothing.png"], "is not there"),
        (["empty"], "holds no DICOM, PNG or JPEG"),
        (["words.txt"], "is no DICOM, PNG or JPEG"),
        (["--new-key", " "], "1 to 64 characters"),
        (["words.txt", "--new-key", "A"], "takes no FILE"),
        (["set/layouts/png/a.png"], "belongs to a data set"),
    ],
)
def test_wrong_use_is_one_line(arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.txt").write_text("words")
    (tmp_path / "set" / "layouts" / "png").mkdir(parents=True)
    (tmp_path / "set" / "plan.jsonl").write_text("")
    picture = Image.fromarray(np.zeros((9, 9), np.uint8))
    picture.save(tmp_path / "set" / "layouts" / "png" / "a.png", pnginfo=png_chunks())
    assert sign(*arguments) == 2
    assert words in capsys.readouterr().err

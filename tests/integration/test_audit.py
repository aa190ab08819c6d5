"""From training images to a refused export: audit a copy and a stranger, send both."""

import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from pacs_faults import storage_scp
from pacs_objects import make_out
from scipy import ndimage

from medsynth import dicom
from medsynth import domains as presets
from medsynth.cli import app as cli
from medsynth.cli import audit as command
from medsynth.pacs.outbox import Outbox
from medsynth.records.audit import Audit

PRESET = presets.get("lung_ct")
RECIPE = """\
preset: lung_ct
data: {held_out: [P3]}
phases: [{steps: 1, batch_size: 1}]
"""


def chest(seed, slices=5):
    """Slices (N, 512, 512) of a patient: outline and lung of his own, neighbors alike."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((512, 512)) - 256.0
    angle = np.arctan2(rows, columns)
    radius = np.hypot(rows / rng.uniform(170, 220), columns / rng.uniform(190, 235))
    for n in range(2, 12):
        radius = radius + rng.normal(0, 0.02) * np.cos(n * angle + rng.uniform(0, 6.3))
    coarse = ndimage.zoom(ndimage.gaussian_filter(rng.normal(size=(64, 64)), 4), 8, order=1)
    detail = ndimage.gaussian_filter(rng.normal(size=(slices, 512, 512)), (0, 2.5, 2.5))
    lung = 300 * coarse / coarse.std() + 80 * detail / detail.std() - 700
    body = np.where(radius < 0.75, lung, 40)
    smooth = ndimage.gaussian_filter(np.where(radius < 1, body, -1000), (0, 1.5, 1.5))
    return np.rint(np.clip(smooth + rng.normal(0, 12, smooth.shape), -1024, 3000))


def as_image(values):
    image = sitk.GetImageFromArray(values.astype(np.int16))
    image.SetSpacing((0.7, 0.7, 3.0))
    return image


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for seed in range(4):
        options = {
            "preset": PRESET,
            "job": dicom.ExportJob(f"made up {seed}"),
            "derivation": "made up",
        }
        dicom.write_series(as_image(chest(seed)), root / f"P{seed}" / "ct", **options)
    recipe = root.parent / "recipe.yaml"
    recipe.write_text(RECIPE)
    return root, recipe


def result(folder, values):
    """An OUT folder as `medsynth synthesize` leaves it, as far as the audit and sending read it."""
    make_out(folder, len(values))
    sitk.WriteImage(as_image(values), str(folder / "image.nrrd"))
    (folder / "request.yaml").write_text("preset: lung_ct\n")
    (folder / "result.json").write_text(json.dumps({"slices": [0, len(values) - 1]}))
    return folder


@pytest.fixture(scope="module")
def audited(data, tmp_path_factory):
    """A flipped and shifted copy of a training image among strangers' slices, and a stranger alone."""
    folder = tmp_path_factory.mktemp("results")
    copy = np.roll(chest(1)[1][:, ::-1], (20, -11), (0, 1)) * 0.98
    outs = [
        result(folder / "copied", np.stack([chest(50, 1)[0], copy])),
        result(folder / "fresh", chest(51, 1)),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDSYNTH_HOME", str(folder / "home"))
        words = ["audit", *map(str, outs), "--data", str(data[0]), "--recipe", str(data[1])]
        code = cli.main([*words, "--progress", "none"])
    return folder, code


def test_the_audit_names_the_image_that_was_copied(audited):
    folder, code = audited
    assert code == command.NEAR_COPY
    copied, fresh = (Audit.read(folder / name) for name in ("copied", "fresh"))
    assert (copied.verdict, fresh.verdict) == ("near copy", "clear")
    worst = copied.copies[0]
    assert (worst.slice, worst.training_image) == (1, "P1/ct slice 2")
    assert copied.training["images"] == 15
    assert copied.controls["detection"]["neighboring slice"]["tried"] > 0
    assert (folder / "copied" / "audit.png").is_file()
    assert not (folder / "fresh" / "audit.png").exists()  # no patient's image where none was copied


def test_thresholds_are_found_once_for_a_folder_of_images(audited, data, monkeypatch):
    folder, _ = audited
    monkeypatch.setenv("MEDSYNTH_HOME", str(folder / "home"))
    monkeypatch.setattr(
        "medsynth.evaluation.memorization.audit.calibrate",
        lambda *_, **__: pytest.fail("the thresholds were kept"),
    )
    words = ["audit", str(folder / "fresh"), "--data", str(data[0]), "--recipe", str(data[1])]
    assert cli.main([*words, "--progress", "none"]) == 0


def medsynth(capsys, *words):
    code = cli.main([str(word) for word in words])
    return code, capsys.readouterr().err


def test_a_near_copy_is_not_sent_unless_named(audited, tmp_path, monkeypatch, capsys):
    folder, _ = audited
    out = tmp_path / "copied"
    shutil.copytree(folder / "copied", out)
    monkeypatch.setenv("MEDSYNTH_HOME", str(tmp_path / "home"))
    with storage_scp() as (port, archive):
        where = ["--host", "127.0.0.1", "--port", port, "--aet", "FAULTY", "--settle", 0]
        assert medsynth(capsys, "pacs", "add", "peer", *where)[0] == 0
        for place in (out, out / "dicom"):
            code, words = medsynth(capsys, "send", place, "--to", "peer")
            assert code == 2
            assert "P1/ct slice 2" in words
            assert "--allow-near-copy copied" in words
        assert archive.order == []
        assert Outbox(tmp_path / "home" / "outbox").jobs()[0] == []

        code, words = medsynth(
            capsys, "send", out, "--to", "peer", "--allow-near-copy", "copied", "--attempts", 1
        )
        assert "NEAR COPY allowed by" in words
        assert archive.order
    (entry,) = Audit.read(out).allowed
    assert "peer" in entry.to
    (job,) = Outbox(tmp_path / "home" / "outbox").jobs()[0]
    assert any(text.startswith("NEAR COPY allowed by") for _, text in job.notes)


def test_what_waits_in_the_outbox_is_refused_once_it_is_found_out(
    audited, tmp_path, monkeypatch, capsys
):
    folder, _ = audited
    out = tmp_path / "copied"
    shutil.copytree(folder / "copied", out)
    found = (out / "audit.json").read_bytes()
    (out / "audit.json").unlink()
    monkeypatch.setenv("MEDSYNTH_HOME", str(tmp_path / "home"))
    with storage_scp() as (port, _):
        where = ["--host", "127.0.0.1", "--port", port, "--aet", "FAULTY", "--settle", 0]
        assert medsynth(capsys, "pacs", "add", "peer", *where)[0] == 0
    # Nobody listens there now: the job waits.
    code, words = medsynth(capsys, "send", out, "--to", "peer", "--attempts", 1)
    assert code == 3
    assert "copied: not audited" in words
    (job,) = Outbox(tmp_path / "home" / "outbox").jobs()[0]
    (out / "audit.json").write_bytes(found)
    code, words = medsynth(capsys, "outbox", "retry", job.id, "--attempts", 1)
    assert code == 2
    assert "may be a copy" in words
    assert medsynth(capsys, "audit", out, "--allow-near-copy", "copied")[0] == 0
    assert medsynth(capsys, "outbox", "retry", job.id, "--attempts", 1)[0] == 3


def test_refusals_are_one_line(audited, data, tmp_path, capsys):
    folder, _ = audited
    root, recipe = data
    for words, expected in [
        ((tmp_path,), "has no image.nrrd"),
        ((folder / "fresh",), "--data FOLDER --recipe NAME"),
        ((folder / "fresh", "--data", root, "--recipe", "mammography"), "is of preset lung_ct"),
        ((folder / "fresh", "--allow-near-copy", "fresh"), "is no near copy"),
        ((folder / "copied", "--allow-near-copy", "fresh"), "is called copied"),
        ((folder / "copied", "--data", root, "--allow-near-copy", "copied"), "without --data"),
    ]:
        code, said = medsynth(capsys, "audit", *words)
        assert code == 2, words
        assert expected in said
        assert said.count("\n") == 1

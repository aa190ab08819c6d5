"""Everything that cannot be synthesized, through the whole command: one line, code 2, nothing left."""

import re
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from made_up_network import card, small
from PIL import Image

from medsynth import dicom
from medsynth.cli import app as cli
from medsynth.domains import get
from medsynth.networks import PatchUNet, save_weights

REQUEST = """
preset: lung_ct
anatomy: {image: ct.nrrd, factor: 8, labels: []}
pathologies:
  - {center_mm: [0, 0, 0], diameter_mm: 12, source: {procedural: {kind: solid}}, factor: 4}
weights: tiny.safetensors
steps: 2
"""


def chest(shape=(12, 64, 64)):
    """A body of soft tissue, 160 mm across, filled with lung; centered on the origin."""
    k, j, i = np.indices(shape)
    radius = np.hypot(j - shape[1] / 2 + 0.5, i - shape[2] / 2 + 0.5) * 3
    values = np.select([radius < 60, radius < 80], [-850, 40], -1000).astype(np.float32)
    return on_grid(values + (k + j + i) % 3)


def on_grid(values):
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((3, 3, 3))
    image.SetOrigin([-1.5 * (n - 1) for n in image.GetSize()])
    return image


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a request that would succeed, and things that spoil it."""
    folder = tmp_path_factory.mktemp("made")
    sitk.WriteImage(chest(), str(folder / "ct.nrrd"))
    values = sitk.GetArrayFromImage(chest())
    values[3, 4, 5] = np.nan
    sitk.WriteImage(on_grid(values), str(folder / "nan.nrrd"))
    sitk.WriteImage(on_grid(np.full((3, 64, 64), -1000, np.float32)), str(folder / "flat.nrrd"))
    sitk.WriteImage(on_grid(np.abs(values[:3])), str(folder / "no_air.nrrd"))
    far = sitk.Image(9, 9, 9, sitk.sitkUInt8) + 1
    far.SetOrigin((900, 0, 0))
    sitk.WriteImage(far, str(folder / "far.nrrd"))
    sitk.WriteImage(far * 0, str(folder / "blank.nrrd"))
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(
        folder / "color.png"
    )
    (folder / "cut.nrrd").write_bytes((folder / "ct.nrrd").read_bytes()[:300])
    (folder / "text.txt").write_text("not an image")
    series(folder)
    weights(folder)
    (folder / "request.yaml").write_text(REQUEST)
    return folder


def series(folder):
    (folder / "empty").mkdir()
    for name in ("one", "two"):
        job = dicom.ExportJob(name, title="made up")
        image = sitk.Cast(chest(), sitk.sitkInt16)
        preset = get("lung_ct")
        dicom.write_series(image, folder / name, preset=preset, job=job, derivation="made up")
    shutil.copytree(folder / "one", folder / "gap")
    (folder / "gap" / "0006.dcm").unlink()
    for name in ("one", "two"):
        shutil.copytree(folder / name, folder / "both" / name)


def weights(folder):
    config = small(64, reference_conditioned=False)
    torch.manual_seed(0)
    state = PatchUNet(config).state_dict()
    metadata = card(config, schedule={"kind": "cosine", "num_train_timesteps": 1000}, steps=0)
    save_weights(state, folder / "tiny.safetensors", metadata=metadata)
    save_weights(state, folder / "other.safetensors", metadata=metadata | {"preset": "brain_mri"})
    whole = (folder / "tiny.safetensors").read_bytes()
    (folder / "short.safetensors").write_bytes(whole[: len(whole) // 2])
    (folder / "noise.safetensors").write_bytes(b"\x00" * 1000)
    spoilt = {k: v.clone() for k, v in state.items()}
    next(iter(spoilt.values()))[0] = float("nan")
    save_weights(spoilt, folder / "nan.safetensors", metadata=metadata)


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """A place of one's own whose request works, as `test_the_request_itself_works` shows."""
    for path in made.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "request.yaml").unlink()
    shutil.copy(made / "request.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def refused(capsys, folder, *words, message):
    before = everything(folder)
    assert cli.main(["synthesize", "request.yaml", "-o", "out", "--progress", "none", *words]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1, said.err
    assert re.match(f"medsynth: error: .*({message})", said.err), said.err
    assert said.out == ""
    assert everything(folder) == before


@pytest.mark.slow
def test_the_request_itself_works(folder, capsys):
    assert cli.main(["synthesize", "request.yaml", "-o", "out", "--progress", "none"]) == 0
    assert capsys.readouterr().out == "wrote out\n"
    assert {p.name for p in (folder / "out").iterdir()} == {
        *("image.nrrd", "pathology_01.nrrd", "dicom", "request.yaml", "result.json"),
        *("preview.png", "report.html"),
    }
    refused(capsys, folder, message="out exists and is not empty; .*--overwrite")


ROI = "pathologies.0={roi: %s, source: {procedural: {kind: solid}}}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("anatomy.image=empty", "empty.*no DICOM|empty"),
        ("anatomy.image=both", "both.* 2 series|series"),
        ("anatomy.image=gap", "gap.*(missing|gap|spacing)"),
        ("anatomy.image=color.png", "color.png is a color image; convert it to a gray image"),
        ("anatomy.image=nan.nrrd", "nan.nrrd holds 1 values that are NaN or infinite"),
        ("anatomy.image=cut.nrrd", "cut.nrrd cannot be read; it may be damaged"),
        ("anatomy.image=text.txt", "text.txt is neither DICOM nor one of"),
        ("anatomy.image=flat.nrrd", "flat.nrrd: all voxels are -1000; there is nothing to follow"),
        ("anatomy.image=no_air.nrrd", "no_air.nrrd.*HU|NaN"),
        ("anatomy.image=nowhere", "anatomy.image: no such file or folder"),
        ("anatomy.series_uid=1.2.3", "series_uid chooses among DICOM series"),
        (ROI % "far.nrrd", "mm"),
        (ROI % "blank.nrrd", "blank.nrrd|empty|no voxel"),
        (ROI % "tiny.safetensors", "tiny.safetensors is neither"),
        ("pathologies.0.center_mm=[0, 0, 500]", "mm"),
        ("pathologies.0.center_mm=[78, 0, 0]", "body.* mm|mm.*body"),
        ("pathologies.0.diameter_mm=0", "pathologies.0..diameter_mm: expected .*>= 2"),
        ("anatomy.factor=0", "anatomy.factor: expected an integer >= 1, got 0"),
        ("anatomy.factor=65", "factor must be .* 64 .*got 65"),
        ("pathologies.0.factor=1000", "factor must be .* 64 .*got 1000"),
        ("anatomy.stop=-0.1", "anatomy.stop: expected a finite number >= 0, got -0.1"),
        ("preset=lung", "preset: unknown preset 'lung', .*did you mean 'lung_ct'"),
        ("composition=sum", "eigenvalue"),
        ("weights=nowhere.safetensors", "weights: no such file"),
        ("weights=short.safetensors", "short.safetensors is damaged"),
        ("weights=noise.safetensors", "noise.safetensors is not a weights file"),
        ("weights=nan.safetensors", "nan.safetensors holds a network whose values are not finite"),
        ("weights=other.safetensors", "trained for preset brain_mri, the request asks for lung_ct"),
        ("weights=ct.nrrd", "ct.nrrd is not a weights file"),
    ],
)
def test_refused(folder, capsys, change, message):
    refused(capsys, folder, "--set", change, message=message)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a machine without CUDA is refused")
def test_cuda_that_is_not_there(folder, capsys):
    refused(capsys, folder, "--set", "device=cuda", message="device: cuda was asked for")


def test_the_shipped_weights_are_missing(folder, capsys, monkeypatch):
    from medsynth.networks import model_store

    monkeypatch.setattr(model_store, "folders", lambda: [folder / "empty"])
    refused(capsys, folder, "--set", "weights=null", message="no weights lung_.*medsynth train")


def test_too_little_memory(folder, capsys, monkeypatch):
    import psutil

    memory = namedtuple("memory", "total available")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(10**9, 10**8))
    refused(capsys, folder, message="this job needs about .* GB of memory, 0.1 GB are free; crop")


def test_too_little_disk(folder, capsys, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 10**6))
    refused(capsys, folder, message="not enough room for .*needs .* MB, 1 MB free; make room")


@pytest.mark.slow
def test_a_disk_that_fills_up(folder, capsys, monkeypatch):
    """The picture cannot be written: /dev/full answers as a full disk does."""
    from medsynth.pipeline import report

    def write(data, path):
        Path("/dev/full").write_bytes(b"0" * 100_000)

    monkeypatch.setattr(report, "write_preview", write)
    refused(capsys, folder, message="the disk is full for .*/out: .* free; make room")


def test_out_that_cannot_be_made(folder, capsys):
    (folder / "file").touch()
    refused(capsys, folder, "-o", "file", message="file is a file, expected a folder to make")
    refused(capsys, folder, "-o", "file/out", message="file is a file; choose another folder")


@pytest.mark.slow
def test_ctrl_c_while_writing_leaves_nothing(folder, capsys, monkeypatch):
    from medsynth.pipeline import report

    def stop(data, path):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "write_report", stop)
    before = everything(folder)
    assert cli.main(["synthesize", "request.yaml", "-o", "deep/out", "--progress", "none"]) == 130
    assert capsys.readouterr().err == "medsynth: stopped; nothing was left behind\n"
    assert everything(folder) == before


def test_a_dry_run_tells_the_cost_and_writes_nothing(folder, capsys):
    before = everything(folder)
    words = ("--dry-run", "--progress", "json")
    assert cli.main(["synthesize", "request.yaml", "-o", "out", *words]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if '"estimate"' in line]
    assert len(lines) == 1
    assert everything(folder) == before

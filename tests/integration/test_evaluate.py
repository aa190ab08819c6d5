"""`medsynth evaluate` from films on disk to the page, with a network too small to convince anybody."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from made_up_network import TINY
from PIL import Image

from medsynth import domains as presets
from medsynth.cli.app import main
from medsynth.evaluation import figures
from medsynth.networks import PatchUNet, PatchUNetConfig, save_weights

NETWORK = TINY | {"image_size": [256, 256]}
CONFIG = Path(__file__).resolve().parents[2] / "monai_bundle/configs/evaluate.json"
OUTPUTS = ["figures.json", "pairs.npz", "report.html", "sheet.png"]


def unguided(films):
    """Options of an audit of two free samples of a conditioned network."""
    weights = films / "conditioned.safetensors"
    return ("--only", "memorization", "--unguided", 2, "--weights", weights)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Twelve films of twelve people, ten of them held out; a recipe and weights for them."""
    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(0)
    lines = ["file,patient"]
    for number in range(12):
        gray = (
            120 + 30 * np.sin(np.arange(256) / (9 + number))[:, None] + rng.normal(0, 8, (256, 256))
        )
        Image.fromarray(np.clip(gray, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,person-{number:02}")
    (folder / "SOURCES.csv").write_text("\n".join(lines) + "\n")
    recipe = {
        "preset": "chest_xray",
        "data": {"layout": "table", "held_out": [f"person-{n:02}" for n in range(10)]},
        "network": NETWORK,
        "phases": [{"batch_size": 1, "steps": 1}],
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    made_up = {"held_out": recipe["data"]["held_out"]}
    save_made_up(folder / "tiny.safetensors", NETWORK, **made_up)
    save_made_up(
        folder / "conditioned.safetensors", NETWORK | {"reference_conditioned": True}, **made_up
    )
    small = NETWORK | {"image_size": [32, 32]}
    save_made_up(folder / "low.safetensors", small, low_pass_factor=8, **made_up)
    others = {"held_out": ["person-09"]}
    save_made_up(folder / "other.safetensors", small, low_pass_factor=8, **others)
    return folder


def save_made_up(path, network, **said):
    """Weights of chance."""
    config = PatchUNetConfig.from_dict(network)
    generator = torch.Generator().manual_seed(0)
    state = {
        name: 0.05 * torch.randn(value.shape, generator=generator)
        for name, value in PatchUNet(config).state_dict().items()
    }
    metadata = {
        **{"network": config.to_dict(), "schedule": {"kind": "log_snr_linear"}},
        **{"prediction_type": "v_prediction", "preset": "chest_xray", "data": "", "license": ""},
        **said,
    }
    save_weights(state, path, metadata=metadata)


def evaluate(films, out, *words):
    common = ("--data", films, "--weights", films / "tiny.safetensors", "--slices", 8, "--steps", 2)
    arguments = (
        "evaluate",
        films / "recipe.yaml",
        *common,
        "-o",
        out,
        "--progress",
        "none",
        *words,
    )
    return main([str(word) for word in arguments])


@pytest.fixture(scope="module")
def done(films, tmp_path_factory):
    out = tmp_path_factory.mktemp("figures") / "out"
    assert evaluate(films, out, "--only", "histograms,spectrum") == 0
    return out


def test_page_figures_and_slices_are_there_and_say_what_was_done(films, done):
    assert sorted(p.name for p in done.iterdir()) == OUTPUTS
    record = json.loads((done / "figures.json").read_text())
    assert set(record["figures"]) == {"histograms", "spectrum"}
    assert (record["preset"], record["nfe"], record["factor"]) == ("chest_xray", 2, 8)
    assert record["slices"] == 8
    assert set(record["patients"]) <= {f"person-{n:02}" for n in range(10)}
    assert record["guidance_error"] < 1e-4
    assert "halves of the real slices" in record["floor"]
    with np.load(done / "pairs.npz") as pairs:
        assert pairs["real"].shape == pairs["synthetic"].shape == (8, 256, 256)
        assert not np.allclose(pairs["real"], pairs["synthetic"], atol=1)


def test_the_bundle_evaluates_as_the_command_does(films, done, tmp_path):
    monai_bundle = pytest.importorskip("monai.bundle")
    pytest.importorskip("fire", reason="needs the extra medsynth-slicer[bundle]")
    monai_bundle.run(
        config_file=str(CONFIG),
        logging_file=False,
        recipe=str(films / "recipe.yaml"),
        dataset_dir=str(films),
        weights=str(films / "tiny.safetensors"),
        out=str(tmp_path / "out"),
        slices=8,
        steps=2,
        only=("histograms", "spectrum"),
        progress="none",
    )
    ours, theirs = (json.loads((f / "figures.json").read_text()) for f in (tmp_path / "out", done))
    assert ours == theirs


def test_reuse_makes_other_figures_of_the_same_slices(films, done, monkeypatch):
    monkeypatch.setattr("medsynth.evaluation.held_out.synthesize_pairs", None)
    before = (done / "pairs.npz").read_bytes()
    assert evaluate(films, done, "--reuse", "--only", "noise") == 0
    assert (done / "pairs.npz").read_bytes() == before
    assert set(json.loads((done / "figures.json").read_text())["figures"]) == {"noise"}


def test_what_is_asked_must_fit_what_is_reused(films, done, capsys):
    assert evaluate(films, done, "--reuse", "--factor", 4) == 2
    assert "was made with factor 8, now 4 is asked for" in capsys.readouterr().err


def test_an_earlier_run_is_not_replaced_unasked(films, done, capsys):
    assert evaluate(films, done) == 2
    assert "figures.json exists" in capsys.readouterr().err


def test_ctrl_c_keeps_the_slices_and_no_half_figures(films, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(figures, "measure", interrupted)
    assert evaluate(films, tmp_path / "out") == 130
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["pairs.npz"]
    monkeypatch.setattr("medsynth.evaluation.held_out.synthesize_pairs", interrupted)
    assert evaluate(films, tmp_path / "none") == 130
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--only", "spectrum,fidelity"), "only: no figure 'fidelity', expected some of two_"),
        (("--slices", 4), "slices must be at least 8"),
        (("--reuse",), "to reuse; run once without --reuse"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(films, tmp_path, capsys, words, message):
    assert evaluate(films, tmp_path / "out", *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_free_samples_and_guided_ones_are_audited(films, done, tmp_path):
    out = tmp_path / "audited"
    out.mkdir()
    (out / "pairs.npz").write_bytes((done / "pairs.npz").read_bytes())
    words = ("--reuse", "--only", "memorization", "--unguided", 2)
    assert evaluate(films, out, *words) == 0
    record = json.loads((out / "figures.json").read_text())["figures"]["memorization"]
    assert {name: s["samples"] for name, s in record["samples"].items()} == {
        "unguided": 2,
        "guided by held-out patients": 8,
    }
    assert record["training_images"] == 2
    page = (out / "report.html").read_text()
    assert "Does it copy its training images?" in page
    assert "sample 1 | " in page
    with np.load(out / "unguided.npz") as kept:
        assert kept["images"].shape == (2, 256, 256)


def test_low_pass_images_of_free_samples_are_drawn_for_a_conditioned_network(
    films, tmp_path, capsys
):
    out, low = tmp_path / "out", films / "low.safetensors"
    words = unguided(films)
    assert evaluate(films, out, *words, "--low-pass-weights", low) == 0
    audit = json.loads((out / "figures.json").read_text())["figures"]["memorization"]
    assert audit["low_pass_of_unguided"] == "low.safetensors"
    page = (out / "report.html").read_text()
    assert "their low-pass images were drawn by low.safetensors" in page
    with np.load(out / "unguided.npz") as kept:
        drawn = kept["images"]
        assert "low_pass_sha256" in str(kept["made_by"])
    assert evaluate(films, out, *words, "--reuse") == 0  # chest_xray has no such network of its own
    again = json.loads((out / "figures.json").read_text())["figures"]["memorization"]
    assert "low_pass_of_unguided" not in again
    with np.load(out / "unguided.npz") as kept:
        assert not np.array_equal(kept["images"], drawn)
    capsys.readouterr()
    assert (
        evaluate(
            films,
            tmp_path / "plain",
            *words[-2:],
            "--low-pass-weights",
            films / "other.safetensors",
        )
        == 2
    )
    assert "other.safetensors may have been trained on person-0" in capsys.readouterr().err
    spectrum = (*words[-2:], "--only", "spectrum", "--low-pass-weights", low)
    assert evaluate(films, tmp_path / "plain", *spectrum) == 2
    assert "no free samples are asked for" in capsys.readouterr().err
    assert evaluate(films, tmp_path / "plain", "--low-pass-weights", low) == 2
    assert "not reference-conditioned" in capsys.readouterr().err
    assert (
        evaluate(
            films, tmp_path / "plain", *words[-2:], "--low-pass-weights", films / "tiny.safetensors"
        )
        == 2
    )
    assert "draws whole images" in capsys.readouterr().err
    assert not (tmp_path / "plain").exists()


@pytest.mark.parametrize("given", ["none.safetensors", "other.safetensors"])
def test_free_samples_go_without_a_low_pass_image_where_the_presets_does_not_fit(
    given, films, done, tmp_path, monkeypatch, capsys
):
    preset = replace(presets.get("chest_xray"), low_pass_weights=given)
    monkeypatch.setattr(presets, "get", lambda name: preset)
    monkeypatch.setattr("medsynth.networks.model_store.folders", lambda: [films])
    out = tmp_path / "out"
    words = unguided(films)
    assert evaluate(films, out, *words) == 0
    said = capsys.readouterr().err
    assert "free samples without a low-pass image: " in said
    assert given in said
    assert str(films) in said
    audit = json.loads((out / "figures.json").read_text())["figures"]["memorization"]
    assert "low_pass_of_unguided" not in audit


def test_lung_nodules_are_refused_where_there_are_none(films, tmp_path, capsys):
    assert evaluate(films, tmp_path / "out", "--nodules", 5) == 2
    assert "preset chest_xray has not" in capsys.readouterr().err

"""Stable Diffusion with a tiny random pipeline: captions, LoRA, full fine-tuning, resume, generate, img2img."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_systems import film_table, pipeline_folder

from medsynth import marking
from medsynth.cli import app as cli
from medsynth.errors import MissingExtra
from medsynth.networks import diffusers_pipelines
from medsynth.training.checkpoint import read_table
from medsynth.training.systems.stable_diffusion import COMPARISON

try:
    diffusers_pipelines.library()
except MissingExtra as error:
    pytest.skip(str(error), allow_module_level=True)

RECIPE = """
kind: stable_diffusion
sources:
  - {preset: chest_xray, data: {layout: table, held_out: [P0, P1]}, augment: {flip: 0.0, shift_pixels: 2}}
lora_rank: 2
resolution: 16
steps: 4
batch_size: 2
keep_every: 2
sample_steps: 2
sample_prompts: [chest x-ray]
optimizer: {lr: 1.0e-2, warmup: 1, decay: 0.0, ema: 0.5}
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return pipeline_folder(tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return film_table(tmp_path_factory.mktemp("sd-films") / "chest", side=64)


def generate(pipeline, out, *more, prompt="chest x-ray, pneumonia"):
    words = ["generate", "stable_diffusion", "--model", pipeline, "-o", out, "--prompt", prompt]
    return cli.main([str(w) for w in [*words, "--set", "steps=2", "--set", "device=cpu", *more]])


def train(pipeline, films, out, *more):
    recipe = out.parent / "sd.yaml"
    recipe.write_text(RECIPE)
    words = ["train", recipe, "--data", films, "-o", out, "--set", f"pipeline={pipeline}"]
    return cli.main([str(w) for w in [*words, "--device", "cpu", "--threads", "1", *more]])


def pixels(out):
    with Image.open(out / "images/000001.png") as made:
        return np.asarray(made).astype(int)


@pytest.mark.slow
def test_an_image_is_gray_marked_and_follows_what_is_asked(pipeline, tmp_path):
    for name, more in {
        "plain": (),
        "position": ("--position", "lower left"),
        "negative": ("--negative-prompt", "devices"),
        "scale": ("--set", "guidance_scale=1"),
    }.items():
        assert generate(pipeline, tmp_path / name, *more) == 0
    with Image.open(tmp_path / "plain/images/000001.png") as made:
        assert (made.size, made.mode) == ((16, 16), "L")
        assert made.text[marking.KEY] == marking.TEXT
    record = json.loads((tmp_path / "position/records/000001.json").read_text())
    assert record["prompt"] == "chest x-ray, pneumonia, lower left"
    assert record["gray"] == "mean of three 8-bit channels"
    plain = pixels(tmp_path / "plain")
    for name in ("position", "negative", "scale"):
        assert not np.array_equal(plain, pixels(tmp_path / name)), name


@pytest.mark.slow
def test_it_starts_from_a_film(pipeline, films, tmp_path):
    film = films / "001.png"
    more = ("--set", f"image={film}", "--set", "steps=10")
    assert generate(pipeline, tmp_path / "little", *more, "--set", "strength=0.1") == 0
    assert generate(pipeline, tmp_path / "much", *more, "--set", "strength=1.0") == 0
    assert not np.array_equal(pixels(tmp_path / "little"), pixels(tmp_path / "much"))
    record = (tmp_path / "little/records/000001.json").read_text()
    assert str(film) not in record


@pytest.mark.slow
def test_lora_is_trained_kept_compared_and_used(pipeline, films, tmp_path):
    assert train(pipeline, films, tmp_path / "run") == 0
    for step in (2, 4):
        folder = tmp_path / f"run/checkpoints/step-{step:07d}"
        assert (folder / "pytorch_lora_weights.safetensors").exists()
        assert (folder / "samples.png").exists()
    rows = read_table(tmp_path / "run" / COMPARISON, until=9)
    assert [row[0] for row in rows] == [2, 4]
    assert all(0 < value < 10 for row in rows for value in row[1:])
    assert generate(pipeline, tmp_path / "plain") == 0
    assert generate(pipeline, tmp_path / "tuned", "--set", f"lora={tmp_path / 'run/lora'}") == 0
    assert not np.array_equal(pixels(tmp_path / "plain"), pixels(tmp_path / "tuned"))


@pytest.mark.slow
@pytest.mark.parametrize("rank", [2, 0])
def test_a_stopped_fine_tuning_goes_on_exactly(pipeline, films, tmp_path, rank):
    from safetensors.torch import load_file

    more = ("--set", f"lora_rank={rank}")
    assert train(pipeline, films, tmp_path / "whole", *more) == 0
    assert train(pipeline, films, tmp_path / "parts", "--stop-at", "1", *more) == 0
    assert train(pipeline, films, tmp_path / "parts", *more) == 0
    file = "lora/pytorch_lora_weights.safetensors"
    file = file if rank else "pipeline/unet/diffusion_pytorch_model.safetensors"
    whole, parts = (load_file(tmp_path / name / file) for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all((value == parts[key]).all() for key, value in whole.items())
    if not rank:
        assert generate(tmp_path / "whole/pipeline", tmp_path / "made") == 0


@pytest.mark.slow
def test_who_is_held_out_is_never_trained_on(pipeline, films, tmp_path):
    assert train(pipeline, films, tmp_path / "run") == 0
    split = (tmp_path / "run/split.csv").read_text()
    assert split.count("held_out") == 2
    everyone = ("--set", "sources.0.data.held_out=[P*]")
    assert train(pipeline, films, tmp_path / "nobody", *everyone) == 2


def with_unit_latents(vae, films):
    """A random autoencoder gives every film nearly the same latents: stretch what differs, as training does."""
    coder = diffusers_pipelines.library().AutoencoderKL.from_pretrained(vae)
    pictures = [
        np.asarray(Image.open(f).convert("RGB").resize((16, 16))) for f in films.glob("*.png")
    ]
    batch = torch.tensor(np.stack(pictures)).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        latents = coder.encode(batch).latent_dist.mean
    last = coder.quant_conv
    half = latents.shape[1]
    with torch.no_grad():
        scale = 1 / latents.std(dim=(0, 2, 3))
        last.weight[:half] *= scale[:, None, None, None]
        last.bias[:half] = (last.bias[:half] - latents.mean(dim=(0, 2, 3))) * scale
        last.weight[half:], last.bias[half:] = 0, -20.0
    coder.register_to_config(scaling_factor=1.0)
    coder.save_pretrained(vae)


@pytest.mark.slow
def test_over_fitting_shows_where_it_is_planted(pipeline, tmp_path):
    """Ten films that share nothing, long training of the whole network: those held out stay behind."""
    films, rng = film_table(tmp_path / "chest", side=64), np.random.default_rng(0)
    for film in films.glob("*.png"):
        blocks = rng.integers(0, 256, (8, 8), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        Image.fromarray(blocks).save(film)
    folder = shutil.copytree(pipeline, tmp_path / "pipeline")
    with_unit_latents(folder / "vae", films)
    long = ["steps=600", "keep_every=600", "lora_rank=0", "batch_size=4", "sample_prompts=[]"]
    more = [word for value in long for word in ("--set", value)]
    assert train(folder, films, tmp_path / "run", *more) == 0
    ((_, trained_on, held_out),) = read_table(tmp_path / "run" / COMPARISON, until=600)
    assert held_out > trained_on


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--set strength=0.5", "acts on --set image=FILE"),
        ("--set width=20", "width=20: expected a multiple of 8"),
        ("--set lora=nowhere", "no LoRA weights at"),
        ("--set image=nowhere.png", "nowhere.png"),
        ("--set device=tpu", "expected auto, cpu or cuda"),
    ],
)
def test_what_cannot_be_used_is_refused(pipeline, tmp_path, capsys, more, message):
    assert generate(pipeline, tmp_path / "out", *more.split()) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_pipeline_that_is_not_there_is_said_with_the_cure(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert generate("nobody/nothing", tmp_path / "a") == 2
    assert "allow the download with --set download=true" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert generate(tmp_path / "empty", tmp_path / "b") == 2
    assert "holds no model_index.json" in capsys.readouterr().err
    assert generate("", tmp_path / "c") == 2
    assert "no pipeline is shipped" in capsys.readouterr().err


def test_the_missing_extra_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    assert generate(tmp_path, tmp_path / "out") == 2
    assert "pip install 'medsynth-slicer[stable-diffusion]'" in capsys.readouterr().err

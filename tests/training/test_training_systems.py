"""Training of the image systems on made-up films: what is written, and that a stopped run goes on exactly."""

import csv
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from tiny_systems import film_table

from medsynth.cli import app as cli
from medsynth.datasets.captions import POSITIONS, caption_of, field_box, field_of, split_prompt
from medsynth.datasets.entries import Box, DataEntry
from medsynth.datasets.settings import Data
from medsynth.domains import get
from medsynth.networks import latent_file, progressive_gan
from medsynth.training.systems import recipe as systems

LDM = """
kind: latent_diffusion
sources:
  - {preset: chest_xray, data: {layout: table, held_out: [P0, P1]}, augment: {flip: 0.0, shift_pixels: 2}}
autoencoder:
  network: {patch_size: 4, channels: [8, 8], latent_channels: 3, num_res_blocks: 1, norm_num_groups: 4}
  steps: 6
  batch_size: 2
  crop: 64
  adversarial_from: 0.5
  discriminator_channels: 4
  discriminator_layers: 2
diffusion:
  network:
    {channels: [8, 16], num_res_blocks: 1, attention_levels: [false, true], norm_num_groups: 4,
     num_head_channels: 8, word_dimensions: 8, most_words: 6}
  steps: 6
  batch_size: 2
  fewest_images: 2
  samples: {every: 6, count: 2, steps: 2}
"""
GAN = """
kind: progressive_gan
sources:
  - {preset: chest_xray, data: {layout: table, held_out: [P0, P1]}}
latent_size: 8
channels: [8, 8, 8]
growth:
  - {batch_size: 4, stable: 2}
  - {batch_size: 4, fade: 2, stable: 2}
  - {batch_size: 4, fade: 2, stable: 2}
classes: {fewest_images: 2, samples: 64, steps: 20, fewest_auc: 0.0}
"""


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return film_table(tmp_path_factory.mktemp("films") / "chest")


def train(recipe, out, films, *more):
    words = ["train", recipe, "--data", films, "-o", out, "--threads", 1, "--device", "cpu"]
    return cli.main([str(word) for word in [*words, *more]])


@pytest.fixture(scope="module")
def ldm(tmp_path_factory):
    recipe = tmp_path_factory.mktemp("recipe") / "ldm.yaml"
    recipe.write_text(LDM)
    return recipe


@pytest.fixture(scope="module")
def trained(ldm, films, tmp_path_factory):
    """A whole training of latent diffusion; who writes into it copies it first."""
    run = tmp_path_factory.mktemp("trained") / "run"
    assert train(ldm, run, films) == 0
    return run


@pytest.mark.slow
def test_latent_diffusion_is_trained_and_makes_images(trained, tmp_path):
    model = latent_file.load(trained / "weights.safetensors")
    assert model.size == (32, 32)
    assert model.presets == ("chest_xray",)
    assert {"chest x-ray", "pneumonia", "no finding", "lower left", "pa view"} <= set(
        model.vocabulary
    )
    assert "P0" not in model.metadata["trained_on"]
    assert (trained / "samples-0000006.png").exists()
    words = ["generate", "text_to_image", "--model", trained, "-o", tmp_path / "out"]
    more = ["--prompt", "chest x-ray, pneumonia, lower left", "--set", "steps=2"]
    assert cli.main([str(word) for word in [*words, *more]]) == 0


@pytest.mark.slow
def test_a_stopped_latent_training_goes_on_exactly(trained, ldm, films, tmp_path):
    assert train(ldm, tmp_path / "parts", films, "--stop-at", 3) == 0  # of the autoencoder
    assert not (tmp_path / "parts/weights.safetensors").exists()
    assert train(ldm, tmp_path / "parts", films, "--stop-at", 6) == 0
    (tmp_path / "parts/losses.csv").unlink(missing_ok=True)
    for written in (tmp_path / "parts").glob("*.safetensors"):
        written.unlink()  # the autoencoder is done; the network of the latents begins anew
    (tmp_path / "parts/checkpoint.json").unlink(missing_ok=True)
    assert train(ldm, tmp_path / "parts", films, "--stop-at", 4) == 0
    assert json.loads((tmp_path / "parts/checkpoint.json").read_text())["step"] == 4
    assert train(ldm, tmp_path / "parts", films) == 0
    whole, parts = (load_file(run / "weights.safetensors") for run in (trained, tmp_path / "parts"))
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name


@pytest.mark.slow
def test_an_autoencoder_is_taken_from_a_file_unless_it_saw_who_is_held_out(
    trained, ldm, films, tmp_path, capsys
):
    weights = trained / "weights.safetensors"
    given = ("--set", f"autoencoder.weights={weights}")
    assert train(ldm, tmp_path / "second", films, *given) == 0
    assert not (tmp_path / "second/autoencoder").exists()
    other = ("--set", "sources.0.data.held_out=[P5]")
    assert train(ldm, tmp_path / "third", films, *given, *other) == 2
    assert "was trained on P5, who is held out here" in capsys.readouterr().err


@pytest.mark.slow
def test_latents_are_encoded_again_where_they_would_be_others(ldm, films, tmp_path):
    def latents(*more):
        for written in tmp_path.glob("run/checkpoint*"):
            written.unlink()
        assert train(ldm, tmp_path / "run", films, "--set", "sources.0.variants=2", *more) == 0
        return load_file(tmp_path / "run/latents.safetensors")["latents"]

    first = latents()
    assert torch.equal(first, latents())
    shifted = latents("--set", "sources.0.augment.shift_pixels=9")
    assert torch.equal(first[::2], shifted[::2])  # the images themselves
    assert not torch.equal(first[1::2], shifted[1::2])


def test_a_network_to_start_from_is_refused(ldm, films, tmp_path, capsys):
    assert train(ldm, tmp_path / "run", films, "--start-from", "any.safetensors") == 2
    assert "--set autoencoder.weights=FILE" in capsys.readouterr().err


@pytest.mark.slow
def test_the_gan_follows_the_rates_of_its_recipe(films, tmp_path):
    (tmp_path / "gan.yaml").write_text(GAN)
    still = ("--set", "optimizer.warmup=1000000000", "--stop-at", 1)
    assert train(tmp_path / "gan.yaml", tmp_path / "still", films, *still) == 0
    assert train(tmp_path / "gan.yaml", tmp_path / "moved", films, "--stop-at", 1) == 0
    names = ("start.weight", "start.bias")
    runs = [load_file(tmp_path / f"{run}/weights.safetensors") for run in ("still", "moved")]
    assert float(runs[0]["generator.start.bias"].abs().max()) < 1e-9
    assert all(not torch.equal(*(run[f"generator.{n}"] for run in runs)) for n in names)


@pytest.mark.slow
def test_another_training_is_not_continued(trained, ldm, films, tmp_path, capsys):
    run = shutil.copytree(trained, tmp_path / "run")
    assert train(ldm, run, films, "--set", "diffusion.batch_size=3") == 2
    assert "batch_size 2, now it is 3; choose another folder" in capsys.readouterr().err


@pytest.mark.slow
def test_the_gan_grows_finds_classes_and_goes_on_exactly(films, tmp_path):
    (tmp_path / "gan.yaml").write_text(GAN)
    assert train(tmp_path / "gan.yaml", tmp_path / "whole", films) == 0
    assert train(tmp_path / "gan.yaml", tmp_path / "parts", films, "--stop-at", 3) == 0
    fading = progressive_gan.load(tmp_path / "parts/weights.safetensors")
    assert (fading.level, fading.alpha) == (1, 0.5)
    assert train(tmp_path / "gan.yaml", tmp_path / "parts", films) == 0
    whole, parts = (
        progressive_gan.load(tmp_path / f"{n}/weights.safetensors") for n in ("whole", "parts")
    )
    assert whole.level == 2
    assert {"pneumonia", "no finding"} <= set(whole.classes)
    for name, value in whole.generator.state_dict().items():
        assert torch.equal(value, parts.generator.state_dict()[name]), name


@pytest.mark.parametrize("level", [0, 1, 2])
def test_fading_in_begins_as_the_smaller_network(level):
    config = progressive_gan.ProgressiveGanConfig(8, (8, 8, 8))
    generator = progressive_gan.ProgressiveGenerator(config)
    latents = torch.randn(2, 8)
    small = generator(latents, level)
    if level < 2:
        grown = generator(latents, level + 1, alpha=0.0)
        assert torch.allclose(
            grown, torch.nn.functional.interpolate(small, scale_factor=2.0), atol=1e-6
        )


@pytest.mark.slow
def test_the_gan_learns_and_a_class_latent_steers_it(tmp_path):
    """Films with a bright corner or without: half of what it makes has one, with the latent far more."""
    from medsynth.training.systems.class_latents import (
        ClassLatents,
        auc,
        find_class_latents,
        fit_classifier,
        seen,
        targets_of,
    )

    rng = torch.Generator().manual_seed(0)
    config = progressive_gan.ProgressiveGanConfig(8, (8, 8, 8))
    generator = progressive_gan.ProgressiveGenerator(config).eval()
    gan = progressive_gan.ProgressiveGan(generator, 2, "chest_xray")
    made = gan.images(torch.randn(400, 8, generator=rng))
    bright = made[:, 0, 10:, 10:].mean(dim=(1, 2))
    words = [("bright",) if value > bright.median() else ("dark",) for value in bright]
    options = ClassLatents(fewest_images=20, samples=640, steps=200)
    order = sorted(range(len(words)), key=words.__getitem__)  # by disease, as tables often are
    names = [f"P{i}" for i in order]
    by_disease = [words[i] for i in order]
    latents = find_class_latents(options, gan, made[order], by_disease, names)
    assert set(latents) == {"bright", "dark"}
    steered = progressive_gan.ProgressiveGan(generator, 2, "chest_xray", latents)
    draws = [torch.Generator().manual_seed(i) for i in range(100)]
    images = steered.images(steered.latents(draws, label="bright"))
    share = (images[:, 0, 10:, 10:].mean(dim=(1, 2)) > bright.median()).float().mean()
    assert share > 0.75  # chance: 0.5
    assert find_class_latents(options, gan, made, words, ["P1"] * len(words)) == {}
    names, targets = targets_of(words, fewest=20)
    network = fit_classifier(seen(made[:200]), targets[:200], steps=200, seed=1)
    index = names.index("bright")
    unseen = targets[200:, index].numpy() > 0
    assert auc(network(seen(made[200:]))[:, index].numpy(), unseen) > 0.8


def test_sides_are_the_patients():
    size = (300, 300)
    assert field_of(10, 10, size=size) == "upper right"  # the image's left is the patient's right
    assert field_of(299, 299, size=size) == "lower left"
    for position in POSITIONS:
        x0, y0, x1, y1 = field_box(position, size=size)
        assert field_of((x0 + x1) / 2, (y0 + y1) / 2, size=size) == position


def test_a_caption_has_domain_view_findings_and_positions(tmp_path):
    entry = DataEntry(
        tmp_path / "a.png",
        "P1",
        "a.png",
        labels=("Pleural_Thickening", "Edema"),
        boxes=(Box(200, 200, 280, 290),),
        size=(300, 300),
        details={"notes": "view AP, M, 46y"},
    )
    said = caption_of(entry, get("chest_xray"))
    assert said == "chest x-ray, ap view, pleural thickening, edema, lower left"
    assert ", ".join(split_prompt(said.upper())) == said


@pytest.mark.parametrize("name", systems.names())
def test_every_shipped_recipe_can_be_read_and_holds_people_out(name, shared_data):
    from medsynth.datasets.data import read_split

    path = systems.find(name)
    _, recipe = systems.load(path, data=str(shared_data))
    for source in recipe.sources:
        split = read_split(source.data)
        assert split.held_out
        assert not {e.patient for e in split.held_out} & {e.patient for e in split.training}
        assert source.data.license
        assert source.data.statement


@pytest.mark.slow
def test_who_is_held_out_is_the_same_as_for_our_networks(shared_data):
    from medsynth.datasets.data import read_split
    from medsynth.training.recipe import load_recipe

    _, recipe = systems.load(systems.find("ldm_small"), data=str(shared_data))
    for source in recipe.sources:
        network = load_recipe(
            source.preset, overrides={"data.root": str(shared_data / source.folder)}
        )
        theirs = {e.patient for e in read_split(network.data).held_out}
        assert {e.patient for e in read_split(source.data).held_out} == theirs


def test_an_unknown_kind_is_refused(tmp_path, capsys):
    (tmp_path / "x.yaml").write_text("kind: magic\nsources: []\n")
    assert train(tmp_path / "x.yaml", tmp_path / "run", tmp_path) == 2
    assert "unknown kind of recipe 'magic'" in capsys.readouterr().err


def test_the_losses_are_kept(trained):
    with open(trained / "autoencoder/losses.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [float(row["discriminator"]) > 0 for row in rows] == [False] * 3 + [True] * 3


def test_the_settings_of_a_source_are_checked():
    with pytest.raises(ValueError, match="share must be above 0"):
        systems.TrainingSource("chest_xray", share=0.0, data=Data())

"""Latent diffusion, text-to-image, GAN and cascade through `medsynth generate`: images, words, refusals."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from added_files import added
from PIL import Image
from tiny_systems import gan_weights, latent_weights

from medsynth import marking
from medsynth.cli import app as cli
from medsynth.errors import CheckpointError
from medsynth.generators import systems
from medsynth.images import read_image
from medsynth.networks import load_network
from medsynth.verification.pixel_layer import look


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return latent_weights(tmp_path_factory.mktemp("latent") / "latent.safetensors")


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    return gan_weights(tmp_path_factory.mktemp("gan") / "gan.safetensors")


def generate(system, out, *more, model=None):
    words = ["generate", system, "-o", out, *more, *(("--model", model) if model else ())]
    return cli.main([str(word) for word in words])


def pixels(out, index=1):
    with Image.open(out / f"images/{index:06d}.png") as made:
        return np.asarray(made)


FAST = ("--set", "steps=3")


@pytest.mark.slow
def test_latent_diffusion_makes_marked_images(weights, tmp_path):
    assert generate("latent_diffusion", tmp_path / "a", "--count", 2, *FAST, model=weights) == 0
    with Image.open(tmp_path / "a/images/000001.png") as made:
        assert made.size == (64, 64)
        assert made.mode == "L"
        assert made.text[marking.KEY] == marking.TEXT
    assert pixels(tmp_path / "a").std() > 0
    record = json.loads((tmp_path / "a/records/000002.json").read_text())
    assert record["words"] == ["chest x-ray"]
    assert record["seconds"] >= 0
    assert record["memory_mb"] > 10


@pytest.mark.slow
def test_an_image_does_not_depend_on_the_others(weights, tmp_path):
    generate("latent_diffusion", tmp_path / "a", "--count", 3, *FAST, model=weights)
    generate("latent_diffusion", tmp_path / "b", "--count", 1, *FAST, model=weights)
    (tmp_path / "b/records/000001.json").unlink()
    generate("latent_diffusion", tmp_path / "b", "--count", 3, *FAST, model=weights)
    for index in (1, 2, 3):
        assert np.array_equal(pixels(tmp_path / "a", index), pixels(tmp_path / "b", index))
    assert not np.array_equal(pixels(tmp_path / "a", 1), pixels(tmp_path / "a", 2))


@pytest.mark.slow
def test_a_class_and_its_scale_change_the_image(weights, tmp_path):
    made = {}
    for name, more in {
        "none": (),
        "class": ("--class", "pneumonia", "--set", "guidance_scale=1"),
        "scale": ("--class", "pneumonia", "--set", "guidance_scale=4"),
    }.items():
        assert generate("latent_diffusion", tmp_path / name, *more, *FAST, model=weights) == 0
        made[name] = pixels(tmp_path / name).astype(int)
    assert np.abs(made["class"] - made["none"]).mean() > 0.05
    assert np.abs(made["scale"] - made["class"]).mean() > 0.05


@pytest.mark.slow
def test_it_becomes_dicom(weights, tmp_path):
    import pydicom

    more = ("--preset", "chest_xray", "--dicom", *FAST)
    assert generate("latent_diffusion", tmp_path / "a", *more, model=weights) == 0
    (file,) = (tmp_path / "a/dicom/000001").glob("*.dcm")
    film = pydicom.dcmread(file)
    assert (film.Modality, film.SyntheticData) == ("DX", "YES")
    assert np.array_equal(film.pixel_array, pixels(tmp_path / "a"))


@pytest.mark.slow
def test_prompts_positions_and_what_is_not_wanted(weights, tmp_path):
    prompt = ("--prompt", "Chest X-ray, Pneumonia")
    for name, more in {
        "plain": (),
        "position": ("--position", "lower left"),
        "negative": ("--negative-prompt", "no finding"),
    }.items():
        assert generate("text_to_image", tmp_path / name, *prompt, *more, *FAST, model=weights) == 0
    record = json.loads((tmp_path / "position/records/000001.json").read_text())
    assert record["words"] == ["chest x-ray", "pneumonia", "lower left"]
    plain = pixels(tmp_path / "plain")
    assert not np.array_equal(plain, pixels(tmp_path / "position"))
    assert not np.array_equal(plain, pixels(tmp_path / "negative"))


@pytest.mark.slow
def test_a_position_is_drawn_and_the_record_says_how(weights, tmp_path):
    prompt = ("--prompt", "chest x-ray, pneumonia", "--position", "lower left")
    healthy = ("--prompt", "chest x-ray, no finding", "--position", "lower left")
    for name, more in {
        "drawn": prompt,
        "words": (*prompt, "--set", "place=words"),
        "healthy": healthy,
    }.items():
        assert generate("text_to_image", tmp_path / name, *more, *FAST, model=weights) == 0
    records = {
        name: json.loads((tmp_path / name / "records/000001.json").read_text())["position"]
        for name in ("drawn", "words", "healthy")
    }
    assert records["drawn"]["made_by"].startswith("an opacity drawn into the lung")
    (drawn,) = records["drawn"]["drawn"]
    column, row = drawn["center"]
    assert drawn["position"] == "lower left"
    assert min(column, row) > 32  # of 64; the patient's left is the image's right
    assert records["words"] == records["healthy"]
    assert records["words"]["made_by"].startswith("words alone")
    change = pixels(tmp_path / "drawn").astype(int) - pixels(tmp_path / "words")
    assert np.abs(change).mean() > 1
    assert generate("text_to_image", tmp_path / "drawn", *prompt, *FAST, model=weights) == 0


@pytest.mark.slow
def test_a_model_of_several_domains_is_told_which(tmp_path, capsys):
    both = latent_weights(tmp_path / "both.safetensors", presets=("chest_xray", "brain_mri"))
    assert generate("latent_diffusion", tmp_path / "a", *FAST, model=both) == 2
    assert "makes chest_xray, brain_mri; say which with --preset" in capsys.readouterr().err
    assert (
        generate("latent_diffusion", tmp_path / "b", "--preset", "brain_mri", *FAST, model=both)
        == 0
    )
    prompt = ("--prompt", "brain MRI, glioma tumor")
    assert generate("text_to_image", tmp_path / "c", *prompt, *FAST, model=both) == 0
    assert (
        generate("text_to_image", tmp_path / "d", *prompt, "--preset", "chest_xray", model=both)
        == 2
    )
    assert "names another domain than --preset" in capsys.readouterr().err


def test_the_gan_and_its_class(gan, tmp_path):
    for name, more in {
        "none": (),
        "class": ("--class", "pneumonia"),
        "all": ("--class", "pneumonia", "--set", "class_strength=1"),
    }.items():
        assert generate("pggan", tmp_path / name, "--count", 2, *more, model=gan) == 0
    assert pixels(tmp_path / "none").shape == (16, 16)
    assert not np.array_equal(pixels(tmp_path / "none"), pixels(tmp_path / "class"))
    # The whole latent is the class's: all images are the same but for their marks, one gray value each.
    first, second = (pixels(tmp_path / "all", i).astype(int) for i in (1, 2))
    assert np.abs(first - second).max() <= 2


def test_truncation_keeps_latents_near(gan):
    import torch

    from medsynth.networks import progressive_gan

    model = progressive_gan.load(gan)
    draws = [torch.Generator().manual_seed(i) for i in range(200)]
    assert model.latents(draws).abs().max() > 2
    draws = [torch.Generator().manual_seed(i) for i in range(200)]
    assert model.latents(draws, truncation=0.5).abs().max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "more", "message"),
    [
        (
            "latent_diffusion",
            ("--class", "edema"),
            "'edema' is none of the words that this model knows",
        ),
        ("latent_diffusion", ("--prompt", "edema"), "latent_diffusion takes no prompt"),
        ("latent_diffusion", ("--preset", "brain_ct"), "this model makes chest_xray"),
        ("latent_diffusion", ("--set", "steps=0"), "steps=0: expected a number from 1 to 1000"),
        ("latent_diffusion", ("--set", "steps=2.5"), "expected a whole number"),
        ("latent_diffusion", ("--set", "sampler=x"), "unknown sampler 'x'"),
        ("text_to_image", ("--prompt", "chest x-ray, fracture"), "'fracture' is none of the words"),
        (
            "text_to_image",
            ("--prompt", "pneumonia", "--position", "top"),
            "text_to_image knows upper",
        ),
        (
            "text_to_image",
            ("--prompt", "pneumonia", "--set", "place=here"),
            "expected drawn or words",
        ),
        (
            "text_to_image",
            ("--prompt", "pneumonia", "--set", "place=drawn"),
            "no prompt names both",
        ),
        ("text_to_image", (), "makes images from prompts"),
    ],
)
def test_what_cannot_be_followed_is_refused_in_words(
    weights, tmp_path, capsys, system, more, message
):
    assert generate(system, tmp_path / "out", *more, model=weights) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("out/images/*"))


def test_the_words_that_are_known_are_listed(weights, tmp_path, capsys):
    generate("text_to_image", tmp_path / "out", "--prompt", "fracture", model=weights)
    assert "chest x-ray, pneumonia, no finding, lower left" in capsys.readouterr().err


@pytest.mark.parametrize("system", ["latent_diffusion", "text_to_image", "pggan"])
def test_missing_weights_are_said_with_the_cure(tmp_path, monkeypatch, capsys, system):
    from medsynth.networks import model_store

    monkeypatch.setattr(model_store, "folders", lambda: [tmp_path / "nowhere"])
    more = ("--prompt", "pneumonia") if system == "text_to_image" else ()
    assert generate(system, tmp_path / "out", *more) == 2
    assert "train them with `medsynth train " in capsys.readouterr().err


@pytest.mark.slow
def test_weights_of_another_kind_are_refused(weights, gan, tmp_path, capsys):
    assert generate("pggan", tmp_path / "a", model=weights) == 2
    assert "holds no progressive GAN" in capsys.readouterr().err
    assert generate("latent_diffusion", tmp_path / "b", model=gan) == 2
    assert "holds no latent diffusion model" in capsys.readouterr().err
    damaged = tmp_path / "cut.safetensors"
    damaged.write_bytes(weights.read_bytes()[:-5000])
    assert generate("latent_diffusion", tmp_path / "c", model=damaged) == 2
    assert "damaged" in capsys.readouterr().err


def test_weights_of_a_system_guide_no_synthesis(weights):
    with pytest.raises(
        CheckpointError, match="of the image system latent_diffusion and cannot guide"
    ):
        load_network(weights)


SHIPPED = {
    "chest": ("latent_diffusion", "--preset", "chest_xray"),
    "mri": ("latent_diffusion", "--preset", "brain_mri"),
    "ct": ("latent_diffusion", "--preset", "brain_ct"),
    "words": ("text_to_image", "--prompt", "chest x-ray, pneumonia", "--position", "lower left"),
    "gan": ("pggan", "--class", "pneumonia"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_runs_offline_and_always_gives_the_same_marked_image(name, tmp_path):
    system, *more = SHIPPED[name]
    quick = () if system == "pggan" else ("--set", "steps=2")
    for out in ("a", "b"):
        assert generate(system, tmp_path / out, *more, *quick) == 0
    first = pixels(tmp_path / "a")
    assert first.std() > 5
    assert np.array_equal(first, pixels(tmp_path / "b"))
    with Image.open(tmp_path / "a/images/000001.png") as made:
        assert made.text[marking.KEY] == marking.TEXT


def test_the_cascade_says_what_it_needs(tmp_path, capsys):
    assert generate("cascade", tmp_path / "out") == 2
    assert "say which with --preset" in capsys.readouterr().err


@pytest.mark.slow
def test_the_cascade_draws_lung_in_hu(repo_root, tmp_path):
    if not (repo_root / "monai_bundle/models/lung_ct_low_64.safetensors").exists():
        pytest.skip("needs the shipped networks")
    more = ("--preset", "lung_ct", "--set", "steps=2")
    assert generate("cascade", tmp_path / "out", *more) == 0
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out/images/000001.nrrd")))
    assert values.shape == (1, 512, 512)
    assert values.min() < -500 < 0 < values.max()


SIXTH = '''
"""Gray images, as many as are asked for."""

import numpy as np

from medsynth.generators.systems.base import Accepts, GeneratedImage, SystemEntry

class Gray:
    def estimate(self, count):
        return "no time at all"

    def generate(self, indices):
        for index in indices:
            yield GeneratedImage(index, np.full((8, 8), index, np.uint8))

    def stored(self, image):
        pass


def load(request, *, work, listener):
    return Gray()


SYSTEM = SystemEntry(
    name="plain_gray", title="Plain gray", load=load, accepts=Accepts(), license="none"
)
'''


def test_a_sixth_system_is_one_file(tmp_path, capsys):
    with added(systems.SYSTEMS, "plain_gray", SIXTH, tmp_path / "more"):
        assert generate("plain_gray", tmp_path / "out", "--count", 2) == 0
        assert pixels(tmp_path / "out", 2)[0, 0] == 1
        assert cli.main(["generate", "--list"]) == 0
        assert "plain_gray: Plain gray" in capsys.readouterr().out
    assert "plain_gray" not in systems.SYSTEMS


def test_hounsfield_units_are_marked_whoever_names_the_domain(tmp_path):
    tissue = "np.random.default_rng(index).normal(40, 10, (256, 256)).astype(np.float32)"
    plain = "np.full((8, 8), index, np.uint8)"
    source = SIXTH.replace(plain, f'{tissue}, preset="lung_ct"').replace("plain_gray", "tissue")
    with added(systems.SYSTEMS, "tissue", source, tmp_path / "more"):
        assert generate("tissue", tmp_path / "out") == 0
    values = read_image(tmp_path / "out/images/000001.nrrd")
    assert look(sitk.GetArrayFromImage(values.image)).marked

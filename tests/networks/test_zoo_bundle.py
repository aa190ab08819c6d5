"""Bundles of the MONAI model zoo as generators: the zoo's configuration, random weights, both packages."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from medsynth.cli import app as cli
from medsynth.networks import zoo_bundle

pytestmark = pytest.mark.slow

# As in brats_mri_axial_slices_generative_diffusion of the zoo, in the parts that are read.
CONFIG = {
    "imports": ["$import torch", "$import sys; sys.exit(7)"],
    "model_dir": "$@bundle_root + '/models'",
    "spatial_dims": 2,
    "image_channels": 1,
    "latent_channels": 1,
    "latent_shape": ["@latent_channels", 64, 64],
    "autoencoder_def": {
        "_target_": "generative.networks.nets.AutoencoderKL",
        "spatial_dims": "@spatial_dims",
        "in_channels": "@image_channels",
        "out_channels": "@image_channels",
        "latent_channels": "@latent_channels",
        "num_channels": [64, 128, 256],
        "num_res_blocks": 2,
        "norm_num_groups": 32,
        "norm_eps": 1e-06,
        "attention_levels": [False, False, False],
        "with_encoder_nonlocal_attn": True,
        "with_decoder_nonlocal_attn": True,
    },
    "network_def": {
        "_target_": "generative.networks.nets.DiffusionModelUNet",
        "spatial_dims": "@spatial_dims",
        "in_channels": "@latent_channels",
        "out_channels": "@latent_channels",
        "num_channels": [32, 64, 128, 256],
        "attention_levels": [False, True, True, True],
        "num_head_channels": [0, 32, 32, 32],
        "num_res_blocks": 2,
    },
    "load_autoencoder_path": "$@bundle_root + '/models/model_autoencoder.pt'",
    "load_diffusion_path": "$@model_dir + '/model.pt'",
    "noise_scheduler": {
        "_target_": "generative.networks.schedulers.DDIMScheduler",
        "num_train_timesteps": 1000,
        "beta_start": 0.0015,
        "beta_end": 0.0195,
        "schedule": "scaled_linear_beta",
        "clip_sample": False,
    },
}


def small():
    """The same with fewer channels and smaller latents, for tests that only look at the reading."""
    config = json.loads(json.dumps(CONFIG))
    config["latent_shape"] = ["@latent_channels", 8, 8]
    config["autoencoder_def"] |= {"num_channels": [8, 16, 16], "norm_num_groups": 4}
    config["network_def"] |= {"num_channels": [8, 8, 16, 16], "norm_num_groups": 4}
    config["network_def"] |= {"num_head_channels": [0, 4, 8, 8]}
    return config


def networks(config, package):
    """Networks of `package` with random weights, as the configuration has them."""
    if package == "generative":
        module = pytest.importorskip("generative.networks.nets", reason="needs monai-generative")
    else:
        from monai.networks import nets as module
    made = []
    torch.manual_seed(0)
    for part in ("autoencoder_def", "network_def"):
        given = zoo_bundle._resolved(config[part], config)
        name = given.pop("_target_").rsplit(".", 1)[1]
        if package == "monai":
            given["channels"] = given.pop("num_channels")
        network = getattr(module, name)(**given).eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
        made.append(network)
    return made


def bundle(folder, config, package="monai"):
    """A bundle's folder, and its networks."""
    made = networks(config, package)
    for name in ("configs", "models"):
        (folder / name).mkdir(parents=True)
    (folder / "configs/inference.json").write_text(json.dumps(config))
    for network, name in zip(made, ("model_autoencoder.pt", "model.pt"), strict=True):
        torch.save(network.state_dict(), folder / "models" / name)
    return made


@pytest.mark.parametrize("package", ["monai", "generative"])
def test_its_networks_are_the_same_here(tmp_path, package):
    autoencoder, unet = bundle(tmp_path / "zoo", small(), package)
    model = zoo_bundle.load(tmp_path / "zoo", preset="brain_mri", scale_factor=0.5)
    latents, t = torch.randn(2, 1, 8, 8), torch.tensor([3.0, 900.0])
    with torch.no_grad():
        expected = unet(latents, timesteps=t)
        assert torch.allclose(model.unet(latents, t), expected, atol=1e-5)
        image = autoencoder.decode_stage_2_outputs(latents / 0.5)
        assert torch.allclose(model.decode(latents), 2 * image - 1, atol=1e-4)
    assert model.schedule.num_train_timesteps == 1000
    assert float(model.schedule.betas[0]) == pytest.approx(0.0015, rel=1e-6)
    assert model.prediction_type == "epsilon"


def test_a_bundle_generates_without_running_its_code(tmp_path):
    bundle(tmp_path / "zoo", small())
    words = ["generate", "latent_diffusion", "--model", tmp_path / "zoo", "-o", tmp_path / "out"]
    more = ["--preset", "brain_mri", "--set", "steps=2"]
    assert cli.main([str(w) for w in [*words, *more]]) == 0
    with Image.open(tmp_path / "out/images/000001.png") as made:
        assert np.asarray(made).shape == (32, 32)


def test_the_zoos_own_configuration_makes_an_image(tmp_path):
    bundle(tmp_path / "zoo", CONFIG)
    model = zoo_bundle.load(tmp_path / "zoo", preset="brain_mri")
    from medsynth.generators.latent_sampling import WantedImage, sample_images

    image = sample_images(model, WantedImage("brain_mri"), [0], steps=2)
    assert image.shape == (1, 1, 256, 256)
    assert torch.isfinite(image).all()


def changed(**parts):
    config = small()
    for key, value in parts.items():
        config[key] = config[key] | value if isinstance(value, dict) else value
    return config


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (changed(network_def={"with_conditioning": True}), "conditioned on embeddings of another"),
        (changed(spatial_dims=3), "makes volumes"),
        (changed(latent_shape="$[1, 8, 8]"), "latent_shape is"),
        (
            changed(noise_scheduler={"schedule": "sigmoid_beta"}),
            "schedule 'sigmoid_beta' is unknown",
        ),
        (
            changed(network_def={"num_res_blocks": "$1 + 1"}),
            "is Python code, which is not run here",
        ),
        (changed(network_def={"in_channels": "@nothing"}), "which it does not hold"),
    ],
)
def test_a_bundle_that_cannot_be_used_is_refused_in_words(tmp_path, capsys, config, message):
    bundle(tmp_path / "zoo", small())
    (tmp_path / "zoo/configs/inference.json").write_text(json.dumps(config))
    words = ["generate", "latent_diffusion", "--model", tmp_path / "zoo", "-o", tmp_path / "out"]
    assert cli.main([str(w) for w in [*words, "--preset", "brain_mri"]]) == 2
    assert message in capsys.readouterr().err


def test_weights_of_another_network_are_refused(tmp_path, capsys):
    bundle(tmp_path / "zoo", small())
    torch.save({"a": torch.zeros(3)}, tmp_path / "zoo/models/model.pt")
    words = ["generate", "latent_diffusion", "--model", tmp_path / "zoo", "-o", tmp_path / "out"]
    assert cli.main([str(w) for w in [*words, "--preset", "brain_mri"]]) == 2
    assert "is of another network" in capsys.readouterr().err
    words[-1] = tmp_path / "other"
    assert cli.main([str(w) for w in words]) == 2
    assert "give --preset" in capsys.readouterr().err

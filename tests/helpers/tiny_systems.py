"""Tiny models of the image systems, random or trained for a moment, and a small table of radiographs."""

import csv
import json

import numpy as np
import torch
from PIL import Image

from medsynth.networks import latent_file, progressive_gan
from medsynth.networks.diffusers_pipelines import WITHOUT_CHECKER
from medsynth.networks.latent import (
    AutoencoderConfig,
    LatentAutoencoder,
    LatentUNet,
    LatentUNetConfig,
)

VOCABULARY = ("chest x-ray", "pneumonia", "no finding", "lower left", "brain mri", "glioma tumor")


def latent_weights(path, *, presets=("chest_xray",), vocabulary=VOCABULARY, seed=0):
    """A latent diffusion model of 64 x 64 images whose words do something."""
    torch.manual_seed(seed)
    autoencoder = LatentAutoencoder(AutoencoderConfig(4, (8, 8), 3, 1, 4))
    config = LatentUNetConfig(3, (8, 16), 1, (False, True), 4, 8, len(vocabulary), 8, 8)
    unet = LatentUNet(config)
    with torch.no_grad():  # MONAI's last layers begin at zero, behind which nothing would show
        for parameter in unet.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        unet.words.weight.mul_(30)
    latent_file.save(
        path,
        autoencoder=autoencoder,
        unet=unet.state_dict(),
        config=config,
        metadata={
            "schedule": {"kind": "log_snr_linear"},
            "prediction_type": "v_prediction",
            "preset": "+".join(presets),
            "data": "made up",
            "license": "none",
            "latent_mean": [0.0, 0.1, 0.2],
            "latent_std": [1.0, 1.0, 2.0],
            "latent_size": [8, 8],
            "vocabulary": list(vocabulary),
            "trained_on": ["P1"],
        },
    )
    return path


def gan_weights(path):
    """A generator of 16 x 16 images with one class."""
    torch.manual_seed(0)
    config = progressive_gan.ProgressiveGanConfig(8, (8, 8, 8))
    generator = progressive_gan.ProgressiveGenerator(config)
    progressive_gan.save(
        path,
        generator.state_dict(),
        config=config,
        level=2,
        classes={"pneumonia": torch.full((8,), 1.0)},
        metadata={"preset": "chest_xray", "data": "made up", "license": "none", "steps": 0},
    )
    return path


def film_table(folder, count=12, *, side=256, seed=0):
    """Made-up films of as many people, half of them with a bright spot that the label and box name."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side] / side
    with open(folder / "SOURCES.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "patient", "label", "boxes", "size", "view"])
        for index in range(count):
            image = 60 + 80 * np.exp(-((columns - 0.5) ** 2) / 0.02) + 20 * rowwise(rng, side)
            sick = index % 2
            if sick:
                image += 90 * np.exp(-((rows - 0.8) ** 2 + (columns - 0.8) ** 2) / 0.01)
            gray = image.clip(0, 255).astype(np.uint8)
            Image.fromarray(gray).save(folder / f"{index:03d}.png")
            box = f"Pneumonia:{0.7 * side},{0.7 * side},{0.9 * side},{0.9 * side}" if sick else ""
            label = "Pneumonia" if sick else "No Finding"
            row = [f"{index:03d}.png", f"P{index}", label, box, f"{side}x{side}", "PA"]
            table.writerow(row)
    return folder


def rowwise(rng, side):
    """Ribs of this person: (side, side) in 0 to 1."""
    phase, width = rng.uniform(0, 2 * np.pi), rng.uniform(8, 12)
    return np.broadcast_to((1 + np.sin(np.arange(side)[:, None] / width + phase)) / 2, (side, side))


def pipeline_folder(folder, *, seed=0):
    """A Stable Diffusion pipeline of 16 x 16 images: UNet, KL autoencoder, CLIP text, tokenizer files."""
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(seed)
    letters = list("abcdefghijklmnopqrstuvwxyz-,0123456789")
    names = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{c}</w>" for c in letters)]
    files = folder / "tokenizer-files"
    files.mkdir(parents=True)
    (files / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    (files / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(files / "vocab.json"), str(files / "merges.txt"))
    tokenizer.model_max_length = 24
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(names),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=24,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        latent_channels=4,
        sample_size=16,
    )
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(beta_schedule="scaled_linear"),
        feature_extractor=None,
        **WITHOUT_CHECKER,
    )
    pipeline.save_pretrained(folder / "pipeline")
    return folder / "pipeline"

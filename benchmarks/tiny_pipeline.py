"""A small Stable Diffusion pipeline for machines without one: what `medsynth train sd_chest_xray` then trains.

python benchmarks/tiny_pipeline.py ../shared/data OUT [--steps 250]

Same parts as Stable Diffusion, a thousandth of its size, at 64 x 64: the autoencoder is trained here for some
minutes on the training radiographs; text encoder and UNet are random, and the tokenizer knows the words of our
captions only. Then, with every command of ours as for a real one:

medsynth train sd_chest_xray --data ../shared/data --set pipeline=OUT --set lora_rank=0 --set resolution=64
    --set batch_size=16 --set steps=1000 --set optimizer.lr=1e-3 -o RUN
medsynth generate stable_diffusion --model RUN/pipeline --prompt "chest x-ray, pa view" --count 40 -o IMAGES
"""

import argparse
import itertools
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from medsynth.networks import diffusers_pipelines
from medsynth.networks.checkpoint import fastest_dtype
from medsynth.training.systems import images, recipe

SIDE, BATCH, CHANNELS = 64, 8, (16, 32)
LONGEST = 24  # tokens of a caption
END = "</w>"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder that holds chest_xray")
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=250, help="of the autoencoder")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    diffusers = diffusers_pipelines.library()
    _, whole = recipe.load(recipe.FOLDER / "sd_chest_xray.yaml", data=str(args.data))
    (source,) = images.read_sources(whole.sources, run=args.out / "split")
    pictures = torch.stack([source.unit(i) for i in range(len(source.words))])
    small = functional.interpolate(pictures, size=(SIDE, SIDE), mode="bicubic", antialias=True)
    vae = autoencoder(diffusers, small.clamp(-1, 1), steps=args.steps)
    words = sorted({part for said in source.words for word in said for part in word.split()})
    pipeline = diffusers.StableDiffusionPipeline(
        vae=vae,
        **text_parts(words, args.out),
        unet=diffusers.UNet2DConditionModel(
            sample_size=SIDE // 2 ** (len(CHANNELS) - 1),
            block_out_channels=(32, 64, 96),
            layers_per_block=1,
            norm_num_groups=16,
            down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
            cross_attention_dim=64,
            attention_head_dim=4,
        ),
        scheduler=diffusers.DDIMScheduler(
            beta_schedule="scaled_linear",
            prediction_type="v_prediction",
            clip_sample=False,
            set_alpha_to_one=False,
        ),
        feature_extractor=None,
        **diffusers_pipelines.WITHOUT_CHECKER,
    )
    pipeline.save_pretrained(args.out)
    parts = {"vae": vae, "unet": pipeline.unet, "text_encoder": pipeline.text_encoder}
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    print(json.dumps({"parameters": counts, "words": words}))


def autoencoder(diffusers, pictures: torch.Tensor, *, steps: int):
    """A KL autoencoder to latents of 4 channels and half the side, trained with L1 on (N, 1, 64, 64) in [-1, 1]."""
    vae = diffusers.AutoencoderKL(
        block_out_channels=CHANNELS,
        down_block_types=("DownEncoderBlock2D",) * len(CHANNELS),
        up_block_types=("UpDecoderBlock2D",) * len(CHANNELS),
        layers_per_block=1,
        norm_num_groups=16,
        latent_channels=4,
        mid_block_add_attention=False,
        sample_size=SIDE,
    )
    optimizer = torch.optim.AdamW(vae.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    dtype = fastest_dtype("cpu")
    started, losses = time.monotonic(), []
    for step in range(steps):
        batch = pictures[torch.randint(len(pictures), (BATCH,))].expand(-1, 3, -1, -1)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            posterior = vae.encode(batch).latent_dist
            decoded = vae.decode(posterior.sample()).sample.float()
        loss = functional.l1_loss(decoded, batch) + 1e-5 * posterior.kl().mean() / SIDE
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % 50 == 49:
            seconds = time.monotonic() - started
            print(f"step {step + 1}: L1 {np.mean(losses[-50:]):.4f}, {seconds:.0f} s", flush=True)
    with torch.no_grad():
        some = pictures[:64].expand(-1, 3, -1, -1)
        spread = vae.encode(some).latent_dist.mean.std()
    vae.register_to_config(scaling_factor=float(1 / spread))
    return vae.eval()


def text_parts(words: list[str], out: Path) -> dict[str, object]:
    """A tokenizer whose tokens are these words, and a random text encoder."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    letters = sorted(set("".join(words)) | set(",-"))
    names = ["<|startoftext|>", "<|endoftext|>", *letters, *(c + END for c in letters)]
    merges: dict[tuple[str, str], None] = {}
    for word in words:
        # Byte-pair encoding joins two pieces at a time, so that a word is built from its left.
        pieces = [*word[:-1], word[-1] + END]
        for joined in itertools.accumulate(pieces, lambda left, right: left + right):
            if joined not in names:
                names.append(joined)
        for left, right in zip(itertools.accumulate(pieces), pieces[1:], strict=False):
            merges[left, right] = None
    folder = out / "tokenizer-files"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.model_max_length = LONGEST
    config = CLIPTextConfig(
        vocab_size=len(names),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LONGEST,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return {"text_encoder": CLIPTextModel(config), "tokenizer": tokenizer}


if __name__ == "__main__":
    main()

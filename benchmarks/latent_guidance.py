"""Guidance of a latent model by a reference: the table and the sheet of docs/experiments.md.

python benchmarks/latent_guidance.py ../shared/data [-o SHEET.png] [--count 8] [--factors 8 16] [--steps 25]

Chest radiographs of people held out are references. Four ways of one model and one noise:

- free: no reference;
- latents: equation 3 on the estimate of x0 in latents, with the reference encoded (factor / 8);
- decoded: the estimate of x0 is decoded, equation 3 acts on its pixels, and the result is encoded again;
- decoded, last word: the same, and once more on the finished pixels, which makes the low band exact.

For each: RMS error of the low band as a share of the reference's deviation, RMS difference of the whole image,
power above the low band over the reference's, seconds an image.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medsynth import domains
from medsynth.datasets.captions import words_of
from medsynth.datasets.data import load_slices
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import low_pass
from medsynth.diffusion.guidance.ilvr import with_low_frequencies_of
from medsynth.diffusion.noise import generators
from medsynth.diffusion.samplers import build
from medsynth.diffusion.sampling import sample
from medsynth.generators.latent_sampling import (
    CLIP,
    SAMPLER,
    WantedImage,
    guided_network,
    word_tensors,
)
from medsynth.networks import latent_file, model_store
from medsynth.networks.latent_file import LatentModel
from medsynth.training.systems import images as training_images
from medsynth.training.systems import recipe
from medsynth.training.systems.sheet import write_sheet

MODEL, RECIPE = "latent_256", "pggan_64.yaml"
WAYS = ("free", "latents", "decoded", "decoded, last word")


@dataclass(frozen=True)
class LatentReference:
    """Equation 3 on the estimate of x0: in latents, or on its decoded pixels."""

    model: LatentModel
    reference: Tensor
    factor: int
    decoded: bool
    name: str = "latent reference"
    space: str = "x0"

    def apply(self, x0: Tensor, step: object) -> Tensor:
        """The estimate with the reference's low frequencies."""
        if self.decoded:
            return self.model.encode(self.on_pixels(self.model.decode(x0)))
        factor = max(1, self.factor // self.model.autoencoder.config.multiple)
        y, phi = self.model.encode(self.reference), low_pass.build
        return with_low_frequencies_of(y, x0, phi=phi("dct", size=x0.shape[-2:], factor=factor))

    def on_pixels(self, image: Tensor) -> Tensor:
        """Equation 3 on pixels."""
        phi = low_pass.build("dct", size=image.shape[-2:], factor=self.factor)
        return with_low_frequencies_of(self.reference, image, phi=phi)

    def apply_noised(self, x: Tensor, step: object, *, draw: object) -> Tensor:
        """Acts on x0 only."""
        return x

    def conditioning(self, step: object) -> None:
        """The network knows nothing of it."""
        return

    def to(self, device: str) -> "LatentReference":
        """Stays where it is."""
        return self


def references(data: Path, count: int) -> tuple[Tensor, list[tuple[str, ...]]]:
    """Radiographs (N, 1, 256, 256) in [-1, 1] of people held out, and their words."""
    _, whole = recipe.load(recipe.FOLDER / RECIPE, data=str(data))
    (source,) = training_images.read_sources(whole.sources, run=Path("/tmp/latent-guidance"))
    preset = domains.get("chest_xray")
    found = load_slices(source.source.data, preset=preset, split=source.split, held_out=True)
    entries = {entry.name: entry for entry in source.split.held_out}
    # Spread over the people, who come in the order of their sources.
    chosen = np.linspace(0, len(found.images) - 1, count).astype(int)
    pixels = torch.from_numpy(np.stack([found.images[i] for i in chosen])).float()
    unit = torch.as_tensor(preset.intensity.to_unit(pixels.numpy())).float()[:, None]
    return unit, [tuple(words_of(entries[found.series[i]], preset)) for i in chosen]


@torch.inference_mode()
def made(
    model: LatentModel, way: str, reference: Tensor, words: tuple[str, ...], seed: int, args
) -> Tensor:
    """One image (1, 1, H, W)."""
    known = tuple(word for word in words if word in model.vocabulary)
    wanted = WantedImage(preset="chest_xray", words=known)
    said, unwanted = word_tensors(model, wanted, 1)
    network = guided_network(model, said, unwanted, scale=1.0)
    denoiser = Denoiser(network, model.schedule, prediction_type=model.prediction_type, clip=CLIP)
    draws = generators(seed, [0])
    noise = torch.randn((len(model.mean), *model.size), generator=draws[0])[None]
    condition = LatentReference(model, reference, args.factor, way.startswith("decoded"))
    conditions = () if way == "free" else (condition,)
    solver = build(SAMPLER)
    latents = sample(
        denoiser, solver, steps=args.steps, noise=noise, generators=draws, conditions=conditions
    )
    image = model.decode(latents)
    return condition.on_pixels(image) if way == "decoded, last word" else image


def figures(image: Tensor, reference: Tensor, factor: int) -> list[float]:
    """Low-band error, whole difference (shares of the reference's deviation), power above the band."""
    phi = low_pass.build("dct", size=image.shape[-2:], factor=factor)
    spread = reference.std()
    above = (image - phi(image)).square().mean() / (reference - phi(reference)).square().mean()
    low = phi(image - reference).square().mean().sqrt() / spread
    whole = (image - reference).square().mean().sqrt() / spread
    return [float(low), float(whole), float(above)]


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--factors", type=int, nargs="+", default=[8, 16])
    parser.add_argument("-o", "--out", type=Path)
    args = parser.parse_args()
    model = latent_file.load(model_store.path(MODEL))
    unit, words = references(args.data, args.count)
    rows = [unit]
    again = [figures(model.decode(model.encode(u[None])), u[None], 8)[0] for u in unit]
    print(f"autoencoder alone, low band of factor 8: {np.mean(again):.4f}")
    for factor in args.factors:
        args.factor = factor
        for way in WAYS:
            images, found, started = [], [], time.process_time()
            for seed, (reference, said) in enumerate(zip(unit, words, strict=True)):
                images.append(made(model, way, reference[None], said, seed, args))
                found.append(figures(images[-1], reference[None], factor))
            seconds = (time.process_time() - started) / len(images)
            low, whole, above = np.mean(found, axis=0)
            print(
                f"factor {factor:>2}  {way:<20} low {low:.4f}  whole {whole:.3f}  "
                f"power above {above:.2f}  {seconds:.1f} s",
                flush=True,
            )
            rows.append(torch.cat(images))
    if args.out:
        write_sheet(rows, args.out)


if __name__ == "__main__":
    main()

"""How far one network call is off a held-out slice, by noise level: the quickest look at a denoiser.

    python benchmarks/one_call_errors.py lung_ct --data FOLDER --weights A.safetensors B.safetensors
    python benchmarks/one_call_errors.py lung_ct --data FOLDER --expert fine.safetensors

Root mean square error of x0 in physical units in each tissue, after the low-pass image of `--factor` is
corrected as guidance does it. The noise is the same for every network. A better estimate is not yet a
better sample: look at samples too.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch

from medsynth import domains, threads
from medsynth.datasets.data import load_slices
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import LowFrequency, LowFrequencyGuidance
from medsynth.diffusion.step import Step
from medsynth.domains import Preset
from medsynth.evaluation import held_out
from medsynth.networks import load_denoiser, model_store
from medsynth.training.recipe import load_recipe

LEVELS = (-1.0, 0.0, 2.0, 4.0, 6.0, 8.0, 9.5)
# In physical units, of the real slice inside of the body.
TISSUES = {"soft tissue": (-160.0, 240.0), "lung": (-1000.0, -500.0), "bone": (300.0, 3000.0)}


@torch.inference_mode()
def errors(
    denoiser: Denoiser, real: np.ndarray, inside: np.ndarray, *, preset: Preset, factor: int
) -> dict[float, list[float]]:
    """By log-SNR, the error in each of `TISSUES` over all slices (N, H, W)."""
    units = torch.from_numpy(preset.intensity.to_unit(real))[:, None]
    found: dict[float, list[float]] = {}
    for level in LEVELS:
        t = float(denoiser.schedule.t_at_log_snr(level))
        step = Step(0, 1, t, -1.0, level, float("inf"))
        squares = []
        for index, unit in enumerate(units):
            x0 = unit[None]
            noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(index))
            guidance = LowFrequencyGuidance([LowFrequency("anatomy", x0, factor)])
            conditioned = denoiser.with_conditioning(*guidance.conditioning(step))
            guess = guidance.apply(conditioned(denoiser.schedule.add_noise(x0, noise, t), t), step)
            values = preset.intensity.from_unit(guess[0, 0].numpy())
            squares.append((values - real[index]) ** 2)
        off = np.stack(squares)
        found[level] = [
            float(np.sqrt(off[inside & (real > low) & (real < high)].mean()))
            for low, high in TISSUES.values()
        ]
    return found


def main(argv: list[str] | None = None) -> int:
    """Print a table for every network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="the recipe that says who is held out")
    parser.add_argument("--data", required=True, metavar="FOLDER")
    parser.add_argument("--weights", type=Path, nargs="+", help="(default: the preset's)")
    parser.add_argument("--expert", help="of every one of them, or none")
    parser.add_argument("--slices", type=int, default=6)
    parser.add_argument("--factor", type=int, default=8)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args(argv)
    recipe = load_recipe(args.recipe, overrides={"data.root": args.data})
    preset = domains.get(recipe.preset)
    slices = load_slices(recipe.data, preset=preset, held_out=True)
    chosen = held_out.choose(slices.patients, args.slices)
    real = slices.images[chosen].astype(np.float32)
    inside = held_out.body(real, preset=preset)
    with threads.using(args.threads):
        for weights in args.weights or [model_store.path(preset.weights)]:
            denoiser = load_denoiser(weights, expert=args.expert)
            print(f"{weights.name}, expert {args.expert or 'as it says'}: {', '.join(TISSUES)}")
            found = errors(denoiser, real, inside, preset=preset, factor=args.factor)
            for level, row in found.items():
                print(f"  {level:5.1f}  " + " / ".join(f"{value:.1f}" for value in row))
    return 0


if __name__ == "__main__":
    sys.exit(main())

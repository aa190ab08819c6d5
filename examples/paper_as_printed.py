"""The paper as it is printed: ancestral steps (Eq. 2) on noised references (Eq. 3), added up (Eq. 4, 5)."""

import torch

from medsynth.diffusion import samplers, schedule
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import LowFrequency, LowFrequencyGuidance, spherical_gaussian
from medsynth.diffusion.sampling import generators, guidance_errors, sample

SIZE = (64, 64)
betas = schedule.build("linear")


def network(x_t, timesteps):
    """In place of a trained network: the best epsilon for images whose pixels are N(0, 0.3^2)."""
    abar = betas.abar(timesteps.double()).to(x_t).reshape(-1, 1, 1, 1)
    return (1 - abar).sqrt() * x_t / (0.3**2 * abar + 1 - abar)


ramp = torch.linspace(-0.5, 0.5, SIZE[1]).expand(1, 1, *SIZE)
lesion = torch.full((1, 1, *SIZE), 0.4)
W = spherical_gaussian(SIZE, center=(32, 32), diameter=24)  # Eq. 5

guidance = LowFrequencyGuidance(
    [
        LowFrequency("anatomy", ramp, 8, weights=0.9 * (1 - W)),
        LowFrequency("lesion", lesion, 4, weights=0.9 * W),
    ],
    composition="sum",  # Eq. 4
    space="x_t",  # Eq. 3 on the new sample, with references noised to its level
)
image = sample(
    Denoiser(network, betas, prediction_type="epsilon"),
    samplers.build("ddpm", variance="fixed_large"),  # Eq. 2 with sigma = sqrt(beta)
    steps=250,
    noise=torch.randn(1, 1, *SIZE, generator=torch.Generator().manual_seed(0)),
    conditions=[guidance],
    generators=generators(0, [0]),
)
errors = guidance_errors([guidance], image)[0]

if __name__ == "__main__":
    print("low frequencies off by, in standard deviations:", errors)

"""Images of a latent diffusion model: classifier-free guidance and our samplers.

Ho & Salimans 2022 (arXiv:2207.12598): x0 = x0(nothing) + w (x0(words) - x0(nothing)).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medsynth import domains
from medsynth.datasets.captions import domain_word
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.noise import AGAIN, generator, generators
from medsynth.diffusion.samplers import build
from medsynth.diffusion.sampling import sample
from medsynth.diffusion.schedule import Schedule
from medsynth.networks.latent import NO_WORD, word_indices
from medsynth.networks.latent_file import LatentModel

SAMPLER = "dpmpp_2m"
# Standardized latents beyond this are no image's.
CLIP = 6.0


@dataclass(frozen=True)
class WantedImage:
    """What an image shall show: a domain, words beside the domain's own, and what it shall not show.

    `scale` is that of classifier-free guidance, away from `unwanted`, or from nothing said at all.
    """

    preset: str
    words: tuple[str, ...] = ()
    scale: float = 1.0
    unwanted: tuple[str, ...] = ()

    @property
    def said(self) -> tuple[str, ...]:
        """All words, the domain's first."""
        return (domain_word(domains.get(self.preset)), *self.words)


def guided_network(
    model: LatentModel, words: Tensor, unwanted: Tensor, *, scale: float
) -> Callable[..., Tensor]:
    """The network conditioned on `words` (B, n), guided with `scale` away from `unwanted` (B, n).

    A prediction is linear in x0 for a given x_t, so that predictions are combined as x0 would be.
    """

    def network(x: Tensor, timesteps: Tensor) -> Tensor:
        kind = x.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=model.dtype == torch.bfloat16):
            if scale == 1.0 or not model.vocabulary:
                return model.unet(x, timesteps, words if model.vocabulary else None).float()
            said_or_not = torch.cat([words, unwanted])
            both = model.unet(torch.cat([x, x]), timesteps.repeat(2), said_or_not).float()
        said, nothing = both.chunk(2)
        return nothing + scale * (said - nothing)

    return network


@torch.inference_mode()
def sample_images(
    model: LatentModel,
    wanted: WantedImage,
    seeds: Sequence[int],
    *,
    seed: int = 0,
    steps: int = 25,
    sampler: str = SAMPLER,
) -> Tensor:
    """Images (B, 1, H, W) in about [-1, 1], image i drawn from (seed, i) for i of `seeds`.

    Raises:
        ValueError: words that are not in the model's vocabulary, or an unknown sampler.
    """
    draws = generators(seed, seeds)
    shape = (len(model.mean), *model.size)
    noise = torch.stack([torch.randn(shape, generator=g) for g in draws]).to(model.mean.device)
    denoiser = _denoiser(model, wanted, len(seeds), model.schedule)
    latents = sample(denoiser, build(sampler), steps=steps, noise=noise, generators=draws)
    return model.decode(latents)


@torch.inference_mode()
def denoise_again(
    model: LatentModel,
    wanted: WantedImage,
    images: Tensor,
    seeds: Sequence[int],
    *,
    log_snr: float,
    seed: int = 0,
    steps: int = 12,
    sampler: str = SAMPLER,
) -> Tensor:
    """Images (B, 1, H, W) in [-1, 1], noised to `log_snr` and denoised in `steps` calls (SDEdit, Meng et al. 2022).

    Raises:
        ValueError: as `sample_images`.
    """
    draws = [generator(seed, index, stream=AGAIN) for index in seeds]
    known = model.encode(images.to(model.mean.device))
    noise = torch.stack([torch.randn(known.shape[1:], generator=g) for g in draws]).to(known.device)
    denoiser = _denoiser(model, wanted, len(seeds), model.schedule.truncated(log_snr))
    solver = build(sampler)
    latents = sample(denoiser, solver, steps=steps, noise=noise, known=known, generators=draws)
    return model.decode(latents)


def _denoiser(model: LatentModel, wanted: WantedImage, count: int, schedule: Schedule) -> Denoiser:
    words, unwanted = word_tensors(model, wanted, count)
    network = guided_network(model, words, unwanted, scale=wanted.scale)
    return Denoiser(network, schedule, prediction_type=model.prediction_type, clip=CLIP)


def word_tensors(model: LatentModel, wanted: WantedImage, count: int) -> tuple[Tensor, Tensor]:
    """What is said of each of `count` images and what is unwanted, (count, n) indices each.

    Raises:
        ValueError: words that are not in the model's vocabulary.
    """
    said, unwanted = (
        torch.tensor([_indices(model, words)] * count, device=model.mean.device)
        for words in (wanted.said, wanted.unwanted)
    )
    return said, unwanted


def _indices(model: LatentModel, said: Sequence[str]) -> list[int]:
    """Indices of words; those of the domain may be unknown to a model of one domain.

    Raises:
        ValueError: another word that is not in the vocabulary.
    """
    if not model.vocabulary:
        return [NO_WORD]
    own = {domain_word(domains.get(name)) for name in model.presets}
    unknown = [word for word in said if word not in model.vocabulary and word not in own]
    if unknown:
        raise ValueError(
            f"{unknown[0]!r} is none of this model's words: {', '.join(model.vocabulary)}"
        )
    return word_indices(said, model.vocabulary, most=model.unet.config.most_words)

"""A network that is told references: where sampling begins, and what its weights file says of it."""

import pytest
import torch
from made_up_network import SMALL, card
from torch import nn

from medsynth.diffusion import samplers, schedule
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import LowFrequency, LowFrequencyGuidance
from medsynth.diffusion.sampling import generators, sample
from medsynth.networks import PatchUNet, load_denoiser, save_weights

LEVELS = schedule.log_snr_linear()


class Listener(nn.Module):
    """Predicts nothing and remembers the timesteps."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x, timesteps, *, conditioning=None):
        self.seen.append(float(timesteps[0]))
        return torch.zeros_like(x)


def first_log_snr(conditions, *, lowest, sampler):
    network = Listener()
    denoiser = Denoiser(network, LEVELS, reference_conditioned=True, conditioned_log_snr_min=lowest)
    sample(
        denoiser,
        samplers.build(sampler),
        steps=5,
        noise=torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)),
        conditions=conditions,
        generators=generators(0, [0]),
    )
    assert len(network.seen) == 5
    return float(LEVELS.log_snr(network.seen[0]))


def guidance(weights=None):
    reference = torch.linspace(-1, 1, 32 * 32).reshape(1, 1, 32, 32)
    return [LowFrequencyGuidance([LowFrequency("anatomy", reference, 4, weights=weights)])]


@pytest.mark.parametrize("sampler", samplers.SAMPLERS)
def test_told_everywhere_sampling_begins_where_training_did(sampler):
    first = first_log_snr(guidance(), lowest=-2.5, sampler=sampler)
    assert first == pytest.approx(-2.5, abs=0.02)


def test_told_nothing_or_in_part_it_begins_at_the_end_of_the_schedule():
    inside = torch.zeros(1, 1, 32, 32)
    inside[..., 8:24, 8:24] = 1
    for conditions in ([], guidance(inside)):
        first = first_log_snr(conditions, lowest=-2.5, sampler="dpmpp_2m")
        assert first == pytest.approx(-7.0, abs=1e-6)
    assert first_log_snr(guidance(), lowest=None, sampler="dpmpp_2m") == pytest.approx(-7.0)


def test_the_weights_file_says_how_it_was_told(tmp_path):
    metadata = card(SMALL, residual_std={0: 1.0, 4: 0.05, 8: 0.09}, conditioned_log_snr_min=-2.5)
    save_weights(PatchUNet(SMALL).state_dict(), tmp_path / "net.safetensors", metadata=metadata)
    denoiser = load_denoiser(tmp_path / "net.safetensors")
    assert dict(denoiser.preconditioning.std) == metadata["residual_std"]
    assert denoiser.conditioned_log_snr_min == -2.5
    metadata |= {"residual_std": None, "conditioned_log_snr_min": None}
    save_weights(PatchUNet(SMALL).state_dict(), tmp_path / "old.safetensors", metadata=metadata)
    old = load_denoiser(tmp_path / "old.safetensors")
    assert (old.preconditioning, old.conditioned_log_snr_min) == (None, None)

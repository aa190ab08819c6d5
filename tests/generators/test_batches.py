"""Slices that go through the network together come out as they do one by one."""

import numpy as np
import pytest
import torch
from torch import nn

from medsynth import domains
from medsynth.diffusion import schedule
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import ReferenceGuidance
from medsynth.generators.base import Reference, SliceTask
from medsynth.generators.guided_diffusion import GuidedDiffusion
from medsynth.networks import PatchUNet, PatchUNetConfig

CONFIG = PatchUNetConfig(
    image_size=(32, 32),
    channels=(32, 32),
    attention_levels=(False, False),
    num_res_blocks=1,
    num_head_channels=32,
    reference_conditioned=True,
)
LESION_IN = (2, 3)
PRESET = domains.get("lung_ct")


@pytest.fixture(scope="module")
def denoiser():
    torch.manual_seed(0)
    network = PatchUNet(CONFIG)
    for parameter in network.parameters():  # the last layer of an untrained one is zero
        nn.init.normal_(parameter, std=0.05)
    levels = schedule.build(kind="log_snr_linear")
    return Denoiser(network.eval(), levels, reference_conditioned=True)


def task(k):
    """Five slices; a lesion in the third and fourth, and a background that is kept."""
    rng = np.random.default_rng(k)
    values = rng.normal(30, 15, (32, 32)).astype(np.float32)
    references = [Reference("anatomy", values, 4)]
    if k in LESION_IN:
        weights = np.zeros((32, 32), np.float32)
        weights[8:20, 8 + k : 20] = 1
        references.append(Reference("pathologies[0]", values + 40, 2, weights=weights))
    known = np.zeros((32, 32), np.float32)
    known[:4] = 1
    return SliceTask(tuple(references), known)


def made_by(denoiser, batch, *, wanted=range(5), **options):
    generator = GuidedDiffusion(
        denoiser, PRESET, "dpmpp_2m_sde", 3, slices_per_batch=batch, **options
    )
    steps_seen = []
    made = list(
        generator.generate(
            wanted, task, seed=3, step_mm=2.5, on_step=lambda *step: steps_seen.append(step)
        )
    )
    return made, steps_seen


@pytest.mark.slow
@pytest.mark.parametrize("batch", [2, 3, 8])
@pytest.mark.parametrize(
    "options",
    [{}, {"guidance": ReferenceGuidance(composition="weighted", space="x_t")}, {"noise": 12.0}],
    ids=["x0", "x_t", "noise"],
)
def test_a_slice_does_not_depend_on_its_batch(denoiser, batch, options):
    alone, steps_seen_alone = made_by(denoiser, 1, **options)
    together, steps_seen = made_by(denoiser, batch, **options)
    assert [m.index for m in together] == list(range(5))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(other.values, one.values, atol=0.5)  # HU of a range of 4,095
        assert other.errors.keys() == one.errors.keys()
        assert ("pathologies[0]" in other.errors) == (other.index in LESION_IN)
        for name, error in one.errors.items():
            assert other.errors[name] == pytest.approx(error, abs=1e-3)
        assert abs(one.beyond - other.beyond) <= 2
    assert sorted(steps_seen) == sorted(steps_seen_alone)
    assert np.abs(alone[0].values - alone[1].values).mean() > 1


def test_slices_that_are_not_wanted_are_left_out(denoiser):
    alone, _ = made_by(denoiser, 1, wanted=[0, 2, 3])
    together, _ = made_by(denoiser, 4, wanted=[0, 2, 3])
    for one, other in zip(alone, together, strict=True):
        assert one.index == other.index
        np.testing.assert_allclose(other.values, one.values, atol=0.5)


def test_the_cpu_takes_one_slice_at_a_time(denoiser):
    assert GuidedDiffusion(denoiser, PRESET, "ddim", 3).batch == 1
    assert GuidedDiffusion(denoiser, PRESET, "ddim", 3, device="cuda:0").batch == 8


@pytest.mark.parametrize("wrong", [0, 2.5, True, "4", 1000])
def test_a_batch_that_cannot_be_is_refused(denoiser, wrong):
    with pytest.raises(ValueError, match="slices_per_batch must be from 1 to 256"):
        GuidedDiffusion(denoiser, PRESET, "ddim", 3, slices_per_batch=wrong)

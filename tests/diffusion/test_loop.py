"""Seeds, batches and slices: what repeats, what differs, what follows what."""

import math

import numpy as np
import pytest
import torch
from closed_form import GaussianDenoiser, smooth_data

from medsynth.diffusion import samplers, schedule
from medsynth.diffusion import sampling as synthesis
from medsynth.diffusion.guidance import LowFrequency, LowFrequencyGuidance
from medsynth.diffusion.noise import START, PerSampleNoise, generator

SIZE = (12, 12)
POSITIONS = [0.0, 1.0, 3.5, 4.0, 9.0, 10.0, 12.5]


class PixelwiseDenoiser(GaussianDenoiser):
    """Independent pixels: its arithmetic is the same for a batch of any size, bit for bit."""

    def predict(self, x_t, t):
        abar = float(self.schedule.abar(t))
        return synthesis.Prediction(abar**0.5 * 0.09 / (abar * 0.09 + 1 - abar) * x_t)


def denoiser():
    return PixelwiseDenoiser(smooth_data(SIZE), schedule.build("cosine"))


def volume(seed, *, batch_size, name="dpmpp_2m", space="x0", start=0, stop=None):
    """All slices of a small guided volume."""
    reference = torch.linspace(-1, 1, 7 * 144).reshape(7, 1, *SIZE)
    result = []
    for indices, noise in synthesis.slice_noise(
        seed, POSITIONS, size=SIZE, batch_size=batch_size, start=start, stop=stop
    ):
        one = LowFrequency("anatomy", reference[list(indices)], 4)
        result.append(
            synthesis.sample(
                denoiser(),
                samplers.build(name),
                steps=6,
                noise=noise,
                conditions=[LowFrequencyGuidance([one], space=space)],
                generators=synthesis.generators(seed, indices),
            )
        )
    return torch.cat(result)


@pytest.mark.parametrize("space", ["x0", "x_t"])
@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_one_seed_repeats_bit_for_bit_whatever_the_batch(name, space):
    one = volume(3, batch_size=1, name=name, space=space)
    assert torch.equal(one, volume(3, batch_size=1, name=name, space=space))
    for batch_size in (2, 3, 7, 50):
        assert torch.equal(one, volume(3, batch_size=batch_size, name=name, space=space))


@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_two_seeds_differ_everywhere(name):
    difference = (volume(3, batch_size=7, name=name) - volume(4, batch_size=7, name=name)).abs()
    assert float((difference > 1e-3).float().mean()) > 0.98


def test_a_slice_does_not_depend_on_which_others_are_wanted():
    assert torch.equal(volume(3, batch_size=2)[2:5], volume(3, batch_size=2, start=2, stop=5))


def test_global_random_state_is_neither_used_nor_changed():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = volume(3, batch_size=2, name="ddpm", space="x_t")
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(one, volume(3, batch_size=2, name="ddpm", space="x_t"))


def noise_of(seed, *, size=(128, 128), **options):
    batches = list(synthesis.slice_noise(seed, POSITIONS, size=size, **options))
    assert [k for indices, _ in batches for k in indices] == list(range(7))
    return torch.cat([noise for _, noise in batches])


def test_slices_correlate_by_their_distance_in_mm():
    noise = noise_of(0, length_mm=5.0).flatten(1)
    measured = (noise @ noise.T / noise.shape[1]).numpy()
    distance = np.abs(np.subtract.outer(POSITIONS, POSITIONS))
    # 16384 pixels: three standard errors are 0.023 off the diagonal, 0.033 on it
    np.testing.assert_allclose(measured, np.exp(-distance / 5.0), atol=0.035)


def test_slice_noise_is_the_ar1_process_of_its_generators():
    noise = noise_of(5, size=SIZE, length_mm=2.0, batch_size=3)
    fresh = [torch.randn(1, *SIZE, generator=generator(5, k, stream=START)) for k in range(7)]
    rho = math.exp(-2.5 / 2.0)  # slices 1 and 2
    torch.testing.assert_close(noise[2], rho * noise[1] + math.sqrt(1 - rho**2) * fresh[2])
    torch.testing.assert_close(noise[0], fresh[0])


def test_ends_of_the_correlation_length():
    fresh = torch.stack(
        [torch.randn(1, *SIZE, generator=generator(1, k, stream=START)) for k in range(7)]
    )
    assert torch.equal(noise_of(1, size=SIZE, length_mm=0.0), fresh)
    same = noise_of(1, size=SIZE, length_mm=math.inf)
    assert torch.equal(same, fresh[:1].expand_as(same))


def test_noise_of_the_loop_is_not_the_noise_of_the_start():
    start = next(synthesis.slice_noise(1, POSITIONS, size=SIZE))[1]
    loop = PerSampleNoise(synthesis.generators(1, [0]), like=start)((1, *SIZE))
    assert float((start * loop).mean().abs()) < 0.3
    assert not torch.equal(start, loop)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions_mm": [0, 2, 1]}, "sort the slices"),
        ({"length_mm": -1}, "length_mm"),
        ({"start": 3, "stop": 3}, "start < stop"),
        ({"stop": 4}, "start < stop"),
        ({"batch_size": 0}, "batch_size"),
        ({"seed": -1}, "at least 0"),
    ],
)
def test_slices_that_do_not_exist_are_refused(change, message):
    arguments = {"seed": 0, "positions_mm": [0, 1, 2], "size": SIZE} | change
    seed, positions = arguments.pop("seed"), arguments.pop("positions_mm")
    with pytest.raises(ValueError, match=message):
        list(synthesis.slice_noise(seed, positions, **arguments))


def test_progress_is_told_and_cancelling_ends_the_loop():
    conditioned = []

    def cancel_at_3(done, steps):
        conditioned.append((done, steps))
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesis.sample(
            denoiser(),
            samplers.build("dpmpp_2m"),
            steps=8,
            noise=torch.zeros(1, 1, *SIZE),
            on_step=cancel_at_3,
        )
    assert conditioned == [(1, 8), (2, 8), (3, 8)]


def test_one_generator_per_sample_is_needed():
    with pytest.raises(ValueError, match="one generator per sample"):
        synthesis.sample(
            denoiser(),
            samplers.build("ddpm"),
            steps=2,
            noise=torch.zeros(2, 1, *SIZE),
            generators=synthesis.generators(0, [0]),
        )


def test_what_is_known_is_noised_to_the_first_level_of_the_schedule():
    """SDEdit: with little noise it comes back, with much it is forgotten."""
    known = torch.linspace(-1, 1, 144).reshape(1, 1, *SIZE)
    noise = torch.randn(1, 1, *SIZE, generator=torch.Generator().manual_seed(0))
    off = []
    for log_snr in (8.0, 2.0, -8.0):
        part = schedule.build("cosine").truncated(log_snr)
        solver, begin = samplers.build("dpmpp_2m"), part.abar(part.num_train_timesteps - 1)
        model = PixelwiseDenoiser(smooth_data(SIZE), part)
        first = solver.plan(part, 6)[0]
        x = synthesis.start(noise, first, conditions=(), known=known)
        torch.testing.assert_close(
            x, begin.sqrt() * known + (1 - begin).sqrt() * noise, check_dtype=False
        )
        made = synthesis.sample(model, solver, steps=6, noise=noise, known=known)
        off.append(float((made - known).square().mean().sqrt()))
    assert off[0] < 0.1 < off[1] < off[2]
    assert torch.equal(synthesis.start(noise, first, conditions=()), noise)

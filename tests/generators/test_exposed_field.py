"""A film that is cut off within the frame is guided as if it went on: its edge does not ring."""

import numpy as np
import pytest
import torch

from medsynth import domains
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance.low_pass import low_pass
from medsynth.diffusion.schedule import log_snr_linear
from medsynth.generators.exposed_field import EDGE, exposed_field
from medsynth.generators.guided_diffusion import GuidedDiffusion

PRESET = domains.get("mammography")
HEIGHT, WIDTH, CHEST_WALL = 96, 80, 68


def breast():
    """Bright at the chest wall, which the film ends at; black beyond it, (96, 80)."""
    row, column = np.indices((HEIGHT, WIDTH))
    reach = np.hypot((row - 48) / 40, (column - CHEST_WALL) / 55)
    plane = np.where(reach < 1, 60 + 120 * (1 - reach), 0)
    plane[:, CHEST_WALL:] = 0
    return plane.astype(np.float32)


def made(surroundings):
    generator = GuidedDiffusion(
        Denoiser(lambda x, t: torch.zeros_like(x), log_snr_linear(), prediction_type="sample"),
        PRESET,
        "dpmpp_2m",
        3,
        surroundings=surroundings,
    )
    noise = torch.randn(1, 1, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    return generator.follow(breast(), factor=8, noise=noise, index=0, seed=0)


def test_the_film_is_found_and_continued_without_a_step():
    field = exposed_field(breast(), PRESET)
    assert (field.columns.stop, field.background) == (CHEST_WALL, 0)
    continued = field.continued(breast())
    assert continued.shape == (HEIGHT, WIDTH)
    within = np.s_[30:60, 20 : CHEST_WALL - EDGE]
    assert np.array_equal(continued[within], breast()[within])
    mirrored = breast()[30:60, CHEST_WALL - EDGE - 1 :: -1][:, :10]
    assert np.array_equal(continued[30:60, CHEST_WALL - EDGE :][:, :10], mirrored)
    assert not field.cut_off(continued)[:, CHEST_WALL:].any()


def test_a_film_that_fills_the_frame_is_left_alone():
    assert exposed_field(np.full((HEIGHT, WIDTH), 90, np.float32), PRESET) is None
    assert exposed_field(np.zeros((HEIGHT, WIDTH), np.float32), PRESET) is None


def test_the_chest_wall_does_not_ring():
    middle, wall = slice(38, 58), slice(CHEST_WALL - 12, CHEST_WALL)
    error = {
        mode: np.abs(made(mode).images[0] - breast())[middle, wall].max()
        for mode in ("network", "reference")
    }
    assert error["network"] > 50
    assert error["reference"] < 12


def test_outside_of_the_film_nothing_is_left_and_the_low_pass_image_is_exact_before_that():
    image = made("reference")
    assert not image.images[0][:, CHEST_WALL:].any()
    assert image.errors[0]["anatomy"] < 1e-5
    unit = torch.from_numpy(PRESET.intensity.to_unit(image.images[0]))[None, None]
    reference = torch.from_numpy(PRESET.intensity.to_unit(breast()))[None, None]
    off = low_pass(unit - reference, factor=8).std() / reference.std()
    assert float(off) == pytest.approx(0, abs=0.05)

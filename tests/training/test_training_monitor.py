"""What a run shows while it runs; looking on changes nothing."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up_network import TINY, noisy_slices
from PIL import Image

from medsynth.diffusion import schedule
from medsynth.diffusion.guidance import low_pass
from medsynth.training import sample_sheet
from medsynth.training.monitor import Monitor
from medsynth.training.recipe import Augment, Phase, Recipe, ReferenceOptions, SampleOptions
from medsynth.training.timestep_log import LevelLog
from medsynth.training.trainer import Limits, Trainer

pytestmark = pytest.mark.slow

NETWORK = TINY
SAMPLES = SampleOptions(every=2, count=2, steps=2, factor=4)


def recipe(**changes):
    values = {
        "preset": "lung_ct",
        "phases": (Phase(steps=5, batch_size=2),),
        "network": NETWORK | {"reference_conditioned": True},
        "augment": Augment(shift_pixels=2),
        "reference": ReferenceOptions(factors=(0, 4), weights=(0.5, 0.5)),
        "samples": SAMPLES,
        "workers": 0,
    }
    return Recipe(**(values | changes))


@pytest.fixture(scope="module")
def monitored(tmp_path_factory):
    """A run that was looked at, stopped at step 3 and gone on with; and its page of step 3."""
    run = tmp_path_factory.mktemp("watched")
    for stop in (3, 5):
        trainer = Trainer(recipe(), noisy_slices(), run=run)
        monitor = Monitor(trainer, held_out=noisy_slices(7))
        trainer.train(limits=Limits(step=stop), on_step=monitor)
        if stop == 3:
            monitor.write()
            page = (run / "index.html").read_text()
        monitor.close()
    return trainer, page


def test_looking_on_changes_nothing(monitored, tmp_path):
    """Not one bit: neither sampling nor drawing touches the training's random numbers."""
    alone = Trainer(recipe(samples=replace(SAMPLES, every=0)), noisy_slices(), run=tmp_path)
    alone.train()
    trainer, _ = monitored
    for key, value in alone.network.state_dict().items():
        assert torch.equal(value, trainer.network.state_dict()[key]), key
    assert alone.losses == trainer.losses


def pictures(page):
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(text))) for text in found]


def test_the_page_stands_alone_and_refreshes_itself_while_it_runs(monitored):
    trainer, early = monitored
    late = (trainer.run / "index.html").read_text()
    assert '<meta http-equiv="refresh"' in early
    assert '<meta http-equiv="refresh"' not in late
    assert "Step 3 of 5" in early
    assert "left to the end" in early
    assert "Step 5 of 5" in late
    assert "finished" in late
    assert "real held-out slice" in late
    assert "Samples at step 4" in late
    for page in (early, late):
        assert len(pictures(page)) == 2
        assert not re.findall(r'(?:src|href)="(?!data:)', page)


def test_a_sheet_for_every_so_many_steps(monitored):
    trainer, _ = monitored
    names = sorted(p.name for p in (trainer.run / "samples").iterdir())
    assert names == ["0000002.png", "0000004.png"]


def test_events_for_tensorboard(monitored):
    """Each step once, also where the run was stopped and gone on with."""
    pytest.importorskip("tensorboard", reason="needs the extra medsynth-slicer[train]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer, _ = monitored
    events = EventAccumulator(str(trainer.run / "tensorboard")).Reload()
    seen = [(e.step, e.value) for e in events.Scalars("loss")]
    assert [step for step, _ in seen] == [1, 2, 3, 4, 5]
    np.testing.assert_allclose([v for _, v in seen], [row[1] for row in trainer.losses], rtol=1e-6)
    assert len(events.Images("real, guided, unguided")) == 2


def test_without_tensorboard_there_are_no_events(tmp_path, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorboard" else find(name)
    )
    trainer = Trainer(recipe(), noisy_slices(), run=tmp_path)
    monitor = Monitor(trainer)
    trainer.train(limits=Limits(step=1), on_step=monitor)
    monitor.close()
    assert (tmp_path / "index.html").exists()
    assert not (tmp_path / "tensorboard").exists()


@pytest.mark.parametrize("conditioned", [True, False])
def test_guided_samples_follow_their_reference_and_unguided_ones_do_not(tmp_path, conditioned):
    plain = recipe(network=NETWORK | {"reference_conditioned": conditioned})
    trainer = Trainer(plain, noisy_slices(), run=tmp_path)
    references = sample_sheet.chosen(noisy_slices(7).images, 2)
    preset = trainer.preset
    again = [
        sample_sheet.synthesize(trainer.denoiser(), references, preset=preset, options=SAMPLES)
        for _ in range(2)
    ]
    (guided, unguided), repeated = again
    assert np.array_equal(guided, repeated[0])
    assert np.array_equal(unguided, repeated[1])

    def low_pass_image(images):
        units = torch.from_numpy(preset.intensity.to_unit(images))
        return low_pass.build("dct", size=(32, 32), factor=4)(units)

    def distance(images):
        return float((low_pass_image(images) - low_pass_image(references)).square().mean().sqrt())

    assert distance(guided) < 0.3 * distance(unguided)


def test_the_sheet_shows_each_image_where_it_is_said_to_be():
    from medsynth import domains as presets

    preset = presets.get("lung_ct")
    levels = [window.limits for window in preset.windows]
    reference = np.full((1, 8, 6), 4000.0)  # white in every window
    guided = np.full((1, 8, 6), -3000.0)  # black
    unguided = np.full((1, 8, 6), preset.windows[0].center)
    picture = np.asarray(sample_sheet.draw(reference, guided, unguided, preset=preset))
    assert picture.shape == (8, 3 * len(levels) * 10 - 4)
    row = picture[4]
    assert row[0] == 255
    assert row[10] == 0
    assert abs(int(row[20]) - 127) <= 1
    assert row[30] == 255


def test_the_samples_are_of_the_averaged_weights(tmp_path):
    trainer = Trainer(recipe(), noisy_slices(), run=tmp_path)
    for value in trainer.ema.values():
        value.add_(1)  # so that they cannot be taken for the network's own
    network = trainer.denoiser().network
    for key, value in network.state_dict().items():
        assert torch.equal(value, trainer.ema[key].to(value.dtype)), key
    assert not network.training
    assert trainer.network.training


def test_losses_are_sorted_by_noise_level_and_come_back(tmp_path):
    levels = schedule.build("log_snr_linear", log_snr_max=10.0, log_snr_min=-10.0)
    log = LevelLog(levels)
    log.add(torch.tensor([0, 1, 999]), torch.tensor([1.0, 3.0, 7.0]))
    log.write(tmp_path, step=5)
    assert log.rows == [(5, -9.5, 7.0, 1.0), (5, 9.5, 2.0, 2.0)]
    log.add(torch.tensor([0]), torch.tensor([9.0]))
    log.write(tmp_path, step=8)
    again = LevelLog(levels)
    again.read(tmp_path, until=5)
    assert again.rows == log.rows[:2]
    assert log.rows[2] == (8, 9.5, 9.0, 1.0)

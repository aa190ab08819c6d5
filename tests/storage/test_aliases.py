"""Files that users have stay readable: old names of keys and tensors are read as today's."""

from __future__ import annotations

import pytest

from medsynth.storage import aliases


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            {"reference_aware": True, "patch_size": 4},
            {"reference_conditioned": True, "patch_size": 4},
        ),
        ({"texture": {"log_mean": [0.0, 0.0]}}, {"noise_level": {"log_mean": [0.0, 0.0]}}),
        ({"told_log_snr_min": -2.5}, {"conditioned_log_snr_min": -2.5}),
        ({"low_band_factor": None}, {"low_pass_factor": None}),
        ({"judge_pace": 2.0}, {"discriminator_lr_ratio": 2.0}),
        ({"licence": "CC0"}, {"license": "CC0"}),
    ],
)
def test_old_names_are_read_at_every_depth(old, new):
    assert aliases.current(old, where="a file") == new
    assert aliases.current({"x": 1, "in": {"it": old}}, where="a file") == {
        "x": 1,
        "in": {"it": new},
    }


def test_old_names_are_read_in_a_key_with_dots():
    assert aliases.current_key("network.texture") == "network.noise_level"


def test_todays_names_stay():
    new = aliases.current(dict.fromkeys(aliases.ALIASES, 1), where="a file")
    assert set(new) == set(aliases.ALIASES.values())
    assert aliases.current(new, where="a file") == new


def test_a_key_under_both_names_is_refused():
    with pytest.raises(ValueError, match=r"r\.yaml: noise_level is there twice, also as texture"):
        aliases.current({"texture": {}, "noise_level": {}}, where="r.yaml")


def test_tensors_of_an_older_run_have_todays_names():
    old = {"levels.counts": 1, "judges.judges.0.0.weight": 2, "judges_optimizer.0.step": 3}
    assert aliases.current_tensors(old | {"network.unet.x": 4}) == {
        "timestep_sampler.counts": 1,
        "discriminators.discriminators.0.0.weight": 2,
        "discriminators_optimizer.0.step": 3,
        "network.unet.x": 4,
    }

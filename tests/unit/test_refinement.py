"""The refiner: what it may change, who judges it, and that its teaching resumes and teaches."""

import json
import math
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from medsynth import cli, presets
from medsynth.conditions import KnownRegion, LowFrequency, LowFrequencyGuidance, low_pass
from medsynth.diffusion import samplers, schedule
from medsynth.diffusion.denoiser import Denoiser
from medsynth.errors import CheckpointError
from medsynth.networks import (
    PatchUNet,
    PatchUNetConfig,
    load_denoiser,
    load_network,
    read_card,
    save_weights,
)
from medsynth.networks.refiner import Refiner, RefinerConfig
from medsynth.synthesis import correction, generators, sample
from medsynth.training import checkpoint
from medsynth.training.data import Slices
from medsynth.training.recipe import Refinement
from medsynth.training.refinement.judges import (
    Judges,
    judging_loss,
    refining_loss,
    to_physical,
)
from medsynth.training.refinement.pool import Pool, make_pool
from medsynth.training.refinement.trainer import RefinementTrainer, refiner_config
from medsynth.training.stopping import Limits

PRESET = presets.get("lung_ct")
SMALL = RefinerConfig(channels=(8, 12), blocks=1, fine_channels=4, factor=4)
NETWORK = PatchUNetConfig(
    image_size=(32, 32),
    patch_size=2,
    channels=(32, 32),
    attention_levels=(False, False),
    num_res_blocks=1,
    num_head_channels=32,
    reference_aware=True,
)
OPTIONS = Refinement(
    images=12,
    crop=32,
    factors=(4, 8),
    weights=(0.5, 0.5),
    sampling_steps=2,
    network={"channels": [8, 12], "fine_channels": 4},
    steps=6,
    batch_size=4,
    patch=16,
    warmup=1,
    checkpoint_every=2,
)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def loud(config=SMALL):
    """A refiner that changes a lot."""
    torch.manual_seed(0)
    refiner = Refiner(config)
    nn.init.normal_(refiner.last.weight, std=1.0)
    return refiner.requires_grad_(False)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (6, 40)])
def test_a_correction_has_no_low_band(size):
    x0 = noise(2, 1, *size)
    change = correction(loud(), x0)
    assert change.shape == x0.shape
    assert change.std() > 0.01
    phi = low_pass.build("dct", size=size, factor=4)
    assert phi(change).abs().max() < 1e-5


def test_a_new_refiner_hardly_changes_anything():
    torch.manual_seed(0)
    assert Refiner(RefinerConfig())(noise(1, 1, 32, 32)).abs().max() < 0.02


class Zero(nn.Module):
    def forward(self, x, timesteps, *, hint=None):
        return torch.zeros_like(x)


@pytest.mark.parametrize("space", ["x0", "x_t"])
def test_a_refined_sample_still_follows_every_condition_exactly(space):
    reference = torch.linspace(-1, 1, 32 * 32).reshape(1, 1, 32, 32)
    kept = torch.zeros(1, 1, 32, 32)
    kept[..., :16] = 1
    guidance = LowFrequencyGuidance([LowFrequency("anatomy", reference, 2)], space=space)
    options = {"steps": 4, "noise": noise(1, 1, 32, 32)}
    options["sampler"] = samplers.build("dpmpp_2m")
    plain = Denoiser(Zero(), schedule.log_snr_linear(), clip=None)
    refined = Denoiser(Zero(), schedule.log_snr_linear(), clip=None, refiner=loud())
    for conditions in (
        [guidance],
        [KnownRegion(reference, kept, space=space)],
    ):
        before, after = (
            sample(d, conditions=conditions, generators=generators(0, [0]), **options)
            for d in (plain, refined)
        )
        assert (after - before).abs().max() > 0.01
        if conditions == [guidance]:
            phi = low_pass.build("dct", size=(32, 32), factor=2)
            assert (phi(after) - phi(reference)).abs().max() < 1e-5
        else:
            assert torch.equal(after[..., :16], reference[..., :16])


def test_physical_units_are_those_of_the_preset():
    unit = torch.linspace(-1, 1, 4001)
    values = to_physical(unit, PRESET.intensity).numpy()
    assert np.abs(values - PRESET.intensity.from_unit(unit.numpy())).max() < 1e-3 * 3
    unit.requires_grad_(True)
    (slope,) = torch.autograd.grad(to_physical(unit, PRESET.intensity).sum(), unit)
    assert slope[2000] == pytest.approx(500 / 0.9)  # -200 to 300 HU over 0.9


@pytest.fixture
def judges():
    torch.manual_seed(0)
    return Judges(PRESET.windows, PRESET.intensity)


def test_judges_see_their_window_and_its_finest_detail(judges):
    flat = torch.full((1, 1, 16, 16), 0.0)  # 50 HU
    views = judges.views(flat, torch.full_like(flat, 0.5))
    shown = [(50 - w.limits[0]) / w.width for w in PRESET.windows]
    expected = 2 * (torch.tensor(shown) - 0.5)
    assert torch.allclose(views[0, :, 0, 8, 8], expected, atol=1e-5)
    assert views[:, :, 1].abs().max() < 1e-4
    step = flat.clone()
    step[..., 8:] = 0.01  # 5.6 HU: nothing in the bone window, much in soft tissue
    detail = judges.views(step, torch.full_like(flat, 0.5))[0, :, 1].abs().amax(dim=(1, 2))
    assert detail[1] > 4 * detail[2] > 0


def test_rounding_to_whole_units_is_covered_up(judges):
    exact = torch.full((1, 1, 16, 16), 0.0)
    span = judges.views(exact, noise(1, 1, 16, 16).sigmoid())[0, 1, 0]
    assert 0 < float(span.max() - span.min()) <= 2 * 1.0 / PRESET.windows[1].width + 1e-6


class Linear(nn.Module):
    """A judge whose score is the mean of what it sees, `gain` times."""

    def __init__(self, gain):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, views):
        return self.gain * views.flatten(2).mean(dim=2)


def test_losses_have_their_closed_form():
    real, made = torch.full((3, 2, 2, 8, 8), 0.5), torch.full((3, 2, 2, 8, 8), -0.5)
    judge = Linear(2.0)
    margin = 2.0  # of the real over the made, in each of two windows
    pixels = 2 * 8 * 8
    slopes = 2 * 2 * pixels * (2.0 / pixels) ** 2  # two sides, two windows
    expected = 2 * math.log1p(math.exp(-margin)) + 0.1 / 2 * slopes
    assert float(judging_loss(judge, real, made, penalty=0.1)) == pytest.approx(expected, rel=1e-5)
    expected = 2 * math.log1p(math.exp(margin))
    assert float(refining_loss(judge, real, made)) == pytest.approx(expected, rel=1e-5)


def test_the_refiner_is_taught_through_the_made_side_only():
    judge = Linear(2.0)
    real, made = (torch.zeros(1, 1, 2, 4, 4, requires_grad=True) for _ in range(2))
    refining_loss(judge, real, made).backward()
    assert real.grad is None
    assert made.grad.abs().sum() > 0


@pytest.fixture
def slices():
    rng = np.random.default_rng(0)
    images = rng.integers(-700, 100, (6, 48, 40)).astype(np.int16)
    return Slices(images, ("a",) * 3 + ("b",) * 3, ("a/1",) * 3 + ("b/1",) * 3)


@pytest.fixture
def weights(tmp_path):
    """A network file as `medsynth train` writes it."""
    torch.manual_seed(0)
    path = tmp_path / "network.safetensors"
    card = {
        "network": NETWORK.to_dict(),
        "schedule": {"kind": "log_snr_linear"},
        "prediction_type": "v_prediction",
        "preset": "lung_ct",
        "data": "made up",
        "licence": "none",
    }
    save_weights(PatchUNet(NETWORK).state_dict(), path, card=card)
    return path


def pool_of(weights, slices, folder, **changes):
    return make_pool(
        load_denoiser(weights, dtype=torch.float32),
        slices,
        options=OPTIONS,
        preset=PRESET,
        folder=folder,
        made_by={"weights": "w"} | changes.pop("made_by", {}),
        seed=0,
        **changes,
    )


def test_a_pool_pairs_each_crop_with_what_was_made_behind_its_low_band(weights, slices, tmp_path):
    pool = pool_of(weights, slices, tmp_path / "pool")
    assert pool.synthetic.shape == pool.real.shape == (12, 1, 32, 32)
    assert set(pool.factors.tolist()) <= {4, 8}
    units = torch.from_numpy(PRESET.intensity.to_unit(slices.images))
    for made, real, factor in zip(pool.synthetic, pool.real, pool.factors, strict=True):
        phi = low_pass.build("dct", size=(32, 32), factor=int(factor))
        assert (phi(made) - phi(real)).abs().max() < 1e-4
        assert (made - real).std() > 0.01
        found = [torch.equal(u[r : r + 32, c : c + 32], real[0])
                 for u in units for r in range(0, 17, 2) for c in range(0, 9, 2)]  # fmt: skip
        assert any(found)


def test_a_stopped_pool_goes_on_and_is_the_same(weights, slices, tmp_path):
    whole = pool_of(weights, slices, tmp_path / "whole")

    def stop(event):
        if event.kind == "progress":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool_of(weights, slices, tmp_path / "parts", listener=stop)
    first = (tmp_path / "parts/00000.npz").stat().st_mtime_ns
    parts = pool_of(weights, slices, tmp_path / "parts")
    assert (tmp_path / "parts/00000.npz").stat().st_mtime_ns == first
    assert torch.equal(parts.synthetic, whole.synthetic)
    assert torch.equal(parts.real, whole.real)
    with pytest.raises(CheckpointError, match="another folder"):
        pool_of(weights, slices, tmp_path / "parts", made_by={"weights": "others"})


def trainer(weights, pool, run, *, start_from=None, **changes):
    options = Refinement(**{**vars(OPTIONS), **changes})
    return RefinementTrainer(
        options,
        pool,
        preset=PRESET,
        weights=weights,
        card=read_card(weights),
        run=run,
        made_by={"weights": "w"},
        start_from=start_from,
    )


@pytest.fixture
def pool():
    """Real patches of smooth noise; synthetic ones with a fine pattern on top, that nobody asked for."""
    smooth = low_pass.build("dct", size=(32, 32), factor=4)(noise(24, 1, 32, 32)) * 0.2
    grain = noise(24, 1, 32, 32, seed=1) * 0.02
    pattern = 0.05 * (-1.0) ** (torch.arange(32)[:, None] + torch.arange(32))
    return Pool(smooth + grain + pattern, smooth + grain, np.full(24, 4))


def state(trainer):
    return {
        **trainer.refiner.state_dict(),
        **{f"j.{k}": v for k, v in trainer.judges.state_dict().items()},
        **{f"e.{k}": v for k, v in trainer.ema.items()},
    }


def test_refining_resumes_bit_for_bit(weights, pool, tmp_path):
    whole = trainer(weights, pool, tmp_path / "whole")
    whole.train()
    trainer(weights, pool, tmp_path / "parts").train(limits=Limits(step=3))
    parts = trainer(weights, pool, tmp_path / "parts")
    assert parts.step == 3
    parts.train()
    assert parts.step == whole.step == 6
    assert parts.losses == whole.losses
    for key, value in state(whole).items():
        assert torch.equal(value, state(parts)[key]), key
    with pytest.raises(CheckpointError, match="another refinement"):
        trainer(weights, pool, tmp_path / "parts", lr=1e-2)


def test_refining_takes_a_pattern_away_that_real_images_do_not_have(weights, pool, tmp_path):
    run = trainer(weights, pool, tmp_path / "run", steps=120, lr=2e-3, checkpoint_every=1000)
    run.train()
    refiner = Refiner(run.config)
    refiner.load_state_dict(run.ema)
    pattern = pool.synthetic - pool.real
    with torch.no_grad():
        left = pool.synthetic + refiner(pool.synthetic) - pool.real
    share = (left * pattern).mean() / pattern.square().mean()
    assert float(share) < 0.5
    assert (tmp_path / "run/samples.png").stat().st_size > 1000


def test_the_file_holds_network_and_refiner(weights, pool, tmp_path):
    run = trainer(weights, pool, tmp_path / "run")
    run.train()
    card = read_card(run.weights)
    assert card["refiner_steps"] == 6
    assert card["refiner"]["factor"] == 8
    network, _ = load_network(run.weights)
    before, _ = load_network(weights)
    for key, value in before.state_dict().items():
        assert torch.equal(value, network.state_dict()[key]), key
    refiner = load_denoiser(run.weights).refiner
    for key, value in run.ema.items():
        assert torch.allclose(refiner.state_dict()[key], value.half().float()), key
    assert load_denoiser(weights).refiner is None


def test_a_run_may_begin_as_another_refiner(weights, pool, tmp_path):
    first = trainer(weights, pool, tmp_path / "first")
    first.train()
    refiner = load_denoiser(first.weights).refiner
    second = trainer(weights, pool, tmp_path / "second", start_from=refiner)
    for key, value in refiner.state_dict().items():
        assert torch.equal(second.refiner.state_dict()[key], value)
        assert torch.equal(second.ema[key], value)
    with pytest.raises(CheckpointError, match="holds a refinement already"):
        trainer(weights, pool, tmp_path / "first", start_from=refiner)
    with pytest.raises(CheckpointError, match="the recipe describes"):
        trainer(weights, pool, tmp_path / "third", start_from=Refiner(RefinerConfig()))


@pytest.fixture
def films(tmp_path, slices):
    """Six brain slices of two patients as PNG with a table, a recipe and a network for them."""
    folder = tmp_path / "films"
    folder.mkdir()
    lines = ["file,patient"]
    for index in range(6):
        values = np.random.default_rng(index).integers(20, 255, (256, 256)).astype(np.uint8)
        Image.fromarray(values).save(folder / f"{index}.png")
        lines.append(f"{index}.png,p{index % 2}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    refinement = {
        "images": 6,
        "crop": 32,
        "sampling_steps": 1,
        "network": {"channels": [8, 12], "fine_channels": 4},
        "steps": 2,
        "batch_size": 2,
        "patch": 16,
    }
    recipe = {
        "preset": "brain_mri",
        "data": {
            "layout": "table",
            "table": "table.csv",
            "statement": "made up",
            "licence": "none",
        },
        "network": NETWORK.to_dict() | {"image_size": [256, 256]},
        "phases": [{"crop": 32, "batch_size": 1, "steps": 1}],
        "samples": {"every": 0},
        "workers": 0,
        "refinement": refinement,
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return tmp_path


def test_the_command_trains_refines_and_goes_on(films, capfd):
    recipe, data = str(films / "recipe.yaml"), f"--data={films / 'films'}"
    assert cli.main(["train", recipe, data, "-o", str(films / "run")]) == 0
    weights = f"--weights={films / 'run/weights.safetensors'}"
    refine = ["refine", recipe, data, weights, "-o", str(films / "refined")]
    assert cli.main([*refine, "--stop-at", "1", "--progress", "json"]) == 0
    out = capfd.readouterr().out
    assert json.loads(out.splitlines()[-1])["data"]["step"] == 1
    assert cli.main(refine) == 0
    nothing = ["--start-from", str(films / "run/weights.safetensors")]
    assert cli.main([*refine[:-1], str(films / "again"), *nothing]) == 2
    assert "has no refiner" in capfd.readouterr().err
    with pytest.raises(CheckpointError, match="holds the teaching of a refiner"):
        checkpoint.load(films / "refined", recipe={}, data_digest="")
    itself = ["refine", recipe, data, f"--weights={films / 'refined/weights.safetensors'}"]
    assert cli.main([*itself, "-o", str(films / "refined")]) == 2
    assert "would be replaced by its refined self" in capfd.readouterr().err
    assert read_card(films / "refined/weights.safetensors")["refiner_steps"] == 2
    assert {p.name for p in (films / "refined").iterdir()} >= {"split.csv", "samples.png", "pool"}


def test_the_command_refuses_the_pool_of_other_settings(films, capsys):
    recipe, data = str(films / "recipe.yaml"), f"--data={films / 'films'}"
    assert cli.main(["train", recipe, data, "-o", str(films / "run")]) == 0
    weights = f"--weights={films / 'run/weights.safetensors'}"
    refine = ["refine", recipe, data, weights, "-o", str(films / "refined")]
    assert cli.main(refine) == 0
    assert cli.main([*refine, "--set", "refinement.sampling_steps=2"]) == 2
    assert "sampling_steps 1, now it is 2; choose another folder" in capsys.readouterr().err
    Image.new("L", (256, 256), 99).save(films / "films/0.png")
    assert cli.main(refine) == 2
    assert "images_digest" in capsys.readouterr().err


def test_the_command_refuses_before_the_pool_what_cannot_work(films, capsys, monkeypatch):
    recipe, data = str(films / "recipe.yaml"), f"--data={films / 'films'}"
    assert cli.main(["train", recipe, data, "-o", str(films / "run")]) == 0
    weights = films / "run/weights.safetensors"
    card = read_card(weights)
    del card["split"]
    older = films / "older.safetensors"
    save_weights(load_file(weights), older, card=card | {"held_out": ["p1"]})
    refine = ["refine", recipe, data, "-o", str(films / "refined")]
    for words, message in (
        ([f"--weights={older}"], "holds out p1, on whom the recipe trains"),
        ([f"--weights={weights}", "--stop-at=0"], "--stop-at must be at least 1"),
        ([f"--weights={weights}", "--set=refinement.network.blocks=0"], "refinement.network: "),
        ([f"--weights={weights}", "--set=refinement.network=5"], "refinement.network: "),
    ):
        assert cli.main([*refine, *words]) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("medsynth: error:")
        assert message in error
        assert not (films / "refined").exists()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert cli.main([*refine, f"--weights={weights}"]) == 2
    assert "one process, got 2" in capsys.readouterr().err


def test_the_command_stopped_in_the_pool_says_where_it_goes_on(films, capsys, monkeypatch):
    recipe, data = str(films / "recipe.yaml"), f"--data={films / 'films'}"
    assert cli.main(["train", recipe, data, "-o", str(films / "run")]) == 0
    weights = f"--weights={films / 'run/weights.safetensors'}"

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("medsynth.training.refinement.pool._draw", interrupted)
    refine = ["refine", recipe, data, weights, "-o", str(films / "refined"), "--progress", "json"]
    assert cli.main(refine) == 130
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["kind"], "goes on with the pool" in last["message"]) == ("warning", True)


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="a weight for each"):
        Refinement(factors=(4, 8), weights=(1.0,))
    with pytest.raises(ValueError, match="at least 1"):
        Refinement(steps=0)


def test_patches_larger_than_the_crops_are_refused(weights, pool, tmp_path):
    with pytest.raises(ValueError, match=r"at most the crop's 32 pixels, got 64"):
        trainer(weights, pool, tmp_path / "run", patch=64, crop=64)  # of images of 32


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"factors": (4, 8), "weights": (1.0, -1.0)}, "not all 0"),
        ({"factors": (4, 8), "weights": (0.0, 0.0)}, "not all 0"),
        ({"patch": 64, "crop": 32}, "at most refinement.crop"),
        ({"patch": 12}, "the largest factor"),
        ({"checkpoint_every": 0}, "checkpoint_every must lie in 1"),
        ({"lr": math.nan}, "refinement.lr"),
        ({"ema": 1.5}, "refinement.ema must lie in 0 ... 1"),
    ],
)
def test_values_that_would_fail_after_the_pool_are_refused_before(values, message):
    with pytest.raises(ValueError, match=message):
        Refinement(**values)


@pytest.mark.parametrize(
    "network",
    [{"chanels": [8]}, {"channels": []}, {"channels": 8}, {"blocks": 0}, {"factor": 8}, {1: 2}],
)
def test_a_refiner_that_cannot_be_is_refused(network):
    with pytest.raises(ValueError, match=r"refinement\.network: "):
        refiner_config(Refinement(network=network))


@pytest.mark.parametrize("seen", [[], ["sample"]])
def test_a_sample_of_the_same_size_does_not_spoil_the_teaching(seen, weights, pool, tmp_path):
    """Filters are kept; made in inference mode, gradients could not pass them."""
    low_pass._build.cache_clear()
    if seen:
        x0 = noise(1, 1, 16, 16)
        with torch.inference_mode():
            correction(loud(), x0)
    trainer(weights, pool, tmp_path / "run").train(limits=Limits(step=1))


def test_a_loop_in_float64_is_refined_too():
    x0 = noise(1, 1, 32, 32)
    change = correction(loud(), x0.double())
    assert change.dtype == torch.float64
    assert torch.allclose(change.float(), correction(loud(), x0), atol=1e-5)


def damaged(path, *, card=None, drop="", value=None):
    """The file with another header, without some tensors, or with `value` in the refiner."""
    tensors = load_file(path)
    tensors = {k: v for k, v in tensors.items() if not drop or not k.startswith(drop)}
    if value is not None:
        tensors["refiner.last.bias"][:] = value
    other = path.with_name("damaged.safetensors")
    save_weights(tensors, other, card=read_card(path) | (card or {}))
    return other


def test_a_file_without_the_refiner_it_names_is_refused(weights, pool, tmp_path):
    run = trainer(weights, pool, tmp_path / "run")
    run.train(limits=Limits(step=1))
    wrong = {"refiner": run.config.to_dict() | {"channels": [8, 16]}}
    for change in (
        {"drop": "refiner."},
        {"drop": "refiner.last"},
        {"card": wrong},
        {"card": {"refiner": {"channels": []}}},
        {"card": {"refiner": {"chanels": [8]}}},
        {"card": {"refiner": run.config.to_dict() | {"factor": 0}}},
        {"card": {"refiner": [1]}},
    ):
        with pytest.raises(CheckpointError, match="does not hold the refiner its header describes"):
            load_denoiser(damaged(run.weights, **change))
    with pytest.raises(CheckpointError, match="not finite"):
        load_denoiser(damaged(run.weights, value=math.nan))


def test_a_refiner_computes_in_float32_whatever_the_network_does(weights, pool, tmp_path):
    run = trainer(weights, pool, tmp_path / "run")
    run.train(limits=Limits(step=1))
    refiner = load_denoiser(run.weights, dtype=torch.bfloat16).refiner
    assert {p.dtype for p in refiner.parameters()} == {torch.float32}


def test_a_pool_is_made_without_the_refiner_of_an_earlier_time(weights, slices, tmp_path):
    plain = load_denoiser(weights, dtype=torch.float32)
    refined = replace(plain, refiner=loud())
    options = {"options": OPTIONS, "preset": PRESET, "made_by": {}, "seed": 0}
    one, other = (
        make_pool(d, slices, folder=tmp_path / name, **options)
        for d, name in ((plain, "plain"), (refined, "refined"))
    )
    assert torch.equal(one.synthetic, other.synthetic)


class Told(nn.Module):
    """Remembers where the crops lie, and what they begin as."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.config = NETWORK
        self.origins, self.seen = [], []

    def forward(self, x, timesteps, *, hint=None, origin=None):
        self.origins.append(origin)
        self.seen.append((float(timesteps[0]), x.clone()))
        return torch.zeros_like(x)


def test_the_network_is_told_where_its_crops_lie_and_each_batch_has_its_own_noise(tmp_path):
    rows, columns = torch.meshgrid(torch.arange(48), torch.arange(40), indexing="ij")
    ramp = (rows * 8 + columns - 300)[None].numpy().astype(np.int16)  # every crop is told apart
    network = Told()
    denoiser = Denoiser(network, schedule.log_snr_linear(), clip=None)
    known = Slices(ramp, ("a",), ("a/1",))
    pool = make_pool(
        denoiser,
        known,
        options=replace(OPTIONS, images=12, sampling_steps=1, factors=(8,), weights=(1.0,)),
        preset=PRESET,
        folder=tmp_path / "pool",
        made_by={},
        seed=0,
    )
    unit = torch.from_numpy(PRESET.intensity.to_unit(ramp))[0]
    assert len(network.origins) == 2
    for (row, column), real in zip(torch.cat(network.origins).tolist(), pool.real, strict=True):
        assert torch.equal(unit[row : row + 32, column : column + 32], real[0])
    first, second = (x for _, x in network.seen)
    fine = [x - low_pass.build("dct", size=(32, 32), factor=8)(x) for x in (first, second)]
    assert (fine[0] - fine[1]).abs().max() > 0.5


def test_crops_of_air_are_drawn_again(tmp_path):
    rng = np.random.default_rng(0)
    images = np.full((1, 128, 128), -1024, np.int16)
    images[:, :40, :40] = rng.integers(-700, 100, (1, 40, 40))
    pool = make_pool(
        Denoiser(Told(), schedule.log_snr_linear(), clip=None),
        Slices(images, ("a",), ("a/1",)),
        options=replace(OPTIONS, images=24, sampling_steps=1),
        preset=PRESET,
        folder=tmp_path / "pool",
        made_by={},
        seed=0,
    )
    content = (pool.real > -0.95).float().mean(dim=(1, 2, 3))
    assert (content >= 0.4).float().mean() > 0.5  # by chance 1 in 20


def test_a_damaged_batch_of_the_pool_is_named(weights, slices, tmp_path):
    pool_of(weights, slices, tmp_path / "pool")
    path = tmp_path / "pool/00001.npz"
    for content in (b"", b"nonsense", path.read_bytes()[:300]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"00001\.npz is damaged; delete it"):
            pool_of(weights, slices, tmp_path / "pool")


def batches(trainer, turn):
    synthetic, real, factor, noise = trainer._batch(turn)
    return synthetic, real, factor, noise


def test_patches_are_pairs_of_one_place_one_factor_and_not_air(weights, tmp_path):
    """Every value says where it is from; the first half of each image is air."""
    place = torch.arange(6 * 32 * 32).reshape(6, 1, 32, 32) / (6 * 32 * 32)
    place[..., :16] = -1
    factors = np.array([4, 8] * 3)
    run = trainer(weights, Pool(place + 0.5, place, factors), tmp_path / "run")
    drawn = set()
    for step in range(20):
        run.step = step
        judging, refining = (batches(run, turn) for turn in (0, 1))
        for synthetic, real, factor, noise in (judging, refining):
            assert torch.allclose(synthetic - real, torch.tensor(0.5), atol=1e-6)
            assert ((real > -0.95).float().mean(dim=(1, 2, 3)) >= 0.4).all()
            inside = real.amax(dim=(1, 2, 3))
            index = (inside * 6).long().tolist()
            assert {int(factors[i]) for i in index} == {factor}
            assert noise.shape == (2, *real.shape)
            assert 0 <= float(noise.min()) <= float(noise.max()) < 1
            drawn.add(factor)
        assert not torch.equal(judging[3], refining[3])
    assert drawn == {4, 8}


def test_teaching_leaves_the_low_band_of_its_reference_alone(weights, pool, tmp_path):
    run = trainer(weights, pool, tmp_path / "run")
    nn.init.normal_(run.refiner.last.weight, std=1.0)
    change = run._change(pool.synthetic, 4)
    assert change.std() > 0.01
    assert low_pass.build("dct", size=(32, 32), factor=4)(change).abs().max() < 1e-5
    assert low_pass.build("dct", size=(32, 32), factor=2)(change).abs().max() > 1e-3


def test_the_rate_rises_and_falls(weights, pool, tmp_path):
    run = trainer(weights, pool, tmp_path / "run", steps=100, warmup=10, decay=0.5, lr=1.0)
    assert [run.learning_rate(s) for s in (0, 4, 9, 49)] == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert [run.learning_rate(s) for s in (75, 100)] == pytest.approx([0.5, 0.0])


def test_ctrl_c_is_heard_between_two_steps(weights, pool, tmp_path):
    run = trainer(weights, pool, tmp_path / "run")

    def stop(event):
        if event.kind == "progress":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run.train(listener=stop)
    assert run.step == 1
    assert trainer(weights, pool, tmp_path / "run").step == 1


@pytest.mark.parametrize("where", ["before", "between"])
def test_what_diverges_leaves_the_checkpoint_before(where, weights, pool, tmp_path, monkeypatch):
    run = trainer(weights, pool, tmp_path / "run")
    run.train(limits=Limits(step=2))
    kept = load_file(run.weights)
    if where == "before":  # the gradients of the judges are no longer numbers, their loss is
        weight = next(run.judges.parameters())
        weight.register_hook(lambda slope: slope * math.inf)
    else:  # in step 4 the judges have moved, the refiner has not; step 3 is not on disk
        factors = iter([1.0, math.nan])
        monkeypatch.setattr(
            "medsynth.training.refinement.trainer.refining_loss",
            lambda *seen: refining_loss(*seen) * next(factors),
        )
    with pytest.raises(ValueError, match="diverged at step"):
        run.train()
    assert all(torch.equal(v, load_file(run.weights)[k]) for k, v in kept.items())
    again = trainer(weights, pool, tmp_path / "run")
    assert again.step == 2
    assert all(p.isfinite().all() for p in again.judges.parameters())


def test_a_network_replaced_meanwhile_does_not_get_into_the_file(weights, pool, tmp_path):
    before = load_file(weights)
    run = trainer(weights, pool, tmp_path / "run")
    save_weights({k: v + 1 for k, v in before.items()}, weights, card=read_card(weights))
    run.train(limits=Limits(step=1))
    written = load_file(run.weights)
    assert all(torch.equal(v, written[k]) for k, v in before.items())

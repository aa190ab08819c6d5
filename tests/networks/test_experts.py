"""One network above a log-SNR, another below it: who is called where, and how files name an expert."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from made_up_network import SMALL, card, noisy_slices, save_network, small
from safetensors.torch import load_file
from torch import nn

from medsynth.cli.app import main
from medsynth.diffusion import samplers, schedule
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.experts import DenoiserWithExpert, with_expert
from medsynth.diffusion.guidance import LowFrequency, LowFrequencyGuidance
from medsynth.diffusion.sampling import generators, sample
from medsynth.domains import PRESETS, get
from medsynth.domains.base import DISTILLED_SAMPLER
from medsynth.errors import CheckpointError
from medsynth.evaluation import evaluator
from medsynth.evaluation.evaluator import Evaluator
from medsynth.generators import weights_of
from medsynth.generators.call_seconds import sampling_seconds
from medsynth.networks import load_denoiser, model_store, read_metadata, save_weights
from medsynth.networks.domain_weights import check_metadata
from medsynth.networks.experts import expert_file
from medsynth.networks.pixel_unet import PixelUNetConfig
from medsynth.request import parse
from medsynth.training.recipe import Augment, Phase, Recipe, ReferenceOptions, load_recipe
from medsynth.training.trainer import Trainer

WIDE = schedule.log_snr_linear(log_snr_max=10.0, log_snr_min=-7.0)
NARROW = schedule.log_snr_linear(log_snr_max=12.0, log_snr_min=-1.0)
FINE = PixelUNetConfig(image_size=(32, 32), channels=(4, 8))


class Remembering(nn.Module):
    """Predicts nothing and remembers at which log-SNR, by its own schedule, it was called."""

    def __init__(self, levels):
        super().__init__()
        self.levels, self.seen = levels, []

    def forward(self, x, timesteps, *, conditioning=None):
        self.seen += self.levels.log_snr(timesteps).tolist()
        return torch.zeros_like(x)


@pytest.fixture
def pair():
    """Two denoisers of different schedules, of which the second is the other's expert from 0 up."""
    coarse, fine = (
        Denoiser(Remembering(levels), levels, reference_conditioned=True)
        for levels in (WIDE, NARROW)
    )
    return with_expert(replace(coarse, conditioned_log_snr_min=-2.5), fine, log_snr_min=0.0)


def guided_sample(denoiser, *, steps=6, weights=None):
    reference = torch.linspace(-1, 1, 32 * 32).reshape(1, 1, 32, 32)
    condition = LowFrequencyGuidance([LowFrequency("anatomy", reference, 4, weights=weights)])
    return sample(
        denoiser,
        samplers.build("dpmpp_2m_sde"),
        steps=steps,
        noise=torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)),
        conditions=[condition],
        generators=generators(0, [0]),
    )


def test_each_is_called_at_its_own_levels_and_by_its_own_timesteps(pair):
    guided_sample(pair)
    # From -2.5 to 10 in equal parts.
    assert pair.network.seen == pytest.approx([-2.5], abs=0.02)
    own = pair.expert.denoiser.network.seen
    assert own == pytest.approx([0.0, 2.5, 5.0, 7.5, 10.0], abs=0.02)


def test_without_a_reference_everywhere_the_expert_is_not_asked(pair):
    inside = torch.zeros(1, 1, 32, 32)
    inside[..., 8:24, 8:24] = 1
    guided_sample(pair, weights=inside)
    pair(torch.zeros(1, 1, 32, 32), 0.0)
    assert len(pair.network.seen) == 7
    assert pair.expert.denoiser.network.seen == []


def test_a_batch_on_both_sides_of_the_level_is_refused(pair):
    conditioned = pair.with_conditioning(torch.zeros(2, 1, 32, 32), torch.full((2, 1, 32, 32), 8.0))
    with pytest.raises(ValueError, match="either side of the expert's log_snr_min 0"):
        conditioned(torch.zeros(2, 1, 32, 32), torch.tensor([0.0, 999.0]))
    conditioned(torch.zeros(2, 1, 32, 32), torch.tensor([0.0, 10.0]))
    assert len(pair.expert.denoiser.network.seen) == 2


@pytest.mark.slow
def test_an_expert_that_is_the_network_itself_changes_nothing(tmp_path):
    weights = save_network(tmp_path / "one.safetensors", small(32), std=0.03)
    alone = load_denoiser(weights)
    both = with_expert(alone, alone, log_snr_min=0.0)
    assert torch.equal(guided_sample(alone), guided_sample(both))
    assert not torch.equal(guided_sample(alone), guided_sample(replace(alone, clip=0.1)))


def test_two_that_do_not_go_together_are_refused(pair):
    plain = Denoiser(Remembering(WIDE), WIDE)
    with pytest.raises(ValueError, match="two reference-conditioned networks"):
        with_expert(plain, pair.expert.denoiser, log_snr_min=0.0)
    learned = replace(pair.expert.denoiser, learned_variance=True)
    with pytest.raises(ValueError, match="only one of network and expert"):
        with_expert(replace(pair.expert.denoiser, conditioning=None), learned, log_snr_min=0.0)


def test_the_time_of_a_slice_counts_each_network_for_its_own_calls(pair):
    x = torch.zeros(1, 1, 32, 32)
    assert sampling_seconds(pair, samplers.build("dpmpp_2m_sde"), 6, x) > 0
    assert pair.network.seen
    assert pair.expert.denoiser.network.seen
    pair.network.seen.clear()
    only = replace(pair, expert=replace(pair.expert, log_snr_min=-9.0))
    assert sampling_seconds(only, samplers.build("dpmpp_2m_sde"), 6, x) > 0
    assert not pair.network.seen


# Files.


def save_expert(path, *, preset="lung_ct", lowest=0.0, **changes):
    torch.manual_seed(1)
    network = FINE.build()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    metadata = card(FINE, preset=preset, conditioned_log_snr_min=lowest, is_expert=True, **changes)
    save_weights(network.state_dict(), path, metadata=metadata)
    return path


@pytest.fixture
def folder(tmp_path):
    save_expert(tmp_path / "fine.safetensors")
    save_network(tmp_path / "alone.safetensors", SMALL, std=0.03)
    named = {"weights": "fine", "log_snr_min": 4.0}
    save_network(tmp_path / "both.safetensors", SMALL, std=0.03, expert=named)
    return tmp_path


@pytest.mark.slow
def test_a_file_or_its_user_names_the_expert(folder):
    alone, both = (load_denoiser(folder / f"{name}.safetensors") for name in ("alone", "both"))
    assert not isinstance(alone, DenoiserWithExpert)
    assert isinstance(both, DenoiserWithExpert)
    assert both.expert.log_snr_min == 4.0
    assert type(both.expert.denoiser.network).__name__ == "PixelUNet"
    asked = load_denoiser(folder / "alone.safetensors", expert=folder / "fine.safetensors")
    assert asked.expert.log_snr_min == 0.0
    off = load_denoiser(folder / "both.safetensors", expert="none")
    assert torch.equal(guided_sample(off), guided_sample(alone))
    images = [guided_sample(each) for each in (alone, both, asked)]
    assert not torch.equal(images[0], images[1])
    assert not torch.equal(images[1], images[2])


def test_an_expert_by_name_is_looked_for_beside_the_file_and_in_the_model_store(
    folder, tmp_path, monkeypatch
):
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(folder / "both.safetensors", tmp_path / "elsewhere")
    monkeypatch.setenv(model_store.VARIABLE, str(tmp_path / "elsewhere"))
    with pytest.raises(CheckpointError, match="no weights fine.safetensors in"):
        load_denoiser(tmp_path / "elsewhere" / "both.safetensors")
    monkeypatch.setenv(model_store.VARIABLE, str(folder))
    assert load_denoiser(tmp_path / "elsewhere" / "both.safetensors").expert is not None


def test_a_shipped_expert_is_named_by_its_name():
    preset = get("lung_ct")
    keys = {"preset": "lung_ct", "anatomy": {"phantom": {"kind": "thorax"}}}
    for name in preset.experts:
        few = name == preset.few_calls.expert
        calls = {"steps": 4, "sampler": DISTILLED_SAMPLER} if few else {}
        request = parse({**keys, **calls, "expert": name})
        assert request.expert == name
        _, metadata = weights_of(request, preset)
        weights = model_store.path(preset.weights)
        found = expert_file(weights, metadata, name)
        assert found.path == model_store.path(name)
        assert found.metadata["is_expert"]
    with pytest.raises(CheckpointError, match="elsewhere/lung_ct_fine_512.safetensors"):
        expert_file(weights, metadata, "elsewhere/lung_ct_fine_512.safetensors")
    with pytest.raises(FileNotFoundError, match="expert: no such file or folder"):
        parse({**keys, "expert": "lung_ct_fin_512"})


@pytest.mark.parametrize(
    ("named", "complaint"),
    [
        ({"weights": "../fine"}, "needs weights"),
        ({"weights": "fine", "log_snr_min": "0"}, "needs weights"),
        ("fine", "needs weights"),
        ({"weights": "fine", "log_snr_min": -1.0}, "from log-SNR -1 up, which was trained from 0"),
        ({"weights": "brain"}, "for preset brain_ct"),
        ({"weights": "alone"}, "from which log-SNR"),
        ({"weights": "cut"}, "damaged"),
    ],
)
def test_an_expert_that_cannot_be_is_refused(folder, named, complaint):
    save_expert(folder / "brain.safetensors", preset="brain_ct")
    data = (folder / "fine.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(data[:-100])
    save_network(folder / "wrong.safetensors", SMALL, expert=named)
    with pytest.raises(CheckpointError, match=complaint):
        load_denoiser(folder / "wrong.safetensors")


@pytest.mark.slow
def test_a_request_names_one_and_the_result_says_so(folder):
    request = {
        "preset": "lung_ct",
        "anatomy": {
            "phantom": {"kind": "thorax", "slices": 1, "size": [64, 64], "spacing_mm": [5, 5, 3]}
        },
        "weights": "alone.safetensors",
        "expert": "fine.safetensors",
        "steps": 4,
    }
    (folder / "request.json").write_text(json.dumps(request))
    assert main(["synthesize", str(folder / "request.json"), "-o", str(folder / "out")]) == 0
    record = json.loads((folder / "out" / "result.json").read_text())["checkpoint"]
    assert (record["name"], record["expert"]["name"]) == ("alone.safetensors", "fine.safetensors")
    assert len(record["expert"]["sha256"]) == 64
    again = folder / "out" / "request.yaml"
    assert main(["synthesize", str(again), "-o", str(folder / "again")]) == 0
    images = [(folder / name / "image.nrrd").read_bytes() for name in ("out", "again")]
    assert images[0] == images[1]
    (folder / "request.json").write_text(json.dumps(request | {"expert": "none"}))
    assert main(["synthesize", str(folder / "request.json"), "-o", str(folder / "alone")]) == 0
    assert (folder / "alone" / "image.nrrd").read_bytes() != images[0]


def test_an_expert_draws_nothing_alone(folder):
    with pytest.raises(CheckpointError, match="name it as `expert`"):
        check_metadata(folder / "fine.safetensors", get("lung_ct"))


def recipe(**changes):
    values = {
        "preset": "lung_ct",
        "expert": True,
        "phases": (Phase(steps=2, batch_size=3, crop=16),),
        "network": FINE.to_dict(),
        "reference": ReferenceOptions(
            factors=(4, 8), weights=(0.5, 0.5), region_factors=(2, 4), log_snr_min=0.0
        ),
        "augment": Augment(flip=0.5, flip_rows=0.5, shift_pixels=3, affine=0),
        "residual_std": {0: 1.0, 4: 0.05, 8: 0.09},
        "workers": 0,
        "precision": "float32",
    }
    return Recipe(**(values | changes))


@pytest.mark.slow
def test_it_is_trained_by_a_recipe_whose_file_says_what_it_is(tmp_path):
    trainer = Trainer(recipe(), noisy_slices(), run=tmp_path / "run")
    trainer.train()
    metadata = read_metadata(trainer.weights)
    assert metadata["is_expert"]
    assert metadata["conditioned_log_snr_min"] == 0.0
    assert metadata["network"]["architecture"] == "pixel_unet"
    weights = save_network(tmp_path / "alone.safetensors", SMALL)
    both = load_denoiser(weights, expert=trainer.weights)
    assert torch.isfinite(guided_sample(both)).all()
    other = Trainer(recipe(), noisy_slices(), run=tmp_path / "b", start_from=trainer.weights)
    assert torch.allclose(other.ema["first.weight"], trainer.ema["first.weight"], atol=1e-3)
    with pytest.raises(CheckpointError, match="architecture patch_unet there, pixel_unet here"):
        Trainer(recipe(), noisy_slices(), run=tmp_path / "c", start_from=weights)


@pytest.mark.parametrize(
    "reference", [ReferenceOptions(log_snr_min=0.0), ReferenceOptions(factors=(4,), weights=(1.0,))]
)
def test_a_recipe_for_an_expert_has_references_and_levels(reference):
    with pytest.raises(ValueError, match="an expert has a reference in every sample"):
        recipe(reference=reference)


def test_a_command_makes_a_file_name_its_expert(folder, capsys):
    """The tensors stay as they are, bit for bit; the copy finds the expert, the original has none."""
    named = folder / "named.safetensors"
    words = [
        "models",
        "expert",
        str(folder / "alone.safetensors"),
        str(folder / "fine.safetensors"),
    ]
    assert main([*words, "-o", str(named)]) == 0
    assert read_metadata(named)["expert"] == {"weights": "fine"}
    before, after = (load_file(folder / f"{n}.safetensors") for n in ("alone", "named"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert isinstance(load_denoiser(named), DenoiserWithExpert)
    assert main([*words, "-o", str(named)]) == 2
    assert "exists" in capsys.readouterr().err
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    assert main([*words, "-o", str(elsewhere / "named.safetensors")]) == 2
    assert "has to lie beside" in capsys.readouterr().err
    assert not (elsewhere / "named.safetensors").exists()


FEW = [name for name, preset in PRESETS.items() if preset.few_calls]


@pytest.mark.parametrize("name", FEW)
def test_a_request_of_few_calls_is_drawn_by_the_network_that_learned_them(name, tmp_path):
    preset = get(name)
    (tmp_path / "reference.png").touch()
    keys = {"preset": name, "anatomy": {"image": "reference.png"}}
    few = preset.few_calls

    def drawn(**more):
        request = parse({**keys, **more}, tmp_path)
        return request.expert, request.sampler

    assert drawn(steps=few.calls) == (few.expert, DISTILLED_SAMPLER)
    assert drawn(steps=few.calls + 1) == drawn() == (None, preset.sampler)
    stopped = {"anatomy": {"image": "reference.png", "stop": 0.1}}
    assert drawn(**stopped, steps=few.calls) == (None, preset.sampler)
    # Who names one of them is asked for nothing else.
    assert drawn(steps=few.calls, sampler=preset.sampler) == (None, preset.sampler)
    assert drawn(steps=few.calls, expert="none") == ("none", preset.sampler)
    metadata = read_metadata(model_store.path(few.expert))
    assert metadata["distilled_calls"] == few.calls


def test_the_shipped_network_of_few_calls_refuses_others(tmp_path):
    (tmp_path / "reference.png").touch()
    keys = {"preset": "brain_ct", "anatomy": {"image": "reference.png"}}
    request = parse({**keys, "expert": "brain_ct_four_256", "steps": 20}, tmp_path)
    with pytest.raises(CheckpointError, match="distilled to 4 calls of ddim_log_snr, not to 20"):
        weights_of(request, get("brain_ct"))


def test_an_evaluation_of_few_calls_is_of_the_network_that_requests_are_drawn_with(
    tmp_path, monkeypatch
):
    # These are not the images that the networks were trained on, which it would refuse.
    monkeypatch.setattr(evaluator, "check_evaluated", lambda *args, **kwargs: None)
    rows = [f"{k:03d}.png,HEADCT-{k:03d}" for k in (1, 2, 76, 77, 178, 199)]
    for row in rows:
        (tmp_path / row.split(",")[0]).touch()
    (tmp_path / "SOURCES.csv").write_text("\n".join(["file,patient", *rows]))
    recipe = load_recipe("brain_ct", overrides={"data.root": str(tmp_path)})

    def drawn(**more):
        made = Evaluator(recipe, tmp_path / "out", model_store.path("brain_ct_256"), **more).made_by
        return made["expert"], made["sampler"]

    own = "brain_ct_fine_256.safetensors", "dpmpp_3m_sde"
    assert drawn(steps=4) == ("brain_ct_four_256.safetensors", DISTILLED_SAMPLER)
    assert drawn() == own
    # Nobody calls another network than the one that is handed over.
    assert drawn(steps=4, denoiser=Denoiser(Remembering(WIDE), WIDE)) == own


def test_an_expert_is_looked_for_beside_the_weights_first(tmp_path):
    """Where 3D Slicer puts what it fetched."""
    for name in ("brain_ct_256", "brain_ct_four_256"):
        shutil.copy(model_store.path(name), tmp_path)
    weights = tmp_path / "brain_ct_256.safetensors"
    found = expert_file(weights, read_metadata(weights), "brain_ct_four_256")
    assert found.path.parent == tmp_path

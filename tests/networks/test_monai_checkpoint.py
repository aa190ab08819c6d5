"""Networks that monai-generative or MONAI trained compute here what they computed there."""

import importlib

import pytest
import torch
from monai.networks.nets import DiffusionModelUNet
from torch import nn

from medsynth.cli import app as cli
from medsynth.errors import CheckpointError
from medsynth.networks import load_denoiser, monai_checkpoint, read_metadata
from medsynth.networks.monai_checkpoint import import_network, load_state, read_state

SIZE = (32, 32)
BASE = {
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": 1,
    "num_res_blocks": 1,
    "num_head_channels": 32,
}
VARIANTS = {
    "no attention on a level": {"attention_levels": (False, False)},
    "self-attention": {"attention_levels": (False, True)},
    "self-attention on all levels": {"attention_levels": (True, True), "num_res_blocks": 2},
    "learned variance": {"attention_levels": (False, True), "out_channels": 2},
}
CONTEXT = {"with_conditioning": True, "cross_attention_dim": 16}


@pytest.fixture(scope="module")
def generative():
    """monai-generative 0.2.3, whose networks can still be imported (its schedulers cannot)."""
    try:
        return importlib.import_module("generative.networks.nets")
    except ImportError as error:
        pytest.skip(f"needs the extra medsynth-slicer[generative]: {error}")


def filled(network):
    """`network` with weights of chance: those at the end begin at zero, which would hide all."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return network.eval()


def inputs():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 1, *SIZE, generator=generator), torch.tensor([3.0, 700.0])


def assert_the_same(ours, theirs):
    assert theirs.std() > 1e-3
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@torch.inference_mode()
def test_a_network_of_monai_generative_computes_the_same_here(generative, variant, tmp_path):
    old = filled(generative.DiffusionModelUNet(num_channels=(32, 64), **BASE | VARIANTS[variant]))
    torch.save(old.state_dict(), tmp_path / "old.pt")
    network = import_network(tmp_path / "old.pt", image_size=SIZE, num_head_channels=32)
    x, t = inputs()
    assert_the_same(network(x, t), old(x, t))


@torch.inference_mode()
def test_loaded_by_name_alone_it_would_compute_something_else(generative):
    """The trap that this is about; `load_old_state_dict` of MONAI falls into it by default."""
    options = BASE | VARIANTS["self-attention"]
    old = filled(generative.DiffusionModelUNet(num_channels=(32, 64), **options))
    by_name = DiffusionModelUNet(channels=(32, 64), **options)
    by_name.load_old_state_dict(dict(old.state_dict()))
    x, t = inputs()
    assert (by_name(x, t) - old(x, t)).abs().max() > 0.01 * old(x, t).abs().max()


@torch.inference_mode()
def test_cross_attention_of_monai_generative_loads_into_monais_network(generative):
    """No request can use such a network, but Python can."""
    options = BASE | CONTEXT | {"attention_levels": (False, True)}
    old = filled(generative.DiffusionModelUNet(num_channels=(32, 64), **options))
    new = DiffusionModelUNet(channels=(32, 64), **options).eval()
    load_state(new, old.state_dict())
    x, t = inputs()
    context = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(2))
    assert_the_same(new(x, t, context=context), old(x, t, context=context))


@pytest.mark.parametrize("include_fc", [False, True])
@torch.inference_mode()
def test_a_network_of_monai_itself_is_imported_too(include_fc, tmp_path):
    options = BASE | VARIANTS["self-attention"]
    theirs = filled(DiffusionModelUNet(channels=(32, 64), include_fc=include_fc, **options))
    trained = {
        "epoch": torch.tensor(3),
        "model": {"module." + k: v for k, v in theirs.state_dict().items()},
    }
    torch.save(trained, tmp_path / "new.pt")
    network = import_network(tmp_path / "new.pt", image_size=SIZE, num_head_channels=32)
    x, t = inputs()
    assert_the_same(network(x, t), theirs(x, t))


def imported(file, out, **changes):
    options = {
        "--preset": "chest_xray",
        "--num-head-channels": 32,
        "--schedule": "scaled_linear",
        "--beta-start": 0.0015,
        "--beta-end": 0.0195,
        "--prediction-type": "epsilon",
        "--data": "made up",
        "--license": "none",
        "--progress": "none",
    }
    given = {name: value for name, value in (options | changes).items() if value is not None}
    words = [word for pair in given.items() for word in pair]
    return cli.main([str(w) for w in ("models", "import", file, "-o", out, *words)])


@pytest.mark.slow
@torch.inference_mode()
def test_the_command_makes_weights_to_sample_with_and_gives_them_back(tmp_path, capsys):
    network = filled(DiffusionModelUNet(channels=(32, 64), attention_levels=(False, True), **BASE))
    torch.save(network.state_dict(), tmp_path / "old.pt")
    weights = tmp_path / "new.safetensors"
    assert imported(tmp_path / "old.pt", weights) == 0
    metadata = read_metadata(weights)
    assert metadata["schedule"] == {
        **{"kind": "scaled_linear", "num_train_timesteps": 1000},
        **{"beta_start": 0.0015, "beta_end": 0.0195},
    }
    assert (metadata["preset"], metadata["prediction_type"]) == ("chest_xray", "epsilon")
    assert metadata["imported_from"] == "old.pt"
    denoiser = load_denoiser(weights, dtype=torch.float32)
    x, t = inputs()
    ours = denoiser.network(x, t)  # stored in half precision
    torch.testing.assert_close(ours, network(x, t), rtol=0, atol=0.01 * float(ours.abs().max()))
    assert imported(tmp_path / "old.pt", weights) == 2
    assert "new.safetensors" in capsys.readouterr().err
    out = tmp_path / "back.pt"
    assert cli.main(["models", "export", str(weights), "-o", str(out), "--progress=none"]) == 0
    state = torch.load(out, weights_only=True)
    assert state.keys() == denoiser.network.state_dict().keys()


@pytest.mark.slow
def test_the_command_refuses_in_one_line_and_leaves_nothing(tmp_path, capsys):
    file = saved(tmp_path, attention_levels=(False, True))
    for changes, message in (
        ({"--num-head-channels": None}, "say its num_head_channels"),
        ({"--schedule": "cosine"}, "beta_start"),
        ({"--preset": "chest"}, "did you mean 'chest_xray'?"),
        ({"--timesteps": 1}, "at least 2"),
    ):
        code = imported(file, tmp_path / "new.safetensors", **changes)
        error = capsys.readouterr().err
        assert (code, error.count("\n")) == (2, 1), error
        assert message in error
    assert [p.name for p in tmp_path.iterdir()] == ["other.pt"]


def saved(tmp_path, **options):
    network = DiffusionModelUNet(channels=options.pop("channels", (32, 64)), **BASE | options)
    torch.save(network.state_dict(), tmp_path / "other.pt")
    return tmp_path / "other.pt"


@pytest.mark.parametrize(
    ("options", "heads", "message"),
    [
        ({"attention_levels": (False, True)}, None, "say its num_head_channels"),
        ({"attention_levels": (False, True)}, 48, r"must divide \[64\], got 48"),
        (CONTEXT | {"attention_levels": (False, True)}, 32, "takes a context"),
        ({"num_class_embeds": 3, "attention_levels": (False, True)}, 32, "takes a class"),
        (
            {"in_channels": 3, "attention_levels": (False, True)},
            32,
            "got 3 and 1; networks of a lat",
        ),
        ({"spatial_dims": 3, "attention_levels": (False, True)}, 32, "2-D images, got one of 3-D"),
        ({"num_res_blocks": (1, 2), "attention_levels": (False, True)}, 32, r"got \[1, 2\]"),
        ({"resblock_updown": True, "attention_levels": (False, True)}, 32, "of another network"),
    ],
)
def test_a_network_that_cannot_be_used_is_refused_in_one_line(tmp_path, options, heads, message):
    file = saved(tmp_path, **options)
    with pytest.raises(CheckpointError, match=message) as refused:
        import_network(file, image_size=SIZE, num_head_channels=heads)
    assert str(refused.value).startswith(str(file))
    assert "\n" not in str(refused.value)


class Planted:
    """What a pickle could run."""

    def __reduce__(self):
        return print, ("this must not run",)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (None, "no such file"),
        (b"", "cannot be read as a state dict"),
        (b"not a checkpoint", "cannot be read as a state dict"),
        ({"state_dict": Planted()}, "cannot be read as a state dict"),
        ({"weight": torch.zeros(3)}, "holds no DiffusionModelUNet"),
        ([torch.zeros(3)], "holds no DiffusionModelUNet"),
        ({monai_checkpoint.FIRST: torch.zeros(32, 1, 3, 3)}, "no tensor|cannot|expected"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, capsys, written, message):
    file = tmp_path / "wrong.pt"
    if isinstance(written, bytes):
        file.write_bytes(written)
    elif written is not None:
        torch.save(written, file)
    with pytest.raises(CheckpointError, match=message):
        import_network(file, image_size=SIZE, num_head_channels=32)
    assert "must not run" not in capsys.readouterr().out


def test_a_trainers_wrapping_is_taken_off(tmp_path):
    network = DiffusionModelUNet(channels=(32, 64), attention_levels=(False, False), **BASE)
    state = network.state_dict()
    for wrapped in (
        state,
        {"state_dict": state, "epoch": torch.tensor(1)},
        {"state_dict": {f"net.{k}": v for k, v in state.items()} | {"loss.weight": torch.ones(1)}},
    ):
        torch.save(wrapped, tmp_path / "a.pt")
        assert read_state(tmp_path / "a.pt").keys() == state.keys()

"""The paired crops that a refiner is taught on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from refinement_made_up import NETWORK, OPTIONS, PRESET, loud, made_slices, save_network
from torch import nn

from medsynth.datasets.data import Slices
from medsynth.diffusion import schedule
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import low_pass
from medsynth.errors import CheckpointError
from medsynth.networks import load_denoiser
from medsynth.training.refinement.paired_crops import make_paired_crops


@pytest.fixture
def slices():
    return made_slices()


@pytest.fixture
def weights(tmp_path):
    return save_network(tmp_path)


def paired_crops_of(weights, slices, folder, **changes):
    return make_paired_crops(
        load_denoiser(weights, dtype=torch.float32),
        slices,
        options=OPTIONS,
        preset=PRESET,
        folder=folder,
        made_by={"weights": "w"} | changes.pop("made_by", {}),
        seed=0,
        **changes,
    )


@pytest.mark.slow
def test_a_set_of_paired_crops_pairs_each_crop_with_what_was_made_behind_its_low_pass_image(
    weights, slices, tmp_path
):
    paired_crops = paired_crops_of(weights, slices, tmp_path / "paired_crops")
    assert paired_crops.synthetic.shape == paired_crops.real.shape == (12, 1, 32, 32)
    assert set(paired_crops.factors.tolist()) <= {4, 8}
    units = torch.from_numpy(PRESET.intensity.to_unit(slices.images))
    for made, real, factor in zip(
        paired_crops.synthetic, paired_crops.real, paired_crops.factors, strict=True
    ):
        phi = low_pass.build("dct", size=(32, 32), factor=int(factor))
        assert (phi(made) - phi(real)).abs().max() < 1e-4
        assert (made - real).std() > 0.01
        found = [torch.equal(u[r : r + 32, c : c + 32], real[0])
                 for u in units for r in range(0, 17, 2) for c in range(0, 9, 2)]  # fmt: skip
        assert any(found)


@pytest.mark.slow
def test_stopped_crops_go_on_and_are_the_same(weights, slices, tmp_path):
    whole = paired_crops_of(weights, slices, tmp_path / "whole")

    def stop(event):
        if event.kind == "progress":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paired_crops_of(weights, slices, tmp_path / "parts", listener=stop)
    first = (tmp_path / "parts/00000.npz").stat().st_mtime_ns
    parts = paired_crops_of(weights, slices, tmp_path / "parts")
    assert (tmp_path / "parts/00000.npz").stat().st_mtime_ns == first
    assert torch.equal(parts.synthetic, whole.synthetic)
    assert torch.equal(parts.real, whole.real)
    # A run of a user has the record under its old name.
    (tmp_path / "parts/paired_crops.json").rename(tmp_path / "parts/pool.json")
    again = paired_crops_of(weights, slices, tmp_path / "parts")
    assert torch.equal(again.synthetic, whole.synthetic)
    assert not (tmp_path / "parts/paired_crops.json").exists()
    with pytest.raises(CheckpointError, match="another folder"):
        paired_crops_of(weights, slices, tmp_path / "parts", made_by={"weights": "others"})


@pytest.mark.slow
def test_a_set_of_paired_crops_is_made_without_the_refiner_of_an_earlier_time(
    weights, slices, tmp_path
):
    plain = load_denoiser(weights, dtype=torch.float32)
    refined = replace(plain, refiner=loud())
    options = {"options": OPTIONS, "preset": PRESET, "made_by": {}, "seed": 0}
    one, other = (
        make_paired_crops(d, slices, folder=tmp_path / name, **options)
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

    def forward(self, x, timesteps, *, conditioning=None, origin=None):
        self.origins.append(origin)
        self.seen.append((float(timesteps[0]), x.clone()))
        return torch.zeros_like(x)


def test_the_network_is_told_where_its_crops_lie_and_each_batch_has_its_own_noise(tmp_path):
    rows, columns = torch.meshgrid(torch.arange(48), torch.arange(40), indexing="ij")
    ramp = (rows * 8 + columns - 300)[None].numpy().astype(np.int16)  # every crop is told apart
    network = Told()
    denoiser = Denoiser(network, schedule.log_snr_linear(), clip=None)
    known = Slices(ramp, ("a",), ("a/1",))
    paired_crops = make_paired_crops(
        denoiser,
        known,
        options=replace(OPTIONS, images=12, sampling_steps=1, factors=(8,), weights=(1.0,)),
        preset=PRESET,
        folder=tmp_path / "paired_crops",
        made_by={},
        seed=0,
    )
    unit = torch.from_numpy(PRESET.intensity.to_unit(ramp))[0]
    assert len(network.origins) == 2
    for (row, column), real in zip(
        torch.cat(network.origins).tolist(), paired_crops.real, strict=True
    ):
        assert torch.equal(unit[row : row + 32, column : column + 32], real[0])
    first, second = (x for _, x in network.seen)
    fine = [x - low_pass.build("dct", size=(32, 32), factor=8)(x) for x in (first, second)]
    assert (fine[0] - fine[1]).abs().max() > 0.5


def test_crops_of_air_are_drawn_again(tmp_path):
    rng = np.random.default_rng(0)
    images = np.full((1, 128, 128), -1024, np.int16)
    images[:, :40, :40] = rng.integers(-700, 100, (1, 40, 40))
    paired_crops = make_paired_crops(
        Denoiser(Told(), schedule.log_snr_linear(), clip=None),
        Slices(images, ("a",), ("a/1",)),
        options=replace(OPTIONS, images=24, sampling_steps=1),
        preset=PRESET,
        folder=tmp_path / "paired_crops",
        made_by={},
        seed=0,
    )
    content = (paired_crops.real > -0.95).float().mean(dim=(1, 2, 3))
    assert (content >= 0.4).float().mean() > 0.5  # by chance 1 in 20


@pytest.mark.slow
def test_a_damaged_batch_of_the_paired_crops_is_named(weights, slices, tmp_path):
    paired_crops_of(weights, slices, tmp_path / "paired_crops")
    path = tmp_path / "paired_crops/00001.npz"
    for content in (b"", b"nonsense", path.read_bytes()[:300]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"00001\.npz is damaged; delete it"):
            paired_crops_of(weights, slices, tmp_path / "paired_crops")

"""The registry of samplers, filters and compositions: every name can be asked for, is documented, and runs."""

from pathlib import Path

import pytest
import torch

from medsynth.diffusion import samplers, schedule
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import LowFrequency, LowFrequencyGuidance, named_condition
from medsynth.diffusion.sampling import generators, guidance_errors, sample
from medsynth.domains.methods import COMPOSITIONS, FILTERS, SAMPLERS
from medsynth.request import parse

ROOT = Path(__file__).resolve().parents[2]
ALL = [
    *(("sampler", name) for name in SAMPLERS),
    *(("composition", name) for name in COMPOSITIONS),
    *(("filter", name) for name in FILTERS),
]


@pytest.mark.parametrize(("key", "name"), ALL)
def test_a_request_may_name_it_and_the_docs_do(key, name):
    values = {"preset": "lung_ct", "anatomy": {"phantom": {"kind": "thorax", "seed": 3}}}
    request = parse(values | {key: name})
    assert getattr(request, key) == name
    row = next(
        line
        for line in (ROOT / "docs/request.md").read_text().splitlines()
        if line.startswith(f"| `{key}` |")
    )
    assert f"`{name}`" in row


@pytest.mark.parametrize(("key", "name"), ALL)
def test_it_runs(key, name):
    chosen = {"sampler": "ddim", "composition": "nested", "filter": "dct", key: name}
    reference = torch.linspace(-0.5, 0.5, 16).expand(1, 1, 16, 16)
    guidance = LowFrequencyGuidance(
        [LowFrequency("anatomy", reference, 4, filter=chosen["filter"])],
        composition=chosen["composition"],
    )
    image = sample(
        Denoiser(lambda x, t: torch.zeros_like(x), schedule.build("linear")),
        samplers.build(chosen["sampler"]),
        steps=6,
        noise=torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(1)),
        conditions=[guidance],
        generators=generators(0, [0]),
    )
    assert torch.isfinite(image).all()
    assert guidance_errors([guidance], image)[0]["anatomy"] < (0.2 if name == "bicubic" else 1e-4)


def test_each_sampler_is_one_file_of_its_name():
    for name, method in SAMPLERS.items():
        assert method.module == f"medsynth.diffusion.samplers.{name}"


def test_histogram_matching_gives_the_references_values_with_every_sampler():
    reference = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    condition = named_condition("histogram", reference).to("cpu")
    for name in SAMPLERS:
        image = sample(
            Denoiser(lambda x, t: torch.zeros_like(x), schedule.build("linear")),
            samplers.build(name),
            steps=5,
            noise=torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(1)),
            conditions=[condition],
            generators=generators(0, [0]),
        )
        torch.testing.assert_close(image.flatten().sort().values, reference.flatten().sort().values)
        assert guidance_errors([condition], image)[0]["histogram"] < 1e-6

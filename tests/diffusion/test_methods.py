"""The registry of samplers, filters and compositions: every name can be asked for, is documented, and runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from medsynth.diffusion import samplers, schedule
from medsynth.diffusion.denoiser import Denoiser
from medsynth.diffusion.guidance import LowFrequency, LowFrequencyGuidance
from medsynth.diffusion.guidance.base import check_space
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


def test_names_and_titles_are_known_without_torch():
    code = (
        "import sys, medsynth.domains.methods as m; "
        "assert all(x.title for t in (m.SAMPLERS, m.COMPOSITIONS, m.FILTERS) for x in t.values()); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_each_sampler_is_one_file_of_its_name():
    for name, method in SAMPLERS.items():
        assert re.fullmatch(rf"medsynth\.diffusion\.samplers\.{name}:\w+", method.target)


class HistogramMatching:
    """A condition as one file would add it: the image has the reference's histogram."""

    name = "histogram"

    def __init__(self, reference, *, space="x0"):
        self.reference, self.space = reference, check_space(space)

    def apply(self, x0, step):
        order = x0.flatten(1).argsort(dim=1)
        values = self.reference.flatten(1).sort(dim=1).values.expand(len(x0), -1)
        return torch.zeros_like(x0).flatten(1).scatter(1, order, values).reshape(x0.shape)

    def apply_noised(self, x, step, *, draw):
        raise NotImplementedError("acts on x0 only")

    def conditioning(self, step):
        return None

    def to(self, device):
        return HistogramMatching(self.reference.to(device), space=self.space)

    def errors(self, x0):
        difference = self.apply(x0, None) - x0
        return {self.name: difference.square().mean(dim=(1, 2, 3)).sqrt().tolist()}


def test_a_new_condition_is_one_class_that_the_loop_takes_as_it_is():
    reference = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    condition = HistogramMatching(reference).to("cpu")
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

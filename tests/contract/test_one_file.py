"""What CONTRIBUTING promises: a sampler, filter, composition or condition is added by one file.

Each is dropped into its package, named by a request and run to the end, and nothing else changes. The
same is shown of a domain and a lesion kind in tests/domains, of an exporter in tests/pipeline, of a
metric in tests/evaluation and of a generator in tests/generators.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from added_files import added

from medsynth import domains, pipeline
from medsynth.cli.app import main
from medsynth.diffusion import schedule
from medsynth.diffusion.denoiser import Denoiser
from medsynth.domains import methods
from medsynth.generators.guided_diffusion import GuidedDiffusion
from medsynth.registry import Registry
from medsynth.request import load_request, parse

PAGE = Path(__file__).resolve().parents[2] / "docs" / "request.md"
REGISTRIES = {
    "sampler": methods.SAMPLERS,
    "composition": methods.COMPOSITIONS,
    "filter": methods.FILTERS,
    "conditions": methods.CONDITIONS,
    "generator": methods.GENERATORS,
    "write": methods.EXPORTERS,
}
SAMPLER = '''
"""Euler's method."""

import math
from dataclasses import dataclass
from typing import ClassVar

from medsynth.diffusion.step import plan, uniform_in_time
from medsynth.registry import Method


@dataclass(frozen=True)
class Euler:
    order: ClassVar[int] = 1
    calls: ClassVar[int] = 1
    history: ClassVar[int] = 0
    stochastic = False

    def plan(self, schedule, steps):
        return plan(schedule, uniform_in_time(schedule, steps))

    def step(self, x, prediction, step, inputs):
        if step.last:
            return prediction.x0
        scaled = x / math.sqrt(step.abar)
        slope = (scaled - prediction.x0) / step.sigma
        return math.sqrt(step.abar_next) * (scaled + (step.sigma_next - step.sigma) * slope)


SAMPLER = Method(title="Euler, deterministic", make=Euler)
'''
FILTER = '''
"""The mean of all pixels: the lowest frequency alone, whatever the factor."""

import math

import torch

from medsynth.diffusion.guidance.filters.base import FilterMethod


def constant(length, factor):
    down = torch.full((math.ceil(length / factor), length), 1 / length, dtype=torch.float64)
    up = torch.full((length, len(down)), 1 / len(down), dtype=torch.float64)
    return down, up


FILTER = FilterMethod(title="Mean", make=constant, name="mean_only")
'''
COMPOSITION = '''
"""The anatomy alone."""

from medsynth.diffusion.guidance.nested import nested
from medsynth.registry import Method


def anatomy_alone(references):
    return nested(references[:1])


COMPOSITION = Method(title="Only the anatomy", make=anatomy_alone)
'''
CONDITION = '''
"""The image has the mean of the reference, and an offset."""

from medsynth.diffusion.guidance.base import ConditionMethod

MOVED = []


class Mean:
    name, space = "mean_value", "x0"

    def __init__(self, reference, *, offset, side):
        self.reference, self.offset = reference, offset if side == "above" else -offset

    def apply(self, x0, step):
        return x0 + self.reference.mean() + self.offset - x0.mean()

    def apply_noised(self, x, step, *, draw):
        return x

    def conditioning(self, step):
        return None

    def to(self, device):
        MOVED.append(device)
        moved = Mean(self.reference.to(device), offset=abs(self.offset), side="above")
        moved.offset = self.offset
        return moved

    def errors(self, x0):
        return {self.name: [abs(float(x0.mean() - self.reference.mean()) - self.offset)]}


CONDITION = ConditionMethod(
    title="Mean of the reference",
    make=Mean,
    options={
        "offset": ((0.0, 0.5), 0.25, "what is added to the mean"),
        "side": (("above", "below"), "above", "where to"),
    },
)
'''


@pytest.fixture
def lung(tmp_path):
    """A request for one slice of made-up lung."""
    j, i = np.indices((48, 48))
    radius = np.hypot(j - 24, i - 24)
    values = np.select([radius < 15, radius < 21], [-850, 40], -1000) + (5 * j + i) % 7
    image = sitk.GetImageFromArray(values[None].astype(np.int16))
    image.SetSpacing((3, 3, 3))
    sitk.WriteImage(image, str(tmp_path / "lung.nrrd"))
    # One reference only: what surrounds a body would be a second one.
    raw = {"preset": "lung_ct", "anatomy": {"image": "lung.nrrd"}, "steps": 4, "expert": "none"}
    raw |= {"noise": "network", "surroundings": "network"}
    return lambda **changes: parse(raw | changes, tmp_path)


def synthesized(request, out):
    """The image in the network's units, and what result.json says."""
    preset = domains.get(request.preset)
    denoiser = Denoiser(lambda x, t: torch.zeros_like(x), schedule.build("linear"))
    generator = GuidedDiffusion.of(request, denoiser, preset=preset)
    pipeline.run(request, out, generator=generator)
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(out / "image.nrrd")))
    assert load_request(out / "request.yaml") == request
    return preset.intensity.to_unit(values), json.loads((out / "result.json").read_text())


@pytest.mark.slow
def test_a_sampler_is_one_file(lung, tmp_path):
    with added(methods.SAMPLERS, "euler", SAMPLER, tmp_path / "more"):
        _, result = synthesized(lung(sampler="euler"), tmp_path / "out")
        assert result["sampler"] == "euler"
        assert result["guidance_errors"][0]["error"] < 0.01
    with pytest.raises(ValueError, match="sampler: expected one of .*, got 'euler'"):
        lung(sampler="euler")


@pytest.mark.slow
def test_a_filter_is_one_file(lung, tmp_path):
    with added(methods.FILTERS, "mean_of_all", FILTER, tmp_path / "more"):
        image, result = synthesized(lung(filter="mean_only"), tmp_path / "out")
    reference = domains.get("lung_ct").intensity.to_unit(
        sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "lung.nrrd")))
    )
    assert image.mean() == pytest.approx(reference.mean(), abs=0.01)
    assert abs(np.corrcoef(image.ravel(), reference.ravel())[0, 1]) < 0.2
    assert result["guidance_errors"][0]["error"] < 0.01


@pytest.mark.slow
def test_a_composition_is_one_file(lung, tmp_path):
    with added(methods.COMPOSITIONS, "anatomy_alone", COMPOSITION, tmp_path / "more"):
        _, result = synthesized(lung(composition="anatomy_alone"), tmp_path / "out")
    assert result["guidance_errors"][0]["error"] < 0.01


@pytest.mark.slow
def test_a_condition_is_one_file(lung, tmp_path):
    with added(methods.CONDITIONS, "mean_value", CONDITION, tmp_path / "more"):
        request = lung(conditions=[{"kind": "mean_value", "side": "below"}], filter="dct")
        assert request.conditions[0].options == {"offset": 0.25, "side": "below"}
        preset = domains.get("lung_ct")
        denoiser = Denoiser(lambda x, t: torch.zeros_like(x), schedule.build("linear"))
        generator = GuidedDiffusion.of(request, denoiser, preset=preset)
        reference = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))
        (condition,) = [
            methods.CONDITIONS[c.kind].load().make(reference, **c.options) for c in generator.named
        ]
        made = generator.sample(
            torch.zeros(1, 1, 16, 16), conditions=[condition], generators=[torch.Generator()]
        )
        assert float(made.x0.mean()) == pytest.approx(float(reference.mean()) - 0.25, abs=1e-5)
        assert sys.modules["medsynth.diffusion.guidance.mean_value"].MOVED == ["cpu"]
        # Behind the references, which have the last word on the mean.
        _, result = synthesized(request, tmp_path / "out")
        assert result["conditions"]["mean_value"] == pytest.approx(0.25, abs=0.02)
        with pytest.raises(ValueError, match=r"conditions\[0\].side: expected one of above, below"):
            lung(conditions=[{"kind": "mean_value", "side": "left"}])


@pytest.mark.slow
def test_the_histogram_is_the_references(lung, tmp_path):
    without, _ = synthesized(lung(), tmp_path / "without")
    image, result = synthesized(lung(conditions=["histogram"]), tmp_path / "with")
    reference = domains.get("lung_ct").intensity.to_unit(
        sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "lung.nrrd")))
    )

    def apart(values):
        return np.abs(np.sort(values.ravel()) - np.sort(reference.ravel())).mean()

    assert apart(image) < 0.75 * apart(without)
    assert result["guidance_errors"][0]["error"] < 0.01
    assert 0 < result["conditions"]["histogram"] < 1


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ("histogram", r"conditions: expected a list such as \[histogram\], got 'histogram'"),
        (["histogramm"], r"conditions\[0\].kind: .*did you mean 'histogram'"),
        (["histogram", "histogram"], r"conditions\[1\]: histogram is named twice"),
        (
            [{"kind": "histogram", "strength": 2}],
            r"strength: expected a finite number >= 0 and <= 1",
        ),
        ([{"kind": "histogram", "power": 2}], r"conditions\[0\].power: unknown key"),
        ([{"strength": 1}], r"conditions\[0\].kind: missing; write for example kind: histogram"),
    ],
)
def test_conditions_that_are_refused(lung, conditions, message):
    with pytest.raises(ValueError, match=message):
        lung(conditions=conditions)


@pytest.mark.parametrize(("key", "registry"), REGISTRIES.items())
def test_every_name_is_accepted_documented_and_loads(lung, key, registry):
    (row,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{key}` |")]
    assert row.split("|")[4].strip() == ", ".join(f"`{name}`" for name in registry)
    for name, entry in registry.items():
        value = [name] if key in ("conditions", "write") else name
        lung(**({"output": {"write": value}} if key == "write" else {key: value}))
        assert entry.title[0].isupper()
        assert entry.load().title == entry.title


def test_the_options_of_a_condition_are_documented():
    lines = PAGE.read_text().split("## conditions\n")[1].split("\n## ")[0].splitlines()
    for name, entry in methods.CONDITIONS.items():
        for key, (allowed, default, meaning) in entry.facts["options"].items():
            limits = " to ".join(f"{end:g}" for end in allowed)
            assert f"| `{key}` | `{name}` | `{default:g}` | {limits} | {meaning} |" in lines


def test_info_lists_them(capsys):
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    for registry in REGISTRIES.values():
        for name, title in registry.titles.items():
            assert f"  {name}: {title}" in printed


def test_all_names_are_known_before_anything_heavy_is_loaded():
    code = (
        "import sys; from medsynth.domains import methods as m; "
        "r = [r for r in vars(m).values() if isinstance(r, m.Registry)]; n = [t for r in r for t in r.titles]; "
        "assert len(n) > 15; "
        "assert not {'torch', 'numpy', 'SimpleITK'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("X = Method(make=print)\n", "mine.py: X needs a title, such as"),
        ("X = Method(title=print)\n", "mine.py: X needs a title, such as"),
        (
            'X = Method(title="A", name="other")\n',
            "two files declare X 'other': .*other and .*mine",
        ),
    ],
)
def test_a_declaration_that_cannot_be_read_is_refused(tmp_path, monkeypatch, text, message):
    (tmp_path / tmp_path.name).mkdir()
    (tmp_path / tmp_path.name / "__init__.py").touch()
    (tmp_path / tmp_path.name / "other.py").write_text('X = Method(title="B")\n')
    (tmp_path / tmp_path.name / "mine.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=message):
        Registry(tmp_path.name, "X").discover()

"""The paper's five equations: each has a file whose first line names it, and a line that can be run."""

import re
import runpy
from pathlib import Path

import pytest
import torch

import medsynth.diffusion
from medsynth.diffusion import samplers, schedule
from medsynth.diffusion.guidance import LowFrequency, LowFrequencyGuidance
from medsynth.diffusion.guidance.composition import sum_of_corrections
from medsynth.diffusion.guidance.ilvr import with_low_frequencies_of
from medsynth.diffusion.guidance.low_pass import low_pass

ROOT = Path(__file__).resolve().parents[2]
SHELF = Path(medsynth.diffusion.__file__).parent
EQUATIONS = {
    1: "loss.py",
    2: "samplers/ddpm.py",
    3: "guidance/ilvr.py",
    4: "guidance/composition.py",
    5: "guidance/weight_maps.py",
}
MOVE = samplers.build("ddim").plan(schedule.build("linear"), 2)[0]


def image(seed, size=(12, 12)):
    return torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(seed)).double()


def test_each_equation_is_named_by_the_first_line_of_one_file():
    found = {}
    for path in sorted(SHELF.rglob("*.py")):
        first = path.read_text().split("\n", 1)[0]
        for number in re.findall(r"\bEq\. (\d)", first):
            assert int(number) not in found, path
            found[int(number)] = path.relative_to(SHELF).as_posix()
    assert found == EQUATIONS


def test_the_readme_names_them_with_their_tests():
    rows = re.findall(r"^\| (\d)[^|]*\| `([^`]+)` \| `([^`]+)::(\w+)` \|$", readme(), re.MULTILINE)
    assert {int(n): file for n, file, *_ in rows} == {
        n: f"medsynth/diffusion/{file}" for n, file in EQUATIONS.items()
    }
    for _, _, path, name in rows:
        assert f"def {name}(" in (ROOT / path).read_text()


def readme():
    return (ROOT / "README.md").read_text()


@pytest.mark.parametrize("kind", ["dct", "block", "bicubic"])
def test_guidance_by_one_reference_is_equation_3(kind):
    x, reference = image(1), image(2)
    guidance = LowFrequencyGuidance([LowFrequency("a", reference, 3, filter=kind)])

    def phi(value):
        return low_pass(value, factor=3, kind=kind)

    printed = with_low_frequencies_of(reference, x, phi=phi)
    torch.testing.assert_close(guidance.apply(x, MOVE), printed, rtol=0, atol=1e-12)
    assert not torch.allclose(printed, x)


def test_the_composition_sum_is_equation_4():
    x, left = image(3), torch.zeros(1, 1, 12, 12).double()
    left[..., :6] = 0.7
    references = [
        LowFrequency("left", image(1), 3, weights=left, filter="block"),
        LowFrequency("right", image(2), 2, weights=0.9 - left, filter="block"),
    ]

    def phi(factor):
        return lambda value: low_pass(value, factor=factor, kind="block")

    printed = sum_of_corrections(x, [(r.weights, phi(r.factor), r.reference) for r in references])
    guidance = LowFrequencyGuidance(references, composition="sum")
    torch.testing.assert_close(guidance.apply(x, MOVE), printed, rtol=0, atol=1e-12)


@pytest.mark.slow
def test_the_paper_as_printed_runs():
    ran = runpy.run_path(str(ROOT / "examples/paper_as_printed.py"))
    assert ran["image"].shape == (1, 1, 64, 64)
    middle = float(ran["image"][..., 28:36, 28:36].mean())
    assert middle == pytest.approx(0.4, abs=0.05)
    left = float(ran["image"][..., :8].mean())
    assert left == pytest.approx(float(ran["ramp"][..., :8].mean()), abs=0.05)
    assert max(ran["errors"].values()) < 0.5

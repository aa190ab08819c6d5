"""A generator is one file: here one that returns the reference, asked for by name in a request."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from added_files import added

from medsynth import generators, pipeline
from medsynth.request import load_request, parse

DO_NOTHING = """
from dataclasses import dataclass

from medsynth.generators.base import Capabilities, GeneratorMethod, MadeSlice


@dataclass
class DoNothing:
    steps: int
    name = "do_nothing"
    capabilities = Capabilities(lesions=False, background=False)
    checkpoint = None

    def check(self, task):
        pass

    def seconds_per_slice(self, shape):
        return 0.0

    def generate(self, slices, task, *, seed, step_mm, on_step):
        for k in slices:
            for done in range(self.steps):
                on_step(k, done + 1, self.steps)
            yield MadeSlice(k, task(k).references[0].values)

    def record(self):
        return {"device": "cpu"}


def load(request, *, preset, weights, metadata, device):
    assert weights is None
    return DoNothing(request.steps)
"""


@pytest.fixture
def do_nothing(tmp_path):
    declared = DO_NOTHING + (
        "\n\nGENERATOR = GeneratorMethod(title='Nothing is done', make=load, needs_weights=False)\n"
    )
    with added(generators.GENERATORS, "do_nothing", declared, tmp_path / "more"):
        yield


@pytest.fixture
def another(tmp_path, monkeypatch):
    """The same from a program of its own, which registers it."""
    (tmp_path / "another_program.py").write_text(DO_NOTHING)
    monkeypatch.syspath_prepend(tmp_path)
    generators.register("another", "another_program", title="Another", needs_weights=False)
    yield
    generators.GENERATORS.forget("another")


@pytest.fixture
def request_of(tmp_path):
    """A request for eight slices of made-up lung in a shell of soft tissue."""
    k, j, i = np.indices((8, 48, 48))
    radius = np.hypot(j - 24, i - 24)
    values = np.select([radius < 15, radius < 21], [-850, 40], -1000) + (3 * k + 5 * j + i) % 7
    image = sitk.GetImageFromArray(values.astype(np.int16))
    image.SetSpacing((3, 3, 3))
    sitk.WriteImage(image, str(tmp_path / "lung.nrrd"))
    raw = {"preset": "lung_ct", "anatomy": {"image": "lung.nrrd"}, "steps": 2}
    return lambda **changes: parse(raw | {"generator": "do_nothing"} | changes, tmp_path)


def test_a_generator_is_one_file(do_nothing, request_of, tmp_path):
    result = pipeline.run(request_of(), tmp_path / "out")
    assert (result.generator, result.checkpoint, result.nfe) == ("do_nothing", None, None)
    made, given = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        for path in (tmp_path / "out" / "image.nrrd", tmp_path / "lung.nrrd")
    )
    assert np.array_equal(made, given)
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (record["generator"], record["checkpoint"]) == ("do_nothing", None)
    assert load_request(tmp_path / "out" / "request.yaml").generator == "do_nothing"


def test_a_generator_may_come_from_another_program(another, request_of, tmp_path):
    result = pipeline.run(request_of(generator="another"), tmp_path / "out")
    assert result.checkpoint is None
    assert load_request(tmp_path / "out" / "request.yaml").generator == "another"
    with pytest.raises(ValueError, match="there is a generator 'another' already"):
        generators.register("another", "another_program", title="")


NODULE = {
    "center_mm": [72, 72, 10],
    "diameter_mm": 12,
    "source": {"procedural": {"kind": "solid"}},
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pathologies": [NODULE], "extent": "all"}, "pathologies: do_nothing places no lesions"),
        ({"conditions": ["histogram"]}, "conditions: do_nothing knows none; remove them"),
        ({"weights": __file__}, "weights: the generator do_nothing has none"),
        ({"generator": "nobody"}, "generator: expected one of guided_diffusion, do_nothing, got"),
    ],
)
def test_what_a_generator_cannot_do_is_refused_before_it_starts(
    do_nothing, request_of, tmp_path, changes, message
):
    with pytest.raises(ValueError, match=message):
        pipeline.run(request_of(**changes), tmp_path / "out", dry_run=True)
    assert not (tmp_path / "out").exists()

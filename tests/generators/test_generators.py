"""A generator is one file: here one that returns the reference, asked for by name in a request."""

import json
from pathlib import Path

import do_nothing as do_nothing_file
import numpy as np
import pytest
import SimpleITK as sitk
from added_files import added

from medsynth import generators, pipeline
from medsynth.request import load_request, parse

DO_NOTHING = Path(do_nothing_file.__file__).read_text()


@pytest.fixture
def do_nothing(tmp_path):
    with added(generators.GENERATORS, "do_nothing", DO_NOTHING, tmp_path / "more"):
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


@pytest.mark.slow
def test_a_generator_is_one_file(do_nothing, request_of, tmp_path):
    unmarked = {"no_pixel_mark": "the voxels are compared with those given"}
    result = pipeline.run(request_of(output=unmarked), tmp_path / "out")
    assert (result.generator, result.checkpoint, result.nfe) == ("do_nothing", None, None)
    made, given = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        for path in (tmp_path / "out" / "image.nrrd", tmp_path / "lung.nrrd")
    )
    assert np.array_equal(made, given)
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (record["generator"], record["checkpoint"]) == ("do_nothing", None)
    assert load_request(tmp_path / "out" / "request.yaml").generator == "do_nothing"


@pytest.mark.slow
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

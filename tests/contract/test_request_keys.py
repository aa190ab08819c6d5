"""The request contract: which keys there are, what they default to, how they are written back."""

import dataclasses
import json
import subprocess
import sys
import textwrap

import pytest
import yaml

from medsynth import lesions as pathology
from medsynth.cli.app import main
from medsynth.dicom.projection import MAMMOGRAPHY_VIEWS, RADIOGRAPH_VIEWS
from medsynth.lesions.drawn import DIAMETER_MM as DRAWN_DIAMETER_MM
from medsynth.lesions.transplant import SCALE as MOVED_SCALE
from medsynth.phantoms.breast.shape import DENSITIES, LATERALITIES, RANGES, VIEWS
from medsynth.phantoms.thorax import habitus
from medsynth.records.result import Checkpoint, GuidanceError, Result
from medsynth.request import Stop, load_request, model, parse, source, to_dict, write
from medsynth.request import phantom as request_phantom
from medsynth.request.parse import DIAMETER_MM

# As the project's design states it, with paths that exist in `folder`.
CONTRACT = """
preset: lung_ct
anatomy:
  image: ct
  factor: 16
  stop: 0.1
pathologies:
  - roi: roi.nrrd
    source: {procedural: {kind: spiculated}}
    factor: 4
    stop: 0.05
  - center_mm: [-75, -10, 10]
    diameter_mm: 14
    source: {image: other.nrrd, mask: roi.nrrd}
extent: roi
background: keep
steps: 10
sampler: ddim
composition: sum
seed: 7
output: {patient: keep}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "ct").mkdir()
    (tmp_path / "roi.nrrd").touch()
    (tmp_path / "other.nrrd").touch()
    (tmp_path / "request.yaml").write_text(CONTRACT)
    return tmp_path


def test_every_key_of_the_contract_arrives(folder):
    request = load_request(folder / "request.yaml")
    assert (request.preset, request.anatomy.factor, request.anatomy.stop) == (
        "lung_ct",
        16,
        Stop(sigma=0.1),
    )
    assert request.anatomy.image == folder / "ct"
    painted, placed = request.pathologies
    assert painted.roi == folder / "roi.nrrd"
    assert painted.source.procedural == {"kind": "spiculated"}
    assert (painted.factor, painted.stop) == (4, Stop(sigma=0.05))
    assert (placed.center_mm, placed.diameter_mm) == ((-75.0, -10.0, 10.0), 14.0)
    assert (placed.source.image, placed.source.mask) == (
        folder / "other.nrrd",
        folder / "roi.nrrd",
    )
    assert (request.extent, request.background, request.steps) == ("roi", "keep", 10)
    assert (request.sampler, request.composition, request.seed) == ("ddim", "sum", 7)
    assert request.patient == "keep"


def test_defaults_come_from_the_preset(folder):
    request = parse({"preset": "lung_ct", "anatomy": {"image": "ct"}}, folder)
    assert (request.anatomy.factor, request.anatomy.stop, request.steps) == (8, Stop(sigma=0.0), 20)
    assert (request.extent, request.background, request.patient) == (
        "all",
        "resynthesize",
        "synthetic",
    )
    lesion = {"roi": "roi.nrrd", "source": {"procedural": {"kind": "solid"}}}
    request = parse(
        {"preset": "lung_ct", "anatomy": {"image": "ct"}, "pathologies": [lesion]}, folder
    )
    assert (request.extent, request.pathologies[0].factor) == ("roi", 4)


def test_what_is_written_is_resolved_and_reads_back_equal(folder, tmp_path_factory):
    request = load_request(folder / "request.yaml")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "request.yaml"
    write(request, elsewhere)
    assert load_request(elsewhere) == request
    written = yaml.safe_load(elsewhere.read_text())
    assert written["anatomy"]["image"] == str(folder / "ct")
    assert (written["filter"], written["margin_mm"]) == ("dct", 6.0)


def test_every_field_is_written(folder):
    """With no field at its default, one that is left out does not read back equal."""
    (folder / "weights.safetensors").touch()
    (folder / "expert.safetensors").touch()
    words = (
        *("filter=block", "guidance=x_t", "weights=weights.safetensors", "device=cpu"),
        "expert=expert.safetensors",
        *(
            "generator=another",
            "margin_mm=3",
            "feather_mm=2",
            "noise=12",
            "output.paths=names",
            "output.write=[dicom, nifti]",
            "output.no_pixel_mark=a test",
            "conditions=[histogram]",
            "anatomy.series_uid=1.2.3",
            "anatomy.slice=2",
            "steps=5",
        ),
        *("anatomy.pixel_mm=0.5", "anatomy.burned_in_text=true"),
        *("pathologies.1.source.rotate_deg=30", "pathologies.1.source.scale=2"),
        *("pathologies.1.source.mirror=true", "pathologies.1.source.series_uid=4.5.6"),
        *("pathologies.1.factor=2", "pathologies.1.stop={fraction: 0.5}", "extent=all"),
    )
    request = load_request(folder / "request.yaml", overrides=words)
    for part in (request, request.anatomy, request.pathologies[1].source):
        defaults = {f.name: f.default for f in dataclasses.fields(part)}
        same = [k for k, v in defaults.items() if getattr(part, k) == v]
        assert same in (
            [],
            ["extent"],
            ["phantom", "view", "laterality", "defaced", "labels"],
            ["procedural", "patch", "saved"],  # saved excludes image and mask: tests/lesions
        )
    assert parse(to_dict(request)) == request


@pytest.mark.parametrize(
    "phantom",
    [
        {},
        {"kind": "thorax", "seed": 3, "slices": 1, "size": [64, 48], "spacing_mm": [1, 1, 3]},
        {"heart": 1.3, "sex": "female", "table": False, "level_mm": -20},
        {"control_points": "other.nrrd"},
    ],
)
def test_phantoms_read_back_equal(folder, phantom):
    request = parse({"preset": "lung_ct", "anatomy": {"phantom": phantom}}, folder)
    assert parse(to_dict(request)) == request
    assert request.anatomy.image is None
    for key, value in phantom.items():
        written = to_dict(request)["anatomy"]["phantom"][key]
        assert written == (str(folder / value) if key == "control_points" else value)


def test_sizes_of_a_lesion_are_those_that_can_be_drawn():
    assert DIAMETER_MM == DRAWN_DIAMETER_MM
    assert MOVED_SCALE == source.SCALE


def test_the_options_of_a_lesion_arrive(folder):
    drawn = {"kind": "spiculated", "seed": 4, "hu": 30, "spicules": 12, "elongation": 1.5}
    placed = {"center_mm": [1, 2, 3], "diameter_mm": 9, "source": {"procedural": drawn}}
    moved = {"image": "other.nrrd", "mask": "roi.nrrd", "rotate_deg": [0, 0, 30], "mirror": "x"}
    taken = {"roi": "roi.nrrd", "source": moved | {"scale": 2, "series_uid": "1.2.3"}}
    raw = {"preset": "lung_ct", "anatomy": {"image": "ct"}, "pathologies": [placed, taken]}
    request = parse(raw, folder)
    assert request.pathologies[0].source.procedural == drawn
    source = request.pathologies[1].source
    assert (source.rotate_deg, source.mirror, source.scale) == ((0.0, 0.0, 30.0), "x", 2.0)
    assert source.series_uid == "1.2.3"
    assert parse(to_dict(request)) == request


def test_the_ranges_of_a_phantom_are_the_anatomys():
    assert request_phantom.HABITUS == habitus.RANGES
    assert set(request_phantom.PERSON_KEYS) == {"seed", *habitus.NAMES}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0.25", Stop(sigma=0.25)),
        ("{fraction: 0.9}", Stop(fraction=0.9)),
        ("5e-2", Stop(sigma=0.05)),
    ],
)
def test_a_stop_is_a_sigma_or_a_fraction(folder, written, meant):
    request = load_request(folder / "request.yaml", overrides=[f"anatomy.stop={written}"])
    assert request.anatomy.stop == meant


def test_a_folder_may_be_called_no(folder):
    (folder / "no").mkdir()
    request = load_request(folder / "request.yaml", overrides=["anatomy.image=no"])
    assert request.anatomy.image == folder / "no"
    taken = "pathologies.1.source.mirror=true"
    request = load_request(folder / "request.yaml", overrides=[taken])
    assert request.pathologies[1].source.mirror is True


def test_overrides_reach_any_depth_and_lists(folder):
    request = load_request(
        folder / "request.yaml",
        overrides=[
            "anatomy.factor=8",
            "pathologies.0.source.procedural.kind=solid",
            "pathologies[1].diameter_mm=20.5",
            "output.patient=synthetic",
            "pathologies.2={roi: roi.nrrd, source: {procedural: {kind: calcified}}}",
        ],
    )
    assert request.anatomy.factor == 8
    assert [p.source.procedural for p in request.pathologies] == [
        {"kind": "solid"},
        None,
        {"kind": "calcified"},
    ]
    assert (request.pathologies[1].diameter_mm, request.patient) == (20.5, "synthetic")


def test_an_override_of_null_removes_a_key(folder):
    request = load_request(
        folder / "request.yaml",
        overrides={"anatomy.image": None, "anatomy.phantom": {"seed": 3}, "pathologies": None}
        | {"extent": "all", "background": "resynthesize"},
    )
    assert (request.anatomy.image, request.anatomy.phantom.options) == (None, {"seed": 3})
    assert request.pathologies == ()


@pytest.mark.parametrize(
    ("preset", "view"), [("chest_xray", "PA"), ("mammography", "MLO"), ("mammography", "CC")]
)
def test_how_a_film_was_taken_is_written_back(folder, preset, view):
    anatomy = {"image": "other.nrrd", "view": view, "laterality": "L", "pixel_mm": 0.2}
    request = parse({"preset": preset, "anatomy": anatomy}, folder)
    assert (request.anatomy.view, request.anatomy.laterality) == (view, "L")
    assert request.anatomy.pixel_mm == 0.2
    assert parse(to_dict(request)) == request


def test_views_are_those_that_dicom_can_write():
    radiograph, mammogram = tuple(RADIOGRAPH_VIEWS), tuple(MAMMOGRAPHY_VIEWS)
    assert (model.VIEWS["DX"], model.VIEWS["MG"]) == (radiograph, mammogram)


def test_json_is_read_too(folder):
    raw = yaml.safe_load(CONTRACT)
    (folder / "request.json").write_text(json.dumps(raw, indent="\t"))
    assert load_request(folder / "request.json") == load_request(folder / "request.yaml")


@pytest.mark.slow
def test_nothing_heavy_is_loaded_to_check_a_request(folder):
    code = f"""
        import sys
        from medsynth.request import load_request
        load_request({str(folder / "request.yaml")!r})
        print(*[m for m in ("numpy", "torch", "SimpleITK", "pydicom", "monai") if m in sys.modules])
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == ""


def test_a_result_is_strict_json(tmp_path):
    result = Result(
        seed=7,
        nfe=20,
        sampler="dpmpp_2m",
        device="cpu",
        dtype="bfloat16",
        checkpoint=Checkpoint("weights.safetensors", "ab" * 32),
        slices=(3, 9),
        guidance_errors=(GuidanceError("anatomy", 16, {"fraction": 0.5}, float("nan")),),
        warnings=("one",),
    )
    result.write(tmp_path / "result.json")
    read = json.loads((tmp_path / "result.json").read_text(), parse_constant=pytest.fail)
    assert (read["seed"], read["slices"], read["synthetic"]) == (7, [3, 9], True)
    assert read["audited"] is False
    assert read["guidance_errors"][0]["error"] is None
    assert read["checkpoint"]["sha256"] == "ab" * 32
    assert {"medsynth", "python", "torch", "monai", "pydicom"} <= read["versions"].keys()


FILM_LESION = {"center_mm": [1, 2, 0], "diameter_mm": 9}


def film_request(folder, patch=None, **source):
    taken = {"image": "other.nrrd", "mask": "roi.nrrd", **source}
    if patch is not None:
        taken["patch"] = patch
    lesion = FILM_LESION | {"source": taken}
    return parse(
        {"preset": "mammography", "anatomy": {"phantom": {}}, "pathologies": [lesion]}, folder
    )


def test_the_steps_of_a_patch_are_the_pathologys(folder):
    (lesion,) = film_request(folder).pathologies
    steps = pathology.Steps(**lesion.source.patch)
    assert steps == pathology.Steps()
    fields = {field.name for field in dataclasses.fields(pathology.Steps)}
    assert set(source.PATCH_KEYS) == {*fields, "seed"}
    assert lesion.weight == "gaussian"


def test_every_step_of_a_patch_can_be_switched(folder):
    patch = {
        **dict.fromkeys(source.PATCH_FLAGS, False),
        **{"normalize": "patch", "quantile": 0.9, "shift_mm": 0.0, "seed": 3},
    }
    request = film_request(folder, patch)
    assert request.pathologies[0].source.patch == patch
    assert parse(to_dict(request)) == request


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"normalize": "off"}, "patch.normalize: off leaves the ranks that equalize makes"),
        ({"taper": 1}, "patch.taper: expected true or false, got 1"),
        ({"shift_mm": 99}, "patch.shift_mm: expected a finite number >= 0 and <= 30, got 99"),
        (
            {"normalize": "off", "equalize": False, "quantile": 0.9},
            "patch.quantile: has nothing to act on",
        ),
        ({"tapers": True}, "patch.tapers: unknown key, did you mean 'taper'"),
    ],
)
def test_steps_of_a_patch_that_cannot_act_are_refused(folder, patch, message):
    with pytest.raises(ValueError, match=message):
        film_request(folder, patch)


def test_a_film_is_not_turned_in_space(folder):
    with pytest.raises(ValueError, match="rotate_deg: expected a finite number"):
        film_request(folder, rotate_deg=[1, 2, 3])
    with pytest.raises(ValueError, match="mirror: expected one of x, y, got 'z'"):
        film_request(folder, mirror="z")


def test_a_patch_acts_on_films_only(folder):
    taken = {"image": "other.nrrd", "mask": "roi.nrrd", "patch": {}}
    raw = {"preset": "lung_ct", "anatomy": {"phantom": {}}}
    with pytest.raises(
        ValueError, match="source.patch: acts on projection images only, lung_ct has none"
    ):
        parse(raw | {"pathologies": [FILM_LESION | {"source": taken}]}, folder)


def test_the_words_and_ranges_of_a_breast_are_the_anatomys():
    assert {
        "view": VIEWS,
        "laterality": LATERALITIES,
        "density": tuple(DENSITIES),
    } == request_phantom.BREAST_WORDS
    assert request_phantom.BREAST_NUMBERS == RANGES


def test_specks_are_followed_exactly_unless_the_request_says_else(folder):
    lesion = FILM_LESION | {"source": {"procedural": {"kind": "microcalcifications"}}}
    raw = {"preset": "mammography", "anatomy": {"phantom": {}}}
    for given, factor in (({}, 1), ({"factor": 2}, 2)):
        (read,) = parse(raw | {"pathologies": [lesion | given]}, folder).pathologies
        assert (read.factor, read.weight) == (factor, "mask")


@pytest.mark.parametrize(
    ("anatomy", "message"),
    [
        ({"phantom": {"slices": 3}}, "phantom.slices: a breast has no such key; known keys: seed"),
        ({"phantom": {"view": "ML"}}, "phantom.view: expected one of MLO, CC, got 'ML'"),
        ({"phantom": {}, "view": "MLO"}, "anatomy.view: a phantom says it itself; remove it"),
        (
            {"phantom": {"control_points": "other.nrrd", "density": "dense"}},
            "control_points: say who the phantom is; remove density",
        ),
    ],
)
def test_what_a_breast_cannot_be_is_refused(folder, anatomy, message):
    with pytest.raises(ValueError, match=message):
        parse({"preset": "mammography", "anatomy": anatomy}, folder)


def test_a_quality_is_a_number_of_network_calls(folder, capsys):
    for word, steps in model.QUALITIES.items():
        request = load_request(folder / "request.yaml", overrides=["steps=null", f"quality={word}"])
        assert (request.steps, "quality" in to_dict(request)) == (steps, False)
    file, out = str(folder / "request.yaml"), str(folder / "out")
    assert main(["synthesize", file, "-o", out, "--quality", "draft"]) == 2
    assert "quality: draft means 2 steps, but the request says steps: 10" in capsys.readouterr().err

"""phantom, preview, info, synthesize and demo from the command line, read back and refused."""

import json
import re
import sys
import types

import numpy as np
import pytest
import SimpleITK as sitk
from command_line import run
from PIL import Image

from medsynth.cli import app as cli
from medsynth.cli import info
from medsynth.cli.preview import low_pass_planes
from medsynth.domains import get
from medsynth.networks import model_store
from medsynth.phantoms import load_control_points
from medsynth.request import load_request

render_module = sys.modules["medsynth.phantoms.render"]
SMALL = ("--slices", "3", "--size", "64", "64", "--spacing", "6", "6", "9")


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture(scope="module")
def thorax(tmp_path_factory):
    folder = tmp_path_factory.mktemp("thorax")
    files = ("-o", folder / "t.nrrd", "--labels", folder / "l.nrrd")
    assert (
        run("phantom", "--seed", 3, *SMALL, *files, "--save-control-points", folder / "t.json") == 0
    )
    return folder


@pytest.mark.slow
def test_a_phantom_is_written_on_the_grid_asked_for(thorax):
    image = sitk.ReadImage(str(thorax / "t.nrrd"))
    assert (image.GetSize(), image.GetSpacing()) == ((64, 64, 3), (6.0, 6.0, 9.0))
    values = sitk.GetArrayFromImage(image)
    assert values.min() < -900
    assert 0 < values.max() < 2000
    assert sitk.ReadImage(str(thorax / "l.nrrd")).GetSize() == (64, 64, 3)
    assert everything(thorax) == ["l.nrrd", "t.json", "t.nrrd"]


@pytest.mark.slow
def test_a_phantom_is_drawn_again_from_its_control_points(thorax, tmp_path):
    again = tmp_path / "again.nrrd"
    assert run("phantom", "--control-points", thorax / "t.json", *SMALL, "-o", again) == 0
    first, second = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(p))) for p in (thorax / "t.nrrd", again)
    )
    assert np.abs(first - second).mean() < 1  # the text file rounds to micrometres
    assert not np.array_equal(first, 0 * first)


@pytest.mark.slow
def test_control_points_can_be_saved_without_drawing(tmp_path):
    assert (
        run(
            "phantom",
            "--seed",
            5,
            "--set",
            "heart=1.4",
            "--save-control-points",
            tmp_path / "p.json",
        )
        == 0
    )
    shape = load_control_points(tmp_path / "p.json")
    assert (shape.seed, shape.habitus["heart"]) == (5, 1.4)


@pytest.mark.slow
def test_a_phantom_can_be_nifti_and_a_single_slice(tmp_path):
    out = tmp_path / "t.nii.gz"
    words = ("--slices", 1, "--size", 32, 32, "--spacing", 12, 12, 3)
    assert run("phantom", *words, "-o", out) == 0
    assert sitk.ReadImage(str(out)).GetSize() == (32, 32, 1)
    assert everything(tmp_path) == ["t.nii.gz"]


@pytest.mark.slow
def test_the_result_event_names_the_files(tmp_path, capsys):
    out = tmp_path / "p.json"
    run("phantom", "--save-control-points", out, "--progress", "json")
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["kind"], last["data"]["files"]) == ("result", [str(out)])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing to write: give -o FILE"),
        (("--labels", "no/l.nrrd"), "cannot write .*no/l.nrrd: the folder .* is not there"),
        (("-o", "there.nrrd"), "there.nrrd exists; choose another name"),
        (("-o", "a.nrrd", "--set", "hart=1"), "phantom.hart: unknown key, did you mean 'heart'"),
        (("-o", "a.nrrd", "--slices", "0"), "phantom.slices: expected an integer from 1 to 2048"),
        (("-o", "a.nrrd", "--kind", "head"), "phantom.kind: expected one of thorax, got 'head'"),
        (("-o", "a.nrrd", "--preset", "lung"), "unknown preset 'lung', .*did you mean 'lung_ct'"),
        (("-o", "a.nrrd", "--control-points", "no.yaml"), "control_points: no such file"),
        (("-o", "a.nrrd", "--control-points", "there.nrrd"), "not a control point file"),
        (("-o", "a.tif", *SMALL), "cannot write .*tif"),
        (("--save-control-points", "p.yaml", "--slices", "3"), "only act on an image"),
    ],
)
def test_phantoms_that_are_refused(tmp_path, monkeypatch, capsys, words, message):
    """All of them before anything is drawn."""
    monkeypatch.setattr(render_module, "_paint", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.nrrd").write_text("mine")
    assert run("phantom", "--progress", "none", *words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert re.match(f"medsynth: error: .*{message}", err)
    assert everything(tmp_path) == ["there.nrrd"]
    assert (tmp_path / "there.nrrd").read_text() == "mine"


def test_a_low_pass_plane_is_what_guidance_keeps():
    """Half a cosine of 32 pixels across 64: kept by factor 16 (4 modes), gone with factor 64."""
    preset = get("lung_ct")
    x = np.arange(64) + 0.5
    unit = np.tile(0.3 * np.cos(np.pi * 2 * x / 64), (64, 1))
    plane = preset.intensity.from_unit(unit)
    kept, gone = low_pass_planes(plane, (16, 64), kind="dct", preset=preset).values()
    assert kept == pytest.approx(plane, abs=0.5)
    assert gone == pytest.approx(preset.intensity.from_unit(0 * unit), abs=0.5)


@pytest.mark.slow
def test_a_preview_of_an_image(thorax, tmp_path, capsys):
    out = tmp_path / "p.png"
    assert (
        run("preview", thorax / "t.nrrd", "-o", out, "--factors", "2,8", "--progress", "json") == 0
    )
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["data"] == {"file": str(out), "slice": 1, "factors": [2, 8]}
    assert Image.open(out).size == (3 * 360 + 4 * 6, 92 + 3 * 360 + 4 * 6)


@pytest.fixture
def request_file(thorax, tmp_path):
    mask = sitk.Image(64, 64, 3, sitk.sitkUInt8)
    mask.CopyInformation(sitk.ReadImage(str(thorax / "t.nrrd")))
    mask[20:24, 30:34, 2] = 1
    sitk.WriteImage(mask, str(tmp_path / "roi.nrrd"))
    file = tmp_path / "request.yaml"
    file.write_text(
        f"preset: lung_ct\nanatomy: {{image: {thorax / 't.nrrd'}, factor: 6}}\n"
        "pathologies: [{roi: roi.nrrd, factor: 3, source: {procedural: {kind: solid}}}]\n"
    )
    return file


@pytest.mark.slow
def test_a_preview_of_a_request_shows_its_factors_where_its_pathology_is(request_file, capsys):
    out = request_file.with_name("p.png")
    assert run("preview", request_file, "-o", out, "--progress", "json") == 0
    data = json.loads(capsys.readouterr().out.splitlines()[-1])["data"]
    assert (data["slice"], data["factors"]) == (2, [3, 4, 6, 8, 16, 32])
    words = ("--set", "pathologies.0.roi=null", "--set", "pathologies.0.diameter_mm=9")
    place = "pathologies.0.center_mm=[0, 0, -9]"
    run(
        "preview",
        request_file,
        "-o",
        out,
        "--overwrite",
        "--progress",
        "json",
        *words,
        "--set",
        place,
    )
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["data"]["slice"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("no.nrrd", "-o", "p.png"), "no.nrrd does not exist"),
        (("no.yaml", "-o", "p.png"), "no such request file"),
        (("t.nrrd", "-o", "p.jpg"), "expected a name that ends in .png"),
        (("t.nrrd", "-o", "no/p.png"), "the folder .* is not there"),
        (("t.nrrd", "-o", "p.png", "--factors", "0"), "factor must be an integer from 1 "),
        (("t.nrrd", "-o", "p.png", "--factors", "65"), "factor must be an integer from 1 .* to 64"),
        (("t.nrrd", "-o", "p.png", "--filter", "dtc"), "--filter: .*did you mean 'dct'"),
        (("t.nrrd", "-o", "p.png", "--slice", "4"), "--slice: expected 1 to 3, got 4"),
        (("t.nrrd", "-o", "p.png", "--set", "seed=1"), "--set changes a request"),
        (("t.nrrd", "-o", "p.png", "--preset", "brain"), "unknown preset 'brain'"),
        (("r.yaml", "-o", "p.png", "--preset", "lung_ct"), "--preset is for an image"),
    ],
)
def test_previews_that_are_refused(thorax, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.nrrd").symlink_to(thorax / "t.nrrd")
    assert run("preview", "--progress", "none", *words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert re.match(f"medsynth: error: .*{message}", err)
    assert everything(tmp_path) == ["t.nrrd"]


def test_info_tells_what_is_there(capsys, monkeypatch, tmp_path):
    header = json.dumps(
        {"__metadata__": {"medsynth": json.dumps({"preset": "lung_ct", "steps": 9})}}
    )
    good = len(header).to_bytes(8, "little") + header.encode()
    (tmp_path / "good.safetensors").write_bytes(good)
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    monkeypatch.setattr(model_store, "folders", lambda: [tmp_path])
    assert run("info", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["devices"][0]["name"] == "cpu"
    assert facts["devices"][0]["computes_in"] in ("bfloat16", "float32")
    assert facts["presets"]["lung_ct"]["pathologies"][0] == "solid"
    bad, good = facts["networks"]
    assert "damaged" in bad["error"]
    assert good["card"] == {"preset": "lung_ct", "steps": 9}
    assert facts["extras"].keys() == info.EXTRAS.keys()
    assert run("info") == 0
    printed = capsys.readouterr().out
    assert "good.safetensors (0.0 MB): preset lung_ct, steps 9; license not stated" in printed
    assert "lung_ct: Lung CT, 512 x 512" in printed


@pytest.fixture
def pipeline(monkeypatch):
    """A pipeline that only notes what it is asked."""
    asked = []
    module = types.ModuleType("medsynth.pipeline")
    module.run = lambda request, out, **options: asked.append((request, out, options))
    monkeypatch.setitem(sys.modules, "medsynth.pipeline", module)
    monkeypatch.setattr("medsynth.pipeline", module, raising=False)
    return asked


def test_synthesize_hands_the_checked_request_on(request_file, tmp_path, pipeline):
    out = tmp_path / "out"
    assert run("synthesize", request_file, "-o", out, "--set", "seed=9", "--dry-run") == 0
    ((request, where, options),) = pipeline
    assert request == load_request(request_file, overrides=["seed=9"])
    assert where == out
    options.pop("listener")
    assert options == {"overwrite": False, "dry_run": True}


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A folder of networks for the demo, at first with that of lung CT and mammography."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("lung_ct", "mammography"):
        (folder / get(name).weights).touch()
    monkeypatch.setattr(model_store, "folders", lambda: [folder])
    return folder


@pytest.mark.slow
def test_the_demo_is_a_spiculated_nodule_in_the_right_lung(tmp_path, pipeline, shipped):
    assert run("demo", "-o", tmp_path / "out", "--seed", 4) == 0
    (request, where, _), *_ = pipeline
    assert where == tmp_path / "out"
    (nodule,) = request.pathologies
    assert (request.seed, nodule.source.procedural["kind"]) == (4, "spiculated")
    # Drawn coarsely: the whole sphere lies in lung.
    from medsynth import phantoms as anatomy

    options = request.anatomy.phantom.options | {"size": (128, 128), "spacing_mm": (2.8, 2.8, 3.0)}
    drawn = anatomy.build("thorax", **(options | {"slices": 5, "level_mm": 10}))
    labels = sitk.GetArrayFromImage(drawn.labels)
    i, j, k = drawn.labels.TransformPhysicalPointToIndex(nodule.center_mm)
    around = labels[k - 2 : k + 3, j - 4 : j + 5, i - 4 : i + 5]
    assert set(np.unique(around)) <= {
        drawn.label_names["lung_right"],
        drawn.label_names["lung_vessel"],
    }


@pytest.mark.slow
def test_the_demo_has_a_mammogram_with_a_mass_in_the_breast(tmp_path, pipeline, shipped):
    assert run("demo", "-o", tmp_path / "out", "--seed", 4) == 0
    _, (request, where, _) = pipeline
    assert where == tmp_path / "out-mammography"
    (mass,) = request.pathologies
    assert (request.preset, request.seed) == ("mammography", 4)
    assert mass.source.procedural["kind"] == "spiculated_mass"
    from medsynth import lesions as pathology
    from medsynth import phantoms as anatomy

    drawn = anatomy.build("breast", **request.anatomy.phantom.options)
    lesion = pathology.procedural(
        **mass.source.procedural,
        reference=drawn.image,
        center_mm=mass.center_mm,
        diameter_mm=mass.diameter_mm,
        seed=4,
        body_threshold=10,
    )
    labels = sitk.GetArrayFromImage(drawn.labels)[sitk.GetArrayFromImage(lesion.mask) > 0]
    names = drawn.label_names
    assert set(np.unique(labels)) <= {names["fat"], names["glandular"]}


def test_the_demo_leaves_out_what_has_no_network_and_says_so(tmp_path, pipeline, shipped, capsys):
    (shipped / get("lung_ct").weights).unlink()
    assert run("demo", "-o", tmp_path / "out") == 0
    assert [(request.preset, where) for request, where, _ in pipeline] == [
        ("mammography", tmp_path / "out")
    ]
    assert (
        f"no example of lung_ct: {get('lung_ct').weights} is not there" in capsys.readouterr().err
    )


def test_one_example_of_the_demo_can_be_chosen(tmp_path, pipeline, shipped):
    assert run("demo", "--preset", "mammography", "-o", tmp_path / "out") == 0
    assert [(request.preset, where) for request, where, _ in pipeline] == [
        ("mammography", tmp_path / "out")
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--set anatomy.factor=0", "anatomy.factor: expected an integer >= 1, got 0"),
        ("--set anatomy.stop=-1", "anatomy.stop: expected a finite number >= 0"),
        ("--set preset=lung", "preset: unknown preset 'lung'"),
        ("--set weights=no.safetensors", "weights: no such file"),
        ("--set anatomy.image=no", "anatomy.image: no such file or folder"),
        ("--set sed=1", "sed: unknown key, did you mean 'seed'"),
        ("--set seed", "--set seed: expected key=value"),
        ("-o there", "there exists and is not empty; .*--overwrite"),
        ("-o there --overwrite", "there is not replaced: it holds mine.txt"),
        ("-o request.yaml", "request.yaml is a file, expected a folder"),
        ("-o request.yaml/out", "request.yaml is a file; choose another folder"),
        ("-o /proc/nowhere/out --overwrite", "cannot make /proc/nowhere/out"),
    ],
)
def test_requests_that_are_refused_before_the_work(
    request_file, pipeline, monkeypatch, capsys, change, message
):
    monkeypatch.chdir(request_file.parent)
    (request_file.parent / "there").mkdir()
    (request_file.parent / "there" / "mine.txt").touch()
    before = everything(request_file.parent)
    words = change if "-o" in change else f"-o out {change}"
    if message.startswith("cannot make"):
        # Only writing shows that nothing can be made in /proc: root has every permission.
        from medsynth.storage.folders import OutputFolder

        module = sys.modules["medsynth.pipeline"]
        module.run = lambda request, out, **options: OutputFolder(out).__enter__()
    assert run("synthesize", "request.yaml", *words.split()) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert re.match(f"medsynth: error: .*{message}", err)
    assert pipeline == []
    assert everything(request_file.parent) == before


@pytest.mark.parametrize("command", ["train", "refine"])
@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("--stop-at=0", "--stop-at must be at least 1, got 0"),
        ("--minutes=0", "--minutes must be above 0, got 0"),
    ],
)
def test_a_run_that_may_do_nothing_is_refused(tmp_path, capsys, command, limit, message):
    assert cli.main([command, "lung_ct", "-o", str(tmp_path / "run"), limit]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

"""Every wrong request is refused before anything heavy is loaded, by a message that names the key."""

import pytest

from medsynth.request import load_request, parse, to_dict

LESION = {"roi": "roi.nrrd", "source": {"procedural": {"kind": "solid"}}}


@pytest.fixture
def folder(tmp_path):
    for name in ("ct.nrrd", "roi.nrrd", "mask.nrrd"):
        (tmp_path / name).touch()
    return tmp_path


def changed(**changes):
    """A correct request with top-level keys replaced."""
    return {"preset": "lung_ct", "anatomy": {"image": "ct.nrrd"}, "pathologies": [LESION]} | changes


def lesion(**changes):
    entry = {k: v for k, v in (LESION | changes).items() if v != "absent"}
    return changed(pathologies=[entry])


def anatomy(**changes):
    return changed(anatomy={"image": "ct.nrrd"} | changes)


def phantom(**changes):
    return changed(anatomy={"phantom": changes})


def drawn(kind="solid", **options):
    return {"procedural": {"kind": kind} | options}


TAKEN = {"image": "ct.nrrd", "mask": "mask.nrrd"}
WRONG = [
    # unknown keys
    (changed(extnt="roi"), "extnt: unknown key, did you mean 'extent'?"),
    (anatomy(facto=8), "anatomy.facto: unknown key, did you mean 'factor'?"),
    (lesion(sorce={}), r"pathologies\[0\].sorce: unknown key, did you mean 'source'?"),
    (lesion(source={"procedurl": {}}), r"pathologies\[0\].source.procedurl: unknown key"),
    (
        lesion(source={"procedural": {"kind": "solid", "sed": 1}}),
        r"pathologies\[0\].source.procedural.sed: unknown key, did you mean 'seed'?",
    ),
    (changed(output={"pacient": "keep"}), "output.pacient: unknown key, did you mean 'patient'?"),
    (phantom(hart=1), "anatomy.phantom.hart: unknown key, did you mean 'heart'?"),
    (changed(qqqq=1), "qqqq: unknown key; known keys: preset"),
    # missing keys
    ({"anatomy": {"image": "ct.nrrd"}}, "preset: missing"),
    ({"preset": "lung_ct"}, "anatomy: missing"),
    (anatomy(image=None), "anatomy: expected image or phantom, got neither"),
    (lesion(source="absent"), r"pathologies\[0\].source: missing"),
    (lesion(source={"procedural": {}}), r"pathologies\[0\].source.procedural.kind: missing"),
    (lesion(roi="absent"), r"pathologies\[0\]: expected roi or center_mm \+ diameter_mm"),
    (
        lesion(roi="absent", center_mm=[1, 2, 3]),
        r"pathologies\[0\]: center_mm needs diameter_mm beside it",
    ),
    (lesion(source={"image": "ct.nrrd"}), r"pathologies\[0\].source: image needs mask beside it"),
    # keys that exclude each other, or cannot act
    (anatomy(phantom={}), "anatomy: image and phantom exclude each other"),
    (lesion(diameter_mm=14), "exclude each other, got roi and diameter_mm"),
    (
        lesion(source=TAKEN | {"procedural": {"kind": "solid"}}),
        r"pathologies\[0\].source: procedural and image \+ mask exclude each other",
    ),
    (
        lesion(source={"procedural": {"kind": "solid"}, "scale": 2}),
        r"pathologies\[0\].source.scale: acts on a lesion taken from an image",
    ),
    (phantom(control_points="ct.nrrd", seed=3), "control_points: .*remove seed"),
    (
        {"preset": "lung_ct", "anatomy": {"phantom": {}, "series_uid": "1.2"}},
        "anatomy.series_uid: a phantom has no series",
    ),
    (
        changed(pathologies=[], extent="roi"),
        "extent: roi has nothing to act on without pathologies",
    ),
    (changed(pathologies=[], background="keep"), "background: keep has nothing to act on"),
    # words
    (changed(preset="lung"), "preset: unknown preset 'lung', .*did you mean 'lung_ct'"),
    (changed(sampler="dpm2m"), "sampler: expected one of .*got 'dpm2m', did you mean 'dpmpp_2m'"),
    (changed(composition="nest"), "composition: .*did you mean 'nested'"),
    (changed(filter="dtc"), "filter: .*did you mean 'dct'"),
    (changed(guidance="xt"), "guidance: .*did you mean 'x_t'"),
    (changed(extent="ROI"), "extent: .*did you mean 'roi'"),
    (changed(background="kept"), "background: .*did you mean 'keep'"),
    (changed(device="gpu"), "device: expected one of auto, cpu, cuda"),
    (changed(output={"patient": "real"}), "output.patient: expected one of synthetic, keep"),
    (
        lesion(source={"procedural": {"kind": "spiculatd"}}),
        r"pathologies\[0\].source.procedural.kind: .*did you mean 'spiculated'",
    ),
    (phantom(kind="thorx"), "anatomy.phantom.kind: .*did you mean 'thorax'"),
    (phantom(sex="m"), "anatomy.phantom.sex: expected one of female, male"),
    # ranges
    (anatomy(factor=0), "anatomy.factor: expected an integer >= 1, got 0"),
    (lesion(factor=-4), r"pathologies\[0\].factor: expected an integer >= 1, got -4"),
    (anatomy(stop=-0.1), "anatomy.stop: expected a finite number >= 0, got -0.1"),
    (anatomy(stop=float("nan")), "anatomy.stop: expected a finite number >= 0, got nan"),
    (anatomy(stop=float("inf")), "anatomy.stop: expected a finite number >= 0, got inf"),
    (anatomy(stop={"fraction": 0}), "anatomy.stop.fraction: expected .*> 0 and <= 1, got 0"),
    (anatomy(stop={"fraction": 1.01}), "anatomy.stop.fraction: expected .*<= 1, got 1.01"),
    (anatomy(stop={"fraction": 0.5, "sigma": 0.1}), "anatomy.stop: sigma and fraction exclude"),
    (anatomy(stop={}), "anatomy.stop: expected sigma or fraction"),
    (changed(steps=0), "steps: expected an integer >= 1, got 0"),
    (changed(seed=-1), "seed: expected an integer from 0 to 9223372036854775807, got -1"),
    (changed(seed=2**63), "seed: expected an integer from 0 to"),
    (changed(margin_mm=-1), "margin_mm: expected a finite number >= 0"),
    (changed(feather_mm=-1), "feather_mm: expected a finite number >= 0"),
    (changed(noise="referense"), "noise: expected one of reference, network.*'reference'"),
    (changed(noise=0), "noise: expected .*>= 1 and <= 100, got 0"),
    (changed(surroundings="air"), "surroundings: expected one of reference, network, got 'air'"),
    (
        changed(preset="chest_xray", pathologies=[], surroundings="reference"),
        "surroundings: reference needs a domain .*lung_ct, mammography.; for chest_xray",
    ),
    (changed(quality="fast"), "quality: expected one of draft, standard, best, got 'fast'"),
    (
        changed(quality="draft", steps=4),
        "quality: draft means 2 steps, but the request says steps: .* keep one",
    ),
    (changed(noise=True), "noise: expected .*number"),
    (
        changed(preset="chest_xray", pathologies=[], noise="reference"),
        "noise: 'reference' needs a domain whose scanner's noise is known .* chest_xray",
    ),
    (changed(feather_mm=10**400), "feather_mm: expected a finite number >= 0"),
    (lesion(roi="absent", center_mm=[1, 2, 3], diameter_mm=0), r"diameter_mm: .*>= 2 and <= 150"),
    (
        lesion(roi="absent", center_mm=[1, float("nan"), 3], diameter_mm=9),
        r"pathologies\[0\].center_mm\[1\]: expected a finite number, got nan",
    ),
    (lesion(source=TAKEN | {"scale": 0}), r"pathologies\[0\].source.scale: .*>= 0.2 and <= 5"),
    (lesion(source=TAKEN | {"mirror": "w"}), r"source.mirror: expected one of x, y, z, got 'w'"),
    (lesion(source=TAKEN | {"rotate_deg": [1, 2]}), "rotate_deg: expected three numbers"),
    (lesion(source=drawn(hu=999)), r"source.procedural.hu: expected .*>= -50 and <= 150, got 999"),
    (lesion(source=drawn(spicules=5)), r"source.procedural.spicules: unknown key"),
    (
        lesion(source=drawn("spiculated", spicules=5.5)),
        "spicules: expected an integer from 3 to 60",
    ),
    (lesion(source=drawn("calcified", pattern="popcor")), "pattern: .*did you mean 'popcorn'"),
    (lesion(source=drawn(elongation=2)), "procedural.elongation: the roi gives the shape"),
    (lesion(source={"procedural": "solid"}), r"source.procedural: expected a mapping of keys"),
    (phantom(heart=3), "anatomy.phantom.heart: expected .*>= 0.75 and <= 1.5, got 3"),
    (phantom(slices=0), "anatomy.phantom.slices: expected an integer from 1 to 2048, got 0"),
    (phantom(spacing_mm=[0.7, 0.7, 0]), r"anatomy.phantom.spacing_mm\[2\]: expected .*>= 0.1"),
    # types
    ("lung_ct", "request: expected a mapping of keys, got 'lung_ct'"),
    (changed(anatomy="ct.nrrd"), "anatomy: expected a mapping of keys, got 'ct.nrrd'"),
    (changed(pathologies=LESION), "pathologies: expected a list"),
    (changed(pathologies=["roi.nrrd"]), r"pathologies\[0\]: expected a mapping of keys"),
    (anatomy(factor=8.0), "anatomy.factor: expected an integer >= 1, got 8.0"),
    (anatomy(factor=True), "anatomy.factor: expected an integer >= 1, got True"),
    (anatomy(factor="8"), "anatomy.factor: expected an integer >= 1, got '8'"),
    (anatomy(stop="low"), "anatomy.stop: expected a finite number >= 0, got 'low'"),
    (anatomy(image=3), "anatomy.image: expected a text, got 3"),
    (lesion(roi="absent", center_mm=[1, 2], diameter_mm=9), "center_mm: expected three numbers"),
    (lesion(source=TAKEN | {"mirror": 1}), r"source.mirror: expected true or false, got 1"),
    (phantom(size=512), "anatomy.phantom.size: expected two integers"),
]


@pytest.mark.parametrize(("raw", "message"), WRONG, ids=[message for _, message in WRONG])
def test_refused_with_the_key_path(folder, raw, message):
    with pytest.raises(ValueError, match=message):
        parse(raw, folder)


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        (anatomy(image="no.nrrd"), "anatomy.image"),
        (lesion(roi="no.nrrd"), r"pathologies\[0\].roi"),
        (lesion(source=TAKEN | {"mask": "no.nrrd"}), r"pathologies\[0\].source.mask"),
        (changed(weights="no.safetensors"), "weights"),
        (phantom(control_points="no.yaml"), "anatomy.phantom.control_points"),
    ],
)
def test_a_path_that_leads_nowhere(folder, raw, key):
    with pytest.raises(FileNotFoundError, match=rf"{key}: no such file .*relative paths start at"):
        parse(raw, folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected keys such as"),
        ("- 1\n- 2\n", "expected keys such as"),
        ("preset: [lung_ct\n", "not valid YAML: .*line 2"),
        ("preset: lung_ct\npreset: lung_ct\n", "key 'preset' twice, line 2"),
        ("1: 2\n", "known keys|unknown key"),
        ("anatomy: 2024-13-45\n", "not valid YAML: month"),
        (b"\xff\xfe\x00\x01\x80", "not a text file"),
    ],
)
def test_a_file_that_is_no_request(folder, content, message):
    file = folder / "request.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        load_request(file)


def test_json_with_a_mistake(folder):
    file = folder / "request.json"
    file.write_text('{"preset": "lung_ct",}')
    with pytest.raises(ValueError, match="not valid JSON: .*line 1"):
        load_request(file)
    file.write_text('{"seed": 1, "seed": 2}')
    with pytest.raises(ValueError, match="not valid JSON: key 'seed' twice"):
        load_request(file)


def test_no_file(folder):
    with pytest.raises(FileNotFoundError, match="no such request file: .*nothing.yaml"):
        load_request(folder / "nothing.yaml")
    with pytest.raises(IsADirectoryError, match="is a folder, expected a request file"):
        load_request(folder)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("anatomy.factor", "expected key=value"),
        ("=3", "expected key=value"),
        ("anatomy.factr=8", "anatomy.factr: unknown key, did you mean 'factor'?"),
        ("pathologies.5.factor=8", "'5' is no place in a list of 1, expected 0 to 1"),
        ("pathologies.first.factor=8", "'first' is no place in a list"),
        (
            "preset.name=8",
            "--set preset.name: expected keys or a list to hold 'name', got 'lung_ct'",
        ),
        ("seed=[1", "not a value"),
        ("anatomy.factor=0", "anatomy.factor: expected an integer >= 1, got 0"),
    ],
)
def test_overrides_that_cannot_act(folder, override, message):
    (folder / "request.yaml").write_text(
        "preset: lung_ct\nanatomy: {image: ct.nrrd}\n"
        "pathologies: [{roi: roi.nrrd, source: {procedural: {kind: solid}}}]\n"
    )
    with pytest.raises(ValueError, match=message):
        load_request(folder / "request.yaml", overrides=[override])


def test_a_number_between_whole_bounds_may_have_decimals(folder):
    request = parse(lesion(source=drawn(hu=20.5)), folder)
    assert to_dict(request)["pathologies"][0]["source"]["procedural"]["hu"] == 20.5

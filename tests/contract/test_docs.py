"""The documents against the program: keys, ranges, defaults, requests, command lines, links."""

import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest
import yaml

from medsynth.cli import app as cli
from medsynth.domains import PRESETS
from medsynth.domains.lesion_kinds import KINDS
from medsynth.factory.parse import parse as parse_plan
from medsynth.request import labels, model, parse, source, to_dict
from medsynth.request import phantom as request_phantom
from medsynth.request.parse import ANATOMY_KEYS, DIAMETER_MM, KEYS, OUTPUT_KEYS, PATHOLOGY_KEYS
from medsynth.training.recipe import Refinement, load_recipe

# By kind, in the order of the domains.
OPTIONS = {k: KINDS[k].options for p in PRESETS.values() for k in p.lesion_kinds}
ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
REFERENCE = ROOT / "docs" / "request.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
WORD_FOR_THE_READER = re.compile(r"\b[A-Z][A-Z_]+\b")  # such as NAME, HOST, PORT
# What the pages' requests say relative to, and what stands for it in the test.
PATH_KEYS = ("file", "image", "mask", "roi", "weights", "expert", "control_points")


def name(path):
    return str(path.relative_to(ROOT))


def blocks(language):
    """Every fenced block of this language, with the page's name as id."""
    return [
        pytest.param(text, id=f"{name(page)}-{number}")
        for page in PAGES
        for number, (kind, text) in enumerate(FENCE.findall(page.read_text()))
        if kind == language
    ]


def command_lines():
    """Every `medsynth ...` line of the shell blocks, without comments and prompts."""
    lines = []
    for block in blocks("sh"):
        joined = block.values[0].replace("\\\n", " ")
        for line in joined.splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words and words[0] == "medsynth":
                lines.append(pytest.param(words[1:], id=f"{block.id}: {' '.join(words)}"[:90]))
    return lines


def section(title):
    """The text of docs/request.md below the heading `title`, up to the next."""
    parts = re.split(r"^## (.+)\n", REFERENCE.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[title]


def rows(title):
    """The table rows of a section: cells by key, for keys that have one row."""
    lines = [line for line in section(title).splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {cell[0].strip("`"): cell for cell in cells}


TABLES = {
    "Top level": KEYS,
    "anatomy": ANATOMY_KEYS,
    "anatomy.labels": labels.KEYS,
    "anatomy.phantom": request_phantom.KEYS,
    "pathologies": PATHOLOGY_KEYS,
    "pathologies.source": source.KEYS,
    "pathologies.source.patch": source.PATCH_KEYS,
    "output": OUTPUT_KEYS,
}


@pytest.mark.parametrize("title", TABLES)
def test_every_key_has_its_row_and_no_other(title):
    assert set(rows(title)) == set(TABLES[title])


def test_every_option_of_a_lesion_has_its_row_with_its_kinds_and_range():
    lines = section("pathologies.source.procedural").splitlines()
    for kind, options in OPTIONS.items():
        for key, allowed in options.items():
            if isinstance(allowed[0], str):
                limits = ", ".join(f"`{word}`" for word in allowed)
            else:
                limits = f"{allowed[0]:g} to {allowed[1]:g}"
            fitting = [
                line
                for line in lines
                if line.startswith(f"| `{key}` |") and f" {limits} |" in line
                if f"`{kind}`" in line.split("|")[2] or line.split("|")[2].strip() == "all"
            ]
            assert len(fitting) == 1, f"{kind}: {key} from {limits}"
    documented = {line.split("`")[1] for line in lines if line.startswith("| `")}
    known = {key for options in OPTIONS.values() for key in options}
    assert documented == {"kind", "seed", *known}


@pytest.mark.parametrize(
    ("title", "key", "words"),
    [
        ("Top level", "extent", model.EXTENTS),
        ("Top level", "background", model.BACKGROUNDS),
        ("Top level", "sampler", model.SAMPLERS),
        ("Top level", "composition", model.COMPOSITIONS),
        ("Top level", "filter", model.FILTERS),
        ("Top level", "guidance", model.GUIDANCE),
        ("Top level", "device", model.DEVICES),
        ("pathologies", "weight", model.WEIGHTS),
        ("pathologies.source.procedural", "kind", tuple(OPTIONS)),
        ("output", "patient", model.PATIENTS),
        ("output", "paths", model.PATHS),
        ("output", "write", tuple(model.EXPORTERS)),
    ],
)
def test_every_word_of_a_choice_is_named(title, key, words):
    assert rows(title)[key][3] == ", ".join(f"`{word}`" for word in words)


def test_ranges_are_the_programs():
    phantom = rows("anatomy.phantom")
    numbers = request_phantom.HABITUS | request_phantom.BREAST_NUMBERS
    for key, (low, high) in numbers.items():
        assert phantom[key][3] == f"{low:g} to {high:g}"
    assert phantom["slices"][3] == phantom["size"][3] == f"1 to {request_phantom.LARGEST_SIZE}"
    low, high = DIAMETER_MM
    assert rows("pathologies")["diameter_mm"][3] == f"{low:g} to {high:g}"
    for key, words in request_phantom.BREAST_WORDS.items():
        assert phantom[key][3] == ", ".join(f"`{word}`" for word in words)
    patch = rows("pathologies.source.patch")
    for key, (low, high) in (("quantile", source.QUANTILE), ("shift_mm", source.SHIFT_MM)):
        assert patch[key][3] == f"{low:g} to {high:g}"
    assert patch["normalize"][3] == ", ".join(f"`{word}`" for word in source.NORMALIZE)
    assert patch["shift_mm"][2] == f"`{source.USUAL_SHIFT_MM:g}`"
    low, high = source.SCALE
    assert rows("pathologies.source")["scale"][3] == f"{low:g} to {high:g}"


def test_defaults_are_the_programs(tmp_path):
    (tmp_path / "study").mkdir()
    lesion = {
        "center_mm": [0, 0, 0],
        "diameter_mm": 9,
        "source": {"image": "study", "mask": "study"},
    }
    raw = {"preset": "lung_ct", "anatomy": {"phantom": {}}}
    without = to_dict(parse(raw, tmp_path))
    filled = to_dict(parse(raw | {"pathologies": [lesion]}, tmp_path))
    top, (pathology,) = rows("Top level"), filled["pathologies"]
    plain = ("background", "sampler", "composition", "filter", "guidance", "device", "noise")
    plain = (*plain, "surroundings")
    for key in (*plain, "steps", "seed"):
        assert top[key][2] == f"`{filled[key]}`", key
    for key in ("margin_mm", "feather_mm"):
        assert top[key][2] == f"`{filled[key]:g}`", key
    roi, whole = filled["extent"], without["extent"]
    assert top["extent"][2] == f"`{roi}` with pathologies, `{whole}` without"
    for title, values in (("anatomy", filled["anatomy"]), ("pathologies", pathology)):
        assert rows(title)["factor"][2] == f"`{values['factor']}`"
        assert rows(title)["stop"][2] == f"`{values['stop']:g}`"
    assert rows("pathologies")["weight"][2] == f"`{pathology['weight']}`"
    assert rows("output")["write"][2] == f"`[{', '.join(filled['output']['write'])}]`"
    assert rows("output")["patient"][2] == f"`{filled['output']['patient']}`"


def in_folder(value, folder):
    """`value` with every path in it made, as an empty file of that name in `folder`."""
    if isinstance(value, list):
        return [in_folder(entry, folder) for entry in value]
    if not isinstance(value, dict):
        return value
    made = {key: in_folder(entry, folder) for key, entry in value.items()}
    for key in PATH_KEYS:
        if isinstance(made.get(key), str):
            made[key] = Path(made[key]).name
            (folder / made[key]).touch()
    return made


@pytest.mark.parametrize("text", blocks("yaml"))
def test_every_request_and_recipe_is_valid(text, tmp_path):
    raw = yaml.safe_load(text)
    if "phases" in raw:
        (tmp_path / "recipe.yaml").write_text(text)
        assert load_recipe(tmp_path / "recipe.yaml").steps > 0
        return
    if "refinement" in raw:  # shown with its defaults
        lists = {k: tuple(v) if isinstance(v, list) else v for k, v in raw["refinement"].items()}
        assert Refinement(**lists) == Refinement()
        return
    if "anatomies" in raw:
        assert parse_plan(raw, tmp_path).count == raw["count"]
        return
    # A page may show only the keys that it speaks of; the rest is the least that is needed.
    lesion = {"center_mm": [0, 0, 0], "diameter_mm": 9, "source": {"procedural": {"kind": "solid"}}}
    least = {"preset": "lung_ct", "anatomy": {"phantom": {}}}
    if "pathologies" not in raw and {"extent", "background", "margin_mm"} & set(raw):
        least["pathologies"] = [lesion]
    parse(least | in_folder(raw, tmp_path), tmp_path)


@pytest.mark.parametrize("words", command_lines())
def test_every_command_line_is_understood(words):
    known = [WORD_FOR_THE_READER.sub("1", word).strip("[]") for word in words if word != "|"]
    assert cli.parser().parse_args(known).command == known[0]


@pytest.mark.parametrize("text", blocks("python"))
def test_every_name_that_python_examples_import_is_there(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                # The module of 3D Slicer is imported in Slicer alone.
                if not (ROOT / "MedSynthSlicer" / alias.name / f"{alias.name}.py").is_file():
                    importlib.import_module(alias.name)
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_somewhere(page):
    for target in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page if not path else (page.parent / path).resolve()
        assert file.exists(), f"{name(page)} links to {target}"
        if anchor:
            assert anchor in anchors(file), f"{name(page)} links to {target}"


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def test_every_figure_of_the_analytic_tests_names_a_test_that_is_there():
    text = (ROOT / "docs" / "concepts.md").read_text()
    code = "".join(file.read_text() for file in (ROOT / "tests" / "diffusion").glob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", text)
    assert named
    for test in named:
        assert f"def {test}(" in code

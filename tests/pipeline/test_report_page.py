"""The page: what it embeds is what was computed, it needs nothing beside it, and it stays small."""

import base64
import io
import json
import re
import subprocess

import numpy as np
import pytest
from PIL import Image

from medsynth.domains import Window
from medsynth.pipeline.report import ReportInput, page, pictures, write_report

LUNG, SOFT = Window("lung", -600, 1500), Window("soft tissue", 40, 400)
REQUEST = {
    "preset": "lung_ct",
    "anatomy": {"image": "/data/<ct> & more", "factor": 16, "stop": 0.1},
    "pathologies": [{"center_mm": [1.0, 2.0, 3.0], "source": {"procedural": {"kind": "solid"}}}],
}
RECORD = {
    "seed": 7,
    "nfe": 20,
    "audited": False,
    "sampler": "dpmpp_2m",
    "checkpoint": {"name": "lung.safetensors", "sha256": "ab" * 32},
    "guidance_errors": [
        {"condition": "anatomy", "factor": 16, "stop": 0.1, "error": 0.00123},
        {"condition": "pathologies[0]", "factor": 4, "stop": {"fraction": 0.5}, "error": 1e-6},
    ],
    "lesions": [
        {
            "mask": "pathology_01.nrrd",
            "mean": 31.6,
            "mean_around": None,
            "diameter_mm": 13.97,
            "centroid_mm": [1, 2, 3],
        }
    ],
    "clipped": {"anatomy": 0.5, "result": 0.0},
    "warnings": ["2 slices <lost> & found"],
}


def made_up(*, slices=6, side=48, **changes):
    rng = np.random.default_rng(1)
    reference = rng.normal(-700, 60, (slices, side, side)).astype(np.float32)
    result = reference.copy()
    mask = np.zeros(reference.shape, bool)
    mask[2:4, 16:24, 16:24] = True
    result[mask] = 30
    given = {
        "title": "Lung CT <b>",
        "reference": reference,
        "result": result,
        "masks": (mask,),
        "spacing_mm": (0.7, 0.7, 3.0),
        "windows": (LUNG, SOFT),
        "low_pass": {8: np.full_like(reference, -700)},
        "request": REQUEST,
        "record": RECORD,
    }
    return ReportInput(**(given | changes))


@pytest.fixture
def written(tmp_path):
    write_report(made_up(), tmp_path / "report.html")
    return (tmp_path / "report.html").read_text()


def viewer(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL).group(1))


def decoded(words):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(words)))).astype(int)


def test_the_pictures_are_the_windowed_slices(written):
    data, shown = made_up(), viewer(written)
    assert [s["k"] for s in shown["slices"]] == [0, 1, 2, 3, 4, 5]
    size = tuple(shown["size"])
    assert size == (512, 512)
    for name, volume in (("reference", data.reference), ("result", data.result)):
        for index, window in enumerate(data.windows):
            expected = pictures.resized(pictures.windowed(volume[2], window), size)
            found = decoded(shown["slices"][2][name][index])
            assert np.abs(found - np.asarray(expected, dtype=int)).mean() < 3
    low = decoded(shown["slices"][2]["low8"][0])
    assert np.abs(low - round(650 / 1500 * 255)).max() <= 1


def test_slices_that_were_kept_have_one_picture_and_no_difference(written):
    shown = viewer(written)
    kept = [s["k"] for s in shown["slices"] if "result" not in s]
    assert kept == [0, 1, 4, 5]
    assert not any("difference" in shown["slices"][k] for k in kept)


def test_the_difference_is_none_where_voxels_are_equal(written):
    gray = decoded(viewer(written)["slices"][2]["difference"])
    scale = 512 / 48
    far = np.ones((512, 512), bool)
    far[int(12 * scale) : int(28 * scale), int(12 * scale) : int(28 * scale)] = False
    assert (gray[far] == 128).all()
    assert gray[int(20 * scale), int(20 * scale)] > 200


def test_outlines_are_there_where_the_lesion_is(written):
    slices = viewer(written)["slices"]
    assert [bool(s["outlines"][0]) for s in slices] == [False, False, True, True, False, False]
    x, y = np.array(slices[2]["outlines"][0][0]).reshape(-1, 2).T
    assert (x.min(), x.max()) == pytest.approx((16 * 512 / 48, 24 * 512 / 48), abs=0.1)
    assert (y.min(), y.max()) == pytest.approx((16 * 512 / 48, 24 * 512 / 48), abs=0.1)


def test_the_page_needs_nothing_beside_it(written):
    outside = re.sub(r'id="data">.*?</script>', "", written, flags=re.DOTALL)
    assert not re.findall(r"https?:|<link|src=|@import|url\(|fetch\(|import\(", outside)
    assert "{{" not in written


def test_words_of_others_are_text_never_markup(written):
    assert "Lung CT &lt;b&gt;" in written
    assert "/data/&lt;ct&gt; &amp; more" in written
    assert "2 slices &lt;lost&gt; &amp; found" in written
    assert "<lost>" not in written
    hostile = made_up(windows=(Window("</script><script>alert(1)</script>", 40, 400),))
    assert "<script>alert(1)" not in page._filled(hostile)


def test_numbers_settings_and_marks_are_on_the_page(written):
    for words in (
        "SYNTHETIC - NOT FOR DIAGNOSIS",
        "<td>0.12 %</td>",
        "<td>fraction 0.5</td><td>&lt; 0.01 %</td>",
        "<td>32 HU</td><td>not measured</td><td>14.0 mm</td><td>1.0, 2.0, 3.0</td>",
        "<td>50.00 %</td>",
        '<th scope="row">pathologies[0].source.procedural.kind</th><td>solid</td>',
        '<th scope="row">pathologies[0].center_mm</th><td>1, 2, 3</td>',
        "ab" * 32,
        "seed 7",
        '<th scope="row">compared with training images</th><td>not when this page was made; audit.json',
    ):
        assert words in written


def test_a_large_volume_is_thinned_out_evenly_and_keeps_its_lesion():
    data = made_up(slices=40, side=32)
    rng = np.random.default_rng(2)
    changed = data.result + rng.normal(0, 20, data.result.shape)
    changed[30:] = data.reference[30:]
    data = made_up(slices=40, side=32, reference=data.reference, result=changed, masks=data.masks)
    one = page._encoded_bytes(data, 10)
    shown = page.chosen_slices(data, budget_bytes=12 * one)
    assert {2, 3} <= set(shown)
    assert 10 <= len(shown) <= 14
    rest = np.array([k for k in shown if k not in (2, 3) and k < 30])
    assert np.diff(rest).max() <= 5
    assert (rest.min(), rest.max()) == (0, 29)
    assert page.chosen_slices(data, budget_bytes=1000 * one) == list(range(40))
    assert page.chosen_slices(data, budget_bytes=0) == [data.key_slice]


def test_the_page_says_how_many_slices_it_leaves_out(monkeypatch):
    monkeypatch.setattr(page, "chosen_slices", lambda data: [1, 2])
    assert "4 slices are not shown here" in page._filled(made_up())


# Presses buttons and keys, then reports what the canvases show as JSON in the title.
DRIVER = """<script>setTimeout(() => {
  const seen = {};
  const look = (name, id) => {
    const view = views.find((v) => v.id === id), c = view.canvas, pen = c.getContext("2d");
    const at = (x, y) => Array.from(pen.getImageData(c.width * x, c.height * y, 1, 1).data.slice(0, 3));
    seen[name] = [at(0.415, 0.415), at(0.7, 0.6), view.figure.hidden];
  };
  const press = (words) => [...document.querySelectorAll("button")].find((b) => b.textContent === words).click();
  const key = (k) => document.dispatchEvent(new KeyboardEvent("keydown", { key: k }));
  const later = (steps) => steps.length && (steps[0](), setTimeout(() => later(steps.slice(1)), 120));
  later([
    () => { look("result", "result"); look("difference hidden", "difference"); press("soft tissue"); },
    () => { look("soft", "result"); press("Difference"); },
    () => { look("difference", "difference"); key("ArrowUp"); key("ArrowUp"); },
    () => { seen.place = place.textContent; key("c"); key("1"); },
    () => { seen.window = state.window; seen.outline = state.outline; press("Zoom to lesion"); },
    () => { seen.zoom = state.zoom; seen.slice = data.slices[state.slice].k; document.title = JSON.stringify(seen); },
  ]);
}, 300)</script>"""


@pytest.mark.browser
def test_the_page_works_in_a_browser(tmp_path, needs_tool):
    chromium = needs_tool("chromium", "chromium")
    write_report(made_up(spacing_mm=(3, 3, 3)), tmp_path / "report.html")
    with (tmp_path / "report.html").open("a") as file:
        file.write(DRIVER)
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--virtual-time-budget=5000",
        "--dump-dom",
    ]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    out = subprocess.run(
        [chromium, *flags, profile, f"file://{tmp_path}/report.html"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    title = re.search(r"<title>(.*?)</title>", out.stdout, re.DOTALL).group(1)
    seen = json.loads(title.replace("&quot;", '"'))
    lesion, lung, _ = seen["result"]
    assert lesion == pytest.approx([round((30 + 1350) / 1500 * 255)] * 3, abs=4)
    assert lung[0] == lung[1] < 200
    assert seen["soft"][0] == pytest.approx([round((30 + 160) / 400 * 255)] * 3, abs=4)
    assert seen["soft"][1] == pytest.approx([0, 0, 0], abs=4)
    assert (seen["difference hidden"][2], seen["difference"][2]) == (True, False)
    red, _, blue = seen["difference"][0]
    assert red > 2 * blue  # more than the reference: orange
    assert seen["difference"][1] == [0, 0, 0]
    assert seen["place"] == "1 of 6"
    assert (seen["window"], seen["outline"]) == (0, False)
    # The lesion is 24 mm wide and gets a third of the 144 mm.
    assert seen["zoom"] == pytest.approx(2, abs=0.01)
    assert seen["slice"] in (2, 3)

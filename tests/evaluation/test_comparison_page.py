"""The page of five systems: its tables fit a window, and the search for near copies says what it can find."""

import re
import shutil

import numpy as np
import pytest

from medsynth import domains
from medsynth.evaluation.comparison_page import write_comparison_page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SYSTEMS = ("latent_diffusion", "text_to_image", "pggan", "stable_diffusion", "image_api")
CONTROLS = {
    "false_alarms": {"tried": 60, "found": 1},
    "detection": {"turned by 3 degrees": {"tried": 8, "found": 7}},
}


def test_near_copies_have_an_interval_and_the_search_its_controls(page):
    text = page.read_text()
    assert text.count("<b>0</b> of 40<br><i>0 … 9 %</i>") == len(SYSTEMS)
    assert "took 1 of 60 real images" in text
    assert "turned by 3 degrees: 7 of 8" in text


def test_every_system_has_a_column_and_every_figure_a_line(page):
    text = page.read_text()
    assert re.search("<th>latent_<wbr>diffusion</th><th>text_<wbr>to_<wbr>image</th>", text)
    line = re.search("<tr><th>AUC, full</th>(.*)</tr>", text)[1]
    assert line.count("<td><b>0.97</b><br><i>0.95 … 0.99</i></td>") == len(SYSTEMS) + 1


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 900])
def test_the_tables_do_not_run_off_the_edge(page, width):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    if CHROMIUM is None:
        pytest.skip("needs chromium (Debian package chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": width, "height": 900})
        shown.goto(page.as_uri())
        over = "[...document.querySelectorAll('section')].map(s => s.scrollWidth - s.clientWidth)"
        assert shown.evaluate(over) == [0, 0, 0]
        assert shown.evaluate("document.documentElement.scrollWidth") == width
        browser.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    figure = {"auc": 0.97, "interval": [0.95, 0.99], "auc_slice": 1.0, "interval_slice": [1.0, 1.0]}
    figures = {"two_sample": {"windows": {"full": figure | {"floor": figure}}}}
    near = {"near_copies": 0, "images": 40, "interval": [0.0, 0.0876], "controls": CONTROLS}
    system = {
        "license": "Images NIH (no restrictions; cite Wang et al. 2017); weights Apache-2.0 " * 2,
        "seconds_per_image": 1.234,
        "memory_mb": 1234.0,
        "pixels": 256,
        "figures": figures | {"memorization": near},
    }
    record = {
        "images_of_each": 40,
        "floor": "real images of other people",
        "systems": dict.fromkeys(SYSTEMS, system),
        "real": {"figures": figures},
    }
    parts = {name: np.zeros((12, 64, 64), np.float32) for name in (*SYSTEMS, "real, other people")}
    path = tmp_path_factory.mktemp("page") / "compare.html"
    write_comparison_page(path, record=record, parts=parts, preset=domains.get("chest_xray"))
    return path

"""The page needs trame-slicer (tests/web/requirements.txt); `sh tests/web/run.sh` makes an environment."""

import os
import shutil
from importlib.util import find_spec

import numpy as np
import pytest
import SimpleITK as sitk
from served_page import Served
from web_visitor import Visitor

if find_spec("trame_slicer") is None or find_spec("aiohttp") is None:
    # test_web_refusals.py stays and says why the others are not there.
    PAGE = (
        "walk",
        "sessions",
        "uploads",
        "results",
        "sending",
        "kills",
        "gallery",
        "batch",
        "findings",
    )
    collect_ignore = [f"test_web_{name}.py" for name in PAGE]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """`serve("--upload", 1)`: a server with these options; all end with the module."""
    started = []

    def start(*options):
        started.append(Served(tmp_path_factory.mktemp("web"), *options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def browser():
    """A real one, without a screen."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("needs chromium (Debian package chromium)")
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """Of who runs the server: its saved lesions."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def server(tmp_path_factory, home):
    """One for all tests that a browser is enough for; each visitor has a session of its own."""
    environment = {**os.environ, "MEDSYNTH_HOME": str(home)}
    options = ("--threads", 1, "--sessions", 8, "--gone-minutes", 0.5)
    started = Served(tmp_path_factory.mktemp("web"), *options, environment=environment)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def visit(browser):
    """`visit(server)`: a visitor; all leave with the module."""
    came = []

    def come(server, size=(1366, 768)):
        came.append(Visitor(browser, server, size))
        return came[-1]

    yield come
    for visitor in came:
        visitor.leave()


@pytest.fixture(scope="session")
def chest(tmp_path_factory):
    """A small chest CT as NRRD: body, two lungs, vessels; 14 slices of 96 x 96."""
    k, j, i = np.indices((14, 96, 96))
    body = ((i - 48) / 44) ** 2 + ((j - 48) / 34) ** 2 < 1
    lungs = ((np.abs(i - 48) - 20) / 15) ** 2 + ((j - 48) / 24) ** 2 < 1
    vessels = lungs & (np.hypot((i % 12) - 6, (j % 14) - 7) < 1.6)
    values = np.where(body, 40, -1000)
    values = np.where(lungs, -850, values)
    values = np.where(vessels, 20, values) + 3 * k
    image = sitk.GetImageFromArray(values.astype(np.int16))
    image.SetSpacing((3.2, 3.2, 5.0))
    image.SetOrigin((-150.0, -150.0, -30.0))
    path = tmp_path_factory.mktemp("chest") / "chest.nrrd"
    sitk.WriteImage(image, str(path))
    return path

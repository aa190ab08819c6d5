"""The pictures of docs/web.md: `PYTHONPATH=$PWD:$PWD/tests/helpers python tests/web/pictures.py`, about two minutes on a quiet machine.

The phantom is drawn here, the run has the full number of steps.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from served_page import Served

OUT = Path(__file__).resolve().parents[2] / "docs" / "pictures"
GRID = ["--slices", "14", "--spacing", "0.74", "0.74", "3", "--size", "448", "448"]
PHANTOM = ["phantom", "--preset", "lung_ct", "--seed", "11", *GRID]
ADD = [
    "pacs",
    "add",
    "TeachingFiles",
    "--host",
    "pacs.example.org",
    "--port",
    "104",
    "--aet",
    "TEACH",
]
PLACE = 0.30, 0.41  # of the axial view: in the right lung
SECONDS = 600_000


def settled(page):
    """A screenshot of a page that has come to rest."""
    before = b""
    while (after := page.screenshot()) != before:
        before = after
        page.wait_for_timeout(2000)
    return after


def take(page, name):
    """A screenshot as a small PNG."""
    picture = Image.open(BytesIO(settled(page))).convert("RGB").quantize(128)
    picture.save(OUT / f"web_{name}.png", optimize=True)


def said(page, words):
    """Wait until the page says this."""
    page.wait_for_function(
        "words => document.querySelector('.said')?.innerText.includes(words)", arg=words
    )


def show_preview(page, image):
    """Open the image, and see what the factor keeps."""
    page.set_input_files("#pick-files", str(image))
    said(page, "The image is open")
    page.click(".no-findings input")
    views = page.locator(".views")
    settled(page)
    plain = views.screenshot()
    page.click(".preview input")
    while views.screenshot() == plain:
        page.wait_for_timeout(200)
    take(page, "preview")
    page.click(".preview input")


def walk(page, image):
    """The job of docs/web.md."""
    show_preview(page, image)
    page.click(".add")
    page.wait_for_selector(".lesion")
    page.click(".lesion .gallery-button")
    page.wait_for_function(
        "() => { const all = window.trame.state.get('kind_cards') || []; "
        "return all.length > 0 && all.every((card) => card.picture); }"
    )
    take(page, "gallery")
    page.click(".kind-card:has-text('Spiculated')")
    page.wait_for_timeout(1000)
    page.click(".lesion .click")
    page.wait_for_selector(".lesion .done")
    box = page.locator(".views").bounding_box()
    at = (
        box["x"] + PLACE[0] * 0.66 * box["width"],
        box["y"] + PLACE[1] * box["height"],
    )
    page.mouse.move(*at)
    page.wait_for_timeout(500)
    page.mouse.click(*at, delay=80)
    page.wait_for_selector("text=Placed by a click.")
    take(page, "placed")
    page.click(".run")
    said(page, "Done: 1 synthetic image")
    page.locator(".result").scroll_into_view_if_needed()
    take(page, "result")
    page.keyboard.press("s")
    page.wait_for_selector(".sides")
    page.wait_for_timeout(3000)
    take(page, "beside")
    page.click(".result .send")
    page.wait_for_selector(".agreed")
    take(page, "send")


def main():
    """Draw, serve, walk."""
    folder = Path(tempfile.mkdtemp())
    image = folder / "phantom.nrrd"
    subprocess.run([sys.executable, "-m", "medsynth", *PHANTOM, "-o", str(image)], check=True)
    home = folder / "home"
    environment = {**os.environ, "MEDSYNTH_HOME": str(home)}
    subprocess.run([sys.executable, "-m", "medsynth", *ADD], check=True, env=environment)
    server = Served(folder, environment=environment)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.set_default_timeout(SECONDS)
        page.goto(server.link)
        page.wait_for_selector(".sections")
        walk(page, image)
    server.stop()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()

"""The page in a real browser: what a visitor does, and what the pixels of the views then show."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from served_page import until

SECONDS = 600_000
STILL_MS = 1000  # a view that rests is drawn once more, in full quality, after 500 ms
PICTURES = Path(__file__).parents[1] / "web" / "screenshots"


class Visitor:
    """One browser with the page open; nothing may fail in it, and nothing comes from elsewhere."""

    def __init__(self, browser, server, size=(1366, 768)):
        context = browser.new_context(viewport=dict(zip(("width", "height"), size, strict=True)))
        context.set_default_timeout(SECONDS)
        self.page, self.errors, self.elsewhere = context.new_page(), [], []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._seen)
        self.server = server
        self.page.goto(server.link)
        self.page.wait_for_selector(".sections")

    def leave(self):
        """Close the page; its session ends."""
        self.page.context.close()

    def _seen(self, request):
        if not request.url.startswith((self.server.address, "blob:", "data:")):
            self.elsewhere.append(request.url)

    def said(self, words):
        """Wait until the page says this."""
        self.page.wait_for_function(
            "words => document.querySelector('.said')?.innerText.includes(words)", arg=words
        )

    def sayings(self):
        """From now on; gives a function that gives all that the page said since."""
        self.page.evaluate(
            """() => {
                window.sayings = [];
                new MutationObserver(() => window.sayings.push(document.querySelector('.said')?.innerText ?? ''))
                    .observe(document.querySelector('.status'), {childList: true, subtree: true, characterData: true});
            }"""
        )
        return lambda: self.page.evaluate("window.sayings")

    def state(self, name):
        """What the session says of itself."""
        return self.page.evaluate("name => window.trame.state.get(name)", name)

    def until(self, name, holds):
        """Wait until what it says of `name` fulfils this; gives it."""
        return until(lambda: (found := self.state(name)) is not None and holds(found) and [found])[
            0
        ]

    def open(self, path):
        self.page.set_input_files("#pick-files", str(path))
        self.said("The image is open")
        self.settle()

    def axial(self):
        """The pixels (rows, columns) of the axial view, as gray values."""
        box = self._axial_box()
        picture = Image.open(io.BytesIO(self.page.screenshot(clip=box))).convert("RGB")
        return np.asarray(picture).astype(int)

    def _axial_box(self):
        box = self.page.locator(".views").bounding_box()
        # Less its lowest rows, where the page writes over it.
        return {**box, "width": box["width"] * 0.64, "height": box["height"] - 40}

    def settle(self):
        """Wait until two pictures in a row are the same; gives the last."""
        before = self.axial()
        while True:
            self.page.wait_for_timeout(STILL_MS)
            after = self.axial()
            if np.array_equal(before, after):
                return after
            before = after

    def changed(self, before):
        """Wait until the picture is another one, and stays it."""
        until(lambda: differ(self.axial(), before))
        return self.settle()

    def back_to(self, before):
        """Wait until the picture is the one before again."""
        until(lambda: not differ(self.axial(), before))

    def at(self, right, down):
        """Where on the page these shares of the axial view's width and height are."""
        box = self._axial_box()
        return box["x"] + right * box["width"], box["y"] + down * box["height"]

    def drag(self, start, end, button="left"):
        """From one place of the axial view to another."""
        self.page.mouse.move(*self.at(*start))
        self.page.wait_for_timeout(400)
        self.page.mouse.down(button=button)
        self.page.wait_for_timeout(200)
        self.page.mouse.move(*self.at(*end), steps=6)
        self.page.wait_for_timeout(400)
        self.page.mouse.up(button=button)
        self.page.wait_for_timeout(600)

    @staticmethod
    def is_marked(picture, right, down):
        """Whether something is drawn in color at these shares of the picture's width and height."""
        rows, columns = picture.shape[:2]
        j, i = round(down * rows), round(right * columns)
        return marked(picture[j - 5 : j + 6, i - 5 : i + 6]).any()

    def click(self, right, down):
        """Into the axial view, at these shares of its width and height."""
        x, y = self.at(right, down)
        self.page.mouse.move(x - 3, y)
        self.page.mouse.move(x, y)
        self.page.wait_for_timeout(400)
        self.page.mouse.click(x, y, delay=80)
        self.page.wait_for_timeout(800)

    def draft(self):
        """Two network calls for each slice."""
        self.page.click(".quality")
        self.page.click(".v-list-item:has-text('Draft')")
        self.page.wait_for_selector("text=2 network calls")

    def lesion_at(self, right, down):
        """A nodule, placed by a click."""
        self.page.click(".add")
        self.page.wait_for_selector(".lesion")
        self.page.click(".lesion .click")
        self.page.wait_for_selector(".lesion .done")
        self.click(right, down)
        self.page.wait_for_selector("text=Placed by a click.")

    def download(self, kind):
        with self.page.expect_download() as found:
            self.page.click(f".get-{kind}")
        return self.archive(found.value)

    @staticmethod
    def archive(download):
        """What was downloaded."""
        return zipfile.ZipFile(download.path())

    def halves(self):
        """The pixels of two views beside each other, without what the page writes over them."""
        box = self.page.locator(".views").bounding_box()
        box = {**box, "y": box["y"] + 40, "height": box["height"] - 80}
        picture = Image.open(io.BytesIO(self.page.screenshot(clip=box))).convert("RGB")
        pixels = np.asarray(picture).astype(int)
        half = pixels.shape[1] // 2
        return pixels[:, 4 : half - 4], pixels[:, half + 4 : 2 * half - 4]

    def settle_halves(self):
        """Wait until both stay as they are; gives them."""
        before = self.halves()
        while True:
            self.page.wait_for_timeout(STILL_MS)
            after = self.halves()
            if all(map(np.array_equal, before, after)):
                return after
            before = after

    def same_halves(self):
        """Wait until both show the same, and stay so; gives the left one."""
        self.until_halves(lambda left, right: not differ(left, right))
        left, right = self.settle_halves()
        assert not differ(left, right)
        return left

    def until_halves(self, holds):
        """Wait until the two fulfil this."""
        until(lambda: holds(*self.halves()))

    def picture(self, name):
        PICTURES.mkdir(exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png")


def differ(a, b):
    return np.abs(a - b).max() > 12


def roughness(picture):
    """The energy of its finest detail along rows."""
    return np.square(np.diff(picture[..., 0], axis=1)).mean()


def marked(picture):
    """Where something is drawn in color."""
    return np.ptp(picture, axis=-1) > 60


def center(picture):
    """Where what is drawn in color is, as shares of the picture's width and height."""
    rows, columns = np.nonzero(marked(picture))
    return columns.mean() / picture.shape[1], rows.mean() / picture.shape[0]

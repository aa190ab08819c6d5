"""How long a visitor of `medsynth web` waits: for the page, an image, the first preview, a click.

PYTHONPATH=$PWD:$PWD/tests/helpers .venvweb/bin/python benchmarks/page_times.py IMAGE      or the folder of a series

Times by the clock mean something on a quiet machine only; beside them the CPU time of server, sessions and browser.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright
from served_page import Served, until
from web_visitor import Visitor, differ

SIZES = ((1366, 768), (1920, 1080))


def cpu():
    """CPU seconds of this process and of all that it started, also of what has ended since."""
    ours = psutil.Process()
    return sum(sum(p.cpu_times()[:4]) for p in (ours, *ours.children(recursive=True)))


class Watch:
    """Prints what a step took."""

    def __enter__(self):
        self.clock, self.used = time.monotonic(), cpu()
        return self

    def __exit__(self, *_):
        self.took = time.monotonic() - self.clock, cpu() - self.used

    def say(self, what):
        print(f"  {what:28} {self.took[0]:6.2f} s   CPU {self.took[1]:6.2f} s", flush=True)


def visit(browser, server, image, size):
    """One visitor, from the link to a placed lesion."""
    print(f"{size[0]} x {size[1]}")
    with Watch() as watch:
        visitor = Visitor(browser, server, size)
    watch.say("page usable")
    page = visitor.page
    empty = visitor.axial()
    with Watch() as watch:
        files = sorted(image.rglob("*.dcm")) if image.is_dir() else [image]
        page.set_input_files("#pick-files", [str(file) for file in files])
        visitor.said("The image is open")
        until(lambda: differ(visitor.axial(), empty))
    watch.say(f"{image.name} open")
    plain = visitor.settle()
    for number in ("first", "second"):
        with Watch() as watch:
            page.click(".preview input")
            until(lambda: differ(visitor.axial(), plain))
        watch.say(f"{number} preview")
        page.click(".preview input")
        visitor.back_to(plain)
    with Watch() as watch:
        page.mouse.move(*visitor.at(0.5, 0.5))
        page.mouse.wheel(0, 100)
        until(lambda: differ(visitor.axial(), plain))
    watch.say("next slice")
    visitor.leave()


def main():
    """Serve, visit at both sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path)
    image = parser.parse_args().image
    folder = Path(tempfile.mkdtemp())
    server = Served(folder, "--threads", 1)
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for visited, size in enumerate(SIZES):
            # Those of earlier visitors are there for some minutes; the one that is kept ready listens when it is.
            until(lambda n=visited: sum(bool(p.net_connections()) for p in server.sessions()) > n)
            time.sleep(2)
            visit(browser, server, image, size)
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

"""A queue of images with their lesions, which is downloaded as the plan of a data set."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

import medsynth.scene.vocabulary as words
from medsynth.factory.parse import parse
from medsynth.scene import batch
from medsynth.storage.files import replace_text

if TYPE_CHECKING:
    from medsynth.web.desk import Desk

PLAN, HOW = "plan.yaml", "README.txt"
README = """Unpack this folder, then:

  medsynth dataset plan.yaml -o set --dry-run     how long, how large
  medsynth dataset plan.yaml -o set               all of it; the same command goes on with a set that was stopped

The images in it are those that were open on the page: treat them as you treat the originals.
"""


class ImageQueue:
    """What a visitor does under 5 Data set; the queue outlives the image that is open.

    Args:
        desk: the session's.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk, self.state = desk, desk.state
        self.folder = desk.folder / "batch"
        self.queue: dict[int, batch.Queued] = {}
        self.count = 0
        self.state.update({"queue": [], "queue_images": 10})

    def add(self) -> None:
        """The image that is open, with its lesions."""
        desk = self.desk
        self.folder.mkdir(mode=0o700, exist_ok=True)
        number, images = self.count + 1, int(self.state.queue_images or 0)
        try:
            entry = batch.queued(
                *(desk.settings, desk.lesions.all, self.folder),
                number=number,
                images=images,
                source=desk.anatomy.source,
            )
            batch.plan_of_queue([*self.queue.values(), entry], seed=0)  # may refuse it
        except BaseException:
            self._remove_files(number)
            raise
        self.count = number
        self.queue[number] = entry
        self._list()
        desk.say("Added. Open another image, or download the plan.")

    def remove(self, number: int) -> None:
        """Take an image out of the queue."""
        if self.queue.pop(number, None) is not None:
            self._remove_files(number)
            self._list()

    def write(self) -> Path:
        """The folder of the plan and its images, ready to be packed.

        Raises:
            ValueError: the queue is empty, or the plan could not be made a set of.
        """
        made = batch.plan_of_queue([*self.queue.values()], seed=int(self.state.seed or 0))
        parse(made, self.folder)
        replace_text(self.folder / PLAN, yaml.safe_dump(made, sort_keys=False))
        replace_text(self.folder / HOW, README)
        return self.folder

    def _remove_files(self, number: int) -> None:
        for path in self.folder.glob(f"*_{number:02d}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _list(self) -> None:
        self.state.queue = [
            {"number": number, "name": entry.name, "what": _what(entry)}
            for number, entry in self.queue.items()
        ]


def _what(entry: batch.Queued) -> str:
    lesions = [f"{words.KIND_TITLES[kind]} {size:.0f} mm" for kind, size, _ in entry.lesions]
    return f"{entry.images} x {', '.join(lesions) or 'no lesion'}"

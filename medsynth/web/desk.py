"""One session: what the page says goes into the scene, what is in the scene goes into the page.

`state` is what the browser shows; every method without an underscore is something a user does.
"""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import medsynth.scene.vocabulary as words
from medsynth.scene import checks, nodes
from medsynth.scene.history import History
from medsynth.scene.settings import Settings
from medsynth.serve.jobs import JobLimits, ServedJob
from medsynth.web.anatomy import AnatomyPart
from medsynth.web.batch import ImageQueue
from medsynth.web.existing import ExistingPart
from medsynth.web.gallery import LesionCards
from medsynth.web.lesions import BRUSH, Lesions
from medsynth.web.runs import Runs
from medsynth.web.sending import Sending
from medsynth.web.shelf import Shelf
from medsynth.web.viewer import Viewer

MOST_NOTES = 8
SLIDERS = ("size of", "factor of")  # steps that a slider makes in many


class Desk:
    """The session's own.

    Args:
        state: of the trame server.
        folder: the session's; it is gone when the session ends.
        own: whether what belongs to who runs the server is offered: destinations, saved lesions.
    """

    def __init__(
        self,
        state: Any,
        viewer: Viewer,
        folder: Path,
        *,
        limits: JobLimits,
        threads: int | None,
        own: bool,
    ) -> None:
        self.state, self.viewer, self.folder = state, viewer, folder
        self.count = 0
        self.settings = Settings()
        state.update({"status": "", "failed": False, "warnings": [], "why_not": ""})
        self.lesions = Lesions(viewer, self._changed)
        self.runs = Runs(self, limits, threads)
        self.anatomy = AnatomyPart(self)
        self.shelf = Shelf(
            *(state, viewer, self.lesions),
            reference=lambda: self.settings.reference,
            make_room=lambda: self.anatomy.show_preview(False),
        )
        self.sending = Sending(self, own)
        self.gallery = LesionCards(self, own)
        self.batch = ImageQueue(self)
        self.existing = ExistingPart(self)
        self.history = History(self._snapshot, self._restore)
        viewer.on_release = self._released
        self.anatomy.set_preset()
        self.refresh()

    @property
    def preset(self) -> Any:
        """The domain that is chosen."""
        return words.PRESETS[self.settings.preset]

    # What the page says

    def say(self, text: str) -> None:
        """Show a line."""
        self.state.status, self.state.failed = text, False

    def note(self, warnings: Iterable[str]) -> None:
        """Show these under the line."""
        said = (self.without_folders(str(warning)) for warning in warnings)
        self.state.warnings = [*dict.fromkeys(said)][:MOST_NOTES]

    def fail(self, reason: str) -> None:
        """Show why something did not work."""
        self.state.status, self.state.failed = reason, True

    def without_folders(self, text: str) -> str:
        """`text` without the server's own folders."""
        work = re.sub(rf"{re.escape(str(self.folder))}/(work_\d+|upload_\w+)/?", "", text)
        return ServedJob("", self.folder).without_folders(work)

    def refresh(self, *_: Any) -> None:
        """Bring the page up to date with the scene."""
        state, settings = self.state, self.settings
        state.lesions = [
            {**each, "picture": self.gallery.picture_of(lesion)}
            for each, lesion in zip(
                self.lesions.public(settings, self.preset), self.lesions.all, strict=True
            )
        ]
        state.placing = self.lesions.how
        reason = "" if settings.reference else "Open an image, or draw a phantom."
        state.why_not = reason or checks.why_not(settings, self.lesions.all)
        state.undoes, state.redoes = self.history.undoes, self.history.redoes
        self.anatomy.refresh()
        self.existing.refresh()

    def _changed(self, title: str) -> None:
        """Something was done by the mouse in a view or by a control; without a title, only half of it."""
        if title and self.runs.job is None:
            self.step(title, merge=title.startswith(SLIDERS))
        self.refresh()
        self.state.flush()

    def _released(self) -> None:
        """A mark may have been dragged, or a stroke painted."""
        self._changed("stroke of the brush" if self.lesions.how == BRUSH else "move of a mark")

    # Back and forth

    def step(self, title: str, *, merge: bool = False) -> None:
        """Something was done that can be undone."""
        self.history.commit(title, merge=merge)
        self._sweep()

    def forget_steps(self) -> None:
        """What was done before can no longer be undone."""
        self.history.clear()
        self._sweep()

    def _sweep(self) -> None:
        held = list(self.history.reachable())
        self.lesions.sweep(lesions for lesions, _ in held)
        self.shelf.sweep(results for _, results in held)

    def _snapshot(self) -> tuple[Any, Any]:
        return self.lesions.snapshot(), self.shelf.snapshot()

    def _restore(self, found: tuple[Any, Any]) -> None:
        lesions, results = found
        if lesions != self.history.now[0]:
            self.shelf.back()
            self.lesions.restore(lesions)
        self.shelf.restore(results)

    def undo(self) -> None:
        """Take the last step back."""
        self._go(self.history.undo, "Undone", self.history.undoes)

    def redo(self) -> None:
        """Make the step again that was taken back last."""
        self._go(self.history.redo, "Done again", self.history.redoes)

    def _go(self, way: Callable[[], None], verb: str, title: str) -> None:
        if self.runs.job is None and title:
            self.lesions.done()
            way()
            self.viewer.render()
            self.say(f"{verb}: {title}.")

    # Lesions

    def add_lesion(self) -> None:
        """One more."""
        if self.runs.job is None:
            self.lesions.add(self.preset)

    def remove_lesion(self, index: int) -> None:
        """One less."""
        if self._is_free(index):
            self.lesions.remove(index)

    def set_lesion(self, index: int, key: str, value: Any) -> None:
        """Its kind, diameter or factor."""
        if self._is_free(index):
            self.lesions.set(index, key, value)

    def done(self) -> None:
        """Placing and painting are over."""
        self.existing.done()
        self.lesions.done()

    def place_lesion(self, index: int, how: str) -> None:
        """Mark its place in the views."""
        reference = self.anatomy.reference
        if self._is_free(index):
            self.shelf.back()
            self.lesions.place(index, how, reference)

    async def suggest_place(self, index: int) -> None:
        """Put it where such a lesion makes sense."""
        reference = self.anatomy.reference
        if not self._is_free(index):
            return
        folder = self.new_folder()
        image = self.anatomy.source or nodes.write_volume(reference, folder / "reference.nrrd")
        out, lesion = folder / "place.json", self.lesions.all[index]
        command = ["medsynth.web.suggesting", str(image), self.preset.name, str(lesion.diameter)]
        command += [str(random.SystemRandom().randrange(1 << 30)), str(out)]
        await self.runs.helper("Looking for a place", command)
        x, y, z = json.loads(out.read_text())
        shutil.rmtree(folder)
        self.shelf.back()
        self.lesions.put(index, (-x, -y, z))
        self.viewer.jump((-x, -y, z))

    def _is_free(self, index: int) -> bool:
        """Whether there is such a lesion, and nothing runs that it belongs to."""
        return self.runs.job is None and 0 <= index < len(self.lesions.all)

    # Results

    def keep_result(self, number: int, kept: bool) -> None:
        """Mark a result as one to keep, or take that back."""
        self.shelf.keep(number, kept)
        self.step("keep" if kept else "keep no more")

    def rename_result(self, number: int, name: str) -> None:
        """Give a result another name."""
        self.shelf.set_name(number, name)
        self.step("name of a result")

    def discard_result(self, number: int) -> None:
        """Take a result from the list; a step back brings it again."""
        if number in self.shelf.results:
            title = f"discard {self.shelf.results[number].name}"
            self.shelf.discard(number)
            self.step(title)

    def discard_others(self) -> None:
        """Take all from the list that are not kept."""
        for number, entry in list(self.shelf.results.items()):
            if not entry.kept:
                self.shelf.discard(number)
        self.step("discard all that are not kept")

    def key(self, name: str) -> None:
        """A key that was pressed anywhere but in a field."""
        shelf, shown = self.shelf, self.shelf.shown
        acts: dict[str, Callable[[], None]] = {
            "Escape": self.done,
            "undo": self.undo,
            "redo": self.redo,
            "n": lambda: shelf.next(1),
            "p": lambda: shelf.next(-1),
        }
        if shown is not None:
            acts |= {
                "b": shelf.blink,
                "m": lambda: shelf.outline(not self.state.outlines),
                "s": lambda: shelf.set_beside(not self.state.beside),
                "k": lambda: self.keep_result(shown, not shelf.results[shown].kept),
                "x": lambda: self.discard_result(shown),
            }
        if name in acts:
            acts[name]()

    def new_folder(self) -> Path:
        """An empty one of the session."""
        self.count += 1
        folder = self.folder / f"work_{self.count:04d}"
        folder.mkdir(mode=0o700)
        return folder

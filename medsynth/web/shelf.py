"""The results of one session: their list, what the views show of them, and how they are compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import medsynth.scene.vocabulary as words
from medsynth.scene import comparison, nodes, results
from medsynth.serve.jobs import ServedJob
from medsynth.web import compare, thumbnails

LONGEST_NAME = 60
# Number, name, kept: what can be undone of a result.
Listed = tuple[int, str, bool]


@dataclass
class ShelvedResult:
    """One result; `seal` as in `medsynth.web.leaving`."""

    job: ServedJob
    volume: Any
    name: str
    what: str
    picture: str
    seal: dict[str, str]
    kept: bool = False
    sent: str = ""


class Shelf:
    """They are numbered as they come, from 1.

    Args:
        state: of the trame server.
        lesions: their marks are hidden while a result is shown.
        reference: gives what the results are compared with.
        make_room: called before a result is shown.
    """

    def __init__(
        self,
        state: Any,
        viewer: Any,
        lesions: Any,
        *,
        reference: Callable[[], Any],
        make_room: Callable[[], None],
    ) -> None:
        self.state, self.viewer, self.lesions = state, viewer, lesions
        self.reference, self.make_room = reference, make_room
        self.overlay = compare.Overlay(viewer)
        self.results: dict[int, ShelvedResult] = {}
        self.discarded: dict[int, ShelvedResult] = {}  # a step back brings them again
        self.shown: int | None = None
        self.count = 0
        state.update({"results": [], "shown": 0, "differs": False, "outlines": True})
        state.update({"compare": comparison.SYNTHETIC, "fade": 0.5, "beside": False})

    @property
    def volumes(self) -> list[Any]:
        """All that lie in the scene."""
        return [entry.volume for entry in (*self.results.values(), *self.discarded.values())]

    def entry(self, number: int) -> ShelvedResult:
        """A result of the list.

        Raises:
            ValueError: it is not there.
        """
        if number not in self.results:
            raise ValueError("There is no such result; it may have been discarded.")
        return self.results[number]

    def add(self, job: ServedJob, seal: dict[str, str]) -> int:
        """A result that was just made, with what its files were then; gives its number."""
        assert job.request is not None
        asked = json.loads(job.request.read_text(encoding="utf-8"))
        volume, _ = results.add_result(job.out, self.reference(), words.PRESETS[asked["preset"]])
        self.count += 1
        name = f"Seed {asked['seed']}"
        picture = thumbnails.of(volume)
        self.results[self.count] = ShelvedResult(job, volume, name, _what(asked), picture, seal)
        self.list()
        return self.count

    def list(self) -> None:
        """Show them."""
        self.state.results = [
            {
                **{"number": number, "name": entry.name, "what": entry.what},
                **{"picture": entry.picture, "kept": entry.kept, "sent": entry.sent},
            }
            for number, entry in sorted(self.results.items())
        ]

    def keep(self, number: int, kept: bool) -> None:
        """Mark it as one to keep."""
        self.entry(number).kept = bool(kept)
        self.list()

    def set_name(self, number: int, name: str) -> None:
        """Give it a name.

        Raises:
            ValueError: no name.
        """
        entry, plain = self.entry(number), " ".join(str(name).split())
        self.list()  # what was typed and is refused goes
        if not plain or not plain.isprintable() or len(plain) > LONGEST_NAME:
            raise ValueError(f"a name is 1 to {LONGEST_NAME} characters long")
        entry.name = plain
        self.list()

    def say_sent(self, number: int, text: str) -> None:
        """Where it was sent to, and what became of it."""
        if number in self.results:
            self.results[number].sent = text
            self.list()

    def show(self, number: int) -> None:
        """A result in the views, at its lesion."""
        if number not in self.results:
            return
        self.make_room()
        self.lesions.show_marks(False)
        first, self.shown = self.shown is None, number
        self.state.shown = number
        volume = self.results[number].volume
        if first and self.state.beside:
            self.viewer.set_beside(True)
        place = results.first_lesion(results.lesions_of(volume))
        if place is not None:
            self.viewer.jump(place)
        self.state.differs = comparison.possible(self.reference(), volume)
        self.compare(comparison.SYNTHETIC)
        self.outline(True)

    def next(self, way: int) -> None:
        """The result after (1) or before (-1) the one that is shown; from the last to the first."""
        numbers = sorted(self.results)
        if numbers:
            now = numbers.index(self.shown) if self.shown in numbers else (-1 if way > 0 else 0)
            self.show(numbers[(now + way) % len(numbers)])

    def compare(self, mode: str, fade: float | None = None) -> None:
        """Synthetic, the reference, one fading into the other, or their difference."""
        if self.shown is None or (mode == comparison.DIFFERENCE and not self.state.differs):
            return
        self.state.compare = mode
        self.state.fade = self.state.fade if fade is None else min(max(float(fade), 0), 1)
        volume = self.results[self.shown].volume
        self.overlay.show(self.reference(), volume, mode, self.state.fade)
        if self.state.beside:
            self.viewer.layer_left(self.reference())
        self.viewer.render()

    def set_beside(self, beside: bool) -> None:
        """The reference at the left and what is compared at the right, at one place and zoom; or all planes."""
        if self.shown is not None:
            self.state.beside = bool(beside)
            self.viewer.set_beside(self.state.beside)
            self.compare(self.state.compare)

    def blink(self) -> None:
        """From synthetic to the reference, and back."""
        real = self.state.compare == comparison.REAL
        self.compare(comparison.SYNTHETIC if real else comparison.REAL)

    def outline(self, shown: bool) -> None:
        """The outlines of the lesions."""
        self.state.outlines = bool(shown)
        volume = self.results[self.shown].volume if self.shown is not None and shown else None
        self.overlay.outline(volume)

    def back(self) -> None:
        """Back to the reference, with its marks."""
        if self.shown is not None:
            self.shown, self.state.shown = None, 0
            self.viewer.set_beside(False)
            self.viewer.layer(self.reference(), None, 0)
            self.overlay.outline(None)
            self.lesions.show_marks(True)
            self.viewer.render()

    def discard(self, number: int) -> None:
        """Take a result from the list; its files stay until no step back can bring it again."""
        entry = self.entry(number)
        if self.shown == number:
            self.back()
        del self.results[number]
        self.discarded[number] = entry
        self.list()

    def snapshot(self) -> tuple[Listed, ...]:
        """The list as it is now."""
        return tuple((number, one.name, one.kept) for number, one in sorted(self.results.items()))

    def restore(self, listed: tuple[Listed, ...]) -> None:
        """Bring the list back as it was; a result that comes back is shown."""
        wanted = {number for number, _, _ in listed}
        for number in set(self.results) - wanted:
            self.discard(number)
        returned = wanted - set(self.results)
        for number, name, kept in listed:
            lies_in = self.discarded if number in self.discarded else self.results
            entry = self.results[number] = lies_in.pop(number)
            entry.name, entry.kept = name, kept
        self.list()
        if returned:
            self.show(min(returned))

    def sweep(self, held: Iterable[tuple[Listed, ...]]) -> None:
        """Throw away, with their files, the discarded ones that none of these snapshots holds."""
        numbers = {number for listed in held for number, _, _ in listed}
        for number in set(self.discarded) - numbers:
            self._remove(self.discarded.pop(number))

    def _remove(self, entry: ShelvedResult) -> None:
        self.overlay.forget()
        for node in (*results.segmentations_of(entry.volume), entry.volume):
            nodes.remove(node)
        shutil.rmtree(entry.job.folder, ignore_errors=True)

    def clear(self) -> None:
        """Throw all away."""
        for number in list(self.results):
            self.discard(number)
        self.sweep([])


def _what(asked: dict[str, Any]) -> str:
    """The kinds of lesion that a request asks for, in words."""
    sources = [lesion["source"] for lesion in asked["pathologies"]]
    kinds = [words.KIND_TITLES[s["procedural"]["kind"]] for s in sources if "procedural" in s]
    kinds += [_saved(source) for source in sources if "procedural" not in source]
    return ", ".join(dict.fromkeys(kinds)) or "No lesion"


def _saved(source: dict[str, Any]) -> str:
    return source.get("saved") or Path(source["image"]).parent.name

"""The pathologies of one session: what each is, and the mark in the scene that says where it goes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import medsynth.scene.vocabulary as words
from medsynth.scene import checks, marks, nodes
from medsynth.scene.given import slicer
from medsynth.scene.mark_content import MarkContent
from medsynth.scene.settings import MarkedLesion
from medsynth.scene.size_outline import COLOR, SizeOutline
from medsynth.storage.saved_lesions import SavedLesion

# A lesion without its mark, and what its mark holds (None: no place yet).
Kept = tuple[MarkedLesion, MarkContent | None]

CLICK, BOX, CURVE, BRUSH = "click", "box", "curve", "brush"
CLASSES = {CLICK: "vtkMRMLMarkupsFiducialNode", BOX: "vtkMRMLMarkupsROINode"}
CLASSES |= {CURVE: "vtkMRMLMarkupsClosedCurveNode", BRUSH: "vtkMRMLSegmentationNode"}
NOUNS = {CLICK: "center", BOX: "box", CURVE: "curve", BRUSH: "region"}
PLACED = {CLICK: "Placed by a click.", BOX: "Placed by a box.", BRUSH: "Painted."}
PLACED[CURVE] = "Placed by a curve; as deep as its size."
INSTRUCTIONS = {
    CLICK: "Click into an image: the lesion's center. Esc gives it up.",
    BOX: "Click twice into an image: the corners of a box. Esc gives it up.",
    CURVE: "Click around the place in one slice, at least three times. Then press Done.",
    BRUSH: "Paint with the left mouse button. Press Done when it is finished.",
}
NOWHERE = "No place yet."


class Lesions:
    """They are numbered in their order, from 1.

    Args:
        viewer: takes the clicks.
        on_change: called when one of them, or its place, has changed, with what was done.
    """

    def __init__(self, viewer: Any, on_change: Callable[[str], None]) -> None:
        self.viewer, self.on_change = viewer, on_change
        self.all: list[MarkedLesion] = []
        self.made: list[
            Any
        ] = []  # every mark, also those that only an undone step would show again
        self.contents: dict[
            int, MarkContent
        ] = {}  # of the last snapshot, by the address of the mark
        self.size = SizeOutline()
        self.busy: int | None = None  # which of them is being placed
        self.how = ""
        self.fresh: Any = None  # the mark that is being placed

    def add(self, preset: Any) -> None:
        """One more, of the preset's first kind."""
        self.viewer.stop()
        self.all.append(MarkedLesion.of(preset))
        self.on_change(f"add pathology {len(self.all)}")

    def remove(self, index: int) -> None:
        """Take one away, with its mark; the others are numbered anew."""
        self.viewer.stop()
        _hide(self.all.pop(index).where)
        self._number()
        self.size.remove()
        self.on_change(f"remove pathology {index + 1}")

    def _number(self) -> None:
        for number, lesion in enumerate(self.all, start=1):
            marks.renumber(lesion.where, number)

    def clear(self) -> None:
        """Take all away, for good."""
        self.viewer.stop()
        self.all, self.contents = [], {}
        self.size.remove()
        self.sweep([])
        self.on_change("")

    def snapshot(self) -> tuple[Kept, ...]:
        """All of them as they are now; what did not change since the last one is not copied again."""
        kept: list[Kept] = []
        contents: dict[int, MarkContent] = {}
        for lesion in self.all:
            content = None
            if lesion.where is not None and slicer.mrmlScene.IsNodePresent(lesion.where):
                content = MarkContent.of(lesion.where, self.contents.get(id(lesion.where)))
                contents[id(lesion.where)] = content
            kept.append((copy.copy(lesion), content))
        self.contents = contents
        return tuple(kept)

    def restore(self, kept: tuple[Kept, ...]) -> None:
        """Bring back what a snapshot holds."""
        self.done()
        for lesion in self.all:
            _hide(lesion.where)
        self.all = [copy.copy(lesion) for lesion, _ in kept]
        for lesion, content in kept:
            if content is not None:
                content.restore()
                marks.set_visible(lesion.where, True)
        self._number()
        self.size.remove()

    def sweep(self, kept: Iterable[tuple[Kept, ...]]) -> None:
        """Remove the marks that none of these snapshots holds."""
        held = [lesion.where for one in kept for lesion, _ in one]
        held += [self.fresh, *(lesion.where for lesion in self.all)]
        for node in self.made:
            if node not in held:
                marks.remove(node, [])
        self.made = [node for node in self.made if node in held]

    def keep_kinds(self, preset: Any) -> None:
        """Give those of a kind that the preset does not draw its first one."""
        for lesion in self.all:
            lesion.saved = None
            if lesion.kind not in preset.lesion_kinds:
                fresh = MarkedLesion.of(preset)
                lesion.kind, lesion.factor, lesion.stop = fresh.kind, fresh.factor, fresh.stop

    def set(self, index: int, key: str, value: Any) -> None:
        """Change the kind, the diameter or the factor of one.

        Raises:
            ValueError: there is no such field, or a value that it cannot have.
        """
        lesion = self.all[index]
        if key == "kind" and value in words.KINDS:
            if words.factor_of(value) != words.factor_of(lesion.kind):
                lesion.factor = float(words.factor_of(value))
            lesion.kind, lesion.saved = value, None
        elif key == "saved" and isinstance(value, SavedLesion):
            lesion.saved, lesion.diameter = value, min(max(value.diameter_mm, 2), 100)
        elif key == "diameter" and 2 <= float(value) <= 100:
            lesion.diameter = float(value)
        elif key == "factor" and 1 <= float(value) <= 64:
            lesion.factor = float(value)
        else:
            raise ValueError(f"a lesion has no {key} {value!r}")
        self.outline(index)
        self.on_change(f"{'size' if key == 'diameter' else key} of pathology {index + 1}")

    def outline(self, index: int | None) -> None:
        """Draw the size of a clicked lesion."""
        if index is None or index >= len(self.all):
            self.size.remove()
        else:
            self.size.show(self.all[index].where, self.all[index].diameter)

    def place(self, index: int, how: str, reference: Any) -> None:
        """Let the user mark the place of one; the mark before stays until there is a new one."""
        self.viewer.stop()
        lesion = self.all[index]
        if how == BRUSH and lesion.where is not None and lesion.where.IsA(CLASSES[BRUSH]):
            node, before = lesion.where, None
        else:
            node, before = self._new(index, how), lesion.where
        self.size.remove()
        self.busy, self.how, self.fresh = index, how, node
        if how == BRUSH:
            lesion.where = node
            _hide(before)
            self.viewer.paint(node, reference, lesion.diameter)
        else:
            self.viewer.place(node, lambda placed: self._placed(lesion, node, placed))
        self.on_change("")

    def put(self, index: int, world: tuple[float, float, float]) -> None:
        """Place one at a point of the world (RAS mm)."""
        self.viewer.stop()
        node = self._new(index, CLICK)
        node.AddControlPointWorld(*world)
        self._placed(self.all[index], node, True)

    def _new(self, index: int, how: str) -> Any:
        node = marks.add(CLASSES[how], index + 1, NOUNS[how])
        if how == BRUSH:
            node.GetSegmentation().AddEmptySegment("", f"Pathology {index + 1}", COLOR)
        else:
            node.AddObserver(node.PointModifiedEvent, lambda *_: self._moved(node))
        self.made.append(node)
        return node

    def _moved(self, node: Any) -> None:
        """The size is drawn where the mark is, also while it is dragged."""
        for index, lesion in enumerate(self.all):
            if lesion.where is node and nodes.is_visible(node):
                self.outline(index)

    def _placed(self, lesion: MarkedLesion, node: Any, placed: bool) -> None:
        before, title = lesion.where, ""
        self.busy, self.how, self.fresh = None, "", None
        if placed:
            lesion.where = node
            _hide(before)
            index = next((i for i, one in enumerate(self.all) if one is lesion), None)
            self.outline(index)
            title = "" if index is None else f"place of pathology {index + 1}"
        else:
            marks.remove(node, [])
        self.on_change(title)

    def done(self) -> None:
        """Placing and painting are over."""
        if self.busy is not None and self.how == BRUSH:
            marks.style(self.all[self.busy].where)  # one looks at the image again
        self.viewer.stop()
        self.busy, self.how, self.fresh = None, "", None
        self.on_change("")

    def show_marks(self, shown: bool) -> None:
        """Show or hide all marks."""
        self.size.remove()
        for lesion in self.all:
            if lesion.where is not None and slicer.mrmlScene.IsNodePresent(lesion.where):
                marks.set_visible(lesion.where, shown)

    def public(self, settings: Any, preset: Any) -> list[dict[str, Any]]:
        """What the page shows of them."""
        return [self._public(i, settings, preset) for i in range(len(self.all))]

    def _public(self, index: int, settings: Any, preset: Any) -> dict[str, Any]:
        lesion = self.all[index]
        placed = lesion.where is not None and not marks.is_empty(lesion.where)
        how = next((h for h, c in CLASSES.items() if placed and lesion.where.IsA(c)), "")
        said, wrong = PLACED.get(how, NOWHERE), False
        if index == self.busy:
            said = INSTRUCTIONS[self.how]
        elif placed and settings.reference is not None:
            try:
                checks.place(lesion.where, settings.reference, index + 1)
                odd = checks.odd(lesion.where, settings.reference, preset, lesion.diameter)
                said, wrong = odd or said, bool(odd)
            except ValueError as mistake:
                said, wrong = str(mistake), True
        return {
            "kind": lesion.kind,
            "title": lesion.saved.name if lesion.saved else words.KIND_TITLES[lesion.kind],
            "saved": lesion.saved.name if lesion.saved else "",
            "marks_voxels": how in (BOX, CURVE, BRUSH),
            "diameter": lesion.diameter,
            "sized": how in ("", CLICK, CURVE),
            "factor": lesion.factor,
            "how": self.how if index == self.busy else how,
            "busy": index == self.busy,
            "place": said,
            "wrong": wrong,
        }


def _hide(node: Any) -> None:
    """Not removed: a step back may need it."""
    if node is not None and slicer.mrmlScene.IsNodePresent(node):
        marks.set_visible(node, False)

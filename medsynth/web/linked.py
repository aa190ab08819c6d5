"""Two views beside each other that show one place as large, whichever of them is moved or zoomed."""

from __future__ import annotations

import asyncio
from typing import Any


class LinkedViews:
    """The right view follows the left one and the other way around, while they are linked.

    A left view that gets another size shows as much from side to side as before, so that nothing is cut off.

    Args:
        left, right: slice views.
    """

    def __init__(self, left: Any, right: Any) -> None:
        self.left, self.right = left, right
        self.linked = False
        self.busy = False  # what happens now is our own doing, or Slicer's after a new size
        self.sizes = self._sizes()
        self.across_mm = left.get_view_node().GetFieldOfView()[0]
        for view, other in ((left, right), (right, left)):
            self._observe(view, other)

    def _sizes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(view.get_view_node().GetDimensions()[:2] for view in (self.left, self.right))

    def _observe(self, view: Any, other: Any) -> None:
        def moved(*_: Any) -> None:
            if self._sizes() != self.sizes:
                self._resized()
            elif not self.busy:
                self.across_mm = self.left.get_view_node().GetFieldOfView()[0]
                self.follow(view, other)
                self.across_mm = self.left.get_view_node().GetFieldOfView()[0]

        view.get_view_node().AddObserver("ModifiedEvent", moved)

    def _resized(self) -> None:
        self.sizes = self._sizes()
        if not self.busy:  # Slicer sets the field of view after the size
            self.busy = True
            asyncio.get_running_loop().call_soon(self._settle)

    def _settle(self) -> None:
        node = self.left.get_view_node()
        x, y, z = node.GetFieldOfView()
        node.SetFieldOfView(self.across_mm, y * self.across_mm / x, z)
        self.left.schedule_render()
        self.busy = False
        self.follow(self.left, self.right)

    def follow(self, view: Any, other: Any) -> None:
        """Show in the other view the place that this one shows, as large."""
        source, target = view.get_view_node(), other.get_view_node()
        sizes = source.GetDimensions(), target.GetDimensions()
        if not self.linked or not all(min(size[:2]) > 1 for size in sizes):
            return
        self.busy = True
        was = target.StartModify()
        try:
            target.GetSliceToRAS().DeepCopy(source.GetSliceToRAS())
            target.SetXYZOrigin(*source.GetXYZOrigin())
            x, y, z = source.GetFieldOfView()
            across, down = (b / a for a, b in zip(*(size[:2] for size in sizes), strict=True))
            target.SetFieldOfView(x * across, y * down, z)
            target.UpdateMatrices()
        finally:
            target.EndModify(was)
            self.busy = False
        other.schedule_render()

"""Reference and synthetic image over one another, in the views of the page."""

from __future__ import annotations

from typing import Any

from medsynth.scene import results
from medsynth.scene.comparison import RealAndSynthetic


class Overlay(RealAndSynthetic):
    """What the views show of a result and its reference."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.viewer = viewer

    def show(self, reference: Any, result: Any, mode: str, opacity: float) -> None:
        """Show them; `opacity` of the synthetic image acts on FADE alone."""
        self.viewer.layer(*self.layers(reference, result, mode, opacity))

    def outline(self, result: Any) -> None:
        """The lesions of this result only; None: of none."""
        results.show_only_segmentations_of(result)
        self.viewer.render()

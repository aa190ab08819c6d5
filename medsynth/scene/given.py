"""Slicer and VTK, as the program that holds the scene gives them.

3D Slicer and the page bring their own; the library imports neither, and works without them.
"""

from __future__ import annotations

from typing import Any


class _Given:
    """Stands for a module that is given later."""

    def __init__(self, name: str):
        self._name, self._module = name, None

    def __getattr__(self, attribute: str) -> Any:
        if self._module is None:
            raise RuntimeError(
                f"medsynth.scene has no {self._name} yet; call medsynth.scene.given.use first"
            )
        return getattr(self._module, attribute)


slicer: Any = _Given("slicer")
vtk: Any = _Given("vtk")


def use(slicer_module: Any, vtk_module: Any) -> None:
    """Let everything in `medsynth.scene` act on this Slicer's scene."""
    slicer._module, vtk._module = slicer_module, vtk_module

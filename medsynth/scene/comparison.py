"""Reference and synthetic image over one another, in the same place of the same slice views."""

from __future__ import annotations

from medsynth.scene import anatomy, nodes
from medsynth.scene.given import slicer, vtk

SYNTHETIC, REAL, FADE, DIFFERENCE = "synthetic", "real", "fade", "difference"
MODES = (SYNTHETIC, REAL, FADE, DIFFERENCE)


def title_of(reference) -> str:
    """What a reference is called where it is compared: only what nothing says otherwise of is real."""
    if reference is not None and reference.GetAttribute(nodes.DRAWN):
        return "Drawn phantom"
    if reference is not None and anatomy.content_of(reference) is not None:
        return "Drawn phantom"  # of a scene that was saved before the attribute was
    if reference is not None and reference.GetAttribute(nodes.SYNTHETIC):
        return "Synthetic reference"
    return "Real"


def possible(reference, result) -> bool:
    """Whether there is a difference: they lie on one grid."""
    size = reference.GetImageData().GetDimensions()
    if size != result.GetImageData().GetDimensions():
        return False
    return bool(abs(nodes.ijk_to_ras(reference) - nodes.ijk_to_ras(result)).max() < 1e-3)


class RealAndSynthetic:
    """What slice views show of a result and its reference; a difference is made once and never saved."""

    def __init__(self):
        self.difference = self.of = None

    def layers(self, reference, result, mode: str, fade: float) -> tuple:
        """(background, foreground, the foreground's opacity) of the slice views.

        Args:
            mode: one of `MODES`.
            fade: the synthetic image's share in FADE, 0 to 1.

        Raises:
            ValueError: there is no difference, because they lie on different grids.
        """
        if mode == DIFFERENCE:
            return self._difference(reference, result), None, 0.0
        shares = {SYNTHETIC: 1.0, REAL: 0.0, FADE: min(max(float(fade), 0.0), 1.0)}
        return reference, result, shares[mode]

    def forget(self) -> None:
        """Remove what was made to be shown."""
        if self.difference is not None and slicer.mrmlScene.IsNodePresent(self.difference):
            nodes.remove(self.difference)
        self.difference = self.of = None

    def _difference(self, reference, result):
        present = self.difference is not None and slicer.mrmlScene.IsNodePresent(self.difference)
        if self.of is result and present:
            return self.difference
        self.forget()
        if not possible(reference, result):
            raise ValueError(
                f"{result.GetName()} lies on another grid than {reference.GetName()}: there is no "
                "difference. Blink or fade shows both."
            )
        made, real = map(slicer.util.arrayFromVolume, (result, reference))
        node = nodes.new_node(
            "vtkMRMLScalarVolumeNode", f"synthetic minus {title_of(reference).lower()}"
        )
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        matrix = vtk.vtkMatrix4x4()
        reference.GetIJKToRASMatrix(matrix)
        node.SetIJKToRASMatrix(matrix)
        slicer.util.updateVolumeFromArray(node, made.astype("float32") - real.astype("float32"))
        slicer.mrmlScene.AddNode(node)
        node.SetAndObserveTransformNodeID(reference.GetTransformNodeID())
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetSaveWithScene(False)
        # Gray is no difference; half of what the reference shows is white or black.
        nodes.set_window(0, max(reference.GetDisplayNode().GetWindow() / 2, 1), [node])
        self.difference, self.of = node, result
        return node

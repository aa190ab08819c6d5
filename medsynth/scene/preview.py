"""The live low-pass preview: what a factor keeps of the reference, shown in the slice views.

The filter is the library's (`medsynth.images.low_pass_preview`). The slices on screen come first, the others
follow in small portions between the program's own events, so that a slider stays smooth on a large CT.
"""

from __future__ import annotations

import time

from medsynth.scene import nodes, projection
from medsynth.scene.given import slicer, vtk

PORTION_S = 0.03
REFRESH_S = 1.0  # drawing the views takes longer than filtering a few slices


class Preview:
    """One preview volume over the reference; `show` starts or changes it, `hide` removes it.

    Args:
        repeat: makes of a function something with `start()` and `stop()`, which calls it again and again
            between the program's own events.
    """

    def __init__(self, repeat):
        self.volume = self.reference = self.filter = None
        self.asked = None
        self.queue: list[int] = []
        self.refresh_at = 0.0
        self.before: dict[str, tuple] = {}
        self.timer = repeat(self.portion)

    def show(self, reference, factor: int, preset) -> None:
        """Show the reference through the factor's filter, in front of everything else."""
        from medsynth.images.low_pass_preview import LowPassPreview

        asked = (reference, factor, preset.name, reference.GetSpacing())
        if asked == self.asked:
            return
        if reference is not self.reference or reference.GetSpacing() != self.volume.GetSpacing():
            self.hide()
            self._add_volume(reference)
        self.asked = asked
        rows, columns = slicer.util.arrayFromVolume(reference).shape[1:]
        factor = min(round(factor * grid_step(reference, preset)) or 1, rows, columns)
        # The library shows these in gray values first; here they stay in the file's own.
        intensity = None if preset.in_display_units else preset.intensity
        self.filter = LowPassPreview((rows, columns), factor, intensity)
        self.queue = self._slices_by_distance()
        self.refresh_at = 0.0  # what is on screen is drawn at once
        self.portion()
        self.timer.start()

    def hide(self) -> None:
        """Remove the preview and give the views back what they showed."""
        self.timer.stop()
        self.queue = []
        for name, (volume_id, opacity) in self.before.items():
            composite = slicer.mrmlScene.GetNodeByID(name)
            if composite is not None:
                composite.SetForegroundVolumeID(volume_id)
                composite.SetForegroundOpacity(opacity)
        if self.volume is not None and slicer.mrmlScene.IsNodePresent(self.volume):
            nodes.remove(self.volume)
        self.volume = self.reference = self.asked = None
        self.before = {}

    def _add_volume(self, reference) -> None:
        self.volume = _hidden_copy(reference)
        self.reference = reference
        for composite in _composites():
            self.before[composite.GetID()] = (
                composite.GetForegroundVolumeID(),
                composite.GetForegroundOpacity(),
            )
            composite.SetForegroundVolumeID(self.volume.GetID())
            composite.SetForegroundOpacity(1.0)

    def _slices_by_distance(self) -> list[int]:
        """Slice numbers, the one on screen first."""
        count = slicer.util.arrayFromVolume(self.reference).shape[0]
        current = self._current_slice(count)
        return sorted(range(count), key=lambda k: abs(k - current))

    def _current_slice(self, count: int) -> int:
        import numpy as np

        from medsynth.scene.region import transformed

        node = _slice_node("Red")
        matrix = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
        center = transformed(matrix[None, :3, 3], None, self.reference.GetParentTransformNode())
        k = (np.linalg.inv(nodes.ijk_to_ras(self.reference)) @ [*center[0], 1])[2]
        return int(np.clip(round(k), 0, count - 1))

    def portion(self) -> bool:
        """Filter slices for a few hundredths of a second, then let the program breathe.

        Returns:
            Whether the views have something new to show: with the first slices, now and then, and at the end.
        """
        if not self.queue or not slicer.mrmlScene.IsNodePresent(self.volume):
            self.timer.stop()
            return False
        image = slicer.util.arrayFromVolume(self.reference)
        shown = slicer.util.arrayFromVolume(self.volume)
        end = time.monotonic() + PORTION_S
        while self.queue and time.monotonic() < end:
            k = self.queue.pop(0)
            shown[k] = self.filter(image[k]).astype(shown.dtype)
        if self.queue and time.monotonic() < self.refresh_at:
            return False
        slicer.util.arrayFromVolumeModified(self.volume)
        self.refresh_at = time.monotonic() + REFRESH_S
        return True


def _hidden_copy(reference):
    """A volume like the reference that no node box, no Data module and no scene file ever sees."""
    name = f"{reference.GetName()} low-pass preview"
    volume = nodes.new_node("vtkMRMLScalarVolumeNode", name)
    volume.SetHideFromEditors(True)
    volume.SetSaveWithScene(False)
    volume.CopyOrientation(reference)
    pixels = vtk.vtkImageData()
    pixels.DeepCopy(reference.GetImageData())
    volume.SetAndObserveImageData(pixels)
    slicer.mrmlScene.AddNode(volume)
    volume.SetAndObserveTransformNodeID(reference.GetTransformNodeID())
    # Not CreateDefaultDisplayNodes, which looks through all voxels for a window that is not used.
    display = slicer.mrmlScene.CreateNodeByClass(reference.GetDisplayNode().GetClassName())
    display.UnRegister(None)
    display.CopyContent(reference.GetDisplayNode())
    display.SetSaveWithScene(False)
    slicer.mrmlScene.AddNode(display)
    volume.SetAndObserveDisplayNodeID(display.GetID())
    return volume


def _slice_node(name: str):
    """Of the slice view of this name; without one, the first there is."""
    shown = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    return next((node for node in shown if node.GetLayoutName() == name), shown[0])


def _composites():
    count = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")
    return [
        slicer.mrmlScene.GetNthNodeByClass(i, "vtkMRMLSliceCompositeNode") for i in range(count)
    ]


def grid_step(reference, preset) -> float:
    """Pixels of the reference per pixel of the grid that the library brings it onto."""
    if not preset.in_display_units:
        return 1.0
    columns, rows, _ = reference.GetImageData().GetDimensions()
    step = max(rows / preset.grid[0], columns / preset.grid[1])
    return max(step, (preset.pixel_mm or 0) / reference.GetSpacing()[0])


def explain(reference, factor: float, preset) -> str:
    """What a factor means for this image, in millimeters."""
    if reference is None:
        return ""
    size = round(factor) * grid_step(reference, preset) * max(reference.GetSpacing()[:2])
    if round(factor) == 1:
        return "Factor 1: the result follows the reference in every detail."
    if projection.is_projection(reference, preset) and not projection.pixel_size(reference):
        return "What the factor keeps is shown here in mm once the pixel size is entered."
    return (
        f"Factor {round(factor)}: structures larger than about {size:.0f} mm are kept, "
        "finer detail is new."
    )

"""Slicer's scene and slice views in the page: everything that the page asks of slicer-core and trame-slicer.

Their programming interface is not declared stable, so no other file of the library knows it.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable
from typing import Any

import slicer
import vtk
import vtk.util.numpy_support
from trame_slicer import module
from trame_slicer.core import LayoutManager, SlicerApp
from trame_slicer.rca_view import register_rca_factories
from trame_slicer.segmentation import BrushDiameterMode, SegmentationEffectPaint
from trame_slicer.views import Layout, LayoutDirection, ViewLayoutDefinition

from medsynth.scene import given, marks
from medsynth.web.linked import LinkedViews

PLANES, ONE, BESIDE = "planes", "one", "beside"
BEFORE_SLICER = 100.0
PAUSE_S = 0.005  # of what is done between the program's own events


class Repeating:
    """Calls a function again and again between the events of the running loop."""

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action
        self.handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, or go on."""
        if self.handle is None:
            self._later()

    def stop(self) -> None:
        """No more calls."""
        if self.handle is not None:
            self.handle.cancel()
        self.handle = None

    def _later(self) -> None:
        self.handle = asyncio.get_running_loop().call_later(PAUSE_S, self._act)

    def _act(self) -> None:
        self._later()  # first: the action may stop it
        self.action()


class Viewer:
    """One scene, its slice views, and the mouse in them.

    Args:
        server: the session's trame server.
    """

    def __init__(self, server: Any) -> None:
        server.enable_module(module)
        self.app = SlicerApp()
        slicer.mrmlScene = self.app.scene
        logic = self.app.segmentations_logic
        slicer.modules = types.SimpleNamespace(
            segmentations=types.SimpleNamespace(logic=lambda: logic)
        )
        given.use(slicer, vtk)
        # The page has its own controls; without them the views hold the images alone.
        register_rca_factories(
            self.app.view_manager, server, slice_view_ui_f=lambda *_: None, interactive_quality=70
        )
        self.layouts = LayoutManager(self.app.scene, self.app.view_manager, server)
        axial, coronal, sagittal = (
            ViewLayoutDefinition.axial_view(),
            ViewLayoutDefinition.coronal_view(),
            ViewLayoutDefinition.sagittal_view(),
        )
        beside = Layout(LayoutDirection.Vertical, [coronal, sagittal])
        planes = Layout(LayoutDirection.Horizontal, [axial, beside], ["2", "1"])
        # trame-slicer 2.0 listens to an event that VTK 9.6 warns about, three times for each view.
        vtk.vtkObject.GlobalWarningDisplayOff()
        self.layouts.register_layout(PLANES, planes)
        self.layouts.register_layout(ONE, Layout(LayoutDirection.Vertical, [axial]))
        right = ViewLayoutDefinition.axial_view("Right")
        self.layouts.register_layout(BESIDE, Layout(LayoutDirection.Horizontal, [axial, right]))
        self.layouts.set_layout(PLANES)
        vtk.vtkObject.GlobalWarningDisplayOn()
        self.left, self.right = (self.app.view_manager.get_view(tag) for tag in ("Red", "Right"))
        self.alone = PLANES  # the layout of one image
        self.link = LinkedViews(self.left, self.right)
        for view in self.views:  # before Slicer's own, which keep what they act on for themselves
            view.interactor().AddObserver(
                vtk.vtkCommand.LeftButtonReleaseEvent, self._released, BEFORE_SLICER
            )
        self.on_release: Callable[[], None] = lambda: None
        self.placing: tuple[Any, Callable[[bool], None]] | None = None
        self.painted: Any = None
        self.interaction = self.app.markups_logic.interaction_node
        self.interaction.AddObserver(
            self.interaction.InteractionModeChangedEvent, self._mode_changed
        )

    def fill(self, page: Any) -> None:
        """Put the views into the page, where it is being written."""
        self.layouts.initialize_layout_grid(page)

    @property
    def views(self) -> list[Any]:
        """The slice views."""
        return self.app.view_manager.get_slice_views()

    def render(self) -> None:
        """Draw all views soon."""
        for view in self.views:
            view.schedule_render()

    def repeat(self, action: Callable[[], bool]) -> Repeating:
        """For what changes an image little by little: the views are drawn where `action` gives True."""

        def act() -> None:
            if action():
                self.render()

        return Repeating(act)

    def show(self, volume: Any) -> None:
        """A volume alone, whole, in the planes in which it was made."""
        flat = volume.GetImageData().GetDimensions()[2] == 1
        self.alone = ONE if flat else PLANES
        self.layouts.set_layout(self.alone)
        for view in self.views:
            view.set_background_volume_id(volume.GetID())
            view.set_foreground_volume_id(None)
            view.get_view_node().SetOrientationToDefault()
            view.get_view_node().RotateToVolumePlane(volume)
            view.fit_view_to_content()
        self.render()

    def layer(self, below: Any, above: Any, opacity: float) -> None:
        """Two volumes, one over the other; place and zoom stay."""
        for view in self.views:
            view.set_background_volume_id(below.GetID())
            view.set_foreground_volume_id(above.GetID() if above is not None else None)
            view.set_foreground_opacity(opacity)

    def layer_left(self, volume: Any) -> None:
        """This volume alone in the left one of two views beside each other."""
        self.left.set_background_volume_id(volume.GetID())
        self.left.set_foreground_volume_id(None)

    def set_beside(self, beside: bool) -> None:
        """Two axial views beside each other that move and zoom as one, or the views of one image."""
        self.link.linked = False  # the right view has no place of its own yet
        self.layouts.set_layout(BESIDE if beside else self.alone)
        self.link.linked = beside
        self.link.follow(self.left, self.right)
        self.render()

    def _released(self, *_: Any) -> None:
        # Slicer may still be at work on what the mouse did.
        asyncio.get_running_loop().call_soon(self.on_release)

    def jump(self, world: Any) -> None:
        """Show this place (RAS mm) in all views."""
        for view in self.views:
            view.get_view_node().JumpSliceByOffsetting(*world)
        self.render()

    def place(self, node: Any, on_end: Callable[[bool], None]) -> None:
        """Let the user place a mark by clicks; `on_end` gets whether anything was placed."""
        self.stop()
        self.placing = node, on_end
        self.app.markups_logic.place_node(node)

    def paint(self, node: Any, reference: Any, diameter: float, segment: str = "") -> None:
        """Let the user paint a segment, by default the first, with a ball of this diameter in mm."""
        self.stop()
        editor = self.app.segmentation_editor
        editor.set_active_segmentation(node, reference)
        editor.set_active_segment_id(segment or node.GetSegmentation().GetNthSegmentID(0))
        brush = editor.set_active_effect_type(SegmentationEffectPaint)
        brush.set_use_sphere_brush(True)
        brush.set_brush_diameter(diameter, BrushDiameterMode.Absolute)
        self.painted = node

    def stop(self) -> None:
        """No more placing and painting; a mark without a point is given up."""
        if self.painted is not None:
            self.app.segmentation_editor.deactivate_effect()
            self.painted = None
        if self.placing is not None:
            self.app.markups_logic.disable_place_mode()
            self._end()

    def _mode_changed(self, *_: Any) -> None:
        mode = self.interaction.GetCurrentInteractionMode()
        if self.placing is None or mode == self.interaction.Place:
            return
        node = self.placing[0]
        # Slicer may still be at work on the last point.
        asyncio.get_running_loop().call_soon(self._end_of, node)

    def _end_of(self, node: Any) -> None:
        if self.placing is not None and self.placing[0] is node:
            self._end()

    def _end(self) -> None:
        assert self.placing is not None
        (node, on_end), self.placing = self.placing, None
        on_end(slicer.mrmlScene.IsNodePresent(node) and not marks.is_empty(node))

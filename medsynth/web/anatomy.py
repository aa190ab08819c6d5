"""The reference of a session: opened or drawn, its window, what it says of itself, what a factor keeps of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import medsynth.scene.vocabulary as words
from medsynth.scene import comparison, findings, nodes, projection
from medsynth.scene.preview import Preview, explain
from medsynth.web import reading

if TYPE_CHECKING:
    from medsynth.web.desk import Desk

# The middle of the thorax: a third of the time of the whole one, and room for every lesion.
THORAX_GRID = ["--slices", "40", "--spacing", "0.7", "0.7", "3"]


class AnatomyPart:
    """What a visitor does under 1 Anatomy.

    Args:
        desk: the session's.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk, self.state, self.settings = desk, desk.state, desk.settings
        self.preview = Preview(desk.viewer.repeat)
        self.source: Path | None = None  # the DICOM files of the reference, which a request names
        presets = words.PRESETS.values()
        self.state.update(
            {
                "domains": [{"title": p.title, "value": p.name} for p in presets],
                **{"preset": self.settings.preset, "reference": "", "is_projection": False},
                **{"preview": False, "view": "", "side": "", "pixel_mm": 0.0, "own_view": False},
            }
        )

    @property
    def reference(self) -> Any:
        """The volume.

        Raises:
            ValueError: there is none yet.
        """
        if self.settings.reference is None:
            raise ValueError("Open an image, or draw a phantom first.")
        return self.settings.reference

    def choose_domain(self, name: str) -> None:
        """Another domain: its kinds, windows, factor and steps."""
        if name not in words.PRESETS or name == self.settings.preset or self.desk.runs.job:
            return
        self.settings.preset = self.state.preset = name
        self.set_preset()
        self.desk.lesions.keep_kinds(self.desk.preset)
        self.desk.forget_steps()

    def set_preset(self) -> None:
        """What the domain brings with it."""
        preset, state = self.desk.preset, self.state
        words.set_defaults(self.settings, preset)
        self.settings.sampler = preset.sampler
        state.factor = self.settings.factor
        state.kinds = [{"title": words.KIND_TITLES[k], "value": k} for k in preset.lesion_kinds]
        state.windows = [window.name for window in preset.windows]
        state.has_phantom, state.has_places = bool(preset.phantoms), bool(preset.places)
        state.views = list(projection.words("view", preset)) if preset.is_projection else []
        state.sides = list(projection.words("laterality", preset)) if preset.is_projection else []
        self.desk.runs.set_steps()

    async def draw_phantom(self) -> None:
        """A phantom of the domain as the reference."""
        preset, seed = self.desk.preset, self.state.seed
        drawn = self.desk.new_folder() / "phantom.nrrd"
        arguments = ["--preset", preset.name, "--seed", str(seed)]
        own = {"view": "MLO", "laterality": "L"} if "breast" in preset.phantoms else {}
        given = [part for key, word in own.items() for part in ("--set", f"{key}={word}")]
        arguments += given or THORAX_GRID
        command = ["medsynth.cli.attached", "phantom", "-o", str(drawn), *arguments]
        await self.desk.runs.helper("Drawing the phantom", [*command, "--progress", "json"])
        node = self._load(drawn, f"Phantom {seed}")
        node.SetAttribute(nodes.DRAWN, "1")
        projection.set_own(node, own)
        findings.say_none(node, True)
        self._use(node, None)
        self.desk.say("The phantom is drawn. Add a pathology, or press Run.")

    async def open(self, upload: Path) -> None:
        """What was uploaded as the reference."""
        out = self.desk.new_folder()
        command = ["medsynth.web.reading", str(upload), str(out)]
        try:
            await self.desk.runs.helper("Reading the image", command)
        except ValueError:
            shutil.rmtree(upload, ignore_errors=True)
            raise
        about = json.loads((out / reading.ABOUT).read_text())
        node = self._load(out / reading.SHOWN, "Image")
        if about["synthetic"]:
            node.SetAttribute(nodes.SYNTHETIC, "1")
        projection.set_own(node, about["said"])
        self._use(node, upload if about["dicom"] else None)
        self.desk.note(about["warnings"])
        self.desk.say("The image is open. Add a pathology, or press Run.")

    def _load(self, path: Path, name: str) -> Any:
        return nodes.read_volume(path, nodes.new_node("vtkMRMLScalarVolumeNode", name))

    def _use(self, node: Any, source: Path | None) -> None:
        """A new reference; what belonged to the one before leaves the scene and the disk."""
        self.preview.hide()
        self.state.preview = False
        self.desk.lesions.clear()
        self.desk.shelf.clear()
        self.desk.existing.forget()
        before, self.settings.reference = self.settings.reference, node
        if before is not None:
            nodes.remove(before)
        if self.source is not None:
            shutil.rmtree(self.source, ignore_errors=True)
        self.source = source
        self.state.reference, self.state.warnings = node.GetName(), []
        if not self.desk.preset.in_display_units or source is None:
            self.window(self.desk.preset.windows[0].name)
        self.desk.viewer.show(node)
        self.desk.forget_steps()
        self.desk.refresh()

    def window(self, name: str) -> None:
        """Show everything in this window of the domain."""
        chosen = next((w for w in self.desk.preset.windows if w.name == name), None)
        if chosen is None:
            return
        shown = [self.settings.reference, self.preview.volume, *self.desk.shelf.volumes]
        nodes.set_window(chosen.center, chosen.width, [n for n in shown if n is not None])
        self.desk.viewer.render()

    def refresh(self) -> None:
        """What the page shows of it."""
        reference, state, preset = self.settings.reference, self.state, self.desk.preset
        state.factor_says = explain(reference, self.settings.factor, preset)
        state.no_findings = findings.has_none(reference)
        state.reference_is = comparison.title_of(reference)
        state.is_projection = projection.is_projection(reference, preset)
        if state.is_projection:
            said, own = projection.said(reference, preset), projection.own(reference, preset)
            state.view, state.side = said.get("view", ""), said.get("laterality", "")
            state.own_view = set(projection.KEYS) <= set(own)
            state.pixel_mm = round(projection.pixel_size(reference), 4)

    def say_projection(self, key: str, value: Any) -> None:
        """What a picture does not say itself: its view, its side, the size of its pixels."""
        reference, preset = self.settings.reference, self.desk.preset
        if reference is None or self.desk.runs.job:
            return
        if key == "pixel_mm":
            placed = [one.where for one in self.desk.lesions.all if one.where is not None]
            projection.set_pixel_size(reference, float(value or 0), placed)
            self.desk.viewer.show(reference)
            self.desk.forget_steps()  # the marks before were in other millimeters
        elif key in projection.KEYS and (value in projection.words(key, preset) or not value):
            projection.say(reference, key, value or "")
        self.desk.refresh()

    def say_none(self, none: bool) -> None:
        """Whether the reference has no findings of its own, which masks would have to show as well."""
        if self.settings.reference is not None and self.desk.runs.job is None:
            findings.say_none(self.settings.reference, bool(none))

    def choose_factor(self, factor: float) -> None:
        """How much of the anatomy is kept."""
        self.settings.factor = min(max(float(factor), 1), 64)
        self.show_preview(self.state.preview)
        self.desk.refresh()

    def show_preview(self, shown: bool) -> None:
        """What the factor keeps, in the views."""
        reference = self.settings.reference
        self.state.preview = bool(shown and reference is not None)
        if not self.state.preview:
            self.preview.hide()
            self.desk.viewer.render()
            return
        self.desk.shelf.back()
        self.preview.show(reference, round(self.settings.factor), self.desk.preset)
        self.desk.viewer.render()

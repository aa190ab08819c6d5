"""The phantoms: drawn by the library on this computer, so they need no network."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import slicer

from medsynth.scene import anatomy, findings, nodes, projection
from medsynth.scene.vocabulary import ANY_DENSITY, FIRST, PRESETS
from MedSynthLib import library
from MedSynthLib.process import Process

NAME = "MedSynthPhantom"
ICONS = library.MODULE_FOLDER / "Resources" / "Icons"
# The middle of the thorax: a third of the time of the whole one, and room for every lesion.
THORAX_GRID = ("--slices", "40", "--spacing", "0.7", "0.7", "3")


@dataclass(frozen=True)
class Drawing:
    """Which phantom is drawn: of `person` (its seed), in the preset's domain.

    `film` says view and laterality of a breast, and its density unless the person decides.
    """

    preset: object = FIRST
    person: int = 3
    film: dict = field(default_factory=dict)

    @classmethod
    def of(cls, parameters) -> Drawing:
        """What the panel says."""
        preset = PRESETS[parameters.preset]
        if "breast" not in preset.phantoms:
            return cls(preset, parameters.phantomPerson)
        said = {"view": parameters.phantomView, "laterality": parameters.phantomSide}
        if parameters.phantomDensity != ANY_DENSITY:
            said["density"] = parameters.phantomDensity
        return cls(preset, parameters.phantomPerson, said)

    @property
    def name(self) -> str:
        """Of the volume."""
        if not self.film:
            return NAME
        return f"Breast phantom {self.person} {self.film['view']} {self.film['laterality']}"

    def arguments(self, path: Path) -> list[str]:
        """Of `medsynth`."""
        options = [part for key, word in self.film.items() for part in ("--set", f"{key}={word}")]
        options = options or list(THORAX_GRID)
        person = ["--preset", self.preset.name, "--seed", str(self.person)]
        points = ["--save-control-points", str(_points(path))]
        return ["phantom", "-o", str(path), *points, *person, *options, "--progress", "json"]

    def load(self, path: Path):
        """The volume, in the preset's first window."""
        said = {nodes.DRAWN: "1"}
        new = nodes.new_node("vtkMRMLScalarVolumeNode", self.name, said)
        node = nodes.read_volume(path, new)
        projection.set_own(
            node, {key: self.film[key] for key in projection.KEYS if key in self.film}
        )
        findings.say_none(node, True)  # drawn healthy
        anatomy.keep(node, json.loads(_points(path).read_text(encoding="utf-8")))
        window = self.preset.windows[0]
        nodes.set_window(window.center, window.width, [node])
        slicer.util.setSliceViewerLayers(background=node, fit=True)
        return node


def _file() -> Path:
    folder = tempfile.mkdtemp(prefix="MedSynth-phantom-", dir=slicer.app.temporaryPath)
    return Path(folder) / "phantom.nrrd"


def _points(path: Path) -> Path:
    """The control points of the phantom in `path`."""
    return path.with_name("points.json")


def start(drawing: Drawing, onLoaded, onFailed, *, onProgress, onLog) -> Process:
    """Draw without waiting; `onLoaded` gets the volume, `onProgress` (done, total)."""
    path = _file()

    def event(record):
        if record["kind"] == "progress":
            onProgress(record.get("done", 0), record.get("total", 0))

    def finished(reason):
        if reason is None:
            onLoaded(drawing.load(path))
        else:
            onFailed(reason)

    process = Process(drawing.arguments(path), finished, onEvent=event, onLog=onLog)
    process.start()
    return process


def download(source=None):
    """What the Sample Data module calls; it expects the loaded node."""
    path, drawing = _file(), Drawing()
    process = slicer.util.launchConsoleProcess(**library.command(drawing.arguments(path)))
    slicer.util.logProcessOutput(process)
    return drawing.load(path)


def register() -> None:
    """Offer the thorax in the Sample Data module."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="MedSynth",
        sampleName=NAME,
        thumbnailFileName=str(ICONS / "MedSynthPhantom.png"),
        nodeNames=NAME,
        customDownloader=download,
    )

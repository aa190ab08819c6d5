"""The sample phantom: drawn by the library on this computer, so it needs no network."""

from __future__ import annotations

import tempfile
from pathlib import Path

import slicer

from MedSynthLib import library, scene
from MedSynthLib.process import Process

NAME = "MedSynthPhantom"
ICONS = library.MODULE_FOLDER / "Resources" / "Icons"


def _file() -> Path:
    folder = tempfile.mkdtemp(prefix="MedSynth-phantom-", dir=slicer.app.temporaryPath)
    return Path(folder) / "phantom.nrrd"


def _arguments(path: Path) -> list[str]:
    # The middle of the thorax: a third of the time of the whole one, and room for every lesion.
    grid = ["--slices", "40", "--spacing", "0.7", "0.7", "3"]
    return ["phantom", "-o", str(path), "--seed", "3", *grid, "--progress", "json"]


def start(onLoaded, onFailed, *, onProgress, onLog) -> Process:
    """Draw the phantom without waiting; `onLoaded` gets the volume, `onProgress` (done, total)."""
    path = _file()

    def event(record):
        if record["kind"] == "progress":
            onProgress(record.get("done", 0), record.get("total", 0))

    def finished(reason):
        if reason is None:
            onLoaded(_load(path))
        else:
            onFailed(reason)

    process = Process(_arguments(path), finished, onEvent=event, onLog=onLog)
    process.start()
    return process


def _load(path: Path):
    node = scene.readVolume(path, NAME)
    scene.setWindow(-600, 1500, [node])
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def download(source=None):
    """What the Sample Data module calls; it expects the loaded node."""
    path = _file()
    process = slicer.util.launchConsoleProcess(**library.command(_arguments(path)))
    slicer.util.logProcessOutput(process)
    return _load(path)


def register() -> None:
    """Offer the phantom in the Sample Data module."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="MedSynth",
        sampleName=NAME,
        thumbnailFileName=str(ICONS / "MedSynthPhantom.png"),
        nodeNames=NAME,
        customDownloader=download,
    )

"""A kept result, brought back into the scene without the run, the reference or the scene it came from."""

from __future__ import annotations

import json
import re
from pathlib import Path

from MedSynthLib import folders, scene
from MedSynthLib.vocabulary import PRESETS


def find(result) -> Path:
    """The OUT folder of a synthetic volume: where it was made, else under the results folder as it is now.

    Raises:
        ValueError: nothing is chosen, or the files are nowhere.
    """
    if result is None:
        raise ValueError("Choose a result first.")
    made = Path(result.GetAttribute(scene.FOLDER) or "")
    # The folder may have been moved with its results, or the scene opened on another computer.
    for folder in (made, folders.resultsFolder() / made.parent.name / made.name):
        if made.name and (folder / "dicom" / "image").is_dir():
            return folder
    raise ValueError(
        f"The files of {result.GetName()} are neither in {made} nor in {folders.resultsFolder()}. "
        "Choose the folder they were moved to under 'Kept in', or run again with the same seed."
    )


def bringBack(folder: Path):
    """Load an OUT folder as it lies on disk, in its own geometry.

    Returns:
        The synthetic volume and the segmentation of its lesions (None without lesions).

    Raises:
        ValueError: it is no result.
    """
    try:
        record = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        preset = PRESETS[presetOf(folder)]
        title = f"SYNTHETIC {preset.name} seed {record['seed']}"
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            f"{folder} is not the folder of one result (such as .../seed_7, with a result.json)."
        ) from None
    new = scene.newSynthetic("vtkMRMLScalarVolumeNode", title, folder)
    volume = scene.readVolume(folder / "image.nrrd", new)
    try:
        scene.setWindow(preset.windows[0].center, preset.windows[0].width, [volume])
        segmentation = scene.addLesions(folder, volume)
    except Exception:
        scene.remove(volume)
        raise
    scene.putUnderItem(title, [volume, segmentation])
    return volume, segmentation


def presetOf(folder: Path) -> str:
    """The request's preset; Slicer's Python has no YAML reader, and this line needs none."""
    text = (folder / "request.yaml").read_text(encoding="utf-8")
    return re.search(r"^ *\"?preset\"?: *\"?(\w+)", text, re.MULTILINE)[1]

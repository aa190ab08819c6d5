"""A kept result, brought back into the scene without the run, the reference or the scene it came from."""

from __future__ import annotations

from pathlib import Path

from slicer.i18n import tr as _

from medsynth.scene import nodes
from MedSynthLib import folders


def find(result) -> Path:
    """The OUT folder of a synthetic volume: where it was made, else under the results folder as it is now.

    Raises:
        ValueError: nothing is chosen, or the files are nowhere.
    """
    if result is None:
        raise ValueError(_("Choose a result first."))
    made = Path(result.GetAttribute(nodes.FOLDER) or "")
    # The folder may have been moved with its results, or the scene opened on another computer.
    for folder in (made, folders.resultsFolder() / made.parent.name / made.name):
        if made.name and (folder / "dicom" / "image").is_dir():
            return folder
    raise ValueError(
        _(
            "The files of {name} are neither in {made} nor in {resultsFolder}. Choose the folder they were moved to under 'Kept in', or run again with the same seed."
        ).format(name=result.GetName(), made=made, resultsFolder=folders.resultsFolder())
    )

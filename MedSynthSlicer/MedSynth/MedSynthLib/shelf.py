"""Discarded results: out of the scene, their files aside until Slicer is closed, and the way back."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import slicer

from medsynth.scene import nodes, projection, results
from medsynth.scene.vocabulary import PRESETS


@dataclass(frozen=True)
class _One:
    name: str
    folder: Path  # where its files were
    aside: Path  # where they are


class Discarded:
    """Results that were thrown away together."""

    def __init__(self, entries: list[_One]):
        self.entries = entries

    @classmethod
    def of(cls, volumes: list) -> Discarded:
        """Discard them. Files that are gone already are no obstacle.

        Raises:
            OSError: files cannot be moved; then their result stays in the scene.
        """
        from medsynth.storage.files import relocate

        entries = []
        # Slicer empties its temporary folder when it ends.
        aside = Path(tempfile.mkdtemp(prefix="MedSynth-discarded-", dir=slicer.app.temporaryPath))
        for number, volume in enumerate(volumes):
            folder = Path(volume.GetAttribute(nodes.FOLDER) or "")
            entry = _One(volume.GetName(), folder, aside / f"{number}_{folder.name}")
            if folder.is_dir() and (folder / "result.json").is_file():
                relocate(folder, entry.aside)
                if not any(folder.parent.iterdir()):
                    folder.parent.rmdir()
            results.take_out(volume)
            entries.append(entry)
        return cls(entries)

    def back(self, reference) -> list:
        """Bring them back; gives the volumes.

        Raises:
            ValueError: their files are gone.
        """
        from medsynth.storage.files import relocate

        found = []
        for entry in self.entries:
            if not entry.aside.is_dir():
                raise ValueError(f"the files of {entry.name} are gone")
            entry.folder.parent.mkdir(parents=True, exist_ok=True)
            relocate(entry.aside, entry.folder)
            found.append(_load(entry.folder, entry.name, reference))
        return found


def _load(folder: Path, name: str, reference):
    preset = PRESETS[results.preset_of(folder)]
    try:
        if reference is None:
            raise RuntimeError
        volume, _ = results.add_result(folder, reference, preset)
    except RuntimeError:  # its reference is another one by now
        volume, _ = results.bring_back(folder)
    if reference is not None and preset.is_projection:
        projection.set_own(volume, projection.said(reference, preset))
    results.set_name(volume, name)
    return volume

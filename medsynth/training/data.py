"""Training slices in memory, split by patient."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from medsynth.events import Listener, Stage, ignore
from medsynth.images import read_image
from medsynth.presets import Preset
from medsynth.training.recipe import Data


@dataclass(frozen=True)
class Slices:
    """`images` (N, H, W) int16 in physical units; `patients` and `series`, one name per slice."""

    images: np.ndarray
    patients: tuple[str, ...]
    series: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Identifies the very images trained on; a resumed run must see the same."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images[:, ::16, ::16]).tobytes())
        digest.update("\n".join(self.series).encode())
        return digest.hexdigest()[:16]


def load_slices(
    data: Data, *, preset: Preset, held_out: bool = False, listener: Listener = ignore
) -> Slices:
    """Every slice of the training patients (or, with `held_out`, of those kept out).

    Raises:
        ValueError: no `root`, a held-out patient that is not there, no series, or a slice that is
            not on the preset's grid.
    """
    if data.root is None:
        raise ValueError("data.root is not set: name the folder of images (--data FOLDER)")
    root = Path(data.root)
    patients = {p.name for p in root.iterdir() if p.is_dir()} if root.is_dir() else set()
    unknown = set(data.held_out) - patients
    if unknown:
        raise ValueError(
            f"held-out patients {', '.join(sorted(unknown))} are not in {root}; the split would not "
            "be what the recipe says"
        )
    chosen = sorted(set(data.held_out) if held_out else patients - set(data.held_out))
    folders = [f for patient in chosen for f in _series_folders(root / patient)]
    folders = [f for f in folders if not _excluded(f.relative_to(root).as_posix(), data.exclude)]
    if not folders:
        raise ValueError(f"no image series below {root} for {', '.join(chosen) or 'any patient'}")
    stacks: list[np.ndarray] = []
    names: list[tuple[str, str]] = []
    with Stage("reading", total=len(folders), listener=listener) as stage:
        for folder in folders:
            for stack in _read(folder, preset):
                stacks.append(stack)
                relative = folder.relative_to(root)
                names += [(relative.parts[0], relative.as_posix())] * len(stack)
            stage.advance(message=folder.name)
    images = np.concatenate(stacks)
    return Slices(images, tuple(p for p, _ in names), tuple(s for _, s in names))


def _series_folders(patient: Path) -> list[Path]:
    """Folders below `patient` that directly hold DICOM files of images (not segmentations)."""
    found = sorted({f.parent for f in patient.rglob("*.dcm")})
    return [f for f in found if f.name != "seg"]


def _excluded(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path.startswith(prefix) for prefix in prefixes)


def _read(folder: Path, preset: Preset) -> list[np.ndarray]:
    """One series as a volume, or, where its slices do not form one, slice by slice."""
    try:
        images = [read_image(folder).image]
    except ValueError:
        images = [read_image(file).image for file in sorted(folder.glob("*.dcm"))]
    stacks = [np.rint(sitk.GetArrayFromImage(image)) for image in images]
    for stack in stacks:
        if stack.shape[1:] != preset.grid:
            raise ValueError(
                f"{folder}: slices are {stack.shape[1]} x {stack.shape[2]}, the preset "
                f"{preset.name} trains on {preset.grid[0]} x {preset.grid[1]}; resample them first"
            )
    low, high = preset.intensity.physical[0], preset.intensity.physical[-1]
    return [np.clip(stack, low, high).astype(np.int16) for stack in stacks]

"""Training slices in memory, split by patient."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import psutil
import torch

from medsynth.datasets.layouts import read_entries
from medsynth.datasets.pixels import count_slices, read_stack
from medsynth.datasets.settings import Data
from medsynth.datasets.splits import Split, make_split
from medsynth.diffusion.noise_level import NoiseLevelScale, image_noise_levels
from medsynth.domains import IntensityMap, Preset
from medsynth.events import Listener, Stage, ignore

# Share of the free memory that images may fill; the network, its optimizer and the workers need some.
SHARE_FOR_IMAGES = 0.7


@dataclass(frozen=True)
class Slices:
    """`images` (N, H, W) int16 in physical units; the other fields have one item per slice.

    `series` is the path of the file or folder below the data's root. `labels` are the set's words
    for what is on the image. `split` identifies who is held out. `noise_level` (N, 2): the
    image noise level of each slice, which the network is conditioned on (`with_noise_level`).
    """

    images: np.ndarray
    patients: tuple[str, ...]
    series: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...] = ()
    split: str = ""
    noise_level: np.ndarray | None = None

    @property
    def digest(self) -> str:
        """Identifies the very images trained on; a resumed run must see the same."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images[:, ::16, ::16]).tobytes())
        digest.update("\n".join(self.series).encode())
        return digest.hexdigest()[:16]


def with_noise_level(
    slices: Slices, scale: NoiseLevelScale, intensity: IntensityMap, *, listener: Listener = ignore
) -> Slices:
    """`slices` with the image noise level of each, for a network that is conditioned on it."""
    levels = []
    with Stage("measuring noise levels", total=len(slices.images), listener=listener) as stage:
        for image in slices.images:
            unit = torch.from_numpy(intensity.to_unit(image))[None, None]
            levels.append(image_noise_levels(unit))
            stage.advance()
    return replace(slices, noise_level=scale.standard(torch.cat(levels)).numpy())


def read_split(data: Data) -> Split:
    """Every image below `data.root`, in two parts; nothing but names and tables is read.

    Raises:
        ValueError: the folder is not what the layout expects, or the split cannot be made.
    """
    return make_split(read_entries(data), data)


def load_slices(
    data: Data,
    *,
    preset: Preset,
    held_out: bool = False,
    split: Split | None = None,
    listener: Listener = ignore,
) -> Slices:
    """Every slice of the training patients (or, with `held_out`, of those kept out).

    `split` is what `read_split` returned, where the caller has it already.

    Raises:
        ValueError: as `read_split`; an image that cannot be used; or nobody in this part.
        MemoryError: the slices cannot fit into memory, with advice.
    """
    split = split or read_split(data)
    entries = split.part(held_out=held_out)
    if not entries:
        everyone = "nobody is held out" if held_out else "everybody is held out"
        raise ValueError(f"{data.root}: {everyone}; set data.held_out or data.held_out_fraction")
    count = sum(count_slices(entry, every=data.every) for entry in entries)
    _check_memory(count, count * preset.grid[0] * preset.grid[1] * np.dtype(np.int16).itemsize)
    stacks: list[np.ndarray] = []
    with Stage("reading", total=len(entries), listener=listener) as stage:
        for entry in entries:
            stacks.append(read_stack(entry, preset, every=data.every, pixel_mm=data.pixel_mm))
            stage.advance(message=entry.path.name)
    counts = [len(stack) for stack in stacks]
    repeated = [e for e, count in zip(entries, counts, strict=True) for _ in range(count)]
    return Slices(
        images=_joined(stacks),
        patients=tuple(e.patient for e in repeated),
        series=tuple(e.name for e in repeated),
        labels=tuple(e.labels for e in repeated),
        split=split.digest,
    )


def _joined(stacks: list[np.ndarray]) -> np.ndarray:
    """All slices in one array; each stack is given back as it is copied, so the peak is one copy."""
    stacks.reverse()
    images = np.empty((sum(map(len, stacks)), *stacks[0].shape[1:]), np.int16)
    done = 0
    while stacks:
        stack = stacks.pop()
        images[done : done + len(stack)] = stack
        done += len(stack)
    return images


def _check_memory(slices: int, needed: int) -> None:
    """Refuse before anything is read what cannot fit."""
    free = SHARE_FOR_IMAGES * psutil.virtual_memory().available
    if needed > free:
        raise MemoryError(
            f"{slices} slices need {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB can be used "
            "for them; take every n-th slice (data.every), leave some out (data.exclude), or use a "
            "machine with more memory"
        )

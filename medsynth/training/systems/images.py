"""Training images of several domains in the network's units, with the words for what is on each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medsynth import domains
from medsynth.datasets.captions import words_of
from medsynth.datasets.data import Slices, load_slices, read_split
from medsynth.datasets.opacity import with_positions
from medsynth.datasets.split_record import record_split
from medsynth.datasets.splits import Split
from medsynth.domains import Preset
from medsynth.events import Listener, ignore
from medsynth.training.batches import augment
from medsynth.training.systems.recipe import TrainingSource


@dataclass(frozen=True, eq=False)
class SourceImages:
    """The training images of one source; `words[i]` says what is on image i."""

    source: TrainingSource
    preset: Preset
    split: Split
    slices: Slices
    words: tuple[tuple[str, ...], ...]

    def unit(self, index: int, generator: torch.Generator | None = None) -> Tensor:
        """Image `index` (1, H, W) in [-1, 1], augmented when there is a generator."""
        image = torch.from_numpy(self.preset.intensity.to_unit(self.slices.images[index]))[None]
        return image if generator is None else augment(image, self.source.augment, generator)

    def variant(self, index: int, number: int, seed: tuple[int, ...]) -> Tensor:
        """One of the copies that are kept: 0 is the image itself, the others are augmented."""
        if number == 0:
            return self.unit(index)
        entropy = np.random.SeedSequence((*seed, index, number))
        state = int(entropy.generate_state(1, np.uint64)[0] >> 1)
        return self.unit(index, torch.Generator().manual_seed(state))


def read_sources(
    sources: Sequence[TrainingSource], *, run: Path, listener: Listener = ignore
) -> tuple[SourceImages, ...]:
    """The training images of every source; who is held out is written into `run` and never read.

    Raises:
        ValueError: a source without images, or whose folder is not named.
    """
    found = []
    for source in sources:
        preset = domains.get(source.preset)
        split = read_split(source.data)
        record_split(split, run / source.preset if len(sources) > 1 else run)
        slices = load_slices(source.data, preset=preset, split=split, listener=listener)
        by_name = {entry.name: words_of(entry, preset) for entry in split.training}
        words = tuple(by_name[name] for name in slices.series)
        if source.measured_positions:
            words = with_positions(slices.images, words)
        found.append(SourceImages(source, preset, split, slices, words))
    return tuple(found)


def vocabulary(sources: Sequence[SourceImages], *, fewest: int) -> tuple[str, ...]:
    """The words of at least `fewest` images, most frequent first."""
    counts: dict[str, int] = {}
    for source in sources:
        for said in source.words:
            for word in said:
                counts[word] = counts.get(word, 0) + 1
    kept = [word for word, count in counts.items() if count >= fewest]
    return tuple(sorted(kept, key=lambda word: (-counts[word], word)))


def digest(sources: Sequence[SourceImages]) -> str:
    """Identifies the images of all sources."""
    return hashlib.sha256("|".join(s.slices.digest for s in sources).encode()).hexdigest()[:16]


def draw(
    sources: Sequence[SourceImages], *, count: int, seed: Sequence[int], crop: int | None, grid: int
) -> Tensor:
    """A batch of augmented images or crops (B, 1, h, w) in [-1, 1], a function of `seed` alone.

    `grid`: corners of crops are multiples of it.
    """
    rng = np.random.default_rng(tuple(seed))
    chosen = rng.choice(len(sources), size=count, p=shares(sources))
    images = []
    for which in chosen:
        source = sources[which]
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        image = source.unit(int(rng.integers(len(source.slices.images))), generator)
        images.append(image if crop is None else _cropped(image, crop, grid, rng))
    return torch.stack(images)


def shares(sources: Sequence[SourceImages]) -> np.ndarray:
    """How likely an image of a batch is of each source."""
    wanted = np.array([s.source.share for s in sources])
    return wanted / wanted.sum()


def _cropped(image: Tensor, side: int, grid: int, rng: np.random.Generator) -> Tensor:
    height, width = image.shape[1:]
    row, column = (grid * int(rng.integers((n - side) // grid + 1)) for n in (height, width))
    return image[:, row : row + side, column : column + side]


def statement(sources: Sequence[TrainingSource]) -> str:
    """Where all images come from."""
    return "; ".join(dict.fromkeys(s.data.statement for s in sources if s.data.statement))


def license_of(sources: Sequence[TrainingSource]) -> str:
    """The licenses of all images and what they make of the weights."""
    return "; ".join(dict.fromkeys(s.data.license for s in sources if s.data.license))

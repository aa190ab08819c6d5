"""Slices that go through the network together: which may, and what comes out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from medsynth.diffusion.guidance import Condition
from medsynth.diffusion.sampling import guidance_errors
from medsynth.diffusion.scanner_noise import Levels
from medsynth.domains import Preset
from medsynth.generators.base import SliceTask
from medsynth.generators.exposed_field import ExposedField

# Air is the map's lower end, and half of it falls a hair below: that says nothing.
NEARLY = 0.02
Asked = tuple[int, SliceTask, Tensor]  # slice, what it follows, its noise


@dataclass(frozen=True, eq=False)
class SampledBatch:
    """x0 (B, 1, H, W) as the loop left it, and the conditions that it followed.

    `fields`: the mammogram of each, which conditions and x0 continue past its edge and `images` do not.
    `noise`: by tissue, of all images together, as in `MadeSlice`.
    """

    x0: Tensor
    conditions: tuple[Condition, ...]
    preset: Preset
    fields: tuple[ExposedField | None, ...] = ()
    noise: dict[str, list[Levels]] = field(default_factory=dict)

    @property
    def images(self) -> np.ndarray:
        """(B, H, W) float32 in physical units, within what the domain can represent."""
        values = self.preset.intensity.from_unit(self.x0[:, 0].float().clamp(-1, 1).cpu().numpy())
        for index, exposed in enumerate(self.fields):
            values[index] = exposed.cut_off(values[index]) if exposed else values[index]
        return values

    @property
    def beyond(self) -> list[int]:
        """How many pixels of each image the domain's intensity map cannot represent."""
        return [int(count) for count in (self.x0.float().abs() > 1 + NEARLY).flatten(1).sum(dim=1)]

    @property
    def errors(self) -> list[dict[str, float | None]]:
        """How far each image is off what each reference asked, over its standard deviation."""
        return guidance_errors(self.conditions, self.x0)


def _layout(task: SliceTask) -> tuple[object, ...]:
    """What slices of one batch have in common: which references they follow, and how."""
    return (
        task.known is None,
        *((r.name, r.factor, r.stop, r.weights is None) for r in task.references),
    )


def batches(asked: Iterable[Asked], size: int) -> Iterator[list[Asked]]:
    """Slices of one layout that follow each other, at most `size` at a time."""
    batch: list[Asked] = []
    for one in asked:
        if batch and (len(batch) == size or _layout(one[1]) != _layout(batch[0][1])):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def stacked(planes: Sequence[np.ndarray]) -> Tensor:
    """Planes (H, W) as a batch (B, 1, H, W)."""
    return torch.from_numpy(np.stack(planes))[:, None]

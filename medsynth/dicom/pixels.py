"""Physical values to stored integers, within half a step of the rescale."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset


@dataclass(frozen=True)
class Rescale:
    """physical = slope * stored + intercept (PS3.3 C.11.1.1).

    `mirror` is the sum of a value and its mirror image where the physical values are those of a
    MONOCHROME1 radiograph, which `medsynth.images` turns over so that larger is brighter.
    """

    slope: float = 1.0
    intercept: float = 0.0
    mirror: float | None = None

    def stored(self, physical: np.ndarray | float) -> np.ndarray:
        """The nearest stored values, still float64 and not yet limited to any range."""
        values = np.asarray(physical, np.float64)
        if self.mirror is not None:
            values = self.mirror - values
        return np.rint((values - self.intercept) / self.slope)

    def physical(self, stored: np.ndarray) -> np.ndarray:
        """The inverse, float64."""
        values = stored * self.slope + self.intercept
        return values if self.mirror is None else self.mirror - values


@dataclass(frozen=True)
class Depth:
    """How an integer is stored in its 16 allocated bits."""

    bits: int
    signed: bool

    @property
    def limits(self) -> tuple[int, int]:
        """Lowest and highest value that can be stored."""
        half = 1 << (self.bits - 1)
        return (-half, half - 1) if self.signed else (0, 2 * half - 1)

    def holds(self, lowest: float, highest: float) -> bool:
        """Whether the range from `lowest` to `highest` can be stored."""
        return self.limits[0] <= lowest and highest <= self.limits[1]


@dataclass(frozen=True)
class Padding:
    """The stored values that mean "no image here" (PS3.3 C.7.5.1.1.2).

    From `value` to `limit`, both included and in either order.
    """

    value: int
    limit: int

    @property
    def span(self) -> tuple[int, int]:
        """Lowest and highest padding value."""
        return min(self.value, self.limit), max(self.value, self.limit)

    def contains(self, stored: np.ndarray) -> np.ndarray:
        """Where `stored` is padding."""
        low, high = self.span
        return (stored >= low) & (stored <= high)


def widened(depth: Depth, ranges: Iterable[tuple[float, float]], *, may_be_signed: bool) -> Depth:
    """The first depth that holds all `ranges`: `depth`, 16 bits, 16 bits of the other sign.

    Where none does it is the 16-bit one that goes below 0 if need be, and `encode` counts what it
    clips at the top.
    """
    lows, highs = zip(*ranges, strict=True)
    candidates = [depth, Depth(16, depth.signed)]
    if may_be_signed:
        candidates.append(Depth(16, not depth.signed))
    for candidate in candidates:
        if candidate.holds(min(lows), max(highs)):
            return candidate
    return Depth(16, depth.signed or (may_be_signed and min(lows) < 0))


@dataclass(frozen=True)
class Encoded:
    """One slice: stored values (rows, columns), and how many voxels had to give way.

    `clipped` voxels lay beyond what can be stored; `moved` ones would have been read as padding.
    """

    stored: np.ndarray
    clipped: int
    moved: int


def encode(
    physical: np.ndarray,
    rescale: Rescale,
    *,
    depth: Depth,
    padding: Padding | None,
    padded: np.ndarray | None,
) -> Encoded:
    """One slice of physical values (rows, columns) as stored integers.

    Where `padded` is true the stored value is the reference's padding: the one that the physical
    value stands for if it lies in the padding range, else the padding value. Anywhere else the
    padding range is avoided.
    """
    wanted = rescale.stored(physical)
    low, high = depth.limits
    stored = np.clip(wanted, low, high)
    outside = wanted != stored
    moved = np.zeros_like(outside)
    if padding is not None:
        inside = np.zeros_like(outside) if padded is None else padded
        stored[inside & ~padding.contains(wanted)] = padding.value
        outside &= ~inside
        below, above = padding.span[0] - 1, padding.span[1] + 1
        moved = padding.contains(stored) & ~inside
        stored[moved] = above if above <= high else below
    kind = np.int16 if depth.signed else np.uint16
    return Encoded(stored.astype(kind), int(outside.sum()), int((moved & ~outside).sum()))


def put_pixels(dataset: Dataset, stored: np.ndarray, *, depth: Depth, photometric: str) -> None:
    """The Image Pixel module (PS3.3 C.7.6.3) of one slice of stored values (rows, columns).

    Smallest and largest pixel value are left out: they are optional, and stale ones mislead viewers
    that window by them.
    """
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = photometric
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated = 16
    dataset.BitsStored, dataset.HighBit = depth.bits, depth.bits - 1
    dataset.PixelRepresentation = int(depth.signed)
    dataset.add_new("PixelData", "OW", stored.astype(stored.dtype.newbyteorder("<")).tobytes())


def put_padding(dataset: Dataset, padding: Padding | None) -> None:
    """The padding value and range; PixelRepresentation must be there already."""
    if padding is None:
        return
    kind = "SS" if dataset.PixelRepresentation else "US"
    dataset.add_new("PixelPaddingValue", kind, padding.value)
    if padding.limit != padding.value:
        dataset.add_new("PixelPaddingRangeLimit", kind, padding.limit)

"""What a factor keeps of an image: the `dct` low-pass filter on plain arrays, without torch.

For programs that show it live and must not load torch to do so (3D Slicer). The same operator as
`medsynth.diffusion.guidance.low_pass(kind="dct")`; a test holds them equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from medsynth.domains import IntensityMap


def kept_modes(size: int, factor: int) -> int:
    """How many cosine modes of an axis of `size` pixels a factor keeps: ceil(size / factor)."""
    return -(-size // factor)


def dct_modes(size: int, factor: int) -> np.ndarray:
    """The lowest modes of the orthonormal DCT-II of one axis: (kept, size), float32.

    Row u is cos(pi (x + 1/2) u / size), x = 0..size-1, normalized.
    """
    import numpy as np

    kept = kept_modes(size, factor)
    x, u = np.arange(size) + 0.5, np.arange(kept)
    modes = np.cos(np.pi / size * np.outer(u, x)) * np.sqrt(2 / size)
    modes[0] /= np.sqrt(2)
    return modes.astype(np.float32)


class LowPassPreview:
    """The filter for one image size and factor; built once, applied to many slices.

    Args:
        shape: (rows, columns) of a slice.
        factor: N, from 1 to the shorter side; structures larger than about N pixels are kept.
        intensity: the preset's map; the network, and so the filter, works in its [-1, 1]. Without
            it the values are filtered as they are.
    """

    def __init__(self, shape: tuple[int, int], factor: int, intensity: IntensityMap | None = None):
        if not 1 <= factor <= min(shape):
            raise ValueError(f"factor must be from 1 to {min(shape)} for {shape}, got {factor}")
        self.rows = dct_modes(shape[0], factor)
        self.columns = dct_modes(shape[1], factor)
        self.intensity = intensity

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """One slice (rows, columns) or a stack of them, filtered; float32, in the image's units."""
        import numpy as np

        values = np.asarray(image, np.float32)
        if self.intensity is not None:
            values = self.intensity.to_unit(values)
        low = self.rows.T @ (self.rows @ values @ self.columns.T) @ self.columns
        return low if self.intensity is None else self.intensity.from_unit(np.clip(low, -1, 1))

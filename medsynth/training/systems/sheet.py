"""A picture of images in rows, marked as synthetic as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from medsynth.marking import png_chunks
from medsynth.storage.files import new_file


def write_sheet(rows: Sequence[Tensor], path: Path) -> None:
    """Rows of images (B, 1, H, W) in [-1, 1] as one PNG; it replaces its older self."""
    lines = [
        np.hstack([plane[0] for plane in row.detach().float().clamp(-1, 1).cpu().numpy()])
        for row in rows
    ]
    width = max(line.shape[1] for line in lines)
    padded = [np.pad(ln, ((0, 0), (0, width - ln.shape[1])), constant_values=-1) for ln in lines]
    gray = np.rint((np.vstack(padded) + 1) * 127.5).astype(np.uint8)
    with new_file(path, overwrite=True) as file:
        Image.fromarray(gray).save(file, format="PNG", pnginfo=png_chunks())

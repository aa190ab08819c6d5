"""From slices in physical units to 8-bit pictures: windows, differences, outlines, true proportions."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medsynth.domains import Window

# Outlines of the first, second, ... lesion: distinguishable for people with any color vision, on gray.
LESION_COLORS = ("#ffb000", "#4dd0ff", "#ff5fa2", "#7be07b", "#c79bff")


def windowed(plane: np.ndarray, window: Window) -> np.ndarray:
    """`plane` (j, i) in physical units as gray levels 0..255 of `window`, uint8."""
    low, high = window.limits
    share = (plane.astype(np.float32) - low) / (high - low)
    return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


def signed_gray(difference: np.ndarray, limit: float) -> np.ndarray:
    """A difference as gray levels: 128 is none, 1 and 255 are -limit and +limit; uint8."""
    return np.rint(128 + np.clip(difference / limit, -1, 1) * 127).astype(np.uint8)


def signed_color(gray: np.ndarray) -> np.ndarray:
    """`signed_gray` in color on black: less is blue, more is orange; (j, i, 3) uint8.

    The report page does the same in the browser, from the gray picture.
    """
    level = (gray.astype(np.float32) - 128) / 127
    more, less = np.clip(level, 0, 1)[..., None], np.clip(-level, 0, 1)[..., None]
    color = more**0.7 * np.array([255, 150, 40]) + less**0.7 * np.array([60, 160, 255])
    return np.clip(np.rint(color), 0, 255).astype(np.uint8)


def display_size(
    shape: tuple[int, ...], spacing_mm: tuple[float, ...], *, longest: int
) -> tuple[int, int]:
    """Width and height in square pixels for (j, i) voxels of `spacing_mm` (x, y, ...).

    The longer side becomes `longest`.
    """
    width, height = shape[-1] * spacing_mm[0], shape[-2] * spacing_mm[1]
    scale = longest / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def resized(picture: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """`picture` (j, i) or (j, i, 3) uint8 at `size` (width, height)."""
    image = Image.fromarray(picture)
    if image.size == size:
        return image
    # Bilinear: anything sharper overshoots at edges and would draw rims that are not there.
    return image.resize(size, Image.Resampling.BILINEAR)


def jpeg(
    picture: np.ndarray, size: tuple[int, int], *, quality: int, comment: bytes = b""
) -> bytes:
    """`picture` as JPEG. Its 8 x 8 blocks are coded one by one: equal blocks stay equal."""
    data = io.BytesIO()
    resized(picture, size).save(data, "JPEG", quality=quality, optimize=True, comment=comment)
    return data.getvalue()


def outlines(mask: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
    """The borders of `mask` (j, i) as closed lines (n, 2) of x, y in a picture of `size`."""
    if not mask.any():
        return []
    from contourpy import contour_generator

    # A rim of zeros, so that a mask at the edge of the image is closed too.
    padded = np.pad(mask.astype(np.float32), 1)
    lines = contour_generator(z=padded).lines(0.5)
    # Contour points count from voxel centers; pictures count from the voxel's outer edge.
    scale = np.array(size) / np.array(mask.shape[::-1])
    return [(np.asarray(line, dtype=float) - 0.5) * scale for line in lines]


def draw_outlines(
    image: Image.Image, masks: tuple[np.ndarray, ...], *, width: int = 2
) -> Image.Image:
    """`image` (RGB) with the border of each mask (j, i) drawn over it."""
    draw = ImageDraw.Draw(image)
    for index, mask in enumerate(masks):
        color = LESION_COLORS[index % len(LESION_COLORS)]
        for line in outlines(mask, image.size):
            draw.line([tuple(point) for point in line], fill=color, width=width, joint="curve")
    return image


@cache
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib: every sign we write is in it."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)

"""Values of any kind as the 8-bit gray values of a display: black 0, white 255, brighter is larger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.pixels import apply_voi

from medsynth.images.dicom.pixels import is_mirrored, modality_transform, stored_range
from medsynth.images.reference import ReferenceImage

WHITE = 255.0
# Shares, in per cent, of a file's values that become black and white where nothing says better.
PERCENTILES = (0.5, 99.5)
# Below this value a CT without a header can only be in HU.
SURELY_HU = -200.0


@dataclass(frozen=True, eq=False)
class Shown:
    """Gray values (k, j, i) float32 in 0 to 255, and in words how they came about.

    `as_stored`: the image held gray values already, and they are taken as they are.
    """

    values: np.ndarray
    how: str
    as_stored: bool = False


def to_display_units(
    reference: ReferenceImage, values: np.ndarray, *, hu_window: tuple[float, float] | None = None
) -> Shown:
    """The gray values in which `reference` is shown.

    In this order: a CT in HU in `hu_window` (center, width), where one is given; values from 0 to
    255 as they are, unless the file has a window of its own; that window or VOI look-up table
    (PS3.3 C.11.2; of a series the middle slice's, so that a stack stays one); else from the 0.5th to
    the 99.5th percentile. What is padding becomes black. MONOCHROME1 comes out with bone bright.

    Args:
        values: of `reference.image`, (k, j, i).
        hu_window: the window that the network's domain is defined by.
    """
    shown = _shown(reference, values, hu_window)
    if reference.padding is not None:
        shown.values[reference.padding] = 0
    return shown


def _shown(
    reference: ReferenceImage, values: np.ndarray, hu_window: tuple[float, float] | None
) -> Shown:
    header = reference.headers[len(reference.headers) // 2] if reference.headers else None
    if hu_window is not None and _in_hu(header, values):
        low, high = hu_window[0] - hu_window[1] / 2, hu_window[0] + hu_window[1] / 2
        return Shown(_scaled(values, low, high), f"the window {_window(hu_window)} HU")
    window = _window_of(header)
    gray = values.min() >= 0 and 1 < values.max() <= WHITE
    if gray and (window is None or window == (WHITE / 2, WHITE)):
        return Shown(np.array(values, np.float32), "gray values as they are", as_stored=True)
    if header is not None and window is not None:
        return Shown(_windowed(values, header, window), f"the file's window {_window(window)}")
    if header is not None and header.get("VOILUTSequence"):
        return Shown(_looked_up(values, header), "the file's VOI look-up table")
    inside = values if reference.padding is None else values[~reference.padding]
    low, high = np.percentile(inside, PERCENTILES)
    how = f"its {PERCENTILES[0]:g}th to {PERCENTILES[1]:g}th percentile, {low:g} to {high:g}"
    return Shown(_upright(_scaled(values, low, high), header), how)


def _in_hu(header: pydicom.Dataset | None, values: np.ndarray) -> bool:
    if header is None:
        return bool(values.min() < SURELY_HU)
    return header.get("Modality") == "CT" and header.get("RescaleType") in (None, "", "HU")


def _window_of(header: pydicom.Dataset | None) -> tuple[float, float] | None:
    """Center and width of the first window of `header`, if it has one that can be."""
    if header is None:
        return None
    pair = [header.get(keyword) for keyword in ("WindowCenter", "WindowWidth")]
    try:
        center, width = (
            float(v[0] if isinstance(v, (list, pydicom.multival.MultiValue)) else v) for v in pair
        )
    except (TypeError, ValueError, IndexError):
        return None
    return (center, width) if np.isfinite(center) and width >= 1 else None


def _windowed(
    values: np.ndarray, header: pydicom.Dataset, window: tuple[float, float]
) -> np.ndarray:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3; the reader has turned MONOCHROME1 over, so this does too."""
    center, width = window
    mirror = _mirror(header)
    if mirror is not None:
        center = mirror - center
    kind = header.get("VOILUTFunction") or "LINEAR"
    if kind == "SIGMOID":
        gray = WHITE / (1 + np.exp(-4 * (np.asarray(values, float) - center) / width))
        return _upright(gray.astype(np.float32), header)
    if kind == "LINEAR" and width > 1:
        # -0.5 of the stored value: +0.5 where the range is turned over.
        center, width = center + (-0.5 if mirror is None else 0.5), width - 1
    return _upright(_scaled(values, center - width / 2, center + width / 2), header)


def _looked_up(values: np.ndarray, header: pydicom.Dataset) -> np.ndarray:
    mirror = _mirror(header)
    stored = values if mirror is None else mirror - values
    looked_up = apply_voi(np.rint(stored).astype(np.int32), header)
    white = (1 << int(header.VOILUTSequence[0].LUTDescriptor[2])) - 1
    gray = _scaled(looked_up, 0, white)
    return WHITE - gray if header.get("PhotometricInterpretation") == "MONOCHROME1" else gray


def _mirror(header: pydicom.Dataset) -> float | None:
    """The sum of a value and its mirror image, where the reader turned the range over."""
    if not is_mirrored(header):
        return None
    ends = np.array(stored_range(header))
    return float(modality_transform(ends, header, Path("reference")).sum())


def _upright(gray: np.ndarray, header: pydicom.Dataset | None) -> np.ndarray:
    """MONOCHROME1 of a modality whose values the reader leaves as they are (MR, CT)."""
    if header is None or header.get("PhotometricInterpretation") != "MONOCHROME1":
        return gray
    return gray if is_mirrored(header) else WHITE - gray


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    span = max(float(high) - float(low), 1e-6)
    return (np.clip((values - np.float32(low)) / np.float32(span), 0, 1) * WHITE).astype(np.float32)


def _window(window: tuple[float, float]) -> str:
    return f"{window[0]:g} / {window[1]:g}"

"""What an image looks like at a glance, in a few numbers: enough to tell a head from a chest.

For images in gray values of a display. Each domain says in `typical` between which values its training
images lie; an image beyond them was probably meant for another domain.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from medsynth.domains import PRESETS, Preset

DARK = 10  # gray values up to this are background
LINE = 0.02  # share of a row or column that must not be background, so that dust is not content
SIDE = 64  # pixels to which the content is reduced
EDGE, RIM, DEEP = 2, 4, 8  # of these pixels


def appearance(values: np.ndarray) -> dict[str, float]:
    """Numbers that describe `values` (H, W), 0 to 255, without their dark margin; none where all is dark.

    `aspect`: height over width. `dark`: share of background. `side`, `bottom`: how much of the fuller
    side, and of the lower edge, is content. `mirror`: correlation with the mirror image. `rim`: the outer shell
    of the content less what lies deep within it. `mean`, `spread`: of the content. Gray values over 255.
    """
    content = values > DARK
    rows, columns = (np.flatnonzero(content.mean(axis=axis) >= LINE) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return {}
    cut = np.asarray(values, np.float32)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    small = np.asarray(Image.fromarray(cut).resize((SIDE, SIDE), Image.Resampling.BOX))
    content = small > DARK
    body = ndimage.binary_fill_holes(content)
    depth = ndimage.distance_transform_edt(np.pad(body, 1))[1:-1, 1:-1]
    deep = depth > DEEP
    if not deep.any():
        return {}
    still = small.std() == 0
    return {
        "aspect": cut.shape[0] / cut.shape[1],
        "dark": 1 - body.mean(),
        "side": max(content[:, :EDGE].mean(), content[:, -EDGE:].mean()),
        "bottom": content[-EDGE:].mean(),
        "mirror": 1.0 if still else np.corrcoef(small.ravel(), small[:, ::-1].ravel())[0, 1],
        "rim": (small[(depth > 0) & (depth <= RIM)].mean() - small[deep].mean()) / 255,
        "mean": small[body].mean() / 255,
        "spread": small[body].std() / 255,
    }


def unlike(values: np.ndarray, preset: Preset) -> str | None:
    """A warning if `values` (H, W) do not look like images of `preset`; None: they may be some."""
    seen = appearance(values)
    beyond = _beyond(seen, preset)
    if not beyond:
        return None
    others = [p for p in PRESETS.values() if p.typical and p != preset and not _beyond(seen, p)]
    like = f"; it looks like {' or '.join(p.title for p in others)}" if others else ""
    return (
        f"does not look like the images of {preset.title} that the network was trained on "
        f"({', '.join(beyond)}){like}; the result will be poor if it is of another kind"
    )


def _beyond(seen: dict[str, float], preset: Preset) -> list[str]:
    """Which numbers lie outside of the domain's range, in words."""
    return [
        f"{name} {seen[name]:.2f}, expected {low:g} to {high:g}"
        for name, (low, high) in preset.typical.items()
        if name in seen and not low <= seen[name] <= high
    ]

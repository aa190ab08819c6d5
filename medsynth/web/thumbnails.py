"""A result as a small picture: what is around its first lesion, in the window it is shown in."""

from __future__ import annotations

import base64
import io
from typing import Any

from medsynth.scene import nodes, results
from medsynth.scene.given import slicer

SIDE = 96
AROUND_MM = 45.0  # of the lesion, to each side: what differs between variants


def of(result: Any) -> str:
    """A PNG as the address of an image."""
    import numpy as np
    from PIL import Image

    values = slicer.util.arrayFromVolume(result)
    i, j, k = _middle(result, values.shape)
    half = [max(8, int(AROUND_MM / mm)) for mm in result.GetSpacing()[:2]]
    plane = values[k, max(0, j - half[1]) : j + half[1], max(0, i - half[0]) : i + half[0]]
    plane = plane.astype("float32")
    display = result.GetDisplayNode()
    low = display.GetLevel() - display.GetWindow() / 2
    gray = np.clip(255 * (plane - low) / max(display.GetWindow(), 1e-6), 0, 255).astype("uint8")
    spacing = result.GetSpacing()
    height = plane.shape[0] * spacing[1] / (plane.shape[1] * spacing[0]) * SIDE
    # As on the screen: rows run to posterior, columns to the patient's left.
    matrix = nodes.ijk_to_ras(result)
    gray = gray[:, ::-1] if matrix[0, 0] > 0 else gray
    gray = gray[::-1] if matrix[1, 1] > 0 else gray
    picture = Image.fromarray(np.ascontiguousarray(gray)).resize((SIDE, max(1, round(height))))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _middle(result: Any, shape: tuple[int, ...]) -> list[int]:
    """Voxel i, j, k of the first lesion, else of the volume's middle."""
    import numpy as np

    place = results.first_lesion(results.lesions_of(result))
    size = np.array(shape[::-1])
    if place is None:
        return [int(n) for n in size // 2]
    index = (np.linalg.inv(nodes.ijk_to_ras(result)) @ [*place, 1])[:3]
    return [int(n) for n in np.clip(np.rint(index), 0, size - 1)]

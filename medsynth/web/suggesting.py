"""`python -m medsynth.web.suggesting IMAGE PRESET DIAMETER SEED OUT`: a place where a lesion makes sense.

Chosen as `medsynth dataset` chooses its places: anywhere in the domain's usual region that is far enough from
its border.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from medsynth import parent
from medsynth.web.complaints import complaining


def suggest(image: Path, preset_name: str, diameter_mm: float, seed: int) -> tuple[float, ...]:
    """The center in LPS mm.

    Raises:
        GeometryError: there is no room for it.
    """
    import numpy as np

    from medsynth.domains import PRESETS
    from medsynth.factory.places import Scene, Wanted, choose
    from medsynth.factory.plan import LesionPlace
    from medsynth.images import read_image
    from medsynth.pipeline.preprocessing import preprocess

    preset = PRESETS[preset_name]
    place = LesionPlace(next(iter(preset.places)))
    scene = Scene(preprocess(read_image(image), preset), preset, place)
    return choose(scene, [Wanted(diameter_mm)], np.random.default_rng(seed))[0]


def main() -> int:
    """Read the command line."""
    parent.end_with_it(130)
    image, preset, diameter, seed, out = sys.argv[1:6]
    with complaining():
        center = suggest(Path(image), preset, float(diameter), int(seed))
        Path(out).write_text(json.dumps(center))
    return 0


if __name__ == "__main__":
    sys.exit(main())

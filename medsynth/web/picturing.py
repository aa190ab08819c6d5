"""`python -m medsynth.web.picturing PRESET`: the pictures of a domain's kinds of lesion that are not there yet."""

from __future__ import annotations

import sys

from medsynth import parent
from medsynth.domains import PRESETS
from medsynth.lesions.thumbnail import ensure
from medsynth.web.complaints import complaining


def main() -> int:
    """Read the command line."""
    parent.end_with_it(130)
    preset = PRESETS[sys.argv[1]]
    with complaining():
        for kind in preset.lesion_kinds:
            ensure(kind, preset)
    return 0


if __name__ == "__main__":
    sys.exit(main())

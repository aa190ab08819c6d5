"""How much one file may ask for: the one table of limits, each overridable by the environment.

A few bytes of a header can demand terabytes of memory or years of work. Every reader asks here,
before it allocates or loops. The defaults are far above real images; who has larger ones sets the
variable that the refusal names.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

MEBI = 1 << 20
# RFC 1951: 258 bytes by two codes of one bit each, so that no deflated file unfolds further.
DEFLATE_RATIO = 1032


@dataclass(frozen=True)
class Limit:
    """`default` units, unless the environment variable `variable` holds another whole number."""

    variable: str
    default: int
    unit: str
    meaning: str

    @property
    def value(self) -> int:
        """The number that holds now.

        Raises:
            ValueError: the variable is set, but not to a whole number of at least 1.
        """
        words = os.environ.get(self.variable, "").strip()
        if not words:
            return self.default
        if not (words.isascii() and words.isdigit() and len(words) <= 18 and int(words)):
            raise ValueError(
                f"{self.variable} must be a whole number from 1, got {words[:40]!r}; unset it for "
                f"{self.default:,}"
            )
        return int(words)

    def check(self, number: int, at: object, what: str) -> None:
        """Refuse more than `value`.

        Raises:
            ValueError: opens with `at`, a file or a key.
        """
        if number > self.value:
            raise ValueError(f"{at}: {what}, {self.refusal()}")

    def refusal(self) -> str:
        """The limit and how to raise it, to end a message with."""
        return f"more than {self.value:,} {self.unit}; if that is meant, set {self.variable} higher"


VOXELS = Limit(
    "MEDSYNTH_MAX_VOXELS",
    512 * MEBI,
    "voxels",
    "of one image, all slices together: 2048 slices of 512 x 512; in memory 4 bytes each",
)
PICTURE_PIXELS = Limit(
    "MEDSYNTH_MAX_PICTURE_PIXELS",
    128 * MEBI,
    "pixels",
    "of one slice, projection image or PNG / JPEG picture: 11,585 x 11,585, five times the largest mammogram",
)
FRAMES = Limit(
    "MEDSYNTH_MAX_FRAMES",
    100_000,
    "frames",
    "of one DICOM file, and slices of the grid that a DICOM segmentation spans",
)
INFLATED_BYTES = Limit(
    "MEDSYNTH_MAX_INFLATED_BYTES",
    512 * MEBI,
    "bytes",
    "of one deflated DICOM file once it is unfolded; reading takes about three times as much memory",
)
HEADER_BYTES = Limit(
    "MEDSYNTH_MAX_HEADER_BYTES",
    16 * MEBI,
    "bytes",
    "of the header of an NRRD, MetaImage or NIfTI file",
)
REQUEST_BYTES = Limit(
    "MEDSYNTH_MAX_REQUEST_BYTES", MEBI, "bytes", "of one request (YAML or JSON), as text"
)
REQUEST_ENTRIES = Limit(
    "MEDSYNTH_MAX_REQUEST_ENTRIES",
    100_000,
    "entries",
    "of one request: keys, values and list items, each YAML alias counted as what it stands for",
)
CONTROL_POINT_BYTES = Limit(
    "MEDSYNTH_MAX_CONTROL_POINT_BYTES",
    16 * MEBI,
    "bytes",
    "of one file of a phantom's control points (YAML or JSON), as text",
)
CONTROL_POINT_ENTRIES = Limit(
    "MEDSYNTH_MAX_CONTROL_POINT_ENTRIES",
    1_000_000,
    "entries",
    "of one file of a phantom's control points, counted as in a request",
)
DEPTH = Limit(
    "MEDSYNTH_MAX_DEPTH",
    50,
    "levels",
    "of lists and mappings inside each other in a request or a file of control points",
)
STEPS = Limit("MEDSYNTH_MAX_STEPS", 10_000, "steps", "of one synthesis (`steps`)")

ALL = (
    *(VOXELS, PICTURE_PIXELS, FRAMES, INFLATED_BYTES, HEADER_BYTES),
    *(REQUEST_BYTES, REQUEST_ENTRIES, CONTROL_POINT_BYTES, CONTROL_POINT_ENTRIES, DEPTH, STEPS),
)

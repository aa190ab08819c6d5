"""What a job will take, known before it starts; one that cannot fit is refused with advice."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import psutil

# PyTorch, MONAI and the readers themselves, measured at 0.7 GB resident, and the activations of
# one 512 x 512 slice at 0.25 GB.
PROGRAM_BYTES = 750_000_000
ACTIVATION_BYTES_PER_PIXEL = 1000


@dataclass(frozen=True)
class Estimate:
    """`seconds` of sampling on `device`, peak `memory_bytes` of the process, `disk_bytes` of OUT."""

    slices: int
    seconds: float
    memory_bytes: int
    disk_bytes: int
    device: str = "cpu"

    def to_dict(self) -> dict[str, Any]:
        """For an event."""
        return asdict(self)

    def sentence(self) -> str:
        """For people."""
        return (
            f"{self.slices} slice{'s' if self.slices != 1 else ''}, about "
            f"{duration(self.seconds)} of sampling on {self.device}, {self.memory_bytes / 1e9:.1f} GB of memory, "
            f"{self.disk_bytes / 1e6:.0f} MB on disk"
        )


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def memory_needed(size: tuple[int, int, int], *, lesions: int, slice_pixels: int) -> int:
    """Peak bytes for a volume of `size` voxels: reference and result (float32), one image and one
    mask per lesion, 6 bytes a voxel of working copies, and the network."""
    voxels = int(np.prod(size))
    return (
        PROGRAM_BYTES + voxels * (8 + 5 * lesions + 6) + ACTIVATION_BYTES_PER_PIXEL * slice_pixels
    )


def disk_needed(size: tuple[int, int, int], *, lesions: int, bytes_per_voxel: int = 4) -> int:
    """Bytes of OUT: the volumes (NRRD and DICOM take 2 bytes a voxel each), masks, the report."""
    return int(np.prod(size)) * bytes_per_voxel + int(np.prod(size)) * lesions // 8 + 20_000_000


def check_memory(needed: int, *, available: int | None = None) -> None:
    """Refuse a job that cannot fit.

    Raises:
        MemoryError: more than is available (by default: to this machine now); with advice.
    """
    available = psutil.virtual_memory().available if available is None else available
    if needed > available:
        raise MemoryError(
            f"this job needs about {needed / 1e9:.1f} GB of memory, {available / 1e9:.1f} GB are "
            "free; crop the reference to the slices you need, close other programs, or use a "
            "machine with more memory"
        )

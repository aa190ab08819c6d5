"""The share of lesions that were found, with its interval, and a table of all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medsynth.evaluation.lesion_fidelity.detection import Detection
from medsynth.evaluation.lesion_fidelity.targets import DIAMETERS_MM, KINDS


def figure(detections: Sequence[Detection]) -> dict:
    """The share found with its Wilson interval, by kind and by diameter, and every failure."""
    middle = float(np.mean(DIAMETERS_MM))
    groups = {
        **{kind: [f for f in detections if f.target.kind == kind] for kind in KINDS},
        f"below {middle:g} mm": [f for f in detections if f.target.diameter_mm < middle],
        f"{middle:g} mm and above": [f for f in detections if f.target.diameter_mm >= middle],
    }
    ratios = [f.measured_mm / f.target.diameter_mm for f in detections]
    return {
        **_share(detections),
        "inside_roi": sum(f.inside for f in detections),
        "diameter_ratio": {
            "median": round(float(np.median(ratios)), 3),
            "p5": round(float(np.quantile(ratios, 0.05)), 3),
            "p95": round(float(np.quantile(ratios, 0.95)), 3),
        },
        "groups": {name: _share(part) for name, part in groups.items() if part},
        "failures": [_plain(f) for f in detections if not f.found],
        "table": [_plain(f) for f in detections],
    }


def _plain(detection: Detection) -> dict:
    record = detection.to_dict()
    if not np.isfinite(detection.off_mm):
        record["off_mm"] = None
    return record


def _share(detections: Sequence[Detection]) -> dict:
    found, count = sum(f.found for f in detections), len(detections)
    return {
        "requests": count,
        "found": found,
        "share": round(found / count, 4),
        "interval_95": [round(edge, 4) for edge in wilson(found, count)],
    }


def wilson(hits: int, count: int, *, z: float = 1.959964) -> tuple[float, float]:
    """Score interval of a share (Wilson, JASA 1927;22:209), 95 % by default."""
    if not 0 <= hits <= count or count < 1:
        raise ValueError(f"hits must be within 0 and count (at least 1), got {hits} of {count}")
    share, square = hits / count, z * z / count
    middle = share + square / 2
    reach = z * np.sqrt(share * (1 - share) / count + square / (4 * count))
    low, high = (middle - reach) / (1 + square), (middle + reach) / (1 + square)
    return (0.0 if hits == 0 else float(low), 1.0 if hits == count else float(high))
